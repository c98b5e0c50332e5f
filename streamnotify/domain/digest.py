"""When a digest is flushed: one mailbox's lane as a state machine (SPEC section 6).

Its rules are the table :data:`TRANSITIONS`; what it decides is about times only. What lies in a digest is
:mod:`streamnotify.domain.pending`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta

from streamnotify.domain.digest_wishes import DigestWish, QuietHours, next_daily

_LONGEST_WAIT = 4  # windows: the default of STREAMNOTIFY_DIGEST_MAX_WAIT (SPEC section 6)
_LEAST_MEMORY = timedelta(milliseconds=1)  # of a mail, also with a window of 0: the next digest has another number then


class Lane(enum.StrEnum):
    """The two kinds of mails that never delay each other."""

    TASKS = "tasks"
    ALERTS = "alerts"


class Phase(enum.StrEnum):
    """Where a lane stands."""

    IDLE = "idle"  # nothing is remembered
    COOLING = "cooling"  # mails were sent, and their window is not known to be over
    PENDING = "pending"  # a digest is waiting for its flush


class Trigger(enum.StrEnum):
    """What happens to a lane."""

    ITEM = "item"  # a notification that comes while mails may go out singly
    ITEM_TOO_MANY = "item too many"  # one for which the lane, the quiet hours or a daily digest say: not now
    URGENT = "urgent item"
    MOVED_IN = "digest moved in"  # items that were pending elsewhere
    DUE = "time is up"
    MAILED = "digest mailed"  # or the one mail that was left of it
    EMPTIED = "nothing left"  # all of it was dropped or read, and no mail was sent within the window
    EMPTIED_EARLY = "nothing left while the window runs"  # of a mail sent before


class Effect(enum.StrEnum):
    """What is to be done."""

    SEND = "send it at once"
    SQUASH = "squash into the digest"
    FLUSH = "flush the digest"
    WAIT = "wait"
    FORGET = "forget the lane"


# (where the lane stands, what happens) -> (what is done, where it then stands). What is not listed cannot happen.
TRANSITIONS: dict[tuple[Phase, Trigger], tuple[Effect, Phase]] = {
    (Phase.IDLE, Trigger.ITEM): (Effect.SEND, Phase.COOLING),
    (Phase.IDLE, Trigger.ITEM_TOO_MANY): (Effect.SQUASH, Phase.PENDING),
    (Phase.IDLE, Trigger.URGENT): (Effect.SEND, Phase.COOLING),
    (Phase.IDLE, Trigger.MOVED_IN): (Effect.SQUASH, Phase.PENDING),
    (Phase.IDLE, Trigger.DUE): (Effect.FORGET, Phase.IDLE),
    (Phase.COOLING, Trigger.ITEM): (Effect.SEND, Phase.COOLING),
    (Phase.COOLING, Trigger.ITEM_TOO_MANY): (Effect.SQUASH, Phase.PENDING),
    (Phase.COOLING, Trigger.URGENT): (Effect.SEND, Phase.COOLING),
    (Phase.COOLING, Trigger.MOVED_IN): (Effect.SQUASH, Phase.PENDING),
    (Phase.COOLING, Trigger.DUE): (Effect.FORGET, Phase.IDLE),
    (Phase.PENDING, Trigger.ITEM): (Effect.SQUASH, Phase.PENDING),  # nothing overtakes what waits
    (Phase.PENDING, Trigger.ITEM_TOO_MANY): (Effect.SQUASH, Phase.PENDING),
    (Phase.PENDING, Trigger.URGENT): (Effect.SEND, Phase.PENDING),
    (Phase.PENDING, Trigger.MOVED_IN): (Effect.SQUASH, Phase.PENDING),
    (Phase.PENDING, Trigger.DUE): (Effect.FLUSH, Phase.PENDING),
    (Phase.PENDING, Trigger.MAILED): (Effect.WAIT, Phase.COOLING),
    (Phase.PENDING, Trigger.EMPTIED): (Effect.FORGET, Phase.IDLE),
    (Phase.PENDING, Trigger.EMPTIED_EARLY): (Effect.WAIT, Phase.COOLING),
}


@dataclass(frozen=True, slots=True)
class LanePolicy:
    """``after`` mails (at least 1) go singly within ``window``; a squashed one waits ``max_wait`` at most, which is no
    less than the window. A digest shows ``show`` notifications. A window of 0 sends each at once."""

    after: int = 1
    window: timedelta = timedelta(minutes=30)
    max_wait: timedelta = timedelta(hours=2)
    show: int = 10


ALERT_LANE = LanePolicy(after=5, window=timedelta(minutes=10), max_wait=timedelta(minutes=30))


@dataclass(frozen=True, slots=True)
class Rhythm:
    """A lane's policy as one person wants it. ``daily_at`` and the quiet hours are in ``timezone``, an IANA name."""

    after: int
    window: timedelta
    max_wait: timedelta
    daily_at: time | None = None
    quiet_hours: QuietHours | None = None
    timezone: str = "UTC"

    @property
    def is_plain(self) -> bool:
        """Whether every mail goes at once, at all hours: nothing needs to be remembered then."""
        return not self.window and self.daily_at is None and self.quiet_hours is None

    def held_until(self, at: datetime) -> datetime:
        """``at``, or the end of the quiet hours it falls into."""
        over_at = None if self.quiet_hours is None else self.quiet_hours.over_at(at, self.timezone)
        return over_at or at


