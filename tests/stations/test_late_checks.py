"""Checks held up by an outage of ours become one mail to each superuser."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest

from streamnotify.devtools.mail_views import parts
from streamnotify.domain.alerts import LateCheck, Verdict, WrongNow
from streamnotify.domain.recipients import SUPERUSERS
from streamnotify.render.policy import RenderPolicy
from streamnotify.render.renderer import Renderer
from streamnotify.stations.mailboxes import station
from streamnotify.stations.superusers import MEMBERS
from streamnotify.testing.memory import START, MemoryEngine
from streamnotify.wire.commands import MailboxesCommand, ReportLateCheck, SetSuperuser
from streamnotify.wire.topics import DEAD_LETTERS, MAILBOXES, NOTIFICATION_STATUS, OUTBOX
from tests.stations.at_once import at_once
from tests.stations.outbox import mails_of

RENDERER = Renderer(RenderPolicy("noreply@example.com"))
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def engine() -> MemoryEngine:
    return MemoryEngine([station(at_once(), RENDERER)])


def send(engine: MemoryEngine, *commands: MailboxesCommand) -> None:
    """Commands for all superusers' mailbox."""
    for command in commands:
        engine.put(MAILBOXES, MAILBOXES.encode(command), key=SUPERUSERS.encode(), settle=False)
    engine.settle()


def superusers(engine: MemoryEngine, *emails: str) -> None:
    send(engine, *(SetSuperuser(email, email) for email in emails))


def late(wrong: str | None = None, skipped: int = 1) -> ReportLateCheck:
    """A check held up for two hours."""
    task = None if wrong is None else WrongNow("Reports", wrong, Verdict.NOT_EXECUTED)
    return ReportLateCheck(LateCheck(START - 2 * HOUR, START, skipped, task))


def texts(engine: MemoryEngine) -> dict[str, str]:
    """Address and text of every mail; there must be one each."""
    found: dict[str, str] = {}
    for mail in mails_of(engine):
        assert mail.to not in found
        found[mail.to] = parts(mail.content)[1]
    return found


def kinds_left(engine: MemoryEngine) -> set[bytes]:
    return {key[:1] for key in engine.state("mailboxes").rows if key[0] > 0x20}


def test_many_late_checks_are_one_mail_for_each_superuser(engine: MemoryEngine) -> None:
    superusers(engine, "ann@example.com", "bob@example.com")
    send(engine, *(late(f"task-{number:03}" if number % 2 else None) for number in range(200)))
    engine.advance(59 * SECOND)
    assert texts(engine) == {}
    engine.advance(SECOND)
    mails = texts(engine)
    assert set(mails) == {"ann@example.com", "bob@example.com"}
    for text in mails.values():
        assert "From: 2026-01-05 10:00:00 UTC" in text
        assert "To: 2026-01-05 12:00:00 UTC" in text
        assert "Skipped Checks: 200" in text
        assert "Wrong Now: 100" in text
        assert "task-001" in text
        assert "task-199" not in text  # the first fifty only
    assert kinds_left(engine) == {MEMBERS.kind}


def test_the_mail_has_its_statuses_and_its_place_in_the_outbox(engine: MemoryEngine) -> None:
    superusers(engine, "Ann@example.com")
    send(engine, late("a"))
    engine.advance(MINUTE)
    [record] = engine.records(OUTBOX)
    assert record.key == b"ann@example.com"
    [mail] = mails_of(engine)
    assert (mail.kind, mail.task_name, mail.task_id, mail.monitor) == ("service_health", None, None, None)
    statuses = engine.values(NOTIFICATION_STATUS)
    assert [(status["status"], status["kind"], status["to"]) for status in statuses] == [
        ("accepted", "service_health", "Ann@example.com"),
        ("queued", "service_health", "Ann@example.com"),
    ]
    assert {status["notification_id"] for status in statuses} == {mail.notification_id}


def test_late_checks_that_keep_coming_are_waited_for_up_to_five_minutes(engine: MemoryEngine) -> None:
    superusers(engine, "ann@example.com")
    for _ in range(6):
        send(engine, late())
        engine.advance(50 * SECOND)
    assert len(texts(engine)) == 1
    assert "Skipped Checks: 6" in texts(engine)["ann@example.com"]


def test_another_outage_is_another_mail(engine: MemoryEngine) -> None:
    superusers(engine, "ann@example.com")
    send(engine, late())
    engine.advance(HOUR)
    again = LateCheck(START + HOUR, START + 2 * HOUR, 0)
    send(engine, ReportLateCheck(again))
    engine.advance(HOUR)
    assert len({mail.notification_id for mail in mails_of(engine)}) == 2


def test_who_becomes_a_superuser_meanwhile_is_told_and_who_is_none_any_more_is_not(engine: MemoryEngine) -> None:
    superusers(engine, "ann@example.com")
    send(engine, late())
    send(engine, SetSuperuser("ann@example.com", None), SetSuperuser("u2", "bob@example.com"))
    engine.advance(MINUTE)
    assert set(texts(engine)) == {"bob@example.com"}


def test_without_superusers_it_stands_in_the_error_log_once(
    engine: MemoryEngine, caplog: pytest.LogCaptureFixture
) -> None:
    send(engine, late("b", skipped=3), late("a", skipped=4), late(skipped=0))
    engine.advance(HOUR)
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (
            logging.ERROR,
            (
                "No checks were made from 2026-01-05 10:00:00 to 2026-01-05 12:00:00 UTC, 7 never will be;"
                " 2 are not as expected now: a (Reports), b (Reports); there is no superuser to tell"
            ),
        )
    ]
    assert texts(engine) == {}
    assert kinds_left(engine) == set()


def test_many_superusers_are_told_of_fifty_tasks_with_long_names(engine: MemoryEngine) -> None:
    """Three times as much as one record can hold."""
    superusers(engine, *(f"superuser{number:04}@example.com" for number in range(100)))
    send(engine, *(late(f"{number:02}{'x' * 200}") for number in range(60)))
    engine.advance(2 * MINUTE)
    assert len(texts(engine)) == 100
    assert engine.records(DEAD_LETTERS) == []
    assert kinds_left(engine) == {MEMBERS.kind}
