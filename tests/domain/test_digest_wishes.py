"""Quiet hours and daily digests, also where the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamnotify.domain.digest_wishes import DigestWish, QuietHours, next_daily

ROME, NEW_YORK, LORD_HOWE, KATHMANDU = "Europe/Rome", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"
ZONES = [ROME, NEW_YORK, LORD_HOWE, KATHMANDU, "America/Scoresbysund", "UTC"]

instants = st.timedeltas(timedelta(), timedelta(days=1_500)).map(lambda past: datetime(2023, 1, 1, tzinfo=UTC) + past)
times = st.builds(time, st.integers(0, 23), st.integers(0, 59))


def utc(text: str) -> datetime:
    """An instant as ``2024-03-31 01:00``."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "over_at"),
    [
        ("2024-01-15 20:59", None),
        ("2024-01-15 21:00", "2024-01-16 06:00"),  # 22:00 in Rome
        ("2024-01-15 23:30", "2024-01-16 06:00"),
        ("2024-01-16 05:59", "2024-01-16 06:00"),
        ("2024-01-16 06:00", None),
    ],
)
def test_quiet_hours_over_midnight(at: str, over_at: str | None) -> None:
    night = QuietHours(time(22), time(7))
    assert night.over_at(utc(at), ROME) == (over_at and utc(over_at))


def test_quiet_hours_within_a_day() -> None:
    siesta = QuietHours(time(13), time(15))
    assert siesta.over_at(utc("2024-01-15 12:00"), ROME) == utc("2024-01-15 14:00")
    assert siesta.over_at(utc("2024-01-15 14:00"), ROME) is None


def test_quiet_hours_may_have_a_zone_of_their_own() -> None:
    assert QuietHours(time(22), time(7), NEW_YORK).over_at(utc("2024-01-15 22:00"), ROME) is None
    assert QuietHours(time(22), time(7), NEW_YORK).over_at(utc("2024-01-16 04:00"), ROME) == utc("2024-01-16 12:00")


@pytest.mark.parametrize(
    ("zone", "start", "end", "at", "over_at"),
    [
        # Put forward: Rome and New York have no 02:30 then, Lord Howe no 02:15. It is taken as far after the gap.
        (ROME, time(22), time(2, 30), "2024-03-31 00:59", "2024-03-31 01:30"),
        (ROME, time(2, 30), time(4), "2024-03-31 01:15", None),
        (ROME, time(2, 30), time(4), "2024-03-31 01:30", "2024-03-31 02:00"),
        (ROME, time(2), time(3), "2024-03-31 01:00", None),  # they last no time at all
        (NEW_YORK, time(22), time(2, 30), "2024-03-10 06:59", "2024-03-10 07:30"),
        (LORD_HOWE, time(22), time(2, 15), "2024-10-05 15:29", "2024-10-05 15:45"),
        # Put back: 02:30 comes twice in Rome, 01:30 in New York, 01:45 in Lord Howe. It is the first.
        (ROME, time(22), time(2, 30), "2024-10-27 00:29", "2024-10-27 00:30"),
        (ROME, time(22), time(2, 30), "2024-10-27 01:15", None),
        (ROME, time(2, 30), time(7), "2024-10-27 01:15", "2024-10-27 06:00"),  # the second 02:15
        (NEW_YORK, time(22), time(1, 30), "2024-11-03 05:29", "2024-11-03 05:30"),
        (LORD_HOWE, time(22), time(1, 45), "2024-04-06 14:40", "2024-04-06 14:45"),
        # A whole night is an hour shorter or longer.
        (ROME, time(22), time(7), "2024-03-30 21:00", "2024-03-31 05:00"),
        (ROME, time(22), time(7), "2024-10-26 20:00", "2024-10-27 06:00"),
        (KATHMANDU, time(22), time(7), "2024-01-15 16:15", "2024-01-16 01:15"),
    ],
)
def test_quiet_hours_where_the_clocks_change(zone: str, start: time, end: time, at: str, over_at: str | None) -> None:
    assert QuietHours(start, end).over_at(utc(at), zone) == (over_at and utc(over_at))


