"""Controls change the pictures of prompts and nothing else."""

from __future__ import annotations

import numpy as np

from OnPolicyDistill.evaluation.controls import (
    Controls,
    blank_pictures,
    pictures_of,
    shuffled_pictures,
)
from OnPolicyDistill.pictures import FIRST_PICTURE_ID, Picture, PictureBook
from OnPolicyDistill.rollout import EncodedPrompt


def picture(digest: str, places: int = 4) -> Picture:
    pixels = np.full((32, 32 * places, 3), 7, np.uint8)
    return Picture(digest, 32, 32 * places, places, lambda: pixels)


def prompt(index: int, book: PictureBook, *pictures: Picture) -> EncodedPrompt:
    ids: list[int] = [1]
    for shown in pictures:
        ids += [2, *book.ids_of(shown), 3]
    return EncodedPrompt(index, (*ids, 4, 5), "how wide", "12", "boxed")


def words_of(asked: EncodedPrompt) -> list[int]:
    return [token for token in asked.ids if token < FIRST_PICTURE_ID]


def test_blank_pictures_are_white_and_as_large() -> None:
    book = PictureBook()
    asked = [prompt(0, book, picture("a", 4), picture("b", 6)), prompt(1, book)]
    (changed,) = blank_pictures(asked, book)
    assert words_of(changed) == words_of(asked[0])
    assert len(changed.ids) == len(asked[0].ids)
    first, second = pictures_of(changed, book)
    assert (first.num_places, second.num_places) == (4, 6)
    assert first.pixels().shape == (32, 128, 3)
    assert set(first.pixels().ravel()) == {255}
    assert (changed.index, changed.answer, changed.grader) == (0, "12", "boxed")


def test_neighbouring_pictures_are_told_apart() -> None:
    book = PictureBook()
    a, b = picture("a"), picture("b")
    together = EncodedPrompt(0, (1, *book.ids_of(a), *book.ids_of(b), *book.ids_of(a), 2), "")
    assert pictures_of(together, book) == (a, b, a)


def test_every_prompt_gets_pictures_of_another_one() -> None:
    book = PictureBook()
    # The first two show the same picture: neither can stand for the other.
    shown = [picture("a"), picture("a"), picture("b", 6), picture("c")]
    asked = [prompt(i, book, one) for i, one in enumerate(shown)]
    changed = shuffled_pictures(asked, book)
    found = [pictures_of(one, book)[0].digest for one in changed]
    assert found == ["b", "b", "c", "a"]
    assert [words_of(one) for one in changed] == [words_of(one) for one in asked]


def test_a_prompt_without_a_partner_is_left_out() -> None:
    book = PictureBook()
    asked = [
        prompt(0, book, picture("a")),
        prompt(1, book, picture("a")),
        prompt(2, book, picture("a"), picture("b")),
        prompt(3, book),
    ]
    assert shuffled_pictures(asked, book) == []


def test_at_most_so_many_prompts_are_asked_again() -> None:
    book = PictureBook()
    asked = [prompt(i, book, picture(f"p{i}")) for i in range(5)]
    controls = Controls(book, 3)
    assert [one.index for one in controls.blank(asked)] == [0, 1, 2]
    assert [one.index for one in controls.shuffled(asked)] == [0, 1, 2]
