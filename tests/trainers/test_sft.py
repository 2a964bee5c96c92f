import json
import shutil
from pathlib import Path

import mlx.core as mx
import mlx_lm
import numpy as np
import pytest
from pydantic import ValidationError

from OnPolicyDistill.adapters.lora import adapter_parameters
from OnPolicyDistill.config import SftConfig
from OnPolicyDistill.datasets.conversations import load_conversations
from OnPolicyDistill.errors import ConfigError, DatasetError, StoppedError
from OnPolicyDistill.models.embedded import TinyShape, write_random_model, write_tokenizer
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.parameters import flat_arrays
from OnPolicyDistill.runs.checkpoints import last_checkpoint
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.runs.events import Event
from OnPolicyDistill.runs.held_out_answers import answered_steps, read_answers
from OnPolicyDistill.runs.history import fold
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.runs.reporting import StopRequest
from OnPolicyDistill.settings.sft import SftSettings
from OnPolicyDistill.trainers.conversation_rows import encode_conversation
from OnPolicyDistill.trainers.sft import Given, prepare, train
from OnPolicyDistill.trainers.supervised import held_out_loss
from OnPolicyDistill.training.supervised import learn, measure_loss, rows_of_step
from OnPolicyDistill.training.work import begun
from tests.described import assert_as_described
from tests.rounding import SAME_ADAPTER, parted

PAIRS = [("third of March", "03-03"), ("fourth of May", "05-04"), ("noon", "12:00 of the day")]
ADAPTER = {"rank": 4, "alpha": 8}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    write_tokenizer(folder, [text for pair in PAIRS for text in pair] * 2, 280)
    write_random_model(folder, TinyShape(32, 2, 2, 1, 64, 288, True), 0)
    return folder


@pytest.fixture
def conversations(tmp_path: Path) -> Path:
    file = tmp_path / "conversations.jsonl"
    lines = [{"prompt": prompt, "completion": answer} for prompt, answer in PAIRS]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def new_run(workspace: Path, model: Path, file: Path, **settings: object) -> RunDirectory:
    values = {
        "model": str(model),
        "conversations": str(file),
        "validation_conversations": str(file),
        "num_steps": 6,
        "batch_size": 2,
        "gradient_accumulation_steps": 2,
        "learning_rate": 0.01,
        "lora": ADAPTER,
        "checkpoint_every": 3,
        "eval_every": 3,
        **settings,
    }
    return create_run(workspace, SftConfig(sft=SftSettings.model_validate(values)))


def prepared(run: RunDirectory) -> Given:
    with begun(run) as work:
        return prepare(work)


def losses(run: RunDirectory) -> list[float]:
    events = read_events(run.events_file)
    return [e.metrics["eval_loss"] for e in events if e.kind == "evaluation_finished"]


@pytest.mark.parametrize("lora", [ADAPTER, None])
def test_a_run_moves_towards_its_conversations(
    model: Path, conversations: Path, tmp_path: Path, lora: object
) -> None:
    run = new_run(tmp_path, model, conversations, lora=lora, num_steps=40, eval_every=40)
    train(run)
    before, after = losses(run)
    assert after < before - 0.3
    last = list(read_events(run.events_file))[-1]
    assert last.kind == "run_finished"
    assert last.report["before_eval_loss"] == before
    assert run.state() == "finished"
    assert_as_described(run)


@pytest.mark.parametrize("lora", [ADAPTER, None])
def test_the_first_held_out_conversations_are_answered_before_and_after(
    model: Path, conversations: Path, tmp_path: Path, lora: object
) -> None:
    run = new_run(tmp_path, model, conversations, lora=lora, num_steps=40, eval_every=40)
    train(run)
    assert answered_steps(run) == [0, 40]
    before, after = read_answers(run, 0), read_answers(run, 40)
    for kept in (before, after):
        assert kept.is_greedy
        assert [(one.prompt, one.wanted) for one in kept.answers] == PAIRS
    assert [one.text for one in before.answers] != [one.text for one in after.answers]
    for one in after.answers:
        assert one.mark == (1.0 if one.text == one.wanted else None)
    assert any(one.mark for one in after.answers)


