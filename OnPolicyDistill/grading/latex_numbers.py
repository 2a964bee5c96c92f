r"""Numbers as people write them in LaTeX: read by a small parser, never evaluated.

It knows decimals, fractions (`\frac`, `a/b`, mixed), roots, pi, sums, products, powers, percent and
units. It is bounded in characters, digits, depth, exponents and steps, so that no answer of a model
can keep it busy: what is beyond a bound is no number. Only the digits 0 to 9 are digits.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

MAX_CHARACTERS = 400
MAX_DIGITS = 40
# Whole numbers beyond this are not told apart as floats.
MAX_WHOLE_DIGITS = 15
MAX_DEPTH = 12
MAX_EXPONENT = 300
MAX_STEPS = 2_000

TEXT_COMMANDS = r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mbox|operatorname)\s*"
WRAPPED = re.compile(TEXT_COMMANDS + r"\{([^{}]*)\}")
LAYOUT = re.compile(
    r"\\(?:left|right|displaystyle|textstyle|quad|qquad|bigl|bigr|big|Big)(?![A-Za-z])|\\[()\[\]!]|\\?\$"
)
THIN_SPACE = re.compile(r"\\[,;: ]|~")
THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:(?:\{,\}|,|\\,)\d{3})+(?![\d,])", re.ASCII)
WRITTEN_OTHERWISE = {
    "\N{MINUS SIGN}": "-",
    "\N{EN DASH}": "-",
    "\N{MULTIPLICATION SIGN}": "*",
    "\N{MIDDLE DOT}": "*",
    "\N{DIVISION SIGN}": "/",
    "\N{GREEK SMALL LETTER PI}": r"\pi ",
    "\N{SQUARE ROOT}": r"\sqrt ",
    "\N{DEGREE SIGN}": " deg",
    "\N{SUPERSCRIPT TWO}": "^2",
    "\N{SUPERSCRIPT THREE}": "^3",
    "\N{NO-BREAK SPACE}": " ",
    r"\%": "%",
    r"\degree": " deg",
    r"\cdot": "*",
    r"\times": "*",
    r"\div": "/",
}
DEGREES = re.compile(r"\^\s*(?:\{\s*\\circ\s*\}|\\circ)")
TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3}(?![0-9]))?)"
    r"|(?P<command>\\[A-Za-z]+)|(?P<sign>[-+*/^(){}\[\]]))"
)
FRACTIONS = (r"\frac", r"\dfrac", r"\tfrac", r"\cfrac")
# What a length, an area or an angle may be measured in, by its plain name; `unit` says nothing.
UNITS = {
    "cm": "cm centimeter centimeters centimetre centimetres",
    "mm": "mm millimeter millimeters millimetre millimetres",
    "km": "km kilometer kilometers kilometre kilometres",
    "m": "m meter meters metre metres",
    "in": "in inch inches",
    "ft": "ft foot feet",
    "yd": "yd yard yards",
    "mi": "mi mile miles",
    "deg": "deg degree degrees",
    "rad": "rad radian radians",
    "%": "% percent",
    "": "unit units",
}
UNIT_NAMES = {name: unit for unit, names in UNITS.items() for name in names.split()}
POWERS = {"sq": "^2", "square": "^2", "squared": "^2", "cubic": "^3", "cubed": "^3"}
TRAILING_UNIT = re.compile(
    r"(?P<before>(?:\b(?:sq|square|cubic)\.?\s*)?)"
    rf"(?P<unit>%|(?<![A-Za-z\\])(?:{'|'.join(sorted(UNIT_NAMES, key=len, reverse=True))})\.?)\s*"
    r"(?P<after>(?:\^\s*\{?\s*[23]\s*\}?|squared|cubed)?)\s*\Z"
)


class NoNumberError(Exception):
    """The text is no number, or one beyond the bounds."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A finite number and its unit, `cm^2` say; empty where none is written."""

    value: float
    unit: str


@dataclass(slots=True)
class Steps:
    """Counts what reading costs, in characters and parser steps."""

    taken: int = 0

    def charge(self, steps: int = 1) -> None:
        """Count, and give up beyond the bound."""
        self.taken += steps
        if self.taken > MAX_STEPS:
            raise NoNumberError("too long")


def read_quantity(text: str, steps: Steps) -> Quantity:
    """Read a number with or without a unit.

    Raises:
        NoNumberError: it is none.
    """
    if len(text) > MAX_CHARACTERS:
        raise NoNumberError("too long")
    steps.charge(len(text))
    plain, unit = _without_unit(_plain(text))
    parser = _Parser(_tokens(plain), steps)
    value = parser.whole()
    if not math.isfinite(value):
        raise NoNumberError("not finite")
    return Quantity(value, unit)


def _plain(text: str) -> str:
    """Take away what only changes how a number looks."""
    text = WRAPPED.sub(r" \1 ", LAYOUT.sub("", text))
    text = DEGREES.sub(" deg", text)
    for written, meant in WRITTEN_OTHERWISE.items():
        text = text.replace(written, meant)
    text = THOUSANDS.sub(lambda found: re.sub(r"[^0-9]", "", found[0]), text)
    return THIN_SPACE.sub(" ", text).strip().removesuffix(".")


