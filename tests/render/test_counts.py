"""Counts of tests, however a publisher writes them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnotify.render.counts import Counts, bar, count, outcome, summary

COUNT = st.none() | st.integers(0, 10**12)


@pytest.mark.parametrize(("value", "number"), [(0, 0), (12, 12), ("12", 12), (" 7 ", 7), (8.0, 8), (10**12, 10**12)])
def test_whole_numbers_are_counts(value: object, number: int) -> None:
    assert count(value) == number


@pytest.mark.parametrize(
    "value",
    [None, True, -1, "-1", 1.5, "1.5", "ten", "", "١٢", math.nan, math.inf, 10**13, "9" * 5000, [1], {"$gt": 0}, "1e3"],
    ids=lambda value: ascii(value)[:12],
)
def test_anything_else_is_none(value: object) -> None:
    assert count(value) is None


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (Counts(10, 8, 2), "8 of 10 tests passed, 2 failed"),
        (Counts(10, 10, 0), "10 of 10 tests passed"),
        (Counts(1, 1, None), "1 of 1 test passed"),
        (Counts(None, 8, 2), "8 of 10 tests passed, 2 failed"),
        (Counts(10, None, 2), "2 of 10 tests failed"),
        (Counts(10, None, None), "10 tests"),
        (Counts(0, 0, 0), "No tests were run"),
        (Counts(0, None, None), "No tests were run"),
        (Counts(None, 8, None), None),
        (Counts(None, None, None), None),
        (Counts(5, 8, 2), "8 of 10 tests passed, 2 failed"),
    ],
)
def test_the_summary_says_what_is_known(counts: Counts, words: str | None) -> None:
    assert summary(counts) == words


@given(COUNT, COUNT, COUNT)
def test_the_parts_of_the_bar_add_up_and_none_is_rounded_away(
    total: int | None, passed: int | None, failed: int | None
) -> None:
    counts = Counts(total, passed, failed)
    parts = bar(counts)
    if parts is None:
        assert not counts.whole
        return
    percents = dict(parts)
    assert sum(percents.values()) == 100
    assert all(percent >= 1 for percent in percents.values())
    assert ("failed" in percents) == bool(failed)
    assert ("passed" in percents) == bool(passed)


@pytest.mark.parametrize(
    ("status", "counts", "ended"),
    [
        ("success", Counts(10, 10, 0), "success"),
        ("success", Counts(None, None, None), "success"),
        ("success", Counts(10, 8, 2), "partial"),
        ("success", Counts(0, 0, 0), "empty"),
        ("failed", Counts(10, 10, 0), "failed"),
        ("cancelled", Counts(10, 8, 2), "cancelled"),
    ],
)
def test_a_success_with_failed_tests_or_none_is_told_apart(status: str, counts: Counts, ended: str) -> None:
    assert outcome(status, counts) == ended