@settings(deadline=None)
@given(start=times, end=times, at=instants)
def test_quiet_hours_are_what_the_clock_on_the_wall_says(start: time, end: time, at: datetime) -> None:
    """In a zone whose clocks are never changed."""
    if start == end:
        return
    here = at.astimezone(ZoneInfo(KATHMANDU)).time()
    is_quiet = start <= here < end if start < end else here >= start or here < end
    over_at = QuietHours(start, end).over_at(at, KATHMANDU)
    assert (over_at is not None) == is_quiet
    if over_at is not None:
        assert over_at.astimezone(ZoneInfo(KATHMANDU)).time() == end
        assert timedelta() < over_at - at < timedelta(days=1)


@settings(deadline=None)
@given(start=times, hours=st.integers(1, 20), at=instants, zone=st.sampled_from(ZONES))
def test_at_the_end_of_quiet_hours_it_is_not_quiet(start: time, hours: int, at: datetime, zone: str) -> None:
    quiet = QuietHours(start, time((start.hour + hours) % 24, start.minute))
    over_at = quiet.over_at(at, zone)
    if over_at is not None:
        assert at < over_at <= at + timedelta(hours=hours + 1)
        assert quiet.over_at(over_at, zone) is None
        assert quiet.over_at(max(at, over_at - timedelta.resolution), zone) == over_at


@pytest.mark.parametrize(
    ("zone", "daily_at", "after", "expected"),
    [
        ("UTC", time(8), "2024-01-15 07:59", "2024-01-15 08:00"),
        ("UTC", time(8), "2024-01-15 08:00", "2024-01-16 08:00"),
        (ROME, time(8), "2024-01-15 07:30", "2024-01-16 07:00"),
        (KATHMANDU, time(0), "2024-01-15 18:14", "2024-01-15 18:15"),
        (ROME, time(2, 30), "2024-03-30 12:00", "2024-03-31 01:30"),  # there is no 02:30: at 03:30
        (NEW_YORK, time(2, 30), "2024-03-09 12:00", "2024-03-10 07:30"),
        (LORD_HOWE, time(2, 15), "2024-10-05 12:00", "2024-10-05 15:45"),
        (ROME, time(2, 30), "2024-10-26 12:00", "2024-10-27 00:30"),  # the first 02:30
        (ROME, time(2, 30), "2024-10-27 00:30", "2024-10-28 01:30"),  # and not the second
        (NEW_YORK, time(1, 30), "2024-11-03 05:30", "2024-11-04 06:30"),
        (LORD_HOWE, time(1, 45), "2024-04-06 14:45", "2024-04-07 15:15"),
        # Put forward from 23:00 to 00:00: that day's 23:30 comes half an hour into the next.
        ("America/Scoresbysund", time(23, 30), "2025-03-30 01:10", "2025-03-30 01:30"),
    ],
)
def test_a_daily_digest_has_its_time(zone: str, daily_at: time, after: str, expected: str) -> None:
    assert next_daily(daily_at, utc(after), zone) == utc(expected)


@settings(deadline=None)
@given(daily_at=times, after=instants, zone=st.sampled_from(ZONES))
def test_a_daily_digest_comes_once_a_day_through_the_year(daily_at: time, after: datetime, zone: str) -> None:
    first = next_daily(daily_at, after, zone)
    assert timedelta() < first - after <= timedelta(hours=26)
    for _ in range(4):
        second = next_daily(daily_at, first, zone)
        assert timedelta(hours=22) <= second - first <= timedelta(hours=26)
        first = second


def test_a_window_of_0_is_no_digests_and_a_daily_digest_is_one() -> None:
    assert DigestWish(window=timedelta()).is_off
    assert not DigestWish(window=timedelta(hours=1)).is_off
    assert not DigestWish(daily_at=time(0)).is_off
