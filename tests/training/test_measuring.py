"""An export's distance from its adapter, against numbers taken from whole logits."""

from __future__ import annotations

import json
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from OnPolicyDistill.adapters.card import CardFacts
from OnPolicyDistill.adapters.export import ExportRequest
from OnPolicyDistill.adapters.files import load_adapter, save_adapter
from OnPolicyDistill.adapters.lora import adapter_disabled, adapter_layers, attach_adapter
from OnPolicyDistill.errors import InputError, StoppedError
from OnPolicyDistill.methods import RunSettings
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.policy import Policy, encode_text
from OnPolicyDistill.rollout import Rollout
from OnPolicyDistill.settings.grpo import GrpoSettings, RewardSettings
from OnPolicyDistill.settings.measuring import MeasureSettings
from OnPolicyDistill.settings.prompt_distillation import PromptDistillationSettings
from OnPolicyDistill.settings.training import LoraSettings
from OnPolicyDistill.stopping import check_stop, stoppable
from OnPolicyDistill.training.exported import STOPPED, Asked, Source, export_student
from OnPolicyDistill.training.held_out_text import read_held_out
from OnPolicyDistill.training.measuring import compare, keep
from tests.adapters.conftest import write_tiny_model

FACTS = CardFacts(name="tiny", base_model="tiny", method="test")
MEASURING = MeasureSettings(num_prompts=6, max_tokens=24, batch_size=4)


