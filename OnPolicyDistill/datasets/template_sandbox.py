"""The Jinja environment of chat templates: transformers' own settings, sandboxed and bounded.

Jinja's sandbox keeps a template from reaching Python; it does not keep it from running forever.
Every loop pass and every call is charged to a budget here, numbers that would blow up a text are
refused, and the text itself is bounded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sized
from datetime import datetime
from threading import Lock

from jinja2 import Template, TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

MAX_OPERATIONS = 1_000_000
CALL_COST = 20  # a call takes about as long as twenty loop passes
MAX_CHARACTERS = 20_000_000
MAX_NUMBER = 1_000_000
WIDE_FORMAT = re.compile(r"\d{7,}")
BUDGET_FILTER = "charged_to_budget"


class GenerationTag(Extension):
    """`{% generation %}` marks the assistant's words for training masks; here they pass through."""

    tags = {"generation"}  # noqa: RUF012  (Jinja declares it as a plain class variable)

    def parse(self, parser: Parser) -> nodes.Node:
        """Replace the tag by its body, in a scope of its own as transformers has it."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        call = self.call_method("text_of")
        return nodes.CallBlock(call, [], [], body).set_lineno(line)

    def text_of(self, caller: Macro) -> str:
        """Return the body's text."""
        return str(caller())


class TemplateSandbox(ImmutableSandboxedEnvironment):
    """Renders one template at a time within a budget of operations."""

    intercepted_binops = frozenset(["*", "**", "%"])

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True, lstrip_blocks=True, extensions=[GenerationTag, loopcontrols]
        )
        self._lock = Lock()
        self._operations = 0
        self.filters["tojson"] = to_json
        self.filters[BUDGET_FILTER] = self._charge_loop
        self.globals.update(
            raise_exception=raise_exception,
            strftime_now=strftime_now,
            namespace=GuardedNamespace,
            dict=TemplateDict(),
        )

    def compiled(self, source: str) -> Template:
        """Compile a template with its loops charged to the budget."""
        tree = self.parse(source)
        for loop in list(tree.find_all(nodes.For)):
            charged = nodes.Filter(loop.iter, BUDGET_FILTER, [], [], None, None)
            charged.set_environment(self)
            loop.iter = charged.set_lineno(loop.lineno)
        return Template.from_code(self, self.compile(tree), self.make_globals(None))

    def bounded(self, template: Template, values: Mapping[str, object]) -> str:
        """Render within the budget.

        Raises:
            RecursionError: the template used up its budget or wrote too much.
        """
        with self._lock:
            self._operations = 0
            pieces, length = [], 0
            for piece in template.generate(dict(values)):
                length += len(piece)
                if length > MAX_CHARACTERS:
                    raise RecursionError("the text grows without end")
                pieces.append(piece)
            return "".join(pieces)

    def call(__self, __context: Context, __obj: object, *args: object, **kwargs: object) -> object:  # noqa: N805
        """Charge a call, and refuse numbers that would make a text of them."""
        __self._charge(CALL_COST)
        for value in (*args, *kwargs.values()):
            refuse_huge(value)
        return super().call(__context, __obj, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: object, right: object) -> object:
        """Refuse products, powers and formats that would fill the memory."""
        for value in (left, right):
            refuse_huge(value)
        if operator == "%" and isinstance(left, str) and WIDE_FORMAT.search(left):
            raise RecursionError("a format is too wide")
        if operator == "*" and isinstance(left, Sized) != isinstance(right, Sized):
            sized, times = (left, right) if isinstance(left, Sized) else (right, left)
            if isinstance(times, int) and isinstance(sized, Sized) and times * len(sized) > 10**7:
                raise RecursionError("a repetition is too long")
        if operator == "**" and isinstance(right, int | float) and right > 64:
            raise RecursionError("a power is too large")
        return super().call_binop(context, operator, left, right)

    def _charge_loop(self, values: Iterable[object]) -> Iterable[object]:
        """Charge every pass; values of known length stay what they are, for loop.length."""
        if isinstance(values, Sized):
            self._charge(len(values))
            return values
        return self._charged_one_by_one(values)

    def _charged_one_by_one(self, values: Iterable[object]) -> Iterator[object]:
        for value in values:
            self._charge(1)
            yield value

    def _charge(self, operations: int) -> None:
        self._operations += operations
        if self._operations > MAX_OPERATIONS:
            raise RecursionError("the template runs without end")


class TemplateDict:
    """`dict(...)` without the class behind it."""

    def __call__(self, *args: Iterable[tuple[str, object]], **kwargs: object) -> dict[str, object]:
        """Build a dictionary."""
        return dict(*args, **kwargs)


class GuardedNamespace(Namespace):
    """`namespace(...)` that takes no underscore names, as transformers has it."""

    def __init__(self, *args: Mapping[str, object], **kwargs: object) -> None:
        values = dict(*args, **kwargs)
        for name in values:
            _refuse_private(name)
        super().__init__(values)

    def __setitem__(self, name: str, value: object) -> None:
        _refuse_private(name)
        super().__setitem__(name, value)


def to_json(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Write JSON without the HTML escapes of Jinja's own filter."""
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def raise_exception(message: str) -> None:
    """Let a template refuse a conversation."""
    raise TemplateError(message)


def strftime_now(format: str) -> str:
    """The current local time, which some system prompts mention."""
    return datetime.now().strftime(format)


def refuse_huge(value: object) -> None:
    """Stop numbers that could only be meant to fill the memory."""
    if isinstance(value, int) and abs(value) > MAX_NUMBER:
        raise RecursionError("a number is too large")


def _refuse_private(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"a namespace takes no underscore names such as {name!r}")
