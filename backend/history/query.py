"""Questions to the index: search words, filters over any config key or metric, sort, pages."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import Field
from sqlalchemy import (
    ColumnElement,
    Float,
    Select,
    SQLColumnExpression,
    String,
    Subquery,
    and_,
    cast,
    func,
    not_,
    null,
    or_,
    select,
    text,
)
from sqlalchemy.orm import Session, aliased

from backend.history.index import RunIndex
from backend.history.tables import EntryRow, RunRow, ValueRow
from backend.history.views import RunSummary, Value, View
from backend.problems import WrongFieldError

T = TypeVar("T")
OWN_NUMBERS = {"created": RunRow.created, "updated": RunRow.updated, "step": RunRow.step}
OWN_WORDS = {
    "run_id": RunRow.run_id,
    "state": RunRow.state,
    "method": RunRow.method,
    "name": RunRow.name,
}
# From each key to the next one in the index: DISTINCT would read all values of all runs.
_ALL_KEYS = text("""
WITH RECURSIVE known(key) AS (
    SELECT min(key) FROM run_values
    UNION ALL
    SELECT (SELECT min(key) FROM run_values WHERE key > known.key) FROM known
    WHERE known.key IS NOT NULL
)
SELECT key FROM known WHERE key IS NOT NULL
""")
_FILTER = re.compile(r"\s*([A-Za-z][\w.]{0,119})\s*(<=|>=|!=|=|<|>|~)\s*(.{1,200}?)\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunQuery:
    """What a list of runs shall hold; `sort` is a key, with a minus for falling.

    Runs stand together by the values of the key `group`, each group sorted for itself.

    `group` is a key too, by whose values runs stand together, each group sorted for itself.
    `shown_states` are run ids whose state the supervisor knows better than the folder.
    """

    search: str = ""
    filters: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    favourite: bool | None = None
    archived: bool | None = False
    sort: str = "-created"
    group: str | None = None
    offset: int = 0
    limit: int = 50
    columns: tuple[str, ...] = ()
    shown_states: Mapping[str, str] = field(default_factory=dict)


class RunPage(View):
    """A page of runs and how many there are in all."""

    runs: tuple[RunSummary, ...]
    total: int = Field(description="Runs that match, on all pages.")
    offset: int


def find_runs(index: RunIndex, query: RunQuery) -> RunPage:
    """Answer a query.

    Raises:
        WrongFieldError: a filter or sort key that cannot be understood.
    """
    with index.session() as session:
        matching = select(RunRow.run_id).where(*conditions_of(query))
        total = session.scalar(select(func.count()).select_from(matching.subquery())) or 0
        # Sorted are ids alone: whole entries would all go through the sorting.
        page = (
            _sorted(_grouped(matching, query.group), query.sort)
            .offset(query.offset)
            .limit(query.limit)
        )
        run_ids = session.scalars(page).all()
        entries = select(EntryRow.run_id, EntryRow.summary).where(EntryRow.run_id.in_(run_ids))
        summaries = dict(session.execute(entries).all())
        runs = tuple(RunSummary.model_validate_json(summaries[run_id]) for run_id in run_ids)
        values = _columns(session, [run.run_id for run in runs], query.columns)
    shown = (run.model_copy(update={"columns": values.get(run.run_id, {})}) for run in runs)
    return RunPage(runs=tuple(shown), total=total, offset=query.offset)


def conditions_of(query: RunQuery) -> list[ColumnElement[bool]]:
    """What a run has to be to be in the list.

    Raises:
        WrongFieldError: a filter that cannot be understood.
    """
    return [*_marks(query), *_words(query.search), *_filters(query.filters)]


def values_by_run(key: str) -> Subquery:
    """One value of a key a run, as `number` and `words`; of several, such as tags, the first."""
    if key in OWN_WORDS:
        return select(
            RunRow.run_id, cast(null(), Float).label("number"), OWN_WORDS[key].label("words")
        ).subquery()
    if key in OWN_NUMBERS:
        number = cast(OWN_NUMBERS[key], Float)
        return select(
            RunRow.run_id, number.label("number"), cast(number, String).label("words")
        ).subquery()
    return (
        select(
            ValueRow.run_id,
            func.min(ValueRow.number).label("number"),
            func.min(ValueRow.words).label("words"),
        )
        .where(ValueRow.key == key)
        .group_by(ValueRow.run_id)
        .subquery()
    )


def _grouped(rows: Select[str], key: str | None) -> Select[str]:
    if key is None:
        return rows
    values = values_by_run(key)
    rows = rows.outerjoin(values, values.c.run_id == RunRow.run_id)
    return rows.order_by(*group_order(values))


def group_order(values: Subquery) -> tuple[ColumnElement[object], ...]:
    """Groups by number, then by words; runs without a value stand last."""
    return values.c.number.asc().nulls_last(), values.c.words.asc().nulls_last()


def list_keys(index: RunIndex) -> list[str]:
    """Return every key that some run has, to filter and sort by."""
    with index.session() as session:
        return [*OWN_WORDS, *OWN_NUMBERS, *session.scalars(_ALL_KEYS)]


def _marks(query: RunQuery) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if query.favourite is not None:
        conditions.append(RunRow.favourite.is_(query.favourite))
    if query.archived is not None:
        conditions.append(RunRow.archived.is_(query.archived))
    if query.states:
        conditions.append(_in_state(query))
    return conditions


def _in_state(query: RunQuery) -> ColumnElement[bool]:
    shown = [run_id for run_id, state in query.shown_states.items() if state in query.states]
    by_folder = and_(RunRow.state.in_(query.states), RunRow.run_id.not_in(list(query.shown_states)))
    return or_(by_folder, RunRow.run_id.in_(shown))


def _words(search: str) -> list[ColumnElement[bool]]:
    return [RunRow.words.contains(word, autoescape=True) for word in search.casefold().split()]


def _filters(filters: tuple[str, ...]) -> list[ColumnElement[bool]]:
    return [_condition(text) for text in filters]


def _condition(text: str) -> ColumnElement[bool]:
    found = _FILTER.fullmatch(text)
    if found is None:
        raise WrongFieldError(
            "query.filter",
            f"{text[:100]!r} is not a filter. Write a key, one of = != < <= > >= ~ and a value, "
            "such as distillation.lora.rank>=16.",
        )
    key, sign, value = found.groups()
    if key in OWN_WORDS:
        return _compare_words(OWN_WORDS[key], sign, value, text)
    if key in OWN_NUMBERS:
        return _compare_numbers(OWN_NUMBERS[key], sign, _as_number(value, text))
    # Asked once, by key. Asked anew for each run, SQLite goes through all values of the key each
    # time: 13.9 s at 2,000 runs.
    wanted = "=" if sign == "!=" else sign
    having = select(ValueRow.run_id).where(
        ValueRow.key == key, _value_condition(wanted, value, text)
    )
    return RunRow.run_id.not_in(having) if sign == "!=" else RunRow.run_id.in_(having)


def _value_condition(sign: str, value: str, text: str) -> ColumnElement[bool]:
    number = _number(value)
    if sign == "=" and number is not None:
        return or_(ValueRow.number == number, ValueRow.words == value)
    if sign in ("=", "~"):
        return _compare_words(ValueRow.words, sign, value, text)
    return _compare_numbers(ValueRow.number, sign, _as_number(value, text))


def _compare_words(
    column: SQLColumnExpression[str] | SQLColumnExpression[str | None],
    sign: str,
    value: str,
    text: str,
) -> ColumnElement[bool]:
    if sign == "~":
        return func.lower(column).contains(value.lower(), autoescape=True)
    if sign not in ("=", "!="):
        raise WrongFieldError("query.filter", f"{text[:100]!r}: {sign} needs a number's key.")
    same = column == value
    return same if sign == "=" else not_(same)


def _compare_numbers(
    column: SQLColumnExpression[float]
    | SQLColumnExpression[float | None]
    | SQLColumnExpression[int],
    sign: str,
    number: float,
) -> ColumnElement[bool]:
    match sign:
        case "<":
            return column < number
        case "<=":
            return column <= number
        case ">":
            return column > number
        case ">=":
            return column >= number
        case "!=":
            return column != number
        case _:
            return column == number


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _as_number(value: str, text: str) -> float:
    number = _number(value)
    if number is None:
        raise WrongFieldError("query.filter", f"{text[:100]!r}: {value!r} is not a number.")
    return number


def _sorted(rows: Select[str], sort: str) -> Select[str]:
    falling, key = sort.startswith("-"), sort.lstrip("-")
    if key in OWN_WORDS:
        rows = rows.order_by(_directed(OWN_WORDS[key], falling))
    elif key in OWN_NUMBERS:
        rows = rows.order_by(_directed(OWN_NUMBERS[key], falling))
    else:
        value = aliased(ValueRow)
        rows = rows.outerjoin(value, and_(value.run_id == RunRow.run_id, value.key == key))
        rows = rows.order_by(_directed(value.number, falling), _directed(value.words, falling))
    return rows.order_by(RunRow.run_id.desc())


def _directed(column: SQLColumnExpression[T], falling: bool) -> ColumnElement[T]:
    return (column.desc() if falling else column.asc()).nulls_last()


def _columns(
    session: Session, run_ids: list[str], keys: tuple[str, ...]
) -> dict[str, dict[str, Value]]:
    if not keys:
        return {}
    found: dict[str, dict[str, Value]] = {}
    rows = session.scalars(
        select(ValueRow).where(ValueRow.run_id.in_(run_ids), ValueRow.key.in_(keys))
    )
    for row in rows:
        value: Value = row.words if row.number is None else row.number
        found.setdefault(row.run_id, {})[row.key] = value
    return found
