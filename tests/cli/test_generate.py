"""Completions of one model, or of base, student and teacher side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import mlx.core as mx
import pytest

from OnPolicyDistill.adapters.files import save_adapter
from OnPolicyDistill.adapters.lora import adapter_layers, attach_adapter
from OnPolicyDistill.cli.generate import Cast, roles_of
from OnPolicyDistill.config import load_config, parse_config
from OnPolicyDistill.errors import InputError
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.runs.checkpoints import TrainingState, save_checkpoint
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.settings.training import LoraSettings

if TYPE_CHECKING:
    from tests.cli.conftest import Opd, Outcome

ASKED = ("--max-tokens", "6", "--prompt", "ba ce di", "--temperature", "1", "--seed", "1")


@pytest.fixture
def run(workspace: Path, pair: Path) -> RunDirectory:
    """A run whose one checkpoint holds an adapter that changes every logit."""
    run = create_run(workspace, load_config(pair / "config.yaml"))
    model = load_policy(str(pair / "student")).model
    adapter = attach_adapter(model, LoraSettings(rank=2), ("q_proj", "down_proj"), 0)
    for layer in adapter_layers(model).values():
        layer.lora_b = mx.random.normal(layer.lora_b.shape, key=mx.random.key(1))
    state = TrainingState(step=5, config_hash="a", seed=0, data_cursor=0, num_tokens=0)
    save_checkpoint(run, state, lambda folder: save_adapter(folder, model, adapter, "student"))
    return run


def completions(outcome: Outcome) -> list[dict[str, object]]:
    value = outcome.json()
    assert isinstance(value, dict)
    return list(value["completions"])


def test_a_model_completes_a_prompt_alike_each_time(opd: Opd, pair: Path) -> None:
    model = ("--model", str(pair / "student"))
    text = opd("generate", *model, *ASKED)
    assert text.exit_code == 0
    assert text.out.strip()
    assert "tokens" in text.err
    (answer,) = completions(opd("generate", *model, *ASKED, "--json"))
    assert answer["role"] == "student"
    assert answer["text"] == text.out.removesuffix("\n")
    num_tokens = answer["num_tokens"]
    assert isinstance(num_tokens, int)
    assert 1 <= num_tokens <= 6


def test_sampling_repeats_with_its_seed_and_differs_with_another(opd: Opd, pair: Path) -> None:
    arguments = ("generate", "--model", str(pair / "student"), "--json", "--temperature", "1")
    arguments = (*arguments, "--max-tokens", "16", "--prompt", "ba")
    texts = [completions(opd(*arguments, "--seed", seed))[0]["text"] for seed in ("1", "1", "2")]
    assert texts[0] == texts[1] != texts[2]


def test_base_student_and_teacher_are_shown_side_by_side(
    opd: Opd, run: RunDirectory, pair: Path
) -> None:
    answers = completions(opd("generate", "--run", run.run_id, "--compare", "--json", *ASKED))
    assert [answer["role"] for answer in answers] == ["base", "student", "teacher"]
    (alone,) = completions(opd("generate", "--model", str(pair / "student"), "--json", *ASKED))
    (teacher,) = completions(opd("generate", "--model", str(pair / "teacher"), "--json", *ASKED))
    assert answers[0]["text"] == alone["text"]
    assert answers[1]["text"] != alone["text"]
    assert answers[2]["text"] == teacher["text"]


def test_the_prompt_can_be_piped_in(
    opd: Opd, pair: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "prompt"
    file.write_text("ba ce di\n", encoding="utf-8")
    arguments = ("generate", "--model", str(pair / "student"), "--max-tokens", "6", "--json")
    with file.open(encoding="utf-8") as stream:
        monkeypatch.setattr("sys.stdin", stream)
        piped = completions(opd(*arguments))
    assert piped[0]["text"] == completions(opd(*arguments, "--prompt", "ba ce di"))[0]["text"]


def test_bytes_that_are_no_text_are_told_as_such(
    opd: Opd, pair: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "prompt"
    file.write_bytes("Grüße".encode("latin-1"))
    with file.open(encoding="utf-8") as stream:
        monkeypatch.setattr("sys.stdin", stream)
        result = opd("generate", "--model", str(pair / "student"))
    assert result.exit_code == 2
    assert "no UTF-8 text (byte 3 is 0xfc)" in result.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--prompt", "a"], "No model is named"),
        (["--model", "m", "--prompt", " "], "The prompt is empty"),
        (["--model", "m", "--prompt", "<image>\nWhich?"], "only words are read"),
        (["--model", "m", "--prompt", "a", "--compare"], "nothing to compare"),
        (["--model", "m", "--prompt", "a", "--top-p", "0"], "top-p must be above 0"),
        (["--model", "no/such", "--prompt", "a", "--temperature", "-1"], "temperature"),
    ],
)
def test_what_cannot_be_generated_is_refused(opd: Opd, arguments: list[str], sentence: str) -> None:
    outcome = opd("generate", *arguments)
    assert outcome.exit_code == 2
    assert sentence in outcome.err


def test_a_teacher_answers_with_the_adapter_that_its_run_gave_it(
    opd: Opd, run: RunDirectory, workspace: Path, pair: Path
) -> None:
    worn, student = run.path / "checkpoints" / "000005", str(pair / "student")
    values = load_config(pair / "config.yaml").model_dump()
    values["distillation"] |= {"teacher_model": student, "teacher_adapter": str(worn)}
    taught = create_run(workspace, parse_config(values, "test"))
    named = ("--run", taught.run_id, "--adapter", str(worn), "--compare", "--json", *ASKED)
    base, own, teacher = completions(opd("generate", *named))
    assert base["text"] != own["text"]
    assert teacher["text"] == own["text"]
    *_, plain = completions(opd("generate", *named, "--teacher", student))
    assert plain["text"] == base["text"]


def test_a_run_names_model_adapter_and_teacher_unless_options_do(
    run: RunDirectory, pair: Path
) -> None:
    checkpoint = (run.checkpoints / "000005").resolve()
    named = roles_of(Cast(None, None, None), run)
    assert named == Cast(str(pair / "student"), checkpoint, str(pair / "teacher"))
    other = Cast("m", Path("a"), "t")
    assert roles_of(other, run) == other


def test_a_run_without_checkpoints_has_nothing_to_generate_with(
    workspace: Path, pair: Path
) -> None:
    empty = create_run(workspace, load_config(pair / "config.yaml"))
    with pytest.raises(InputError, match="no checkpoint yet"):
        roles_of(Cast(None, None, None), empty)
