"""Vision adapter surgery on tiny models of the real classes that tell three colours apart."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from mlx_lm.utils import load_model, quantize_model, save_config

from OnPolicyDistill.adapters.checkpointing import num_recomputed
from OnPolicyDistill.adapters.surgery import export_grafted, graft_models
from OnPolicyDistill.config import ProjectorConfig
from OnPolicyDistill.errors import ConfigError, DatasetError, ModelError, ProofError, StoppedError
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.parameters import arrays_of, flat_arrays
from OnPolicyDistill.models.policy import hidden_states
from OnPolicyDistill.models.projector import fill_projector
from OnPolicyDistill.models.saving import save_weights
from OnPolicyDistill.models.seeing import SeeingModel
from OnPolicyDistill.pictures import FIRST_PICTURE_ID
from OnPolicyDistill.runs.checkpoints import last_checkpoint
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.runs.events import Event, RunFinished, SelfTestFinished
from OnPolicyDistill.runs.held_out_answers import answered_steps
from OnPolicyDistill.runs.held_out_answers import read_answers as read_kept
from OnPolicyDistill.runs.history import fold
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.runs.reporting import StopRequest
from OnPolicyDistill.settings.projector import ProjectorSettings
from OnPolicyDistill.trainers.projector.asking import WAYS, is_right, read_answers
from OnPolicyDistill.trainers.projector.preparing import (
    Surgery,
    far_apart,
    prepare,
    with_other_pictures,
)
from OnPolicyDistill.trainers.projector.proof import prove
from OnPolicyDistill.trainers.projector.train import learn, train
from OnPolicyDistill.training.work import begun
from tests.described import assert_as_described
from tests.grafts import ALWAYS, write_colours, write_language, write_vision


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_vision(folder / "vision")
    write_language(folder / "language")
    return folder


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("colours")
    write_colours(folder, "train", repeats=2, thought="<think>\nLook.\n</think>\n\n")
    write_colours(folder, "held")
    return folder


def new_run(workspace: Path, models: Path, colours: Path, **settings: object) -> RunDirectory:
    values = {
        "vision_model": str(models / "vision"),
        "language_model": str(models / "language"),
        "conversations": str(colours / "train.jsonl"),
        "validation_conversations": str(colours / "held.jsonl"),
        "num_steps": 4,
        "batch_size": 2,
        "learning_rate": 0.01,
        "eval_every": 2,
        "checkpoint_every": 2,
        "max_thinking_tokens": 4,
        "thinking_prompts": 2,
        **settings,
    }
    config = ProjectorConfig(projector=ProjectorSettings.model_validate(values))
    return create_run(workspace, config)


@contextmanager
def prepared(run: RunDirectory) -> Iterator[Surgery]:
    with begun(run) as work:
        yield prepare(work)


@pytest.fixture(scope="module")
def learned(models: Path, colours: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A run that went to its end."""
    folder = tmp_path_factory.mktemp("learned")
    run = new_run(folder, models, colours, num_steps=60, eval_every=30, batch_size=3)
    train(run)
    return run


def report_of(run: RunDirectory) -> dict[str, float]:
    last = list(read_events(run.events_file))[-1]
    assert isinstance(last, RunFinished)
    return last.report


def test_a_run_moves_towards_its_answers_and_comes_to_see(learned: RunDirectory) -> None:
    report = report_of(learned)
    assert report["loss_after"] < report["loss_before"] - 0.3
    assert report["loss_before"] == report["before_eval_loss"]
    # With another picture the same answers are less likely than they were before learning.
    assert report["wrong_picture_loss"] > report["loss_after"] + 0.1
    assert report["projector_moved"] > 0.1
    assert report["language_model_unchanged"] == report["vision_tower_unchanged"] == 1
    assert learned.state() == "finished"
    assert_as_described(learned)


def test_a_run_begins_with_a_proof_that_only_the_projector_learns(learned: RunDirectory) -> None:
    (proof,) = (e for e in read_events(learned.events_file) if isinstance(e, SelfTestFinished))
    assert proof.passed
    names = [check.name for check in proof.checks]
    assert names == ["gradient_flows", "projector_moves", "rest_stays", "picture_is_seen"]


