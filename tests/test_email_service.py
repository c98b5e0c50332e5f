"""Task mails without Kafka, on real SMTP servers."""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from streamnotify import settings
from streamnotify.devtools.inbox import Inbox, ReceivedMail
from streamnotify.devtools.kafka.broker import free_port
from streamnotify.email_service import EmailService, email_service, seconds
from tests.smtp.threads import scripted

REFERENCE_MAIL: dict[str, Any] = {
    "recipient_email": "john@example.com",
    "recipient_name": "John Doe",
    "task_name": "Execute Test Configuration",
    "task_id": "12345678-1234-5678-9012-123456789012",
    "status": "success",
    "execution_time": "2m 45s",
    "test_run_id": "abcd1234-5678-9012-efgh-567890123456",
    "frontend_url": "https://app.rhesis.ai",
}


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for field in settings.Settings.model_fields:
        monkeypatch.delenv(settings.name_of(field), raising=False)
    monkeypatch.chdir(tmp_path)


def use_relay(monkeypatch: pytest.MonkeyPatch, port: int, **more: str) -> None:
    """Have the relay at ``port`` in the environment."""
    given = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(port), "SMTP_TLS": "none", "SMTP_FROM": "noreply@example.com"}
    for name, text in (given | more).items():
        monkeypatch.setenv(name, text)


@pytest.fixture
def inbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
    with Inbox() as inbox:
        use_relay(monkeypatch, inbox.smtp_port)
        yield inbox


def only_mail(inbox: Inbox) -> ReceivedMail:
    [mail] = inbox.mails
    return mail


def test_the_sources_manual_test_says_true_and_sends_a_mail(inbox: Inbox, capsys: pytest.CaptureFixture[str]) -> None:
    """references/000, "Manual Testing", with the import line changed."""
    success = email_service.send_task_completion_email(
        recipient_email="test@example.com",
        recipient_name="Test User",
        task_name="Test Task",
        task_id="test-123",
        status="success",
        frontend_url="https://app.rhesis.ai",
    )
    print(f"Email sent: {success}")
    assert capsys.readouterr().out == "Email sent: True\n"
    assert inbox.mails[0].recipients == ("test@example.com",)
    assert "Test Task" in only_mail(inbox).subject


