"""Pictures of the playground's questions: from what is asked to what models read, and back.

They are decoded here, in the process of the models: what a picture can do wrong it does here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from OnPolicyDistill.datasets.picture_lines import picture_of_line
from OnPolicyDistill.datasets.picture_prompts import listed_pictures, place_pictures
from OnPolicyDistill.datasets.pictures import PictureSource
from OnPolicyDistill.datasets.records import BadLine, Record
from OnPolicyDistill.errors import DatasetError
from OnPolicyDistill.evaluation.playground_messages import (
    ChatMessage,
    LinePicture,
    SentPicture,
    ShownPicture,
)
from OnPolicyDistill.models.policy import Message, Policy
from OnPolicyDistill.models.seeing import SeeingModel
from OnPolicyDistill.pictures import FIRST_PICTURE_ID, PictureBook
from OnPolicyDistill.settings.sight import SightSettings


def read_question(
    asked: Sequence[ChatMessage],
) -> tuple[tuple[Message, ...], tuple[PictureSource, ...]]:
    """Messages with a place for each picture, and the pictures in the order of their places.

    Raises:
        DatasetError: a picture is not there or no picture; says which, counted from 1.
    """
    messages: list[Message] = []
    sources: list[PictureSource] = []
    for message in asked:
        own: list[PictureSource] = []
        for picture in message.pictures:
            number = len(sources) + len(own) + 1
            own.append(replace(_source_of(picture), name=f"picture {number}"))
        plain: dict[str, str] = {"role": message.role, "content": message.content}
        placed = place_pictures(Record(1, {}, None, tuple(own)), [{**plain}])
        if isinstance(placed, BadLine):
            raise DatasetError(placed.message, placed.fix)
        messages.extend(placed.messages)
        sources.extend(own)
    return tuple(messages), tuple(sources)


def show_to(policy: Policy, book: PictureBook, sight: SightSettings) -> Policy:
    """Let a policy find a question's pictures in `book`; what it saw of others before is kept."""
    model = policy.model
    if not isinstance(model, SeeingModel):
        return policy
    model.book = book
    # A grafted model, whose places stand in a line, keeps to the sizes that it was trained with.
    if model.positions == "grid":
        smallest, largest = sight.min_pixels, sight.max_pixels
        model.sight = replace(model.sight, min_pixels=smallest, max_pixels=largest)
    return replace(policy, sight=model.sight)


def shown_pictures(prompt: Sequence[int], book: PictureBook) -> tuple[ShownPicture, ...]:
    """The pictures of a prompt, with the tokens that are their places."""
    shown: list[ShownPicture] = []
    place = 0
    while place < len(prompt):
        if prompt[place] < FIRST_PICTURE_ID:
            place += 1
            continue
        picture, _ = book.find(prompt[place])
        shown.append(
            ShownPicture(
                first=place,
                num_tokens=picture.num_places,
                width=picture.width,
                height=picture.height,
            )
        )
        place += picture.num_places
    return tuple(shown)


def _source_of(picture: SentPicture | LinePicture) -> PictureSource:
    if isinstance(picture, LinePicture):
        file = Path(picture.file)
        found = picture_of_line(file, picture.holds, picture.line, picture.number)
        if found is None:
            message = f"Line {picture.line} has no picture {picture.number}."
            raise DatasetError(message, "Choose another one.", file)
        return found
    read = listed_pictures(Record(1, {"image": picture.data}))
    if isinstance(read, BadLine):
        raise DatasetError(read.message, read.fix)
    return replace(read[0], line=None)
