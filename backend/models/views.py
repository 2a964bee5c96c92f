"""How models look from outside."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from backend.history.views import View
from OnPolicyDistill.planning.advice import Verdict
from OnPolicyDistill.registry import Form, Thinking

# hub: downloaded; folder: registered by the user; embedded: shipped.
Origin = Literal["hub", "folder", "embedded"]


class LocalModel(View):
    """A model on this machine."""

    id: str = Field(description="For deleting it.")
    name: str = Field(description="What a config calls it: hub id, alias or folder.")
    origin: Origin
    alias: str | None = Field(description="Its name in the registry, where it has one.")
    path: str | None = Field(description="Null while a download is not complete.")
    disk_bytes: int
    is_complete: bool
    family: str = ""
    bits: int | None = Field(None, description="Bits of most of its weights, as stored.")
    precision: str | None = Field(None, description="What its files hold: 4 bit, parts in 8.")
    parameters: int | None = None
    weights_gb: float | None = Field(None, description="As loaded, in GB of 1e9 bytes.")
    verdict: Verdict | None = Field(None, description="Whether its weights fit here.")
    logit_width: int | None = None
    vocab_size: int | None = Field(None, description="Tokens of its tokenizer.")
    tokens: str | None = Field(
        None, description="Models that say the same here speak the same tokens."
    )
    thinking: Thinking | None = Field(None, description="Null where it has no usable template.")
    vision: bool = False
    trains: bool = Field(False, description="Whether its architecture can be trained here.")
    has_template: bool = False
    problem: str | None = Field(None, description="Why it cannot be used.")
    used_by: tuple[str, ...] = Field((), description="Ids of runs that name it.")


class KnownForm(View):
    """One form of a known model's weights."""

    form: Form
    name: str = Field(description="What a config calls it.")
    hub_id: str | None = Field(description="Null for embedded models.")
    precision: str = Field(description="What its files hold, or will: 4 bit, parts in 8.")
    weights_gb: float | None = Field(description="About what a download takes, too.")
    verdict: Verdict | None = Field(description="Whether its weights fit here.")
    local_id: str | None = Field(description="Its entry among the local models, complete or not.")
    is_here: bool


class KnownEntry(View):
    """A model of the registry."""

    alias: str
    aliases: tuple[str, ...]
    family: str
    parameters: int | None
    tokenizer: str
    vocab_size: int | None
    logit_width: int | None
    thinking: Thinking
    vision: bool
    instruct: bool
    trains: bool = Field(description="Whether its architecture can be trained here.")
    lora_targets: tuple[str, ...]
    forms: tuple[KnownForm, ...]


class ModelList(View):
    """Every model that is known or here."""

    known: tuple[KnownEntry, ...]
    local: tuple[LocalModel, ...]
    limit_gb: float = Field(description="What models may use of this machine's memory.")
    cache_dir: str = Field(description="Where downloads go.")
    free_gb: float = Field(description="Room on that disk.")


class HubModel(View):
    """A model that the hub found."""

    hub_id: str
    downloads: int
    likes: int
    updated: float | None = Field(description="Unix seconds.")
    gated: bool
    private: bool
    parameters: int | None
    is_mlx: bool
    alias: str | None = Field(description="Its name in the registry, where it has one.")
    is_here: bool


class HubPage(View):
    """What the hub found, most downloaded first."""

    models: tuple[HubModel, ...]
    has_token: bool = Field(description="Gated and private models need a token.")


Speaks = Literal["same", "other", "unknown"]


class ModelChoice(View):
    """A model that could take a place of a run, and the run with it on this machine."""

    name: str
    verdict: Verdict | None = Field(description="Null where there is no forecast.")
    needed_gb: float | None
    seconds: float | None = Field(description="The whole run; null where it cannot run.")
    speaks: Speaks | None = Field(
        description="Whether it has the tokens of the other model; null where there is no other."
    )
    problem: str | None = Field(description="Why there is no forecast.")


class ModelChoices(View):
    """Every known and local model in one place of a run."""

    key: str
    choices: tuple[ModelChoice, ...]
