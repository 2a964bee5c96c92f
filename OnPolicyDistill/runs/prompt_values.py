"""What every evaluation measured on each prompt: RUN/evaluations/000050.json for step 50.

Means alone cannot say whether one evaluation is better than another: prompts differ far more than
two checkpoints on the same prompt do. Only values and files; the statistics are not known here.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from OnPolicyDistill.errors import RunError
from OnPolicyDistill.files import read_plain, write_text_atomically
from OnPolicyDistill.runs.directory import RunDirectory

FOLDER = "evaluations"
# A hundred thousand prompts with ten metrics have about 20 MB.
MAX_BYTES = 64_000_000


class PromptValues(BaseModel):
    """Parallel lists, one entry a prompt; `prompts` are places in the file, rising.

    They were drawn from `num_available`, where that is known. `token_sums` hold, by metric key, the
    sum over a prompt's `tokens`; `shares` hold 1.0 or 0.0, or None where the prompt is not counted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    prompts: tuple[int, ...]
    tokens: tuple[int, ...]
    token_sums: dict[str, tuple[float, ...]]
    shares: dict[str, tuple[float | None, ...]] = {}
    num_available: int | None = None


def write_values(run: RunDirectory, step: int, values: PromptValues) -> None:
    """Keep what an evaluation measured; an evaluation that happens again replaces it."""
    file = _file(run, step)
    file.parent.mkdir(exist_ok=True)
    write_text_atomically(file, values.model_dump_json())


def read_values(run: RunDirectory, step: int) -> PromptValues:
    """Read what the evaluation at a step measured.

    Raises:
        RunError: the file is missing or damaged.
    """
    file = _file(run, step)
    try:
        return PromptValues.model_validate_json(read_plain(file, MAX_BYTES))
    except (OSError, RunError, ValidationError) as error:
        raise RunError(
            f"{file} cannot be read, so no evaluation can be compared with that of step {step}.",
            "Restore the file from a backup, or resume from a checkpoint before that step.",
        ) from error


def discard_values_after(run: RunDirectory, step: int) -> None:
    """Remove what evaluations of undone steps measured, and the answers they kept."""
    for file in (run.path / FOLDER).glob("*.json"):
        number = file.name.partition(".")[0]
        if number.isascii() and number.isdigit() and int(number) > step:
            file.unlink(missing_ok=True)


def _file(run: RunDirectory, step: int) -> Path:
    return run.path / FOLDER / f"{step:06d}.json"
