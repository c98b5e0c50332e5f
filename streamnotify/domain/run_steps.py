"""What happens to a stored run: an update comes in, or its wake has come (SPEC section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from streamnotify.domain.run_mail import MailDecision, decide_mail
from streamnotify.domain.runs import Details, Facts, Run, RunError, RunUpdate, Step, join, update_from_event
from streamnotify.domain.status import Rank, Status

WORKER_LOST = RunError(message="worker lost", type="WorkerLost")

# A run that ends this soon after it was first heard of needs no second wake to be forgotten, only this much patience.
FORGETTING_SLACK = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class IngestPolicy:
    """What ingest goes by. ``max_event_age``: an event published longer than that after it happened never mails."""

    max_event_age: timedelta = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class TasksPolicy:
    """What the tasks station goes by.

    ``run_retention``: how long ended runs are remembered. ``silent_retention``: how long a run is remembered that no
    event is heard of. ``placeholder_domains``: mail domains nobody reads, their subdomains included.
    """

    run_retention: timedelta = timedelta(days=10)
    silent_retention: timedelta = timedelta(days=30)
    placeholder_domains: tuple[str, ...] = ("placeholder.rhesis.ai",)


def merge(run: Run | None, update: RunUpdate, now: datetime, policy: TasksPolicy) -> tuple[Run, MailDecision | None]:
    """The run after ``update``, and the decision about its mail if it falls now. ``now`` is the broker's time.

    The returned run's ``wake_at`` differs from the old one's if its wake is to be moved.
    """
    facts = update.facts if run is None else join(run.facts, update.facts)
    first_end = _first_end(run, update, facts)
    mail = None
    mail_decided = run is not None and run.mail_decided
    if first_end is not None and not mail_decided:
        mail = decide_mail(update.task_name, update.task_id, facts, first_end, policy.placeholder_domains)
        mail_decided = mail is not None
    was_over = run is not None and run.is_over
    is_over = facts.step.rank >= Rank.PRESUMED_END
    seen_at = run.seen_at if run is not None and was_over and is_over else now
    presumed_end_at = _presumed_end_at(run, facts.step, now, policy)
    wake_at = _wake_at(run, is_over, seen_at, presumed_end_at, policy)
    return Run(facts, seen_at, wake_at, first_end, mail_decided, presumed_end_at), mail


def wake(
    task_name: str,
    task_id: str,
    run: Run,
    now: datetime,
    policy: TasksPolicy,
    *,
    needed_until: datetime | None = None,
) -> tuple[Run | None, MailDecision | None]:
    """The run after its wake has come: stopped if its worker stayed lost, None if it is to be forgotten, else with
    its next wake. ``needed_until``: when at the earliest it may be forgotten, if anything else needs it."""
    mail = None
    if run.presumed_end_at is not None and run.presumed_end_at <= now:
        run, mail = merge(run, worker_lost(task_name, task_id, run.facts.step), now, policy)
    forget_at = _forget_at(run.is_over, run.seen_at, policy)
    if needed_until is not None:
        forget_at = max(forget_at, needed_until)
    if forget_at <= now:
        return None, mail
    return run._replace(wake_at=_earlier(forget_at, run.presumed_end_at)), mail


def worker_lost(task_name: str, task_id: str, lost: Step) -> RunUpdate:
    """The end nobody reported, as an update; it happened when the worker was lost.

    Args:
        task_name: of the run, with ``task_id``.
        lost: the run's step that says so.
    """
    step = Step(
        attempt=lost.attempt,
        rank=Rank.PRESUMED_END,
        status=Status.STOPPED,
        occurred_at=lost.occurred_at,
        event_id=f"{lost.event_id}/worker-lost",
        finished_at=lost.occurred_at,
        stale=lost.stale,
    )
    error = Details(step.occurred_at, step.event_id, error=WORKER_LOST)
    return update_from_event(task_name, task_id, step, details=(error,))


def _first_end(run: Run | None, update: RunUpdate, facts: Facts) -> Step | None:
    """The first final end to arrive whose attempt is not known to be invalidated."""
    for end in (None if run is None else run.first_end, update.end):
        if end is not None and end.attempt not in facts.invalidated:
            return end
    return None


def _presumed_end_at(run: Run | None, step: Step, now: datetime, policy: TasksPolicy) -> datetime | None:
    """When an interrupted run counts as stopped; None if its worker is not lost."""
    if step.redelivery_s is None:
        return None
    if run is not None and run.facts.step == step:
        return run.presumed_end_at
    patience = timedelta(seconds=min(step.redelivery_s, policy.silent_retention.total_seconds()))
    # A producer's clock may be far ahead; no run is waited for longer than it would be remembered.
    return min(max(step.occurred_at, now), now + policy.silent_retention) + patience


def _wake_at(
    run: Run | None, is_over: bool, seen_at: datetime, presumed_end_at: datetime | None, policy: TasksPolicy
) -> datetime:
    """When to look at the run next. A wake already set is left where it is as long as it does no harm: it finds out
    itself whether it came too early."""
    if run is None:
        soon = min(policy.run_retention + FORGETTING_SLACK, policy.silent_retention)  # most runs end soon
        return _earlier(seen_at + (policy.run_retention if is_over else soon), presumed_end_at)
    needed = _earlier(_forget_at(is_over, seen_at, policy) + FORGETTING_SLACK, presumed_end_at)
    return min(run.wake_at, needed)


def _forget_at(is_over: bool, seen_at: datetime, policy: TasksPolicy) -> datetime:
    return seen_at + (policy.run_retention if is_over else policy.silent_retention)


def _earlier(at: datetime, other: datetime | None) -> datetime:
    return at if other is None or at < other else other