def test_the_mail_says_what_the_workers_mail_says(inbox: Inbox, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert EmailService().send_task_completion_email(**REFERENCE_MAIL)
    mail = only_mail(inbox)
    assert mail.subject == "Task Completed: Execute Test Configuration - Success"
    for part in ("plain", "html"):
        text = re.sub(r"\s+", " ", mail.part(part) or "")
        for said in (
            "Hello John Doe,",
            "SUCCESS",
            "Execute Test Configuration",
            "12345678-1234-5678-9012-123456789012",
            "2m 45s",
            "https://app.rhesis.ai/test-runs/abcd1234-5678-9012-efgh-567890123456",
        ):
            assert said in text
    assert (
        "Task completion email sent successfully to john@example.com for task 12345678-1234-5678-9012-123456789012"
    ) in caplog.messages


def test_a_failure_is_mailed_with_its_error(inbox: Inbox) -> None:
    assert EmailService().send_task_completion_email(
        "ann@example.com", None, "nightly", "t1", "failed", error_message="disk full"
    )
    assert "disk full" in (only_mail(inbox).part("plain") or "")


def test_exceptions_and_ids_that_are_no_texts_are_taken_for_theirs(inbox: Inbox) -> None:
    ids = {"task_id": UUID(int=17), "test_run_id": 42}
    given: dict[str, Any] = {**REFERENCE_MAIL, **ids, "status": "failed", "error_message": ValueError("no disk")}
    assert EmailService().send_task_completion_email(**given)
    text = only_mail(inbox).part("plain") or ""
    assert "Error:\nno disk\n" in text
    assert "- Task ID: 00000000-0000-0000-0000-000000000011\n" in text
    assert "- Test Run ID: 42\n" in text


def test_half_a_character_in_a_name_does_not_cost_the_mail(inbox: Inbox) -> None:
    task_name = os.fsdecode(b"import r\xff.csv")
    assert EmailService().send_task_completion_email("ann@example.com", None, task_name, task_name, "success")
    assert only_mail(inbox).subject == "Task Completed: import r?.csv - Success"


def test_it_works_inside_a_running_event_loop(inbox: Inbox) -> None:
    async def inside() -> bool:
        return EmailService().send_task_completion_email("ann@example.com", None, "nightly", "t1", "success")

    assert asyncio.run(inside())
    assert len(inbox.mails) == 1


def test_every_call_is_a_mail_of_its_own(inbox: Inbox) -> None:
    service = EmailService()
    for _ in range(2):
        assert service.send_task_completion_email(**REFERENCE_MAIL)
    assert len({mail.summary()["message_id"] for mail in inbox.mails}) == 2


def test_incomplete_settings_are_said_once_and_every_mail_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    service = EmailService()
    assert caplog.messages == []
    for _ in range(2):
        assert not service.send_task_completion_email(**REFERENCE_MAIL)
    failed = "Failed to send task completion email to john@example.com: SMTP configuration incomplete"
    disabled = "SMTP configuration incomplete. Email notifications will be disabled."
    assert caplog.messages == [disabled, failed, failed]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"recipient_email": "nobody"}, "there is no @ in it"),
        ({"recipient_email": "int@placeholder.rhesis.ai"}, "placeholder"),
        ({"status": "undecided"}, "success, failed or cancelled is allowed"),
        ({"status": "running"}, "success, failed or cancelled is allowed"),
        ({"frontend_url": "http://app.rhesis.ai"}, "FRONTEND_URL"),
    ],
)
def test_what_cannot_be_mailed_is_false_and_a_log_line(
    inbox: Inbox, caplog: pytest.LogCaptureFixture, changed: dict[str, str], why: str
) -> None:
    given = REFERENCE_MAIL | changed
    assert not EmailService().send_task_completion_email(**given)
    [message] = caplog.messages
    assert message.startswith(f"Failed to send task completion email to {given['recipient_email']}: ")
    assert why in message
    assert inbox.mails == []


def test_a_wrong_setting_is_false_and_a_log_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SMTP_PORT", "high")
    assert not EmailService().send_task_completion_email(**REFERENCE_MAIL)
    assert "SMTP_PORT is 'high'" in caplog.messages[0]


def test_a_relay_that_is_not_there_is_false_and_a_log_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    use_relay(monkeypatch, free_port())
    assert not EmailService().send_task_completion_email(**REFERENCE_MAIL)
    assert any(
        message.startswith("Failed to send task completion email to john@example.com: connection_failed")
        for message in caplog.messages
    )


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ({"RCPT": "550 5.1.1 no such user"}, "recipient_refused 550 5.1.1 no such user"),
        ({"DOT": "554 5.6.0 bad content"}, "content_refused 554 5.6.0 bad content"),
        ({"GREETING": "421 4.3.2 later"}, "relay_unavailable 421 4.3.2 later"),
    ],
)
def test_a_refusal_is_false_and_the_relays_words_are_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, answers: dict[str, str], why: str
) -> None:
    with scripted(**answers) as relay:
        use_relay(monkeypatch, relay.port)
        assert not EmailService().send_task_completion_email(**REFERENCE_MAIL)
    assert f"Failed to send task completion email to john@example.com: {why}" in caplog.messages


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("45.2s", 45.2),
        ("2m 45s", 165),
        ("1h 01m 05s", 3665),
        ("3m", 180),
        ("about a minute", None),
        ("9" * 5000 + "h", None),
        ("9" * 400 + "h", None),
        ("", None),
        (None, None),
    ],
)
def test_execution_times_are_read_as_they_are_written(text: str | None, value: float | None) -> None:
    assert seconds(text) == value


def test_importing_reads_no_settings() -> None:
    assert "SMTP_HOST" not in os.environ
    assert "_settings" not in vars(EmailService())
