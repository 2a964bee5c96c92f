import json
import shutil
from pathlib import Path
from typing import Protocol

import mlx.core as mx
import mlx_lm
import mlx_lm.utils
import pytest
from mlx.utils import tree_flatten

from OnPolicyDistill.adapters.files import load_adapter
from OnPolicyDistill.divergences import DIVERGENCES, FACTS
from OnPolicyDistill.errors import (
    ConfigError,
    DivergedError,
    PairError,
    ProofError,
    RunError,
    StoppedError,
)
from OnPolicyDistill.models.embedded import TinyShape, write_random_model, write_tokenizer
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.policy import hidden_states, vocabulary_head
from OnPolicyDistill.runs.checkpoints import last_checkpoint, list_checkpoints, pointed
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import Event, RolloutRecord
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.runs.reporting import StopRequest
from OnPolicyDistill.trainers.on_policy import train
from tests.described import assert_as_described
from tests.other_kernels import tf32
from tests.rounding import SAME_ADAPTER, parted


class Classroom(Protocol):
    root: Path

    def create(self, **settings: object) -> RunDirectory: ...


def lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines()


def adapter_bytes(run: RunDirectory) -> bytes:
    checkpoint = last_checkpoint(run)
    assert checkpoint is not None
    return (checkpoint / "adapters.safetensors").read_bytes()


def adapter(run: RunDirectory) -> dict[str, mx.array]:
    checkpoint = last_checkpoint(run)
    assert checkpoint is not None
    loaded = mx.load(str(checkpoint / "adapters.safetensors"))
    assert isinstance(loaded, dict)
    return loaded


def events(run: RunDirectory, kind: str) -> list[Event]:
    return [event for event in read_events(run.events_file) if event.kind == kind]


def evaluations(run: RunDirectory) -> dict[int, dict[str, float]]:
    return {
        event.step: event.metrics
        for event in read_events(run.events_file)
        if event.kind == "evaluation_finished"
    }


def steps(run: RunDirectory) -> dict[int, dict[str, float]]:
    return {
        event.step: event.metrics
        for event in read_events(run.events_file)
        if event.kind == "step_finished"
    }


class StopAfter:
    """An observer that asks for a stop once a step is finished."""

    def __init__(self, step: int) -> None:
        self.stop = StopRequest()
        self.step = step

    def __call__(self, event: Event) -> None:
        if event.kind == "step_finished" and event.step == self.step:
            self.stop.set()


@pytest.mark.parametrize("divergence", [d for d in DIVERGENCES if not FACTS[d].is_sampled])
def test_it_moves_towards_its_teacher(classroom: Classroom, divergence: str) -> None:
    run = classroom.create(
        divergence=divergence,
        num_steps=30,
        eval_every=30,
        learning_rate=0.01,
        temperature=1.0,
        batch_size=8,
        ce_weight=0.0,
    )
    train(run)
    measured = evaluations(run)
    assert measured[30]["eval_reverse_kl"] < 0.5 * measured[0]["eval_reverse_kl"]
    assert measured[30]["eval_agreement"] > measured[0]["eval_agreement"]
    assert_as_described(run)


def test_the_sampled_form_moves_towards_its_teacher_too(classroom: Classroom) -> None:
    run = classroom.create(
        divergence="sampled_reverse_kl",
        temperature=1.0,
        ce_weight=0.0,
        num_steps=40,
        batch_size=16,
        eval_every=40,
        learning_rate=0.01,
    )
    train(run)
    measured = evaluations(run)
    assert measured[40]["eval_reverse_kl"] < 0.8 * measured[0]["eval_reverse_kl"]


def test_a_teacher_equal_to_the_student_is_refused_before_it_can_pretend(
    classroom: Classroom,
) -> None:
    run = classroom.create(teacher_model=str(classroom.root / "student"))
    with pytest.raises(ProofError, match="different distributions"):
        train(run)
    assert run.state() == "failed"
    assert not steps(run)
    checks = {c.name: c for e in events(run, "self_test_finished") for c in e.checks}
    assert not checks["teacher_differs"].passed
    assert checks["equal_teacher"].passed


def test_only_the_adapter_changes(classroom: Classroom) -> None:
    run = classroom.create()
    train(run)
    assert all(name.endswith((".lora_a", ".lora_b")) for name in adapter(run))
    assert any(mx.abs(w).max().item() > 0 for n, w in adapter(run).items() if n.endswith("lora_b"))
    checks = {c.name: c for e in events(run, "self_test_finished") for c in e.checks}
    assert checks["base_stays"].passed
    assert checks["adapter_moves"].measured > 0
    assert not any(check.advice for check in checks.values())


