"""Settings of a teacher that lives elsewhere, and what such a teacher cannot serve, in words."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, model_validator

from OnPolicyDistill.divergences import DIVERGENCES, FACTS
from OnPolicyDistill.settings.problems import Contradiction, refuse
from OnPolicyDistill.settings.strict import Settings

if TYPE_CHECKING:
    from OnPolicyDistill.settings.distillation import DistillationSettings

Server = Literal["vllm", "sglang", "opd"]


class TeacherEndpoint(Settings):
    """Where a served teacher answers; without a url the teacher is loaded here."""

    url: str | None = Field(
        None,
        max_length=500,
        title="Server's address",
        description="Address of a server that scores in the teacher's stead, such as "
        "http://192.168.1.20:8100: prompts and completions then leave this machine. Empty: "
        "teacher_model is loaded here.",
    )
    model: str | None = Field(
        None,
        min_length=1,
        max_length=300,
        title="Model on the server",
        description="What that server calls the teacher.",
    )
    server: Server = Field(
        "vllm",
        title="Kind of server",
        description="What it speaks: vllm and sglang hand over a few logprobs at temperature 1, "
        "opd (`opd serve-teacher`) is exact at any temperature.",
    )
    key_env: str | None = Field(
        None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$",
        title="Variable with the key",
        description="Environment variable that holds the server's key or token; the key itself "
        "is never written anywhere.",
    )
    top_k: int = Field(
        20,
        ge=1,
        le=4096,
        title="Top-k asked of the server",
        description="Logprobs a token that the server hands over at most (vLLM: --max-logprobs).",
    )
    timeout_s: float = Field(
        120.0,
        gt=0,
        le=3600,
        title="Longest wait",
        description="Seconds to wait for one answer before asking again.",
    )
    retries: int = Field(
        5,
        ge=0,
        le=100,
        title="Further tries",
        description="How often a request is sent again that was refused for now (429, 5xx), or "
        "whose answer was cut off.",
    )
    in_flight: int = Field(
        4, ge=1, le=64, title="Requests at once", description="Requests under way at once."
    )

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> TeacherEndpoint:
        refuse(self, self._contradictions())
        return self

    def _contradictions(self) -> Iterator[Contradiction]:
        if self.url is None:
            # Who names a server's model means it, and would else be taught by another teacher.
            if self.model is not None:
                yield "url", "model names a served teacher, so url must say where it is served"
            return
        if self.model is None:
            yield "model", "a url is given, so model must say what the server calls the teacher"
        try:
            parts = urlsplit(self.url)
            is_usable = parts.scheme in ("http", "https") and bool(parts.hostname)
            _ = parts.port
        except ValueError:
            is_usable = False
        if not is_usable:
            yield "url", "an address is wanted that begins with http:// or https://"
        elif parts.username is not None or parts.password is not None or parts.query:
            yield (
                "url",
                "a key has no place in the url, which is written into files: name the variable "
                "that holds it in key_env",
            )

    @property
    def base(self) -> str:
        """The address in front of `/v1/completions` or `/generate`."""
        return (self.url or "").rstrip("/").removesuffix("/v1")

    @property
    def is_exact(self) -> bool:
        """Whether it hands over hidden states, hence anything at any temperature."""
        return self.server == "opd"

    @property
    def leaves_machine(self) -> bool:
        """Whether what is sent goes to another machine than this one."""
        if self.url is None:
            return False
        parts: SplitResult = urlsplit(self.url)
        name = parts.hostname or ""
        try:
            return not ip_address(name).is_loopback
        except ValueError:
            return name != "localhost"


def beyond_endpoint(settings: DistillationSettings) -> Iterator[Contradiction]:
    """What the settings ask of their endpoint that none can serve."""
    endpoint = settings.teacher_endpoint
    if settings.teacher_adapter is not None:
        yield (
            "teacher_adapter",
            "the teacher is served elsewhere and wears what its server put on it, so "
            "teacher_adapter must be empty",
        )
    if settings.on_policy_fraction < 1:
        why = "a served teacher writes no completions of its own"
        yield "on_policy_fraction", f"{why}, so on_policy_fraction must be 1"
    if not settings.keep_teacher_loaded:
        why = "a served teacher takes no memory here that could be given back"
        yield "keep_teacher_loaded", f"{why}, so keep_teacher_loaded must be true"
    if not endpoint.is_exact:
        yield from beyond_logprobs(settings, endpoint.top_k, scores_given=False)


def beyond_logprobs(
    settings: DistillationSettings, max_top_k: int | None, scores_given: bool
) -> Iterator[Contradiction]:
    """What top-k logprobs at temperature 1 cannot give; `max_top_k` is a token's most."""
    if settings.teacher_targets != "top_k":
        why = "it hands over no hidden states"
        yield "teacher_targets", f"{why}, so teacher_targets must be top_k"
    elif max_top_k is not None and settings.top_k > max_top_k:
        why = f"it hands over {max_top_k} logprobs a token at most"
        yield "top_k", f"{why}, so top_k must be {max_top_k} or less"
    if settings.temperature != 1:
        yield "temperature", "its logprobs are at temperature 1, so temperature must be 1"
    # Without what the student wrongly likes these gradients are off by up to 0.8 (decision 0010).
    weighs_students = FACTS[settings.divergence].weighs_students_tokens
    needs_given = settings.kl_weight > 0 and weighs_students
    if needs_given and not scores_given:
        servable = " or ".join(d for d in DIVERGENCES if not FACTS[d].weighs_students_tokens)
        yield (
            "divergence",
            f"it scores no tokens that it is given, without which {settings.divergence} has a "
            f"wrong gradient, so divergence must be {servable}",
        )
