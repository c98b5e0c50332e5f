"""tasks: the state of runs, their one mail, and their wakes, as the engine drives the station."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from streamnotify.domain.notifications import notification_id
from streamnotify.domain.run_steps import FORGETTING_SLACK, TasksPolicy
from streamnotify.domain.runs import Notify, Run, RunContext
from streamnotify.domain.status import Status
from streamnotify.stations import tasks
from streamnotify.stations.context import Due, Station
from streamnotify.stations.run_rows import KEPT, RUN, SIGHTING, run_key, run_of_key
from streamnotify.wire.commands import MergeRun, NotifyTask
from streamnotify.wire.topics import MAILBOXES, NOTIFICATION_STATUS
from tests.domain.run_builders import an_update
from tests.stations.fake_context import NOW, FakeContext

ANN = Notify(email="Ann@example.com")
KEY = run_key("nightly-report", "run-1")
ID = notification_id("task_completion", "nightly-report", "run-1")
COMPLETED, RUNNING = Status.COMPLETED, Status.RUNNING


@pytest.fixture
def ctx() -> FakeContext:
    return FakeContext()


@pytest.fixture
def station() -> Station:
    return tasks.station(TasksPolicy())


def merge(station: Station, ctx: FakeContext, status: Status, seconds: float = 0, **fields: Any) -> None:
    station.handle(MergeRun(an_update(status, seconds, **fields)), ctx)


def statuses(ctx: FakeContext) -> list[tuple[str, str | None]]:
    return [(status["status"], status.get("reason")) for _, status in ctx.to(NOTIFICATION_STATUS)]


@pytest.mark.parametrize("task_id", ["", "x", "1:x", "a:b:c", "\x00"])
@pytest.mark.parametrize("task_name", ["x", "x:1", "12:x", "é:ö"])
def test_a_runs_key_tells_name_and_id(task_name: str, task_id: str) -> None:
    assert run_of_key(run_key(task_name, task_id)) == (task_name, task_id)


def test_a_silent_task_is_state_only(station: Station, ctx: FakeContext) -> None:
    merge(station, ctx, COMPLETED, user_id="u1")
    run = ctx.get(RUN, KEY)
    assert run is not None
    assert run.status is COMPLETED
    assert ctx.emitted == []


def test_the_mail_goes_to_the_address_in_lower_case_and_is_recorded(station: Station, ctx: FakeContext) -> None:
    merge(station, ctx, COMPLETED, notify=ANN, organization_id="org-a")
    [(mailbox, command)] = ctx.to(MAILBOXES)
    assert mailbox == "address:ann@example.com"
    assert isinstance(command, NotifyTask)
    assert (command.notification.email, command.notification.status) == ("Ann@example.com", "success")
    [(key, status)] = ctx.to(NOTIFICATION_STATUS)
    assert key == ID
    assert status == {
        "notification_id": ID,
        "status": "accepted",
        "kind": "task_completion",
        "task_name": "nightly-report",
        "task_id": "run-1",
        "to": "Ann@example.com",
        "organization_id": "org-a",
        "at": "2024-01-15T14:31:00Z",
    }


def test_the_mail_of_a_user_goes_to_the_users_mailbox(station: Station, ctx: FakeContext) -> None:
    merge(station, ctx, COMPLETED, notify=ANN, user_id="u1")
    assert [mailbox for mailbox, _ in ctx.to(MAILBOXES)] == ["user:u1"]
    [(_, status)] = ctx.to(NOTIFICATION_STATUS)
    assert (status["user_id"], status.get("to")) == ("u1", None)


@pytest.mark.parametrize(
    ("notify", "stale", "reason"),
    [
        (Notify(), False, "no_recipient"),
        (Notify(email="a@x.placeholder.rhesis.ai"), False, "placeholder_address"),
        (ANN._replace(on=("failure",)), False, "not_in_on"),
        (ANN, True, "stale"),
    ],
)
def test_what_is_not_sent_is_recorded_with_its_reason(
    station: Station, ctx: FakeContext, notify: Notify, stale: bool, reason: str
) -> None:
    merge(station, ctx, COMPLETED, notify=notify, stale=stale)
    assert ctx.to(MAILBOXES) == []
    assert statuses(ctx) == [("suppressed", reason)]


def test_stale_runs_are_warned_about_once_naming_the_setting(
    station: Station, ctx: FakeContext, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        update = an_update(COMPLETED, notify=ANN, stale=True)._replace(task_id=f"run-{number}")
        with caplog.at_level(logging.WARNING):
            station.handle(MergeRun(update), ctx)
    assert len(statuses(ctx)) == 3
    assert len(caplog.messages) == 1
    assert "STREAMNOTIFY_MAX_EVENT_AGE" in caplog.text


def test_a_run_created_and_ended_at_once_sets_one_wake(station: Station, ctx: FakeContext) -> None:
    merge(station, ctx, COMPLETED)
    merge(station, ctx, COMPLETED)
    merge(station, ctx, Status.PENDING)
    assert ctx.wakes_set == 1


def test_a_run_of_ordinary_length_sets_one_wake_for_all_its_events(station: Station, ctx: FakeContext) -> None:
    for number, status in enumerate((Status.PENDING, Status.QUEUED, RUNNING, COMPLETED)):
        ctx.now = NOW + timedelta(minutes=number)
        merge(station, ctx, status, number)
    assert ctx.wakes_set == 1


def test_a_run_is_forgotten_when_its_time_is_up_and_a_newer_one_is_there(station: Station, ctx: FakeContext) -> None:
    merge(station, ctx, COMPLETED)
    ctx.now = NOW + timedelta(days=2)
    merge(station, ctx, COMPLETED, 2 * 86400, task_id="run-2")
    ctx.advance(station, NOW + TasksPolicy().run_retention + FORGETTING_SLACK)
    assert ctx.get(RUN, KEY) is None
    assert ctx.get(RUN, run_key("nightly-report", "run-2")) is not None
    assert ctx.wakes_set == 2
    assert len(ctx.rows) == 2  # the newer run, and where it is found


@pytest.mark.parametrize("fields", [{}, {"context": RunContext(type="Hourly")}, {"organization_id": "org-a"}])
def test_the_newest_run_of_each_context_is_kept_for_the_widest_window(
    fields: dict[str, Any], station: Station, ctx: FakeContext
) -> None:
    """A monitor may look back 35 days."""
    merge(station, ctx, COMPLETED, **fields)
    ctx.now = NOW + timedelta(days=2)
    merge(station, ctx, COMPLETED, 2 * 86400, task_id="run-2", context=RunContext(type="Daily"))
    ctx.advance(station, NOW + KEPT - timedelta(hours=2))
    assert ctx.get(RUN, KEY) is not None
    ctx.advance(station, NOW + KEPT + timedelta(days=4))
    assert ctx.rows == {}


def test_a_wake_for_a_run_that_is_gone_is_nothing(station: Station, ctx: FakeContext) -> None:
    station.handle(Due(RUN, KEY, NOW, NOW), ctx)
    assert (ctx.rows, ctx.emitted) == ({}, [])


def test_a_lost_worker_mails_a_failure_when_its_time_is_up(station: Station, ctx: FakeContext) -> None:
    merge(station, ctx, RUNNING, notify=ANN, redelivery_s=30)
    ctx.advance(station, NOW + timedelta(seconds=29))
    assert ctx.emitted == []
    ctx.advance(station, NOW + timedelta(seconds=30))
    [(_, command)] = ctx.to(MAILBOXES)
    assert (command.notification.status, command.notification.error_message) == ("failed", "worker lost")


class Life(RuleBasedStateMachine):
    """One run from its first event until it is forgotten, and again, with time passing in between."""

    def __init__(self) -> None:
        super().__init__()
        self.policy = TasksPolicy()
        self.station = tasks.station(self.policy)
        self.ctx = FakeContext()
        self.ids = 0
        self.mails_before = 0
        self.heard_at: datetime | None = None

    def row(self) -> Run | None:
        return self.ctx.get(RUN, KEY)

    @rule(
        status=st.sampled_from(Status),
        attempt=st.integers(1, 2),
        final=st.booleans(),
        lost=st.booleans(),
        notify=st.sampled_from([None, ANN, Notify(wanted=False)]),
        repeat=st.booleans(),
    )
    def an_event_arrives(
        self, status: Status, attempt: int, final: bool, lost: bool, notify: Notify | None, repeat: bool
    ) -> None:
        if self.row() is None:
            self.mails_before = len(statuses(self.ctx))
        self.ids += 1
        fields: dict[str, Any] = {"event_id": f"{self.ids:04}", "attempt": attempt, "final": final}
        if notify is not None:
            fields["notify"] = notify
        if lost and status is RUNNING:
            fields["redelivery_s"] = 60
        for _ in range(1 + repeat):
            merge(self.station, self.ctx, status, (self.ctx.now - NOW).total_seconds(), **fields)
        self.heard_at = self.ctx.now

    @rule(
        passing=st.sampled_from([timedelta(seconds=30), timedelta(minutes=61), timedelta(days=9), timedelta(days=31)])
    )
    def time_passes(self, passing: timedelta) -> None:
        before, now = self.row(), self.ctx.now + passing
        self.ctx.advance(self.station, now)
        assert self.heard_at is not None or before is None
        if before is None or self.heard_at is None:
            return
        keep = self.policy.run_retention if before.is_over else self.policy.silent_retention
        if now < before.seen_at + keep and before.presumed_end_at is None:
            assert self.row() is not None, "forgotten too early"
        kept = max(self.policy.silent_retention, KEPT)
        if now >= self.heard_at + kept + self.policy.run_retention + FORGETTING_SLACK:
            assert self.ctx.rows == {}, "never forgotten"

    @invariant()
    def nobody_is_told_twice(self) -> None:
        assert len(statuses(self.ctx)) - self.mails_before <= 1

    @invariant()
    def checks_find_the_run_at_one_place(self) -> None:
        sightings = [key for key in self.ctx.rows if key[:1] == SIGHTING.kind]
        assert len(sightings) == (self.row() is not None)

    @invariant()
    def every_run_has_its_wake(self) -> None:
        run = self.row()
        wakes = [at for _, _, at in self.ctx.wakes.values()]
        if run is not None:
            assert wakes == [run.wake_at]
            assert run.presumed_end_at is None or run.wake_at <= run.presumed_end_at

    @invariant()
    def no_run_waits_for_a_lost_worker_beyond_its_time(self) -> None:
        run = self.row()
        assert run is None or run.presumed_end_at is None or run.presumed_end_at > self.ctx.now


Life.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestLife = Life.TestCase