@dataclass(frozen=True, slots=True)
class LaneState:
    """What a lane remembers: the times of the last mails, at most ``after`` and the oldest first, and since when and
    until when items have come into the digest.

    ``sequence`` numbers digests; it never comes again.
    """

    sent_at: tuple[datetime, ...] = ()
    first_at: datetime | None = None
    last_at: datetime | None = None
    sequence: int = 0

    @property
    def phase(self) -> Phase:
        """Where the lane stands."""
        if self.first_at is not None:
            return Phase.PENDING
        return Phase.COOLING if self.sent_at else Phase.IDLE


def rhythm(policy: LanePolicy, lane: Lane, wish: DigestWish | None, quiet: QuietHours | None, timezone: str) -> Rhythm:
    """A lane's policy as somebody wants it.

    A wish of one's own is about task mails: alerts keep the service's pace, unless each mail is wanted at once. Quiet
    hours hold both.
    """
    usual = Rhythm(policy.after, policy.window, policy.max_wait, None, quiet, timezone)
    if wish is None or (lane is Lane.ALERTS and not wish.is_off):
        return usual
    if wish.window is None:
        return replace(usual, daily_at=wish.daily_at)
    return replace(usual, window=wish.window, max_wait=_LONGEST_WAIT * wish.window)


def arrive(state: LaneState, now: datetime, own: Rhythm, *, urgent: bool) -> tuple[LaneState, Effect]:
    """A notification has come: it goes at once, or is squashed."""
    effect, _ = TRANSITIONS[state.phase, Trigger.URGENT if urgent else _item(state, now, own)]
    if effect is Effect.SEND:
        return _with_mail(state, now, own), effect
    return _with_items(state, now, now, now), effect


def take_over(state: LaneState, first_at: datetime, last_at: datetime, now: datetime) -> LaneState:
    """The lane with items in it that were pending elsewhere since ``first_at``, the last of them since ``last_at``.

    That they have moved does not delay them.
    """
    effect, _ = TRANSITIONS[state.phase, Trigger.MOVED_IN]
    assert effect is Effect.SQUASH
    return _with_items(state, first_at, last_at, now)


def look(state: LaneState, now: datetime, own: Rhythm) -> Effect:
    """What the time has come for: to flush, to forget the lane, or to wait for :func:`next_look`."""
    at = next_look(state, own, now)
    if at is not None and now < at:
        return Effect.WAIT
    effect, _ = TRANSITIONS[state.phase, Trigger.DUE]
    return effect


def flushed(state: LaneState, now: datetime, own: Rhythm, *, mailed: bool) -> LaneState:
    """The lane once nothing is pending in it any more; a digest counts as one mail, and one of which nothing was left
    as none.

    Raises:
        KeyError: if nothing was pending.
    """
    left = replace(state, first_at=None, last_at=None)
    emptied = Trigger.EMPTIED if next_look(left, own, now) is None else Trigger.EMPTIED_EARLY
    _, phase = TRANSITIONS[state.phase, Trigger.MAILED if mailed else emptied]
    if phase is Phase.IDLE:
        return LaneState(sequence=state.sequence)
    return _with_mail(left, now, own) if mailed else left


def next_look(state: LaneState, own: Rhythm, now: datetime | None = None) -> datetime | None:
    """When to look at the lane again; None if nothing is to be remembered, or by ``now`` nothing any more.

    ``now`` also as of :func:`flush_at`.
    """
    if state.first_at is not None:
        return flush_at(state, own, now)
    cooled_off_at = state.sent_at[-1] + max(own.window, _LEAST_MEMORY) if state.sent_at else None
    return None if now is not None and cooled_off_at is not None and cooled_off_at <= now else cooled_off_at


def flush_at(state: LaneState, own: Rhythm, now: datetime | None = None) -> datetime:
    """When what is pending is flushed: min(last + window, first squashed + max wait) (SPEC section 6).

    What has come within quiet hours goes at their end, and nothing goes within them.

    Args:
        state: of a lane in which something is pending.
        own: as the person wants it now, whatever they wanted when it came.
        now: a flush that was due before, because nobody could look, goes now if now is not within quiet hours.
    """
    assert state.first_at is not None
    assert state.last_at is not None
    if own.daily_at is not None:
        at = next_daily(own.daily_at, state.first_at, own.timezone)
    elif (over_at := own.held_until(state.first_at)) != state.first_at:
        at = over_at
    else:
        at = min(state.last_at + own.window, state.first_at + own.max_wait)
    return own.held_until(at if now is None else max(at, now))


def _item(state: LaneState, now: datetime, own: Rhythm) -> Trigger:
    """Whether mails may go out singly now: the first ``after`` within a window, and none that is to be held."""
    held = own.daily_at is not None or own.held_until(now) != now
    too_many = len(_within_window(state, now, own)) >= own.after
    return Trigger.ITEM_TOO_MANY if held or too_many else Trigger.ITEM


def _within_window(state: LaneState, now: datetime, own: Rhythm) -> tuple[datetime, ...]:
    """When mails were sent within the last window; one of exactly a window ago is outside (SPEC section 6)."""
    return tuple(at for at in state.sent_at if now < at + own.window)


def _with_mail(state: LaneState, now: datetime, own: Rhythm) -> LaneState:
    return replace(state, sent_at=(*_within_window(state, now, own), now)[-own.after :])


def _with_items(state: LaneState, first_at: datetime, last_at: datetime, now: datetime) -> LaneState:
    """With items in its digest that came from ``first_at`` to ``last_at``."""
    if state.first_at is not None and state.last_at is not None:
        return replace(state, first_at=min(state.first_at, first_at), last_at=max(state.last_at, last_at))
    # Numbered by when it began, so that it is another one than all before, also those of a lane that was forgotten.
    sequence = max(int(now.timestamp() * 1000), state.sequence + 1)
    return replace(state, first_at=first_at, last_at=last_at, sequence=sequence)
