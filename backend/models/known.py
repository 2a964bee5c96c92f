"""The registry's models: what each form needs, and whether it is here."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from backend.models.local import canonical
from backend.models.views import KnownEntry, KnownForm, LocalModel
from OnPolicyDistill.planning.architectures import training_reason
from OnPolicyDistill.planning.dimensions import parse_dimensions, weight_bytes
from OnPolicyDistill.planning.precision import known_form_config, stored_precision
from OnPolicyDistill.planning.sizes import fits
from OnPolicyDistill.registry import KnownModel, all_models, find_model


def list_known(local: tuple[LocalModel, ...], limit: int) -> tuple[KnownEntry, ...]:
    """Describe every known model with its forms."""
    here = {canonical(model.name): model for model in local}
    return tuple(_entry(model, here, limit) for model in all_models())


def _entry(model: KnownModel, here: Mapping[str, LocalModel], limit: int) -> KnownEntry:
    names = [model.alias] if model.original_id is None else list(model.hub_ids.values())
    forms = [found for found in map(find_model, names) if found is not None]
    return KnownEntry(
        alias=model.alias,
        aliases=model.aliases,
        family=model.family,
        parameters=model.params,
        tokenizer=model.chat.tokenizer,
        vocab_size=model.chat.vocab_size,
        logit_width=model.logit_width,
        thinking=model.chat.thinking,
        vision=model.vision,
        instruct=model.instruct,
        trains=training_reason(model.family) is None,
        lora_targets=model.lora_targets or (),
        forms=tuple(_form(form, here.get(canonical(form.name)), limit) for form in forms),
    )


def _form(form: KnownModel, local: LocalModel | None, limit: int) -> KnownForm:
    size = expected_bytes(form.name)
    weights_gb = None if size is None else round(size / 1e9, 6)
    verdict = None if size is None else fits(size, limit)
    precision = stored_precision(known_form_config(form), {}).words
    if local is not None and local.precision is not None:
        weights_gb, verdict, precision = local.weights_gb, local.verdict, local.precision
    return KnownForm(
        form=form.form,
        name=form.name,
        hub_id=form.hub_id,
        precision=precision,
        weights_gb=weights_gb,
        verdict=verdict,
        local_id=None if local is None else local.id,
        is_here=local is not None and local.is_complete,
    )


@cache
def expected_bytes(name: str) -> int | None:
    """Bytes of a known model's weights from its dimensions; None where they are not known."""
    known = find_model(name)
    if known is None or not known.config:
        return None
    return weight_bytes(parse_dimensions(known_form_config(known), name))
