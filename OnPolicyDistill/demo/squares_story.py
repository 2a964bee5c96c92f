"""The demonstration with pictures: a student that sees learns to compute with what it sees.

The embedded vision pair looks at figures on squared paper. Before, the student reads their sides as
well as its teacher and mostly forgets to double a perimeter and to halve a triangle. The run is an
ordinary one; its controls say what is right without the picture. A page in the run's folder shows
held-out pictures with the answers of both.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from OnPolicyDistill.adapters.files import load_adapter
from OnPolicyDistill.config import (
    VlmDistillationConfig,
)
from OnPolicyDistill.datasets.pictures import open_picture
from OnPolicyDistill.datasets.prompts import Prompt, load_prompts
from OnPolicyDistill.demo.preset import UNCHANGED, shipped_preset
from OnPolicyDistill.demo.squares_report import Said, ShownCase, write_page
from OnPolicyDistill.demo.story import (
    StudentNumbers,
    TeacherNumbers,
    finished,
    numbers,
    proof_passed,
)
from OnPolicyDistill.evaluation.heldout import HeldOut, answer, evaluate_student
from OnPolicyDistill.files import shipped_folder
from OnPolicyDistill.generation.request import NO_HOOKS
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.policy import Policy, encode_picture_prompt
from OnPolicyDistill.pictures import PictureBook
from OnPolicyDistill.rollout import EncodedPrompt
from OnPolicyDistill.runs.checkpoints import exported
from OnPolicyDistill.runs.directory import create_run
from OnPolicyDistill.runs.events import RunFinished
from OnPolicyDistill.runs.reporting import Observer, StopRequest
from OnPolicyDistill.settings.vlm_distillation import VlmDistillationSettings
from OnPolicyDistill.teacher.cache import TeacherCache
from OnPolicyDistill.teacher.scorer import EXACT
from OnPolicyDistill.teacher.scoring import Teacher
from OnPolicyDistill.trainers.vlm_distillation import train

PRESET = "vlm_distillation/demo.yaml"
PAGE = "pictures.html"


class ControlNumbers(BaseModel):
    """The student after its training on held-out prompts without their own pictures."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    accuracy: float
    accuracy_interval: tuple[float, float]


class Controls(BaseModel):
    """Both controls: a blank sheet, and another prompt's picture."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    blank: ControlNumbers
    shuffled: ControlNumbers


class SeeingTeacherNumbers(TeacherNumbers):
    """The teacher, also scored by itself on completions of its own: what rounding leaves."""

    reverse_kl: float
    agreement: float


class VlmDemoResult(BaseModel):
    """Everything the demonstration measured; `seconds` is the wall clock of all of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str
    seconds: float
    train_seconds: float
    student_path: str
    teacher_path: str
    adapter_path: str
    page_path: str
    before: StudentNumbers
    after: StudentNumbers
    teacher: SeeingTeacherNumbers
    controls: Controls
    proof_passed: bool


def run_vlm_demo(
    workspace: Path,
    observer: Observer | None = None,
    stop: StopRequest | None = None,
    changes: Mapping[str, object] = UNCHANGED,
) -> VlmDemoResult:
    """Distil the embedded vision pair in a workspace and measure what came of it.

    `changes` replace settings of the preset's block, for a shorter run.

    Raises:
        DistillError: the run failed; its log says why.
    """
    started = time.perf_counter()
    config = vlm_demo_config(changes)
    run = create_run(workspace, config)
    train(run, observer, stop)
    end = finished(run)
    adapter = exported(run)
    assert adapter is not None
    settings, models = config.vlm_distillation, shipped_folder("data") / "models"
    key = "before_eval_teacher_accuracy"
    result = VlmDemoResult(
        run_id=run.run_id,
        seconds=time.perf_counter() - started,
        train_seconds=end.report["train_seconds"],
        student_path=str(models / settings.student_model),
        teacher_path=str(models / settings.teacher_model),
        adapter_path=str(adapter.resolve()),
        page_path=str(run.path / PAGE),
        before=numbers(end, "before"),
        after=numbers(end, "after"),
        teacher=SeeingTeacherNumbers(
            accuracy=end.report[key],
            accuracy_interval=end.intervals[key],
            **compare_with_itself(settings),
        ),
        controls=Controls(blank=_control(end, "blank"), shuffled=_control(end, "shuffled")),
        proof_passed=proof_passed(run),
    )
    write_page(run.path / PAGE, summary_of(result), show_cases(settings, adapter))
    return result.model_copy(update={"seconds": time.perf_counter() - started})


