"""The drawn task: a figure on squared paper, and a question whose answer has to be seen.

A rectangle or a right triangle of whole squares lies on a sheet of 6 x 6; asked is its width, its
height, its perimeter (rectangles only) or its area. No question says what the figure is, so nothing
can be answered from words. A completion looks first (colour, shape, both sides), then computes, and
ends with the answer in a box, as completions on GEO3K do. All of it is drawn here.

Pictures are split by a hash of themselves: no held-out picture occurs in training with any
question, nor in the validation part, which is there to choose settings by.
"""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from OnPolicyDistill.errors import DatasetError
from OnPolicyDistill.files import disk_errors, write_text_atomically
from OnPolicyDistill.pictures import Pixels

Split = Literal["train", "validation", "held_out"]
Shape = Literal["rectangle", "triangle"]
Question = Literal["width", "height", "perimeter", "area"]

CELLS = 6
CELL_PIXELS = 16
SPLIT_SHARES = 10  # one picture in ten is held out, another one is for validation

COLOURS = {
    "red": (214, 48, 49),
    "green": (38, 166, 91),
    "blue": (41, 98, 210),
    "yellow": (244, 196, 48),
}
WHITE = 255
LINES = (176, 184, 192)

INSTRUCTION = "Put the answer in \\boxed{}."
WORDINGS: dict[Question, tuple[str, ...]] = {
    "width": ("How wide is the figure?", "What is the width of the shape?"),
    "height": ("How high is the figure?", "What is the height of the shape?"),
    "perimeter": (
        "What is the perimeter of the figure?",
        "Find the perimeter of the shape.",
        "How long is the way around the figure?",
    ),
    "area": (
        "What is the area of the figure?",
        "Find the area of the shape.",
        "How many squares does the figure cover?",
    ),
}
# What is asked of a figure, and how often: half of the questions need doubling or halving.
WEIGHTS: dict[Shape, dict[Question, int]] = {
    "rectangle": {"width": 1, "height": 1, "perimeter": 4, "area": 2},
    "triangle": {"width": 2, "height": 2, "area": 4},
}


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture of the task: sides and place in squares, the place from the upper left corner.

    A triangle has its right angle at its lower left.
    """

    shape: Shape
    width: int
    height: int
    colour: str
    left: int
    top: int

    @property
    def name(self) -> str:
        """Tells it from every other figure; good as a file name."""
        sides = f"{self.width}x{self.height}"
        return f"{self.colour}-{self.shape}-{sides}-at-{self.left}-{self.top}"


@dataclass(frozen=True, slots=True)
class SquaresExample:
    """A question about a figure and its right answer; `figure` is None on a blank sheet.

    `completion` and `habitual_completion` are what a thinking model writes behind the `<think>`
    that its template opens. The second one is the habit of the small model: it sees both sides and
    computes with them, and forgets to double a perimeter and to halve a triangle.
    """

    figure: Figure | None
    shape: Shape
    question: Question
    prompt: str
    answer: str
    completion: str
    habitual_completion: str


@cache
def figures(split: Split) -> tuple[Figure, ...]:
    """All figures of a part, in a fixed order: 3,528 in the three parts together."""
    drawn = (
        Figure(shape, width, height, colour, left, top)
        for shape in WEIGHTS
        for colour in COLOURS
        for width in range(1, CELLS + 1)
        for height in range(1, CELLS + 1)
        for left in range(CELLS - width + 1)
        for top in range(CELLS - height + 1)
    )
    return tuple(figure for figure in drawn if split_of(figure) == split)


def split_of(figure: Figure) -> Split:
    """Which part a figure belongs to, by a hash of everything that makes its picture."""
    share = zlib.crc32(figure.name.encode()) % SPLIT_SHARES
    return "held_out" if share == 0 else "validation" if share == 1 else "train"


def generate_squares(seed: int, split: Split) -> Iterator[SquaresExample]:
    """Yield examples without end, the same for the same arguments; sides are drawn evenly."""
    chance = random.Random(f"squares {seed} {split}")
    by_sides: dict[tuple[Shape, int, int], list[Figure]] = {}
    for figure in figures(split):
        by_sides.setdefault((figure.shape, figure.width, figure.height), []).append(figure)
    groups = list(by_sides.values())
    while True:
        figure = chance.choice(chance.choice(groups))
        kinds = WEIGHTS[figure.shape]
        (question,) = chance.choices(list(kinds), list(kinds.values()))
        yield ask(figure, question, chance.choice(WORDINGS[question]))


def distinct_squares(seed: int, split: Split, count: int) -> list[SquaresExample]:
    """The first examples of a part, each with a picture that none before it had.

    Raises:
        DatasetError: the part has fewer pictures than that.
    """
    if count > len(figures(split)):
        raise DatasetError(
            f"There are only {len(figures(split))} {split.replace('_', '-')} pictures of figures.",
            "Ask for fewer prompts.",
        )
    found: dict[Figure | None, SquaresExample] = {}
    for example in generate_squares(seed, split):
        if len(found) == count:
            break
        found.setdefault(example.figure, example)
    return list(found.values())


def ask(figure: Figure, question: Question, wording: str) -> SquaresExample:
    """The example of a figure and a question that fits it."""
    sums, answer = _compute(figure, question)
    habitual_sums, habitual_answer = _compute_by_habit(figure, question)
    seen = f"A {figure.colour} {figure.shape}, {figure.width} wide and {figure.height} high."
    return SquaresExample(
        figure=figure,
        shape=figure.shape,
        question=question,
        prompt=f"{wording} {INSTRUCTION}",
        answer=answer,
        completion=_written(seen, sums, answer),
        habitual_completion=_written(seen, habitual_sums, habitual_answer),
    )


def _written(seen: str, sums: str, answer: str) -> str:
    return f"{seen} {sums}\n</think>\n\n\\boxed{{{answer}}}"


def _compute(figure: Figure, question: Question) -> tuple[str, str]:
    """The sums that lead to the right answer, and the answer."""
    width, height = figure.width, figure.height
    if question == "perimeter":
        answer = str(2 * (width + height))
        return f"{width} + {height} = {width + height}, twice that is {answer}.", answer
    if question == "area" and figure.shape == "triangle":
        answer = f"{width * height / 2:g}"
        return f"{width} x {height} = {width * height}, half of that is {answer}.", answer
    return _compute_by_habit(figure, question)


def _compute_by_habit(figure: Figure, question: Question) -> tuple[str, str]:
    """The sums without doubling or halving."""
    width, height = figure.width, figure.height
    if question == "perimeter":
        return f"{width} + {height} = {width + height}.", str(width + height)
    if question == "area":
        return f"{width} x {height} = {width * height}.", str(width * height)
    answer = str(width if question == "width" else height)
    return f"The {question} is {answer}.", answer


def blank(examples: Sequence[SquaresExample]) -> list[SquaresExample]:
    """The control without a picture: the same questions and answers on a blank sheet."""
    return [replace(example, figure=None) for example in examples]


def shuffled(examples: Sequence[SquaresExample], seed: int) -> list[SquaresExample]:
    """The control with wrong pictures: each question with the picture of another example.

    Right answers stay those of the questions' own pictures, so luck scores a little.

    Raises:
        DatasetError: there are fewer than two examples.
    """
    if len(examples) < 2:
        raise DatasetError("Pictures of one prompt cannot be shuffled.", "Ask for two or more.")
    order = random.Random(f"shuffled {seed}").sample(range(len(examples)), len(examples))
    # One cycle through all examples leaves none with its own picture.
    following = dict(zip(order, [*order[1:], order[0]], strict=True))
    return [
        replace(example, figure=examples[following[number]].figure)
        for number, example in enumerate(examples)
    ]


def draw(figure: Figure | None) -> Pixels:
    """Pixels of a sheet, (96, 96, 3): squared paper with its figure, or blank paper."""
    side = CELLS * CELL_PIXELS
    pixels = np.full((side, side, 3), WHITE, np.uint8)
    if figure is None:
        return pixels
    x = (np.arange(side) + 0.5) / CELL_PIXELS  # middles of pixels, in squares
    across = (x - figure.left) / figure.width
    up = (figure.top + figure.height - x) / figure.height
    inside = ((up >= 0) & (up <= 1))[:, None] & ((across >= 0) & (across <= 1))[None]
    if figure.shape == "triangle":
        inside &= up[:, None] + across[None] <= 1
    pixels[inside] = COLOURS[figure.colour]
    on_line = np.arange(side) % CELL_PIXELS == 0
    pixels[on_line[:, None] | on_line[None]] = LINES
    return pixels


def write_squares(
    folder: Path, sizes: Mapping[Split, int], seed: int = 0, controls: bool = False
) -> None:
    """Write prompt sets, `train.jsonl` and so on, with their pictures in `images/` beside them.

    `sizes` says how many prompts each part gets; none writes no file. With `controls` the parts
    that measure have two more files. The same arguments write the same bytes.

    Raises:
        DatasetError: a part has fewer pictures than that.
        DiskFullError: there is no room for them.
    """
    parts = {split: distinct_squares(seed, split, size) for split, size in sizes.items() if size}
    for split, examples in parts.items():
        write_prompts(folder / f"{split}.jsonl", examples)
        if controls and split != "train":
            write_prompts(folder / f"{split}_blank.jsonl", blank(examples))
            write_prompts(folder / f"{split}_shuffled.jsonl", shuffled(examples, seed))


def write_prompts(file: Path, examples: Sequence[SquaresExample]) -> None:
    """Write a prompt set and, in `images/` beside it, the pictures that are not there yet."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        {
            "prompt": example.prompt,
            "images": [picture_of(example, file.parent)],
            "answer": example.answer,
            "grader": "boxed",
            "question": f"{example.question} of a {example.shape}",
        }
        for example in examples
    ]
    write_text_atomically(file, "".join(json.dumps(line) + "\n" for line in lines))


def picture_of(example: SquaresExample, folder: Path) -> str:
    """Name an example's picture as a line in the folder does; it is drawn if it is not there."""
    name = "blank" if example.figure is None else example.figure.name
    file = folder / "images" / f"{name}.png"
    if not file.exists():
        file.parent.mkdir(exist_ok=True)
        save_picture(file, draw(example.figure))
    return f"images/{name}.png"


def save_picture(file: Path, pixels: Pixels) -> None:
    """Write a picture of at most 256 colours as a small PNG."""
    from PIL import Image  # noqa: PLC0415  (only writing pictures needs it)

    image = Image.fromarray(pixels).quantize(colors=8, dither=Image.Dither.NONE)
    with disk_errors(file):
        image.save(file, optimize=True)
