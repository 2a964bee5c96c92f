"""What ranks other than the first work in: a copy of the run's folder that nobody keeps.

Only the first rank opens the workspace. It hands out what a trainer reads of the folder; whatever
the others write stays in their copy and goes with it.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from OnPolicyDistill.config import BLOCK_OF_METHOD, dump_config, parse_config
from OnPolicyDistill.distributed.ranks import Ranks
from OnPolicyDistill.runs.directory import RunDirectory

# What a run that goes on reads of its folder beside its settings: completions that come again, the
# ids of pictures, and what a stage before the training has left.
READ_AGAIN = ("completions.jsonl", "pictures.json", "generated")


def hand_out(ranks: Ranks, run: RunDirectory, checkpoint: Path | None) -> None:
    """Give the other ranks, where there are any, the run and the checkpoint it goes on from.

    Raises:
        RankLostError: a rank is gone.
    """
    if ranks.is_alone:
        return
    config = run.config()
    values = config.model_dump(mode="json")
    values[BLOCK_OF_METHOD[config.method]].pop("logging", None)
    told = {
        "run_id": run.run_id,
        "config": values,
        "checkpoint": None if checkpoint is None else checkpoint.resolve().name,
    }
    ranks.from_first(lambda: json.dumps(told).encode())
    paths = [run.path / name for name in READ_AGAIN]
    share_files(ranks, run, paths if checkpoint is None else [*paths, checkpoint.resolve()])


@contextmanager
def received(ranks: Ranks) -> Iterator[tuple[RunDirectory, Path | None]]:
    """A copy of the run for the block, without loggers, and the checkpoint that it goes on from.

    Raises:
        RankLostError: a rank is gone.
    """
    with tempfile.TemporaryDirectory(prefix="opd-rank-") as folder:
        yield _receive(ranks, Path(folder))


def _receive(ranks: Ranks, folder: Path) -> tuple[RunDirectory, Path | None]:
    told = json.loads(ranks.from_first(bytes))
    run = RunDirectory(folder / "runs" / told["run_id"])
    run.checkpoints.mkdir(parents=True)
    run.config_file.write_text(dump_config(parse_config(told["config"])), encoding="utf-8")
    share_files(ranks, run, [])
    name = told["checkpoint"]
    return run, None if name is None else run.checkpoints / name


def share_files(ranks: Ranks, run: RunDirectory, paths: Sequence[Path]) -> None:
    """Give every rank's copy the first rank's files and folders of these paths, where they are.

    Raises:
        RankLostError: a rank is gone.
    """
    if ranks.is_alone:
        return
    files = [file for path in paths for file in _files_of(path)] if ranks.is_first else []
    root = run.path.resolve()
    names = [file.resolve().relative_to(root).as_posix() for file in files]
    names = json.loads(ranks.from_first(lambda: json.dumps(names).encode()))
    contents = (file.read_bytes() for file in files)
    for name in names:
        content = ranks.from_first(lambda: next(contents))
        if not ranks.is_first:
            _write(run.path, name, content)


def _files_of(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file())
    return [path] if path.is_file() else []


def _write(folder: Path, name: str, content: bytes) -> None:
    relative = PurePosixPath(name)
    assert not relative.is_absolute(), "a name inside of the run"
    assert ".." not in relative.parts, "a name inside of the run"
    file = folder / relative
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
