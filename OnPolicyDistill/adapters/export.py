"""Taking a trained student away: the adapter, PEFT's form of it, a fused or packed model, GGUF.

Every form is a folder that is there whole or not at all, with a card that says what it is.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path

import mlx.core as mx
from mlx_lm.gguf import convert_to_gguf
from mlx_lm.utils import quantize_model, save_config

from OnPolicyDistill.adapters.card import CardFacts, write_card
from OnPolicyDistill.adapters.files import copy_adapter
from OnPolicyDistill.adapters.forms import ExportForm, gguf_obstacle
from OnPolicyDistill.adapters.fuse import Progress, fuse
from OnPolicyDistill.adapters.peft import write_peft
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.files import whole_folder
from OnPolicyDistill.models.loading import open_model
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.models.saving import save_weights
from OnPolicyDistill.models.seeing import SeeingModel
from OnPolicyDistill.models.weight_files import read_json
from OnPolicyDistill.planning.saved_adapters import read_adapter_config
from OnPolicyDistill.planning.targets import LinearMap
from OnPolicyDistill.stopping import check_stop

GGUF_FILE = "model-f16.gguf"
PACKED_NOTE = """\
# {base} is quantized by MLX, and transformers cannot load it: name the
# model that it was made from. The adapter has learned on the rounded weights.
"""
WORDS_SIDE = "language_model."
EXPERTS_NOTE = """\
# mlx-vlm cannot load adapters on experts: export it fused to use it there."""
PEFT_USAGE = """\
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base = AutoModelForCausalLM.from_pretrained("{base}")
tokenizer = AutoTokenizer.from_pretrained("{base}")
model = PeftModel.from_pretrained(base, "{adapter}")"""


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What to write and where. `bits` and `group_size` are those of the quantized form.

    `dequantize` unpacks a quantized base model in the fused form; the quantized and GGUF forms
    always do, since packing packed weights again would round twice.
    """

    form: ExportForm
    target: Path
    bits: int = 4
    group_size: int = 64
    dequantize: bool = False


def export_adapter(source: Path, target: Path, facts: CardFacts) -> Path:
    """Copy an adapter, without the optimizer beside it, into a folder with a card.

    Raises:
        ModelError: the source is no LoRA adapter.
        InputError: the target exists.
        DiskFullError: the disk has no room.
    """
    keys = read_adapter_config(source).lora_parameters.keys or ()
    with _whole_folder(target) as folder:
        copy_adapter(source, folder)
        where = f"--model {_findable(facts)} --adapter-path {target.name}"
        sees = any(key.startswith(WORDS_SIDE) for key in keys)
        _write_card(folder, replace(facts, sees=sees), _adapter_usage(keys, where))
    return target


def _adapter_usage(keys: Sequence[str], where: str) -> str:
    """How an adapter is used: by mlx-vlm where its keys are whole paths, as save_adapter has it."""
    if not any(key.startswith(WORDS_SIDE) for key in keys):
        return f"mlx_lm.generate {where}"
    if any(LinearMap(key, 0, 0).is_expert for key in keys):
        return EXPERTS_NOTE
    return f"mlx_vlm.generate {where} --image PICTURE"


def export_peft(source: Path, target: Path, facts: CardFacts, base: Path | None) -> Path:
    """Write an adapter in PEFT's form into a folder with a card; the model is not loaded.

    `base` is the folder of the model under it, where that is on this machine: the names in its
    files then decide whether PEFT finds the layers.

    Raises:
        ModelError: the source is no LoRA adapter, or PEFT cannot express it.
        InputError: the target exists.
        DiskFullError: the disk has no room.
    """
    with _whole_folder(target) as folder:
        write_peft(source, folder, facts.base_model, base)
        found = _findable(facts)
        packed = base is not None and "quantization" in read_json(base / "config.json")
        note = PACKED_NOTE.format(base=found) if packed else ""
        usage = note + PEFT_USAGE.format(base=found, adapter=target.name)
        _write_card(folder, replace(facts, library="peft"), usage)
    return target


def _findable(facts: CardFacts) -> str:
    """The base model's name; one that the hub does not know is a folder's, wherever that is."""
    return facts.base_model if "/" in facts.base_model else f"PATH/TO/{facts.base_model}"


def export_model(
    policy: Policy, request: ExportRequest, facts: CardFacts, progress: Progress
) -> Path:
    """Write a policy with its adapter folded in: fused, quantized, or GGUF.

    The live model stays as it is.

    Raises:
        ModelError: the policy has no adapter, or its family cannot be written as GGUF.
        InputError: the target exists.
        DiskFullError: the disk has no room.
    """
    if request.form == "gguf":
        _require_gguf(policy)
    with _whole_folder(request.target) as folder:
        fuse(policy, folder, request.dequantize or request.form != "fused", progress)
        usage = f"mlx_lm.generate --model {request.target.name}"
        if policy.sight is not None:
            usage = f"mlx_vlm.generate --model {request.target.name} --image PICTURE"
        if request.form == "quantized":
            _quantize(folder, request, progress)
        if request.form == "gguf":
            _convert(folder, progress)
            usage = f"llama-cli -m {request.target.name}/{GGUF_FILE}"
        _write_card(folder, replace(facts, sees=policy.sight is not None), usage)
    return request.target


def _quantize(folder: Path, request: ExportRequest, progress: Progress) -> None:
    """Replace a folder's weights by quantized ones."""
    check_stop()
    progress("quantizing", 0, 1)
    model, config = open_model(folder)
    # mlx-lm reports on standard output, which belongs to the command's own results.
    with redirect_stdout(StringIO()):
        model, config = quantize_model(model, config, request.group_size, request.bits)
    mx.eval(model.parameters())
    for file in folder.glob("model*.safetensors*"):
        file.unlink()
    save_weights(folder, model)
    sees = isinstance(model, SeeingModel)
    save_config(config, folder / "config.json", keep_vision_config=sees)
    progress("quantizing", 1, 1)


def _require_gguf(policy: Policy) -> None:
    obstacle = gguf_obstacle(policy.path)
    if obstacle is not None:
        raise ModelError(
            obstacle,
            "Export it fused, and convert that folder with llama.cpp's convert_hf_to_gguf.py.",
        )


def _convert(folder: Path, progress: Progress) -> None:
    """Replace a fused folder's weights by one GGUF file."""
    progress("converting", 0, 1)
    tensors: dict[str, mx.array] = {}
    files = sorted(folder.glob("model*.safetensors"))
    for file in files:
        check_stop()
        loaded = mx.load(str(file))
        assert isinstance(loaded, dict)
        tensors |= loaded
    with redirect_stdout(StringIO()):
        config = read_json(folder / "config.json")
        convert_to_gguf(folder, tensors, config, str(folder / GGUF_FILE))
    for file in folder.glob("model*.safetensors*"):
        file.unlink()
    progress("converting", 1, 1)


def _write_card(folder: Path, facts: CardFacts, usage: str) -> None:
    text = write_card(facts if facts.usage else replace(facts, usage=usage))
    (folder / "README.md").write_text(text, encoding="utf-8")


@contextmanager
def _whole_folder(target: Path) -> Iterator[Path]:
    """Give a folder to fill that becomes `target` at the end, or vanishes on an error."""
    with whole_folder(target) as folder:
        try:
            yield folder
        except RuntimeError as error:
            # MLX reports a short write, which is what a full disk gives, as a RuntimeError.
            if "Unable to write" not in str(error):
                raise
            raise OSError(errno.ENOSPC, str(error)) from error
