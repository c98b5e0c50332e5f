"""The late checks of an outage of ours become one thing to tell."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from streamnotify.domain.alerts import LateCheck, Verdict, WrongNow
from streamnotify.domain.outages import MOST_NAMED, Outage, gather, health_of

NOW = datetime(2024, 1, 15, 14, 31, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


def wrong(task_name: str, verdict: Verdict = Verdict.NOT_EXECUTED) -> WrongNow:
    """A task that is not as expected."""
    return WrongNow("Reports", task_name, verdict)


def late(task: WrongNow | None = None, *, since: int = 2, until: int = 0, skipped: int = 0) -> LateCheck:
    """A check held up from ``since`` to ``until`` hours ago."""
    return LateCheck(NOW - since * HOUR, NOW - until * HOUR, skipped, task)


def gathered(*checks: LateCheck, every: timedelta = SECOND) -> tuple[Outage, tuple[WrongNow, ...]]:
    """The outage when ``checks`` have come one ``every`` so long."""
    outage: Outage | None = None
    named: tuple[WrongNow, ...] = ()
    for number, check in enumerate(checks):
        outage, named = gather(outage, named, check, NOW + number * every)
    assert outage is not None
    return outage, named


def test_it_lasted_from_the_first_check_missed_to_the_last_one_made() -> None:
    outage, named = gathered(
        late(since=2, until=1, skipped=3), late(since=5, until=2), late(wrong("a"), since=1, skipped=4)
    )
    health = health_of(outage, named)
    assert (health.since, health.until, health.skipped) == (NOW - 5 * HOUR, NOW, 7)
    assert (health.wrong, health.wrong_count) == ((wrong("a"),), 1)


def test_the_first_fifty_by_name_are_named_and_all_are_counted() -> None:
    names = [f"t{number:03}" for number in range(80)]
    outage, named = gathered(*(late(wrong(name)) for name in reversed(names)))
    assert [task.task_name for task in named] == names[:MOST_NAMED]
    assert outage.wrong_count == len(names)


def test_a_task_found_wrong_again_is_named_once_as_it_is_now() -> None:
    outage, named = gathered(late(wrong("a")), late(wrong("a", Verdict.STATUS_MISMATCH)))
    assert named == (wrong("a", Verdict.STATUS_MISMATCH),)
    assert outage.wrong_count == 1


@given(st.permutations([late(wrong(name), since=n, skipped=n) for n, name in enumerate("abcd")]))
def test_the_order_in_which_late_checks_come_does_not_matter(checks: list[LateCheck]) -> None:
    outage, named = gathered(*checks)
    assert health_of(outage, named) == health_of(*gathered(*sorted(checks, key=lambda check: check.skipped)))


def test_it_is_told_a_minute_after_the_last_late_check() -> None:
    assert gathered(late())[0].tell_at == NOW + timedelta(minutes=1)
    assert gathered(late(), late(), every=timedelta(seconds=50))[0].tell_at == NOW + timedelta(seconds=110)


def test_it_is_told_five_minutes_after_the_first_one_at_the_latest() -> None:
    forever = itertools.repeat(late(), 100)
    assert gathered(*forever, every=timedelta(seconds=4))[0].tell_at == NOW + timedelta(minutes=5)
