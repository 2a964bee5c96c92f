"""Models in shards on two real ranks read what they read whole, by mlx-lm's own sharding."""

from __future__ import annotations

import importlib
import inspect
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from mlx_lm.utils import MODEL_REMAPPING
from pydantic import ValidationError

from OnPolicyDistill.distributed.ranks import ALONE
from OnPolicyDistill.errors import ConfigError
from OnPolicyDistill.planning.architectures import ARCHITECTURES, REMAPPED
from OnPolicyDistill.planning.sharding import PIPELINE, TENSOR, sharding_problem, way_to_shard
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.settings.vlm_distillation import VlmDistillationSettings
from OnPolicyDistill.teacher.shards import load_shard
from tests.architectures.tiny import ALL, tiny_config

PROGRAM = Path(__file__).with_name("shard_program.py")
FEW = ("qwen2", "llama", "qwen3_moe", "qwen3_next")
# 0 to 9e-7 was seen: what a sum rounds otherwise. States of a wrong head are off by whole numbers.
SAME_STATES = 1e-5


def read_by_two(file: Path, architectures: Sequence[str]) -> dict[str, tuple[float, float]]:
    launcher = Path(sys.executable).with_name("mlx.launch")
    command = [sys.executable, str(PROGRAM), str(file), *architectures]
    # It reads its input all the time: a pipe that says nothing keeps it from spinning.
    with subprocess.Popen(
        [str(launcher), "--backend", "ring", "-n", "2", "--", *command],
        stdin=subprocess.PIPE,
        cwd=PROGRAM.parents[2],
    ) as launched:
        launched.wait(300)
    seen: dict[str, tuple[float, float]] = json.loads(file.read_text(encoding="utf-8"))
    return seen


def check_shards(seen: dict[str, tuple[float, float]]) -> None:
    assert {name: apart for name, (apart, _) in seen.items() if not apart < SAME_STATES} == {}
    # Norms, routers, and latent projections that all heads share are on every rank.
    assert {name: share for name, (_, share) in seen.items() if not share < 0.85} == {}


def test_two_ranks_with_a_shard_each_read_what_the_whole_model_reads(tmp_path: Path) -> None:
    seen = read_by_two(tmp_path / "seen.json", FEW)
    check_shards(seen)
    dense = [share for name, (_, share) in seen.items() if name in ("qwen2", "llama")]
    assert max(dense) < 0.52


@pytest.mark.slow
def test_so_does_every_architecture_that_is_said_to(tmp_path: Path) -> None:
    check_shards(read_by_two(tmp_path / "seen.json", sorted(TENSOR | PIPELINE)))


def test_what_is_said_to_be_cut_is_what_mlx_lm_can_cut_and_a_tiny_model_of_it_was_read() -> None:
    able = set()
    for name in ALL:
        module = importlib.import_module(f"mlx_lm.models.{MODEL_REMAPPING.get(name, name)}")
        text = inspect.getsource(module)
        if hasattr(module.Model, "shard") or "PipelineMixin" in text:
            able.add(REMAPPED.get(name, name))
    known = {name for name in able if ARCHITECTURES[name].sample}
    assert known - (TENSOR | PIPELINE) == set()
    assert set(ALL) >= TENSOR | PIPELINE


def test_what_cannot_be_cut_is_refused_in_words() -> None:
    assert way_to_shard("mistral") == "tensor"
    assert sharding_problem(tiny_config("qwen3"), "some", 2) is None
    odd = sharding_problem(tiny_config("qwen3"), "some", 3)
    assert odd is not None
    assert "heads" in odd.message
    gemma = sharding_problem(tiny_config("gemma2"), "some", 2)
    assert gemma is not None
    assert "gemma2, which mlx-lm" in gemma.message


def test_as_many_ranks_as_shards_are_asked_for_in_words() -> None:
    with pytest.raises(ConfigError, match="teacher_shards is 2, and this run has 1 rank") as caught:
        load_shard("tiny-teacher", True, 2, ALONE)
    assert "-n 2" in caught.value.action


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("teacher_endpoint", {"url": "http://127.0.0.1:1", "model": "m", "server": "opd"}),
        ("teacher_adapter", "folder"),
        ("on_policy_fraction", 0.5),
        ("keep_teacher_loaded", False),
    ],
)
def test_what_a_teacher_in_shards_cannot_do_is_refused_before_it_is_loaded(
    key: str, value: object
) -> None:
    DistillationSettings(teacher_shards=2)
    with pytest.raises(ValidationError, match=r"must be|leave this empty"):
        DistillationSettings.model_validate({"teacher_shards": 2, key: value})


def test_pictures_are_not_read_in_shards() -> None:
    with pytest.raises(ValidationError, match="pictures are looked at by a whole teacher"):
        VlmDistillationSettings.model_validate({"teacher_shards": 2})
