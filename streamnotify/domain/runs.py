"""A run: what its events say about it, joined so that order and repetition do not matter (SPEC section 3).

The types are NamedTuples: immutable like frozen dataclasses, stored as plain arrays, and fast to build and compare.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from streamnotify.domain.status import Rank, Status


class RunContext(NamedTuple):
    """What a run works on: the model's dotted path, its type, its id."""

    model: str | None = None
    type: str | None = None
    id: str | None = None


class RunError(NamedTuple):
    """Why a run failed. Only ``message`` is ever mailed."""

    message: str | None = None
    type: str | None = None
    traceback: str | None = None
    cause: str | None = None


class Notify(NamedTuple):
    """An event's say in who is told how the run ends. ``wanted`` False makes the task a silent one.

    ``on`` holds success, failure and cancelled: the outcomes that are mailed.
    """

    wanted: bool = True
    template: str | None = None
    subject_template: str | None = None
    email: str | None = None
    name: str | None = None
    on: tuple[str, ...] = ("success", "failure")
    urgent: bool = False


class Step(NamedTuple):
    """The status one event reports.

    ``finished_at`` is set on every end and on nothing else, ``duration_s`` (seconds, not negative) at most there.
    ``redelivery_s`` is set if the worker was lost: seconds until the run counts as stopped. ``stale``: the event was
    too old to mail when it was published.
    """

    attempt: int
    rank: int
    status: Status
    occurred_at: datetime
    event_id: str
    finished_at: datetime | None = None
    duration_s: float | None = None
    redelivery_s: float | None = None
    stale: bool = False


class Details(NamedTuple):
    """What one event says about the run besides its status. None: it does not say. ``result`` is JSON text."""

    occurred_at: datetime
    event_id: str
    notify: Notify | None = None
    user_id: str | None = None
    organization_id: str | None = None
    display_name: str | None = None
    context: RunContext | None = None
    error: RunError | None = None
    result: str | None = None


# Looking a member up in its enum takes longer than what is done with it, at tens of thousands of events a second.
_RUNNING, _PRESUMED_END, _INVALIDATED = map(int, (Rank.RUNNING, Rank.PRESUMED_END, Rank.INVALIDATED))

# A run may be tried again for ever; the end of an attempt so long ago comes no more. The highest of two unions are the
# highest of all, so that order and repetition do not matter.
INVALIDATED_KEPT = 100

_STAMP = 2  # occurred_at and event_id come first in Details, what they stamp after them


class Facts(NamedTuple):
    """All that events say about a run. :func:`join` of facts is commutative, associative and idempotent.

    ``step`` is the one that counts. ``submitted_at``, ``queued_at``, ``started_at`` are the earliest reported ones,
    ``active_at`` the earliest ``occurred_at`` of a Running or end event. ``invalidated`` are attempts, ascending,
    the highest :data:`INVALIDATED_KEPT` at most.
    ``details`` are the newest first; each holds only what no newer one says.
    """

    step: Step
    submitted_at: datetime | None = None
    queued_at: datetime | None = None
    started_at: datetime | None = None
    active_at: datetime | None = None
    invalidated: tuple[int, ...] = ()
    details: tuple[Details, ...] = ()


class RunUpdate(NamedTuple):
    """What ingest tells the tasks station: one event of a run, or several folded into one.

    ``end`` is the final, not invalidated end among them; nothing that came after it is folded in.
    """

    task_name: str
    task_id: str
    facts: Facts
    end: Step | None = None


class Run(NamedTuple):
    """The stored state of a run. All but ``facts`` depends on when and in which order events arrived.

    ``first_end``: the first final end to arrive that was not invalidated since; the mail goes by it.
    ``mail_decided``: mailed or suppressed, never again. ``seen_at``: the broker's time of the last event, or if the
    run is over, of the one that ended it. ``presumed_end_at``: when an interrupted run counts as stopped.
    ``wake_at``: the wake that is set for the run.
    """

    facts: Facts
    seen_at: datetime
    wake_at: datetime
    first_end: Step | None = None
    mail_decided: bool = False
    presumed_end_at: datetime | None = None

    @property
    def status(self) -> Status:
        """The run's status."""
        return self.facts.step.status

    @property
    def is_over(self) -> bool:
        """True once the run, not only an attempt of it, has ended."""
        return self.facts.step.rank >= Rank.PRESUMED_END

    @property
    def finished_at(self) -> datetime | None:
        """When the run's status became an end."""
        return self.facts.step.finished_at

    @property
    def started_at(self) -> datetime | None:
        """When the run started, see :func:`started_at`."""
        return started_at(self.facts)