def test_only_the_adapter_changes_and_mlx_lm_loads_it(
    model: Path, conversations: Path, tmp_path: Path
) -> None:
    run = new_run(tmp_path, model, conversations)
    train(run)
    checkpoint = run.checkpoints / "last"
    assert not (checkpoint / "model.safetensors").exists()
    adapted, _ = mlx_lm.load(str(model), adapter_path=str(checkpoint))
    base = flat_arrays(load_policy(str(model)).model.parameters())
    learned = adapter_parameters(adapted)
    assert any(float(mx.abs(array).max()) > 0 for name, array in learned.items() if name[-1] == "b")
    for name, array in flat_arrays(adapted.parameters()).items():
        if name not in learned:
            assert mx.array_equal(array, base[name.replace(".linear.", ".")])


def test_without_lora_a_checkpoint_is_a_whole_model_in_which_everything_learned(
    model: Path, conversations: Path, tmp_path: Path
) -> None:
    run = new_run(tmp_path, model, conversations, lora=None)
    train(run)
    base = flat_arrays(load_policy(str(model)).model.parameters())
    trained = load_policy(str(run.checkpoints / "last"))
    changed = flat_arrays(trained.model.parameters())
    assert changed.keys() == base.keys()
    assert not any(mx.array_equal(changed[name], base[name]) for name in base)


def test_the_untrained_model_has_the_loss_that_plain_numpy_finds(
    model: Path, conversations: Path, tmp_path: Path
) -> None:
    run = new_run(tmp_path, model, conversations)
    given = prepared(run)
    policy = given.student.policy
    total, count = 0.0, 0
    for row in given.rows:
        logits = np.array(policy.model(mx.array([row.token_ids])))[0].astype(np.float64)
        logits = logits[:, : policy.vocab_size]
        for place in row.learned:
            scores = logits[place - 1]
            total += np.log(np.exp(scores).sum()) - scores[row.token_ids[place]]
            count += 1
    measured = measure_loss(policy, given.rows, given.settings)
    assert measured.metrics["eval_loss"] == pytest.approx(total / count, rel=1e-5)
    low, high = measured.intervals["eval_loss"]
    assert low < total / count < high
    assert len(measured.values.prompts) == len({row.conversation for row in given.rows})


@pytest.mark.parametrize("lora", [ADAPTER, None])
def test_accumulated_micro_batches_give_the_gradient_of_one_big_batch(
    model: Path, conversations: Path, tmp_path: Path, lora: object
) -> None:
    run = new_run(tmp_path, model, conversations, lora=lora)
    given = prepared(run)
    rows = given.rows
    normalizer = sum(len(row.learned) for row in rows)
    whole_loss, whole = learn(given.student, rows, normalizer)
    parts = [learn(given.student, [row], normalizer) for row in rows]
    assert sum(loss for loss, _ in parts) == pytest.approx(whole_loss, rel=1e-5)
    for name, array in flat_arrays(whole).items():
        summed = sum(flat_arrays(gradient)[name] for _, gradient in parts)
        assert mx.allclose(summed, array, rtol=1e-3, atol=1e-6), name


BY_EPOCHS = {"num_epochs": 8, "warmup_ratio": 0.3, "length_buckets": True}


