"""When a monitor's checks are due: crontab in a zone, or an interval from a phase (SPEC 2.2).

cronsim says which wall-clock times a crontab means. Which instants those are follows Debian's cron, as cronsim does:

- minute and hour both named (``30 2 * * *``): a time the clocks skip is made up for as soon as they have been set, and
  one they show twice counts the first time;
- minute or hour begins with ``*``: every instant at which the clocks show such a time, so none in an hour they skip,
  and both in one they show twice.

cronsim's own walk through a change of the clocks depends on where it starts, and loses times where they are set by half
an hour. So it walks wall-clock times only, and what lies behind them is found here.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import islice
from typing import NamedTuple
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

# A check this long overdue was missed by an outage of ours, not by the second or two a frontier steps at a time.
OVERDUE = timedelta(minutes=1)
MOST_COUNTED = 10_000  # missed checks; a higher number tells nobody more

_FIELDS = 5  # with six, cronsim takes the first for seconds
_SECOND, _MINUTE, _DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
_ANY_TIME = datetime(2024, 1, 1, tzinfo=UTC)  # a crontab that comes round does so within 50 years of it
_zone = lru_cache(maxsize=1024)(ZoneInfo)  # its own cache is smaller


class Schedule(NamedTuple):
    """Exactly one of ``crontab``, five fields read in ``timezone`` (an IANA name), and ``every`` is set."""

    crontab: str | None = None
    timezone: str = "UTC"
    every: timedelta | None = None


class Missed(NamedTuple):
    """Checks that fell into an outage of ours and are not made up for.

    ``number`` of them, where :data:`MOST_COUNTED` stands for as many or more.
    """

    number: int
    first: datetime
    last: datetime


def check_crontab(crontab: str) -> None:
    """Nothing, if ``crontab`` can be used.

    Raises:
        ValueError: saying why it cannot.
    """
    if len(crontab.split()) != _FIELDS:
        raise ValueError("it has not five fields")
    try:
        _wall_after(_parsed(crontab), _ANY_TIME)
    except CronSimError as error:
        raise ValueError(str(error)) from None


def next_due(schedule: Schedule, phase: datetime, after: datetime) -> datetime:
    """The first due time later than ``after``, in UTC.

    Due times do not depend on where one starts: whatever ``after`` is, none before the one returned is left out.

    Args:
        phase: where an interval is counted from; aware. The first check is one interval later. A crontab needs none.

    Raises:
        ValueError: if the crontab is none, or never comes round again.
    """
    if schedule.every is not None:
        return phase + max((after - phase) // schedule.every + 1, 1) * schedule.every
    return _next_of_crontab(schedule.crontab or "", schedule.timezone, after)


def due_until(
    schedule: Schedule, phase: datetime, due: datetime, reached: datetime, *, overdue: timedelta = OVERDUE
) -> tuple[Missed | None, list[datetime]]:
    """What to do about the checks from ``due`` up to and including ``reached``: those missed, and those to make.

    The latest is always made, and before it those not ``overdue`` yet (SPEC section 5).

    Raises:
        ValueError: as :func:`next_due`.
    """
    if due > reached:
        return None, []
    latest = _latest(schedule, phase, due, reached)
    recent = max(due, min(latest, reached - overdue))
    first = due if recent == due else next_due(schedule, phase, recent - timedelta.resolution)
    make = list(_times(schedule, phase, first, reached))
    if first == due:
        return None, make
    late = _times(schedule, phase, due, first - timedelta.resolution)
    number = sum(1 for _ in islice(late, MOST_COUNTED))
    return Missed(number, due, _latest(schedule, phase, due, first - timedelta.resolution)), make


def _latest(schedule: Schedule, phase: datetime, due: datetime, until: datetime) -> datetime:
    """The last due time up to and including ``until``, of those from ``due`` on; found from the end, in few steps."""
    back = OVERDUE
    while until - back > due:
        at = next_due(schedule, phase, until - back)
        if at <= until:
            return max(_times(schedule, phase, at, until))
        back *= 2
    return max(_times(schedule, phase, due, until))


def _times(schedule: Schedule, phase: datetime, due: datetime, until: datetime) -> Iterator[datetime]:
    """The due times from ``due``, which is one, up to and including ``until``."""
    while due <= until:
        yield due
        due = next_due(schedule, phase, due)


@lru_cache(maxsize=4096)  # many monitors have one schedule
def _next_of_crontab(crontab: str, timezone: str, after: datetime) -> datetime:
    minute, hour = crontab.split()[:2]
    find = _next_shown if minute.startswith("*") or hour.startswith("*") else _next_named
    return find(_parsed(crontab), _zone(timezone), after)


def _next_named(cron: CronSim, zone: tzinfo, after: datetime) -> datetime:
    """The first instant after ``after`` that the crontab names, each of its wall-clock times being one instant."""
    wall = _on_wall(after.astimezone(zone))
    while True:
        wall = _wall_after(cron, wall)
        at = _instant(wall, zone)
        if at > after:
            return at


def _instant(wall: datetime, zone: tzinfo) -> datetime:
    """The first instant at which the clocks show ``wall``, or the next whole minute that they show at all."""
    while True:
        at = wall.replace(tzinfo=zone).astimezone(UTC)
        if _on_wall(at.astimezone(zone)) == wall:
            return at
        wall += _MINUTE


def _next_shown(cron: CronSim, zone: tzinfo, after: datetime) -> datetime:
    """The first instant after ``after`` at which the clocks show a wall-clock time of the crontab."""
    since, wall = after, _on_wall(after.astimezone(zone))
    while True:
        # As long as the clocks are not set, walking on the wall is walking in time.
        at = (_wall_after(cron, wall) - _offset(zone, since)).replace(tzinfo=UTC)
        clocks_set = _next_setting(zone, since, at)
        if clocks_set is None:
            return at
        since, wall = clocks_set, _on_wall(clocks_set.astimezone(zone)) - _SECOND


def _next_setting(zone: tzinfo, start: datetime, stop: datetime) -> datetime | None:
    """The first instant after ``start`` at which the clocks are set; None if that is later than ``stop``.

    Nowhere are they set forth and back within a day.
    """
    offset = _offset(zone, start)
    while _offset(zone, until := min(start + _DAY, stop)) == offset:
        if until == stop:
            return None
        start = until
    while until - start > _SECOND:
        middle = start + (until - start) / 2
        if _offset(zone, middle) == offset:
            start = middle
        else:
            until = middle
    return until.replace(microsecond=0)


def _offset(zone: tzinfo, at: datetime) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta()


def _on_wall(local: datetime) -> datetime:
    return local.replace(tzinfo=None, fold=0)


def _wall_after(cron: CronSim, wall: datetime) -> datetime:
    """The first wall-clock time of the crontab later than ``wall``; neither has a zone.

    Raises:
        ValueError: if there is none for 50 years.
    """
    walk = copy(cron)
    walk.dt = wall.replace(microsecond=0)
    due = next(walk, None)
    if due is None:
        raise ValueError("it never comes round")
    return due


@lru_cache(maxsize=4096)
def _parsed(crontab: str) -> CronSim:
    """The crontab, ready to be copied and started anywhere.

    Raises:
        CronSimError: if it is none.
        ValueError: if one of its numbers has thousands of digits.
    """
    return CronSim(crontab, _ANY_TIME)