def test_a_checkpoint_holds_the_projector_and_the_optimizer(learned: RunDirectory) -> None:
    checkpoint = last_checkpoint(learned)
    assert checkpoint is not None
    assert sorted(file.name for file in checkpoint.iterdir()) == [
        "optimizer.safetensors",
        "projector.safetensors",
        "projector_config.json",
        "state.json",
    ]
    about = json.loads((checkpoint / "projector_config.json").read_text())
    assert (about["kind"], about["input_size"], about["output_size"]) == ("linear", 40, 24)


def test_questions_are_asked_in_four_ways(learned: RunDirectory) -> None:
    report = report_of(learned)
    for key in ("accuracy", "accuracy_thinking", "well_formed_thoughts", "wrong_picture_accuracy"):
        assert 0 <= report[key] <= 1
    assert report["num_asked"] == 2
    lines = {way: [each.line for each in read_answers(learned, way).answers] for way in WAYS}
    assert all(each == lines["plain"] for each in lines.values())
    assert read_answers(learned, "plain").answers[0].wanted.startswith("It is ")


def test_a_few_held_out_answers_stay_from_before_and_after(learned: RunDirectory) -> None:
    assert answered_steps(learned) == [0, 30, 60]
    before, after = read_kept(learned, 0), read_kept(learned, 60)
    for kept in (before, after):
        assert kept.is_greedy
        assert [(one.index, one.prompt, one.wanted) for one in kept.answers] == [
            (line, "What colour is it?", f"It is {colour}.")
            for line, colour in enumerate(("red", "green", "blue"), start=1)
        ]
        assert all(one.mark == is_right(one.text, one.wanted or "") for one in kept.answers)
    assert [one.text for one in before.answers] != [one.text for one in after.answers]


def test_only_the_projector_has_a_gradient(models: Path, colours: Path, tmp_path: Path) -> None:
    with prepared(new_run(tmp_path, models, colours)) as surgery:
        _, gradients = learn(surgery.student.policy, surgery.rows[:2], 10)
    assert list(flat_arrays(gradients)) == ["projector.maps.0.weight"]


def test_the_gradient_is_that_of_finite_differences(
    models: Path, colours: Path, tmp_path: Path
) -> None:
    with prepared(new_run(tmp_path, models, colours)) as surgery:
        projector, row = surgery.student.projector, surgery.rows[0]
        _, gradients = learn(surgery.student.policy, [row], 1)
        gradient = np.array(flat_arrays(gradients)["projector.maps.0.weight"])
        place = np.unravel_index(np.abs(gradient).argmax(), gradient.shape)
        whole, losses = projector.maps[0].weight, []
        for step in (1e-2, -1e-2):
            moved = np.array(whole)
            moved[place] += step
            projector.maps[0].weight = mx.array(moved)
            losses.append(learn(surgery.student.policy, [row], 1)[0])
    # Float32, and a step that is large enough to be seen in it.
    assert (losses[0] - losses[1]) / 2e-2 == pytest.approx(float(gradient[place]), rel=0.02)


def test_accumulated_rows_have_the_gradient_of_one_batch(
    models: Path, colours: Path, tmp_path: Path
) -> None:
    with prepared(new_run(tmp_path, models, colours)) as surgery:
        rows = surgery.rows[:3]
        normalizer = sum(len(row.learned) for row in rows)
        loss, whole = learn(surgery.student.policy, rows, normalizer)
        parts = [learn(surgery.student.policy, [row], normalizer) for row in rows]
    total = sum(flat_arrays(part)["projector.maps.0.weight"] for _, part in parts)
    assert sum(share for share, _ in parts) == pytest.approx(loss, rel=1e-5)
    assert mx.allclose(total, flat_arrays(whole)["projector.maps.0.weight"], rtol=1e-4, atol=1e-6)


def test_recomputing_layers_changes_no_gradient(
    models: Path, colours: Path, tmp_path: Path
) -> None:
    found = {}
    for recomputes in (False, True):
        run = new_run(tmp_path / str(recomputes), models, colours, grad_checkpoint=recomputes)
        with prepared(run) as surgery:
            _, gradients = learn(surgery.student.policy, surgery.rows[:2], 10)
            model = surgery.student.policy.model
            assert num_recomputed(model) == (len(model.layers) if recomputes else 0)
        found[recomputes] = flat_arrays(gradients)["projector.maps.0.weight"]
    assert mx.allclose(found[False], found[True], rtol=1e-4, atol=1e-6)


