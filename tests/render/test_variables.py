"""The variables of a task mail (SPEC section 4)."""

from __future__ import annotations

import math

import pytest

from streamnotify.render.policy import RenderPolicy
from streamnotify.render.variables import DECLARED, execution_time, task_variables
from tests.render.a_notification import a_notification

POLICY = RenderPolicy("noreply@example.com", frontend_url="https://app.example.com")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0s"),
        (45.2, "45.2s"),
        (59.94, "59.9s"),
        (59.96, "1m 00s"),
        (165, "2m 45s"),
        (125.4, "2m 05s"),
        (3599.4, "59m 59s"),
        (3599.6, "1h 00m 00s"),
        (3665, "1h 01m 05s"),
        (360000, "100h 00m 00s"),
        (-0.1, None),
        (math.nan, None),
        (math.inf, None),
        (None, None),
    ],
)
def test_execution_time_reads_like_the_specification(seconds: float | None, text: str | None) -> None:
    assert execution_time(seconds) == text


def test_every_declared_variable_is_there_and_none_when_unknown() -> None:
    variables = task_variables(a_notification(), POLICY)
    assert set(DECLARED) <= set(variables)
    assert variables["recipient_name"] is None
    assert variables["execution_time"] is None
    assert variables["test_run_id"] is None


def test_the_display_name_stands_for_the_task_name() -> None:
    assert task_variables(a_notification(display_name="Nightly Report"), POLICY)["task_name"] == "Nightly Report"
    assert task_variables(a_notification(display_name=" "), POLICY)["task_name"] == "nightly-report"


def test_the_result_adds_variables_but_overrides_none_of_ours() -> None:
    result = {"project_name": "P", "status": "hacked", "task_id": "x", "error_message": "y", "recipient_name": None}
    variables = task_variables(a_notification(name="Ann", variables=result), POLICY)
    assert variables["project_name"] == "P"
    assert variables["status"] == "success"
    assert variables["task_id"] == "run-1"
    assert variables["error_message"] is None
    assert variables["recipient_name"] == "Ann"


def test_the_error_message_is_cut_to_2000_characters_and_loses_its_control_characters() -> None:
    shown = task_variables(a_notification(error_message="a\x00b\x1b[31m\r\nc\u202e" + "x" * 2990 + "the end"), POLICY)
    message = shown["error_message"]
    assert isinstance(message, str)
    assert message.startswith("ab[31m\ncx")
    assert len(message) == 2000
    assert "x\n… 3,005 characters in all …\nx" in message
    assert message.endswith("xthe end")


@pytest.mark.parametrize(
    ("result", "url"),
    [
        ({"test_run_id": "r1", "test_set_id": "s1"}, "https://app.example.com/test-runs/r1"),
        ({"test_set_id": 7}, "https://app.example.com/test-sets/7"),
        ({"test_run_id": "../../x?y#z"}, "https://app.example.com/test-runs/..%2F..%2Fx%3Fy%23z"),
        ({"test_run_id": 'a"><script>'}, "https://app.example.com/test-runs/a%22%3E%3Cscript%3E"),
        ({"test_run_id": ["no", "word"]}, None),
        ({"test_run_id": True}, None),
        ({"test_run_id": ""}, None),
        ({"link_url": "javascript:alert(1)"}, None),
        ({}, None),
    ],
)
def test_the_link_leads_to_the_test_run_else_the_test_set_else_nowhere(result: dict[str, object], url: str) -> None:
    assert task_variables(a_notification(variables=result), POLICY)["link_url"] == url


def test_without_a_frontend_there_is_no_link() -> None:
    variables = task_variables(a_notification(variables={"test_run_id": "r1"}), RenderPolicy("noreply@example.com"))
    assert variables["link_url"] is None


@pytest.mark.parametrize(
    "url", ["http://app.example.com", "javascript:alert(1)", "//app.example.com", "data:x", "https://a b", "ftp://a"]
)
def test_a_frontend_url_that_could_not_stand_in_a_mail_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="FRONTEND_URL"):
        RenderPolicy("noreply@example.com", frontend_url=url)


@pytest.mark.parametrize("url", ["https://app.example.com/base", "http://localhost:3000", "http://127.0.0.1"])
def test_https_and_loopback_urls_are_accepted(url: str) -> None:
    assert RenderPolicy("noreply@example.com", frontend_url=url).frontend_url == url