@pytest.mark.parametrize(
    ("lora", "steps"),
    [({**ADAPTER, "dropout": 0.2}, {"warmup_steps": 2}), (None, BY_EPOCHS), (ADAPTER, BY_EPOCHS)],
)
def test_a_resumed_run_ends_with_the_bytes_of_an_uninterrupted_one(
    model: Path, conversations: Path, tmp_path: Path, lora: object, steps: dict[str, object]
) -> None:
    settings = {"lora": lora, "schedule": "cosine", "weight_decay": 0.01, **steps}
    whole = new_run(tmp_path / "whole", model, conversations, **settings)
    train(whole)
    broken = new_run(tmp_path / "broken", model, conversations, **settings)
    stop = StopRequest()

    def stop_at_four(event: Event) -> None:
        if event.kind == "step_finished" and event.step == 4:
            stop.set()

    with pytest.raises(StoppedError):
        train(broken, stop_at_four, stop)
    assert broken.state() == "paused"
    train(broken, checkpoint=last_checkpoint(broken))
    name = "model.safetensors" if lora is None else "adapters.safetensors"
    for file in (name, "optimizer.safetensors"):
        first, second = (run.checkpoints / "000006" / file for run in (whole, broken))
        assert first.read_bytes() == second.read_bytes()
    assert losses(broken) == losses(whole)


def test_an_evaluation_right_behind_a_resume_is_measured_without_dropout(
    model: Path, conversations: Path, tmp_path: Path
) -> None:
    settings = {"lora": {**ADAPTER, "dropout": 0.3}, "num_steps": 3}
    whole = new_run(tmp_path / "whole", model, conversations, **settings)
    train(whole)
    broken = new_run(tmp_path / "broken", model, conversations, **settings)
    stop = StopRequest()

    def stop_before_the_evaluation(event: Event) -> None:
        if event.kind == "step_finished" and event.step == 3:
            stop.set()

    with pytest.raises(StoppedError):
        train(broken, stop_before_the_evaluation, stop)
    assert len(losses(broken)) == 1
    train(broken, checkpoint=last_checkpoint(broken))
    assert losses(broken) == losses(whole)


def test_epochs_decide_the_steps_and_the_warm_up_from_the_usable_rows(
    model: Path, conversations: Path, tmp_path: Path
) -> None:
    settings = {"num_epochs": 5, "warmup_ratio": 0.25, "schedule": "cosine"}
    run = new_run(tmp_path, model, conversations, **settings)
    stored = run.config_file.read_bytes()
    train(run)
    events = list(read_events(run.events_file))
    steps = [event for event in events if event.kind == "step_finished"]
    assert [event.step for event in steps] == [1, 2, 3, 4]  # 5 epochs of 3 rows, 4 a step
    rates = [event.metrics["learning_rate"] for event in steps]
    assert rates == pytest.approx([0.005, 0.01, 0.0055, 0.001])
    assert run.config_file.read_bytes() == stored
    history = fold(events)
    assert history.started is not None
    assert (history.started.num_steps, history.num_steps) == (0, 4)


def test_every_conversation_comes_once_an_epoch_in_changing_order(
    model: Path, conversations: Path, tmp_path: Path
) -> None:
    run = new_run(tmp_path, model, conversations, batch_size=3, gradient_accumulation_steps=1)
    given = prepared(run)
    epochs = [rows_of_step(given.rows, given.settings, step) for step in range(1, 9)]
    for epoch in epochs:
        assert sorted(row.token_ids for row in epoch) == sorted(r.token_ids for r in given.rows)
    assert len({tuple(row.token_ids for row in epoch) for epoch in epochs}) > 1


def test_without_held_out_conversations_a_run_trains_and_says_nothing_of_them(
    model: Path, conversations: Path, tmp_path: Path
) -> None:
    run = new_run(tmp_path, model, conversations, validation_conversations=None)
    train(run)
    assert losses(run) == []
    assert (run.checkpoints / "last").is_dir()


def test_long_conversations_are_left_out_and_counted(
    model: Path, conversations: Path, tmp_path: Path
) -> None:
    with conversations.open("a") as stream:
        stream.write(json.dumps({"prompt": "noon " * 60, "completion": "12:00"}) + "\n")
    run = new_run(tmp_path, model, conversations, max_length=60, num_steps=1)
    train(run)
    warnings = [e.message for e in read_events(run.events_file) if e.kind == "warning"]
    assert any("1 of 4 conversations" in message for message in warnings)
    run = new_run(tmp_path, model, conversations, max_length=4)
    with pytest.raises(DatasetError, match="all 4 conversations are longer than 4 tokens"):
        train(run)


