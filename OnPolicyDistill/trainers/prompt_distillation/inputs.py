"""What prompt distillation asks: inputs on both sides, and a prompt that only the teacher sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from OnPolicyDistill.datasets.answers import Split, picture_marks
from OnPolicyDistill.datasets.labelled import (
    THINKING_OPENS,
    LabelledItem,
    load_items,
    without_duplicates,
)
from OnPolicyDistill.datasets.order import drawn_evenly
from OnPolicyDistill.datasets.pictures import open_picture
from OnPolicyDistill.errors import ConfigError, DatasetError, ModelError
from OnPolicyDistill.methods import facts_of
from OnPolicyDistill.models.picture_prompts import encode_seen, refuse_blind
from OnPolicyDistill.models.policy import Message, Policy, decode
from OnPolicyDistill.pictures import PictureBook
from OnPolicyDistill.planning.sight import different_places
from OnPolicyDistill.rollout import Rollout
from OnPolicyDistill.runs.reporting import Reporter
from OnPolicyDistill.runs.wording import describe_drawn
from OnPolicyDistill.settings.prompt_distillation import PromptDistillationSettings
from OnPolicyDistill.stopping import check_stop
from OnPolicyDistill.training.files import named_file

SPLITS: tuple[Split, ...] = ("train", "held_out")


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a run asks: its inputs on both sides, and the prompt that only the teacher sees."""

    items: dict[Split, Sequence[LabelledItem]]
    prompt: str
    settings: PromptDistillationSettings

    @property
    def has_pictures(self) -> bool:
        """Whether any input shows one."""
        return any(item.pictures for items in self.items.values() for item in items)


def read_inputs(settings: PromptDistillationSettings, reporter: Reporter) -> Inputs:
    """Read inputs and prompt; duplicates, and inputs that are held out as well, are left out.

    Raises:
        ConfigError: a file is not named, or the prompt cannot be read.
        DatasetError: an input file cannot be used, shows a picture to a model that reads words
            alone, or nothing is left.
        ModelError: a model that scores cuts pictures otherwise than the student.
    """
    facts = facts_of(settings)
    train, available = (
        without_duplicates(load_items(named_file(facts, key, file), sees=True))
        for key, file in (
            ("inputs", settings.inputs),
            ("validation_inputs", settings.validation_inputs),
        )
    )
    pictures = [source for item in (*train, *available) for source in item.pictures]
    refuse_blind((settings.teacher_model, settings.student_model), pictures)
    if pictures and settings.training == "on_policy":
        _refuse_different_places(settings)
    held_out = _drawn(available, settings.eval_inputs, settings)
    said = describe_drawn(len(held_out), len(available), "held-out inputs")
    reporter.phase("loading", f"{said}.")
    hidden = {_asked(item) for item in held_out}
    kept = [item for item in train if _asked(item) not in hidden]
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


def _refuse_different_places(settings: PromptDistillationSettings) -> None:
    """Say now what would be said once both models are loaded and the teacher has answered."""
    told = different_places(settings.student_model, settings.teacher_model, settings)
    if told is not None:
        raise ModelError(told, "Take both from one family, or set training to sft.")


def _drawn(
    items: Sequence[LabelledItem], limit: int | None, settings: PromptDistillationSettings
) -> list[LabelledItem]:
    places = drawn_evenly(len(items), limit or len(items), settings.seed)
    return [items[place] for place in places]


def number_pictures(inputs: Inputs, policy: Policy, book: PictureBook) -> None:
    """Give pictures their ids in the order of the files, whatever stage meets them first.

    Raises:
        DatasetError: a picture cannot be read; names file and line.
    """
    if policy.sight is None:
        return
    for split in SPLITS:
        for item in inputs.items[split]:
            for source in item.pictures:
                check_stop()
                book.ids_of(open_picture(source, policy.sight))


def ask(item: LabelledItem, prompt: str | None) -> list[Message]:
    """Messages of an input, behind a system prompt or without."""
    own: list[Message] = [{"role": "user", "content": item.content}]
    return own if prompt is None else [{"role": "system", "content": prompt}, *own]


def render(policy: Policy, item: LabelledItem, prompt: str | None) -> tuple[tuple[int, ...], bool]:
    """Token ids of an input, and whether the template's header has opened the thinking.

    Raises:
        DatasetError: a picture of the input cannot be read.
        ModelError: it has pictures, and the policy reads words alone.
    """
    opened = policy.chat_template.opening().rstrip().endswith(THINKING_OPENS)
    return encode_seen(policy, ask(item, prompt), item.pictures), opened


def reply_of(policy: Policy, rollout: Rollout, opened: bool) -> str:
    """A completion as text, with the thinking's opening where the template wrote it."""
    return ("<think>\n" if opened else "") + decode(policy, rollout.completion_ids)


def _asked(item: LabelledItem) -> tuple[str, ...]:
    """Equal for inputs that ask the same: their words, and their pictures whatever their names."""
    return " ".join(item.text.casefold().split()), *picture_marks(item)
