"""How prompt sets look from outside."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from backend.history.views import View
from OnPolicyDistill.datasets.kinds import SetKind
from OnPolicyDistill.datasets.mapping import Meaning
from OnPolicyDistill.datasets.overlap import ReadAs
from OnPolicyDistill.datasets.prompt_rules import Finding
from OnPolicyDistill.datasets.written_forms import Form

SetOrigin = Literal["upload", "path", "shipped"]


class SetRecord(View):
    """A set as it is remembered."""

    id: str
    name: str
    origin: SetOrigin
    kind: SetKind
    path: str
    added: float = Field(description="Unix seconds.")


LookState = Literal["unseen", "waiting", "looking", "seen"]


class SetLook(View):
    """What the linter says of a whole set, in numbers; kept as long as its content is the same."""

    verdict: Literal["ok", "warning", "error"]
    problem: str | None = Field(None, description="Why the file cannot be read at all.")
    num_lines: int = Field(0, description="Lines that are not blank.")
    num_usable: int = Field(0, description="Lines that can be used.")
    num_answers: int = Field(0, description="Usable lines with a right answer.")
    num_duplicates: int = Field(0, description="Lines that another one of the set repeats.")
    num_errors: int = 0
    num_warnings: int = 0
    looked: float = Field(description="Unix seconds.")


class LookRequest(View):
    """Which sets are to be looked at."""

    set_ids: tuple[Annotated[str, Field(max_length=120)], ...] | None = Field(
        None, max_length=1000, description="None: all that are small and were not looked at yet."
    )


class PromptSetView(View):
    """A file of prompts, conversations, inputs or text; a config names it by its path."""

    id: str
    name: str
    origin: SetOrigin
    kind: SetKind
    path: str
    added: float
    is_here: bool = Field(description="The file is where it was.")
    num_bytes: int
    modified: float | None
    is_labelled: bool = Field(description="Lines near the beginning have answers or labels.")
    used_by: tuple[str, ...] = Field(description="Ids of runs that name the file.")
    used_by_names: tuple[str, ...] = Field(description="Names of those runs, in the same order.")
    look_state: LookState = Field(description="Whether the linter has been over what it holds.")
    looking_since: float | None = Field(None, description="Unix seconds, while it is looked at.")
    look: SetLook | None = Field(None, description="None until it has been looked at.")
    same_as: tuple[str, ...] = Field(
        (), description="Ids of other sets with the same content, of those that were looked at."
    )


class LayoutView(View):
    """What the first lines of a file look like."""

    layout: str | None = Field(description="None where it is not known; columns are then mapped.")
    is_ready: bool = Field(description="Its lines are used as they are.")
    columns: tuple[str, ...] = Field(description="Keys of the first lines, at most 60.")
    layouts: tuple[str, ...] = Field(description="All that can be named.")
    meanings: tuple[str, ...] = Field(description="What a column can be said to be.")
    forms: tuple[Form, ...] = Field(description="What lines can become.")


class ConversionRequest(View):
    """What a set becomes; what is left out is guessed."""

    layout: str | None = Field(None, max_length=40)
    form: Form | None = None
    mapping: dict[Meaning, Annotated[str, Field(min_length=1, max_length=200)]] = Field(
        default_factory=dict, description="Columns by what they are."
    )


class ConvertedView(View):
    """A set that was made of another one."""

    set: PromptSetView
    layout: str
    form: Form
    num_lines: int
    num_left_out: int = Field(description="Lines without an answer.")


class Separation(View):
    """Which set is held out, and as what the lines of both are compared."""

    held_out: str = Field(max_length=120, description="Id of the held-out set.")
    read_as: ReadAs


class Split(View):
    """How much of a set is held out, and which lines."""

    read_as: ReadAs
    share: float = Field(0.1, ge=0.001, le=0.9)
    seed: int = Field(0, ge=0, le=2**31)


class MadeApartView(View):
    """A training and a held-out set that share no line; what was made is new."""

    training: PromptSetView
    held_out: PromptSetView
    num_training: int
    num_held_out: int
    num_taken_out: int = Field(description="Lines that are not trained on any more.")


class PreviewPicture(View):
    """A picture of a line; a small copy is at `.../pictures/{line}/{number}.png`."""

    number: int = Field(description="From 1, in the order of the line.")
    width: int | None = Field(None, description="Pixels of the upright picture.")
    height: int | None = Field(None, description="Pixels of the upright picture.")
    num_tokens: int | None = Field(None, description="Tokens that it takes of the model.")
    problem: str | None = Field(None, description="Why it cannot be used.")


class PreviewItem(View):
    """One line as it is and as a model would see it."""

    line: int
    text: str = Field(description="The words of the last message; long ones are cut.")
    answer: str | None = None
    rendered: str | None = Field(None, description="Through the model's chat template.")
    num_tokens: int | None = Field(None, description="Of `rendered`, those of pictures included.")
    tokens: tuple[str, ...] = Field((), description="Pieces of `rendered`; at most 2000.")
    pictures: tuple[PreviewPicture, ...] = Field((), description="In the order of their places.")
    problem: Finding | None = Field(None, description="Why the line cannot be used.")


class PreviewPage(View):
    """Lines of a set, in order."""

    items: tuple[PreviewItem, ...]
    offset: int
    has_more: bool
