"""Distillation of models that see, on tiny random ones of the real classes."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from PIL import Image

from OnPolicyDistill.config import parse_config
from OnPolicyDistill.errors import DatasetError, ModelError, ProofError, StoppedError
from OnPolicyDistill.pictures import FIRST_PICTURE_ID
from OnPolicyDistill.runs.checkpoints import last_checkpoint
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.runs.events import Event, RolloutRecord, SelfTestFinished
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.runs.reporting import StopRequest
from OnPolicyDistill.settings.vlm_distillation import VlmDistillationSettings
from OnPolicyDistill.trainers.vlm_distillation import prepare, train
from OnPolicyDistill.training.pictured_prompts import with_instruction
from OnPolicyDistill.training.work import begun
from tests.described import assert_as_described
from tests.rounding import SAME_ADAPTER, parted
from tests.seeing_models import write_seeing_model
from tests.trainers.conftest import bend, write_weights

SIZES = ((64, 64), (96, 64), (64, 96))


@dataclass(frozen=True)
class Gallery:
    """A student that sees, a teacher that it can become, and prompts about pictures."""

    root: Path

    def create(self, **settings: object) -> RunDirectory:
        values = {
            "teacher_model": str(self.root / "teacher"),
            "student_model": str(self.root / "student"),
            "prompts": str(self.root / "prompts.jsonl"),
            "validation_prompts": str(self.root / "validation.jsonl"),
            "min_pixels": 1024,
            "max_pixels": 8192,
            "num_steps": 4,
            "batch_size": 4,
            "gradient_accumulation_steps": 1,
            "learning_rate": 0.01,
            "max_generation_tokens": 6,
            "eval_every": 2,
            "checkpoint_every": 2,
            "control_prompts": 4,
            "lora": {"rank": 4, "alpha": 8},
            "grad_checkpoint": False,
            **settings,
        }
        return create_run(self.root, parse_config({"vlm_distillation": values}))

    def write_prompts(self, name: str, lines: list[dict[str, object]]) -> None:
        (self.root / name).write_text("".join(json.dumps(line) + "\n" for line in lines))


def bend_words(name: str, weight: mx.array) -> mx.array:
    return bend(name, weight) if name.startswith("language_model.model.layers") else weight


def draw(file: Path, seed: int) -> None:
    height, width = SIZES[seed % len(SIZES)]
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file)


def problems(first: int, number: int) -> list[dict[str, object]]:
    """Problems with no, one or two pictures."""
    return [
        {
            "prompt": "<image>" * (i % 3) + " its area",
            "images": [f"{i}.png", f"{i + 1}.png"][: i % 3],
            "answer": "12",
        }
        for i in range(first, first + number)
    ]


@pytest.fixture(scope="session")
def museum(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("museum")
    write_seeing_model(root / "student", "qwen3_vl")
    shutil.copytree(root / "student", root / "teacher")
    write_weights(root / "teacher", bend_words)
    for seed in range(24):
        draw(root / f"{seed}.png", seed)
    return root


@pytest.fixture
def gallery(museum: Path, tmp_path: Path) -> Gallery:
    for path in museum.iterdir():
        (tmp_path / path.name).symlink_to(path)
    found = Gallery(tmp_path)
    found.write_prompts("prompts.jsonl", problems(0, 9))
    found.write_prompts("validation.jsonl", problems(12, 6))
    return found


def events(run: RunDirectory, kind: str) -> list[Event]:
    return [event for event in read_events(run.events_file) if event.kind == kind]


def evaluations(run: RunDirectory) -> dict[int, dict[str, float]]:
    found = (e for e in read_events(run.events_file) if e.kind == "evaluation_finished")
    return {event.step: event.metrics for event in found}


def adapter_file(run: RunDirectory) -> Path:
    checkpoint = last_checkpoint(run)
    assert checkpoint is not None
    return checkpoint / "adapters.safetensors"


def adapter(run: RunDirectory) -> dict[str, mx.array]:
    loaded = mx.load(str(adapter_file(run)))
    assert isinstance(loaded, dict)
    return loaded


def test_a_student_that_sees_moves_towards_its_teacher(gallery: Gallery) -> None:
    run = gallery.create(num_steps=25, eval_every=25, batch_size=8)
    train(run)
    measured = evaluations(run)
    assert measured[25]["eval_reverse_kl"] < 0.6 * measured[0]["eval_reverse_kl"]
    assert_as_described(run)
    (proof,) = (e for e in read_events(run.events_file) if isinstance(e, SelfTestFinished))
    assert proof.passed
    assert {"logprobs_match", "temperature_matches", "base_stays"} <= {c.name for c in proof.checks}


def test_recorded_rollouts_name_their_pictures_and_the_run_keeps_copies(gallery: Gallery) -> None:
    run = gallery.create(num_steps=3)
    train(run)
    records = [
        RolloutRecord.model_validate_json(line)
        for line in run.rollouts_file.read_text().splitlines()
    ]
    for record in records:
        assert record.prompt_index is not None
        assert len(record.pictures) == record.prompt_index % 3
    named = {digest for record in records for digest in record.pictures}
    assert named
    assert named == {path.stem for path in run.pictures.iterdir()}
    for digest in named:
        with Image.open(run.pictures / f"{digest}.png") as copy:
            assert copy.format == "PNG"


def test_a_teacher_equal_to_the_student_is_refused(gallery: Gallery) -> None:
    run = gallery.create(teacher_model=str(gallery.root / "student"))
    with pytest.raises(ProofError, match="different distributions"):
        train(run)


def test_only_the_adapter_of_the_words_is_kept(gallery: Gallery) -> None:
    run = gallery.create()
    train(run)
    names = set(adapter(run))
    assert names
    assert all("vision_tower" not in name and "visual" not in name for name in names)


class StopAfter:
    def __init__(self, step: int) -> None:
        self.stop = StopRequest()
        self.step = step

    def __call__(self, event: Event) -> None:
        if event.kind == "step_finished" and event.step == self.step:
            self.stop.set()


@pytest.mark.parametrize("changes", [{}, {"rollout_reuse": 2, "loss_tokens": 4}])
def test_a_resumed_run_sees_what_an_uninterrupted_one_sees_to_the_bit(
    gallery: Gallery, changes: dict[str, object]
) -> None:
    whole, stopped = gallery.create(**changes), gallery.create(**changes)
    train(whole)
    observer = StopAfter(3)
    with pytest.raises(StoppedError):
        train(stopped, observer, observer.stop)
    assert stopped.state() == "paused"
    train(stopped, checkpoint=last_checkpoint(stopped))
    assert adapter_file(stopped).read_bytes() == adapter_file(whole).read_bytes()
    book = whole.pictures_file.read_bytes()
    assert stopped.pictures_file.read_bytes() == book
    assert evaluations(stopped) == evaluations(whole)


def test_micro_batches_add_up_to_one_batch(gallery: Gallery) -> None:
    one = gallery.create(num_steps=2, batch_size=4, gradient_accumulation_steps=1)
    two = gallery.create(num_steps=2, batch_size=2, gradient_accumulation_steps=2)
    train(one)
    train(two)
    assert parted(adapter(one), adapter(two)) <= SAME_ADAPTER


def test_a_teacher_that_leaves_was_asked_about_pictures_first(gallery: Gallery) -> None:
    run = gallery.create(keep_teacher_loaded=False)
    train(run)
    assert "eval_off_policy_reverse_kl" in evaluations(run)[4]


def test_words_are_equal_and_pictures_are_not(gallery: Gallery) -> None:
    same = [{"prompt": "<image> its area", "images": [f"{i}.png"]} for i in (0, 3, 6, 0)]
    gallery.write_prompts("prompts.jsonl", same)
    with begun(gallery.create()) as work:
        pair = prepare(work)
    first, second, third, again = (prompt.ids for prompt in pair.prompts)
    assert len({first, second, third}) == 3
    assert first == again
    assert all(any(token >= FIRST_PICTURE_ID for token in ids) for ids in (first, second))


def test_accuracy_has_two_controls_that_change_nothing_but_pictures(gallery: Gallery) -> None:
    run = gallery.create()
    train(run)
    measured = evaluations(run)[0]
    for key in ("eval_accuracy", "eval_accuracy_tolerant"):
        assert 0 <= measured[key] <= 1
    for key in ("eval_accuracy_blank", "eval_accuracy_shuffled"):
        assert 0 <= measured[key] <= 1
    without = gallery.create(controls=False)
    train(without)
    assert "eval_accuracy_blank" not in evaluations(without)[0]
    assert evaluations(without)[0]["eval_reverse_kl"] == measured["eval_reverse_kl"]


def test_pictures_are_looked_at_once(gallery: Gallery) -> None:
    run = gallery.create(num_steps=6, eval_every=6, batch_size=8)
    train(run)
    steps = [event.metrics for event in events(run, "step_finished") if event.kind]
    assert steps[-1]["picture_cache_hit_rate"] == 1.0
    assert steps[-1]["picture_cache_mb"] > 0
    forgetful = gallery.create(picture_cache_mb=0, num_steps=2)
    train(forgetful)
    last = events(forgetful, "step_finished")[-1]
    assert last.metrics["picture_cache_hit_rate"] == 0.0


def test_a_model_without_eyes_is_refused_by_name(gallery: Gallery, school: Path) -> None:
    run = gallery.create(
        student_model=str(school / "student"), teacher_model=str(school / "teacher")
    )
    with pytest.raises(ModelError, match="is a text model: it sees no pictures"):
        train(run)


def test_a_teacher_that_cuts_pictures_otherwise_is_refused(gallery: Gallery) -> None:
    write_seeing_model(gallery.root / "older", "qwen2_5_vl")
    run = gallery.create(teacher_model=str(gallery.root / "older"))
    with pytest.raises(ModelError, match="read pictures differently"):
        train(run)


def test_too_many_pictures_are_refused_by_line(gallery: Gallery) -> None:
    gallery.write_prompts("prompts.jsonl", problems(0, 3))
    with pytest.raises(DatasetError) as refused:
        train(gallery.create(max_pictures=1))
    assert refused.value.line == 3
    assert "max_pictures is 1" in refused.value.message


def test_a_broken_picture_is_refused_by_file_and_line(gallery: Gallery) -> None:
    (gallery.root / "torn.png").write_bytes((gallery.root / "0.png").read_bytes()[:200])
    lines = [*problems(0, 3), {"prompt": "<image> its area", "images": ["torn.png"]}]
    gallery.write_prompts("prompts.jsonl", lines)
    with pytest.raises(DatasetError, match=r"torn\.png") as refused:
        train(gallery.create())
    assert refused.value.line == 4


def test_a_prompt_that_is_too_long_is_left_out_whole(gallery: Gallery) -> None:
    run = gallery.create(max_prompt_tokens=30, max_pixels=8192)
    with begun(run) as work:
        pair = prepare(work)
    assert 0 < len(pair.prompts) < 9
    assert any("were left out" in e.message for e in events(run, "warning") if e.kind == "warning")


def test_an_instruction_is_added_where_no_box_is_asked_for() -> None:
    plain: list[dict[str, object]] = [{"role": "user", "content": "How wide?"}]
    boxed = [{"role": "user", "content": "How wide? Answer in \\boxed{}."}]
    parts = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Hm?"}]}]
    asked = "Put it in \\boxed{}."
    assert with_instruction(plain, asked)[0]["content"] == f"How wide?\n{asked}"  # type: ignore[arg-type]
    assert with_instruction(boxed, asked)[0] == boxed[0]  # type: ignore[arg-type]
    assert with_instruction(parts, None)[0] == parts[0]  # type: ignore[arg-type]
    (changed,) = with_instruction(parts, asked)  # type: ignore[arg-type]
    assert changed["content"][-1] == {"type": "text", "text": f"\n{asked}"}  # type: ignore[index,call-overload]


def test_settings_are_those_of_distillation_with_other_defaults() -> None:
    settings = VlmDistillationSettings()
    assert (settings.temperature, settings.ce_weight, settings.lora.rank) == (1.0, 0.0, 32)
    assert (settings.min_pixels, settings.max_pixels) == (65_536, 1_048_576)


def test_a_saved_book_gives_their_numbers_back_to_pictures_in_another_order(
    gallery: Gallery,
) -> None:
    run = gallery.create()
    with begun(run) as work:
        first = {prompt.text: prompt.ids for prompt in prepare(work).prompts[1:3]}
    lines = [{**line, "prompt": f"{line['prompt']}!"} for line in problems(0, 9)]
    gallery.write_prompts("prompts.jsonl", lines[::-1])
    with begun(run) as work:
        again = [prompt.ids for prompt in prepare(work).prompts]
    places = {tuple(i for i in ids if i >= FIRST_PICTURE_ID) for ids in first.values()}
    assert places <= {tuple(i for i in ids if i >= FIRST_PICTURE_ID) for ids in again}
