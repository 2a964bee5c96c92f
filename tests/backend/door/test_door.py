"""Files that nobody vouches for are read in processes that can be ended, whatever is in them."""

from __future__ import annotations

import json
import shutil
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import psutil
import pytest

from backend.door.asked import Limits
from backend.door.behind import answer_of
from backend.door.door import DOOR, Door
from backend.door.folders import facts_of_folder
from backend.door.questions import (
    CheckQuestion,
    FolderFacts,
    FolderQuestion,
    LintQuestion,
    PairQuestion,
)
from OnPolicyDistill.datasets.linter import LintReport
from OnPolicyDistill.errors import ConfigError, ModelError
from OnPolicyDistill.planning.check_report import CheckReport
from OnPolicyDistill.planning.pair import PairReport
from tests.backend.tiny import write_tiny_model

SMALL = 400_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path / "model")


@pytest.fixture
def door() -> Iterator[Door]:
    door = Door()
    yield door
    door.close()


def change_json(file: Path, **values: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def write_bomb(folder: Path) -> None:
    """Six replacements that make 10^18 letters of one."""
    replace = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 1000}
    normalizer = {"type": "Sequence", "normalizers": [replace] * 6}
    change_json(folder / "tokenizer.json", normalizer=normalizer)


def write_header(folder: Path, header: bytes) -> None:
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))


def lines(tmp_path: Path) -> Path:
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": "a and a"}\n' * 3)
    return file


class SmallLint(LintQuestion):
    """The same question with little memory and little time."""

    limits: ClassVar[Limits] = Limits(SMALL, 20, 20.0)


def test_a_sound_folder_is_described(folder: Path) -> None:
    facts = DOOR.ask(FolderQuestion(folder=folder), FolderFacts)
    assert (facts.family, facts.bits, facts.has_template) == ("qwen2", 32, True)
    assert facts.vocab_size == 283
    assert facts_of_folder(folder) == facts


def test_a_tokenizer_that_grows_without_end_is_ended_and_the_asker_stays_small(
    folder: Path, tmp_path: Path
) -> None:
    write_bomb(folder)
    before = psutil.Process().memory_info().rss
    question = SmallLint(file=lines(tmp_path), set_kind="prompts", folder=folder)
    with pytest.raises(ModelError, match=r"cannot be read: (it takes more|there is no memory)"):
        DOOR.ask(question, LintReport)
    assert psutil.Process().memory_info().rss < before + 50_000_000


COLLECTED = (
    "{%% set ns = namespace(x=[]) %%}{%% for i in range(999) %%}"
    "{%% set ns.x = ns.x + [range(99999)|%s|list] %%}{%% endfor %%}{{ ns.x|length }}"
)
TEMPLATE_BOMBS = {
    "center": "{{ ('a'|center(999999))|center(999999) }}" * 2000,
    "replace": "{% set x = 'a' * 1000 %}"
    "{% set x = x|replace('a', x) %}{% set x = x|replace('a', x) %}",
    "join": "{% set x = (['a' * 999999] * 999)|join %}{{ x|length }}",
    "doubling": "{% set ns = namespace(x='a') %}{% for i in range(40) %}"
    "{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x|length }}",
    "sum": "{% set ns = namespace(x=[1]) %}{% for i in range(40) %}"
    "{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x|length }}",
    "indent": "{% set x = ('a\n' * 900000)|indent(9999) %}{{ x|length }}",
    "format": "{% for i in range(9000) %}{{ '%999999s'|format('a') }}{% endfor %}",
    "slice": COLLECTED % "slice(1)",
    "batch": COLLECTED % "batch(99999)",
}


@pytest.mark.parametrize("name", TEMPLATE_BOMBS)
def test_a_template_that_fills_the_memory_is_ended(name: str, folder: Path, tmp_path: Path) -> None:
    (folder / "chat_template.jinja").write_text(TEMPLATE_BOMBS[name])
    before = psutil.Process().memory_info().rss
    question = SmallLint(file=lines(tmp_path), set_kind="prompts", folder=folder)
    with pytest.raises(ModelError, match=r"it takes more than|no memory|not come to an end"):
        DOOR.ask(question, LintReport)
    assert psutil.Process().memory_info().rss < before + 50_000_000