def test_a_picture_that_is_looked_at_anew_gives_the_same_loss(
    models: Path, colours: Path, tmp_path: Path
) -> None:
    losses = []
    for megabytes in (0, 100):
        run = new_run(tmp_path / str(megabytes), models, colours, picture_cache_mb=megabytes)
        with prepared(run) as surgery:
            for _ in range(2):
                losses.append(learn(surgery.student.policy, surgery.rows[:2], 10)[0])
            hits = surgery.model.shelf.hits
            assert hits == (0 if megabytes == 0 else 2)
    assert len(set(losses)) == 1


def files_of(run: RunDirectory) -> dict[str, bytes]:
    checkpoint = last_checkpoint(run)
    assert checkpoint is not None
    names = ("projector.safetensors", "optimizer.safetensors")
    return {name: (checkpoint / name).read_bytes() for name in names}


def test_a_resumed_run_ends_with_the_bytes_of_one_that_was_not_interrupted(
    models: Path, colours: Path, tmp_path: Path
) -> None:
    whole = new_run(tmp_path / "whole", models, colours)
    train(whole)
    broken = new_run(tmp_path / "broken", models, colours)
    stop = StopRequest()

    def watch(event: Event) -> None:
        if event.kind == "step_finished" and event.step == 3:
            stop.set()

    with pytest.raises(StoppedError):
        train(broken, watch, stop)
    saved = last_checkpoint(broken)
    assert saved is not None
    assert saved.name == "000003"
    train(broken, checkpoint=saved)
    assert files_of(broken) == files_of(whole)
    ends = [report_of(run) for run in (whole, broken)]
    timed = {key for key in ends[0] if key.endswith("seconds")}
    one, other = ({k: v for k, v in end.items() if k not in timed} for end in ends)
    assert one == other


def test_a_run_that_stops_while_it_is_asked_goes_on_there(
    models: Path, colours: Path, tmp_path: Path
) -> None:
    run = new_run(tmp_path, models, colours)
    stop = StopRequest()

    def watch(event: Event) -> None:
        if event.kind == "phase_changed" and "thinking" in event.detail:
            stop.set()

    with pytest.raises(StoppedError):
        train(run, watch, stop)
    plain = run.path / "answers" / "plain.json"
    assert [file.name for file in plain.parent.iterdir()] == ["plain.json"]
    written = plain.stat().st_mtime_ns
    train(run, checkpoint=last_checkpoint(run))
    assert sorted(file.stem for file in plain.parent.iterdir()) == sorted(WAYS)
    assert plain.stat().st_mtime_ns == written
    steps = [e.step for e in read_events(run.events_file) if e.kind == "step_finished"]
    assert steps == [1, 2, 3, 4]
    assert report_of(run)["num_asked"] == 2


def test_a_language_model_that_changed_under_a_run_is_found_at_its_end(
    models: Path, colours: Path, tmp_path: Path
) -> None:
    own = tmp_path / "models"
    shutil.copytree(models, own)
    run = new_run(tmp_path, own, colours)
    stop = StopRequest()
    with pytest.raises(StoppedError):
        train(run, lambda e: stop.set() if e.kind == "checkpoint_saved" else None, stop)
    write_language(own / "language", vocab_size=320, rms_norm_eps=1e-6)
    file = own / "language" / "model.safetensors"
    weights = mx.load(str(file))
    assert isinstance(weights, dict)
    mx.eval(weights)
    weights["model.norm.weight"] = weights["model.norm.weight"] * 1.001
    mx.save_safetensors(str(file), weights)
    with pytest.raises(ProofError, match="The language model changed since the run began"):
        train(run, checkpoint=last_checkpoint(run))


def test_a_proof_fails_where_more_than_the_projector_learns(
    models: Path, colours: Path, tmp_path: Path
) -> None:
    with begun(new_run(tmp_path, models, colours)) as work:
        surgery = prepare(work)
        surgery.student.policy.model.language_model.model.norm.unfreeze()
        with pytest.raises(ProofError, match="leaves every byte of tower and language model"):
            prove(work, surgery, learn)


