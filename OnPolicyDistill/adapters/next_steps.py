"""What to type next in mlx-lm, LM Studio, Ollama and others for each form; loads no model.

Only what those programs document for that kind of files: Ollama reads GGUF, and of folders with
safetensors those whose architecture its MLX engine knows; LM Studio takes whole models, GGUF by
`lms import` and folders by their place below its models.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from OnPolicyDistill.adapters.forms import ExportForm
from OnPolicyDistill.adapters.measured import NextStep

# Of the families that Ollama's MLX engine imports, those that mlx-lm stores under the same names.
OLLAMA_FAMILIES = ("qwen3",)
PUBLISHER = "onpolicydistill"
PROMPT = '--prompt "Hello"'
PICTURED = f"--image PICTURE {PROMPT}"
MLX_LM, MLX_VLM, LM_STUDIO, OLLAMA = "mlx-lm", "mlx-vlm", "LM Studio", "Ollama"


@dataclass(frozen=True, slots=True)
class Written:
    """An export as other programs meet it.

    `base` is what they call the model under an adapter, a folder or a hub id; `name` is short and
    made for lists; `family` is the model type in config.json. `file` is the GGUF file. `only_words`
    is False where the model sees; `adapts_experts` says so of an adapter.
    """

    form: ExportForm
    path: str
    base: str
    name: str
    family: str
    is_packed: bool = False
    sees: bool = False
    adapts_experts: bool = False
    file: str = ""


def next_steps(written: Written) -> tuple[NextStep, ...]:
    """What to type for an export, program by program; nothing for one that nobody else loads."""
    match written.form:
        case "adapter":
            return _beside_the_base(written)
        case "peft":
            return (NextStep(program="PEFT", commands=_peft(written), language="python"),)
        case "gguf":
            return _of_a_file(written)
        case _:
            return _of_a_folder(written)


def _beside_the_base(written: Written) -> tuple[NextStep, ...]:
    where = f"--model {shlex.quote(written.base)} --adapter-path {shlex.quote(written.path)}"
    if written.sees:
        # mlx-vlm cannot load adapters on experts.
        return () if written.adapts_experts else _mlx(MLX_VLM, "mlx_vlm", where, PICTURED)
    return _mlx(MLX_LM, "mlx_lm", where, PROMPT)


def _mlx(program: str, module: str, where: str, asked: str) -> tuple[NextStep, ...]:
    commands = (f"{module}.generate {where} {asked}", f"{module}.server {where}")
    return (NextStep(program=program, commands=commands),)


def _peft(written: Written) -> tuple[str, ...]:
    base, path = repr(written.base), repr(written.path)
    return (
        "from peft import PeftModel",
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        f"base = AutoModelForCausalLM.from_pretrained({base})",
        f"tokenizer = AutoTokenizer.from_pretrained({base})",
        f"model = PeftModel.from_pretrained(base, {path})",
    )


def _of_a_folder(written: Written) -> tuple[NextStep, ...]:
    path = shlex.quote(written.path)
    where = f"--model {path}"
    if written.sees:
        steps = _mlx(MLX_VLM, "mlx_vlm", where, PICTURED)
    else:
        steps = _mlx(MLX_LM, "mlx_lm", where, PROMPT)
    shelf = f"~/.lmstudio/models/{PUBLISHER}"
    place = f"{shelf}/{shlex.quote(written.name)}"
    copied = (f"mkdir -p {shelf} && cp -R {path} {place}", "lms chat")
    steps += (NextStep(program=LM_STUDIO, commands=copied),)
    if written.family in OLLAMA_FAMILIES and not written.is_packed:
        steps += (_ollama(written.path, written.name),)
    return steps


def _of_a_file(written: Written) -> tuple[NextStep, ...]:
    file = shlex.quote(written.file)
    repository = shlex.quote(f"{PUBLISHER}/{written.name}")
    brought = (f"lms import {file} --copy --user-repo {repository}", "lms chat")
    return (
        NextStep(program=LM_STUDIO, commands=brought),
        _ollama(written.file, written.name),
        NextStep(program="llama.cpp", commands=(f"llama-cli -m {file}",)),
    )


def _ollama(source: str, name: str) -> NextStep:
    """A Modelfile takes the rest of its line as the path, so nothing in it is quoted."""
    line, short = shlex.quote(f"FROM {source}"), shlex.quote(name.lower())
    commands = (
        f"printf '%s\\n' {line} > Modelfile",
        f"ollama create {short} -f Modelfile",
        f"ollama run {short}",
    )
    return NextStep(program=OLLAMA, commands=commands)
