"""The demonstration of surgery: a model that has only read of figures comes to see them.

The tower of tiny-looker is put on tiny-reader, and the projector between them learns on answers
without thoughts. Asked is what figure a sheet shows, by its colour and its shape; sides are not
asked for. Then held-out sheets are named without a thought, with one, and with the picture of
another question. A page in the run's folder shows some of them beside their pictures, and the
grafted model lies beside the page.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from OnPolicyDistill.adapters.surgery import export_grafted
from OnPolicyDistill.config import ProjectorConfig
from OnPolicyDistill.datasets.conversations import load_conversations
from OnPolicyDistill.demo.preset import UNCHANGED, shipped_preset
from OnPolicyDistill.demo.squares_report import Said, ShownCase, write_page
from OnPolicyDistill.demo.story import finished, proof_passed
from OnPolicyDistill.files import shipped_folder
from OnPolicyDistill.runs.checkpoints import exported
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.runs.reporting import Observer, StopRequest
from OnPolicyDistill.settings.projector import ProjectorSettings
from OnPolicyDistill.trainers.projector.asking import Answered, Way, read_answers
from OnPolicyDistill.trainers.projector.rows import final_answer
from OnPolicyDistill.trainers.projector.train import train

PRESET = "vision_surgery/demo.yaml"
PAGE = "pictures.html"
GRAFTED = "grafted"
SHOWN: tuple[Way, ...] = ("plain", "thinking", "wrong_picture")
COLUMNS = ("without thinking", "with thinking", "with another picture")


class SurgeryDemoResult(BaseModel):
    """Everything the demonstration measured; losses are held-out ones in nats a token.

    An answer is right where colour and shape are. `accuracy` is without thinking. `seconds` is the
    wall clock of all of it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str
    seconds: float
    train_seconds: float
    vision_path: str
    language_path: str
    grafted_path: str
    page_path: str
    loss_before: float
    loss_after: float
    num_asked: int
    accuracy: float
    accuracy_thinking: float
    well_formed_thoughts: float
    wrong_picture_accuracy: float
    blank_picture_accuracy: float
    language_model_unchanged: bool
    vision_tower_unchanged: bool
    proof_passed: bool


def run_surgery_demo(
    workspace: Path,
    observer: Observer | None = None,
    stop: StopRequest | None = None,
    changes: Mapping[str, object] = UNCHANGED,
) -> SurgeryDemoResult:
    """Put the embedded tower on the embedded reader in a workspace and measure what came of it.

    `changes` replace settings of the preset's block, for a shorter run.

    Raises:
        DistillError: the run failed; its log says why.
    """
    started = time.perf_counter()
    config = surgery_demo_config(changes)
    run = create_run(workspace, config)
    train(run, observer, stop)
    report, settings = finished(run).report, config.projector
    checkpoint = exported(run)
    assert checkpoint is not None
    grafted = export_grafted(settings, checkpoint, run.path / GRAFTED, _silent)
    models = shipped_folder("data") / "models"
    result = SurgeryDemoResult(
        run_id=run.run_id,
        seconds=time.perf_counter() - started,
        train_seconds=report["train_seconds"],
        vision_path=str(models / settings.vision_model),
        language_path=str(models / settings.language_model),
        grafted_path=str(grafted),
        page_path=str(run.path / PAGE),
        loss_before=report["loss_before"],
        loss_after=report["loss_after"],
        num_asked=int(report["num_asked"]),
        accuracy=report["accuracy"],
        accuracy_thinking=report["accuracy_thinking"],
        well_formed_thoughts=report["well_formed_thoughts"],
        wrong_picture_accuracy=report["wrong_picture_accuracy"],
        blank_picture_accuracy=report["blank_picture_accuracy"],
        language_model_unchanged=report["language_model_unchanged"] == 1,
        vision_tower_unchanged=report["vision_tower_unchanged"] == 1,
        proof_passed=proof_passed(run),
    )
    write_page(run.path / PAGE, summary_of(result), show_cases(run, settings), COLUMNS)
    return result.model_copy(update={"seconds": time.perf_counter() - started})


def surgery_demo_config(changes: Mapping[str, object] = UNCHANGED) -> ProjectorConfig:
    """Return the shipped preset with its files by their place on this machine.

    `changes` replace settings of its block.
    """
    config = shipped_preset(PRESET, changes)
    assert isinstance(config, ProjectorConfig)
    return config


def show_cases(run: RunDirectory, settings: ProjectorSettings) -> list[ShownCase]:
    """The first sheet of each kind that was asked about, named in three ways."""
    asked = load_conversations(Path(str(settings.validation_conversations)), sees=True)
    pictures = {conversation.line: conversation.pictures for conversation in asked}
    answers = {way: {one.line: one for one in read_answers(run, way).answers} for way in SHOWN}
    kinds: dict[str, Answered] = {}
    for answered in answers["plain"].values():
        kinds.setdefault(answered.wanted, answered)
    cases = []
    for first in kinds.values():
        (source,) = pictures[first.line]
        assert source.file is not None
        said = tuple(_said(answers[way][first.line]) for way in SHOWN)
        cases.append(ShownCase(source.file, first.question, final_answer(first.wanted), said))
    return cases


def summary_of(result: SurgeryDemoResult) -> list[list[str]]:
    """The figures of the demonstration as a table, its head first."""
    return [
        [f"{result.num_asked} held-out sheets, named by colour and shape", ""],
        ["right without thinking", _percent(result.accuracy)],
        ["right with thinking", _percent(result.accuracy_thinking)],
        ["well-formed thoughts", _percent(result.well_formed_thoughts)],
        ["right with another question's picture", _percent(result.wrong_picture_accuracy)],
        ["right with a blank picture", _percent(result.blank_picture_accuracy)],
        ["held-out loss before and after", f"{result.loss_before:.3f}, {result.loss_after:.3f}"],
    ]


def _silent(what: str, done: int, total: int) -> None:
    """Copying a tiny model is over before anybody could read of it."""


def _said(answer: Answered) -> Said:
    return Said(answer.said, answer.is_right)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
