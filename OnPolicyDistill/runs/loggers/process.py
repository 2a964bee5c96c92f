"""The process that talks to one logger: `python -m OnPolicyDistill.runs.loggers.process NAME`.

It reads its opening and then entries from standard input until that ends, which it does also where
the run's process is killed. What a logger's package prints stays here: the run's terminal and its
JSON are not its own. Where a package raises, the last line of standard error says why.
"""

from __future__ import annotations

import sys
from typing import BinaryIO, assert_never, get_args

from OnPolicyDistill.runs.loggers.entries import Entry, Logger, LoggerName, Opening
from OnPolicyDistill.runs.loggers.tensorboard import TensorBoardLogger
from OnPolicyDistill.runs.loggers.track import TrackioLogger
from OnPolicyDistill.runs.loggers.weights_and_biases import WandbLogger


def open_logger(name: LoggerName, opening: Opening) -> Logger:
    """Begin with a logger, whose package has to be installed."""
    match name:
        case "tensorboard":
            return TensorBoardLogger(opening)
        case "wandb":
            return WandbLogger(opening)
        case "trackio":
            return TrackioLogger(opening)
        case _:
            assert_never(name)


def tell(name: LoggerName, lines: BinaryIO) -> None:
    """Hand over every line to the logger, and close it behind the last."""
    opening = Opening.model_validate_json(lines.readline())
    logger = open_logger(name, opening)
    for line in lines:
        entry = Entry.model_validate_json(line)
        logger.log(entry.values, entry.step, entry.time)
    logger.close()


def main(arguments: list[str]) -> None:
    """Tell a logger what comes; whatever its package raises ends the process, and is its reason."""
    (name,) = (known for known in get_args(LoggerName) if known in arguments)
    tell(name, sys.stdin.buffer)


if __name__ == "__main__":
    main(sys.argv[1:])
