import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from OnPolicyDistill.datasets.prompts import load_prompts
from OnPolicyDistill.demo.embedded import (
    STUDENT,
    TEACHER,
    build_embedded,
    changed_files,
    write_sums,
)
from OnPolicyDistill.evaluation.heldout import HeldOut, grade
from OnPolicyDistill.evaluation.intervals import share_of
from OnPolicyDistill.files import shipped_folder
from OnPolicyDistill.generation.request import NO_HOOKS
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.policy import encode_prompt
from OnPolicyDistill.rollout import EncodedPrompt

DATA = shipped_folder("data")
SHORT = (
    replace(STUDENT, num_conversations=64, num_steps=2, shape=replace(STUDENT.shape, num_layers=1)),
)


def ignore(_what: str, _done: int, _total: int) -> None:
    pass


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[str, int, int]]]:
    folder = tmp_path_factory.mktemp("built")
    heard: list[tuple[str, int, int]] = []
    build_embedded(folder, lambda *said: heard.append(said), SHORT)
    return folder, heard


def test_building_twice_gives_the_same_bytes(
    built: tuple[Path, list[tuple[str, int, int]]], tmp_path: Path
) -> None:
    folder, _ = built
    build_embedded(tmp_path, ignore, SHORT)
    assert write_sums(tmp_path) == write_sums(folder)
    assert (tmp_path / "models" / "SHA256SUMS").read_bytes() == (
        folder / "models" / "SHA256SUMS"
    ).read_bytes()


def test_a_build_has_models_that_load_and_prompts_with_answers(
    built: tuple[Path, list[tuple[str, int, int]]],
) -> None:
    folder, heard = built
    for plan in SHORT:
        policy = load_policy(str(folder / "models" / plan.name))
        assert policy.vocab_size < policy.model.args.vocab_size == plan.shape.logit_width
    prompts = load_prompts(folder / "dates" / "validation.jsonl")
    assert prompts.num_answers == len(prompts) == 200
    assert heard[-1] == ("training the embedded models", 2, 2)


def test_the_data_does_not_depend_on_how_long_the_models_train(
    built: tuple[Path, list[tuple[str, int, int]]],
) -> None:
    folder, _ = built
    for name in ("train.jsonl", "validation.jsonl"):
        shipped, rebuilt = (data / "dates" / name for data in (DATA, folder))
        assert shipped.read_bytes() == rebuilt.read_bytes()
    for plan in SHORT:
        for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
            shipped, rebuilt = (data / "models" / plan.name / name for data in (DATA, folder))
            assert shipped.read_bytes() == rebuilt.read_bytes()


def test_a_changed_file_is_noticed_by_name(
    built: tuple[Path, list[tuple[str, int, int]]],
) -> None:
    folder, _ = built
    assert changed_files(folder) == []
    file = folder / "dates" / "train.jsonl"
    original = file.read_bytes()
    file.write_bytes(original + b"\n")
    assert changed_files(folder) == ["../dates/train.jsonl"]
    file.write_bytes(original)


def test_the_shipped_files_are_as_their_checksums_say() -> None:
    assert changed_files(DATA) == []
    for line in (DATA / "models" / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((DATA / "models" / name).read_bytes()).hexdigest() == digest


def test_everything_embedded_takes_less_than_nineteen_and_a_half_megabytes() -> None:
    folders = ("models", "dates", "languages", "squares", "causal")
    files = [file for name in folders for file in (DATA / name).rglob("*")]
    assert sum(file.stat().st_size for file in files if file.is_file()) < 19.5e6


def test_both_models_speak_the_same_tokens_and_pad_their_logits_differently() -> None:
    teacher, student = (load_policy(str(DATA / "models" / p.name)) for p in (TEACHER, STUDENT))
    assert teacher.tokenizer.get_vocab() == student.tokenizer.get_vocab()
    assert teacher.stop_ids == student.stop_ids
    widths = (teacher.model.args.vocab_size, student.model.args.vocab_size)
    assert teacher.vocab_size < min(widths)
    assert widths[0] != widths[1]


@pytest.mark.parametrize(
    ("name", "lowest", "highest"), [("tiny-teacher", 0.97, 1.0), ("tiny-student", 0.25, 0.55)]
)
def test_the_teacher_knows_the_task_and_the_student_does_not(
    name: str, lowest: float, highest: float
) -> None:
    policy = load_policy(str(DATA / "models" / name))
    prompt_set = load_prompts(DATA / "dates" / "validation.jsonl")
    encoded = tuple(
        EncodedPrompt(p.index, tuple(encode_prompt(policy, p.messages)), p.text, p.answer)
        for p in prompt_set.prompts[:100]
    )
    marks = grade(policy, HeldOut(encoded, 24, 50, seed=0), NO_HOOKS)
    assert lowest <= share_of(marks)[0] <= highest