def update_from_event(
    task_name: str,
    task_id: str,
    step: Step,
    *,
    submitted_at: datetime | None = None,
    queued_at: datetime | None = None,
    started_at: datetime | None = None,
    details: tuple[Details, ...] = (),
) -> RunUpdate:
    """One event as an update. ``details`` is empty or holds one element."""
    rank = step.rank
    active_at = step.occurred_at if rank >= _RUNNING else None
    invalidated = (step.attempt,) if rank == _INVALIDATED else ()
    facts = Facts(step, submitted_at, queued_at, started_at, active_at, invalidated, details)
    return RunUpdate(task_name, task_id, facts, step if _PRESUMED_END <= rank < _INVALIDATED else None)


def fold(a: RunUpdate, b: RunUpdate) -> RunUpdate | None:
    """``a`` followed by ``b`` as one update, or None if they must stay two.

    They must when ``a`` alone could decide a mail, because it ends the run or opts in: what ``b`` adds came later.
    """
    if a.end is not None or wants_mail(a.facts) is not None:
        return None
    return RunUpdate(a.task_name, a.task_id, join(a.facts, b.facts), b.end)


def wants_mail(facts: Facts) -> Notify | None:
    """The newest ``notify``, if it opts in."""
    for details in facts.details:
        if details.notify is not None:
            return details.notify if details.notify.wanted else None
    return None


def started_at(facts: Facts) -> datetime | None:
    """When the run started: as reported; for a Running or ended run else finished_at - duration_s, else the earliest
    occurred_at of its Running and end events (SPEC section 3)."""
    step = facts.step
    if facts.started_at is not None:
        return facts.started_at
    if step.rank < Rank.RUNNING:  # never ran, or waits for its next attempt
        return facts.active_at
    if step.finished_at is not None and step.duration_s is not None:
        try:
            return step.finished_at - timedelta(seconds=step.duration_s)
        except OverflowError:  # a duration of thousands of years: as good as none
            pass
    return facts.active_at


def join(a: Facts, b: Facts) -> Facts:
    """All that ``a`` and ``b`` say."""
    return Facts(
        b.step if _replaces(b.step, a.step) else a.step,
        _earliest(a.submitted_at, b.submitted_at),
        _earliest(a.queued_at, b.queued_at),
        _earliest(a.started_at, b.started_at),
        _earliest(a.active_at, b.active_at),
        tuple(sorted({*a.invalidated, *b.invalidated})[-INVALIDATED_KEPT:]) if b.invalidated else a.invalidated,
        _newest_details(a.details, b.details) if b.details else a.details,
    )


def _replaces(new: Step, old: Step) -> bool:
    """Whether ``new`` is the state rather than ``old`` (SPEC section 3)."""
    if new.attempt != old.attempt:
        return new.attempt > old.attempt
    if new.rank != old.rank:
        return new.rank > old.rank
    if new.occurred_at != old.occurred_at or new.event_id != old.event_id:
        new_is_earlier = (new.occurred_at, new.event_id) < (old.occurred_at, old.event_id)
        return new_is_earlier if new.rank >= Rank.ATTEMPT_ENDED else not new_is_earlier
    said, said_before = new[:-1], old[:-1]  # all but stale: that one belongs to the record, not to what happened
    # One event_id, two contents: any rule will do, as long as it does not ask which came first.
    return said != said_before and _text(said) < _text(said_before)


def _earliest(a: datetime | None, b: datetime | None) -> datetime | None:
    if a is None or b is None:
        return b if a is None else a
    return min(a, b)


def _newest_details(a: tuple[Details, ...], b: tuple[Details, ...]) -> tuple[Details, ...]:
    """Of each field what the newest event says that says anything."""
    if a == b or not a:
        return b
    if len(a) == len(b) == 1 and a[0].occurred_at != b[0].occurred_at:
        newer, older = (a, b) if a[0].occurred_at > b[0].occurred_at else (b, a)
        if _says_all_of(newer[0], older[0]):
            return newer
    by_stamp: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for details in (*a, *b):
        stamp, fields = details[:_STAMP], details[_STAMP:]
        same = by_stamp.get(stamp)
        by_stamp[stamp] = fields if same is None else tuple(map(_either, same, fields))
    kept: list[Details] = []
    said = [False] * (len(Details._fields) - _STAMP)
    for stamp in sorted(by_stamp, reverse=True):
        fields = tuple(None if known else value for known, value in zip(said, by_stamp[stamp], strict=True))
        if any(value is not None for value in fields):
            kept.append(Details._make(stamp + fields))
        said = [known or value is not None for known, value in zip(said, fields, strict=True)]
    return tuple(kept)


def _says_all_of(newer: Details, older: Details) -> bool:
    # A list is the fastest here, and nearly every event comes by.
    return True not in [new is None and old is not None for new, old in zip(newer, older, strict=True)]


def _either(a: Any, b: Any) -> Any:
    """Of what two events with one identity say, always the same one, whichever came first."""
    if a is None or b is None:
        return b if a is None else a
    return b if a != b and _text(b) > _text(a) else a


def _text(value: Any) -> str:
    return json.dumps(value, default=str)
