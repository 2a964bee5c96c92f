"""A model folder's files, checked and fingerprinted without loading a single weight."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.files import open_model_file, read_model_file
from OnPolicyDistill.planning.weights import stored_files
from OnPolicyDistill.stopping import check_stop

WHOLE_FILE_BYTES = 64 * 1024 * 1024
SAMPLE_BYTES = 64 * 1024
NUM_SAMPLES = 64


def read_json(file: Path) -> dict[str, object]:
    """Read a JSON object of a model folder.

    Raises:
        ModelError: the file is missing or is no JSON object.
    """
    try:
        content = json.loads(read_model_file(file))
    except FileNotFoundError:
        raise ModelError(
            f"The model folder {file.parent} has no {file.name}.",
            "Download the model again or give the folder that holds it.",
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(
            f"{file} cannot be read as JSON ({error}).", "Download the model again."
        ) from error
    if not isinstance(content, dict):
        raise ModelError(f"{file} holds no JSON object.", "Download the model again.")
    return content


def fingerprint_model(folder: Path) -> str:
    """Hash what decides a model's output: weights, config and tokenizer; 16 hex digits.

    Files up to 64 MB are hashed whole. Of bigger ones the header, the size and 64 evenly spaced
    blocks of 64 KB are, which sees any training or quantization and reads 4 MB a file instead of
    65 GB. Times and paths do not enter, so a copied folder keeps its fingerprint.
    """
    digest = hashlib.sha256()
    names = ("config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json")
    plain = [folder / name for name in names if (folder / name).is_file()]
    for file in [*plain, *stored_files(folder)]:
        check_stop()
        digest.update(f"{file.name}:{file.stat().st_size}\n".encode())
        _update_from_file(digest, file)
    return digest.hexdigest()[:16]


def fingerprint_files(*files: Path) -> str:
    """Hash the whole content of small files, names left out; 16 hex digits."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _update_from_file(digest: hashlib._Hash, file: Path) -> None:
    size = file.stat().st_size
    with open_model_file(file) as stream:
        if size <= WHOLE_FILE_BYTES:
            digest.update(stream.read())
            return
        header_bytes = int.from_bytes(stream.read(8), "little")
        digest.update(stream.read(header_bytes))
        for sample in range(NUM_SAMPLES):
            stream.seek((size - SAMPLE_BYTES) * sample // (NUM_SAMPLES - 1))
            digest.update(stream.read(SAMPLE_BYTES))
