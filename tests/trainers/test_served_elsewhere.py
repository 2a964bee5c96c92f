"""Runs whose teacher is in another process: what they learn is what they learn from one here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from OnPolicyDistill.config import parse_config
from OnPolicyDistill.errors import ConfigError, RunError
from OnPolicyDistill.planning.checkup import check_run
from OnPolicyDistill.planning.plan import plan_run
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import (
    EvaluationFinished,
    RunFinished,
    StepFinished,
    TeacherFigures,
)
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.runs.metrics import METRICS
from OnPolicyDistill.runs.wording import describe_models, tabulate_teachers
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.teacher.remote import RemoteTeacher
from OnPolicyDistill.trainers import on_policy
from tests.backend.teaching.process import TOKEN, served

LOGPROBS = {"temperature": 1.0, "teacher_targets": "top_k", "top_k": 8, "divergence": "forward_kl"}
# Ten of Adam's first steps magnify what float32 rounds differently in batches of other sizes.
CLOSE = 1e-3


class Classroom(Protocol):
    root: Path

    def create(self, **settings: object) -> RunDirectory: ...


@pytest.fixture(scope="module")
def address(school: Path) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch, served(str(school / "teacher")) as url:
        patch.setenv("TEACHER_KEY", TOKEN)
        yield url


def trained(classroom: Classroom, **settings: object) -> RunDirectory:
    run = classroom.create(num_steps=4, eval_every=4, gradient_accumulation_steps=2, **settings)
    on_policy.train(run)
    return run


def endpoint(school: Path, url: str, **settings: object) -> dict[str, object]:
    model = str(school / "teacher")
    return {"url": url, "model": model, "server": "opd", "key_env": "TEACHER_KEY", **settings}


def figures(run: RunDirectory) -> dict[str, float]:
    """The loss of every step and all that the evaluations measured, but the teacher's answers."""
    found: dict[str, float] = {}
    for event in read_events(run.events_file):
        if isinstance(event, StepFinished):
            found[f"loss {event.step}"] = event.metrics["loss"]
        if isinstance(event, EvaluationFinished):
            own = {k: v for k, v in event.metrics.items() if k.startswith("eval_")}
            found |= {f"{event.step} {key}": value for key, value in own.items()}
    left_out = ("seconds", "teacher_accuracy")
    return {k: v for k, v in found.items() if not any(word in k for word in left_out)}


@pytest.mark.parametrize(
    "settings",
    [{}, {"teacher_targets": "top_k", "top_k": 16}, {"fixed_rollouts": True, "num_epochs": 1}],
)
def test_a_run_taught_from_elsewhere_ends_with_the_figures_of_one_taught_here(
    classroom: Classroom, school: Path, address: str, settings: dict[str, object]
) -> None:
    here = figures(trained(classroom, **settings))
    place = endpoint(school, address)
    there = figures(trained(classroom, **settings, teacher_endpoint=place))
    assert there == pytest.approx(here, rel=CLOSE, abs=CLOSE)
    assert len(here) > 10


def test_a_run_taught_by_logprobs_alone_comes_nearer_to_its_teacher(
    classroom: Classroom, school: Path, address: str
) -> None:
    place = endpoint(school, address, server="vllm")
    found = figures(
        trained(classroom, **LOGPROBS, kl_weight=1.0, ce_weight=0.0, teacher_endpoint=place)
    )
    assert 0 < found["4 eval_forward_kl_bound"] < found["0 eval_forward_kl_bound"]
    assert "4 eval_forward_kl" not in found


