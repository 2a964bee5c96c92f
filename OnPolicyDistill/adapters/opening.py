"""An export opened as its user opens it, from its files alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mlx_lm.tuner.utils import load_adapters

from OnPolicyDistill.adapters.export import ExportRequest
from OnPolicyDistill.adapters.files import load_adapter
from OnPolicyDistill.adapters.gguf_reading import model_of_gguf
from OnPolicyDistill.adapters.gguf_writing import gguf_file
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.models.seeing import SeeingModel
from OnPolicyDistill.pictures import PictureBook
from OnPolicyDistill.settings.sight import SightSettings


def open_export(
    request: ExportRequest, like: Policy, sight: SightSettings | None, book: PictureBook | None
) -> Policy:
    """A policy of an export's own files; `like` is the one it was made of, perhaps unloaded.

    Adapters are put on their base model by mlx-lm's own reader, or as PEFT's; where the model sees,
    by ours. Folders are loaded as models. A GGUF file lends its weights, and `like` the rest: the
    tokenizer in the file is llama.cpp's to read.

    Raises:
        ModelError: the files cannot be opened.
    """
    folder = request.target
    match request.form:
        case "adapter":
            return _beside_the_base(folder, load_policy(str(like.path), True, sight, book))
        case "peft":
            return load_adapter(load_policy(str(like.path), True, sight, book), folder)[0]
        case "gguf":
            model = model_of_gguf(folder, folder / gguf_file(request.gguf_type))
            return replace(like, name=str(folder), model=model)
        case _:
            return load_policy(str(folder), True, sight, book)


def _beside_the_base(folder: Path, policy: Policy) -> Policy:
    if isinstance(policy.model, SeeingModel):
        return load_adapter(policy, folder)[0]
    try:
        model = load_adapters(policy.model, str(folder))
    except (ValueError, KeyError, OSError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"mlx-lm cannot read {folder} ({first}).", "Export it again.") from error
    model.eval()
    return replace(policy, model=model)
