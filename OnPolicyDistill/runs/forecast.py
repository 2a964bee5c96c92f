"""What was forecast of a run when it began, kept in its folder until the run measures itself."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from OnPolicyDistill.errors import RunError
from OnPolicyDistill.files import read_plain, write_text_atomically
from OnPolicyDistill.runs.directory import RunDirectory

FORECAST_FILE = "forecast.json"


class RunForecast(BaseModel):
    """Seconds of a run's parts by forecast, and the memory that it was expected to need.

    Those of the phases of a step are as the machine's chip has them, before earlier runs correct
    them, and for the lengths in tokens that are given; the others are as they were told.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    chip: str
    preparing_seconds: float = Field(ge=0, description="Before the first step.")
    step_seconds: float = Field(ge=0)
    evaluation_seconds: float = Field(ge=0)
    sampling_seconds: float = Field(0.0, ge=0)
    scoring_seconds: float = Field(0.0, ge=0)
    learning_seconds: float = Field(0.0, ge=0)
    prompt_tokens: int = Field(0, ge=0)
    completion_tokens: int = Field(0, ge=0, description="The limit; 0 where nothing is sampled.")
    needed_gb: float = Field(ge=0, description="GB of 1e9 bytes at the peak.")


def read_forecast(run: RunDirectory) -> RunForecast | None:
    """Read a run's forecast; None where there is none, or none that this version reads."""
    try:
        return RunForecast.model_validate_json(read_plain(run.path / FORECAST_FILE))
    except (OSError, RunError, ValidationError):
        return None


def write_forecast(run: RunDirectory, forecast: RunForecast) -> None:
    """Write a run's forecast into its folder."""
    write_text_atomically(run.path / FORECAST_FILE, forecast.model_dump_json(indent=1))