@pytest.mark.parametrize(
    "header",
    [
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[]}}',
        b'{"a":{"dtype":"F32","shape":[1e999],"data_offsets":[0,4]}}',
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,1e999]}}',
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,' + b"9" * 5000 + b"]}}",
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"[]",
        b"\xff\xfe",
    ],
)
def test_a_header_of_any_kind_is_an_unreadable_folder(header: bytes, folder: Path) -> None:
    write_header(folder, header)
    with pytest.raises(ModelError, match=r"damaged|cannot be read"):
        DOOR.ask(FolderQuestion(folder=folder), FolderFacts)


@pytest.mark.parametrize(
    "values",
    [
        {"model_type": "\ud800"},
        {"hidden_size": 10**300},
        {"num_hidden_layers": 10**12},
        {"vocab_size": 1e308},
        {"hidden_size": -1},
        {"model_type": ["qwen2"]},
        {"text_config": {"hidden_size": "many"}},
        {"quantization": {"bits": 10**400}},
    ],
)
def test_a_config_of_any_kind_is_answered(values: dict[str, object], folder: Path) -> None:
    change_json(folder / "config.json", **values)
    try:
        facts = DOOR.ask(FolderQuestion(folder=folder), FolderFacts)
    except ModelError as error:
        str(error).encode()
    else:
        facts.model_dump_json().encode()
        assert facts.parameters < 10**20


def test_a_panic_of_the_tokenizers_library_is_told_in_words(folder: Path) -> None:
    broken = {"type": "Precompiled", "precompiled_charsmap": "AAAA"}
    change_json(folder / "tokenizer.json", normalizer=broken)
    with pytest.raises(ModelError, match=r"is damaged \(PanicException"):
        DOOR.ask(FolderQuestion(folder=folder), FolderFacts)


def test_one_bad_folder_does_not_stand_in_the_way_of_others(folder: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    shutil.copytree(folder, bad)
    write_header(bad, b"[" * 100_000)
    with pytest.raises(ModelError):
        facts_of_folder(bad)
    assert facts_of_folder(folder).family == "qwen2"
    shutil.copy(folder / "model.safetensors", bad / "model.safetensors")
    assert facts_of_folder(bad).family == "qwen2"


def test_what_the_reader_raises_arrives_as_it_was(tmp_path: Path) -> None:
    config = {"method": "on_policy", "distillation": {"temperature": 9}}
    with pytest.raises(ConfigError) as raised:
        DOOR.ask(CheckQuestion(config=config, workspace=tmp_path), CheckReport)
    assert [field for field, _ in raised.value.locations] == ["distillation.temperature"]
    with pytest.raises(ModelError, match="in the registry"):
        DOOR.ask(PairQuestion(student="no/such", teacher="qwen2.5-7b"), PairReport)


def test_an_answer_that_takes_too_long_is_ended(door: Door, folder: Path, tmp_path: Path) -> None:
    class Hurried(LintQuestion):
        limits: ClassVar[Limits] = Limits(SMALL, 60, 0.05)

    loop = "{% for i in range(999) %}"
    endless = loop + loop + "{{ 'a'|center(9) }}{% endfor %}{% endfor %}"
    (folder / "chat_template.jinja").write_text(endless)
    with pytest.raises(ModelError, match=r"takes more than 0\.05 seconds"):
        door.ask(Hurried(file=lines(tmp_path), set_kind="prompts", folder=folder), LintReport)
    assert door.ask(FolderQuestion(folder=folder), FolderFacts).family == "qwen2"


def test_the_process_behind_may_be_killed(door: Door, folder: Path) -> None:
    door.ask(FolderQuestion(folder=folder), FolderFacts)
    (behind,) = [
        child
        for child in psutil.Process().children()
        if "backend.door.behind" in child.cmdline() and child.pid == door.pid
    ]
    behind.kill()
    behind.wait()
    assert door.ask(FolderQuestion(folder=folder), FolderFacts).family == "qwen2"


def test_many_threads_may_ask_at_once(door: Door, folder: Path) -> None:
    answers: list[str] = []

    def ask() -> None:
        answers.append(door.ask(FolderQuestion(folder=folder), FolderFacts).family)

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["qwen2"] * 12


def test_nothing_stays_open_behind_a_question(door: Door, folder: Path) -> None:
    door.ask(FolderQuestion(folder=folder), FolderFacts)
    before = psutil.Process().num_fds()
    for _ in range(5):
        door.ask(FolderQuestion(folder=folder), FolderFacts)
    assert psutil.Process().num_fds() == before


def test_no_memory_is_told_as_such(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: FolderQuestion) -> FolderFacts:
        raise MemoryError

    monkeypatch.setattr(FolderQuestion, "answer", full)
    assert json.loads(answer_of(FolderQuestion(folder=folder))) == {"error": {"type": "memory"}}
