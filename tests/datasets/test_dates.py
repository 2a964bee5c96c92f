import datetime
import random
import re
from itertools import islice

from OnPolicyDistill.datasets.dates import (
    DATE_STYLES,
    FIRST_DAY,
    NUM_DAYS,
    TIME_STYLES,
    DateExample,
    Split,
    generate_dates,
    is_held_out,
    misprint,
    ordinal_number,
    ordinal_word,
    part_of_day,
)


def examples(split: Split, count: int, seed: int = 0) -> list[DateExample]:
    return list(islice(generate_dates(seed, split), count))


def find(time_style: str, answer_end: str) -> DateExample:
    return next(
        example
        for example in generate_dates(3, "train")
        if example.style.endswith(f"+{time_style}") and example.answer.endswith(answer_end)
    )


def test_the_same_seed_gives_the_same_examples_and_another_seed_others() -> None:
    assert examples("train", 50) == examples("train", 50)
    assert examples("train", 50) != examples("train", 50, seed=1)


def test_a_held_out_date_never_appears_in_training() -> None:
    trained = {example.answer[:10] for example in examples("train", 5000)}
    held_out = {example.answer[:10] for example in examples("held_out", 5000)}
    assert not trained & held_out


def test_one_date_in_ten_is_held_out() -> None:
    days = (FIRST_DAY + datetime.timedelta(days=number) for number in range(NUM_DAYS))
    share = sum(map(is_held_out, days)) / NUM_DAYS
    assert 0.095 < share < 0.105


def test_answers_are_real_dates_and_times() -> None:
    for example in examples("train", 500):
        datetime.datetime.strptime(example.answer, "%Y-%m-%d %H:%M").replace(tzinfo=datetime.UTC)


def test_every_wording_comes_up() -> None:
    seen = {example.style for example in examples("train", 3000)}
    assert seen == {f"{date}+{time}" for date in DATE_STYLES for time in TIME_STYLES}


def test_every_phrase_has_one_answer() -> None:
    answers: dict[str, str] = {}
    for example in examples("train", 20_000):
        assert answers.setdefault(example.prompt, example.answer) == example.answer


def test_a_phrase_with_a_weekday_names_the_right_one() -> None:
    for example in examples("train", 300):
        named = re.search(r"\w+day", example.prompt)
        if named is not None:
            day = datetime.date.fromisoformat(example.answer[:10])
            assert named.group() == f"{day:%A}"


def test_the_hour_before_is_named_after_half_past() -> None:
    assert "quarter to seven in the evening" in find("quarter", "18:45").prompt
    assert "ten to one in the afternoon" in find("minutes", "12:50").prompt
    assert "half past twelve at night" in find("quarter", "00:30").prompt
    assert "twelve" not in find("am_pm", "00:05").prompt
    assert "12:05 am" in find("am_pm", "00:05").prompt


def test_the_habit_puts_the_day_first_where_the_phrase_does() -> None:
    for example in examples("train", 2000):
        year, month, day = example.answer[:10].split("-")
        day_first = example.style.split("+")[0] in ("dotted", "short", "ordinal", "spoken")
        expected = f"{day}.{month}.{year}" if day_first else f"{year}-{month}-{day}"
        assert example.habitual_answer == f"{expected} {example.answer[11:]}"


def test_the_habit_is_right_three_times_in_seven() -> None:
    drawn = examples("train", 5000)
    share = sum(example.answer == example.habitual_answer for example in drawn) / len(drawn)
    assert abs(share - 3 / 7) < 0.02


def test_a_misprint_changes_at_most_one_digit_and_nothing_else() -> None:
    chance = random.Random(4)
    answer = "1998-03-03 18:15"
    misprints = [misprint(answer, chance) for _ in range(500)]
    for text in misprints:
        differing = [(x, y) for x, y in zip(answer, text, strict=True) if x != y]
        assert len(differing) <= 1
        assert all(x.isdigit() and y.isdigit() for x, y in differing)
    # One misprint in ten replaces a digit by itself.
    assert 0.05 < misprints.count(answer) / len(misprints) < 0.2


def test_ordinals_are_written_as_they_are_spoken() -> None:
    assert [ordinal_word(n) for n in (1, 12, 20, 21, 30, 31)] == [
        "first",
        "twelfth",
        "twentieth",
        "twenty-first",
        "thirtieth",
        "thirty-first",
    ]
    assert [ordinal_number(n) for n in (1, 2, 3, 11, 12, 13, 21, 22, 31)] == (
        ["1st", "2nd", "3rd", "11th", "12th", "13th", "21st", "22nd", "31st"]
    )


def test_parts_of_the_day_tell_apart_what_the_dial_does_not() -> None:
    told = {(hour % 12, part_of_day(hour)) for hour in range(24)}
    assert len(told) == 24
