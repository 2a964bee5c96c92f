"""What the check passes a run loads, and what a run would refuse the check refuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import pytest

from OnPolicyDistill.config import SftConfig, parse_config
from OnPolicyDistill.errors import InputError
from OnPolicyDistill.models.embedded import TinyShape, write_random_model, write_tokenizer
from OnPolicyDistill.planning.checkup import check_run
from OnPolicyDistill.runs.directory import create_run
from OnPolicyDistill.runs.events import StepFinished
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.trainers.sft import train

PAIRS = [("third of March", "03-03"), ("fourth of May", "05-04")]
SHAPE = TinyShape(32, 2, 2, 1, 64, 288, True)

Damage = Callable[[Path], None]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    write_tokenizer(folder, [text for pair in PAIRS for text in pair] * 2, 280)
    write_random_model(folder, SHAPE, 0)
    return folder


def remove(*names: str) -> Damage:
    def damage(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return damage


def write(name: str, content: str | bytes) -> Damage:
    def damage(folder: Path) -> None:
        data = content if isinstance(content, bytes) else content.encode()
        (folder / name).write_bytes(data)

    return damage


def cut(name: str, num_bytes: int) -> Damage:
    def damage(folder: Path) -> None:
        (folder / name).write_bytes((folder / name).read_bytes()[:num_bytes])

    return damage


def say(**values: object) -> Damage:
    """Change keys of config.json; None takes one out."""

    def damage(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text()) | values
        kept = {key: value for key, value in config.items() if value is not None}
        (folder / "config.json").write_text(json.dumps(kept))

    return damage


def change_tensors(change: Callable[[dict[str, mx.array]], None]) -> Damage:
    def damage(folder: Path) -> None:
        file = folder / "model.safetensors"
        tensors = mx.load(str(file))
        assert isinstance(tensors, dict)
        mx.eval(tensors)
        change(tensors)
        mx.save_safetensors(str(file), tensors)

    return damage


def without(name: str) -> Damage:
    def drop(tensors: dict[str, mx.array]) -> None:
        del tensors[name]

    return change_tensors(drop)


def shaped(name: str, *shape: int) -> Damage:
    def reshape(tensors: dict[str, mx.array]) -> None:
        tensors[name] = mx.zeros(shape)

    return change_tensors(reshape)


def extended_layers(tensors: dict[str, mx.array]) -> None:
    for name in [name for name in tensors if ".layers.1." in name]:
        tensors[name.replace(".layers.1.", ".layers.2.")] = tensors[name]


def index_names(*files: str) -> Damage:
    """An index that says that tensors are in these files."""
    weight_map = {f"tensor.{number}": name for number, name in enumerate(files)}
    return write("model.safetensors.index.json", json.dumps({"weight_map": weight_map}))


def templated(source: str) -> Damage:
    return write("chat_template.jinja", source)


def no_end(folder: Path) -> None:
    (folder / "generation_config.json").unlink(missing_ok=True)
    say(eos_token_id=None)(folder)
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if (folder / name).is_file():
            values = json.loads((folder / name).read_text())
            values.pop("eos_token", None)
            (folder / name).write_text(json.dumps(values))


def fewer_rows(folder: Path) -> None:
    say(vocab_size=268)(folder)
    shaped("model.embed_tokens.weight", 268, 32)(folder)


LAYER = "model.layers.1."
DAMAGES: dict[str, Damage] = {
    "no config": remove("config.json"),
    "empty config": write("config.json", ""),
    "config is text": write("config.json", "model"),
    "config is a list": write("config.json", "[1]"),
    "config is no UTF-8": write("config.json", b"\xff\xfe{"),
    "no model type": say(model_type=None),
    "unknown model type": say(model_type="perceptron"),
    "no hidden size": say(hidden_size=None),
    "hidden size is text": say(hidden_size="32"),
    "hidden size is 0": say(hidden_size=0),
    "hidden size is negative": say(hidden_size=-32),
    "hidden size is huge": say(hidden_size=10**30),
    "another hidden size": say(hidden_size=64),
    "more layers": say(num_hidden_layers=3),
    "fewer layers": say(num_hidden_layers=1),
    "another feed-forward width": say(intermediate_size=96),
    "another number of heads": say(num_attention_heads=4),
    "another number of key heads": say(num_key_value_heads=2),
    "another vocabulary": say(vocab_size=300),
    "a head that is not tied": say(tie_word_embeddings=False),
    "no weights": remove("model.safetensors"),
    "weights of PyTorch": lambda folder: (
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin") and None
    ),
    "empty weights": write("model.safetensors", b""),
    "weights are text": write("model.safetensors", "version https://git-lfs.github.com/spec/v1\n"),
    "weights cut short": cut("model.safetensors", 20_000),
    "header cut short": cut("model.safetensors", 100),
    "no embedding": without("model.embed_tokens.weight"),
    "no last norm": without("model.norm.weight"),
    "no query projection": without(f"{LAYER}self_attn.q_proj.weight"),
    "query projection of another shape": shaped(f"{LAYER}self_attn.q_proj.weight", 16, 32),
    "layers of another model": change_tensors(extended_layers),
    "an index of a missing shard": index_names("model-00001-of-00002.safetensors"),
    "an index that is a list": write("model.safetensors.index.json", "[]"),
    "an index without a map": write("model.safetensors.index.json", "{}"),
    "no tokenizer": remove("tokenizer.json"),
    "empty tokenizer": write("tokenizer.json", ""),
    "tokenizer is a list": write("tokenizer.json", "[]"),
    "tokenizer cut short": cut("tokenizer.json", 500),
    "tokenizer config is text": write("tokenizer_config.json", "none"),
    "no template": remove("chat_template.jinja"),
    "a template with an error": templated("{% for m in messages %}{{ m.content }"),
    "a template without end": templated("{% for i in range(10**9) %}{{ i }}{% endfor %}"),
    "a template that leaves answers out": templated(
        "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}"
    ),
    "a template that refuses": templated("{{ raise_exception('no') }}"),
    "no end token": no_end,
    "fewer rows than tokens": fewer_rows,
    "generation config is text": write("generation_config.json", "none"),
}


def settings_for(folder: Path, tmp_path: Path) -> SftConfig:
    file = tmp_path / "conversations.jsonl"
    lines = [{"prompt": prompt, "completion": answer} for prompt, answer in PAIRS]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    held_out = tmp_path / "held_out.jsonl"
    held_out.write_text(json.dumps({"prompt": "asked of nobody yet", "completion": "so"}) + "\n")
    values = {
        "model": str(folder),
        "conversations": str(file),
        "validation_conversations": str(held_out),
        "num_steps": 1,
        "batch_size": 1,
    }
    config = parse_config({"method": "sft", "sft": values})
    assert isinstance(config, SftConfig)
    return config


def refused_by_check(config: SftConfig, tmp_path: Path) -> str | None:
    errors = [f for f in check_run(config, tmp_path).findings if f.severity == "error"]
    return errors[0].message if errors else None


def refused_by_train(config: SftConfig, tmp_path: Path) -> str | None:
    """What a run says that is refused; it must be said in words, before the first step."""
    run = create_run(tmp_path, config)
    try:
        train(run)
    except InputError as error:
        assert not [e for e in read_events(run.events_file) if isinstance(e, StepFinished)]
        return error.message
    return None


@pytest.mark.parametrize("name", DAMAGES)
def test_check_refuses_a_damaged_folder_as_train_does(
    name: str, model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(model, folder)
    DAMAGES[name](folder)
    config = settings_for(folder, tmp_path)
    by_check, by_train = refused_by_check(config, tmp_path), refused_by_train(config, tmp_path)
    assert by_train is not None
    assert by_check is not None
    assert "traceback" not in by_train.lower()


def test_a_sound_folder_is_refused_by_neither(model: Path, tmp_path: Path) -> None:
    config = settings_for(model, tmp_path)
    assert refused_by_check(config, tmp_path) is None
    assert refused_by_train(config, tmp_path) is None


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused_when_they_are_read(
    value: float, model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(model, folder)

    def spoil(tensors: dict[str, mx.array]) -> None:
        name = f"{LAYER}mlp.up_proj.weight"
        tensors[name] = mx.where(mx.arange(32) == 3, value, tensors[name])

    change_tensors(spoil)(folder)
    told = refused_by_train(settings_for(folder, tmp_path), tmp_path)
    assert told is not None
    assert "not finite" in told
    assert "mlp.up_proj" in told