def test_a_failed_proof_says_in_the_log_what_to_do(classroom: Classroom) -> None:
    run = classroom.create(teacher_model=str(classroom.root / "student"))
    with pytest.raises(ProofError, match="name two different ones"):
        train(run)
    checks = {c.name: c for e in events(run, "self_test_finished") for c in e.checks}
    assert checks["teacher_differs"].advice.startswith("Teacher and student are the same model")


def test_the_proof_holds_where_products_keep_ten_bits(classroom: Classroom) -> None:
    run = classroom.create(num_steps=1, max_generation_tokens=24)
    with tf32():
        train(run)
    checks = {c.name: c for e in events(run, "self_test_finished") for c in e.checks}
    assert len(checks) == 10
    assert all(check.passed for check in checks.values())
    # Far above what whole float32 products give: the emulation is at work.
    assert checks["logprobs_match"].figures["max"] > 1e-4


def test_sampled_logprobs_equal_rescored_ones(classroom: Classroom) -> None:
    run = classroom.create(num_steps=1)
    train(run)
    checks = {c.name: c for e in events(run, "self_test_finished") for c in e.checks}
    assert checks["logprobs_match"].passed
    assert checks["logprobs_match"].measured < 1e-4


def test_four_micro_batches_of_one_equal_one_of_four(classroom: Classroom) -> None:
    together = classroom.create(batch_size=4, gradient_accumulation_steps=1)
    apart = classroom.create(batch_size=1, gradient_accumulation_steps=4)
    train(together)
    train(apart)
    assert parted(adapter(apart), adapter(together)) < SAME_ADAPTER


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"fixed_rollouts": True, "teacher_targets": "top_k", "top_k": 8},
        {
            "on_policy_fraction": 0.5,
            "lora": {"rank": 4, "alpha": 8, "dropout": 0.1},
            "grad_checkpoint": True,
        },
        {"keep_teacher_loaded": False, "schedule": "cosine", "warmup_steps": 2},
    ],
)
def test_a_resumed_run_equals_an_uninterrupted_one_to_the_bit(
    classroom: Classroom, settings: dict[str, object]
) -> None:
    whole = classroom.create(**settings)
    train(whole)
    broken = classroom.create(**settings)
    observer = StopAfter(3)
    with pytest.raises(StoppedError):
        train(broken, observer, observer.stop)
    assert broken.state() == "paused"
    assert last_checkpoint(broken) == broken.checkpoints / "000003"
    train(broken, checkpoint=last_checkpoint(broken))
    assert broken.state() == "finished"
    assert adapter_bytes(broken) == adapter_bytes(whole)
    optimizer = "checkpoints/000006/optimizer.safetensors"
    assert (broken.path / optimizer).read_bytes() == (whole.path / optimizer).read_bytes()
    assert evaluations(broken) == evaluations(whole)


def test_a_run_resumed_from_an_older_checkpoint_undoes_what_came_after(
    classroom: Classroom,
) -> None:
    run = classroom.create()
    train(run)
    before = adapter_bytes(run)
    train(run, checkpoint=run.checkpoints / "000004")
    assert adapter_bytes(run) == before
    assert [event.step for event in events(run, "run_resumed")] == [4]


def test_a_stop_while_loading_can_be_resumed_from_the_start(classroom: Classroom) -> None:
    run = classroom.create()
    stop = StopRequest()
    stop.set()
    with pytest.raises(StoppedError):
        train(run, None, stop)
    assert run.state() == "paused"
    assert last_checkpoint(run) is None
    train(run)
    assert run.state() == "finished"
    assert len(events(run, "run_started")) == 1


def test_a_stop_that_shall_finish_ends_the_run_and_keeps_its_work(classroom: Classroom) -> None:
    run = classroom.create()

    class FinishAfterTwo(StopAfter):
        def __call__(self, event: Event) -> None:
            super().__call__(event)
            if self.stop.is_set:
                run.control_file.write_text('{"action": "finish"}')

    observer = FinishAfterTwo(2)
    train(run, observer, observer.stop)
    assert run.state() == "finished"
    (finished,) = events(run, "run_finished")
    assert finished.because == "stopped"
    assert last_checkpoint(run) == run.checkpoints / "000002"


def test_the_adapter_gives_the_same_logits_through_mlx_lm(classroom: Classroom) -> None:
    run = classroom.create()
    train(run)
    checkpoint = last_checkpoint(run)
    assert checkpoint is not None
    student = str(classroom.root / "student")
    policy, _ = load_adapter(load_policy(student), checkpoint)
    theirs, _ = mlx_lm.load(student, adapter_path=str(checkpoint))
    tokens = mx.array([[1, 2, 3, 40, 50]])
    ours = vocabulary_head(policy).logits(hidden_states(policy.model, tokens)[0])
    expected = theirs(tokens)[0, :, : policy.vocab_size]
    assert mx.abs(ours - expected).max().item() < 1e-5
    base = load_policy(student)
    plain = vocabulary_head(base).logits(hidden_states(base.model, tokens)[0])
    assert mx.abs(ours - plain).max().item() > 1e-3