def test_an_exported_model_gives_what_the_run_gave(
    learned: RunDirectory, models: Path, colours: Path, tmp_path: Path
) -> None:
    config = learned.config()
    assert isinstance(config, ProjectorConfig)
    best = learned.checkpoints / "best"
    export_grafted(config.projector, best, tmp_path / "finished", lambda *_: None)
    assert (
        f"the run {learned.run_id}; this is step" in (tmp_path / "finished/README.md").read_text()
    )
    policy = load_policy(str(tmp_path / "finished"))
    model = policy.model
    assert isinstance(model, SeeingModel)
    assert (model.sight.min_pixels, model.sight.max_pixels) == (3136, 401408)
    with prepared(new_run(tmp_path, models, colours)) as surgery:
        fill_projector(surgery.student.projector, best)
        (one, *_) = surgery.rows
        wanted = hidden_states(surgery.model, mx.array([one.token_ids]))
        model.book = surgery.model.book
        assert mx.array_equal(hidden_states(model, mx.array([one.token_ids])), wanted)


def test_a_run_goes_on_with_the_projector_of_a_grafted_folder(
    models: Path, colours: Path, tmp_path: Path
) -> None:
    names = str(models / "vision"), str(models / "language")
    graft_models(names, tmp_path / "grafted", "mlp", False, 7, lambda *_: None)
    given = arrays_of(load_policy(str(tmp_path / "grafted")).model["projector"])
    run = new_run(tmp_path, models, colours, grafted_model=str(tmp_path / "grafted"))
    with prepared(run) as surgery:
        start = surgery.start
    assert {name: np.array(each).tobytes() for name, each in start.items()} == {
        name: np.array(each).tobytes() for name, each in given.items()
    }


def test_a_matched_start_makes_the_runs_own_pictures_as_long_as_words(
    models: Path, colours: Path, tmp_path: Path
) -> None:
    with prepared(new_run(tmp_path, models, colours, projector_start="matched")) as surgery:
        pictures = [each for one in surgery.questions for each in one.pictures]
        places = mx.concatenate([surgery.model.features(each)[0] for each in pictures])
        length = mx.linalg.norm(surgery.student.projector(places), axis=-1).mean()
        words = surgery.model.language_model.model.embed_tokens.weight
    # The held-out shades are not those that were measured.
    assert float(length / mx.linalg.norm(words, axis=-1).mean()) == pytest.approx(1, abs=0.1)


def test_pictures_of_a_size_are_read_at_that_size(
    models: Path, colours: Path, tmp_path: Path
) -> None:
    with prepared(new_run(tmp_path, models, colours, picture_size=112)) as surgery:
        (picture,) = surgery.questions[0].pictures
    assert (picture.height, picture.width) == (112, 112)


def test_the_same_answers_stand_behind_pictures_of_other_rows(
    models: Path, colours: Path, tmp_path: Path
) -> None:
    with prepared(new_run(tmp_path, models, colours)) as surgery:
        rows, book = surgery.rows, surgery.writing.book
        others = with_other_pictures(rows, book)
        alone = with_other_pictures(rows[:1], book)
        twins = with_other_pictures([rows[0], replace(rows[0], conversation=9)], book)
    for row, other in zip(rows, others, strict=True):
        assert [other.token_ids[p] for p in other.learned] == [
            row.token_ids[p] for p in row.learned
        ]
        seen, shown = (
            {book.find(token)[0].digest for token in each.token_ids if token >= FIRST_PICTURE_ID}
            for each in (row, other)
        )
        assert len(seen) == len(shown) == 1
        assert seen != shown
    assert alone == twins == []


def test_neighbours_of_a_file_are_taken_far_apart() -> None:
    assert far_apart([1, 2, 3, 4, 5]) == [1, 4, 2, 5, 3]
    assert far_apart([]) == []


@pytest.mark.parametrize(
    ("said", "wanted", "right"),
    [
        ("It is red.", "it is  red.", True),
        ("It is blue.", "It is red.", False),
        ("So it is \\boxed{12.0}", "It has \\boxed{12} cells.", True),
        ("So it is \\boxed{13}", "12", False),
        ("12", "\\boxed{12}", True),
    ],
)
def test_answers_are_compared_by_their_box_or_their_words(
    said: str, wanted: str, right: bool
) -> None:
    assert is_right(said, wanted) is right


def test_a_language_model_that_always_thinks_is_refused(
    models: Path, colours: Path, tmp_path: Path
) -> None:
    shutil.copytree(models / "vision", tmp_path / "models" / "vision")
    write_language(tmp_path / "models" / "language", ALWAYS)
    run = new_run(tmp_path, tmp_path / "models", colours)
    with pytest.raises(ModelError, match="always thinks, so nothing can be learned without"):
        train(run)
    assert run.state() == "failed"


