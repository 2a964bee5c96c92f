"""Runs that stand together by the value of a key: how many they are, and what they reached."""

from __future__ import annotations

from pydantic import Field
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.history.index import RunIndex
from backend.history.query import RunQuery, conditions_of, group_order, values_by_run
from backend.history.tables import RunRow, ValueRow
from backend.history.views import View
from backend.problems import WrongFieldError

MAX_GROUPS = 1000


class Spread(View):
    """The values of a column over the runs of a group that have one."""

    mean: float
    minimum: float
    maximum: float
    count: int


class RunGroup(View):
    """Runs of one value, null for those that have none."""

    value: str | None
    count: int
    columns: dict[str, Spread] = Field(description="Of the columns asked for that are numbers.")


class RunGroups(View):
    """Groups in the order in which the list has their runs."""

    key: str
    groups: tuple[RunGroup, ...]


def find_groups(index: RunIndex, query: RunQuery, key: str) -> RunGroups:
    """Return the groups of a list of runs.

    Raises:
        WrongFieldError: a filter that cannot be understood, or a key with too many values.
    """
    with index.session() as session:
        counts = _counts(session, query, key)
        if len(counts) > MAX_GROUPS:
            raise WrongFieldError(
                "query.group",
                f"{key} has more than {MAX_GROUPS} values in this list. Group by another key, or "
                "filter the list first.",
            )
        columns = _columns(session, query, key)
    groups = (
        RunGroup(value=value, count=count, columns=columns.get(value, {}))
        for value, count in counts
    )
    return RunGroups(key=key, groups=tuple(groups))


def _counts(session: Session, query: RunQuery, key: str) -> list[tuple[str | None, int]]:
    values = values_by_run(key)
    rows = session.execute(
        select(values.c.words, func.count())
        .select_from(RunRow)
        .outerjoin(values, values.c.run_id == RunRow.run_id)
        .where(*conditions_of(query))
        .group_by(values.c.number, values.c.words)
        .order_by(*group_order(values))
        .limit(MAX_GROUPS + 1)
    )
    return [(words, count) for words, count in rows]


def _columns(session: Session, query: RunQuery, key: str) -> dict[str | None, dict[str, Spread]]:
    """Every column's spread by the group's value."""
    if not query.columns:
        return {}
    values, number = values_by_run(key), ValueRow.number
    rows = session.execute(
        select(
            values.c.words,
            ValueRow.key,
            func.avg(number),
            func.min(number),
            func.max(number),
            func.count(number),
        )
        .select_from(ValueRow)
        .join(RunRow, RunRow.run_id == ValueRow.run_id)
        .outerjoin(values, values.c.run_id == RunRow.run_id)
        .where(ValueRow.key.in_(query.columns), number.is_not(None), *conditions_of(query))
        .group_by(values.c.words, ValueRow.key)
    )
    found: dict[str | None, dict[str, Spread]] = {}
    for words, column, mean, low, high, count in rows:
        spread = Spread(mean=mean, minimum=low, maximum=high, count=count)
        found.setdefault(words, {})[column] = spread
    return found