def test_an_unloaded_teacher_is_gone_while_the_student_learns(classroom: Classroom) -> None:
    active: dict[bool, float] = {}
    for keep in (True, False):
        run = classroom.create(keep_teacher_loaded=keep, fixed_rollouts=True, num_steps=8)
        train(run)
        active[keep] = steps(run)[8]["active_memory_gb"]
    teacher_bytes = (classroom.root / "teacher" / "model.safetensors").stat().st_size
    head_bytes = 320 * 32 * 4
    assert active[True] - active[False] > 0.9 * (teacher_bytes - 2 * head_bytes) / 1e9
    measured = evaluations(run)
    key = "eval_off_policy_reverse_kl"
    assert measured[8][key] < measured[0][key]
    assert_as_described(run)


def test_a_cache_too_small_for_an_unloaded_teacher_is_said_in_words(classroom: Classroom) -> None:
    run = classroom.create(
        keep_teacher_loaded=False,
        teacher_cache_size_mb=1,
        teacher_targets="top_k",
        top_k=280,
        num_steps=100,
    )
    prompts = "".join(json.dumps({"prompt": f"half past {i}"}) + "\n" for i in range(60))
    (classroom.root / "prompts.jsonl").write_text(prompts)
    with pytest.raises(RunError, match="teacher cache of 1 MB is full"):
        train(run)


def test_epochs_of_the_prompts_decide_the_steps(classroom: Classroom) -> None:
    run = classroom.create(num_epochs=0.5)  # of 10 prompts, 4 a step
    train(run)
    events = list(read_events(run.events_file))
    assert [event.step for event in events if event.kind == "step_finished"] == [1, 2]
    assert [e.num_steps for e in events if e.kind == "phase_changed" and e.num_steps] == [2]


def test_fixed_rollouts_are_answered_from_the_cache_in_the_second_epoch(
    classroom: Classroom,
) -> None:
    run = classroom.create(fixed_rollouts=True, num_steps=6)
    train(run)
    measured = steps(run)
    assert measured[1]["teacher_cache_hit_rate"] < 1
    # 10 prompts and 4 rows a step: from row 10 on everything was asked before.
    assert all(measured[step]["teacher_cache_hit_rate"] == 1.0 for step in (4, 5, 6))
    records = [RolloutRecord.model_validate_json(line) for line in lines(run.rollouts_file)]
    by_prompt: dict[str, set[tuple[int, ...]]] = {}
    for record in records:
        by_prompt.setdefault(record.prompt, set()).add(record.token_ids)
    assert all(len(completions) == 1 for completions in by_prompt.values())
    assert_as_described(run)


def test_the_teachers_own_completions_make_up_their_share(classroom: Classroom) -> None:
    run = classroom.create(on_policy_fraction=0.5, num_steps=5)
    train(run)
    stored = [json.loads(line) for line in lines(run.path / "completions.jsonl")]
    assert {line["source"] for line in stored} == {"teacher"}
    assert len(stored) == len({line["rollout"]["prompt_index"] for line in stored})
    sources = {json.loads(line)["source"] for line in lines(run.rollouts_file)}
    assert "student" in sources


def test_two_completions_of_one_prompt_in_a_step_are_sampled_and_recorded_apart(
    classroom: Classroom,
) -> None:
    # Longer than 32 tokens, so that both are sampled behind a prefix that is read once.
    prompt = "half past " * 40
    (classroom.root / "prompts.jsonl").write_text(json.dumps({"prompt": prompt}) + "\n")
    run = classroom.create(num_steps=1, batch_size=2)
    train(run)
    first, second = (RolloutRecord.model_validate_json(line) for line in lines(run.rollouts_file))
    assert (first.step, second.step) == (1, 1)
    assert (first.index, second.index) == (0, 1)
    assert (first.prompt_index, second.prompt_index) == (0, 0)
    assert first.prompt == second.prompt == prompt
    assert first.token_ids != second.token_ids
    shown = [event for event in read_events(run.events_file) if event.kind == "rollout_sampled"]
    for event, record in zip(shown, (first, second), strict=True):
        assert event.num_tokens == len(record.token_ids)
        assert event.mean_divergence == pytest.approx(record.mean_divergence)


