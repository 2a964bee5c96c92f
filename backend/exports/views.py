"""What is asked of exports and what is shown of them."""

from __future__ import annotations

from pydantic import Field

from backend.exports.work import WorkView
from backend.history.views import View
from OnPolicyDistill.adapters.forms import ExportForm, GgufType
from OnPolicyDistill.runs.directory import Worker

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$"
REPOSITORY_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}$"


class ExportWish(View):
    """An export to make of a run's checkpoint."""

    run_id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,79}$")
    checkpoint: int = Field(ge=0, le=10**9, description="The checkpoint's step.")
    form: ExportForm
    name: str = Field(pattern=NAME_PATTERN, description="Name of the folder to write.")
    bits: int = Field(4, ge=2, le=8, description="Of the quantized form.")
    group_size: int = Field(64, description="Of the quantized form: 32, 64 or 128.")
    dequantize: bool = Field(False, description="Unpack a quantized base: exact, and larger.")
    gguf_type: GgufType = Field("f16", description="How a GGUF file stores weights.")


class Push(View):
    """Where an export is being sent, or was."""

    repository: str
    is_private: bool
    worker: Worker
    is_cancelled: bool = False


class ExportRecord(View):
    """An export as it is kept in the workspace."""

    wish: ExportWish
    created: float
    worker: Worker
    is_cancelled: bool = False
    folder: str | None = Field(None, description="It lies in; None: the workspace's own exports.")
    holds_model: bool = Field(True, description="Whether its process has a model in memory.")
    push: Push | None = None


class PushView(View):
    """How a push stands."""

    repository: str
    is_private: bool
    work: WorkView


class ExportView(View):
    """An export with how it stands; its name is its id."""

    name: str
    run_id: str
    checkpoint: int
    form: ExportForm
    bits: int
    group_size: int
    dequantize: bool
    gguf_type: GgufType
    created: float
    path: str
    work: WorkView
    push: PushView | None


class FormOption(View):
    """A form a checkpoint can be exported in, or why it cannot."""

    form: ExportForm
    obstacle: str | None = Field(description="Null where it is possible.")
    num_bytes: int | None = Field(description="About what it will weigh; null where unknown.")


class ExportOptions(View):
    """What can be made of a run's checkpoint."""

    run_id: str
    checkpoint: int
    checkpoints: tuple[int, ...]
    best: int | None
    base_model: str
    num_parameters: int | None
    forms: tuple[FormOption, ...]
    card: str = Field(description="The README.md that goes out with it, as Markdown.")
    blocked: str = Field(description="Why no model can be loaded now; empty when one can.")


class PushedFile(View):
    """A file that would be sent."""

    name: str
    num_bytes: int


class PushPlan(View):
    """What a push would do, found out without asking the hub."""

    repository: str
    files: tuple[PushedFile, ...]
    num_bytes: int
    has_token: bool
    digest: str = Field(description="Of what would be sent; a push has to name it.")


class PushWish(View):
    """A push whose plan was seen."""

    repository: str = Field(pattern=REPOSITORY_PATTERN)
    is_private: bool = True
    digest: str = Field(min_length=64, max_length=64, description="From the plan.")
