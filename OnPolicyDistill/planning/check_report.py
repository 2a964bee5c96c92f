"""What the check before a run says: its findings, and what it learned of models and files."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from OnPolicyDistill.datasets.linter import LintReport
from OnPolicyDistill.planning.disk import DiskNeeds
from OnPolicyDistill.planning.pair import PairReport
from OnPolicyDistill.planning.targets import PlannedAdapter


class PromptText(BaseModel):
    """The long prompt of a teacher: how long it is, and how it begins."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    length: int
    unit: Literal["tokens", "characters"] = Field(
        description="Tokens of the teacher where its tokenizer is on this machine."
    )
    beginning: str = Field(description="At most its first 2000 characters.")


class CheckFinding(BaseModel):
    """One thing that stops a run or should be known before it; `field` is a dotted setting."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    severity: Literal["error", "warning"]
    code: str
    field: str
    message: str
    fix: str


class CheckReport(BaseModel):
    """Everything that can be known about a run without loading a model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    verdict: Literal["ok", "warning", "error"]
    findings: tuple[CheckFinding, ...]
    pair: PairReport | None = None
    prompts: LintReport | None = None
    validation: LintReport | None = None
    teacher_prompt: PromptText | None = None
    disk: DiskNeeds | None = Field(None, description="Empty where a model is unknown.")
    adapter: PlannedAdapter | None = Field(
        None, description="Empty where a model is unknown or nothing but whole weights learns."
    )
