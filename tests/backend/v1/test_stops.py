"""Stop texts: an answer ends in front of the first, wherever the pieces are cut."""

from __future__ import annotations

import pytest

from backend.v1.stops import StopWatch


def told(stops: tuple[str, ...], pieces: list[str]) -> tuple[str, bool]:
    watch = StopWatch(stops)
    text = "".join(map(watch.add, pieces))
    return text + watch.rest(), watch.is_over


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_the_first_stop_ends_the_answer_however_the_text_is_cut(size: int) -> None:
    text = "one, two.\n\nUser: three STOP four"
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert told(("STOP", "\n\nUser:"), pieces) == ("one, two.", True)
    assert told(("nowhere",), pieces) == (text, False)


def test_what_only_looked_like_a_stop_is_told_in_the_end() -> None:
    watch = StopWatch(("</s>",))
    assert watch.add("a </") == "a "
    assert watch.add("s") == ""
    assert watch.rest() == "</s"
