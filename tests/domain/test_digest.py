"""When mails go out singly and when digests are flushed (SPEC section 6, and the source's own concerns)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, time, timedelta

import pytest

from streamnotify.domain.digest import (
    ALERT_LANE,
    TRANSITIONS,
    Effect,
    Lane,
    LanePolicy,
    LaneState,
    Phase,
    Rhythm,
    Trigger,
    arrive,
    flush_at,
    flushed,
    look,
    next_look,
    rhythm,
    take_over,
)
from streamnotify.domain.digest_wishes import DigestWish, QuietHours
from tests.domain.digest_builders import T0, at

WINDOW, MAX_WAIT = timedelta(minutes=30), timedelta(hours=2)
USUAL = Rhythm(after=1, window=WINDOW, max_wait=MAX_WAIT)
NONE_AT_ONCE = replace(USUAL, daily_at=time(8))
NIGHT = QuietHours(time(22), time(7))  # T0 is at 14:30


class LaneInTime:
    """A lane that is looked at whenever it asks for it; times are minutes after T0."""

    def __init__(self, own: Rhythm = USUAL) -> None:
        self.own = own
        self.state = LaneState()
        self.flushed_at: list[float] = []

    def item(self, minute: float, *, urgent: bool = False) -> Effect:
        """A notification comes."""
        self.pass_until(minute)
        self.state, effect = arrive(self.state, at(minute), self.own, urgent=urgent)
        return effect

    def pass_until(self, minute: float) -> None:
        """Time goes on, up to and with ``minute``; nothing of a flushed digest is dropped."""
        while (due := next_look(self.state, self.own)) is not None and due <= at(minute):
            if look(self.state, due, self.own) is Effect.FLUSH:
                self.flushed_at.append((due - T0) / timedelta(minutes=1))
                self.state = flushed(self.state, due, self.own, mailed=True)
            else:
                self.state = LaneState()


def test_the_first_goes_alone() -> None:
    lane = LaneInTime()
    assert lane.item(0) is Effect.SEND
    lane.pass_until(1_000)
    assert lane.flushed_at == []
    assert lane.state.phase is Phase.IDLE


def test_the_second_within_thirty_minutes_is_squashed() -> None:
    lane = LaneInTime()
    assert [lane.item(0), lane.item(29.99)] == [Effect.SEND, Effect.SQUASH]
    lane.pass_until(1_000)
    assert lane.flushed_at == [59.99]


def test_each_that_is_squashed_resets_the_timer() -> None:
    lane = LaneInTime()
    for minute in (0, 10, 35, 60):
        lane.item(minute)
    lane.pass_until(1_000)
    assert lane.flushed_at == [90]


def test_one_event_every_29_minutes_does_not_starve_the_digest() -> None:
    lane = LaneInTime()
    effects = [lane.item(minute) for minute in range(0, 29 * 40, 29)]
    assert effects.count(Effect.SEND) == 1
    assert lane.flushed_at[0] == 29 + 120  # two hours after the first that was squashed
    assert all(
        later - earlier <= 29 + 120 for earlier, later in zip(lane.flushed_at, lane.flushed_at[1:], strict=False)
    )


def test_a_flood_is_one_mail_and_one_digest() -> None:
    lane = LaneInTime()
    effects = [lane.item(index / 50_000) for index in range(5_000)]
    lane.pass_until(1_000)
    assert effects.count(Effect.SEND) == 1
    assert len(lane.flushed_at) == 1


def test_a_mail_at_exactly_last_plus_window_is_outside() -> None:
    state = LaneState(sent_at=(T0,))
    assert arrive(state, T0 + WINDOW, USUAL, urgent=False)[1] is Effect.SEND
    assert arrive(state, T0 + WINDOW - timedelta(microseconds=1), USUAL, urgent=False)[1] is Effect.SQUASH


def test_what_comes_at_the_very_time_of_the_flush_waits_for_it() -> None:
    state = LaneState(sent_at=(T0,), first_at=at(5), last_at=at(5), sequence=1)
    after, effect = arrive(state, at(35), USUAL, urgent=False)
    assert effect is Effect.SQUASH
    assert flush_at(after, USUAL) == at(65)


@pytest.mark.parametrize("minutes_late", [0, 1, 500])
def test_nothing_overtakes_what_waits_even_if_it_is_overdue(minutes_late: int) -> None:
    state = LaneState(sent_at=(T0,), first_at=at(5), last_at=at(5), sequence=1)
    assert arrive(state, at(35 + minutes_late), USUAL, urgent=False)[1] is Effect.SQUASH


def test_as_many_as_the_policy_says_go_singly_within_a_window() -> None:
    lane = LaneInTime(rhythm(ALERT_LANE, Lane.ALERTS, None, None, "UTC"))
    effects = [lane.item(minute) for minute in (0, 1, 2, 3, 9.9, 9.99)]
    assert effects == [Effect.SEND] * 5 + [Effect.SQUASH]


def test_the_window_slides_over_single_mails() -> None:
    lane = LaneInTime(replace(USUAL, after=2))
    assert [lane.item(minute) for minute in (0, 20, 30, 49, 50)] == [
        Effect.SEND,
        Effect.SEND,
        Effect.SEND,  # the one at 0 is outside now
        Effect.SQUASH,  # those at 20 and 30 are not
        Effect.SQUASH,
    ]


def test_a_digest_counts_as_one_mail() -> None:
    lane = LaneInTime(replace(USUAL, after=2))
    for minute in (0, 1, 2):
        lane.item(minute)
    assert [lane.item(minute) for minute in (33, 34)] == [Effect.SEND, Effect.SQUASH]
    assert lane.flushed_at == [32]


def test_a_digest_of_which_nothing_was_left_counts_as_none() -> None:
    state = LaneState(sent_at=(T0,), first_at=at(5), last_at=at(5), sequence=1)
    emptied = flushed(state, at(35), USUAL, mailed=False)
    assert emptied.phase is Phase.IDLE
    assert next_look(emptied, USUAL) is None
    assert arrive(emptied, at(35), USUAL, urgent=False)[1] is Effect.SEND


def test_a_digest_that_is_emptied_early_leaves_the_window_of_the_mail_before() -> None:
    state = LaneState(sent_at=(T0,), first_at=at(5), last_at=at(5), sequence=1)
    emptied = flushed(state, at(10), USUAL, mailed=False)
    assert next_look(emptied, USUAL) == at(30)
    assert arrive(emptied, at(29), USUAL, urgent=False)[1] is Effect.SQUASH


def test_urgent_goes_at_once_and_counts() -> None:
    lane = LaneInTime()
    assert lane.item(0, urgent=True) is Effect.SEND
    assert lane.item(1) is Effect.SQUASH
    assert lane.item(2, urgent=True) is Effect.SEND
    assert lane.state.sent_at == (at(2),)


def test_urgent_does_not_move_the_flush() -> None:
    lane = LaneInTime()
    for minute, urgent in ((0, False), (1, False), (20, True)):
        lane.item(minute, urgent=urgent)
    lane.pass_until(1_000)
    assert lane.flushed_at == [31]


def test_a_window_of_0_sends_each_at_once() -> None:
    own = rhythm(LanePolicy(window=timedelta(), max_wait=timedelta()), Lane.TASKS, None, None, "UTC")
    assert own.is_plain
    lane = LaneInTime(own)
    assert {lane.item(minute) for minute in (0, 0, 0, 1, 1)} == {Effect.SEND}
    lane.pass_until(2)
    assert lane.state.phase is Phase.IDLE


def test_a_window_of_0_still_has_quiet_hours() -> None:
    off = DigestWish(window=timedelta())
    own = rhythm(LanePolicy(), Lane.TASKS, off, NIGHT, "UTC")
    assert not own.is_plain
    lane = LaneInTime(own)
    night, morning = 8 * 60, 16 * 60 + 30  # 22:30 and 07:00
    assert [lane.item(0), lane.item(0), lane.item(night), lane.item(night + 60)] == [
        Effect.SEND,
        Effect.SEND,
        Effect.SQUASH,
        Effect.SQUASH,
    ]
    lane.pass_until(2_000)
    assert lane.flushed_at == [morning]


def test_digests_are_numbered_anew_also_in_one_instant_and_after_the_lane_was_forgotten() -> None:
    first, _ = arrive(LaneState(), T0, NONE_AT_ONCE, urgent=False)
    second, _ = arrive(flushed(first, T0, NONE_AT_ONCE, mailed=True), T0, NONE_AT_ONCE, urgent=False)
    forgotten, _ = arrive(LaneState(), at(1), NONE_AT_ONCE, urgent=False)
    assert len({first.sequence, second.sequence, forgotten.sequence}) == 3


def test_a_digest_keeps_its_number_while_it_grows() -> None:
    first, _ = arrive(LaneState(), T0, NONE_AT_ONCE, urgent=False)
    grown, _ = arrive(first, at(1), NONE_AT_ONCE, urgent=False)
    assert grown.sequence == first.sequence


# What somebody wishes


def test_a_window_of_one_s_own_is_for_task_mails_and_waits_four_of_it() -> None:
    wish = DigestWish(window=timedelta(hours=1))
    own = rhythm(LanePolicy(), Lane.TASKS, wish, None, "UTC")
    assert (own.window, own.max_wait) == (timedelta(hours=1), timedelta(hours=4))
    assert rhythm(ALERT_LANE, Lane.ALERTS, wish, None, "UTC").window == ALERT_LANE.window


def test_no_digests_is_for_both_lanes() -> None:
    off = DigestWish(window=timedelta())
    assert all(rhythm(LanePolicy(), lane, off, None, "UTC").is_plain for lane in Lane)


def test_a_daily_digest_holds_task_mails_only() -> None:
    daily = DigestWish(daily_at=time(8))
    assert rhythm(LanePolicy(), Lane.TASKS, daily, None, "Europe/Rome").daily_at == time(8)
    assert rhythm(ALERT_LANE, Lane.ALERTS, daily, None, "Europe/Rome").daily_at is None


def test_a_daily_digest_comes_once_a_day_in_the_person_s_zone() -> None:
    lane = LaneInTime(rhythm(LanePolicy(), Lane.TASKS, DigestWish(daily_at=time(8)), None, "Europe/Rome"))
    assert {lane.item(hour * 60) for hour in (0, 1, 17, 24)} == {Effect.SQUASH}
    lane.pass_until(3 * 1440)
    eight = 16.5 * 60  # 07:00 UTC, when it is 08:00 in Rome
    assert lane.flushed_at == [eight, eight + 1440]


PENDING_SINCE_5 = LaneState(sent_at=(T0,), first_at=at(5), last_at=at(20), sequence=1)


@pytest.mark.parametrize(
    ("wished", "expected"),
    [
        (USUAL, at(50)),
        (replace(USUAL, window=timedelta(hours=1), max_wait=timedelta(hours=4)), at(80)),
        (replace(USUAL, window=timedelta(minutes=10), max_wait=timedelta(minutes=12)), at(17)),
        (replace(USUAL, window=timedelta(), max_wait=timedelta()), at(5)),
        (replace(USUAL, daily_at=time(14, 36)), at(6)),  # the first time since it has been waiting
        (replace(USUAL, daily_at=time(14, 34)), at(4 + 1440)),
        (replace(USUAL, quiet_hours=QuietHours(time(15), time(16))), at(90)),
        (replace(USUAL, quiet_hours=QuietHours(time(14), time(14, 40))), at(10)),
        (replace(USUAL, quiet_hours=QuietHours(time(15, 21), time(16))), at(50)),
        (replace(USUAL, daily_at=time(14, 36), quiet_hours=QuietHours(time(14), time(16))), at(90)),
        (replace(USUAL, daily_at=time(17), quiet_hours=QuietHours(time(14), time(16))), at(150)),
    ],
)
def test_what_is_wished_now_decides_about_what_waits(wished: Rhythm, expected: datetime) -> None:
    assert flush_at(PENDING_SINCE_5, wished) == expected
    assert look(PENDING_SINCE_5, expected, wished) is Effect.FLUSH
    assert look(PENDING_SINCE_5, expected - timedelta(microseconds=1), wished) is Effect.WAIT


def test_quiet_hours_hold_what_comes_in_them_and_it_is_one_digest_then() -> None:
    lane = LaneInTime(replace(USUAL, quiet_hours=NIGHT))
    night = 8 * 60
    assert {lane.item(night + minute) for minute in range(0, 8 * 60, 7)} == {Effect.SQUASH}
    lane.pass_until(3 * 1440)
    assert lane.flushed_at == [16.5 * 60]


def test_urgent_does_not_wait_for_the_end_of_quiet_hours() -> None:
    assert LaneInTime(replace(USUAL, quiet_hours=NIGHT)).item(8 * 60, urgent=True) is Effect.SEND


def test_a_flush_that_would_fall_into_quiet_hours_comes_at_their_end() -> None:
    lane = LaneInTime(replace(USUAL, quiet_hours=NIGHT))
    lane.item(440)
    lane.item(445)  # 21:55
    lane.pass_until(3 * 1440)
    assert lane.flushed_at == [16.5 * 60]


def test_an_overdue_flush_goes_at_once_unless_it_is_quiet_by_now() -> None:
    own = replace(USUAL, quiet_hours=NIGHT)
    midnight, morning = at(9.5 * 60), at(16.5 * 60)
    assert flush_at(PENDING_SINCE_5, own, at(100)) == at(100)
    assert look(PENDING_SINCE_5, at(100), own) is Effect.FLUSH
    assert next_look(PENDING_SINCE_5, own, midnight) == morning
    assert look(PENDING_SINCE_5, midnight, own) is Effect.WAIT
    assert look(PENDING_SINCE_5, morning, own) is Effect.FLUSH


def test_a_lane_that_has_cooled_off_need_not_be_looked_at_again() -> None:
    state = LaneState(sent_at=(T0,))
    assert next_look(state, USUAL, at(29)) == next_look(state, USUAL) == at(30)
    assert next_look(state, USUAL, at(30)) is None
    assert look(state, at(30), USUAL) is Effect.FORGET


# What moves between mailboxes


def test_what_moves_in_is_not_delayed_by_it() -> None:
    moved = take_over(LaneState(), at(5), at(20), at(49))
    assert flush_at(moved, USUAL) == at(50)


def test_what_moves_in_joins_what_waits() -> None:
    joined = take_over(PENDING_SINCE_5, at(2), at(30), at(31))
    assert (joined.first_at, joined.last_at, joined.sequence) == (at(2), at(30), PENDING_SINCE_5.sequence)
    older = take_over(PENDING_SINCE_5, at(6), at(7), at(31))
    assert older == PENDING_SINCE_5


# The table

STATES = {
    Phase.IDLE: LaneState(),
    Phase.COOLING: LaneState(sent_at=(at(0),)),
    Phase.PENDING: LaneState(sent_at=(at(0),), first_at=at(1), last_at=at(5), sequence=1),
}
Step = Callable[[LaneState], tuple[LaneState, Effect | None]]


def looked_at(state: LaneState) -> tuple[LaneState, Effect | None]:
    """The lane when the time has come, forgotten if that is to be done."""
    effect = look(state, at(1_000), USUAL)
    return (LaneState() if effect is Effect.FORGET else state), effect


CAUSES: dict[Trigger, Step] = {
    Trigger.ITEM: lambda state: arrive(state, at(10), replace(USUAL, after=5), urgent=False),
    Trigger.ITEM_TOO_MANY: lambda state: arrive(state, at(10), NONE_AT_ONCE, urgent=False),
    Trigger.URGENT: lambda state: arrive(state, at(10), NONE_AT_ONCE, urgent=True),
    Trigger.MOVED_IN: lambda state: (take_over(state, at(-5), at(-1), at(10)), Effect.SQUASH),
    Trigger.DUE: looked_at,
    Trigger.MAILED: lambda state: (flushed(state, at(35), USUAL, mailed=True), Effect.WAIT),
    Trigger.EMPTIED: lambda state: (flushed(state, at(35), USUAL, mailed=False), Effect.FORGET),
    Trigger.EMPTIED_EARLY: lambda state: (flushed(state, at(10), USUAL, mailed=False), Effect.WAIT),
}


@pytest.mark.parametrize(("phase", "trigger"), TRANSITIONS, ids=lambda each: each.name)
def test_a_lane_does_what_the_table_says(phase: Phase, trigger: Trigger) -> None:
    after, effect = CAUSES[trigger](STATES[phase])
    assert (effect, after.phase) == TRANSITIONS[phase, trigger]
    if effect in (Effect.WAIT, Effect.FORGET) and trigger is not Trigger.DUE:
        assert (next_look(after, USUAL) is None) == (effect is Effect.FORGET)


@pytest.mark.parametrize(
    ("phase", "trigger"),
    [(phase, trigger) for phase in Phase for trigger in Trigger if (phase, trigger) not in TRANSITIONS],
    ids=lambda each: each.name,
)
def test_what_the_table_does_not_list_cannot_happen(phase: Phase, trigger: Trigger) -> None:
    with pytest.raises(KeyError):
        CAUSES[trigger](STATES[phase])
