"""Digests of what is large, hostile or strange."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamnotify.devtools.digest_samples import a_digest
from streamnotify.devtools.mail_lint import faults
from streamnotify.domain.notifications import TaskNotification
from streamnotify.render.library import PART_LIMIT
from streamnotify.render.variables import result_link, task_variables
from tests.render.a_notification import a_notification
from tests.render.reading import html_of, text_of, words
from tests.render.test_alert_mails import TEXT, parsed
from tests.render.test_digest_mails import POLICY, VIEW_ALL, mail, tasks


@pytest.mark.parametrize("organizations", [1, 40])
@pytest.mark.parametrize("character", ["&", "x", "字", "💥", " "])
def test_the_worst_of_1000_items_make_no_mail_too_large(character: str, organizations: int) -> None:
    worst = character * 255
    items = [
        replace(
            item,
            organization_id=f"{n % organizations}{worst}",
            status="failed" if n % 3 == 0 else "success",
            error_message=f"{n}{worst}",
            variables={"test_run_id": f"r{worst}", "test_set_name": worst, "total_tests": 10**12, "tests_failed": 1},
        )
        for n, item in enumerate(tasks(1000, display_name=f"n{worst}", duration_s=1e9))
        if isinstance(item, TaskNotification)
    ]
    rendered = mail(a_digest(items, show=1000, name=worst), VIEW_ALL)
    assert rendered.problems == ()
    assert rendered.subject == "334 failed, 666 completed — 1000 task notifications"
    assert max(len(html_of(rendered).encode()), len(text_of(rendered).encode())) <= PART_LIMIT
    assert 4 <= text_of(rendered).count("Failed ·") <= 100
    assert "Completed ·" not in text_of(rendered)  # failures take what room there is


def test_of_plain_items_many_have_room() -> None:
    rendered = mail(a_digest(tasks(1000, variables={"test_run_id": "x" * 36}), show=1000))
    assert text_of(rendered).count("Task ID: run-") >= 30
    assert "Task ID: run-0\n" in text_of(rendered)
    assert faults(html_of(rendered), text_of(rendered)) == []


VALUES = st.none() | st.booleans() | st.integers() | TEXT | st.lists(TEXT, max_size=2)


@settings(max_examples=200, deadline=None)
@given(
    result=st.dictionaries(st.sampled_from(["test_run_id", "test_set_id", "build", "task_id"]), VALUES),
    display_name=st.none() | TEXT,
    links=st.tuples(
        st.sampled_from(["/runs/{test_run_id}", "/b/{build}", "/t/{task_id}?n={task_name}&o={organization_id}", "/{x"]),
        st.sampled_from(["/sets/{test_set_id}", "/all", "/s/{status}"]),
    ),
)
def test_an_item_leads_where_its_own_mail_would(
    result: dict[str, Any], display_name: str | None, links: tuple[str, str]
) -> None:
    policy = replace(POLICY, link_test_run=links[0], link_test_set=links[1])
    task = a_notification(variables=result, display_name=display_name, organization_id="a/b")
    assert result_link(task, policy) == task_variables(task, policy)["link_url"]


@settings(max_examples=50, deadline=None)
@given(names=st.lists(st.tuples(TEXT, TEXT, TEXT, st.none() | TEXT), min_size=1, max_size=4), name=TEXT)
def test_no_field_adds_markup_or_a_header(names: Sequence[tuple[str, str, str, str | None]], name: str) -> None:
    items = [
        a_notification(
            display_name=f"n{shown}", task_id=f"t{run}", error_message=f"e{error}", organization_id=organization
        )
        for shown, run, error, organization in names
    ]
    plain = [replace(item, display_name="n", task_id="t", error_message="e") for item in items]
    rendered, expected = mail(a_digest(items, name=f"n{name}")), mail(a_digest(plain, name="n"))
    assert parsed(rendered).keys() == parsed(expected).keys()
    assert max(rendered.content) < 128
    assert html_of(rendered).count("<") == html_of(expected).count("<")
    assert words(html_of(rendered)).count("Task ID: t") >= len(items)
