"""What an export's process is asked, and the JSON lines it says on stdout; loads no model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from OnPolicyDistill.adapters.forms import ExportForm


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ExportOrder(_Message):
    """One export: folders of the run, its checkpoint and the target, and the form."""

    run: str
    checkpoint: str
    target: str
    form: ExportForm
    bits: int = 4
    group_size: int = 64
    dequantize: bool = False


class ProgressLine(_Message):
    """What is being done, and how far."""

    kind: Literal["progress"] = "progress"
    what: str
    done: int
    total: int


class WrittenLine(_Message):
    """The last line of a process that did its work; `where` is a folder or an address."""

    kind: Literal["written"] = "written"
    where: str
    num_bytes: int


class FailedLine(_Message):
    """The last line of a process that could not."""

    kind: Literal["failed"] = "failed"
    message: str
    action: str = ""


WorkLine = Annotated[ProgressLine | WrittenLine | FailedLine, Field(discriminator="kind")]
WORK_LINE: TypeAdapter[ProgressLine | WrittenLine | FailedLine] = TypeAdapter(WorkLine)
