"""A student taken away and measured: written, opened again, and compared with its adapter.

The model is loaded once for both: it is asked with its adapter, its files are written, it is
unloaded, and only then are the files opened. A stop before they are whole leaves nothing; after
that they stay, with a card that says that they were not measured.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field, replace
from pathlib import Path

from OnPolicyDistill.adapters.card import CardFacts
from OnPolicyDistill.adapters.export import (
    ExportRequest,
    about_base,
    card_facts,
    describe_written,
    export_adapter,
    export_model,
    export_peft,
    refuse_gguf,
    rewrite_card,
)
from OnPolicyDistill.adapters.files import load_adapter
from OnPolicyDistill.adapters.forms import LIGHT_FORMS
from OnPolicyDistill.adapters.measured import Difference, Outcome, warn
from OnPolicyDistill.adapters.next_steps import next_steps
from OnPolicyDistill.adapters.opening import open_export
from OnPolicyDistill.errors import DistillError, StoppedError
from OnPolicyDistill.files import refuse_taken
from OnPolicyDistill.methods import RunSettings
from OnPolicyDistill.models.loading import load_policy, unload
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.models.weight_files import read_json
from OnPolicyDistill.pictures import PictureBook
from OnPolicyDistill.registry import local_folder
from OnPolicyDistill.settings.measuring import MeasureSettings
from OnPolicyDistill.settings.sight import SightSettings
from OnPolicyDistill.training.held_out_text import HeldOutText, read_held_out
from OnPolicyDistill.training.measuring import Kept, Progress, compare, keep

LOADING, OPENING = "loading the student", "opening the export"
MOST_BITS = 8
GRAFTED = (
    "A grafted model is not an adapter on a base model, so there is nothing to compare its files "
    "with; opd evaluate asks them."
)
STOPPED = "It was stopped before these files were measured."


@dataclass(frozen=True, slots=True)
class Source:
    """An adapter, the model under it, and what is known of both.

    `settings` are those of its run, None for a folder. `named` is how `opd` is told of it:
    `export RUN --from 5`.
    """

    model: str
    adapter: Path
    facts: CardFacts
    settings: RunSettings | None
    named: str


@dataclass(frozen=True, slots=True)
class Asked:
    """How an export is to be measured: on which file, None for the run's own; or why it is not."""

    measuring: MeasureSettings = field(default_factory=MeasureSettings)
    file: Path | None = None
    why_not: str = ""


def ask(file: Path | None, num_prompts: int | None, why_not: str) -> Asked:
    """How to measure with the defaults, but for what is said."""
    chosen = {} if num_prompts is None else {"num_prompts": num_prompts}
    return Asked(MeasureSettings.model_validate(chosen), file, why_not)


@dataclass(frozen=True, slots=True)
class _Heard:
    """What the model with its adapter said of which text, and what it read pictures by."""

    text: HeldOutText
    kept: Kept


def export_student(
    source: Source, request: ExportRequest, asked: Asked, progress: Progress
) -> Outcome:
    """Write a student in one form, measure what was written, and put that into its card.

    Raises:
        ModelError: the adapter does not fit, or the form is not possible for its model.
        InputError: the target exists.
        DiskFullError: the disk has no room.
        StoppedError: a stop was asked for before the files were whole; nothing is left.
    """
    refuse_taken(request.target)
    base = local_folder(source.model)
    if request.form == "gguf" and base is not None:
        refuse_gguf(base, request.gguf_type)
    book = PictureBook()
    policy = _opened(source, request, asked, book, progress)
    if isinstance(policy, str):
        heard: _Heard | str = policy
    else:
        base = policy.path
        heard = asked.why_not or _listen(policy, source, asked, progress)
    source = replace(source, facts=about_base(source.facts, request.form, base))
    _write(policy, source, request, progress)
    found = _measured(heard, policy, source, request, (asked, book, progress))
    outcome = _outcome(found, source, request, base)
    facts = replace(source.facts, outcome=outcome)
    rewrite_card(request.target, card_facts(facts, request, request.target))
    return outcome


