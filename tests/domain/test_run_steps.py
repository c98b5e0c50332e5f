"""What becomes of a stored run as updates and wakes come (SPEC section 3)."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from streamnotify.domain.run_mail import MailDecision
from streamnotify.domain.run_steps import FORGETTING_SLACK, TasksPolicy, merge, wake
from streamnotify.domain.runs import INVALIDATED_KEPT, Notify, Run, RunUpdate
from streamnotify.domain.status import Status
from tests.domain.run_builders import NOW, T0, an_update

POLICY = TasksPolicy()
ANN = Notify(email="ann@example.com")
PENDING, RUNNING, COMPLETED, STOPPED = Status.PENDING, Status.RUNNING, Status.COMPLETED, Status.STOPPED
INVALIDATED = Status.INVALIDATED


def after(*updates: RunUpdate, run: Run | None = None, now: datetime = NOW) -> tuple[Run, list[MailDecision | None]]:
    """The run after ``updates``, and what each decided."""
    decisions = []
    for update in updates:
        run, decision = merge(run, update, now, POLICY)
        decisions.append(decision)
    assert run is not None
    return run, decisions


def statuses(decisions: list[MailDecision | None]) -> list[str | None]:
    return [None if decision is None else decision.notification.status for decision in decisions]


def woken(run: Run | None, now: datetime) -> tuple[Run | None, MailDecision | None]:
    assert run is not None
    return wake("nightly-report", "run-1", run, now, POLICY)


def test_the_mail_goes_by_the_first_end_to_arrive_though_an_earlier_one_is_the_state() -> None:
    run, decisions = after(an_update(STOPPED, 9, notify=ANN), an_update(COMPLETED, 5, event_id="e2"))
    assert statuses(decisions) == ["failed", None]
    assert run.status is COMPLETED


def test_an_end_that_is_not_final_never_mails() -> None:
    _, decisions = after(an_update(STOPPED, 1, final=False, notify=ANN), an_update(COMPLETED, 2, attempt=2))
    assert statuses(decisions) == [None, "success"]


def test_opting_in_after_the_end_mails_then_and_once() -> None:
    _, decisions = after(an_update(COMPLETED, 1), an_update(RUNNING, 0, notify=ANN), an_update(PENDING, 0, notify=ANN))
    assert statuses(decisions) == [None, "success", None]


def test_attempts_after_a_final_end_change_the_state_and_do_not_mail_again() -> None:
    run, decisions = after(an_update(STOPPED, 1, notify=ANN), an_update(COMPLETED, 9, attempt=2, notify=ANN))
    assert statuses(decisions) == ["failed", None]
    assert run.status is COMPLETED


def test_a_suppressed_mail_is_decided_too() -> None:
    stale = an_update(COMPLETED, 1, notify=ANN, stale=True)
    _, decisions = after(stale, an_update(COMPLETED, 1, notify=ANN))
    assert statuses(decisions) == ["success", None]


def test_an_invalidated_attempt_does_not_mail_and_a_later_one_may() -> None:
    _, decisions = after(
        an_update(INVALIDATED, 3, notify=ANN),
        an_update(RUNNING, 4, attempt=2),
        an_update(COMPLETED, 1),
        an_update(COMPLETED, 9, attempt=2),
    )
    assert statuses(decisions) == [None, None, None, "success"]


def test_an_end_invalidated_before_anybody_opted_in_is_not_mailed() -> None:
    _, decisions = after(
        an_update(STOPPED, 1), an_update(INVALIDATED, 2, notify=ANN), an_update(COMPLETED, 9, attempt=2)
    )
    assert statuses(decisions) == [None, None, "success"]


def test_a_run_whose_attempts_are_invalidated_over_and_over_stays_small() -> None:
    """In whatever order that is heard of; of the newest attempts it is remembered."""
    attempts = list(range(1, 3 * INVALIDATED_KEPT))
    shuffled = random.Random(1).sample(attempts, len(attempts))
    runs = [after(*(an_update(INVALIDATED, attempt=each) for each in order))[0] for order in (attempts, shuffled)]
    assert runs[0].facts == runs[1].facts
    assert runs[0].facts.invalidated == tuple(attempts[-INVALIDATED_KEPT:])
    _, decisions = after(an_update(COMPLETED, attempt=attempts[-1], notify=ANN), run=runs[0])
    assert statuses(decisions) == [None]


def test_a_run_created_and_ended_at_once_is_forgotten_after_the_retention() -> None:
    run, _ = after(an_update(COMPLETED))
    assert run.wake_at == NOW + POLICY.run_retention
    assert woken(run, run.wake_at) == (None, None)


def test_a_run_that_ends_within_the_slack_needs_no_second_wake() -> None:
    run, _ = after(an_update(RUNNING))
    ended, _ = after(an_update(COMPLETED, 1), run=run, now=NOW + FORGETTING_SLACK)
    assert ended.wake_at == run.wake_at == NOW + POLICY.run_retention + FORGETTING_SLACK
    assert woken(ended, ended.wake_at)[0] is None


def test_an_ended_run_is_remembered_for_the_whole_retention_whatever_comes_late() -> None:
    run, _ = after(an_update(RUNNING))
    ended_at = NOW + timedelta(days=4)
    run, _ = after(an_update(COMPLETED, 1), run=run, now=ended_at)
    run, _ = after(an_update(PENDING, 0), run=run, now=ended_at + timedelta(days=1))
    still_there, _ = woken(run, run.wake_at)
    assert still_there is not None
    assert still_there.wake_at == ended_at + POLICY.run_retention
    assert woken(still_there, still_there.wake_at)[0] is None


def test_a_run_without_end_is_forgotten_thirty_days_after_its_last_event() -> None:
    run, _ = after(an_update(PENDING))
    last_at = NOW + timedelta(days=8)
    run, _ = after(an_update(RUNNING, 1), run=run, now=last_at)
    still_there, _ = woken(run, run.wake_at)
    assert still_there is not None
    assert still_there.wake_at == last_at + timedelta(days=30)
    assert woken(still_there, still_there.wake_at)[0] is None


def test_a_retention_longer_than_a_silent_runs_is_kept() -> None:
    policy = replace(POLICY, run_retention=timedelta(days=60))
    run, _ = merge(None, an_update(PENDING), NOW, policy)
    assert run.wake_at == NOW + timedelta(days=30)
    ended, _ = merge(run, an_update(COMPLETED, 1), NOW, policy)
    still_there, _ = wake("nightly-report", "run-1", ended, run.wake_at, policy)
    assert still_there is not None
    assert still_there.wake_at == NOW + timedelta(days=60)


def test_repeated_events_leave_an_ended_run_as_it_is() -> None:
    run, _ = after(an_update(RUNNING, 1), an_update(COMPLETED, 2, notify=ANN))
    again, decisions = after(an_update(COMPLETED, 2, notify=ANN), run=run, now=NOW + timedelta(days=1))
    assert (again, decisions) == (run, [None])


def test_a_run_whose_worker_stays_lost_is_stopped_and_mailed_as_a_failure() -> None:
    run, _ = after(an_update(RUNNING, 1, notify=ANN), an_update(RUNNING, 5, event_id="e2", redelivery_s=60))
    assert run.wake_at == NOW + timedelta(seconds=60)
    stopped, decision = woken(run, run.wake_at)
    assert stopped is not None
    assert decision is not None
    assert (stopped.status, stopped.finished_at) == (STOPPED, an_update(RUNNING, 5).facts.step.occurred_at)
    assert (decision.notification.status, decision.notification.error_message) == ("failed", "worker lost")
    assert stopped.wake_at == run.wake_at + POLICY.run_retention


def test_repeating_the_interruption_does_not_put_off_its_end() -> None:
    lost = an_update(RUNNING, 5, redelivery_s=60)
    run, _ = after(lost)
    run, _ = after(lost, run=run, now=NOW + timedelta(seconds=50))
    assert run.presumed_end_at == NOW + timedelta(seconds=60)


def test_the_patience_with_a_lost_worker_starts_when_it_was_lost_by_its_own_clock_if_that_is_ahead() -> None:
    run, _ = after(an_update(RUNNING, 3700, redelivery_s=60))
    assert run.presumed_end_at == NOW + timedelta(seconds=100 + 60)


@pytest.mark.parametrize("redelivery_s", [3e11, 60.0])
def test_no_clock_and_no_redelivery_time_is_too_far_ahead_to_be_stored(redelivery_s: float) -> None:
    last_second = (datetime.max.replace(tzinfo=UTC) - T0).total_seconds() - 1
    run, _ = after(an_update(RUNNING, last_second, redelivery_s=redelivery_s))
    assert NOW < run.wake_at < NOW + 3 * POLICY.silent_retention


def test_a_successor_in_time_leaves_the_run_running() -> None:
    run, _ = after(an_update(RUNNING, 5, redelivery_s=60, notify=ANN), an_update(RUNNING, 20, event_id="e2"))
    again, decision = woken(run, run.wake_at)
    assert again is not None
    assert (again.status, decision) == (RUNNING, None)
    assert again.wake_at > run.wake_at


def test_a_reported_end_is_better_knowledge_than_a_presumed_one_but_does_not_mail_again() -> None:
    run, _ = after(an_update(RUNNING, 5, redelivery_s=60, notify=ANN))
    stopped, _ = woken(run, run.wake_at)
    late, decisions = after(an_update(COMPLETED, 500), run=stopped, now=run.wake_at)
    assert (late.status, decisions) == (COMPLETED, [None])


def test_the_presumed_end_of_a_stale_event_is_stale() -> None:
    run, _ = after(an_update(RUNNING, 5, redelivery_s=60, notify=ANN, stale=True))
    _, decision = woken(run, run.wake_at)
    assert decision is not None
    assert decision.suppressed == "stale"
