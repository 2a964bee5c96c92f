"""The opd command in this process, in a workspace of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from backend.command import main
from benchmarks.pair import Scale, write_pair


@dataclass(frozen=True)
class Outcome:
    """How a command ended and what it printed."""

    exit_code: int
    out: str
    err: str

    def json(self) -> object:
        """The last line as JSON."""
        return json.loads(self.out.splitlines()[-1])


Opd = Callable[..., Outcome]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work space ü"
    monkeypatch.setenv("OPD_WORKSPACE", str(folder))
    return folder


@pytest.fixture
def opd(workspace: Path, capsys: pytest.CaptureFixture[str]) -> Opd:
    def run(*arguments: str) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        printed = capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return Outcome(code, printed.out, printed.err)

    return run


TINY = Scale(
    student_size=32,
    teacher_size=48,
    student_layers=1,
    teacher_layers=2,
    vocab_size=300,
    max_tokens=6,
    num_prompts=24,
    num_steps=3,
)


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `student`, `teacher`, `prompts.jsonl`, `held_out.jsonl` and `config.yaml`.

    What `validation.jsonl` holds is trained on as well, and the config does not name it.
    """
    root = tmp_path_factory.mktemp("pair")
    write_pair(root, TINY)
    prompt = json.loads((root / "validation.jsonl").read_text(encoding="utf-8"))["prompt"]
    held_out = json.dumps({"prompt": " ".join([*prompt.split(), *prompt.split()])})
    (root / "held_out.jsonl").write_text(held_out + "\n", encoding="utf-8")
    values = {
        "teacher_model": str(root / "teacher"),
        "student_model": str(root / "student"),
        "prompts": str(root / "prompts.jsonl"),
        "validation_prompts": str(root / "held_out.jsonl"),
        "num_steps": TINY.num_steps,
        "batch_size": 2,
        "gradient_accumulation_steps": 1,
        "max_generation_tokens": TINY.max_tokens,
        "eval_every": 2,
        "checkpoint_every": 2,
        "lora": {"rank": 2},
    }
    (root / "config.yaml").write_text(json.dumps({"distillation": values}), encoding="utf-8")
    return root
