"""What an export's process is asked, and the JSON lines it says on stdout; loads no model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from OnPolicyDistill.adapters.forms import ExportForm, GgufType
from OnPolicyDistill.adapters.measured import Outcome


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ExportOrder(_Message):
    """One export: folders of the run, its checkpoint and the target, and the form.

    It is measured on the held-out file `prompts`, the run's own where that is None, on at most
    `num_prompts` of it where they are said, unless `why_not_measured` says why not.
    """

    run: str
    checkpoint: str
    target: str
    form: ExportForm
    bits: int = 4
    group_size: int = 64
    dequantize: bool = False
    gguf_type: GgufType = "f16"
    prompts: str | None = None
    num_prompts: int | None = None
    why_not_measured: str = ""


class ProgressLine(_Message):
    """What is being done, how far, and how long it will take, where that is known."""

    kind: Literal["progress"] = "progress"
    what: str
    done: int
    total: int
    seconds_left: float | None = None


class WrittenLine(_Message):
    """The last line of a process that did its work; `where` is a folder or an address.

    `outcome` is what is known of an export: what was measured of it, and what to type next.
    """

    kind: Literal["written"] = "written"
    where: str
    num_bytes: int
    outcome: Outcome | None = None


class FailedLine(_Message):
    """The last line of a process that could not."""

    kind: Literal["failed"] = "failed"
    message: str
    action: str = ""


WorkLine = Annotated[ProgressLine | WrittenLine | FailedLine, Field(discriminator="kind")]
WORK_LINE: TypeAdapter[ProgressLine | WrittenLine | FailedLine] = TypeAdapter(WorkLine)