def _opened(
    source: Source, request: ExportRequest, asked: Asked, book: PictureBook, progress: Progress
) -> Policy | str:
    """The model with its adapter; or why a form that does without it is not measured."""
    is_light = request.form in LIGHT_FORMS
    if is_light and asked.why_not:
        return asked.why_not
    if is_light and local_folder(source.model) is None:
        return f"{source.facts.base_model} is not on this machine."
    try:
        progress(LOADING, 0, 1)
        policy = load_policy(source.model, True, _sight(source), book)
        policy, _ = load_adapter(policy, source.adapter)
        progress(LOADING, 1, 1)
    except StoppedError:
        raise
    except DistillError as error:
        if not is_light:
            raise
        return _said(error, source.adapter, Path(source.model))
    return policy


def _listen(policy: Policy, source: Source, asked: Asked, progress: Progress) -> _Heard | str:
    """Ask the model with its adapter, before anything is written; or why it cannot be asked."""
    try:
        text = read_held_out(policy, source.settings, asked.file, asked.measuring)
        return _Heard(text, keep(policy, text, asked.measuring, progress))
    except StoppedError:
        raise
    except DistillError as error:
        return _said(error, policy.path, *([asked.file] if asked.file else ()))


def _said(error: DistillError, *places: Path) -> str:
    """An error in a sentence for a card: what lies on this machine by its name alone."""
    text = str(error)
    for place in places:
        text = text.replace(str(place), place.name)
    return text


def _write(
    policy: Policy | str, source: Source, request: ExportRequest, progress: Progress
) -> None:
    facts = replace(source.facts, outcome=Outcome(not_measured=STOPPED))
    if request.form == "adapter":
        export_adapter(source.adapter, request.target, facts)
    elif request.form == "peft":
        base = policy.path if isinstance(policy, Policy) else local_folder(source.model)
        export_peft(source.adapter, request.target, facts, base)
    else:
        assert isinstance(policy, Policy), "this form is made of the model"
        export_model(policy, request, facts, progress)


def _measured(
    heard: _Heard | str,
    like: Policy | str,
    source: Source,
    request: ExportRequest,
    how: tuple[Asked, PictureBook, Progress],
) -> Difference | str:
    """Open what was written and compare it; or why that was not possible."""
    if isinstance(heard, str) or isinstance(like, str):
        return str(heard)
    asked, book, progress = how
    unload(like)
    try:
        progress(OPENING, 0, 1)
        export = open_export(request, like, _sight(source), book)
        progress(OPENING, 1, 1)
        return compare(heard.kept, heard.text, export, asked.measuring, progress)
    except StoppedError:
        return STOPPED
    except DistillError as error:
        return f"These files could not be opened. {_said(error, request.target, like.path)}"


def _outcome(
    found: Difference | str, source: Source, request: ExportRequest, base: Path | None
) -> Outcome:
    where = str(base) if base is not None else source.facts.base_model
    written = describe_written(request, request.target, where, str(request.target.resolve()))
    steps = next_steps(written)
    if isinstance(found, str):
        return Outcome(not_measured=found, next=steps)
    options, end = _instead(request, base) if found.is_lossy else ("", "")
    remedy = ""
    if options:
        target = shlex.quote(f"{request.target.resolve()}{end}")
        remedy = f"opd {source.named} {options} --out {target}"
    return Outcome(measured=found, warning=warn(found, options), remedy=remedy, next=steps)


def _instead(request: ExportRequest, base: Path | None) -> tuple[str, str]:
    """Options under which less is lost, and what that folder's name ends with; or nothing."""
    packed = base is not None and "quantization" in read_json(base / "config.json")
    if request.form == "fused" and packed and not request.dequantize:
        return "--as fused --dequantize", "-dequantized"
    if request.form == "quantized" and request.bits < MOST_BITS:
        return f"--as quantized --bits {MOST_BITS}", f"-{MOST_BITS}-bit"
    if request.form == "gguf" and request.gguf_type == "q8_0":
        return "--as gguf --gguf-type f16", "-f16"
    return "", ""


def _sight(source: Source) -> SightSettings | None:
    return source.settings if isinstance(source.settings, SightSettings) else None
