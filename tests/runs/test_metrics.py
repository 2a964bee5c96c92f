"""Metrics are declared once, with what a screen needs to show them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from OnPolicyDistill.runs.metrics import METRICS
from OnPolicyDistill.settings.grpo import RewardKind

LIBRARY = Path(__file__).parents[2] / "OnPolicyDistill"
WRITERS = ("trainers", "training", "evaluation", "teacher", "models", "generation")


def test_every_metric_is_declared_under_its_key() -> None:
    assert all(metric.key == key for key, metric in METRICS.items())


@pytest.mark.parametrize("key", METRICS)
def test_every_metric_has_a_label_of_words_and_a_sentence(key: str) -> None:
    metric = METRICS[key]
    assert metric.title
    assert metric.title != key
    assert "_" not in metric.title
    assert metric.title[0].isupper()
    assert metric.meaning.endswith(".")
    assert len(metric.meaning.split()) >= 4, "a sentence, not a word"
    assert metric.meaning != f"{metric.title}."


def test_no_two_metrics_of_a_group_share_a_label() -> None:
    labels = [(metric.group, metric.title) for metric in METRICS.values()]
    assert len(labels) == len(set(labels))


def named_in(source: str) -> Iterator[str]:
    """Keys that code puts into something called metrics."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case (
                ast.Assign(targets=[target], value=value)
                | ast.AnnAssign(target=target, value=ast.expr() as value)
            ):
                yield from _keys(target, value)
            case ast.AugAssign(target=target, op=ast.BitOr(), value=value):
                yield from _keys(target, value)
            case ast.keyword(arg="metrics", value=ast.Dict() as value):
                yield from _literals(value.keys)
            case ast.FunctionDef(name=name) if name.endswith("metrics"):
                returned = (n for n in ast.walk(node) if isinstance(n, ast.Return))
                for found in returned:
                    if isinstance(found.value, ast.Dict):
                        yield from _literals(found.value.keys)


def _keys(target: ast.expr, value: ast.expr) -> Iterator[str]:
    match target:
        case ast.Subscript(value=holder, slice=ast.Constant(value=str(key))):
            if ast.unparse(holder).endswith("metrics"):
                yield key
        case ast.Name() | ast.Attribute():
            if ast.unparse(target).endswith("metrics") and isinstance(value, ast.Dict):
                yield from _literals(value.keys)


def _literals(keys: list[ast.expr | None]) -> Iterator[str]:
    for key in keys:
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            yield key.value


def test_every_metric_that_code_writes_has_a_label() -> None:
    written: dict[str, str] = {}
    for folder in WRITERS:
        for file in sorted((LIBRARY / folder).rglob("*.py")):
            for key in named_in(file.read_text(encoding="utf-8")):
                written[key] = str(file.relative_to(LIBRARY))
    assert {key: file for key, file in written.items() if key not in METRICS} == {}
    # Of a step, of rewards, of a teacher on disk, of pictures, of an evaluation: it looks there.
    assert {"loss", "logprob_gap", "teacher_disk_mb", "picture_cache_hit_rate"} <= set(written)
    assert {"eval_seconds", "eval_loss_tokens"} <= set(written)


def test_every_kind_of_reward_has_a_label_of_its_own() -> None:
    assert {f"reward_{kind}" for kind in get_args(RewardKind)} <= set(METRICS)


@pytest.mark.parametrize(
    ("source", "keys"),
    [
        ('metrics["a"] = 1.0', ["a"]),
        ('self.metrics["a"] = measured.metrics["b"]', ["a"]),
        ('metrics = {"a": 1.0, **more}', ["a"]),
        ('metrics |= {"a": 1.0}', ["a"]),
        ('Measured(metrics={"a": 1.0})', ["a"]),
        ('def step_metrics():\n    return {"a": 1.0}', ["a"]),
        ('sums["a"] = 1.0', []),
    ],
)
def test_a_metric_is_found_where_it_is_written(source: str, keys: list[str]) -> None:
    assert list(named_in(source)) == keys


def test_evaluation_metrics_are_told_apart_by_their_prefix() -> None:
    for key, metric in METRICS.items():
        if metric.group == "evaluation":
            assert key.startswith("eval_")


@pytest.mark.parametrize(
    ("key", "gain"), [("eval_reverse_kl", -1.0), ("eval_agreement", 1.0), ("grad_norm", 0.0)]
)
def test_a_value_that_rose_is_better_only_where_higher_is_better(key: str, gain: float) -> None:
    assert METRICS[key].gain(2.0, 3.0) == gain
    assert METRICS[key].gain(3.0, 2.0) == -gain
