"""The mailboxes station: address at once, unknown user held, everything else said out loud."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest

from streamnotify.domain.alerts import ALERT, RECOVERY
from streamnotify.domain.notifications import TaskNotification
from streamnotify.render.policy import RenderPolicy
from streamnotify.render.renderer import Renderer
from streamnotify.stations.context import Station
from streamnotify.stations.holding import HELD
from streamnotify.stations.mailboxes import station
from streamnotify.wire.commands import DeliverMail, NotifyAlert, NotifyTask
from streamnotify.wire.topics import MAILBOXES, NOTIFICATION_STATUS, OUTBOX
from tests.render.a_notification import a_notification
from tests.stations.an_alert import an_alert
from tests.stations.at_once import at_once
from tests.stations.fake_context import NOW, FakeContext

RENDERER = Renderer(RenderPolicy("noreply@example.com"))
STATION = station(at_once(), RENDERER)


def told(notification: TaskNotification, mailboxes: Station = STATION) -> FakeContext:
    """What the station does with a notification."""
    ctx = FakeContext()
    mailboxes.handle(NotifyTask(notification), ctx)
    return ctx


def alerted(mailboxes: Station = STATION, email: str | None = "ann@example.com", **fields: Any) -> FakeContext:
    """What the station does with an alert."""
    ctx = FakeContext()
    mailboxes.handle(NotifyAlert(an_alert(email, **fields)), ctx)
    return ctx


def statuses(ctx: FakeContext) -> list[tuple[str, str | None]]:
    """Status and reason of each record on notification-status."""
    return [(record["status"], record.get("reason")) for _, record in ctx.to(NOTIFICATION_STATUS)]


def test_a_notification_with_an_address_is_rendered_into_the_outbox_at_once() -> None:
    notification = a_notification(email="Ann.Lee@Example.com", urgent=True, organization_id="org-a")
    ctx = told(notification)
    [(key, command)] = ctx.to(OUTBOX)
    assert key == "ann.lee@example.com"
    assert isinstance(command, DeliverMail)
    mail = command.mail
    assert mail.to == "Ann.Lee@Example.com"
    assert mail.sender == "noreply@example.com"
    assert mail.notification_id == notification.notification_id
    assert mail.content == RENDERER.task_mail(notification, "Ann.Lee@Example.com", NOW).content
    assert mail.created_at == NOW
    assert mail.expires_at == NOW + timedelta(days=3)
    assert (mail.urgent, mail.organization_id, mail.task_name, mail.task_id) == (
        True,
        "org-a",
        "nightly-report",
        "run-1",
    )


def test_the_queued_status_names_the_mail() -> None:
    ctx = told(a_notification(email="ann@example.com"))
    [(key, status)] = ctx.to(NOTIFICATION_STATUS)
    assert key == status["notification_id"]
    assert status == {
        "notification_id": key,
        "status": "queued",
        "kind": "task_completion",
        "task_name": "nightly-report",
        "task_id": "run-1",
        "to": "ann@example.com",
        "subject": "Task Completed: nightly-report - Success",
        "message_id": f"task_completion.{a_notification().notification_id}@example.com",
        "at": "2024-01-15T14:31:00Z",
    }


def test_the_address_of_an_unknown_user_is_asked_next_and_then_gets_the_mail() -> None:
    ctx = told(a_notification(user_id="u1", email="Ann@Example.com"))
    [(key, forwarded)] = ctx.to(MAILBOXES)
    assert key == "address:ann@example.com"
    assert ctx.to(OUTBOX) == ctx.to(NOTIFICATION_STATUS) == []
    STATION.handle(forwarded, ctx)
    [(_, command)] = ctx.to(OUTBOX)
    assert command.mail.user_id == "u1"
    assert ctx.to(MAILBOXES) == [(key, forwarded)]  # not forwarded for ever
    [(_, status)] = ctx.to(NOTIFICATION_STATUS)
    assert (status["status"], status["user_id"]) == ("queued", "u1")


def test_an_unknown_user_without_address_is_held_for_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    ctx = told(a_notification(user_id="u1"))
    [(_, status)] = ctx.to(NOTIFICATION_STATUS)
    assert (status["status"], status["next_at"]) == ("held", "2024-01-15T14:32:00Z")
    ctx.advance(STATION, NOW + timedelta(seconds=59))
    assert statuses(ctx) == [("held", None)]
    assert caplog.messages == []


def test_when_the_minute_is_over_the_mail_is_suppressed_with_the_warning(caplog: pytest.LogCaptureFixture) -> None:
    notification = a_notification(user_id="u1")
    ctx = told(notification)
    ctx.advance(STATION, NOW + timedelta(minutes=5))
    assert statuses(ctx) == [("held", None), ("suppressed", "no_recipient")]
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.WARNING, "No email found for user u1")
    ]
    assert ctx.get(HELD, notification.notification_id) is None
    assert ctx.to(OUTBOX) == []


def test_the_hold_is_a_setting() -> None:
    patient = station(at_once(recipient_hold=timedelta(hours=1)), RENDERER)
    ctx = told(a_notification(user_id="u1"), patient)
    ctx.advance(patient, NOW + timedelta(minutes=59))
    assert statuses(ctx) == [("held", None)]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "no_recipient"),
        ({"user_id": "u1", "email": "u1@placeholder.rhesis.ai"}, "placeholder_address"),
        ({"email": "ann@"}, "invalid_address"),
        ({"email": "ann@example.com\r\nBcc: eve@example.com"}, "invalid_address"),
    ],
)
def test_who_cannot_be_reached_is_suppressed_with_a_reason(fields: dict[str, str], reason: str) -> None:
    ctx = told(a_notification(**fields))
    for _, forwarded in ctx.to(MAILBOXES):  # an unknown user's to the address
        STATION.handle(forwarded, ctx)
    assert statuses(ctx) == [("suppressed", reason)]
    assert ctx.to(OUTBOX) == []


def test_without_smtp_settings_mails_are_suppressed_and_nothing_crashes() -> None:
    ctx = told(a_notification(email="ann@example.com"), station(at_once(), None))
    [(_, status)] = ctx.to(NOTIFICATION_STATUS)
    assert (status["status"], status["reason"], status["to"]) == (
        "suppressed",
        "smtp_not_configured",
        "ann@example.com",
    )
    assert ctx.to(OUTBOX) == []


def test_what_is_wrong_with_templates_is_one_warning_each_and_the_mail_goes(caplog: pytest.LogCaptureFixture) -> None:
    ctx = told(a_notification(email="ann@example.com", template="none", subject_template="{nope}"))
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert statuses(ctx) == [("queued", None)]


def test_handling_a_record_again_gives_the_same_bytes() -> None:
    notification = a_notification(email="ann@example.com", variables={"test_run_id": "1"})
    first, second = told(notification), told(notification)
    assert [OUTBOX.encode(command) for _, command in first.to(OUTBOX)] == [
        OUTBOX.encode(command) for _, command in second.to(OUTBOX)
    ]


@pytest.mark.parametrize(
    ("fields", "subject"),
    [
        ({}, "[ALERT] nightly-report Has Not Executed"),
        ({"current_status": "Stopped"}, "[ALERT] nightly-report Status Check Failed"),
        ({"kind": RECOVERY, "current_status": "Completed"}, "[RESOLVED] nightly-report Status Check Passed"),
    ],
)
def test_an_alert_is_accepted_once_and_rendered_into_the_outbox(fields: dict[str, Any], subject: str) -> None:
    alert = an_alert("Ann@example.com", organization_id="org-a", urgent=True, **fields)
    ctx = FakeContext()
    STATION.handle(NotifyAlert(alert), ctx)
    [(key, command)] = ctx.to(OUTBOX)
    mail = command.mail
    assert (key, mail.to, mail.subject) == ("ann@example.com", "Ann@example.com", subject)
    assert mail.content == RENDERER.alert_mail(alert, "Ann@example.com", NOW).content
    assert (mail.kind, mail.monitor, mail.task_name, mail.task_id) == (
        alert.kind,
        "Reports",
        "nightly-report",
        "Reports/nightly-report/2024-01-15T14:30:00Z",
    )
    assert (mail.urgent, mail.organization_id, mail.created_at) == (True, "org-a", NOW)
    about = {
        "notification_id": alert.notification_id,
        "kind": alert.kind,
        "monitor": "Reports",
        "task_name": "nightly-report",
        "task_id": mail.task_id,
        "organization_id": "org-a",
        "to": "Ann@example.com",
        "at": "2024-01-15T14:31:00Z",
    }
    assert ctx.to(NOTIFICATION_STATUS) == [
        (alert.notification_id, about | {"status": "accepted"}),
        (alert.notification_id, about | {"status": "queued", "subject": subject, "message_id": mail.message_id}),
    ]


@pytest.mark.parametrize(
    ("email", "reason"),
    [
        (None, "no_recipient"),
        ("ann@", "invalid_address"),
        ("ann@example.com\r\nBcc: eve@example.com", "invalid_address"),
        ("u1@eu.placeholder.rhesis.ai", "placeholder_address"),
    ],
)
def test_an_alert_that_can_reach_nobody_is_suppressed_with_a_reason(email: str | None, reason: str) -> None:
    ctx = alerted(email=email)
    assert statuses(ctx) == [("accepted", None), ("suppressed", reason)]
    assert ctx.to(OUTBOX) == []


def test_without_smtp_settings_alerts_are_suppressed_too() -> None:
    ctx = alerted(station(at_once(), None))
    assert statuses(ctx) == [("accepted", None), ("suppressed", "smtp_not_configured")]
    assert ctx.to(OUTBOX) == []


def test_an_alert_handled_again_gives_the_same_bytes() -> None:
    first, second = ([OUTBOX.encode(command) for _, command in alerted(kind=ALERT).to(OUTBOX)] for _ in range(2))
    assert first == second
