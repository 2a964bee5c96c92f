"""Two controls that tell seeing from guessing: the same prompts with a blank and a wrong picture.

A model that answers as often without its picture as with it does not look: it has learned which
answers are likely. Both controls change the places of pictures in the prompts' token ids and
nothing else: words, seeds and limits stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from OnPolicyDistill.pictures import FIRST_PICTURE_ID, Picture, PictureBook, Pixels
from OnPolicyDistill.rollout import EncodedPrompt

WHITE = 255

Shown = tuple[Picture, ...]


@dataclass(frozen=True, slots=True)
class Controls:
    """Which pictures there are, and how many of the prompts are asked again without their own."""

    book: PictureBook
    num_prompts: int

    def blank(self, prompts: Sequence[EncodedPrompt]) -> list[EncodedPrompt]:
        """Some of the prompts with blank pictures."""
        return blank_pictures(prompts, self.book)[: self.num_prompts]

    def shuffled(self, prompts: Sequence[EncodedPrompt]) -> list[EncodedPrompt]:
        """Some of the prompts with other prompts' pictures."""
        return shuffled_pictures(prompts, self.book)[: self.num_prompts]


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring token ids: words, or all places of one picture."""

    ids: tuple[int, ...]
    picture: Picture | None = None


def blank_pictures(prompts: Sequence[EncodedPrompt], book: PictureBook) -> list[EncodedPrompt]:
    """The prompts that have pictures, with white ones of the same sizes."""
    return [
        _shown(prompt, [_blank(picture) for picture in pictures_of(prompt, book)], book)
        for prompt in prompts
        if pictures_of(prompt, book)
    ]


def shuffled_pictures(prompts: Sequence[EncodedPrompt], book: PictureBook) -> list[EncodedPrompt]:
    """The prompts that have pictures, each with those of another prompt that shows other ones.

    Pictures come from the next prompt in the list with as many of them, around its end. A prompt
    without such a partner is left out.
    """
    seen = [(prompt, pictures_of(prompt, book)) for prompt in prompts]
    changed = []
    for place, (prompt, own) in enumerate(seen):
        if not own:
            continue
        others = [theirs for _, theirs in (*seen[place + 1 :], *seen[:place])]
        other = next((found for found in others if _can_stand_for(found, own)), None)
        if other is not None:
            changed.append(_shown(prompt, other, book))
    return changed


def pictures_of(prompt: EncodedPrompt, book: PictureBook) -> Shown:
    """The pictures of a prompt, in order."""
    return tuple(run.picture for run in _runs(prompt.ids, book) if run.picture is not None)


def _can_stand_for(found: Shown, own: Shown) -> bool:
    digests = {picture.digest for picture in own}
    return len(found) == len(own) and all(picture.digest not in digests for picture in found)


def _shown(prompt: EncodedPrompt, pictures: Sequence[Picture], book: PictureBook) -> EncodedPrompt:
    """The prompt with other pictures at the places of its own."""
    waiting = iter(pictures)
    ids: list[int] = []
    for run in _runs(prompt.ids, book):
        ids.extend(run.ids if run.picture is None else book.ids_of(next(waiting)))
    return replace(prompt, ids=tuple(ids))


def _runs(ids: Sequence[int], book: PictureBook) -> Iterator[Run]:
    start = 0
    while start < len(ids):
        if ids[start] >= FIRST_PICTURE_ID:
            picture, _ = book.find(ids[start])
            end = start + picture.num_places
            yield Run(tuple(ids[start:end]), picture)
        else:
            end = start + 1
            while end < len(ids) and ids[end] < FIRST_PICTURE_ID:
                end += 1
            yield Run(tuple(ids[start:end]))
        start = end


def _blank(picture: Picture) -> Picture:
    height, width = picture.height, picture.width
    draw: Callable[[], Pixels] = partial(np.full, (height, width, 3), WHITE, np.uint8)
    return Picture(f"blank {height} x {width}", height, width, picture.num_places, draw)
