"""The files that a run learns from and is measured by, with what they held when it began."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from OnPolicyDistill.config import RunConfig, settings_of
from OnPolicyDistill.datasets.file_digests import digest_of_set
from OnPolicyDistill.errors import DatasetError
from OnPolicyDistill.methods import FACTS
from OnPolicyDistill.runs.events import DataFile


def data_files(config: RunConfig) -> tuple[DataFile, ...]:
    """The files that the settings name and that can be read; whoever uses them refuses others."""
    return tuple(_files(config))


def _files(config: RunConfig) -> Iterator[DataFile]:
    named = settings_of(config).model_dump()
    for setting in FACTS[config.method].files:
        name = named[setting.key]
        if not isinstance(name, str):
            continue
        try:
            found = digest_of_set(Path(name))
        except DatasetError:
            continue
        yield DataFile(key=setting.key, path=name, num_bytes=found.num_bytes, sha256=found.sha256)