def _without_unit(text: str) -> tuple[str, str]:
    found = TRAILING_UNIT.search(text)
    if found is None:
        return text, ""
    unit = UNIT_NAMES[found["unit"].removesuffix(".")]
    before, after = found["before"].strip(" ."), found["after"]
    power = POWERS.get(before) or POWERS.get(after) or (f"^{after.strip('^{} ')}" if after else "")
    return text[: found.start()], unit + power if unit else ""


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    place = 0
    text = text.rstrip()
    while place < len(text):
        found = TOKEN.match(text, place)
        if found is None:
            raise NoNumberError("not a number")
        number = found["number"]
        if number is not None and sum(sign in "0123456789" for sign in number) > MAX_DIGITS:
            raise NoNumberError("too many digits")
        if number is not None and number.isdigit() and len(number) > MAX_WHOLE_DIGITS:
            raise NoNumberError("too many digits")
        tokens.append(found[0].strip())
        place = found.end()
    return tokens


@dataclass(slots=True)
class _Parser:
    """Recursive descent over tokens; every rule is a method that returns a value."""

    tokens: list[str]
    steps: Steps
    place: int = 0
    depth: int = field(default=0)

    def whole(self) -> float:
        """All tokens are one sum."""
        try:
            value = self._sum()
        except (ArithmeticError, ValueError) as error:
            raise NoNumberError("not a number") from error
        if self.place != len(self.tokens):
            raise NoNumberError("not a number")
        return value

    def _sum(self) -> float:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise NoNumberError("too deep")
        value = self._signed()
        while self._peek() in ("+", "-"):
            sign = 1 if self._take() == "+" else -1
            value += sign * self._product()
        self.depth -= 1
        return value

    def _signed(self) -> float:
        if self._peek() in ("+", "-"):
            return self._product() if self._take() == "+" else -self._product()
        return self._product()

    def _product(self) -> float:
        value = self._factor()
        while True:
            token = self._peek()
            if token in ("*", "/"):
                self._take()
                factor = self._factor()
                value = value * factor if token == "*" else value / factor
            elif token in ("(", "{") or token.startswith("\\"):
                value *= self._factor()
            else:
                return value

    def _factor(self) -> float:
        start = self._peek()
        base = self._base()
        if start[:1].isdigit() and start.isdigit() and self._is_mixed():
            return base + self._base_of_mixed()
        if self._peek() != "^":
            return base
        self._take()
        exponent = self._operand(self._peek())
        if abs(exponent) > MAX_EXPONENT:
            raise NoNumberError("too large")
        return math.pow(base, exponent)  # a negative base's root is an error, not complex

    def _base(self) -> float:
        token = self._take()
        if token in ("(", "{"):
            value = self._sum()
            self._expect(")" if token == "(" else "}")
            return value
        if token == r"\pi":
            return math.pi
        if token in FRACTIONS:
            above = self._operand(self._one_digit())
            return above / self._operand(self._one_digit())
        if token == r"\sqrt":
            return self._root()
        if token[:1].isdigit() or token[:1] == ".":
            return float(token)
        raise NoNumberError("not a number")

    def _root(self) -> float:
        degree = 2.0
        if self._peek() == "[":
            self._take()
            degree = self._sum()
            self._expect("]")
        value = self._operand(self._peek())
        if degree == 3:
            return math.cbrt(value)
        return math.sqrt(value) if degree == 2 else math.pow(value, 1 / degree)

    def _operand(self, token: str) -> float:
        """What a command or a power takes: a group, a command, or a number, with its sign."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise NoNumberError("too deep")
        if token == "-":
            self._take()
            value = -self._operand(self._peek())
        else:
            value = self._base()
        self.depth -= 1
        return value

    def _one_digit(self) -> str:
        r"""The next token, of a number its first digit alone: `\frac12` is a half."""
        token = self._peek()
        if token.isdigit() and len(token) > 1:
            self.tokens[self.place : self.place + 1] = [token[0], token[1:]]
        return self._peek()

    def _is_mixed(self) -> bool:
        """Whether a proper fraction of whole numbers follows a whole number: 3 1/2."""
        rest = [*self.tokens[self.place : self.place + 7], ""]
        if rest[1:2] == ["/"]:
            numbers = rest[0:1] + rest[2:3]
        elif rest[:1] and rest[0] in FRACTIONS and rest[1].isdigit():
            numbers = list(rest[1]) if len(rest[1]) == 2 else rest[1:3]
        elif rest[:1] and rest[0] in FRACTIONS and len(rest) == 8:
            braces = [rest[1], rest[3], rest[4], rest[6]]
            numbers = [rest[2], rest[5]] if braces == ["{", "}", "{", "}"] else []
        else:
            return False
        whole = len(numbers) == 2 and all(number.isdigit() for number in numbers)
        return whole and 0 < int(numbers[0]) < int(numbers[1])

    def _base_of_mixed(self) -> float:
        above = self._base()
        if self._peek() == "/":
            self._take()
            return above / self._base()
        return above

    def _peek(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def _take(self) -> str:
        self.steps.charge()
        token = self._peek()
        self.place += 1
        return token

    def _expect(self, token: str) -> None:
        if self._take() != token:
            raise NoNumberError("unbalanced")
