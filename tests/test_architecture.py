"""The rooms: what the documents say is what the linter enforces and what processes load."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_the_documented_layers_are_the_enforced_ones() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    block = re.search(r"<!-- layers -->(.*?)<!-- /layers -->", text, re.DOTALL)
    assert block is not None
    documented = [line.removeprefix("- ") for line in block.group(1).split("\n") if line]
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    assert documented == layers


@pytest.mark.parametrize(
    "module",
    [
        "OnPolicyDistill.config",
        "OnPolicyDistill.runs.reporting",
        "OnPolicyDistill.datasets.linter",
        "OnPolicyDistill.registry",
        "OnPolicyDistill.planning.plan",
        "OnPolicyDistill.cli.app",
        "backend.app",
        "backend.command",
    ],
)
def test_the_plain_half_and_the_web_process_load_no_mlx_and_no_rewards(module: str) -> None:
    code = f"import {module}, sys; print([m for m in sys.modules if NAMES.match(m)])"
    names = r"(mlx|mlx_lm|transformers|OnPolicyDistill\.rewards)(\.|$)"
    code = f"import re; NAMES = re.compile({names!r})\n{code}"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert found.stdout.strip() == "[]"


def test_the_library_imports_nothing_by_name() -> None:
    """The linter reads import statements only, so a module named in a string would pass it."""
    by_name = re.compile(r"\b(import_module|__import__|run_module|entry_points)\b")
    found = [
        str(file.relative_to(ROOT))
        for file in (ROOT / "OnPolicyDistill").rglob("*.py")
        if by_name.search(file.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_the_web_process_reads_models_and_data_behind_the_door_only() -> None:
    """Whoever asks imports questions; the readers themselves belong to the process behind."""
    readers = re.compile(
        r"\b(load_tokenizer_files|ChatTemplate|describe_model|read_header|read_tensors|read_config"
        r"|stored_layers|plan_run|plan_start|forecast_of|check_run|check_pair|check_pair_by_name"
        r"|peft_obstacle|gguf_obstacle|make_workload|read_adapter_config|facts_of_run"
        r"|lint_prompts|lint_inputs|lint_conversations|sight_of_folder|refuse_unusable_folder)\b"
    )
    behind = {"backend/door/questions.py", "backend/prompt_sets/lint.py"}
    found = {
        str(file.relative_to(ROOT))
        for file in (ROOT / "backend").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        and any(readers.fullmatch(alias.name) for alias in node.names)
    }
    assert found == behind
