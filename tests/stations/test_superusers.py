"""The mailbox of all superusers: who they are, and how a check reaches each of them or else is recorded as failed."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pytest

from streamnotify import logs
from streamnotify.domain.alerts import ALERT, RECOVERY, Superusers, Verdict, alert_id
from streamnotify.domain.delivery import OutgoingMail
from streamnotify.domain.recipients import SUPERUSERS
from streamnotify.render.policy import RenderPolicy
from streamnotify.render.renderer import Renderer
from streamnotify.stations.context import Due, Station
from streamnotify.stations.mailboxes import station
from streamnotify.stations.superusers import ALL, MEMBERS
from streamnotify.stream.layers import CHUNK_BYTES
from streamnotify.testing.memory import START, MemoryEngine
from streamnotify.wire.commands import NotifyAlert, SetSuperuser, TellSuperusers
from streamnotify.wire.topics import (
    DEAD_LETTERS,
    MAILBOXES,
    MONITOR_RESULTS,
    NOTIFICATION_STATUS,
    OUTBOX,
    TASK_EVENTS,
)
from tests.stations.an_alert import DUE, a_result, an_alert
from tests.stations.at_once import at_once
from tests.stations.fake_context import FakeContext
from tests.stations.outbox import mails_of

RENDERER = Renderer(RenderPolicy("noreply@example.com"))
STATION = station(at_once(), RENDERER)
NOBODY = "ValueError: notify_to is empty but no superuser found for task 'nightly-report'"


class SuperusersMailbox:
    """The mailboxes station in memory, as the directory and the checks see it."""

    def __init__(self, mailboxes: Station = STATION) -> None:
        self.engine = MemoryEngine([mailboxes])

    def send(self, command: Any) -> None:
        self.engine.put(MAILBOXES, MAILBOXES.encode(command), key=SUPERUSERS.encode())

    def knows(self, **emails: str | None) -> None:
        """The directory's word on users by id."""
        for user_id, email in emails.items():
            self.send(SetSuperuser(user_id, email, f"Name of {user_id}" if email else None))

    def checked(self, task_name: str = "nightly-report", **fields: Any) -> None:
        """A check whose monitor names nobody."""
        result, alert = a_result(task_name=task_name), an_alert(task_name=task_name, **fields)
        self.send(TellSuperusers(result, alert))

    def wait(self, seconds: float) -> None:
        self.engine.advance(timedelta(seconds=seconds))

    @property
    def mails(self) -> list[OutgoingMail]:
        """What is in the outbox."""
        return mails_of(self.engine)

    @property
    def addresses(self) -> list[str]:
        return [mail.to for mail in self.mails]

    @property
    def results(self) -> list[dict[str, Any]]:
        return self.engine.values(MONITOR_RESULTS)

    @property
    def left(self) -> set[bytes]:
        """Kinds of the station's own rows that are there."""
        return {key[:1] for key in self.engine.state("mailboxes").rows if key[0] > 0x20}


def many(number: int) -> Superusers:
    """So many superusers."""
    return Superusers({f"u{one}": (f"superuser{one:04}@example.com", "Somebody") for one in range(number)})


@pytest.fixture
def superusers() -> SuperusersMailbox:
    return SuperusersMailbox()


def test_each_superuser_gets_one_mail_and_the_check_names_them(superusers: SuperusersMailbox) -> None:
    superusers.knows(u1="zoe@example.com", u2="Ann@Example.com")
    superusers.checked()
    assert superusers.addresses == ["Ann@Example.com", "zoe@example.com"]
    [result] = superusers.results
    assert result["notified"] == ["Ann@Example.com", "zoe@example.com"]
    assert "error" not in result
    [run] = superusers.engine.values(TASK_EVENTS)
    assert run["status"] == "Completed"
    assert superusers.left == {MEMBERS.kind}


def test_each_is_told_in_their_own_mailbox_by_name_under_an_id_of_their_own() -> None:
    ctx = FakeContext()
    for user_id, email, name in [("u1", "ann@example.com", "Ann"), ("u2", "BOB@example.com", None)]:
        STATION.handle(SetSuperuser(user_id, email, name), ctx)
    STATION.handle(TellSuperusers(a_result(), an_alert()), ctx)
    about = (ALERT, "Reports", "nightly-report", DUE)
    assert ctx.to(MAILBOXES) == [
        ("address:ann@example.com", NotifyAlert(an_alert("ann@example.com", name="Ann"))),
        ("address:bob@example.com", NotifyAlert(an_alert("BOB@example.com"))),
    ]
    assert [command.alert.notification_id for _, command in ctx.to(MAILBOXES)] == [
        alert_id(*about, "ann@example.com"),
        alert_id(*about, "bob@example.com"),
    ]


def test_a_recovery_goes_the_same_way(superusers: SuperusersMailbox) -> None:
    superusers.knows(u1="ann@example.com")
    ok = a_result(verdict=Verdict.OK, current_status="Completed")
    superusers.send(TellSuperusers(ok, an_alert(kind=RECOVERY, current_status="Completed")))
    [mail] = superusers.mails
    assert mail.subject == "[RESOLVED] nightly-report Status Check Passed"
    assert [(result["verdict"], result["notified"]) for result in superusers.results] == [("ok", ["ann@example.com"])]


