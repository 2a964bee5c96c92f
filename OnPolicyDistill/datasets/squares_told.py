"""What a sheet of the drawn task shows: the colour and the shape of its figure, eight kinds.

One question, in a few wordings, that asks nothing of sides. A model that sees looks at the picture;
a model that reads is told the figure in words. The answer in the box is of two words, such as `red
triangle`, with a thought before it or without one. Who guesses is right once in eight times.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

from OnPolicyDistill.datasets.squares import Figure, SquaresExample, picture_of
from OnPolicyDistill.files import write_text_atomically

WORDINGS = (
    "What is drawn on the sheet?",
    "Which figure is on the paper?",
    "What does the sheet show?",
)
INSTRUCTION = "Put colour and shape in \\boxed{}."


def kind_of(figure: Figure) -> str:
    """Colour and shape, which is the right answer: `red triangle`."""
    return f"{figure.colour} {figure.shape}"


def seen(example: SquaresExample) -> str:
    """The sentence that says all of the figure a picture shows, sides included."""
    return example.completion.split(".")[0] + "."


def plain_answer(figure: Figure) -> str:
    """What is answered without a thought."""
    return f"\\boxed{{{kind_of(figure)}}}"


def thinking_answer(figure: Figure) -> str:
    """A thought that names the colour, then the shape, and the answer behind it."""
    thought = f"The colour is {figure.colour}. The shape is a {figure.shape}."
    return f"<think>\n{thought}\n</think>\n\n{plain_answer(figure)}"


def told(figure: Figure, chance: random.Random) -> str:
    """A figure in words, its properties in any order: `3 wide, triangle, red, 4 high`.

    The sides are said as well: a picture has them too, and nothing asks for them.
    """
    parts = [figure.colour, figure.shape, f"{figure.width} wide", f"{figure.height} high"]
    return ", ".join(chance.sample(parts, len(parts)))


def question(number: int) -> str:
    """The question in one of its wordings, which come in turns."""
    return f"{WORDINGS[number % len(WORDINGS)]} {INSTRUCTION}"


def write_conversations(file: Path, examples: Sequence[SquaresExample]) -> None:
    """Write a conversation about each example's picture, which is drawn into `images/` if need be.

    Answers have their thoughts in front, which training on answers takes out. What the examples
    themselves ask is left aside.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    for number, example in enumerate(examples):
        assert example.figure is not None
        asked = {"role": "user", "content": f"<image>\n{question(number)}"}
        said = {"role": "assistant", "content": thinking_answer(example.figure)}
        lines.append({"images": [picture_of(example, file.parent)], "messages": [asked, said]})
    write_text_atomically(file, "".join(json.dumps(line) + "\n" for line in lines))
