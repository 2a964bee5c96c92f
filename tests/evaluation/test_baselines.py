"""Rules that know nothing of the task are right half of the time on ours, and that is counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from OnPolicyDistill.datasets.causal_sets import LEVELS, write_causal
from OnPolicyDistill.datasets.labelled import LabelledItem
from OnPolicyDistill.errors import DatasetError
from OnPolicyDistill.evaluation.baselines import Baseline, baselines_of, baselines_of_file


def items(*lines: tuple[str, str | None, object]) -> list[LabelledItem]:
    return [
        LabelledItem(place, text, gold, extra={} if adjacent is None else {"adjacent": adjacent})
        for place, (text, gold, adjacent) in enumerate(lines)
    ]


def by_rule(found: tuple[Baseline, ...]) -> dict[str, Baseline]:
    return {baseline.rule: baseline for baseline in found}


@pytest.mark.parametrize("level", ["easy", "full"])
def test_no_rule_is_better_than_chance_on_the_causal_task(level: str, tmp_path: Path) -> None:
    file = write_causal(tmp_path, {"test": 400}, LEVELS[level])["test"]
    found = by_rule(baselines_of_file(file))
    assert (found["majority"].accuracy, found["adjacency"].accuracy) == (0.5, 0.5)
    # The best of all thresholds is fitted to the file itself: a little above a half by chance.
    assert 0.5 <= found["length"].accuracy < 0.55
    assert all(rule.interval.low < 0.5 < rule.interval.high for rule in found.values())


def test_each_rule_is_right_as_often_as_counted_by_hand() -> None:
    found = by_rule(
        baselines_of(
            items(
                ("a", "no", True),
                ("bb", "no", True),
                ("ccc", "yes", True),
                ("dddd", "yes", False),
                ("eeeee", "yes", False),
            )
        )
    )
    assert (found["majority"].accuracy, found["majority"].says) == (0.6, "always yes")
    assert found["adjacency"].accuracy == 0.8
    assert (found["length"].accuracy, found["length"].says) == (
        1.0,
        "no up to 2 characters, else yes",
    )
    assert found["adjacency"].interval.low == pytest.approx(0.3755, abs=1e-4)


def test_texts_of_one_length_are_not_told_apart() -> None:
    found = by_rule(
        baselines_of(items(("aa", "no", None), ("bb", "yes", None), ("cc", "yes", None)))
    )
    assert found["length"].accuracy == pytest.approx(2 / 3)
    assert found["length"].says == "always yes"


def test_adjacency_is_counted_only_where_lines_say_it() -> None:
    assert "adjacency" not in by_rule(baselines_of(items(("a", "no", None))))
    found = by_rule(baselines_of(items(("a", "no", True), ("b", "no", None), ("c", None, True))))
    assert (found["adjacency"].num_items, found["adjacency"].accuracy) == (1, 1.0)
    assert found["majority"].num_items == 2


def test_a_file_without_labels_has_no_baselines() -> None:
    with pytest.raises(DatasetError, match="No item has a label"):
        baselines_of(items(("a", None, None)))