def vlm_demo_config(changes: Mapping[str, object] = UNCHANGED) -> VlmDistillationConfig:
    """Return the shipped preset with its files by their place on this machine.

    `changes` replace settings of its block.
    """
    config = shipped_preset(PRESET, changes)
    assert isinstance(config, VlmDistillationConfig)
    return config


def show_cases(settings: VlmDistillationSettings, adapter: Path) -> list[ShownCase]:
    """Answers to a held-out prompt of each kind: the student's before and after, the teacher's."""
    prompts = _one_of_each(load_prompts(Path(str(settings.validation_prompts)), sees=True).prompts)
    book = PictureBook()

    def said_by(model: str, adapter: Path | None = None) -> list[Said]:
        policy = load_policy(model, settings.mixed_precision, settings, book)
        if adapter is not None:
            policy, _ = load_adapter(policy, adapter)
        return _answers(policy, book, prompts, settings.max_generation_tokens)

    before, teachers = said_by(settings.student_model), said_by(settings.teacher_model)
    after = said_by(settings.student_model, adapter)
    return [
        ShownCase(_picture(prompt), prompt.text, str(prompt.answer), tuple(said))
        for prompt, *said in zip(prompts, before, after, teachers, strict=True)
    ]


def compare_with_itself(settings: VlmDistillationSettings) -> dict[str, float]:
    """Reverse KL (nats a token) and agreement of the teacher as if it were its own student."""
    book = PictureBook()
    policy = load_policy(settings.teacher_model, settings.mixed_precision, settings, book)
    prompts = load_prompts(Path(str(settings.validation_prompts)), sees=True).prompts
    asked = _asked(policy, book, _one_of_each(prompts), settings.max_generation_tokens)
    itself = Teacher(policy, TeacherCache(0), EXACT)
    measured = evaluate_student(policy, itself.head, itself, asked, NO_HOOKS).metrics
    return {name: measured[f"eval_{name}"] for name in ("reverse_kl", "agreement")}


def summary_of(result: VlmDemoResult) -> list[list[str]]:
    """The figures of the demonstration as a table, its head first."""
    before, after = result.before, result.after
    blank, shuffled = result.controls.blank, result.controls.shuffled
    return [
        ["held-out prompts", "student before", "student after", "teacher"],
        ["right", _share(before), _share(after), _share(result.teacher)],
        ["right with a blank picture", "", _share(blank), ""],
        ["right with another prompt's picture", "", _share(shuffled), ""],
        [
            "agreement with the teacher",
            *(f"{100 * n.agreement:.1f} %" for n in (before, after)),
            "",
        ],
        ["reverse KL (nats/token)", *(f"{n.reverse_kl:.4f}" for n in (before, after)), ""],
    ]


def _share(numbers: StudentNumbers | TeacherNumbers | ControlNumbers) -> str:
    low, high = numbers.accuracy_interval
    return f"{_percent(numbers.accuracy)} ({100 * low:.1f} to {100 * high:.1f})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _one_of_each(prompts: Sequence[Prompt]) -> list[Prompt]:
    """The first prompt of each kind of question."""
    kinds: dict[str, Prompt] = {}
    for prompt in prompts:
        kinds.setdefault(str(prompt.extras["question"]), prompt)
    return list(kinds.values())


def _picture(prompt: Prompt) -> Path:
    (source,) = prompt.pictures
    assert source.file is not None
    return source.file


def _answers(
    policy: Policy, book: PictureBook, prompts: Sequence[Prompt], max_tokens: int
) -> list[Said]:
    """Greedy completions and how they are graded; every prompt has an answer."""
    asked = _asked(policy, book, prompts, max_tokens)
    answers = answer(policy, asked.prompts, asked, NO_HOOKS)
    return [Said(one.text, one.mark() == 1) for one in answers]


def _asked(
    policy: Policy, book: PictureBook, prompts: Sequence[Prompt], max_tokens: int
) -> HeldOut:
    """The prompts as a policy sees them."""
    assert policy.sight is not None
    encoded = []
    for prompt in prompts:
        pictures = [open_picture(source, policy.sight) for source in prompt.pictures]
        ids = encode_picture_prompt(policy, prompt.messages, pictures, book)
        encoded.append(EncodedPrompt(prompt.index, ids, prompt.text, prompt.answer, prompt.grader))
    return HeldOut(tuple(encoded), max_tokens, len(encoded), seed=0)


def _control(end: RunFinished, name: str) -> ControlNumbers:
    key = f"after_eval_accuracy_{name}"
    return ControlNumbers(accuracy=end.report[key], accuracy_interval=end.intervals[key])