def test_two_superusers_with_one_address_are_one_mail(superusers: SuperusersMailbox) -> None:
    superusers.knows(u1="Ann@example.com", u2="ANN@EXAMPLE.COM", u3="ann@example.com")
    superusers.checked()
    assert superusers.addresses == ["Ann@example.com"]
    assert superusers.results[0]["notified"] == ["Ann@example.com"]
    superusers.knows(u1=None)
    superusers.checked(check_time=DUE + timedelta(hours=1))
    assert superusers.addresses == ["Ann@example.com", "ANN@EXAMPLE.COM"]


def test_who_is_no_superuser_any_more_is_not_told(superusers: SuperusersMailbox) -> None:
    superusers.knows(u1="ann@example.com", u2="bob@example.com")
    superusers.knows(u1=None, u9=None)
    superusers.checked()
    assert superusers.addresses == ["bob@example.com"]


def test_a_changed_address_takes_the_place_of_the_old_one(superusers: SuperusersMailbox) -> None:
    superusers.knows(u1="ann@old.example.com")
    superusers.knows(u1="ann@new.example.com")
    superusers.checked()
    assert superusers.addresses == ["ann@new.example.com"]


def test_what_the_directory_repeats_writes_nothing() -> None:
    ctx = FakeContext()
    STATION.handle(SetSuperuser("u1", None), ctx)
    assert ctx.rows == {}
    STATION.handle(SetSuperuser("u1", "ann@example.com", "Ann"), ctx)
    assert ctx.get(MEMBERS, ALL) == Superusers({"u1": ("ann@example.com", "Ann")})
    ctx.rows = MappingProxyType(ctx.rows)  # type: ignore[assignment]  # any write to it fails
    STATION.handle(SetSuperuser("u1", "ann@example.com", "Ann"), ctx)
    STATION.handle(SetSuperuser("u2", None), ctx)


def test_the_same_check_told_twice_has_the_same_notification_ids(superusers: SuperusersMailbox) -> None:
    """The deliveries station then lets the second mail not out."""
    superusers.knows(u1="ann@example.com", u2="bob@example.com")
    superusers.checked()
    superusers.checked()
    ids = [mail.notification_id for mail in superusers.mails]
    assert ids[:2] == ids[2:]


def test_without_superusers_checks_wait_a_minute_for_the_directory(superusers: SuperusersMailbox) -> None:
    superusers.checked()
    superusers.checked("other-task")
    superusers.wait(30)
    superusers.knows(u1="ann@example.com")
    superusers.wait(29)
    assert (superusers.mails, superusers.results) == ([], [])
    superusers.wait(1)
    assert sorted(mail.task_name or "" for mail in superusers.mails) == ["nightly-report", "other-task"]
    assert [result["notified"] for result in superusers.results] == [["ann@example.com"]] * 2
    assert superusers.left == {MEMBERS.kind}


def test_the_wait_is_a_setting() -> None:
    superusers = SuperusersMailbox(station(at_once(recipient_hold=timedelta(hours=1)), RENDERER))
    superusers.checked()
    superusers.wait(3599)
    assert superusers.results == []
    superusers.wait(1)
    assert [result["error"] for result in superusers.results] == [NOBODY]


def test_without_any_superuser_the_check_is_recorded_as_failed(superusers: SuperusersMailbox) -> None:
    superusers.checked()
    superusers.wait(60)
    [result] = superusers.results
    assert (result["verdict"], result["error"], result["notified"]) == ("not_executed", NOBODY, [])
    [run] = superusers.engine.values(TASK_EVENTS)
    assert (run["status"], run["error"]) == ("Stopped", NOBODY)
    assert superusers.mails == superusers.engine.values(NOTIFICATION_STATUS) == []
    assert superusers.left == set()


def test_a_superuser_who_came_and_went_while_checks_waited_is_not_told(superusers: SuperusersMailbox) -> None:
    superusers.checked()
    superusers.knows(u1="ann@example.com")
    superusers.wait(59)
    superusers.knows(u1=None)
    superusers.wait(1)
    assert superusers.mails == []
    assert [result["error"] for result in superusers.results] == [NOBODY]


def test_the_whole_mail_stands_in_the_error_log(
    superusers: SuperusersMailbox, caplog: pytest.LogCaptureFixture
) -> None:
    superusers.checked(dependent_tasks=("weekly-digest",))
    superusers.wait(60)
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    first, *lines = record.getMessage().split("\n")
    assert first == NOBODY
    assert all(line.startswith("  | ") for line in lines)
    text = [line.removeprefix("  | ") for line in lines]
    assert text[:2] == ["Subject: [ALERT] nightly-report Has Not Executed", ""]
    mail = RENDERER.alert_mail(an_alert("ann@example.com", dependent_tasks=("weekly-digest",)), "a@example.com", START)
    assert text[2:] == mail.text.splitlines()
    assert "Action Required: Please investigate immediately." in text
    assert "- weekly-digest" in text


