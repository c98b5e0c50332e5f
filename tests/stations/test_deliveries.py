"""The deliveries station: attempts, results, retries, and a ledger that lets nothing out twice."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from streamnotify.domain.delivery import AttemptResult, Delivery, DeliveryPolicy, DeliveryState, Outcome, OutgoingMail
from streamnotify.domain.pending import PendingDigest, Tally
from streamnotify.errors import LeaseLost, StateError
from streamnotify.smtp.sender import Sender
from streamnotify.stations.context import Attempt
from streamnotify.stations.deliveries import LEDGER, MAIL, performer, station
from streamnotify.wire.commands import DeliverMail, RecordResult
from streamnotify.wire.topics import NOTIFICATION_STATUS, OUTBOX
from tests.render.a_notification import a_notification
from tests.smtp.a_mail import CONTENT, a_policy, lease_held
from tests.smtp.a_mail import a_mail as any_mail
from tests.smtp.relays import ScriptedRelay, a_relay
from tests.stations.an_alert import an_alert
from tests.stations.fake_context import NOW, FakeContext

STATION = station(DeliveryPolicy(), None)
MAX_AGE = timedelta(days=3)


@dataclass
class DeliveryContext(FakeContext):
    """A context that notes which attempts are started."""

    started: list[tuple[str, int]] = field(default_factory=list)

    def start(self, key: str, number: int) -> None:
        self.started.append((key, number))

    def result(self, outcome: Outcome, attempt: int = 1, **fields: Any) -> None:
        """Handle the result of an attempt."""
        STATION.handle(RecordResult(AttemptResult("n1", attempt, outcome, **fields)), self)

    @property
    def statuses(self) -> list[dict[str, Any]]:
        """What is on notification-status."""
        return [record for _, record in self.to(NOTIFICATION_STATUS)]

    @property
    def ledger(self) -> Delivery | None:
        """The ledger of the mail."""
        return self.get(LEDGER, "n1")


def a_mail(created_at: datetime = NOW, **fields: Any) -> OutgoingMail:
    """A mail to Ann made at ``created_at``."""
    return any_mail(created_at=created_at, expires_at=created_at + MAX_AGE, **fields)


def arrived(created_at: datetime = NOW, **fields: Any) -> DeliveryContext:
    """The context after a mail has come in."""
    ctx = DeliveryContext()
    STATION.handle(DeliverMail(a_mail(created_at, **fields)), ctx)
    return ctx


def test_a_mail_that_comes_in_is_attempted() -> None:
    ctx = arrived()
    assert ctx.started == [("n1", 1)]
    assert ctx.ledger == Delivery(DeliveryState.ATTEMPTING, 1)
    assert ctx.get(MAIL, "n1") == a_mail()
    assert ctx.statuses == []
    assert not ctx.wakes


def test_an_accepted_mail_is_recorded_logged_and_its_bytes_dropped(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    ctx = arrived()
    ctx.result(Outcome.SENT, stage="dot", code=250, text="queued as 4711")
    assert ctx.statuses == [
        {
            "notification_id": "n1",
            "status": "sent",
            "kind": "task_completion",
            "task_name": "nightly-report",
            "task_id": "run-1",
            "to": "ann@example.com",
            "subject": "Hi",
            "message_id": "task_completion.n1@example.com",
            "attempt": 1,
            "smtp_stage": "dot",
            "smtp_code": 250,
            "at": "2024-01-15T14:31:00Z",
        }
    ]
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.INFO, "Task completion email sent successfully to ann@example.com for task run-1")
    ]
    assert ctx.get(MAIL, "n1") is None


ALERT: dict[str, Any] = {
    "kind": "task_status_alert",
    "monitor": "Reports",
    "task_id": "Reports/nightly-report/2024-01-15T14:30:00Z",
}
HEALTH: dict[str, Any] = {"kind": "service_health", "task_name": None, "task_id": None}


@pytest.mark.parametrize(
    ("fields", "sent", "failed"),
    [
        (
            {},
            "Task completion email sent successfully to ann@example.com for task run-1",
            "Failed to send task completion email to ann@example.com: refused 550 no",
        ),
        (
            # A publisher may name any template, which is then the kind.
            {"kind": "task_status_alert"},
            "Task completion email sent successfully to ann@example.com for task run-1",
            "Failed to send task completion email to ann@example.com: refused 550 no",
        ),
        (
            ALERT,
            "Task status alert sent successfully to ann@example.com for task nightly-report",
            "Failed to send task status alert to ann@example.com: refused 550 no",
        ),
        (
            ALERT | {"kind": "task_status_recovery"},
            "Task status alert sent successfully to ann@example.com for task nightly-report",
            "Failed to send task status alert to ann@example.com: refused 550 no",
        ),
        (
            HEALTH,
            "Service health email sent successfully to ann@example.com",
            "Failed to send service health email to ann@example.com: refused 550 no",
        ),
    ],
)
def test_the_log_says_what_kind_of_mail_was_sent_or_not(
    fields: dict[str, Any], sent: str, failed: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    arrived(**fields).result(Outcome.SENT)
    arrived(**fields).result(Outcome.PERMANENT_MESSAGE, reason="refused", code=550, text="no")
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.INFO, sent),
        (logging.ERROR, failed),
    ]


def a_digest(total: int, **fields: Any) -> dict[str, Any]:
    """The fields of a digest that stands for ``total`` notifications, as ``fields`` say."""
    values: dict[str, Any] = {"digest_id": "d1", "lane": "tasks", "first_at": NOW, "last_at": NOW} | fields
    digest = PendingDigest(**values, tallies=(Tally("org-a", "report", failed=total),))
    return {"kind": "notification_digest", "task_name": None, "task_id": None, "mailbox": "user:u1", "digest": digest}


RUNS = {"tasks": tuple(a_notification(task_id=f"run-{number}") for number in (1, 2))}
ALERTS = {"lane": "alerts", "alerts": tuple(an_alert("ann@example.com", task_name=name) for name in ("load", "sync"))}


@pytest.mark.parametrize(
    ("digest", "sent"),
    [
        (a_digest(2, **RUNS), ["Task completion email", "task run-1", "task run-2"]),
        (a_digest(3, **RUNS), ["Task completion email", "task run-1", "task run-2", "these and 1 more task"]),
        (a_digest(50_000, **RUNS), ["Task completion email", "task run-1", "task run-2", "these and 49998 more tasks"]),
        (a_digest(2, **ALERTS), ["Task status alert", "task load", "task sync"]),
        (a_digest(9, **ALERTS), ["Task status alert", "task load", "task sync", "these and 7 more alerts"]),
    ],
)
def test_of_a_digest_that_was_accepted_each_task_is_logged_and_how_many_more_there_are(
    digest: dict[str, Any], sent: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    arrived(**digest).result(Outcome.SENT)
    what, *each = sent
    assert caplog.messages == [f"{what} sent successfully to ann@example.com for {about}" for about in each]


@pytest.mark.parametrize(
    ("digest", "what"), [(a_digest(3, **RUNS), "task completion email"), (a_digest(2, **ALERTS), "task status alert")]
)
def test_that_a_digest_could_not_be_sent_is_logged_once(
    digest: dict[str, Any], what: str, caplog: pytest.LogCaptureFixture
) -> None:
    arrived(**digest).result(Outcome.TRANSIENT, reason="relay_deferred", code=451)
    assert caplog.messages == [f"Failed to send {what} to ann@example.com: relay_deferred 451"]


def test_the_statuses_of_a_digest_say_how_many_notifications_it_stands_for() -> None:
    ctx = arrived(**a_digest(50_000, **RUNS))
    ctx.result(Outcome.SENT)
    assert [(each["kind"], each["digest_id"], each["count"]) for each in ctx.statuses] == [
        ("notification_digest", "d1", 50_000)
    ]


@pytest.mark.parametrize(
    ("fields", "about"),
    [
        ({}, " for task run-1"),
        (ALERT, " for task nightly-report"),
        (HEALTH, ""),
        (a_digest(3, **RUNS), " for 3 tasks"),
        (a_digest(1, **ALERTS), " for 1 alert"),
    ],
)
def test_the_log_says_which_mail_has_expired(
    fields: dict[str, Any], about: str, caplog: pytest.LogCaptureFixture
) -> None:
    arrived(NOW - MAX_AGE, **fields)
    assert caplog.messages == [f"Email to ann@example.com{about} expired: not delivered by 2024-01-15 14:31:00 UTC"]


def test_the_statuses_of_an_alert_name_its_monitor() -> None:
    ctx = arrived(**ALERT)
    ctx.result(Outcome.SENT)
    assert [status["monitor"] for status in ctx.statuses] == ["Reports"]
    assert [status["task_id"] for status in ctx.statuses] == [ALERT["task_id"]]


@pytest.mark.parametrize(("version", "lacked"), [(1, ["monitor", "mailbox", "digest"]), (2, ["mailbox", "digest"])])
def test_a_mail_kept_by_an_earlier_release_is_still_sent(version: int, lacked: list[str]) -> None:
    """Its row, its command and its ledger lacked fields that came last."""
    mail = a_mail()
    names = [each.name for each in dataclasses.fields(mail)]
    old = {name: getattr(mail, name) for name in names[: -len(lacked)]}
    assert names[-len(lacked) :] == lacked
    ctx = arrived()
    ctx.rows[MAIL.key("n1")] = msgspec.msgpack.encode((version, *old.values()))
    ctx.rows[LEDGER.key("n1")] = msgspec.msgpack.encode((1, "attempting", 1, None))
    assert ctx.get(MAIL, "n1") == mail
    assert ctx.ledger == Delivery(DeliveryState.ATTEMPTING, 1)
    ctx.result(Outcome.SENT)
    assert [status["status"] for status in ctx.statuses] == ["sent"]
    assert OUTBOX.decode is not None
    assert OUTBOX.decode(msgspec.msgpack.encode(("deliver_mail", old))) == DeliverMail(mail)


def test_a_mail_that_an_earlier_release_was_to_try_again_is_tried_again() -> None:
    ctx = arrived()
    ctx.result(Outcome.TRANSIENT)
    old = msgspec.msgpack.encode((1, "deferred", 1, NOW + timedelta(minutes=1)))
    ctx.rows[LEDGER.key("n1")] = old
    ctx.advance(STATION, NOW + timedelta(minutes=2))
    assert ctx.started == [("n1", 1), ("n1", 2)]


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_mail_that_comes_again_is_never_attempted_again(outcome: Outcome) -> None:
    ctx = arrived()
    STATION.handle(DeliverMail(a_mail()), ctx)
    ctx.result(outcome)
    before = (ctx.ledger, list(ctx.emitted))
    STATION.handle(DeliverMail(a_mail()), ctx)
    assert ctx.started == [("n1", 1)]
    assert (ctx.ledger, ctx.emitted) == before


def test_the_ledger_remembers_for_30_days_and_then_forgets() -> None:
    ctx = arrived()
    ctx.result(Outcome.SENT)
    ctx.advance(STATION, NOW + timedelta(days=30) - timedelta(seconds=1))
    assert ctx.ledger == Delivery(DeliveryState.SENT, 1)
    ctx.advance(STATION, NOW + timedelta(days=30))
    assert ctx.ledger is None
    assert ctx.rows == {}


@pytest.mark.parametrize(
    ("outcome", "reason"), [(Outcome.TLS_POLICY, "tls_unavailable"), (Outcome.AMBIGUOUS, "no_reply")]
)
def test_a_deferred_mail_waits_and_is_attempted_again(
    outcome: Outcome, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    ctx = arrived()
    ctx.result(outcome, stage="tls", reason=reason, text="because")
    [status] = ctx.statuses
    assert (status["status"], status["reason"], status["attempt"]) == ("deferred", reason, 1)
    next_at = datetime.fromisoformat(status["next_at"])
    assert timedelta(seconds=45) <= next_at - NOW <= timedelta(seconds=75)
    assert caplog.messages == [f"Failed to send task completion email to ann@example.com: {reason} because"]
    ctx.advance(STATION, next_at - timedelta(milliseconds=1))
    assert ctx.started == [("n1", 1)]
    ctx.advance(STATION, next_at)
    assert ctx.started == [("n1", 1), ("n1", 2)]
    ctx.result(Outcome.SENT, attempt=2)
    assert ctx.statuses[-1]["status"] == "sent"
    assert ctx.statuses[-1]["attempt"] == 2


def test_a_refused_mail_fails_for_good(caplog: pytest.LogCaptureFixture) -> None:
    ctx = arrived()
    ctx.result(
        Outcome.PERMANENT_RECIPIENT, stage="rcpt", code=550, reason="recipient_refused", text="5.1.1 no such user"
    )
    [status] = ctx.statuses
    assert (status["status"], status["reason"], status["smtp_stage"], status["smtp_code"]) == (
        "failed",
        "recipient_refused",
        "rcpt",
        550,
    )
    assert (caplog.records[0].levelno, caplog.messages[0]) == (
        logging.ERROR,
        "Failed to send task completion email to ann@example.com: recipient_refused 550 5.1.1 no such user",
    )
    ctx.advance(STATION, NOW + timedelta(days=29))
    assert ctx.started == [("n1", 1)]
    assert ctx.get(MAIL, "n1") is None


def test_a_mail_that_is_never_accepted_is_tried_until_it_expires_at_error(caplog: pytest.LogCaptureFixture) -> None:
    ctx = arrived()
    for attempt in range(1, 1000):
        ctx.result(Outcome.TRANSIENT, attempt=attempt, reason="relay_deferred")
        ctx.advance(STATION, datetime.fromisoformat(ctx.statuses[-1]["next_at"]))
        if ctx.started[-1] != ("n1", attempt + 1):
            break
    assert ctx.statuses[-1]["status"] == "expired"
    assert ctx.now == NOW + MAX_AGE
    assert 72 <= len(ctx.started) <= 130  # about hourly
    assert caplog.records[-1].levelno == logging.ERROR
    assert "ann@example.com for task run-1 expired" in caplog.messages[-1]
    assert ctx.get(MAIL, "n1") is None
    assert ctx.ledger == Delivery(DeliveryState.EXPIRED, len(ctx.started))


def test_a_mail_held_by_an_outage_shows_as_deferred_but_is_not_logged_one_by_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ctx = arrived()
    ctx.result(Outcome.HELD, stage="auth", code=535, reason="auth_failed")
    [status] = ctx.statuses
    assert (status["status"], status["reason"], status["smtp_stage"], status["smtp_code"]) == (
        "deferred",
        "auth_failed",
        "auth",
        535,
    )
    assert caplog.messages == []
    ctx.advance(STATION, NOW + timedelta(seconds=75))
    assert ctx.started == [("n1", 1), ("n1", 2)]


def test_the_relays_wish_decides_when_the_mail_is_tried_again() -> None:
    ctx = arrived()
    ctx.result(Outcome.TRANSIENT, reason="relay_deferred", retry_in=timedelta(minutes=5))
    assert ctx.ledger == Delivery(DeliveryState.DEFERRED, 1, NOW + timedelta(minutes=5))


def test_a_mail_that_comes_in_after_its_time_expires_without_an_attempt() -> None:
    ctx = arrived(created_at=NOW - timedelta(days=4))
    assert ctx.started == []
    assert [status["status"] for status in ctx.statuses] == ["expired"]
    assert ctx.get(MAIL, "n1") is None


def test_stale_and_unknown_results_change_nothing(caplog: pytest.LogCaptureFixture) -> None:
    ctx = arrived()
    ctx.result(Outcome.TRANSIENT)
    ctx.advance(STATION, NOW + timedelta(minutes=2))
    caplog.clear()
    before = (dict(ctx.rows), list(ctx.emitted), dict(ctx.wakes))
    ctx.result(Outcome.SENT, attempt=1)
    ctx.result(Outcome.PERMANENT_RECIPIENT, attempt=3)
    STATION.handle(RecordResult(AttemptResult("never heard of", 1, Outcome.SENT)), ctx)
    assert (ctx.rows, ctx.emitted, ctx.wakes) == before
    assert caplog.messages == []


def attempt_of(ctx: DeliveryContext, check_lease: Any = lease_held) -> Attempt:
    """The attempt the engine would hand to the performer."""
    key, number = ctx.started[-1]
    return Attempt(key, number, ctx, check_lease)


def test_an_attempt_hands_the_stored_mail_to_the_relay() -> None:
    now = datetime.now(NOW.tzinfo)

    async def scenario() -> None:
        async with a_relay() as relay:
            sender = Sender(a_policy(relay.port, waiting=7))
            perform = performer(sender)
            ctx = arrived(created_at=now)
            assert perform.at_once == 7
            command = await perform.perform(attempt_of(ctx))
            await sender.close()
        assert command.result == AttemptResult(
            "n1", 1, Outcome.SENT, "dot", 250, None, "2.0.0 queued as 4711", enhanced="2.0.0", queue_id="4711"
        )
        assert [mail.content for mail in relay.received] == [CONTENT]

    asyncio.run(scenario())


def test_an_attempt_whose_lease_is_lost_delivers_nothing_and_says_so() -> None:
    now = datetime.now(NOW.tzinfo)

    def lost() -> None:
        raise LeaseLost("not ours any more")

    async def scenario() -> None:
        async with ScriptedRelay() as relay:
            sender = Sender(a_policy(relay.port))
            with pytest.raises(LeaseLost):
                await performer(sender).perform(attempt_of(arrived(created_at=now), lost))
            await sender.close()
        assert relay.contents == []

    asyncio.run(scenario())


def test_without_smtp_settings_a_mail_from_before_waits() -> None:
    result = asyncio.run(_perform_without_sender()).result
    assert (result.outcome, result.reason, result.attempt) == (Outcome.HELD, "smtp_not_configured", 1)


async def _perform_without_sender() -> RecordResult:
    command = await performer(None).perform(attempt_of(arrived()))
    assert isinstance(command, RecordResult)
    return command


def test_an_open_attempt_without_its_mail_is_an_error_and_not_a_result() -> None:
    ctx = arrived()
    ctx.delete(MAIL, "n1")
    with pytest.raises(StateError, match="n1"):
        asyncio.run(performer(None).perform(attempt_of(ctx)))  # type: ignore[arg-type]  # perform is a coroutine function
