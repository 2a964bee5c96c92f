"""A folder of any name is shown as text that leads back to it."""

from __future__ import annotations

import pytest

from OnPolicyDistill.runs.naming import folder_name, is_run_name, shown_name

NAMES = (
    "distill_20260101_000000_ab12", "my run", "über", "a\udcff", "a\n", "a\\xff", "²", "\udce9\\",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_shown_name_is_printable_and_leads_back(name: str) -> None:
    shown = shown_name(name)
    assert shown.isprintable()
    assert shown.encode()
    assert folder_name(shown) == name


def test_no_two_folders_are_shown_alike() -> None:
    assert len({shown_name(name) for name in NAMES}) == len(NAMES)
    assert [is_run_name(name) for name in NAMES] == [True] + [False] * 7
