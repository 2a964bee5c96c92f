"""Pictures as words: every place of every picture is a token id of its own, beyond any vocabulary.

A prompt with pictures therefore stays a tuple of ids. Two prompts with equal words and different
pictures differ, so prefixes, cache keys and rollouts need to know nothing of pictures. Only a
model's front door does: it asks the book which picture an id belongs to, and which of its places.

A *patch* is a square of pixels that the vision tower reads at once; `merge` x `merge` patches make
one *place*, which is one token of the language model.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from OnPolicyDistill.errors import DatasetError, RunError
from OnPolicyDistill.files import write_text_atomically

FIRST_PICTURE_ID = 1 << 24
MAX_ASPECT_RATIO = 200

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Sight:
    """How a model reads pictures: sizes in pixels, limits in pixels of the whole picture.

    `mean` and `std` normalize the three channels of pixels divided by 255.
    """

    patch: int
    merge: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    min_pixels: int
    max_pixels: int

    @property
    def place_size(self) -> int:
        """Width and height of a place."""
        return self.patch * self.merge

    def target_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width that a picture is resized to: near its own, inside the limits.

        As Qwen2-VL's image processor in transformers has it (`smart_resize`).

        Raises:
            DatasetError: one side is more than 200 times the other, or there are no pixels.
        """
        if min(height, width) < 1 or max(height, width) / min(height, width) > MAX_ASPECT_RATIO:
            raise DatasetError(
                f"A picture of {width} x {height} pixels cannot be read.",
                f"One side may be at most {MAX_ASPECT_RATIO} times the other: crop it.",
            )
        size = self.place_size
        tall, wide = (max(size, round(side / size) * size) for side in (height, width))
        if tall * wide > self.max_pixels:
            shrink = math.sqrt(height * width / self.max_pixels)
            sides = (math.floor(side / shrink / size) * size for side in (height, width))
            tall, wide = (max(size, side) for side in sides)
        elif tall * wide < self.min_pixels:
            grow = math.sqrt(self.min_pixels / (height * width))
            tall, wide = (math.ceil(side * grow / size) * size for side in (height, width))
        return tall, wide

    def num_places(self, height: int, width: int) -> int:
        """How many tokens a picture of this size costs."""
        tall, wide = self.target_size(height, width)
        return (tall // self.place_size) * (wide // self.place_size)


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as one model reads it: `height` and `width` are the target's, in pixels.

    `digest` is a hash of the upright pixels and of the target size. `pixels` decodes and resizes it
    now, (height, width, 3): nobody keeps the pixels of all pictures.
    """

    digest: str
    height: int
    width: int
    num_places: int
    pixels: Callable[[], Pixels] = field(compare=False, repr=False)


class PictureBook:
    """Hands out the ids of places in the order in which pictures are met, and finds them again.

    Student, teacher and a resumed run number pictures alike because all ask one book; a resumed
    run opens the book that its run saved.
    """

    def __init__(self, known: Iterable[tuple[str, int]] = ()) -> None:
        self._firsts: dict[str, int] = {}
        self._sizes: list[tuple[str, int]] = []
        self._starts: list[int] = []
        self._pictures: dict[str, Picture] = {}
        self._next = FIRST_PICTURE_ID
        for digest, num_places in known:
            self._number(digest, num_places)

    def ids_of(self, picture: Picture) -> range:
        """Ids of a picture's places, row by row; a picture met before keeps its own."""
        if picture.digest not in self._firsts:
            self._number(picture.digest, picture.num_places)
        self._pictures[picture.digest] = picture
        first = self._firsts[picture.digest]
        return range(first, first + picture.num_places)

    def find(self, token_id: int) -> tuple[Picture, int]:
        """The picture that an id belongs to, and which of its places it is.

        Raises:
            RunError: no picture with that id was opened in this process.
        """
        number = bisect_right(self._starts, token_id) - 1
        if number < 0 or token_id >= self._next:
            raise RunError(f"Token {token_id} belongs to no picture.", "Report this as a bug.")
        picture = self._pictures.get(self._sizes[number][0])
        if picture is None:
            raise RunError(
                f"Token {token_id} belongs to a picture that is not among the run's prompts.",
                "Restore the run's prompt files.",
            )
        return picture, token_id - self._starts[number]

    def save(self, file: Path) -> None:
        """Write which pictures have which ids, whole or not at all; without any no file is made."""
        if self._sizes:
            write_text_atomically(file, json.dumps(self._sizes))

    @classmethod
    def load(cls, file: Path) -> PictureBook:
        """Open a book that was saved, or a new one where there is none.

        Raises:
            RunError: the file is damaged.
        """
        if not file.exists():
            return cls()
        try:
            return cls((str(digest), int(num)) for digest, num in json.loads(file.read_bytes()))
        except (ValueError, TypeError) as error:
            message = f"{file} is damaged: it should list the run's pictures."
            raise RunError(message, "Start the run anew.") from error

    def _number(self, digest: str, num_places: int) -> None:
        self._firsts[digest] = self._next
        self._sizes.append((digest, num_places))
        self._starts.append(self._next)
        self._next += num_places
