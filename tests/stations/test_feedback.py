"""feedback: from a delivery event to what the keeper of addresses learns, and to the notification's status."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from streamnotify.domain.feedback import FeedbackEvent, Sign
from streamnotify.domain.notifications import TaskNotification, notification_id
from streamnotify.domain.suppression import Evidence
from streamnotify.errors import BadRecord
from streamnotify.render.policy import RenderPolicy
from streamnotify.render.renderer import Renderer
from streamnotify.stations import feedback
from streamnotify.stream.processor import Processor
from streamnotify.stream.wakes import milliseconds
from streamnotify.testing.memory import START, MemoryEngine, MemoryRecord, MemoryStore
from streamnotify.wire import dead_letter
from streamnotify.wire.commands import MarkRead, RecordFeedback
from streamnotify.wire.feedback import notification_of
from streamnotify.wire.topics import DEAD_LETTERS, MAILBOXES, NOTIFICATION_FEEDBACK, NOTIFICATION_STATUS, OUTBOX
from tests.stations.fake_context import EVERYWHERE, FakeContext, FakeRecord, a_record

PUBLISHED_AT = datetime(2024, 1, 15, 14, 30, 30, tzinfo=UTC)
NOTIFICATION = "abcdefghijklmnopqrstuvwxyz"


def handled(event: dict[str, Any], **record: Any) -> FakeContext:
    ctx = FakeContext()
    feedback.station().handle(a_record(event, **record), ctx)
    return ctx


def learnt(**event: Any) -> RecordFeedback | None:
    """What the keeper is told."""
    told = handled({"email": "ann@example.com"} | event).to(OUTBOX)
    assert len(told) <= 1
    for key, command in told:
        assert isinstance(command, RecordFeedback)
        assert key == command.address
        return command
    return None


def status(**event: Any) -> dict[str, Any] | None:
    """What is on notification-status."""
    said = handled({"notification_id": "n1"} | event).to(NOTIFICATION_STATUS)
    assert len(said) <= 1
    return said[0][1] if said else None


def test_an_event_goes_to_the_keeper_of_its_normalised_address() -> None:
    assert learnt(event="bounced", email="Ann@EXAMPLE.com", at="2024-01-14T10:00:00+02:00", status="5.1.1") == (
        RecordFeedback(
            "ann@example.com",
            None,
            Evidence(Sign.HARD_BOUNCE, datetime(2024, 1, 14, 8, tzinfo=UTC), "3-42", None, "5.1.1"),
        )
    )


def test_an_international_address_is_known_by_the_name_mails_are_sent_to() -> None:
    command = learnt(event="complained", email="ann@bücher.example")
    assert command is not None
    assert command.address == "ann@xn--bcher-kva.example"


def test_an_organization_is_passed_on_and_the_records_time_stands_in() -> None:
    command = learnt(event="unsubscribed", organization_id="org-a", source="web", detail="clicked the link")
    assert command is not None
    assert command.organization_id == "org-a"
    assert command.evidence == Evidence(Sign.UNSUBSCRIBED, PUBLISHED_AT, "3-42", "web", "clicked the link")


@pytest.mark.parametrize(
    ("named", "mail"),
    [
        ({"notification_id": "n1", "message_id": "<m@elsewhere>", "event_id": "e1"}, "n1"),
        ({"message_id": f"<task_completion.{NOTIFICATION}@example.com>"}, NOTIFICATION),
        ({"message_id": "<m@elsewhere>", "event_id": "e1"}, "<m@elsewhere>"),
        ({"event_id": "e1"}, "e1"),
        ({}, "3-42"),
    ],
)
def test_soft_bounces_of_one_mail_are_known_to_be_of_one(named: dict[str, str], mail: str) -> None:
    command = learnt(event="deferred", **named)
    assert command is not None
    assert command.evidence.mail == mail


def test_an_event_has_not_happened_after_it_was_published() -> None:
    command = learnt(event="complained", at="2099-01-01T00:00:00Z")
    assert command is not None
    assert command.evidence.at == PUBLISHED_AT


@pytest.mark.parametrize("event", ["queued", "sent", "rejected", "failed", "unknown", "autoresponded"])
def test_events_that_say_nothing_about_the_address_are_taken_and_tell_nobody(event: str) -> None:
    assert learnt(event=event) is None


@pytest.mark.parametrize(
    ("event", "step", "reason"),
    [
        ({"event": "delivered"}, "sent", "delivered_later"),
        ({"event": "deferred"}, "deferred", "deferred_later"),
        ({"event": "bounced"}, "bounced", "hard_bounce"),
        ({"event": "bounced", "bounce_type": "soft"}, "bounced", "soft_bounce"),
        ({"event": "complained"}, "complained", None),
        ({"event": "rejected"}, "failed", "rejected_later"),
        ({"event": "failed"}, "failed", "failed_later"),
    ],
)
def test_what_became_of_a_known_notification_is_its_status(
    event: dict[str, str], step: str, reason: str | None
) -> None:
    said = status(**event)
    assert said is not None
    assert (said["notification_id"], said["status"], said.get("reason")) == ("n1", step, reason)
    assert said["at"] == "2024-01-15T14:30:30Z"


@pytest.mark.parametrize(
    "event", ["queued", "sent", "opened", "clicked", "read", "unsubscribed", "suppressed", "unsuppressed"]
)
def test_events_that_say_nothing_new_about_a_notification_make_no_status(event: str) -> None:
    assert status(event=event) is None


def test_without_an_address_only_the_status_is_recorded() -> None:
    ctx = handled({"event": "bounced", "message_id": f"task_completion.{NOTIFICATION}@example.com"})
    assert ctx.to(OUTBOX) == []
    [(key, said)] = ctx.to(NOTIFICATION_STATUS)
    assert (key, said["notification_id"]) == (NOTIFICATION, NOTIFICATION)


@pytest.mark.parametrize(
    ("named", "notification"),
    [
        ({"notification_id": "n1"}, "n1"),
        ({"notification_id": "n1", "email": "ann@example.com"}, "n1"),
        ({"message_id": f"<task_completion.{NOTIFICATION}@example.com>"}, NOTIFICATION),
    ],
)
def test_what_was_read_every_mailbox_is_told(named: dict[str, str], notification: str) -> None:
    ctx = handled({"event": "read"} | named)
    assert ctx.emitted == [(MAILBOXES, EVERYWHERE, MarkRead(notification))]


@pytest.mark.parametrize("named", [{"email": "ann@example.com"}, {"message_id": "<m@elsewhere>"}])
def test_what_was_read_without_its_notification_is_refused(named: dict[str, str]) -> None:
    with pytest.raises(BadRecord, match="notification_id, or a message_id of ours, is required") as refusal:
        handled({"event": "read"} | named)
    assert refusal.value.field == "notification_id"


@pytest.mark.parametrize("event", [event for event in FeedbackEvent if event is not FeedbackEvent.READ])
def test_no_other_event_takes_a_notification_out_of_its_digest(event: str) -> None:
    assert handled({"event": event, "notification_id": "n1"}).to(MAILBOXES) == []


def test_what_is_read_many_times_in_one_batch_is_told_once_to_each_partition() -> None:
    """Folding is done on chunks, which no context sees; it must not make of it a command to one partition."""
    processor = Processor(feedback.station(), b"feedback/memory/0/0/", MemoryStore())
    records = [
        MemoryRecord("notification-feedback", offset, milliseconds(START), None, json.dumps(event).encode())
        for offset, event in enumerate([{"event": "read", "notification_id": name} for name in ("n1", "n2", "n1")])
    ]
    emissions = [emission for chunk in processor.chunks(records) for emission in chunk.emissions]
    assert MAILBOXES.decode is not None
    assert [MAILBOXES.decode(emission.value or b"") for emission in emissions] == [MarkRead("n1"), MarkRead("n2")]
    assert all(emission.everywhere and emission.key is None for emission in emissions)


def test_a_cloudevents_id_and_time_stand_in_for_missing_fields() -> None:
    headers = [("ce_specversion", b"1.0"), ("ce_id", b"e1"), ("ce_time", b"2024-01-01T00:00:00Z")]
    [(_, command)] = handled({"event": "deferred", "email": "ann@example.com"}, headers=headers).to(OUTBOX)
    assert command.evidence == Evidence(Sign.SOFT_BOUNCE, datetime(2024, 1, 1, tzinfo=UTC), "e1")


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"email": "ann@example.com"}, "event"),
        ({"event": "exploded", "email": "ann@example.com"}, "event"),
        ({"event": "bounced"}, "email"),
        ({"event": "bounced", "email": "nobody"}, "email"),
        ({"event": "bounced", "email": "ann@example.com", "bounce_type": "violent"}, "bounce_type"),
        ({"event": "bounced", "email": "ann@example.com", "at": "yesterday"}, "at"),
        ({"event": "bounced", "email": "ann@example.com", "at": "0001-01-01T00:00:00+14:00"}, "at"),
        ({"event": "bounced", "email": "ann@example.com", "notification_id": "n" * 256}, "notification_id"),
        ([], None),
    ],
)
def test_a_record_that_is_no_event_is_dead_lettered_with_its_field(value: Any, field: str | None) -> None:
    with pytest.raises(BadRecord) as refusal:
        feedback.station().handle(a_record(value), FakeContext())
    assert refusal.value.field == field


def test_a_bad_record_stops_nothing_and_its_dead_letter_says_who_refused_it() -> None:
    engine = MemoryEngine([feedback.station()])
    engine.put(NOTIFICATION_FEEDBACK, "{", settle=False)
    engine.put(NOTIFICATION_FEEDBACK, {"event": "bounced", "notification_id": "n1"})
    [letter] = engine.records(DEAD_LETTERS)
    assert dict(letter.headers)[dead_letter.STAGE] == b"feedback"
    assert [said["status"] for said in engine.values(NOTIFICATION_STATUS)] == ["bounced"]


def test_a_misspelt_field_is_pointed_out_once(caplog: pytest.LogCaptureFixture) -> None:
    handle = feedback.station().handle
    for _ in range(3):
        handle(a_record({"event": "bounced", "email": "ann@example.com", "bounce_typ": "soft"}), FakeContext())
    assert caplog.messages == ["unknown field 'bounce_typ' in a delivery event: did you mean bounce_type?"]


def test_a_repeated_event_of_one_batch_is_told_once() -> None:
    engine = MemoryEngine([feedback.station()])
    for _ in range(3):
        event = {"event": "bounced", "email": "ann@example.com", "event_id": "e1", "at": "2024-01-01T00:00:00Z"}
        engine.put(NOTIFICATION_FEEDBACK, event, settle=False)
    engine.settle()
    assert len(engine.records(OUTBOX)) == 1


def test_commands_carry_no_identity_so_that_a_late_one_hides_none() -> None:
    engine = MemoryEngine([feedback.station()])
    engine.put(NOTIFICATION_FEEDBACK, {"event": "complained", "email": "ann@example.com"})
    [command] = engine.records(OUTBOX)
    assert command.headers == []


def test_a_record_with_an_impossible_timestamp_is_dead_lettered() -> None:
    record = FakeRecord(b'{"event": "bounced", "email": "ann@example.com"}', timestamp=10**18)
    with pytest.raises(BadRecord):
        feedback.station().handle(record, FakeContext())


def test_the_message_id_that_we_write_names_its_notification() -> None:
    name = notification_id("task_completion", "nightly-report", "run-1")
    told = TaskNotification(name, "task_completion", "nightly-report", "run-1", "success", PUBLISHED_AT)
    mail = Renderer(RenderPolicy(sender="noreply@example.com")).task_mail(told, "ann@example.com", PUBLISHED_AT)
    assert notification_of(f"<{mail.message_id}>") == name


def test_the_page_names_every_event() -> None:
    page = (Path(__file__).parents[2] / "docs" / "feedback.md").read_text()
    table = "".join(line.split("|")[1] for line in page.splitlines() if line.startswith("| "))
    assert [event.value for event in FeedbackEvent if f"`{event.value}`" not in table] == []
