"""Each claim of the proof for given completions fails where the thing it claims is broken."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import pytest
from mlx.optimizers import AdamW
from mlx.utils import tree_map

from OnPolicyDistill.config import SftConfig
from OnPolicyDistill.datasets.conversations import Conversation
from OnPolicyDistill.errors import ProofError
from OnPolicyDistill.models.embedded import TinyShape, write_random_model, write_tokenizer
from OnPolicyDistill.models.parameters import flat_arrays
from OnPolicyDistill.optim.adamw import create_adamw
from OnPolicyDistill.optim.gradients import Gradients
from OnPolicyDistill.rollout import PackedBatch
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.runs.events import Check, SelfTestFinished
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.settings.sft import SftSettings
from OnPolicyDistill.settings.training import OptimizerSettings
from OnPolicyDistill.trainers import sft
from OnPolicyDistill.training import supervised, supervised_proof
from OnPolicyDistill.training.conversation_rows import (
    ConversationRow,
    encode_conversation,
    pack_rows,
)
from OnPolicyDistill.training.student import Student
from OnPolicyDistill.training.supervised_proof import answer_checks, prove_supervised, spans
from OnPolicyDistill.training.work import Work, begun
from tests.training.test_conversation_rows import TEMPLATES, policy_of_family

PAIRS = [("third of March", "03-03"), ("fourth of May", "05-04"), ("noon", "12:00 of the day")]
ADAPTER = {"rank": 4, "alpha": 8, "dropout": 0.2}
CLAIMS = {
    "answers_begin",
    "labels_follow",
    "rest_is_silent",
    "gradient_flows",
    "adapter_moves",
    "base_stays",
    "loss_falls",
    "put_back",
}

Bench = Callable[..., RunDirectory]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    write_tokenizer(folder, [text for pair in PAIRS for text in pair] * 2, 280)
    write_random_model(folder, TinyShape(32, 2, 2, 1, 64, 288, True), 0)
    return folder


@pytest.fixture
def new_run(model: Path, tmp_path: Path) -> Bench:
    file = tmp_path / "conversations.jsonl"
    turns = [
        [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
        for prompt, answer in PAIRS
    ]
    conversations = [*turns, turns[0] + turns[1]]
    file.write_text("".join(json.dumps({"messages": each}) + "\n" for each in conversations))

    def create(**settings: object) -> RunDirectory:
        values = {
            "model": str(model),
            "conversations": str(file),
            "num_steps": 3,
            "batch_size": 4,
            "learning_rate": 0.01,
            "lora": ADAPTER,
            **settings,
        }
        return create_run(tmp_path, SftConfig(sft=SftSettings.model_validate(values)))

    return create


@contextmanager
def on_bench(run: RunDirectory) -> Iterator[tuple[Work, sft.Given]]:
    with begun(run) as work:
        yield work, sft.prepare(work)


def checks_of(run: RunDirectory) -> dict[str, Check]:
    (proof,) = (e for e in read_events(run.events_file) if isinstance(e, SelfTestFinished))
    assert proof.passed == all(check.passed for check in proof.checks)
    return {check.name: check for check in proof.checks}


def prove(
    run: RunDirectory,
    break_it: Callable[[Student], None],
    rows: Callable[[ConversationRow], ConversationRow],
    rate: float | None,
) -> None:
    with on_bench(run) as (work, given):
        break_it(given.student)
        own = tuple(map(rows, given.rows))
        settings: OptimizerSettings = given.settings
        if rate is not None:
            settings = settings.model_copy(update={"learning_rate": rate})
        prove_supervised(work, given.student, own, own, settings)


def failed(
    run: RunDirectory,
    break_it: Callable[[Student], None] = lambda _: None,
    rows: Callable[[ConversationRow], ConversationRow] = lambda row: row,
    rate: float | None = None,
) -> set[str]:
    """Names of the claims that fail on a student, rows or a rate that something was done to."""
    with pytest.raises(ProofError):
        prove(run, break_it, rows, rate)
    assert run.state() == "failed"
    return {name for name, check in checks_of(run).items() if not check.passed}


def test_a_run_proves_that_it_learns_its_answers_and_nothing_else(new_run: Bench) -> None:
    run = new_run()
    sft.train(run)
    checks = checks_of(run)
    assert set(checks) == CLAIMS
    assert all(check.passed for check in checks.values())
    assert checks["answers_begin"].figures == {"answers": 5, "without a stop": 0}
    assert checks["answers_begin"].measured == 1
    places = checks["rest_is_silent"].figures["places learned"]
    with on_bench(new_run()) as (_, given):
        assert places == sum(len(row.learned) for row in given.rows)


def test_without_an_adapter_no_claim_is_made_of_frozen_weights(new_run: Bench) -> None:
    run = new_run(lora=None)
    sft.train(run)
    assert set(checks_of(run)) == CLAIMS - {"adapter_moves", "base_stays"} | {"weights_move"}


def test_a_small_step_foretells_its_fall_almost_exactly(
    new_run: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervised_proof, "FALLS", (0.001,))
    run = new_run()
    sft.train(run)
    assert checks_of(run)["loss_falls"].measured == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("lora", [ADAPTER, None])
def test_a_run_ends_with_the_bytes_that_it_has_without_its_proof(
    new_run: Bench, monkeypatch: pytest.MonkeyPatch, lora: object
) -> None:
    proved, plain = new_run(lora=lora), new_run(lora=lora)
    sft.train(proved)
    monkeypatch.setattr(sft, "prove_supervised", lambda *_: None)
    sft.train(plain)
    name = "model.safetensors" if lora is None else "adapters.safetensors"
    for file in (name, "optimizer.safetensors"):
        one, other = ((run.checkpoints / "last" / file).read_bytes() for run in (proved, plain))
        assert one == other


def test_a_learning_rate_of_nothing_fails_the_claim_that_the_adapter_moves(new_run: Bench) -> None:
    assert failed(new_run(), rate=0.0) == {"adapter_moves"}


def test_a_frozen_adapter_fails_the_claims_of_gradient_and_movement(new_run: Bench) -> None:
    def freeze(student: Student) -> None:
        student.policy.model.freeze()

    assert failed(new_run(), freeze) == {"gradient_flows", "adapter_moves"}


@pytest.mark.parametrize("shift", [-1, 1])
def test_answers_encoded_one_token_off_do_not_begin_where_a_model_writes(
    new_run: Bench, shift: int
) -> None:
    def moved(row: ConversationRow) -> ConversationRow:
        length = len(row.token_ids)
        return replace(row, learned=tuple(p + shift for p in row.learned if p + shift < length))

    assert failed(new_run(), rows=moved) == {"answers_begin"}


@pytest.mark.parametrize("shift", [-1, 1])
def test_a_mask_one_place_off_fails_the_claims_of_labels_and_silence(
    new_run: Bench, monkeypatch: pytest.MonkeyPatch, shift: int
) -> None:
    def packed(rows: Sequence[ConversationRow]) -> PackedBatch:
        batch = pack_rows(rows)
        return replace(batch, positions=batch.positions + shift)

    monkeypatch.setattr(supervised, "pack_rows", packed)
    monkeypatch.setattr(supervised_proof, "pack_rows", packed)
    assert failed(new_run()) == {"labels_follow", "rest_is_silent"}


def test_words_of_the_prompt_in_the_loss_are_heard(
    new_run: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = supervised.loss_at

    def with_prompts(student: Student, hidden: mx.array, batch: PackedBatch, n: int) -> mx.array:
        return own(student, hidden, batch, n) + 1e-3 * hidden[:, 0].sum()

    monkeypatch.setattr(supervised_proof, "loss_at", with_prompts)
    run = new_run()
    assert failed(run) == {"rest_is_silent"}
    assert checks_of(run)["rest_is_silent"].measured == len(PAIRS) + 1


def test_a_gradient_that_leads_upwards_fails_the_claim_that_the_loss_falls(
    new_run: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def upwards(
        student: Student, rows: Sequence[ConversationRow], n: int
    ) -> tuple[float, Gradients]:
        loss, gradients = supervised.learn(student, rows, n)
        return loss, tree_map(lambda leaf: -leaf, gradients)

    monkeypatch.setattr(supervised_proof, "learn", upwards)
    assert failed(new_run()) == {"loss_falls"}


def test_a_step_that_touches_a_frozen_weight_fails_the_claim_that_they_stay(
    new_run: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(settings: OptimizerSettings, model: nn.Module) -> AdamW:
        optimizer = create_adamw(settings, model)
        name, weight = next(
            (n, a) for n, a in flat_arrays(model.parameters()).items() if "norm" in n
        )

        def update(model: nn.Module, gradients: Gradients) -> None:
            AdamW.update(optimizer, model, gradients)
            model.load_weights([(name, weight + mx.array(1e-3))], strict=False)

        optimizer.update = update
        return optimizer

    monkeypatch.setattr(supervised_proof, "create_adamw", careless)
    assert failed(new_run()) == {"base_stays"}


def test_a_student_that_cannot_be_put_back_fails_the_last_claim(new_run: Bench) -> None:
    def hold(student: Student) -> None:
        student.policy.model.load_weights = lambda *_, **__: None

    assert "put_back" in failed(new_run(), hold)


def test_a_run_whose_mask_is_off_stops_before_its_first_step_and_says_why(
    new_run: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def packed(rows: Sequence[ConversationRow]) -> PackedBatch:
        batch = pack_rows(rows)
        return replace(batch, labels=mx.roll(batch.labels, 1))

    monkeypatch.setattr(supervised, "pack_rows", packed)
    monkeypatch.setattr(supervised_proof, "pack_rows", packed)
    run = new_run()
    with pytest.raises(ProofError, match="the token that follows it"):
        sft.train(run)
    kinds = [event.kind for event in read_events(run.events_file)]
    assert "step_finished" not in kinds
    assert kinds[-1] == "run_failed"


@pytest.mark.parametrize("file", sorted(TEMPLATES.glob("*.jinja")), ids=lambda file: file.stem)
def test_answers_begin_where_the_template_of_each_family_opens_them(
    file: Path, tmp_path: Path
) -> None:
    policy = policy_of_family(tmp_path / "model", file.read_text(encoding="utf-8"))
    turns = ({"role": "user", "content": "noon?"}, {"role": "assistant", "content": "12:00"})
    rows = encode_conversation(policy, Conversation(1, turns * 2))
    (check,) = answer_checks(policy, rows, 0)
    assert check.measured == 1
    assert check.figures == {"answers": 2, "without a stop": 0}
    for shift in (-1, 1):
        moved = [replace(row, learned=tuple(p + shift for p in row.learned[:-1])) for row in rows]
        (check,) = answer_checks(policy, moved, 0)
        assert not check.passed


def test_answers_are_found_where_places_follow_one_another() -> None:
    assert spans([]) == []
    assert spans([3]) == [(3, 4)]
    assert spans([2, 3, 4, 9, 10, 12]) == [(2, 5), (9, 11), (12, 13)]
