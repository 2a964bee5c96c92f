"""What a labelled file gives away: the accuracy of rules that know no more than it says.

Whatever is measured on the file has to be better than these. They are computed from the file alone:
`majority` says the commonest label always; `adjacency` says no where the pair asked about is
adjacent and yes elsewhere; `length` says one label up to some length of the text and another one
beyond, both labels and the length chosen on this very file, which is more than a fair rule knows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from OnPolicyDistill.datasets.causal_graphs_told import NO, YES
from OnPolicyDistill.datasets.labelled import LabelledItem, load_items
from OnPolicyDistill.errors import DatasetError
from OnPolicyDistill.evaluation.intervals import wilson_interval
from OnPolicyDistill.evaluation.labelled_report import Interval

Rule = Literal["majority", "adjacency", "length"]
ADJACENT_KEY = "adjacent"


class Baseline(BaseModel):
    """How often a rule is right, of the items that it applies to; `says` is the rule in words."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: Rule
    says: str
    num_items: int
    accuracy: float
    interval: Interval


def baselines_of_file(path: Path) -> tuple[Baseline, ...]:
    """Baselines of a file of labelled items.

    Raises:
        DatasetError: the file cannot be read, or no item has a label.
    """
    return baselines_of(load_items(path, sees=True))


def baselines_of(items: Sequence[LabelledItem]) -> tuple[Baseline, ...]:
    """Baselines of labelled items; adjacency only where their lines say `adjacent`.

    Raises:
        DatasetError: no item has a label.
    """
    labelled = [item for item in items if item.gold is not None]
    if not labelled:
        message = "No item has a label, so no rule can be right or wrong."
        raise DatasetError(message, 'Write "label" into the lines.')
    rules = (_majority(labelled), _adjacency(labelled), _length(labelled))
    return tuple(rule for rule in rules if rule is not None)


def _majority(items: Sequence[LabelledItem]) -> Baseline:
    label, count = _commonest(item.gold for item in items)
    return _baseline("majority", f"always {label}", count, len(items))


def _adjacency(items: Sequence[LabelledItem]) -> Baseline | None:
    known = [item for item in items if isinstance(item.extra.get(ADJACENT_KEY), bool)]
    if not known:
        return None
    right = sum(item.gold == (NO if item.extra[ADJACENT_KEY] else YES) for item in known)
    return _baseline("adjacency", "adjacent means no, anything else yes", right, len(known))


def _length(items: Sequence[LabelledItem]) -> Baseline:
    """The best of all rules with one threshold, which may lie beyond every text."""
    shorter: Counter[str | None] = Counter()
    longer = Counter(item.gold for item in items)
    label, right = _commonest(longer.elements())
    says = f"always {label}"
    ordered = sorted(items, key=_characters)
    for item, following in pairwise(ordered):
        shorter[item.gold] += 1
        longer[item.gold] -= 1
        if _characters(item) == _characters(following):
            continue
        (low, few), (high, many) = shorter.most_common(1)[0], longer.most_common(1)[0]
        if few + many > right:
            right = few + many
            says = f"{low} up to {_characters(item)} characters, else {high}"
    return _baseline("length", says, right, len(items))


def _characters(item: LabelledItem) -> int:
    return len(item.text)


def _commonest(labels: Iterable[str | None]) -> tuple[str | None, int]:
    return Counter(sorted(labels, key=str)).most_common(1)[0]


def _baseline(rule: Rule, says: str, num_right: int, num_items: int) -> Baseline:
    interval = wilson_interval(num_right, num_items)
    accuracy = num_right / num_items
    return Baseline(rule=rule, says=says, num_items=num_items, accuracy=accuracy, interval=interval)
