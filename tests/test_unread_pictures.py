"""Lines with pictures are refused, with file and line, by whatever would read words alone."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from pydantic import ValidationError

from OnPolicyDistill.config import RunConfig, parse_config
from OnPolicyDistill.errors import DatasetError, DistillError
from OnPolicyDistill.evaluation.labelled_run import evaluate_run
from OnPolicyDistill.evaluation.playground_messages import ChatMessage
from OnPolicyDistill.planning.checkup import check_run
from OnPolicyDistill.planning.plan import plan_run
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.trainers import on_policy, sft
from OnPolicyDistill.trainers.prompt_distillation import train as prompt_distillation
from tests.backend.tiny import write_jsonl, write_tiny_model

TRAIN: dict[str, Callable[[RunDirectory], object]] = {
    "distillation": on_policy.train,
    "sft": sft.train,
    "prompt_distillation": prompt_distillation.train,
    "evaluation": evaluate_run,
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, good files, and for every form of data files whose third line has a picture."""
    root = tmp_path_factory.mktemp("unread")
    write_tiny_model(root / "model")
    (root / "prompt.txt").write_text("Say a or b.")
    stream = BytesIO()
    Image.new("RGB", (40, 20)).save(stream, "PNG")
    (root / "a.png").write_bytes(stream.getvalue())
    uri = "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
    asked = [{"role": "user", "content": [{"type": "image", "image": "a.png"}, {"text": "Which?"}]}]
    sent = [{"type": "image_url", "image_url": {"url": uri}}, {"type": "text", "text": "Which?"}]
    said = {"role": "assistant", "content": "the third of March"}
    turns = [{"from": "human", "value": "<image>\nWhich?"}, {"from": "gpt", "value": "a"}]
    lines = {
        "prompts": ({"prompt": "the {} of March", "answer": "a"}, {
            "images": {"prompt": "Which?", "images": ["a.png"]},
            "parts": {"messages": asked},
            "data": {"messages": [{"role": "user", "content": sent}]},
            "llava": {"conversations": turns, "image": "a.png"},
            "lost": {"prompt": "<image>\nWhich?"},
        }),
        "conversations": ({"prompt": "the {} of March", "completion": "half past six"}, {
            "images": {"prompt": "Which?", "completion": "a", "images": ["a.png"]},
            "parts": {"messages": [*asked, said]},
            "data": {"messages": [{"role": "user", "content": sent}, said]},
            "llava": {"conversations": turns, "image": "a.png"},
            "lost": {"conversations": turns},
        }),
        "inputs": ({"text": "the {} of March", "label": "a"}, {
            "images": {"text": "Which?", "images": ["a.png"], "label": "a"},
            "parts": {"text": "Which?", "image": {"path": "a.png"}, "label": "a"},
            "data": {"text": "Which?", "image": uri, "label": "a"},
            "llava": {"text": "<image>\nWhich?", "image": "a.png", "label": "a"},
            "lost": {"text": "<image>\nWhich?", "label": "b"},
        }),
    }  # fmt: skip
    for name, (plain, pictured) in lines.items():
        good = [json.loads(json.dumps(plain).replace("{}", str(number))) for number in range(4)]
        write_jsonl(root / f"{name}.jsonl", good)
        for form, line in pictured.items():
            write_jsonl(root / f"{name}-{form}.jsonl", [*good[:2], line, good[2]])
    return root


FORMS = ("images", "parts", "data", "llava", "lost")
# Every setting that names a file of data: block, form of the file, setting.
FILES = [
    ("distillation", "prompts", "prompts"),
    ("distillation", "prompts", "validation_prompts"),
    ("sft", "conversations", "conversations"),
    ("sft", "conversations", "validation_conversations"),
    ("prompt_distillation", "inputs", "inputs"),
    ("prompt_distillation", "inputs", "validation_inputs"),
    ("evaluation", "inputs", "inputs"),
]


def config_of(root: Path, block: str, **files: Path) -> RunConfig:
    model = str(root / "model")
    pair = {"student_model": model, "teacher_model": model, "num_steps": 1}
    values: dict[str, dict[str, object]] = {
        "distillation": {
            **pair,
            "prompts": str(root / "prompts.jsonl"),
            "validation_prompts": str(root / "prompts.jsonl"),
        },
        "sft": {
            "model": model,
            "num_steps": 1,
            "conversations": str(root / "conversations.jsonl"),
            "validation_conversations": str(root / "conversations.jsonl"),
        },
        "prompt_distillation": {
            **pair,
            "teacher_prompt": str(root / "prompt.txt"),
            "inputs": str(root / "inputs.jsonl"),
            "validation_inputs": str(root / "inputs.jsonl"),
        },
        "evaluation": {
            "variants": [{"name": "model", "model": model}],
            "inputs": str(root / "inputs.jsonl"),
        },
    }
    named = {key: str(file) for key, file in files.items()}
    return parse_config({block: values[block] | named})


def told(form: str) -> str:
    words = "the line names none" if form == "lost" else "The line has a picture"
    return rf"-{form}\.jsonl, line 3: .*{words}"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("block", "kind", "key"), FILES)
def test_a_run_is_refused_before_its_first_step(
    root: Path, tmp_path: Path, block: str, kind: str, key: str, form: str
) -> None:
    run = create_run(tmp_path, config_of(root, block, **{key: root / f"{kind}-{form}.jsonl"}))
    with pytest.raises(DistillError, match=told(form)):
        TRAIN[block](run)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("block", "kind", "key"), FILES)
def test_a_check_names_the_line_at_its_setting(
    root: Path, tmp_path: Path, block: str, kind: str, key: str, form: str
) -> None:
    config = config_of(root, block, **{key: root / f"{kind}-{form}.jsonl"})
    report = check_run(config, tmp_path)
    assert report.verdict == "error"
    found = next(found for found in report.findings if found.field == f"{block}.{key}")
    assert found.severity == "error"
    assert found.code == ("missing_picture" if form == "lost" else "unread_picture")
    with pytest.raises(DatasetError, match=told(form)):
        raise DatasetError(found.message)
    good = check_run(config_of(root, block), tmp_path)
    assert not [found for found in good.findings if "picture" in found.message]


@pytest.mark.parametrize("form", [form for form in FORMS if form != "lost"])
@pytest.mark.parametrize(("block", "kind", "key"), FILES)
def test_a_plan_is_refused_in_words(
    root: Path, tmp_path: Path, block: str, kind: str, key: str, form: str
) -> None:
    config = config_of(root, block, **{key: root / f"{kind}-{form}.jsonl"})
    with pytest.raises(DatasetError, match=told(form)):
        plan_run(config, 16, "m3-ultra")
    assert plan_run(config_of(root, block), 16, "m3-ultra").parts


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([{"type": "image", "image": "a.png"}], "should be a valid string"),
        ("<image>\nWhich?", "none is given"),
        ("Which?\n<image>", "none is given"),
    ],
)
def test_the_playground_drops_no_picture_that_words_hold(content: object, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ChatMessage.model_validate({"role": "user", "content": content})
    assert ChatMessage(role="user", content="What is the <image> tag?").content
    assert ChatMessage(role="assistant", content="<image>").content