def test_rollout_records_fit_together_token_by_token(classroom: Classroom) -> None:
    run = classroom.create(num_steps=1)
    train(run)
    record = RolloutRecord.model_validate_json(run.rollouts_file.read_text().splitlines()[0])
    num_tokens = len(record.token_ids)
    parallel = (
        record.token_texts,
        record.student_logprobs,
        record.teacher_logprobs,
        record.divergence,
        record.student_top,
        record.teacher_top,
    )
    assert all(values is not None and len(values) == num_tokens for values in parallel)
    best = record.student_top[0]
    assert [t.probability for t in best] == sorted((t.probability for t in best), reverse=True)
    assert max(record.student_logprobs) <= 0


def test_recomputed_layers_under_dropout_give_the_same_adapter(classroom: Classroom) -> None:
    dropping = {"lora": {"rank": 4, "alpha": 8, "dropout": 0.3}, "gradient_accumulation_steps": 2}
    plain, recomputed = (
        classroom.create(**dropping, grad_checkpoint=flag) for flag in (False, True)
    )
    train(plain)
    train(recomputed)
    assert parted(adapter(recomputed), adapter(plain)) < SAME_ADAPTER


def test_a_plateau_ends_the_run_early(classroom: Classroom) -> None:
    run = classroom.create(
        learning_rate=1e-9, num_steps=40, eval_every=1, early_stop_patience=2, checkpoint_every=50
    )
    train(run)
    (finished,) = events(run, "run_finished")
    assert finished.because == "plateau"
    assert finished.step < 40


def test_a_run_that_leaves_its_teacher_is_stopped_in_words(classroom: Classroom) -> None:
    run = classroom.create(
        learning_rate=1.0, max_grad_norm=0, num_steps=30, eval_every=2, checkpoint_every=50
    )
    with pytest.raises(DivergedError):
        train(run)
    assert run.state() == "failed"


def test_changed_settings_are_not_mixed_with_an_old_checkpoint(classroom: Classroom) -> None:
    run = classroom.create()
    train(run)
    text = run.config_file.read_text().replace("learning_rate: 0.01", "learning_rate: 0.02")
    run.config_file.write_text(text)
    with pytest.raises(ConfigError, match="changed since checkpoint"):
        train(run, checkpoint=last_checkpoint(run))


def test_best_points_at_the_checkpoint_of_the_best_evaluation(classroom: Classroom) -> None:
    run = classroom.create(num_steps=8, eval_every=2, checkpoint_every=4, keep_checkpoints=1)
    train(run)
    best_step = [e.step for e in events(run, "evaluation_finished") if e.is_best][-1]
    best = pointed(run, "best")
    assert best is not None
    assert int(best.name) == best_step
    assert {int(path.name) for path in list_checkpoints(run)} == {best_step, 8}


def test_a_crash_before_best_points_at_its_checkpoint_is_mended_by_a_resume(
    classroom: Classroom,
) -> None:
    run = classroom.create(eval_every=6)
    train(run)
    best = pointed(run, "best")
    (run.checkpoints / "best").unlink()
    train(run, checkpoint=best)
    assert pointed(run, "best") == best


def test_training_without_prompts_or_validation_is_refused_in_words(classroom: Classroom) -> None:
    for key in ("prompts", "validation_prompts"):
        run = classroom.create(**{key: None})
        with pytest.raises(ConfigError, match=key):
            train(run)
        assert run.state() == "failed"


def test_a_quantized_student_learns_with_an_adapter_on_top(classroom: Classroom) -> None:
    packed = classroom.root / "packed"
    model, _, config = mlx_lm.utils.load(str(classroom.root / "student"), return_config=True)
    model, config = mlx_lm.utils.quantize_model(model, config, group_size=32, bits=4)
    shutil.copytree(classroom.root / "student", packed, symlinks=False)
    weights = dict(tree_flatten(model.parameters()))
    mx.save_safetensors(str(packed / "model.safetensors"), weights, {"format": "mlx"})
    (packed / "config.json").write_text(json.dumps(config))
    run = classroom.create(student_model=str(packed), num_steps=12, eval_every=12, temperature=1.0)
    train(run)
    measured = evaluations(run)
    assert measured[12]["eval_reverse_kl"] < measured[0]["eval_reverse_kl"]
    assert all(weight.dtype == mx.float32 for weight in adapter(run).values())


def test_a_teacher_with_another_tokenizer_is_refused_before_anything_is_sampled(
    classroom: Classroom,
) -> None:
    other = classroom.root / "other"
    other.mkdir()
    write_tokenizer(other, ["quite another text with other pieces in it"] * 3, 290)
    write_random_model(other, TinyShape(32, 2, 4, 2, 64, 320, True), 5)
    run = classroom.create(teacher_model=str(other))
    with pytest.raises(PairError, match="tokenizer"):
        train(run)
    assert run.state() == "failed"
    assert not run.rollouts_file.read_text()
