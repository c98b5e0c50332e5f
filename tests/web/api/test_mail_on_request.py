"""POST /api/tasks/email-notification-test (SPEC section 10): the caller gets the mail, with the message in it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from streamnotify.domain.digest import Lane, LanePolicy
from streamnotify.errors import EngineFailure
from tests.e2e.product import text_of
from tests.web.api.api_site import ApiSite, errors

PATH = "/api/tasks/email-notification-test"
BODY = {"message": "Testing email notifications"}


def test_the_caller_gets_the_mail_with_the_message_in_it(site: ApiSite) -> None:
    answer = site.post(PATH, BODY)
    assert (answer.status_code, list(answer.json())) == (202, ["task_id"])
    assert site.product.mails() == [("ann@example.com", "Task Completed: email_notification_test - Success")]
    mail = site.product.last_mail()
    text = text_of(mail)
    for said in (
        "Hello Ann,",
        "completed with status: SUCCESS",
        "- Task Name: email_notification_test",
        f"- Task ID: {answer.json()['task_id']}",
        "- Message: Testing email notifications",
    ):
        assert said in text
    html = mail.get_body(("html",))
    assert html is not None
    assert "Testing email notifications" in html.get_content()


def test_the_run_and_its_story_are_there_to_be_read(site: ApiSite) -> None:
    task_id = site.post(PATH, BODY).json()["task_id"]
    run = site.get(f"/api/tasks/{task_id}").json()
    assert (run["task_name"], run["status"], run["organization_id"]) == (
        "email_notification_test",
        "Completed",
        "org-a",
    )
    [story] = site.get(f"/api/why/{task_id}").json()["notifications"]
    assert story["outcome"] == "sent"


def test_the_directorys_address_counts_where_it_has_one(site: ApiSite) -> None:
    site.product.user("u1", email="ann@elsewhere.example.com", name="Ann of the directory")
    site.post(PATH, BODY)
    assert [to for to, _ in site.product.mails()] == ["ann@elsewhere.example.com"]


def test_without_a_directory_the_tokens_address_is_enough(site: ApiSite) -> None:
    site.post(PATH, BODY, token=site.token("publish", email="ben@example.com"))
    assert [to for to, _ in site.product.mails()] == ["ben@example.com"]


def test_it_does_not_wait_for_a_digest(tmp_path: Path) -> None:
    lanes = dict.fromkeys(Lane, LanePolicy(after=1, window=timedelta(minutes=30)))
    site = ApiSite(tmp_path, lanes)
    site.secret = site.token(email="ann@example.com")
    for _ in range(3):
        site.post(PATH, BODY)
    assert len(site.product.mails()) == 3


def test_a_token_that_names_nobody_is_told_so(site: ApiSite) -> None:
    answer = site.post(PATH, BODY, token=site.token("publish"))
    assert answer.status_code == 409
    assert "user_id or an email" in answer.json()["detail"]
    assert site.events() == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"message": 1}, "message"),
        ({"message": "x" * 1001}, "message"),
        ([], ""),
        ("x", ""),
        ({"message": None}, "message"),
    ],
)
def test_a_wrong_message_is_refused_by_its_field(site: ApiSite, body: Any, field: str) -> None:
    answer = site.post(PATH, body)
    assert answer.status_code == 422
    assert list(errors(answer)) == [field]


def test_a_message_may_be_left_out_and_cannot_harm_the_reader(site: ApiSite) -> None:
    assert site.post(PATH, {}).status_code == 202
    site.post(PATH, {"message": "<script>alert(1)</script>\x1b[31m\r\nBcc: eve@example.com"})
    mail = site.product.last_mail()
    html = mail.get_body(("html",))
    assert html is not None
    assert "<script>" not in html.get_content()
    assert "\x1b" not in mail.as_string()
    assert mail["Bcc"] is None


def test_without_kafka_the_caller_is_told_to_come_again(site: ApiSite) -> None:
    site.topic.failure = EngineFailure("away")
    answer = site.post(PATH, BODY)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