def test_names_in_that_log_can_forge_no_line(
    superusers: SuperusersMailbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    logs.configure("INFO", "text")
    forged = "2024-01-15T14:30:00Z [info] all is well"
    superusers.checked(f"nightly\n{forged}", dependent_tasks=(f"a\r\n{forged}",))
    superusers.wait(60)
    lines = capsys.readouterr().err.splitlines()
    assert "notify_to is empty" in lines[0]
    assert all(line.startswith("  | ") for line in lines[1:])


def test_without_smtp_settings_the_error_still_names_the_check(caplog: pytest.LogCaptureFixture) -> None:
    superusers = SuperusersMailbox(station(at_once(), None))
    superusers.checked()
    superusers.wait(60)
    [message] = caplog.messages
    assert message.startswith(NOBODY)
    assert "Reports/nightly-report/2024-01-15T14:30:00Z: no execution found" in message
    assert [result["error"] for result in superusers.results] == [NOBODY]


def test_one_task_without_recipients_harms_no_other(superusers: SuperusersMailbox) -> None:
    superusers.checked()
    other = an_alert("ops@example.com", task_name="other-task")
    superusers.engine.put(MAILBOXES, MAILBOXES.encode(NotifyAlert(other)), key=b"address:ops@example.com")
    superusers.wait(60)
    assert superusers.addresses == ["ops@example.com"]
    assert [result["task_name"] for result in superusers.results] == ["nightly-report"]


def test_what_is_refused_to_one_superuser_is_mailed_to_the_others(superusers: SuperusersMailbox) -> None:
    superusers.knows(u1="ann@", u2="bob@placeholder.rhesis.ai", u3="zoe@example.com")
    superusers.checked()
    assert superusers.addresses == ["zoe@example.com"]
    suppressed = {
        status["to"]: status["reason"]
        for status in superusers.engine.values(NOTIFICATION_STATUS)
        if status["status"] == "suppressed"
    }
    assert suppressed == {"ann@": "invalid_address", "bob@placeholder.rhesis.ai": "placeholder_address"}


@pytest.mark.parametrize("dependents", [0, 100])
def test_a_thousand_superusers_are_all_told_in_steps_that_each_fit_into_a_chunk(
    superusers: SuperusersMailbox, dependents: int
) -> None:
    superusers.knows(**{f"u{number}": f"superuser{number:04}@example.com" for number in range(1000)})
    superusers.checked(dependent_tasks=tuple(f"dependent-task-{number:0100}" for number in range(dependents)))
    superusers.wait(1)
    assert superusers.addresses == [f"superuser{number:04}@example.com" for number in range(1000)]
    assert superusers.engine.records(DEAD_LETTERS) == []
    assert [len(result["notified"]) for result in superusers.results] == [1000]
    assert superusers.left == {MEMBERS.kind}


def test_no_step_of_telling_many_is_larger_than_a_chunk() -> None:
    ctx = FakeContext()
    ctx.put(MEMBERS, ALL, many(5000))
    sizes = []
    STATION.handle(TellSuperusers(a_result(), an_alert()), ctx)
    while True:
        sizes.append(sum(len(topic.encode(sent)) for topic, _, sent in ctx.emitted if topic is MAILBOXES))
        if not ctx.wakes:
            break
        [(row, key, at)] = ctx.wakes.values()
        ctx.wakes.clear()
        ctx.emitted.clear()
        STATION.handle(Due(row, key, at, ctx.now), ctx)
    assert len(sizes) > 5
    assert max(sizes) < CHUNK_BYTES / 2


def test_telling_goes_on_when_the_same_check_is_told_again_meanwhile() -> None:
    """Nobody is left out; who was told already is told under the same id."""
    ctx = FakeContext()
    members = many(1500)
    ctx.put(MEMBERS, ALL, members)
    tell = TellSuperusers(a_result(), an_alert())
    STATION.handle(tell, ctx)
    STATION.handle(tell, ctx)
    ctx.advance(STATION, ctx.now)
    told = {command.alert.email for _, command in ctx.to(MAILBOXES)}
    assert told == {email for email, _ in members.recipients}


def test_superusers_are_told_the_same_bytes_another_time() -> None:
    def run() -> list[tuple[bytes | None, bytes | None]]:
        superusers = SuperusersMailbox(station(at_once(), RENDERER))
        superusers.knows(u2="bob@example.com", u1="ann@example.com")
        superusers.checked()
        return [
            (record.key, record.value)
            for topic in (MAILBOXES, OUTBOX, MONITOR_RESULTS, TASK_EVENTS, NOTIFICATION_STATUS)
            for record in superusers.engine.records(topic)
        ]

    assert run() == run()


def test_an_alert_that_names_its_recipient_already_is_told_to_superusers_all_the_same(
    superusers: SuperusersMailbox,
) -> None:
    superusers.knows(u1="ann@example.com")
    superusers.send(TellSuperusers(a_result(), replace(an_alert(), email="eve@example.com", name="Eve")))
    assert superusers.addresses == ["ann@example.com"]
