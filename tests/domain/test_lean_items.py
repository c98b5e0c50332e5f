"""A large item is kept lean: small, and good for its line in a digest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streamnotify.domain.lean_items import LARGE, lean
from streamnotify.domain.pending import DigestItem
from streamnotify.wire.rows import Row
from tests.domain.digest_builders import a_task_item, an_alert_item


def stored_size(item: DigestItem) -> int:
    """Bytes of the row it is kept in."""
    return len(Row(b"i", type(item)).encode(item))


def test_a_lean_item_still_has_what_the_digest_shows_and_its_link_needs() -> None:
    large = a_task_item(
        status="failed",
        error_message="boom " * 400,
        subject_template="x" * 255,
        display_name="Sync",
        variables={"aaa": "x" * 580, "test_run_id": "t1", "tests_failed": 2, "details": {"a": 1}, "huge": "x" * 10_000},
    )
    kept = lean(large)
    assert kept == replace(
        large,
        error_message="boom " * 200,
        subject_template=None,
        variables={"test_run_id": "t1", "tests_failed": 2},
    )


def test_a_lean_alert_names_fewer_dependents() -> None:
    alert = an_alert_item(dependent_tasks=tuple("abcdefghij"))
    assert lean(alert) == replace(alert, dependent_tasks=("a", "b", "c"))


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=255), values, max_size=30), st.none() | st.text(max_size=2_000))
def test_a_lean_item_is_small(variables: dict[str, Any], error: str | None) -> None:
    item = lean(a_task_item(variables=variables, error_message=error))
    assert stored_size(item) <= 7_100  # 1,000 and 600 characters, of 4 bytes each, among other things
    assert lean(item) == item


def test_hardly_any_item_is_large_once_it_is_lean() -> None:
    names: dict[str, Any] = dict.fromkeys(("organization_id", "user_id", "display_name", "email"), "x" * 50)
    item = a_task_item("x" * 60, error_message="x" * 2_000, variables={"a" * 20: "x" * 500, "b": "x" * 5_000}, **names)
    assert stored_size(lean(item)) < LARGE
    assert stored_size(lean(an_alert_item(dependent_tasks=("x" * 255,) * 50))) < LARGE
