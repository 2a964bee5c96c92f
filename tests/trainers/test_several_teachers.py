"""Runs with several teachers, and one that is the student's own earlier copy."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import mlx.core as mx
import pytest

from OnPolicyDistill.adapters.lora import adapter_parameters
from OnPolicyDistill.arrays import load_tensors
from OnPolicyDistill.config import parse_config
from OnPolicyDistill.errors import ConfigError, DatasetError
from OnPolicyDistill.optim.gradients import gradient_norm
from OnPolicyDistill.planning.checkup import check_run
from OnPolicyDistill.planning.plan import plan_run
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import EvaluationFinished, PhaseChanged, SelfTestFinished
from OnPolicyDistill.runs.held_out_answers import NUM_KEPT, read_answers
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.runs.wording import describe_models
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.teacher.scorer import Scorer
from OnPolicyDistill.teacher.several import SeveralTeachers
from OnPolicyDistill.teacher.student_copy import StudentCopyTeacher
from OnPolicyDistill.trainers import on_policy
from OnPolicyDistill.trainers.on_policy import prepare
from OnPolicyDistill.training import distillation
from OnPolicyDistill.training import pair as training_pair
from OnPolicyDistill.training.distillation import learn, objective_of, sample, score
from OnPolicyDistill.training.rollouts import MicroBatch, rows_of_step
from OnPolicyDistill.training.student import Student
from OnPolicyDistill.training.work import Work, begun

NAMES = ("dates", "times")


class Classroom(Protocol):
    root: Path

    def create(self, **settings: object) -> RunDirectory: ...


def write_lines(file: Path, teachers: Sequence[str | None]) -> None:
    lines = []
    for number, teacher in enumerate(teachers):
        line = {"prompt": f"the {number} of March", "answer": "1"}
        lines.append(line if teacher is None else {**line, "teacher": teacher})
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def two(classroom: Classroom) -> Classroom:
    """A classroom with a second teacher, that every other prompt is for."""
    shutil.copytree(classroom.root / "teacher", classroom.root / "second", symlinks=False)
    file = classroom.root / "second" / "model.safetensors"
    arrays, told = load_tensors(str(file))
    changed = {k: a if "embed" in k else 0.9 * mx.roll(a, 1, axis=0) for k, a in arrays.items()}
    mx.eval(changed)
    mx.save_safetensors(str(file), changed, told)
    write_lines(classroom.root / "prompts.jsonl", [NAMES[n % 2] for n in range(8)])
    write_lines(classroom.root / "validation.jsonl", [NAMES[n % 2] for n in range(6)])
    return classroom


def teachers(classroom: Classroom) -> list[dict[str, object]]:
    models = (classroom.root / "teacher", classroom.root / "second")
    return [{"name": name, "model": str(model)} for name, model in zip(NAMES, models, strict=True)]


def with_copy(classroom: Classroom, refresh_every: int) -> list[dict[str, object]]:
    copy = {"name": "times", "student_copy": {"refresh_every": refresh_every}}
    return [teachers(classroom)[0], copy]


def trained(run: RunDirectory, checkpoint: Path | None = None) -> RunDirectory:
    on_policy.train(run, checkpoint=checkpoint)
    return run


def adapter(run: RunDirectory) -> bytes:
    return (run.checkpoints / "last" / "adapters.safetensors").read_bytes()


def evaluations(run: RunDirectory) -> list[EvaluationFinished]:
    return [e for e in read_events(run.events_file) if isinstance(e, EvaluationFinished)]


def loaded(run: RunDirectory) -> list[str]:
    """Which teachers were loaded, one after the other."""
    told = [e.detail for e in read_events(run.events_file) if isinstance(e, PhaseChanged)]
    return [Path(t.split()[3].rstrip(":")).name for t in told if t.startswith("Loading the teach")]


def test_a_student_comes_nearer_to_each_of_its_teachers_on_that_ones_prompts(
    two: Classroom,
) -> None:
    long = {"num_steps": 12, "eval_every": 12, "batch_size": 8, "ce_weight": 0.0}
    run = trained(two.create(teachers=teachers(two), teacher_order="mixed", **long))
    before, after = evaluations(run)
    assert [figures.name for figures in after.by_teacher] == list(NAMES)
    for first, last in zip(before.by_teacher, after.by_teacher, strict=True):
        assert first.num_prompts == last.num_prompts == 3
        assert 0 < last.metrics["eval_reverse_kl"] < first.metrics["eval_reverse_kl"]
        assert last.teacher_accuracy is not None
        low, high = last.intervals["eval_reverse_kl"]
        assert low <= last.metrics["eval_reverse_kl"] <= high
    assert len([e for e in read_events(run.events_file) if isinstance(e, SelfTestFinished)]) == 2
    assert describe_models(run.config().distillation).endswith("learns from dates and times")


def test_each_teachers_own_answers_stand_beside_the_students(two: Classroom) -> None:
    run = trained(two.create(teachers=teachers(two), num_steps=1, eval_every=1))
    student, own = read_answers(run, 1), read_answers(run, "teacher")
    assert [one.index for one in own.answers] == [one.index for one in student.answers]
    assert len(own.answers) == NUM_KEPT
    with begun(run) as work:
        pair = prepare(work)
        marks = dict(zip([p.index for p in pair.held_out.prompts], pair.teacher_marks, strict=True))
    assert [one.mark for one in own.answers] == [marks[one.index] for one in own.answers]


def test_every_row_is_scored_by_the_teacher_that_its_line_names(two: Classroom) -> None:
    with begun(two.create(teachers=teachers(two), teacher_order="mixed")) as work:
        pair = prepare(work)
        rows = rows_of_step(pair.settings, pair.prompts, 1)
        batches = sample(rows, pair.student, pair.teacher, pair.store, pair.settings, work.hooks)
        assert [{r.teacher for r in batch.rollouts} for batch in batches] in (
            [{"dates"}, {"times"}],
            [{"times"}, {"dates"}],
        )
        assert isinstance(pair.teacher, SeveralTeachers)
        for batch in batches:
            targets = score(pair.teacher, pair.student, batch)
            (name,) = {rollout.teacher for rollout in batch.rollouts}
            alone = pair.teacher.teachers[name].score(batch.fresh)
            other = pair.teacher.teachers[NAMES[name == "dates"]].score(batch.fresh)
            assert mx.array_equal(targets.arrays[0], alone.arrays[0]).item()
            assert not mx.allclose(targets.arrays[0], other.arrays[0]).item()
        with pytest.raises(ValueError, match="rows of 2 teachers"):
            pair.teacher.score([row for batch in batches for row in batch.fresh])


def test_teachers_take_turns_in_the_order_that_loads_least(two: Classroom) -> None:
    settings = {"teachers": teachers(two), "num_steps": 4, "eval_every": 9, "num_epochs": None}
    turns = loaded(trained(two.create(**settings)))
    # Proof and marks of both, an evaluation of both before and after; an epoch is two steps of
    # one teacher each, and the second epoch begins with the one that the first ended with.
    mixed = loaded(trained(two.create(**settings, teacher_order="mixed")))
    assert all(one != following for one, following in pairwise(turns))
    assert len(turns) < len(mixed)


def test_one_teacher_among_several_teaches_what_it_teaches_alone(two: Classroom) -> None:
    for name in ("prompts.jsonl", "validation.jsonl"):
        write_lines(two.root / name, ["dates"] * 8)
    several = adapter(trained(two.create(teachers=teachers(two), num_steps=3)))
    alone = adapter(trained(two.create(num_steps=3)))
    assert several == alone


@pytest.mark.parametrize("order", ["by_teacher", "mixed"])
def test_a_resumed_run_of_several_teachers_ends_as_one_that_never_stopped(
    two: Classroom, order: str
) -> None:
    settings = {"teachers": with_copy(two, 2), "teacher_order": order, "num_steps": 5}
    settings |= {"checkpoint_every": 1, "keep_checkpoints": 9, "eval_every": 5, "batch_size": 3}
    whole = trained(two.create(**settings))
    again = trained(two.create(**settings))
    trained(again, again.checkpoints / "000003")
    assert adapter(again) == adapter(whole)


def test_the_proof_of_each_teacher_samples_only_as_far_as_is_learned(
    two: Classroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[int] = []

    def noted(
        work: Work,
        settings: DistillationSettings,
        student: Student,
        teacher: Scorer,
        batch: MicroBatch,
        samples_policy: bool,
    ) -> None:
        lengths.extend(len(rollout.completion_ids) for rollout in batch.rollouts)
        distillation.prove(work, settings, student, teacher, batch, samples_policy)

    monkeypatch.setattr(training_pair, "prove", noted)
    trained(two.create(teachers=teachers(two), loss_tokens=3, num_steps=2, eval_every=2))
    assert len(lengths) == 8
    assert max(lengths) == 3


def test_a_copy_of_the_student_teaches_nothing_at_step_1(two: Classroom) -> None:
    run = two.create(teachers=with_copy(two, 2), teacher_order="mixed", ce_weight=0.0)
    with begun(run) as work:
        pair = prepare(work)
        objective = objective_of(pair.settings)
        rows = rows_of_step(pair.settings, pair.prompts, 1)
        batches = sample(rows, pair.student, pair.teacher, pair.store, pair.settings, work.hooks)
        norms = {}
        for batch in batches:
            targets = score(pair.teacher, pair.student, batch)
            _, gradients = learn(pair.student, batch, targets, batch.num_tokens, objective)
            norms[batch.rollouts[0].teacher] = float(gradient_norm(gradients).item())
    assert norms["dates"] > 1e-3
    # The same model on the same rows, but scored without a gradient: equal but for rounding.
    assert norms["times"] < 1e-5 * norms["dates"]


def test_the_copy_is_made_anew_behind_every_second_step_and_is_in_the_checkpoints(
    two: Classroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    keep = StudentCopyTeacher._keep

    def noted(self: StudentCopyTeacher, weights: dict[str, mx.array], step: int) -> None:
        made.append(step)
        keep(self, weights, step)

    monkeypatch.setattr(StudentCopyTeacher, "_keep", noted)
    settings = {"num_steps": 6, "checkpoint_every": 1, "keep_checkpoints": 9, "eval_every": 6}
    run = trained(two.create(teachers=with_copy(two, 2), **settings))
    assert made == [0, 2, 4]
    copies = {
        step: load_tensors(str(run.checkpoints / f"{step:06d}" / "student_copy_1.safetensors"))
        for step in range(1, 7)
    }
    assert [int(copies[step][1]["made_at"]) for step in range(1, 7)] == [0, 0, 2, 2, 4, 4]
    saved, _ = load_tensors(str(run.checkpoints / "000002" / "adapters.safetensors"))
    for name, weights in copies[3][0].items():
        assert mx.array_equal(weights, saved[name]).item()


def test_the_student_has_its_own_adapter_back_after_its_copy_scored(two: Classroom) -> None:
    with begun(two.create(teachers=with_copy(two, 2))) as work:
        pair = prepare(work)
        (copy,) = pair.copies.values()
        model = pair.student.policy.model
        rows = rows_of_step(pair.settings, pair.prompts, 1)
        (batch, *_) = sample(
            rows, pair.student, pair.teacher, pair.store, pair.settings, work.hooks
        )
        at_start = copy.score(batch.fresh).arrays[0]
        changed = {name: array + 0.1 for name, array in adapter_parameters(model).items()}
        model.load_weights([*changed.items()], strict=False)
        assert mx.array_equal(copy.score(batch.fresh).arrays[0], at_start).item()
        for name, array in adapter_parameters(model).items():
            assert mx.array_equal(array, changed[name]).item()
        copy.begin(3)
        assert not mx.array_equal(copy.score(batch.fresh).arrays[0], at_start).item()


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        (["dates", "letters", "times", None], r"line 2: There is no teacher 'letters'. 1 more"),
        (["dates", "times", None], r"line 3: The line names no teacher\. "),
    ],
)
def test_a_line_without_a_known_teacher_is_told_with_its_file(
    two: Classroom, lines: list[str | None], what: str
) -> None:
    write_lines(two.root / "prompts.jsonl", lines)
    run = two.create(teachers=teachers(two))
    with pytest.raises(DatasetError, match=rf"prompts\.jsonl, {what}"):
        trained(run)
    found = {f.code: f for f in check_run(run.config(), two.root).findings}
    assert found["unknown_teacher"].field == "distillation.prompts"
    assert "prompts.jsonl, line" in found["unknown_teacher"].message


COPY = {"name": "self", "student_copy": {"refresh_every": 5}}
ONE = {"name": "a", "model": "tiny-teacher"}


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"teachers": [COPY]}, "teachers"),
        ({"teachers": [ONE, ONE]}, "teachers.1.name"),
        ({"teachers": [{"name": "a"}]}, "teachers.0.model"),
        ({"teachers": [{**ONE, **COPY}]}, "teachers.0.model"),
        ({"teachers": [ONE], "keep_teacher_loaded": False}, "keep_teacher_loaded"),
        ({"teachers": [ONE], "teacher_adapter": "worn"}, "teacher_adapter"),
        ({"teachers": [ONE, COPY], "on_policy_fraction": 0.5}, "on_policy_fraction"),
        ({"teachers": [{"name": "a", "endpoint": {}}]}, "teachers.0.endpoint.url"),
        (
            {
                "teachers": [{"name": "a", "endpoint": {"url": "http://h", "model": "big"}}],
                "teacher_targets": "top_k",
                "top_k": 8,
                "divergence": "forward_kl",
            },
            "temperature",
        ),
        (
            {
                "teacher_cache_dir": "kept",
                "teacher_targets": "top_k",
                "teacher_cache_precision": "int8",
            },
            "teacher_cache_precision",
        ),
    ],
)
def test_teachers_that_do_not_go_together_are_refused_when_the_config_is_read(
    settings: dict[str, object], field: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_config({"distillation": settings})
    assert [place for place, _ in refused.value.locations] == [f"distillation.{field}"]


def test_the_plan_has_the_memory_of_the_largest_teacher_and_the_disk_it_fills(
    two: Classroom,
) -> None:
    models = [
        {"name": "small", "model": "qwen2.5-7b"},
        {"name": "large", "model": "qwen2.5-32b"},
        COPY,
    ]
    plain = {"student_model": "qwen2.5-7b", "prompts": None, "validation_prompts": None}

    def planned(**settings: object) -> dict[str, object]:
        config = parse_config({"distillation": {**plain, **settings}})
        return plan_run(config, 128, "m3-ultra").model_dump()

    alone, several = planned(teacher_model="qwen2.5-32b"), planned(teachers=models)
    parts, theirs = several["parts"], alone["parts"]
    assert isinstance(parts, dict)
    assert isinstance(theirs, dict)
    assert parts["teacher"] == theirs["teacher"]
    assert parts["lora_and_optimizer"] > theirs["lora_and_optimizer"]
    assert alone["teacher_disk_gb"] is None
    room = {"teacher_cache_dir": "kept", "teacher_cache_dir_mb": 10_000_000, "num_steps": 100}
    exact = planned(**room)["teacher_disk_gb"]
    int8 = planned(**room, teacher_cache_precision="int8")["teacher_disk_gb"]
    small = planned(**room | {"teacher_cache_dir_mb": 5000})["teacher_disk_gb"]
    assert isinstance(exact, float)
    assert isinstance(int8, float)
    assert exact > int8 > 0.5 * exact
    assert small == 5.0
