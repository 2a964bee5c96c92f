"""Which content a set's files had: their bytes in order, as one SHA-256."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from OnPolicyDistill.datasets.set_files import set_files
from OnPolicyDistill.errors import DatasetError

READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class FileDigest:
    """The content behind the name of a set; of one file it is what `sha256sum` says."""

    num_bytes: int
    sha256: str


def digest_of_set(path: Path) -> FileDigest:
    """Read all files of a set.

    Raises:
        DatasetError: there is no such set, or it cannot be read.
    """
    digest, num_bytes = hashlib.sha256(), 0
    for file in set_files(path):
        try:
            with file.open("rb") as stream:
                while part := stream.read(READ_BYTES):
                    digest.update(part)
                    num_bytes += len(part)
        except OSError as error:
            message = f"It cannot be read ({error.strerror})."
            raise DatasetError(message, "Check it.", file) from error
    return FileDigest(num_bytes, digest.hexdigest())
