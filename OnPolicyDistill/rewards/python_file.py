"""A reward that the user wrote: the function `reward(completion)` of a Python file.

The file runs with everything that the user may do, so it is read only here, in the process that
trains, and only from the path that the config spells out. What it raises ends the run with the
file and the line in its message.
"""

from __future__ import annotations

import math
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from traceback import extract_tb
from types import ModuleType, TracebackType

from OnPolicyDistill.errors import ConfigError, DistillError, RunError
from OnPolicyDistill.rewards.completion import Completion, Reward

FUNCTION = "reward"


def load_reward(file: Path) -> Reward:
    """Run a Python file and return its function `reward`, whose every answer is checked.

    Raises:
        ConfigError: there is no such file, or it has no such function.
        RunError: the file or, later, the function raised an exception or gave no number.
    """
    path = file.expanduser().resolve()
    spec = spec_from_file_location("user_reward", path) if path.is_file() else None
    if spec is None or spec.loader is None:
        raise ConfigError(f"There is no Python file {file}.", "Give the path of a file.py.")
    module = module_from_spec(spec)
    with _blamed_on(path):
        spec.loader.exec_module(module)
    function = _function_of(module, file)

    def grade(completion: Completion) -> float | None:
        with _blamed_on(path):
            given = function(completion)
        if given is None:
            return None
        if not isinstance(given, int | float) or not math.isfinite(given):
            raise RunError(
                f"{path}: {FUNCTION} gave {given!r}, which is no finite number.",
                "Return a number, or None for a completion that cannot be graded.",
            )
        return float(given)

    return grade


def _function_of(module: ModuleType, file: Path) -> Reward:
    found: Reward | None = vars(module).get(FUNCTION)
    if not callable(found):
        raise ConfigError(
            f"{file} has no function `{FUNCTION}`.",
            f"Write def {FUNCTION}(completion): and return a number or None.",
        )
    return found


class _blamed_on:  # noqa: N801  (read as a word: with _blamed_on(path))
    """Turn any exception of the user's code into one that names its file and line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not isinstance(error, Exception) or isinstance(error, DistillError):
            return
        line = self._line_of(error, trace)
        where = f"{self._path}" if line is None else f"{self._path}, line {line}"
        raise RunError(
            f"{where}: {type(error).__name__}: {error}", "Mend the file and resume the run."
        ) from error

    def _line_of(self, error: Exception, trace: TracebackType | None) -> int | None:
        if isinstance(error, SyntaxError) and error.filename == str(self._path):
            return error.lineno
        lines = [at.lineno for at in extract_tb(trace) if at.filename == str(self._path)]
        return lines[-1] if lines else None