@pytest.mark.parametrize("server", ["opd", "vllm"])
def test_rows_on_disk_are_not_asked_of_a_served_teacher_again(
    classroom: Classroom,
    school: Path,
    address: str,
    server: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = classroom.root / "kept"
    settings = {"teacher_endpoint": endpoint(school, address, server=server)}
    settings |= {"teacher_cache_dir": str(kept), **(LOGPROBS if server == "vllm" else {})}
    first = trained(classroom, **settings)

    def asked(*_: object) -> None:
        raise AssertionError("the server was asked for rows")

    monkeypatch.setattr(RemoteTeacher, "_asked", asked)
    monkeypatch.setattr(RemoteTeacher, "_send_expected", asked)
    second = trained(classroom, **settings)
    weights = [run.checkpoints / "last" / "adapters.safetensors" for run in (first, second)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert figures(second) == figures(first)
    files = [file for file in kept.rglob("*") if file.is_file()]
    assert len(files) > 10
    assert not any(TOKEN.encode() in file.read_bytes() for file in files)


def name_teachers(classroom: Classroom) -> None:
    """Every other prompt is for a, the others for b; all of them have an answer."""
    for name in ("prompts.jsonl", "validation.jsonl"):
        texts = (classroom.root / name).read_text().splitlines()
        lines = [
            {**json.loads(text), "answer": "1", "teacher": "ab"[n % 2]}
            for n, text in enumerate(texts)
        ]
        (classroom.root / name).write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_teacher_that_is_served_may_stand_beside_one_that_is_here(
    classroom: Classroom, school: Path, address: str
) -> None:
    name_teachers(classroom)
    here = {"name": "a", "model": str(school / "teacher")}
    served_one = {"name": "b", "endpoint": endpoint(school, address)}
    apart = trained(classroom, teachers=[here, served_one])
    together = trained(classroom, teachers=[here, {**here, "name": "b"}])
    assert figures(apart) == pytest.approx(figures(together), rel=CLOSE, abs=CLOSE)
    for ours, theirs in zip(by_teacher(apart), by_teacher(together), strict=True):
        assert (ours.name, ours.num_prompts) == (theirs.name, theirs.num_prompts)
        assert ours.metrics == pytest.approx(theirs.metrics, rel=CLOSE, abs=CLOSE)
    # Who is served writes no answers here, so that nobody knows how many it has right.
    assert [one.teacher_accuracy is None for one in by_teacher(apart)] == [False, True] * 3
    header, *rows = tabulate_teachers(by_teacher(apart)[-2:])
    titles = ["teacher", "prompts", "Reverse KL", "Agreement", "Task accuracy", "its own accuracy"]
    assert header == titles
    assert [(row[0], row[-1] == "") for row in rows] == [("a", False), ("b", True)]


def test_what_teachers_that_hand_out_logprobs_taught_is_told_of_each_as_a_bound(
    classroom: Classroom, school: Path, address: str
) -> None:
    name_teachers(classroom)
    place = endpoint(school, address, server="vllm")
    both = [{"name": name, "endpoint": place} for name in "ab"]
    run = trained(classroom, **LOGPROBS, kl_weight=1.0, ce_weight=0.0, teachers=both)
    told = by_teacher(run)
    assert [(one.name, one.num_prompts) for one in told] == [("a", 3), ("b", 3)] * 3
    assert all(one.metrics["eval_reverse_kl_bound"] > 0 for one in told)
    assert not any("eval_reverse_kl" in one.metrics for one in told)
    header, *rows = tabulate_teachers(told[-2:])
    assert header[2] == METRICS["eval_reverse_kl_bound"].title
    assert [row[0] for row in rows] == ["a", "b"]


def by_teacher(run: RunDirectory) -> list[TeacherFigures]:
    """Figures of each teacher: of the evaluation before, of that after, and of the end."""
    events = read_events(run.events_file)
    told = [e.by_teacher for e in events if isinstance(e, EvaluationFinished | RunFinished)]
    return [figures for some in told for figures in some]


def test_nothing_of_a_run_has_the_key_in_it(
    classroom: Classroom, school: Path, address: str
) -> None:
    run = trained(classroom, teacher_endpoint=endpoint(school, address))
    files = [file for file in run.path.rglob("*") if file.is_file()]
    assert any("TEACHER_KEY" in file.read_text(errors="ignore") for file in files)
    assert not any(TOKEN.encode() in file.read_bytes() for file in files)


def test_a_teacher_that_is_not_there_ends_the_run_in_words(classroom: Classroom) -> None:
    place = {"url": "http://127.0.0.1:9", "model": "big", "server": "opd", "retries": 0}
    with pytest.raises(RunError, match=r"The teacher at http://127\.0\.0\.1:9 was asked once"):
        trained(classroom, teacher_endpoint=place)


VLLM = {"url": "http://192.168.1.20:8000/v1/", "model": "big"}


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"temperature": 2.0}, "temperature"),
        ({"divergence": "reverse_kl"}, "divergence"),
        ({"teacher_targets": "hidden_states"}, "teacher_targets"),
        ({"top_k": 21}, "top_k"),
        ({"on_policy_fraction": 0.5}, "on_policy_fraction"),
        ({"keep_teacher_loaded": False}, "keep_teacher_loaded"),
        ({"teacher_adapter": "worn"}, "teacher_adapter"),
        ({"teacher_endpoint": {"url": "http://a:b@h", "model": "big"}}, "teacher_endpoint.url"),
        ({"teacher_endpoint": {"url": "ftp://h", "model": "big"}}, "teacher_endpoint.url"),
        ({"teacher_endpoint": {"url": "http://h:x", "model": "big"}}, "teacher_endpoint.url"),
        ({"teacher_endpoint": {"url": "http://h"}}, "teacher_endpoint.model"),
        ({"teacher_endpoint": {"url": None, "model": "big"}}, "teacher_endpoint.url"),
    ],
)
def test_what_an_endpoint_cannot_serve_is_refused_when_the_config_is_read(
    changed: dict[str, object], field: str
) -> None:
    fine = {**LOGPROBS, "teacher_endpoint": VLLM}
    parse_config({"distillation": fine})
    with pytest.raises(ConfigError) as refused:
        parse_config({"distillation": {**fine, **changed}})
    assert [place for place, _ in refused.value.locations] == [f"distillation.{field}"]


def test_models_that_see_are_not_taught_from_elsewhere() -> None:
    with pytest.raises(ConfigError, match="sees no pictures"):
        parse_config({"vlm_distillation": {**LOGPROBS, "teacher_endpoint": VLLM}})


def test_check_and_plan_need_no_teacher_here_and_say_what_leaves_the_machine(
    classroom: Classroom, tmp_path: Path
) -> None:
    run = classroom.create(**LOGPROBS, teacher_model="nowhere", teacher_endpoint=VLLM)
    report = check_run(run.config(), tmp_path)
    assert report.verdict == "warning"
    told = {finding.code: finding for finding in report.findings}
    assert told["leaves_machine"].field == "distillation.teacher_endpoint.url"
    assert "http://192.168.1.20:8000" in told["leaves_machine"].message
    plan = plan_run(run.config(), 64, "m4-max")
    assert plan.teacher is None


def test_a_run_says_where_its_teacher_is() -> None:
    settings = DistillationSettings.model_validate(
        {**LOGPROBS, "student_model": "small", "teacher_endpoint": VLLM}
    )
    assert describe_models(settings) == "small learns from big at http://192.168.1.20:8000"
    assert settings.teacher_endpoint.leaves_machine
    here = settings.teacher_endpoint.model_copy(update={"url": "http://localhost:1"})
    assert not here.leaves_machine