def test_conversations_without_pictures_are_refused(
    models: Path, colours: Path, tmp_path: Path
) -> None:
    file = tmp_path / "words.jsonl"
    file.write_text(json.dumps({"prompt": "What?", "completion": "That."}) + "\n")
    run = new_run(tmp_path, models, colours, conversations=str(file))
    with pytest.raises(DatasetError, match="nothing to see"):
        train(run)


def test_a_run_without_held_out_conversations_is_refused(
    models: Path, colours: Path, tmp_path: Path
) -> None:
    run = new_run(tmp_path, models, colours, validation_conversations=None)
    with pytest.raises(ConfigError, match="names no validation_conversations file"):
        train(run)


def test_the_held_out_loss_is_that_of_plain_log_probabilities(
    models: Path, colours: Path, tmp_path: Path
) -> None:
    run = new_run(tmp_path, models, colours, num_steps=1, eval_every=1)
    train(run)
    before = fold(read_events(run.events_file)).before
    assert before is not None
    with prepared(run) as surgery:
        total, count = 0.0, 0
        for row in surgery.held_out:
            logits = np.array(surgery.model(mx.array([row.token_ids])))[0, :, :300]
            logits = logits[:, : surgery.student.policy.vocab_size].astype(np.float64)
            for place in row.learned:
                scores = logits[place - 1]
                total -= scores[row.token_ids[place]] - np.log(np.exp(scores).sum())
                count += 1
    assert before.metrics["eval_loss"] == pytest.approx(total / count, rel=1e-5)


def in_type(folder: Path, target: Path, dtype: mx.Dtype) -> Path:
    """The same model with its weights in another type."""
    shutil.copytree(folder, target)
    file = target / "model.safetensors"
    weights = mx.load(str(file))
    assert isinstance(weights, dict)
    mx.eval(weights)
    cast = {
        name: array.astype(dtype) if array.dtype == mx.float32 else array
        for name, array in weights.items()
    }
    mx.save_safetensors(str(file), cast)
    return target


def test_between_models_in_bf16_the_projector_is_float32(
    models: Path, colours: Path, tmp_path: Path
) -> None:
    for name in ("vision", "language"):
        in_type(models / name, tmp_path / "half" / name, mx.bfloat16)
    run = new_run(tmp_path, tmp_path / "half", colours)
    train(run)
    checkpoint = last_checkpoint(run)
    assert checkpoint is not None
    (projector,) = mx.load(str(checkpoint / "projector.safetensors")).values()  # type: ignore[union-attr]
    assert projector.dtype == mx.float32
    with prepared(new_run(tmp_path / "again", tmp_path / "half", colours)) as surgery:
        places = surgery.model.features(surgery.questions[0].pictures[0])[0]
        hidden = hidden_states(surgery.model, mx.array([surgery.rows[0].token_ids]))
    assert (places.dtype, hidden.dtype) == (mx.bfloat16, mx.bfloat16)


def test_a_gradient_passes_through_a_packed_language_model(
    models: Path, colours: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "packed"
    shutil.copytree(models / "vision", folder / "vision")
    language = write_language(folder / "language", hidden_size=64, intermediate_size=64)
    model, config = load_model(language)
    model, config = quantize_model(model, config, 32, 8)
    (language / "model.safetensors").unlink()
    save_weights(language, model)
    save_config(config, language / "config.json")
    run = new_run(tmp_path, folder, colours)
    train(run)
    assert report_of(run)["projector_moved"] > 0
    assert report_of(run)["language_model_unchanged"] == 1


def test_conversations_without_pictures_among_others_are_learned_too(
    models: Path, colours: Path, tmp_path: Path
) -> None:
    shutil.copytree(colours, tmp_path / "mixed")
    for name in ("train", "held"):
        file = tmp_path / "mixed" / f"{name}.jsonl"
        line = json.dumps({"prompt": "Say yes.", "completion": "It is yes."}) + "\n"
        file.write_text(line + file.read_text())
    run = new_run(tmp_path, models, tmp_path / "mixed", thinking_prompts=4)
    train(run)
    assert report_of(run)["num_asked"] == 4
    assert len(read_answers(run, "wrong_picture").answers) == 3
    assert report_of(run)["wrong_picture_loss"] > 0
