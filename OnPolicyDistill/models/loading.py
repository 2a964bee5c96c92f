"""Loading a policy by folder, registry alias or hub id, with mlx-lm's own model code.

The embedded pair and Qwen2.5-32B come through here alike. What mlx-lm would answer with a
traceback (a shard missing, a file cut short, an architecture it does not know) is said in words
before or while loading.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_map
from mlx_lm.tokenizer_utils import TokenizerWrapper
from mlx_lm.utils import load_model, load_tokenizer
from pydantic import JsonValue
from transformers import PreTrainedConfig

from OnPolicyDistill.datasets.chat_template import ChatTemplate
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.gpu import find_gpu_failure
from OnPolicyDistill.memory import prepare_device, release_buffers
from OnPolicyDistill.models.activations import quicken_gates
from OnPolicyDistill.models.grafted import is_grafted, open_grafted
from OnPolicyDistill.models.hub import download_model
from OnPolicyDistill.models.parameters import flat_arrays
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.models.recurrences import give_recurrences_gradients
from OnPolicyDistill.models.seeing import SeeingModel
from OnPolicyDistill.models.vision_config import is_vision_config
from OnPolicyDistill.models.vision_loading import open_eyes, open_seeing_model, require_markers
from OnPolicyDistill.models.weight_files import fingerprint_model, read_json
from OnPolicyDistill.pictures import PictureBook
from OnPolicyDistill.planning.architectures import architecture_problem
from OnPolicyDistill.planning.model_folders import (
    embedding_rows,
    read_all_headers,
    refuse_unusable_folder,
)
from OnPolicyDistill.planning.weights import stored_files
from OnPolicyDistill.registry import find_model, local_folder, propose_model
from OnPolicyDistill.settings.sight import SightSettings
from OnPolicyDistill.stopping import check_stop

# Where tokenizers keep their words: any of these will do.
TOKENIZER_FILES = ("tokenizer.json", "*.model", "vocab.*", "*.tiktoken")
# A second of a slow disk; big enough for MLX to read with all its threads.
BYTES_AT_ONCE = 1_000_000_000
# Leaves a part of a model that is laid out.
Cut = Callable[[nn.Module], None]


def load_policy(
    name: str,
    mixed_precision: bool = True,
    sight: SightSettings | None = None,
    book: PictureBook | None = None,
    cut: Cut | None = None,
) -> Policy:
    """Load a frozen policy in evaluation mode.

    `name` is a folder, an alias of the model registry, or a hub id, tried in this order.
    `mixed_precision` keeps weights in the type they are stored in; off casts them to float32
    (packed weights stay packed, their scales become float32). Adapters come on top, with
    adapters/lora.py. A model that sees keeps to `sight`, without it to its folder's own limits,
    and finds pictures in `book`, which all models of a run must share. `cut` leaves a part of the
    model that is laid out, before its weights are read.

    Raises:
        ModelError: the model cannot be found, downloaded, read or used.
        DiskFullError: the disk has no room for the download.
    """
    folder = find_folder(name)
    refuse_unusable_folder(folder)
    model = _load_weights(folder, mixed_precision, cut)
    return policy_of(name, folder, model, mixed_precision, sight, book)


def policy_of(
    name: str,
    folder: Path,
    model: nn.Module,
    mixed_precision: bool = True,
    sight: SightSettings | None = None,
    book: PictureBook | None = None,
) -> Policy:
    """A loaded model with the tokenizer and template of a folder.

    Raises:
        ModelError: they are missing, damaged, or of another model.
    """
    tokenizer = _load_tokenizer(folder)
    if isinstance(model, SeeingModel):
        require_markers(folder, tokenizer)
        open_eyes(model, sight, book)
    stops = stop_ids(folder, tokenizer)
    tokenizer.eos_token_ids = stops
    vocab_size = real_vocab_size(tokenizer)
    rows = embedding_rows(read_json(folder / "config.json"), read_all_headers(folder))
    if rows is not None:
        # Tokens beyond are in no prompt (encode_text) and never drawn.
        vocab_size = min(vocab_size, rows)
    return Policy(
        name=name,
        path=folder,
        model=model,
        tokenizer=tokenizer,
        chat_template=ChatTemplate.load(folder),
        stop_ids=stops,
        vocab_size=vocab_size,
        fingerprint=fingerprint_of(folder, mixed_precision),
        sight=model.sight if isinstance(model, SeeingModel) else None,
    )


def fingerprint_of(folder: Path, mixed_precision: bool) -> str:
    """The fingerprint that a policy of a folder has, without loading it."""
    return fingerprint_model(folder) + ("" if mixed_precision else "-float32")


def open_model(
    folder: Path, mixed_precision: bool = True
) -> tuple[nn.Module, dict[str, JsonValue]]:
    """Lay out a model and its config; weights are read when they are first evaluated.

    The device's limits are set for them and what is loaded already. Raises what mlx-lm raises.
    """
    give_recurrences_gradients()
    # Lazily, so that a cast reads each weight once and never holds the model twice.
    model: nn.Module
    values = read_json(folder / "config.json")
    if is_grafted(values):
        model, config = open_grafted(folder)
    elif is_vision_config(values):
        model, config = open_seeing_model(folder)
    else:
        model, config = load_model(folder, lazy=True)
        quicken_gates(model)
    if not mixed_precision:
        model.set_dtype(mx.float32)
    _prepare_for(model)
    return model, config


def lay_out(folder: Path) -> tuple[nn.Module, dict[str, object]]:
    """Lay out a model by its config alone; its weights are whatever a file elsewhere has.

    The device's limits are set for them. Raises what mlx-lm raises.
    """
    model, config = load_model(folder, lazy=True, strict=False)
    _prepare_for(model)
    return model, config


def _prepare_for(model: nn.Module) -> None:
    """Set the device's limits for weights that are about to be read beside what is loaded."""
    weights = flat_arrays(model.parameters()).values()
    prepare_device(mx.get_active_memory() + sum(array.nbytes for array in weights))


