"""What is wrong with a setting, in words for whoever wrote it; names nearly right are proposed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

LIKE_ENOUGH = 0.75
WORDS = {
    "int_parsing": "a whole number is wanted, not {given!r}",
    "int_type": "a whole number is wanted, not {given!r}",
    "int_from_float": "a whole number is wanted, not {given!r}",
    "float_parsing": "a number is wanted, not {given!r}",
    "float_type": "a number is wanted, not {given!r}",
    "finite_number": "a finite number is wanted, not {given!r}",
    "bool_parsing": "true or false is wanted, not {given!r}",
    "bool_type": "true or false is wanted, not {given!r}",
    "string_type": "text is wanted, not {given!r}",
    "literal_error": "{expected} is wanted, not {given!r}",
    "greater_than": "must be more than {gt:g}, not {given!r}",
    "greater_than_equal": "must be {ge:g} or more, not {given!r}",
    "less_than": "must be less than {lt:g}, not {given!r}",
    "less_than_equal": "must be {le:g} or less, not {given!r}",
    "model_type": "settings are wanted here, not {given!r}",
    "missing": "is missing",
    "union_tag_invalid": "{expected_tags} is wanted, not {tag!r}",
}
GIVEN_CHARACTERS = 60


Contradiction = tuple[str, str]


def refuse(settings: BaseModel, contradictions: Iterable[Contradiction]) -> None:
    """Raise ValidationError about settings that are each in range and do not go together.

    A contradiction is the dotted place of the setting to change, below the model, and a sentence
    without its end. For a model validator: pydantic puts the model's own place in front.
    """
    lines = [
        InitErrorDetails(
            type=PydanticCustomError("contradiction", "{reason}", {"reason": reason}),
            loc=tuple(int(part) if part.isdigit() else part for part in field.split(".")),
            input=None,
        )
        for field, reason in contradictions
    ]
    if lines:
        raise ValidationError.from_exception_data(type(settings).__name__, lines)


def nearest(name: str, known: list[str]) -> str | None:
    """The known name that `name` is nearly, or None."""
    return next(iter(get_close_matches(name, known, 1, LIKE_ENOUGH)), None)


def setting_keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every key of a model and of those in it, dotted."""
    for name, field in model.model_fields.items():
        key = f"{prefix}{name}"
        yield key
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from setting_keys(kind, f"{key}.")


def problem_in_words(problem: ErrorDetails, field: str, known: list[str]) -> str:
    """One sentence without its end on one wrong setting; `known` are the keys that there are."""
    if problem["type"] == "extra_forbidden":
        parent, _, name = field.rpartition(".")
        beside = [key.rpartition(".") for key in known]
        proposed = nearest(name, [last for place, _, last in beside if place == parent])
        return "there is no such setting" + ("" if proposed is None else f" (is it {proposed}?)")
    said = WORDS.get(problem["type"])
    if said is None:
        return str(problem["msg"]).removeprefix("Value error, ")
    given = problem["input"]
    if isinstance(given, str):
        given = given[:GIVEN_CHARACTERS]
    elif isinstance(given, list | dict):
        said = said.replace("{given!r}", "a list" if isinstance(given, list) else "settings")
    return said.format(given=given, **problem.get("ctx", {}))
