"""Taking a trained student away: the adapter, PEFT's form of it, a fused or packed model, GGUF.

Every form is a folder that is there whole or not at all, with a card that says what it is. What
these files are worth is measured afterwards (training/exported.py), and written into the card.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path

import mlx.core as mx
from mlx_lm.gguf import convert_to_gguf
from mlx_lm.utils import quantize_model, save_config

from OnPolicyDistill.adapters.card import CardFacts, write_card
from OnPolicyDistill.adapters.files import copy_adapter
from OnPolicyDistill.adapters.forms import ExportForm, GgufType
from OnPolicyDistill.adapters.fuse import Progress, fuse
from OnPolicyDistill.adapters.gguf_reading import check_gguf
from OnPolicyDistill.adapters.gguf_support import gguf_obstacle, is_our_own, split_note
from OnPolicyDistill.adapters.gguf_writing import gguf_file, stored_tensors, write_gguf
from OnPolicyDistill.adapters.next_steps import Written, next_steps
from OnPolicyDistill.adapters.peft import write_peft
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.files import whole_folder, write_text_atomically
from OnPolicyDistill.models.loading import open_model
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.models.saving import save_weights
from OnPolicyDistill.models.seeing import SeeingModel
from OnPolicyDistill.models.weight_files import read_json
from OnPolicyDistill.planning.saved_adapters import read_adapter_config
from OnPolicyDistill.planning.targets import LinearMap
from OnPolicyDistill.stopping import check_stop

PACKED_NOTE = (
    "{base} is quantized by MLX, and transformers cannot load it: name the model that it was made "
    "from. The adapter has learned on the rounded weights."
)
WORDS_SIDE = "language_model."
EXPERTS_NOTE = "mlx-vlm cannot load adapters on experts: export it fused to use it there."
FUSED_ADVICE = "Export it fused, and convert that folder with llama.cpp's convert_hf_to_gguf.py."


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What to write and where. `bits` and `group_size` are those of the quantized form.

    `dequantize` unpacks a quantized base model in the fused form; the quantized and GGUF forms
    always do, since packing packed weights again would round twice. `gguf_type` is how a GGUF file
    stores the weights.
    """

    form: ExportForm
    target: Path
    bits: int = 4
    group_size: int = 64
    dequantize: bool = False
    gguf_type: GgufType = "f16"


def export_adapter(source: Path, target: Path, facts: CardFacts) -> Path:
    """Copy an adapter, without the optimizer beside it, into a folder with a card.

    Raises:
        ModelError: the source is no LoRA adapter.
        InputError: the target exists.
        DiskFullError: the disk has no room.
    """
    read_adapter_config(source)
    with _whole_folder(target) as folder:
        copy_adapter(source, folder)
        card = card_facts(facts, ExportRequest("adapter", target), folder)
        (folder / "README.md").write_text(write_card(card), encoding="utf-8")
    return target


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
        facts = about_base(facts, "peft", base)
        card = card_facts(facts, ExportRequest("peft", target), folder)
        (folder / "README.md").write_text(write_card(card), encoding="utf-8")
    return target


def about_base(facts: CardFacts, form: ExportForm, base: Path | None) -> CardFacts:
    """Facts with what a form's user must know of the model under it, where that is here."""
    is_packed = base is not None and "quantization" in read_json(base / "config.json")
    if form != "peft" or not is_packed:
        return facts
    return replace(facts, notes=(PACKED_NOTE.format(base=_findable(facts)),))


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
        refuse_gguf(policy.path, request.gguf_type)
    with _whole_folder(request.target) as folder:
        fuse(policy, folder, request.dequantize or request.form != "fused", progress)
        if request.form == "quantized":
            _quantize(folder, request, progress)
        if request.form == "gguf":
            _convert(folder, request.gguf_type, facts.name, progress)
        card = write_card(card_facts(facts, request, folder))
        (folder / "README.md").write_text(card, encoding="utf-8")
    return request.target


def refuse_gguf(folder: Path, stored: GgufType) -> None:
    """Refuse a model that cannot be written as GGUF, before any work.

    Raises:
        ModelError: its family, its tokenizer or the type is not possible, or gguf is missing.
    """
    obstacle = gguf_obstacle(folder, stored)
    if obstacle is not None:
        raise ModelError(obstacle, FUSED_ADVICE)


def card_facts(facts: CardFacts, request: ExportRequest, folder: Path) -> CardFacts:
    """What the card of an export says beside its training: what to type, by names, not paths.

    `folder` is where its files are now.
    """
    name = request.target.name
    written = describe_written(request, folder, _findable(facts), name)
    if request.form == "peft":
        return replace(facts, usage=next_steps(written), library="peft")
    notes = facts.notes
    if written.sees and written.adapts_experts:
        notes = (EXPERTS_NOTE,)
    if request.form == "gguf" and (note := split_note(folder)):
        notes = (note,)
    return replace(facts, usage=next_steps(written), notes=notes, sees=written.sees)


def describe_written(request: ExportRequest, folder: Path, base: str, path: str) -> Written:
    """An export whose files are in `folder`, as programs are told of it: at `path`, on `base`."""
    name, form = request.target.name, request.form
    if form in ("adapter", "peft"):
        keys = () if form == "peft" else read_adapter_config(folder).lora_parameters.keys or ()
        return Written(
            form=form,
            path=path,
            base=base,
            name=name,
            family="",
            sees=any(key.startswith(WORDS_SIDE) for key in keys),
            adapts_experts=any(LinearMap(key, 0, 0).is_expert for key in keys),
        )
    config = read_json(folder / "config.json")
    return Written(
        form=form,
        path=path,
        base=base,
        name=name,
        family=str(config.get("model_type")),
        is_packed="quantization" in config,
        sees="vision_config" in config,
        file=f"{path}/{gguf_file(request.gguf_type)}" if form == "gguf" else "",
    )


def rewrite_card(target: Path, facts: CardFacts) -> None:
    """Replace the card of an export that is there."""
    write_text_atomically(target / "README.md", write_card(facts))


def _quantize(folder: Path, request: ExportRequest, progress: Progress) -> None:
    """Replace a folder's weights by quantized ones."""
    check_stop()
    progress("quantizing", 0, 1)
    model, config = open_model(folder)
    # mlx-lm reports on standard output, which belongs to the command's own results.
    with redirect_stdout(StringIO()):
        model, config = quantize_model(model, config, request.group_size, request.bits)
    mx.eval(model.parameters())
    _drop_weights(folder)
    save_weights(folder, model)
    sees = isinstance(model, SeeingModel)
    save_config(config, folder / "config.json", keep_vision_config=sees)
    progress("quantizing", 1, 1)


def _convert(folder: Path, stored: GgufType, name: str, progress: Progress) -> None:
    """Replace a fused folder's weights by one GGUF file, read back and compared with them."""
    file, config = folder / gguf_file(stored), read_json(folder / "config.json")
    if is_our_own(folder):
        write_gguf(folder, file, stored, name, progress)
    else:
        progress("converting tensors", 0, 1)
        check_stop()
        with redirect_stdout(StringIO()):
            convert_to_gguf(folder, stored_tensors(folder), config, str(file))
        progress("converting tensors", 1, 1)
    check_gguf(file, folder, progress)
    _drop_weights(folder)


def _drop_weights(folder: Path) -> None:
    for file in folder.glob("model*.safetensors*"):
        file.unlink()


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
