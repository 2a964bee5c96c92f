"""Models from the Hugging Face hub: resumable downloads whose failures are one clear sentence."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from pathlib import Path

from huggingface_hub import get_token, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)

from OnPolicyDistill.errors import DiskFullError, ModelError
from OnPolicyDistill.models.tensor_files import files_with
from OnPolicyDistill.planning.weights import INDEX_FILE

MODEL_FILES = [
    "*.json",
    "model*.safetensors",
    "tokenizer.model",
    "*.tiktoken",
    "*.txt",
    "*.jinja",
    "README.md",
]


def download_model(
    hub_id: str,
    cache_dir: Path | None = None,
    endpoint: str | None = None,
    patterns: Sequence[str] = MODEL_FILES,
) -> Path:
    """Return the local folder of a hub model, downloading what is missing of it.

    What was downloaded before is kept, so a broken download goes on where it stopped; without a
    network a complete copy on disk is used. `cache_dir` and `endpoint` default to the hub's own;
    `patterns` say which of its files are wanted.

    Raises:
        ModelError: no such model, gated, refused, or neither network nor local copy.
        DiskFullError: the disk has no room for it.
    """
    try:
        folder = snapshot_download(
            hub_id, allow_patterns=list(patterns), cache_dir=cache_dir, endpoint=endpoint
        )
    except HFValidationError as error:
        raise ModelError(
            f"{hub_id!r} is no valid hub id.", "Hub ids look like Qwen/Qwen2.5-7B-Instruct."
        ) from error
    except (HfHubHTTPError, EntryNotFoundError) as error:
        raise _explain(hub_id, error) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                f"The disk is full, so {hub_id} was not downloaded completely.",
                "Free some space and start it again; what is there is kept.",
            ) from error
        raise ModelError(
            f"{hub_id} could not be downloaded ({error}).",
            "Check the network and start it again; what is there is kept.",
        ) from error
    return Path(folder)


def download_part(
    hub_id: str,
    is_wanted: Callable[[str], bool],
    cache_dir: Path | None = None,
    endpoint: str | None = None,
) -> Path:
    """Return the local folder of a hub model with at least the files that hold wanted tensors.

    A model in one file, without an index, comes whole. Raises what `download_model` raises.
    """
    plain = [pattern for pattern in MODEL_FILES if not pattern.endswith(".safetensors")]
    folder = download_model(hub_id, cache_dir, endpoint, plain)
    if not (folder / INDEX_FILE).is_file():
        return download_model(hub_id, cache_dir, endpoint)
    needed = [file.name for file in files_with(folder, is_wanted)]
    return download_model(hub_id, cache_dir, endpoint, [*plain, *needed])


def _explain(hub_id: str, error: Exception) -> ModelError:
    """Put a hub error in words; subclasses before the classes they belong to."""
    token = get_token()
    if isinstance(error, LocalEntryNotFoundError):
        return ModelError(
            f"{hub_id} is not on this machine and the hub cannot be reached.",
            "Go online once to download it, or give the folder of a local copy.",
        )
    if isinstance(error, GatedRepoError):
        return ModelError(
            f"{hub_id} is gated: its owner grants access on the hub's page.",
            "Ask for access there." if token else "Ask for access there and set HF_TOKEN.",
        )
    if isinstance(error, RepositoryNotFoundError):
        return ModelError(
            f"The hub has no model {hub_id}"
            + (" that your token can see." if token else ", or it is private."),
            "Check the spelling." if token else "Check the spelling, or set HF_TOKEN.",
        )
    return ModelError(
        f"The hub refused {hub_id} ({str(error).splitlines()[0]}).",
        "Try again later; what is there is kept.",
    )