def ignore(_what: str, _done: int, _total: int) -> None:
    pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `model`, two adapters `one` and `other` on it, and two files of held-out text."""
    root = tmp_path_factory.mktemp("measured")
    write_tiny_model(root / "model", tied=False)
    for number, name in enumerate(("one", "other")):
        policy = load_policy(str(root / "model"))
        adapter = attach_adapter(policy.model, LoraSettings(rank=2), ("q_proj", "up_proj"), 0)
        for place, layer in enumerate(adapter_layers(policy.model).values()):
            key = mx.random.key(10 * number + place)
            layer.lora_b = 2 * mx.random.normal(layer.lora_b.shape, key=key)
        (root / name).mkdir()
        save_adapter(root / name, policy.model, adapter, str(root / "model"))
    words = ("third", "half past", "of March", "six", "1998", "user", "system and user", "the")
    prompts = [{"prompt": word, "answer": "six"} for word in words]
    talks = [
        {"messages": [{"role": "user", "content": w}, {"role": "assistant", "content": "six " * n}]}
        for n, w in enumerate(words, start=1)
    ]
    for name, lines in (("prompts", prompts), ("talks", talks)):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (root / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return root


def with_adapter(folder: Path, name: str) -> Policy:
    return load_adapter(load_policy(str(folder / "model")), folder / name)[0]


def logprobs(policy: Policy, row: tuple[int, ...]) -> np.ndarray:
    logits = policy.model(mx.array([list(row)]))[0, :, : policy.vocab_size].astype(mx.float32)
    return np.array(logits - mx.logsumexp(logits, axis=-1, keepdims=True), dtype=np.float64)


@pytest.mark.parametrize("file", ["prompts.jsonl", "talks.jsonl"])
def test_distance_and_losses_are_those_of_the_whole_distributions(folder: Path, file: str) -> None:
    ours, theirs = with_adapter(folder, "one"), with_adapter(folder, "other")
    text = read_held_out(ours, None, folder / file, MEASURING)
    kept = keep(ours, text, MEASURING, ignore)
    found = compare(kept, text, theirs, MEASURING, ignore)
    kls, base, adapter, export = [], [], [], []
    for row in kept.rows:
        with adapter_disabled(ours.model):
            plain = logprobs(ours, row.token_ids)
        p, q = logprobs(ours, row.token_ids), logprobs(theirs, row.token_ids)
        for place in row.learned:
            token = row.token_ids[place]
            kls.append(float((np.exp(p[place - 1]) * (p[place - 1] - q[place - 1])).sum()))
            base.append(-plain[place - 1][token])
            adapter.append(-p[place - 1][token])
            export.append(-q[place - 1][token])
    assert found.num_tokens == len(kls)
    assert found.num_prompts == 6
    # Sums are kept with seven digits, and products of rows side by side round otherwise.
    near = {"rel": 1e-4, "abs": 1e-6}
    assert found.kl.value == pytest.approx(np.mean(kls), **near)
    assert found.base_loss.value == pytest.approx(np.mean(base), **near)
    assert found.adapter_loss.value == pytest.approx(np.mean(adapter), **near)
    assert found.export_loss.value == pytest.approx(np.mean(export), **near)
    change = np.mean(export) - np.mean(adapter)
    assert found.loss_change.value == pytest.approx(change, rel=1e-3, abs=1e-5)
    assert found.loss_change.low <= change <= found.loss_change.high
    if found.kept_share is not None:
        gain = np.mean(base) - np.mean(adapter)
        assert found.kept_share.value == pytest.approx(1 - change / gain, rel=1e-3)


def test_an_export_equal_to_its_adapter_differs_by_nothing(folder: Path) -> None:
    ours = with_adapter(folder, "one")
    text = read_held_out(ours, None, folder / "prompts.jsonl", MEASURING)
    found = compare(keep(ours, text, MEASURING, ignore), text, ours, MEASURING, ignore)
    assert found.kl.value == found.loss_change.value == 0
    assert found.kept_share is not None
    assert found.kept_share.value == 1
    assert not found.is_lossy
    assert found.accuracy is not None
    assert found.accuracy.change.value == 0


def test_of_what_the_adapter_samples_its_gain_is_positive_and_another_adapter_lacks_it(
    folder: Path,
) -> None:
    ours, theirs = with_adapter(folder, "one"), with_adapter(folder, "other")
    text = read_held_out(ours, None, folder / "prompts.jsonl", MEASURING)
    found = compare(keep(ours, text, MEASURING, ignore), text, theirs, MEASURING, ignore)
    assert found.base_loss.value > found.adapter_loss.value
    assert found.is_lossy
    assert found.kept_share is not None
    assert found.kept_share.value < 0.5


def test_rows_that_are_too_long_are_left_out_and_too_few_are_refused(folder: Path) -> None:
    policy = with_adapter(folder, "one")
    longest = MeasureSettings(max_row_tokens=24)
    rows = read_held_out(policy, None, folder / "talks.jsonl", longest).rows
    assert 2 <= len(rows) < 8
    with pytest.raises(InputError, match="needs two"):
        read_held_out(policy, None, folder / "talks.jsonl", MeasureSettings(max_row_tokens=2))
    with pytest.raises(InputError, match="no held-out file"):
        read_held_out(policy, None, None, MEASURING)


def source_of(folder: Path) -> Source:
    return Source(str(folder / "model"), folder / "one", FACTS, None, "export --adapter one")


def test_a_stop_before_the_files_are_whole_leaves_nothing_and_one_after_leaves_them_unmeasured(
    folder: Path, tmp_path: Path
) -> None:
    asked = Asked(MEASURING, folder / "prompts.jsonl")
    stages = {"measuring the adapter": False, "fusing layers": False}
    stages |= {"opening the export": True, "measuring the export": True}
    for stage, is_left in stages.items():
        target = tmp_path / stage
        heard: list[str] = []

        def tell(what: str, _done: int, _total: int, heard: list[str] = heard) -> None:
            heard.append(what)

        request = ExportRequest("fused", target)
        with stoppable(lambda heard=heard, stage=stage: stage in heard):
            if not is_left:
                with pytest.raises(StoppedError):
                    export_student(source_of(folder), request, asked, tell)
                assert not list(tmp_path.iterdir())
                continue
            outcome = export_student(source_of(folder), request, asked, tell)
        assert (outcome.measured, outcome.not_measured) == (None, STOPPED)
        assert STOPPED in (target / "README.md").read_text(encoding="utf-8")
        assert load_policy(str(target)).name == str(target)
        check_stop()
        for file in target.iterdir():
            file.unlink()
        target.rmdir()


def test_a_light_form_leaves_although_its_model_is_not_here(folder: Path, tmp_path: Path) -> None:
    gone = Source("someone/not-downloaded", folder / "one", FACTS, None, "export")
    request = ExportRequest("adapter", tmp_path / "out")
    outcome = export_student(gone, request, Asked(MEASURING, folder / "prompts.jsonl"), ignore)
    assert outcome.not_measured == "tiny is not on this machine."
    assert (tmp_path / "out" / "adapters.safetensors").is_file()


@pytest.mark.parametrize(
    ("settings", "name", "right", "wrong"),
    [
        (None, "prompts.jsonl", "six", "6"),
        (GrpoSettings(), "prompts.jsonl", "six", "half past six"),
        (
            GrpoSettings(rewards=(RewardSettings(kind="boxed"),)),
            "prompts.jsonl",
            "so \\boxed{six}",
            "six",
        ),
        (
            PromptDistillationSettings(labels=("six", "past"), answer_prefix="Answer:"),
            "items.csv",
            "Final Answer: six",
            "past",
        ),
        (None, "items.csv", "six", "half"),
    ],
    ids=["prompts", "reward", "boxed reward", "labels", "labels of the file"],
)
def test_completions_are_marked_as_the_runs_evaluations_mark_them(
    folder: Path, settings: RunSettings | None, name: str, right: str, wrong: str
) -> None:
    (folder / "items.csv").write_text("text,label\none,six\ntwo,six\nthree,past\n")
    policy = with_adapter(folder, "one")
    text = read_held_out(policy, settings, folder / name, MEASURING)
    assert text.mark is not None
    prompt = text.prompts[0]
    assert prompt.answer == "six"
    for said, mark in ((right, 1.0), (wrong, 0.0)):
        ids = (*encode_text(policy, said), min(policy.stop_ids))
        rollout = Rollout(prompt.index, prompt.ids, ids, (0.0,) * len(ids), "stop")
        assert text.mark(policy, prompt, rollout) == mark
