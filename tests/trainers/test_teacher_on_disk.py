"""Runs whose teacher's answers are on disk: a second one asks nobody and learns the same bits."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Protocol

import mlx.core as mx
import pytest

from OnPolicyDistill.arrays import load_tensors
from OnPolicyDistill.errors import ModelError, RunError
from OnPolicyDistill.models import loading
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import EvaluationFinished, PhaseChanged, StepFinished, Warned
from OnPolicyDistill.runs.held_out_answers import read_answers
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.teacher.cache import TeacherCache
from OnPolicyDistill.teacher.disk import DiskCache
from OnPolicyDistill.teacher.scorer import EXACT
from OnPolicyDistill.teacher.scoring import Teacher
from OnPolicyDistill.teacher.stored import Identity, StoredTeacher
from OnPolicyDistill.trainers import on_policy


class Classroom(Protocol):
    root: Path

    def create(self, **settings: object) -> RunDirectory: ...


def trained(classroom: Classroom, **settings: object) -> RunDirectory:
    given = {"num_steps": 2, "eval_every": 2, "teacher_cache_dir": str(classroom.root / "kept")}
    run = classroom.create(**{**given, **settings})
    on_policy.train(run)
    return run


def adapter(run: RunDirectory) -> bytes:
    return (run.checkpoints / "last" / "adapters.safetensors").read_bytes()


def loadings(run: RunDirectory) -> list[str]:
    found = [e.detail for e in read_events(run.events_file) if isinstance(e, PhaseChanged)]
    return [detail for detail in found if detail.startswith("Loading the teacher")]


def warnings(run: RunDirectory) -> list[str]:
    return [e.code for e in read_events(run.events_file) if isinstance(e, Warned)]


def figures(run: RunDirectory) -> list[dict[str, float]]:
    """What was measured, without seconds, memory and what caches did."""
    left_out = ("seconds", "memory", "cache", "disk", "per_second")
    return [
        {k: v for k, v in event.metrics.items() if not any(word in k for word in left_out)}
        for event in read_events(run.events_file)
        if isinstance(event, StepFinished | EvaluationFinished)
    ]


def rows(classroom: Classroom) -> list[Path]:
    files = (classroom.root / "kept").rglob("*.safetensors")
    return sorted(file for file in files if file.stem != "head")


@pytest.fixture
def answered(classroom: Classroom) -> Classroom:
    """A classroom whose held-out prompts have answers, so that the teacher writes some."""
    lines = [{"prompt": f"half past {n}", "answer": "1"} for n in range(6)]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (classroom.root / "validation.jsonl").write_text(text)
    return classroom


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"on_policy_fraction": 0.5},
        {"teacher_targets": "top_k", "top_k": 8},
        {"keep_teacher_loaded": False},
        {"teacher_cache_precision": "int8"},
    ],
    ids=["fresh", "own", "top_k", "unloaded", "int8"],
)
def test_a_second_run_loads_no_teacher_and_ends_with_the_same_bits(
    answered: Classroom, settings: dict[str, object]
) -> None:
    first = trained(answered, **settings)
    second = trained(answered, **settings)
    assert len(loadings(first)) == 1
    assert "is not on disk" in loadings(first)[0]
    assert loadings(second) == []
    assert adapter(second) == adapter(first)
    assert figures(second) == figures(first)
    assert read_answers(second, "teacher").answers
    assert read_answers(second, "teacher") == read_answers(first, "teacher")
    assert not any("teacher_cache" in code for code in warnings(second))


def test_rows_scored_for_the_disk_are_those_of_a_run_without_one(classroom: Classroom) -> None:
    # Row by row and in a batch float32 sums differ in their last bits, which Adam's first steps
    # magnify.
    kept, plain = figures(trained(classroom)), figures(trained(classroom, teacher_cache_dir=None))
    for ours, theirs in zip(kept, plain, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-2, abs=1e-3)
    assert kept[0]["eval_reverse_kl"] == pytest.approx(plain[0]["eval_reverse_kl"], rel=1e-5)


def test_a_run_that_finds_half_of_the_rows_ends_with_the_same_bits(classroom: Classroom) -> None:
    first = trained(classroom)
    for file in rows(classroom)[::2]:
        file.unlink()
    second = trained(classroom)
    assert len(loadings(second)) == 1
    assert adapter(second) == adapter(first)


def test_a_damaged_row_is_told_and_made_again(classroom: Classroom) -> None:
    first = trained(classroom)
    cut, flipped, moved, other = rows(classroom)[:4]
    whole = {file: file.read_bytes() for file in (cut, flipped, moved)}
    cut.write_bytes(whole[cut][:100])
    changed = bytearray(whole[flipped])
    changed[-1] ^= 1
    flipped.write_bytes(bytes(changed))
    moved.write_bytes(other.read_bytes())
    second = trained(classroom)
    assert warnings(second).count("teacher_cache_damaged") == 3
    assert adapter(second) == adapter(first)
    assert {file: file.read_bytes() for file in whole} == whole


def test_a_head_that_is_damaged_is_made_again(classroom: Classroom) -> None:
    first = trained(classroom)
    (head,) = (classroom.root / "kept").rglob("head.safetensors")
    head.write_bytes(b"no head")
    second = trained(classroom)
    assert "teacher_cache_damaged" in warnings(second)
    assert adapter(second) == adapter(first)


def test_rows_of_another_teacher_are_never_taken(classroom: Classroom) -> None:
    alone = adapter(trained(classroom, teacher_cache_dir=str(classroom.root / "other")))
    weights = classroom.root / "teacher" / "model.safetensors"
    real = (classroom.root / "teacher").resolve()
    (classroom.root / "teacher").unlink()
    shutil.copytree(real, classroom.root / "teacher")
    arrays, _ = load_tensors(str(weights))
    mx.eval(arrays)
    mx.save_safetensors(str(weights), {name: 1.01 * a for name, a in arrays.items()})
    changed = trained(classroom)
    assert len([*(classroom.root / "kept" / "teachers").iterdir()]) == 1
    shutil.rmtree(classroom.root / "teacher")
    shutil.copytree(real, classroom.root / "teacher")
    again = trained(classroom)
    assert adapter(changed) != alone
    assert len(loadings(again)) == 1
    assert adapter(again) == alone
    assert len([*(classroom.root / "kept" / "teachers").iterdir()]) == 2


def test_where_all_rows_are_there_the_teachers_files_need_not_be(
    answered: Classroom, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings = {"keep_teacher_loaded": False, "on_policy_fraction": 0.5}
    first = trained(answered, **settings)
    elsewhere = tmp_path_factory.mktemp("another") / "kept"
    shutil.copytree(answered.root / "kept", elsewhere)
    (answered.root / "teacher").unlink()
    second = trained(answered, **settings, teacher_cache_dir=str(elsewhere))
    assert adapter(second) == adapter(first)
    assert loadings(second) == []
    for file in elsewhere.rglob("*.safetensors"):
        file.unlink()
    with pytest.raises(ModelError, match="There is no model"):
        trained(answered, **settings, teacher_cache_dir=str(elsewhere))


def test_the_folder_is_bounded_and_what_was_not_used_goes_first(classroom: Classroom) -> None:
    first = trained(classroom, num_steps=1, eval_every=1)
    (old, *_), num_bytes = rows(classroom), sum(f.stat().st_size for f in rows(classroom))
    head = next((classroom.root / "kept").rglob("head.safetensors")).stat().st_size
    os.utime(old, (1, 1))
    kept = DiskCache(classroom.root / "kept", head + num_bytes, lambda *_: None)
    assert kept.num_bytes == head + num_bytes
    name = old.relative_to(classroom.root / "kept").as_posix().removesuffix(".safetensors")
    assert kept.put("new/row", {"hidden": mx.zeros((4, 4))}, {})
    assert not old.exists()
    assert name not in kept
    assert kept.num_bytes <= head + num_bytes
    assert kept.evictions == 1
    assert not kept.put("new/huge", {"hidden": mx.zeros(head + num_bytes)}, {})
    assert first.state() == "finished"


def test_a_run_goes_on_from_its_checkpoint_with_rows_of_the_disk(classroom: Classroom) -> None:
    whole = trained(classroom, checkpoint_every=1)
    second = trained(classroom, checkpoint_every=1)
    on_policy.train(second, checkpoint=second.checkpoints / "000001")
    assert adapter(second) == adapter(whole)
    assert loadings(second) == []


def test_a_teacher_of_the_noted_name_with_other_files_is_refused(
    classroom: Classroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = (classroom.root / "teacher").resolve()
    newer = classroom.root / "newer"
    shutil.copytree(real, newer)
    arrays, _ = load_tensors(str(newer / "model.safetensors"))
    changed = {name: 1.01 * array for name, array in arrays.items()}
    mx.eval(changed)
    mx.save_safetensors(str(newer / "model.safetensors"), changed)
    # The hub's copy changes after the cache was filled, and this machine has no copy of its own.
    monkeypatch.setattr(loading, "download_model", lambda _: real)
    trained(classroom, teacher_model="someone/teacher")
    rows(classroom)[0].unlink()
    kept = {file: file.read_bytes() for file in rows(classroom)}
    monkeypatch.setattr(loading, "download_model", lambda _: newer)
    with pytest.raises(RunError, match="someone/teacher are others"):
        trained(classroom, teacher_model="someone/teacher")
    assert {file: file.read_bytes() for file in rows(classroom)} == kept


def test_models_in_the_folder_are_neither_counted_nor_removed(tmp_path: Path) -> None:
    foreign = [tmp_path / "qwen" / "model.safetensors", tmp_path / ".notes.tmp"]
    foreign += [tmp_path / "run" / "checkpoints" / "000001" / "adapters.safetensors"]
    for file in foreign:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(5000))
        os.utime(file, (1, 1))
    names = [f"3fa1/hidden_states.exact/ab/ab{n:030x}" for n in range(3)]
    for name in names:
        kept = DiskCache(tmp_path, 1500, lambda *_: None)
        assert kept.put(name, {"hidden": mx.zeros((4, 60))}, {})
    assert kept.num_bytes <= 1500
    assert [name in kept for name in names] == [False, False, True]
    assert all(file.exists() for file in foreign)


def test_what_a_teacher_wrote_in_one_vocabulary_is_not_taken_for_another(tmp_path: Path) -> None:
    disk = DiskCache(tmp_path, 10**6, lambda *_: None)
    teacher = Teacher(loading.load_policy("tiny-teacher"), TeacherCache(0), EXACT)
    large, small = (
        StoredTeacher(teacher, Identity("key", "it", size), disk, TeacherCache(0), "exact")
        for size in (200, 100)
    )
    assert large.told(["completion"], lambda _: [150]) == [150]
    assert small.told(["completion"], lambda _: [50]) == [50]
    assert large.told(["completion"], lambda _: []) == [150]


def test_too_little_room_for_a_teacher_that_leaves_is_said(classroom: Classroom) -> None:
    taken = DiskCache(classroom.root / "kept", 10**9, lambda *_: None)
    assert taken.put("another/head", {"weight": mx.zeros(240_000)}, {})
    with pytest.raises(RunError, match=r"of 1 MB is full: .* did not fit"):
        trained(classroom, keep_teacher_loaded=False, teacher_cache_dir_mb=1)


@pytest.mark.parametrize(("precision", "most"), [("bfloat16", 1e-3), ("int8", 1e-2)])
def test_what_keeping_costs_is_measured_and_written_beside_the_rows(
    classroom: Classroom, precision: str, most: float
) -> None:
    exact = trained(classroom, teacher_cache_dir=str(classroom.root / "exact"))
    run = trained(classroom, teacher_cache_precision=precision)
    steps = [e.metrics for e in read_events(run.events_file) if isinstance(e, StepFinished)]
    assert 0 < steps[-1]["teacher_disk_error"] < most
    hidden = [file for file in rows(classroom) if "hidden_states" in str(file)]
    told = [load_tensors(str(file))[1] for file in hidden]
    assert all(0 <= float(about["kl_mean"]) <= float(about["kl_max"]) for about in told)
    assert figures(run)[0]["eval_reverse_kl"] == pytest.approx(
        figures(exact)[0]["eval_reverse_kl"], abs=20 * most
    )
    assert not any("disk_error" in key for key in figures(exact)[-1])
