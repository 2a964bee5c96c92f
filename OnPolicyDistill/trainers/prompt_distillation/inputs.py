"""What prompt distillation asks: inputs on both sides, and a prompt that only the teacher sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from OnPolicyDistill.datasets.answers import Split
from OnPolicyDistill.datasets.labelled import LabelledItem, load_items, without_duplicates
from OnPolicyDistill.datasets.order import drawn_evenly
from OnPolicyDistill.errors import ConfigError, DatasetError
from OnPolicyDistill.methods import facts_of
from OnPolicyDistill.models.policy import Policy, decode, encode_text
from OnPolicyDistill.rollout import Rollout
from OnPolicyDistill.runs.reporting import Reporter
from OnPolicyDistill.runs.wording import describe_drawn
from OnPolicyDistill.settings.prompt_distillation import PromptDistillationSettings
from OnPolicyDistill.training.files import named_file

SPLITS: tuple[Split, ...] = ("train", "held_out")


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a run asks: its inputs on both sides, and the prompt that only the teacher sees."""

    items: dict[Split, Sequence[LabelledItem]]
    prompt: str
    settings: PromptDistillationSettings


def read_inputs(settings: PromptDistillationSettings, reporter: Reporter) -> Inputs:
    """Read inputs and prompt; duplicates, and inputs that are held out as well, are left out.

    Raises:
        ConfigError: a file is not named, or the prompt cannot be read.
        DatasetError: an input file cannot be used, or nothing is left.
    """
    facts = facts_of(settings)
    train = without_duplicates(load_items(named_file(facts, "inputs", settings.inputs)))
    named = named_file(facts, "validation_inputs", settings.validation_inputs)
    available = without_duplicates(load_items(named))
    held_out = _drawn(available, settings.eval_inputs, settings)
    said = describe_drawn(len(held_out), len(available), "held-out inputs")
    reporter.phase("loading", f"{said}.")
    hidden = {_words(item.text) for item in held_out}
    kept = [item for item in train if _words(item.text) not in hidden]
    if len(kept) < len(train):
        reporter.warn(
            "inputs_left_out",
            f"{len(train) - len(kept)} of {len(train)} inputs are held out as well; they are not "
            "trained on.",
        )
    if not kept:
        raise DatasetError("Every input is held out as well.", "Give held-out inputs of their own.")
    file = named_file(facts, "teacher_prompt", settings.teacher_prompt)
    try:
        prompt = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is no readable text file.", "Save it as UTF-8.") from error
    train = _drawn(kept, settings.max_inputs, settings)
    return Inputs({"train": train, "held_out": held_out}, prompt, settings)


def _drawn(
    items: Sequence[LabelledItem], limit: int | None, settings: PromptDistillationSettings
) -> list[LabelledItem]:
    places = drawn_evenly(len(items), limit or len(items), settings.seed)
    return [items[place] for place in places]


def ask(text: str, prompt: str | None) -> list[dict[str, str]]:
    """Messages of an input, behind a system prompt or without."""
    own = [{"role": "user", "content": text}]
    return own if prompt is None else [{"role": "system", "content": prompt}, *own]


def render(policy: Policy, text: str, prompt: str | None) -> tuple[tuple[int, ...], bool]:
    """Token ids of an input, and whether the template's header has opened the thinking."""
    rendered = policy.chat_template.render(ask(text, prompt), add_generation_prompt=True)
    return tuple(encode_text(policy, rendered)), rendered.rstrip().endswith("<think>")


def reply_of(policy: Policy, rollout: Rollout, opened: bool) -> str:
    """A completion as text, with the thinking's opening where the template wrote it."""
    return ("<think>\n" if opened else "") + decode(policy, rollout.completion_ids)


def _words(text: str) -> str:
    return " ".join(text.casefold().split())