def test_a_run_without_a_file_says_which_setting_is_missing(
    model: Path, conversations: Path, tmp_path: Path
) -> None:
    run = new_run(tmp_path, model, conversations, conversations=None)
    with pytest.raises(ConfigError, match="no conversations file"):
        train(run)
    assert run.state() == "failed"


def test_a_quantized_model_without_lora_is_refused(
    model: Path, conversations: Path, tmp_path: Path
) -> None:
    loaded, config = mlx_lm.utils.load_model(model)
    loaded, config = mlx_lm.utils.quantize_model(loaded, config, 32, 8)
    quantized = tmp_path / "quantized"
    mlx_lm.utils.save(quantized, model, loaded, mlx_lm.utils.load_tokenizer(model), config)
    run = new_run(tmp_path, quantized, conversations, lora=None)
    with pytest.raises(ConfigError, match="packed weights cannot learn"):
        train(run)
    run = new_run(tmp_path, quantized, conversations, num_steps=2)
    train(run)


def test_recomputed_layers_under_dropout_learn_the_same(
    model: Path, conversations: Path, tmp_path: Path
) -> None:
    learned = []
    for number, flag in enumerate((False, True)):
        run = new_run(
            tmp_path / str(number),
            model,
            conversations,
            lora={**ADAPTER, "dropout": 0.3},
            grad_checkpoint=flag,
        )
        train(run)
        weights = mx.load(str(run.checkpoints / "last" / "adapters.safetensors"))
        assert isinstance(weights, dict)
        learned.append(weights)
    assert parted(*learned) < SAME_ADAPTER


def test_a_model_that_does_not_stop_where_its_turns_end_is_told_when_it_learns(
    model: Path, conversations: Path, tmp_path: Path
) -> None:
    base = tmp_path / "base"
    shutil.copytree(model, base)
    settings = json.loads((base / "tokenizer_config.json").read_text())
    settings["eos_token"] = "<|endoftext|>"
    (base / "tokenizer_config.json").write_text(json.dumps(settings))
    end = load_policy(str(model)).tokenizer.convert_tokens_to_ids("<|endoftext|>")
    (base / "generation_config.json").write_text(json.dumps({"eos_token_id": end}))
    run = new_run(tmp_path, base, conversations, num_steps=1)
    train(run)
    told = [e.message for e in read_events(run.events_file) if e.kind == "warning"]
    assert any("ends a turn with <|im_end|>" in message for message in told)
    run = new_run(tmp_path, model, conversations, num_steps=1)
    train(run)
    assert not [e for e in read_events(run.events_file) if e.kind == "warning"]


def test_a_run_goes_on_from_the_adapter_of_another(
    model: Path, conversations: Path, tmp_path: Path
) -> None:
    first = new_run(tmp_path, model, conversations)
    train(first)
    start = last_checkpoint(first)
    assert start is not None
    second = new_run(tmp_path, model, conversations, student_adapter=str(start), num_steps=3)
    train(second)
    # The same program twice on the same bytes: what was measured last is measured first.
    assert losses(second)[0] == losses(first)[-1]
    assert losses(second)[-1] < losses(first)[-1]


def test_an_adapter_to_go_on_from_is_refused_where_every_weight_learns() -> None:
    with pytest.raises(ValidationError, match="an adapter that learns needs lora"):
        SftSettings(student_adapter="somewhere", lora=None)


def test_scripts_of_earlier_versions_find_rows_and_held_out_loss_where_they_were(
    model: Path, conversations: Path
) -> None:
    policy = load_policy(str(model))
    given = load_conversations(conversations)
    rows = [row for one in given for row in encode_conversation(policy, one)]
    settings = SftSettings(batch_size=2)
    assert (
        held_out_loss(policy, rows, settings)
        == (measure_loss(policy, rows, settings).metrics["eval_loss"])
    )