def unload(policy: Policy) -> None:
    """Give a policy's memory back to the system, whoever still holds a reference to it.

    The policy cannot be used afterwards. A vocabulary head taken from it before keeps working
    and keeps its own weights alive.
    """
    policy.model.update(tree_map(lambda _: mx.array(0.0), policy.model.parameters()))
    if isinstance(policy.model, SeeingModel):
        policy.model.shelf.clear()
    release_buffers()


def find_folder(name: str) -> Path:
    """Return the folder of a model, downloading it if it is only on the hub.

    Raises:
        ModelError: the name means nothing, or the hub does not give the model.
    """
    local = local_folder(name)
    if local is not None:
        return local
    known = find_model(name)
    if known is not None and known.hub_id is not None:
        return download_model(known.hub_id)
    if known is not None:
        raise ModelError(
            f"The embedded model {name} is not built.", "Build it: opd models build-embedded."
        )
    if name.count("/") == 1 and not name.startswith((".", "~", "/")):
        return download_model(name)
    raise ModelError(
        f"There is no model {name!r}: no folder, no known alias and no hub id.",
        f"{propose_model(name)}List the known ones: opd models.",
    )


def real_vocab_size(tokenizer: TokenizerWrapper) -> int:
    """The largest token id plus one, added tokens included: logits are padded beyond it."""
    ids: list[int] = list(tokenizer.get_vocab().values())
    return max(ids) + 1


def stop_ids(folder: Path, tokenizer: TokenizerWrapper) -> frozenset[int]:
    """Every end-of-sequence id that generation config, config or tokenizer names.

    Raises:
        ModelError: none of them names one, so completions would never end.
    """
    named: list[object] = [tokenizer.eos_token_id]
    for file in ("generation_config.json", "config.json"):
        if (folder / file).is_file():
            value = read_json(folder / file).get("eos_token_id")
            named.extend(value if isinstance(value, list) else [value])
    found = frozenset(value for value in named if isinstance(value, int))
    if not found:
        raise ModelError(
            f"{folder} names no end-of-sequence token.",
            "Add eos_token_id to its generation_config.json.",
        )
    return found


def _load_weights(folder: Path, mixed_precision: bool, cut: Cut | None = None) -> nn.Module:
    problem = architecture_problem(read_json(folder / "config.json"), str(folder))
    if problem is not None:
        raise problem
    stored_files(folder)
    try:
        model, _ = open_model(folder, mixed_precision)
        if cut is not None:
            cut(model)
            _prepare_for(model)
        _read(model)
    except (ValueError, KeyError, TypeError, RuntimeError, OSError) as error:
        if find_gpu_failure(str(error)) is not None:
            raise  # nothing is wrong with the files
        raise ModelError(
            f"The weights in {folder} do not fit its config.json ({_first_line(error)}).",
            "Download the model again; config and weights must be of one model.",
        ) from error
    if not flat_arrays(model.parameters()):
        raise ModelError(f"{folder} holds no weights.", "Download the model again.")
    model.freeze()
    model.eval()
    # Reading and checking took as much again as the weights, which no later phase needs.
    release_buffers()
    return model


def _read(model: nn.Module) -> None:
    """Read the weights a gigabyte at a time, so that a stop is seen while they come from disk.

    Raises:
        ModelError: a weight is no number.
    """
    waiting: dict[str, mx.array] = {}
    for name, array in flat_arrays(model.parameters()).items():
        waiting[name] = array
        if sum(each.nbytes for each in waiting.values()) >= BYTES_AT_ONCE:
            check_stop()
            _read_some(waiting)
            waiting = {}
    check_stop()
    _read_some(waiting)


def _read_some(arrays: Mapping[str, mx.array]) -> None:
    floats = {
        name: array for name, array in arrays.items() if mx.issubdtype(array.dtype, mx.floating)
    }
    sound = [mx.all(mx.isfinite(array)) for array in floats.values()]
    mx.eval(list(arrays.values()), sound)
    broken = [name for name, is_sound in zip(floats, sound, strict=True) if not is_sound.item()]
    if broken:
        raise ModelError(
            f"{len(broken)} tensors of the model hold numbers that are not finite, first "
            f"{broken[0]}: every answer would be nonsense.",
            "Download the model again; a model that was trained so cannot be used.",
        )


def _load_tokenizer(folder: Path) -> TokenizerWrapper:
    # Without any, transformers makes one that knows no words, and all texts are empty.
    if not any(found for name in TOKENIZER_FILES for found in folder.glob(name)):
        raise ModelError(
            f"{folder} has no tokenizer.",
            "A model folder needs the tokenizer.json that it was published with.",
        )
    try:
        tokenizer: TokenizerWrapper = load_tokenizer(folder, _told_of(folder))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"The tokenizer in {folder} cannot be read ({_first_line(error)}).",
            "Download the model again; tokenizer.json and tokenizer_config.json are needed.",
        ) from error
    return tokenizer


def _told_of(folder: Path) -> dict[str, object]:
    """What transformers is told of a model that it would warn that it does not know."""
    if not is_grafted(read_json(folder / "config.json")):
        return {}
    return {"config": PreTrainedConfig()}


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
