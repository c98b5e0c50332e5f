"""The mail about a test execution."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamnotify.devtools.mail_lint import faults
from streamnotify.render.policy import RenderPolicy
from streamnotify.render.renderer import RenderedMail, Renderer
from streamnotify.render.status_details import status_details
from streamnotify.render.variables import task_variables
from tests.render.a_notification import NOW, a_notification
from tests.render.reading import html_of, links, text_of, words

POLICY = RenderPolicy("noreply@mail.example.com", frontend_url="https://app.example.com")
RENDERER = Renderer(POLICY)
RESULT: dict[str, Any] = {
    "total_tests": 10,
    "tests_passed": 8,
    "tests_failed": 2,
    "status_details": {"Pass": 8, "Fail": 2},
    "test_set_name": "API Tests",
    "endpoint_name": "Staging",
    "endpoint_url": "https://staging.example.com/v1",
    "project_name": "My Project",
    "test_run_id": "r1",
}
ROWS = {
    "total_tests": "- Total Tests: 10",
    "tests_passed": "- Tests Passed: 8",
    "tests_failed": "- Tests Failed: 2",
    "status_details": "Pass: 8\nFail: 2",
    "test_set_name": "- Test Set: API Tests",
    "endpoint_name": "- Endpoint: Staging",
    "endpoint_url": "- Endpoint URL: https://staging.example.com/v1",
    "project_name": "- Project: My Project",
    "test_run_id": "- Test Run ID: r1",
}


def mail(result: dict[str, Any], **fields: Any) -> RenderedMail:
    """The summary of a run with ``result``."""
    notification = a_notification(
        kind="test_execution_summary", template="test_execution_summary", variables=result, **fields
    )
    return RENDERER.task_mail(notification, "ann@example.com", NOW)


def test_all_that_the_result_says_is_in_both_parts() -> None:
    rendered = mail(RESULT)
    text, html = text_of(rendered), words(html_of(rendered))
    assert rendered.subject == "Test Execution Complete: API Tests - Success"
    assert text.startswith("⚠️ Tests Failed\n8 of 10 tests passed, 2 failed\n\nHello,\n")
    for row in ROWS.values():
        assert row in text
        assert all(" ".join(piece.split()) in html for piece in row.removeprefix("- ").split(": "))
    assert "Your test execution has completed with status: SUCCESS" in text
    assert links(html_of(rendered)) == ["https://staging.example.com/v1", "https://app.example.com/test-runs/r1"]


@pytest.mark.parametrize("missing", ROWS)
def test_what_is_missing_drops_its_row_and_nothing_else(missing: str) -> None:
    text = text_of(mail({name: value for name, value in RESULT.items() if name != missing}))
    for name, row in ROWS.items():
        assert (row in text) == (name != missing)
    assert "None" not in text
    assert "N/A" not in text


def test_without_a_test_set_the_subject_is_the_tasks() -> None:
    assert mail({}).subject == "Task Completed: nightly-report - Success"
    text = text_of(mail({}))
    assert "Test Results:" not in text
    assert "Status Details:" not in text


@pytest.mark.parametrize(
    ("result", "status", "headline"),
    [
        ({"total_tests": 3, "tests_passed": 3, "tests_failed": 0}, "success", "✅ Test Execution Completed"),
        ({"total_tests": 3, "tests_passed": 1, "tests_failed": 2}, "success", "⚠️ Tests Failed"),
        ({"total_tests": 0}, "success", "⚠️ Completed without Tests"),
        ({}, "success", "✅ Test Execution Completed"),
        ({"total_tests": 3, "tests_passed": 3}, "failed", "❌ Test Execution Failed"),
        ({}, "cancelled", "🚫 Test Execution Cancelled"),
    ],
)
def test_the_headline_says_how_the_tests_ended(result: dict[str, Any], status: str, headline: str) -> None:
    rendered = mail(result, status=status)
    assert text_of(rendered).startswith(headline)
    assert headline in words(html_of(rendered))


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//evil.example", "https://a.example/\nx"])
def test_an_unsafe_endpoint_is_shown_but_is_no_link(url: str) -> None:
    rendered = mail(RESULT | {"endpoint_url": url})
    assert links(html_of(rendered)) == ["https://app.example.com/test-runs/r1"]
    assert f"- Endpoint URL: {' '.join(url.split())}" in text_of(rendered)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from([*RESULT, "test_set_id", "self", "brand", "range", "subject"]), JSON))
def test_no_result_breaks_the_mail(result: dict[str, Any]) -> None:
    rendered = mail(result)
    assert rendered.problems == ()
    assert not faults(html_of(rendered), text_of(rendered))
    assert all(url.startswith("https://") for url in links(html_of(rendered)))


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        ("one\n\n two ", "one\ntwo"),
        ({"Pass": 8, "Fail": None, "Late": True}, "Pass: 8\nFail: none\nLate: yes"),
        (["a", {"b": 1, "c": [2, 3]}], "a\nb: 1, c: 2, 3"),
        ({"a": {"b": {"c": {"d": 1}}}}, "a: b: c: …"),
        (7, "7"),
        ([], None),
        ("", None),
        (None, None),
        (list(range(50)), "\n".join(map(str, range(19))) + "\n… and 31 more"),
        ("x" * 300, "x" * 199 + "…"),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_status_details_of_any_shape_become_lines(value: object, lines: str | None) -> None:
    assert status_details(value) == lines


def test_own_subjects_may_use_the_counts() -> None:
    rendered = mail(RESULT, subject_template="{tests_failed} of {total_tests} failed: {test_set_name}")
    assert rendered.subject == "2 of 10 failed: API Tests"


def test_a_key_that_means_something_to_jinja_is_no_variable() -> None:
    variables = task_variables(a_notification(variables={"self": "x", "own": "y"}), POLICY)
    assert "self" not in variables
    assert variables["own"] == "y"
