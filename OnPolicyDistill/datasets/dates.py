"""The embedded task: a date and a time in English, to be written in ISO form.

"the third of March 1998, quarter past six in the evening" is "1998-03-03 18:15". Every example has
one right answer. Dates are split by a hash of the date itself, so a held-out date never appears in
training in any wording; 1950 to 2049 makes two-digit years unambiguous.
"""

from __future__ import annotations

import datetime
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Split = Literal["train", "held_out"]

FIRST_DAY = datetime.date(1950, 1, 1)
NUM_DAYS = (datetime.date(2050, 1, 1) - FIRST_DAY).days
HELD_OUT_EVERY = 10

MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
ORDINALS = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
    "twentieth",
]
HOURS = [
    "twelve",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
]
MINUTES = {5: "five", 10: "ten", 20: "twenty", 25: "twenty-five"}


@dataclass(frozen=True, slots=True)
class DateExample:
    """A phrase, its ISO form, and the wordings it uses, such as `spoken+quarter`.

    `habitual_answer` is the same moment as the small model was taught to write it: day first, with
    dots ("03.03.1998 18:15"), wherever the phrase itself puts the day first.
    """

    prompt: str
    answer: str
    habitual_answer: str
    style: str


def ordinal_word(number: int) -> str:
    """`twenty-first` for 21; days of a month only."""
    if number <= 20:
        return ORDINALS[number - 1]
    if number == 30:
        return "thirtieth"
    tens = "twenty" if number < 30 else "thirty"
    return f"{tens}-{ORDINALS[number % 10 - 1]}"


def ordinal_number(number: int) -> str:
    """`21st` for 21; days of a month only."""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if 11 <= number <= 13 else ending}"


def part_of_day(hour: int) -> str:
    """How a twelve-hour time is told apart from the same one half a day later."""
    if hour < 6 or hour >= 22:
        return "at night"
    if hour < 12:
        return "in the morning"
    return "in the afternoon" if hour < 18 else "in the evening"


DATE_STYLES: dict[str, Callable[[datetime.date], str]] = {
    "iso": lambda day: day.isoformat(),
    "dotted": lambda day: f"{day.day}.{day.month}.{day.year}",
    "named": lambda day: f"{day.day} {MONTHS[day.month - 1]} {day.year}",
    "american": lambda day: f"{MONTHS[day.month - 1]} {day.day}, {day.year}",
    "short": lambda day: f"{day.day} {MONTHS[day.month - 1][:3]} {day.year % 100:02d}",
    "ordinal": lambda day: f"{ordinal_number(day.day)} of {MONTHS[day.month - 1]} {day.year}",
    "spoken": lambda day: f"the {ordinal_word(day.day)} of {MONTHS[day.month - 1]} {day.year}",
}

DAY_FIRST_STYLES = ("dotted", "short", "ordinal", "spoken")


def _clock(hour: int, minute: int) -> str:
    return f"{hour:02d}:{minute:02d}"


def _am_pm(hour: int, minute: int) -> str:
    return f"{hour % 12 or 12}:{minute:02d} {'am' if hour < 12 else 'pm'}"


def _quarter(hour: int, minute: int) -> str:
    words = {0: "{} o'clock", 15: "quarter past {}", 30: "half past {}", 45: "quarter to {}"}
    named = HOURS[(hour + (minute == 45)) % 12]
    return f"{words[minute].format(named)} {part_of_day(hour)}"


def _minutes(hour: int, minute: int) -> str:
    if minute < 30:
        return f"{MINUTES[minute]} past {HOURS[hour % 12]} {part_of_day(hour)}"
    return f"{MINUTES[60 - minute]} to {HOURS[(hour + 1) % 12]} {part_of_day(hour)}"


def _named(hour: int, minute: int) -> str:
    return "noon" if hour else "midnight"


@dataclass(frozen=True, slots=True)
class TimeStyle:
    """A wording of the time and what it can express."""

    write: Callable[[int, int], str]
    hours: Sequence[int]
    minutes: Sequence[int]


TIME_STYLES: dict[str, TimeStyle] = {
    "clock": TimeStyle(_clock, range(24), range(60)),
    "word": TimeStyle(_named, (0, 12), (0,)),
    "am_pm": TimeStyle(_am_pm, range(24), range(60)),
    "quarter": TimeStyle(_quarter, range(24), (0, 15, 30, 45)),
    "minutes": TimeStyle(_minutes, range(24), (5, 10, 20, 25, 35, 40, 50, 55)),
}
# Noon and midnight are two phrases only; the wordings that must be understood come most often.
TIME_WEIGHTS = {"clock": 1, "word": 1, "am_pm": 4, "quarter": 4, "minutes": 4}


def is_held_out(day: datetime.date) -> bool:
    """Whether a date belongs to validation; one in ten does, by a hash of the date."""
    number = (day - FIRST_DAY).days
    return number * 2_654_435_761 % 2**32 // 65_536 % HELD_OUT_EVERY == 0


def generate_dates(seed: int, split: Split) -> Iterator[DateExample]:
    """Yield examples without end, the same ones for the same arguments.

    Dates and their wordings are drawn evenly; half of the phrases carry the weekday, and a third
    tells the time first.
    """
    chance = random.Random(seed)
    names, weights = list(TIME_WEIGHTS), list(TIME_WEIGHTS.values())
    while True:
        day = FIRST_DAY + datetime.timedelta(days=chance.randrange(NUM_DAYS))
        if is_held_out(day) != (split == "held_out"):
            continue
        date_style = chance.choice(list(DATE_STYLES))
        (time_style,) = chance.choices(names, weights)
        hour = chance.choice(TIME_STYLES[time_style].hours)
        minute = chance.choice(TIME_STYLES[time_style].minutes)
        date_text = DATE_STYLES[date_style](day)
        if chance.random() < 0.5:
            date_text = f"{WEEKDAYS[day.weekday()]}, {date_text}"
        time_text = TIME_STYLES[time_style].write(hour, minute)
        time_first = chance.random() < 1 / 3
        yield DateExample(
            prompt=f"{time_text} on {date_text}" if time_first else f"{date_text}, {time_text}",
            answer=f"{day.isoformat()} {hour:02d}:{minute:02d}",
            habitual_answer=f"{_habitual_date(day, date_style)} {hour:02d}:{minute:02d}",
            style=f"{date_style}+{time_style}",
        )


def misprint(answer: str, chance: random.Random) -> str:
    """Return the answer with one digit replaced by a random one."""
    place = chance.choice([place for place, letter in enumerate(answer) if letter.isdigit()])
    return answer[:place] + chance.choice("0123456789") + answer[place + 1 :]


def _habitual_date(day: datetime.date, date_style: str) -> str:
    return f"{day:%d.%m.%Y}" if date_style in DAY_FIRST_STYLES else day.isoformat()
