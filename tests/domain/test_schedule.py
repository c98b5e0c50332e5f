"""When checks are due: at each change of the clocks, over outages, and wherever one starts to look."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import example, given
from hypothesis import strategies as st

from streamnotify.domain.schedule import MOST_COUNTED, OVERDUE, Schedule, check_crontab, due_until, next_due

PHASE = datetime(2026, 1, 5, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

# Days on which the clocks are set, forth and back, by an hour, by half an hour, and over midnight.
CHANGES = {
    "Europe/London": ("2026-03-29", "2026-10-25"),
    "America/New_York": ("2026-03-08", "2026-11-01"),
    "Australia/Lord_Howe": ("2026-10-04", "2026-04-05"),
    "America/St_Johns": ("2026-03-08", "2026-11-01"),
    "Africa/Cairo": ("2026-04-24", "2026-10-29"),
    "America/Santiago": ("2026-09-06", "2026-04-04"),
    "Antarctica/Troll": ("2026-03-29", "2026-10-25"),
    "Asia/Kathmandu": ("2026-03-29", "2026-10-25"),
    "UTC": ("2026-03-29", "2026-10-25"),
}
DAYS = [(zone, day) for zone, days in CHANGES.items() for day in days]


def due_times(schedule: Schedule, start: datetime, stop: datetime) -> list[datetime]:
    """Every due time after ``start`` and up to ``stop``, one by one."""
    times = []
    at = next_due(schedule, PHASE, start)
    while at <= stop:
        times.append(at)
        at = next_due(schedule, PHASE, at)
    return times


def on(zone: str, day: str, crontab: str) -> list[str]:
    """The clock's times, with their offset, at which a check is due on a day."""
    start = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone))
    end = (start + DAY).astimezone(UTC)
    schedule = Schedule(crontab, zone)
    times = due_times(schedule, start.astimezone(UTC) - MINUTE, end - MINUTE)
    return [at.astimezone(ZoneInfo(zone)).strftime("%H:%M%z") for at in times]


@pytest.mark.parametrize(
    ("zone", "day", "times"),
    [
        ("Europe/London", "2026-03-28", ["02:30+0000"]),
        ("Europe/London", "2026-03-29", ["02:30+0100"]),
        ("Europe/London", "2026-10-25", ["02:30+0000"]),
        ("America/New_York", "2026-03-08", ["03:00-0400"]),  # 02:30 is skipped: as soon as the clocks are set
        ("America/New_York", "2026-11-01", ["02:30-0500"]),
        ("Australia/Lord_Howe", "2026-10-04", ["02:30+1100"]),
        ("UTC", "2026-03-29", ["02:30+0000"]),
    ],
)
def test_a_daily_check_at_half_past_two_is_due_once_a_day(zone: str, day: str, times: list[str]) -> None:
    assert on(zone, day, "30 2 * * *") == times


def test_a_daily_check_in_the_hour_that_london_skips_is_due_once() -> None:
    assert on("Europe/London", "2026-03-29", "30 1 * * *") == ["02:00+0100"]


@pytest.mark.parametrize(
    ("zone", "day", "time"),
    [
        ("Europe/London", "2026-10-25", "01:30+0100"),
        ("America/New_York", "2026-11-01", "01:30-0400"),
        ("Australia/Lord_Howe", "2026-04-05", "01:30+1100"),
    ],
)
def test_a_time_that_the_clocks_show_twice_counts_the_first_time(zone: str, day: str, time: str) -> None:
    assert on(zone, day, "30 1 * * *") == [time]


@pytest.mark.parametrize(
    ("zone", "forth", "back"), [(zone, *CHANGES[zone]) for zone in ("Europe/London", "America/New_York")]
)
def test_an_hourly_check_is_due_every_hour_of_the_long_and_the_short_day(zone: str, forth: str, back: str) -> None:
    for day, hours in ((forth, 23), (back, 25)):
        assert len(on(zone, day, "5 * * * *")) == hours
        assert len(set(on(zone, day, "5 * * * *"))) == hours


def test_clocks_set_by_half_an_hour_lose_no_time_they_show() -> None:
    assert on("Australia/Lord_Howe", "2026-10-04", "*/20 2,3 * * *") == [
        "02:40+1100", "03:00+1100", "03:20+1100", "03:40+1100",
    ]  # fmt: skip
    assert on("Australia/Lord_Howe", "2026-04-05", "45 * * * *")[:3] == ["00:45+1100", "01:45+1100", "01:45+1030"]


def test_a_midnight_that_is_skipped_does_not_hide_the_hours_after_it() -> None:
    assert on("Africa/Cairo", "2026-04-24", "*/30 0,1 * * *") == ["01:00+0300", "01:30+0300"]
    assert on("Africa/Cairo", "2026-04-24", "15 0 * * *") == ["01:00+0300"]


CRONTABS = st.one_of(
    st.sampled_from(
        [
            "30 2 * * *", "0 * * * *", "5 * * * *", "*/30 * * * *", "* * * * *", "30 1 * * *", "0,30 1 * * *",
            "*/20 1-3 * * *", "* 2 * * *", "15 */2 * * *", "0 0 * * *", "* 0 * * *", "15 2,3 * * *", "0-59 1 * * *",
            "59 23 * * SUN", "0 0 L * *", "45 1 * 3,10 7L", "30 2 29 2 *",
        ]
    ),
    st.builds(
        "{} {} {} {} {}".format,
        st.sampled_from(["0", "30", "*/15", "*", "7,37", "59", "20-40/5", "45"]),
        st.sampled_from(["*", "*/2", "1", "2", "0-3", "23", "1,2,3", "0"]),
        st.sampled_from(["*", "*", "*/2", "L", "LW", "1-8", "25"]),
        st.sampled_from(["*", "*", "3,4,10,11", "9-11"]),
        st.sampled_from(["*", "*", "SUN", "1-5", "SUN#1", "7L"]),
    ),
)  # fmt: skip


@given(
    st.sampled_from(DAYS),
    CRONTABS,
    st.lists(st.timedeltas(timedelta(hours=-3), timedelta(hours=3)), min_size=1, max_size=8),
)
@example(("Europe/London", "2026-10-25"), "0,30 1 * * *", [10 * MINUTE])
@example(("America/New_York", "2026-03-08"), "0,30 2,3 * * *", [-10 * MINUTE, timedelta(0), 10 * MINUTE])
def test_wherever_one_starts_the_same_times_are_due(
    zone_and_day: tuple[str, str], crontab: str, offsets: list[timedelta]
) -> None:
    clocks_set = change(*zone_and_day)
    schedule = Schedule(crontab, zone_and_day[0])
    stop = clocks_set + timedelta(hours=30)
    times = due_times(schedule, clocks_set - timedelta(hours=30), stop)
    assert all(earlier < later for earlier, later in pairwise(times))
    for start in (clocks_set + offset for offset in offsets):
        assert due_times(schedule, start, stop) == [at for at in times if at > start]


def change(zone: str, day: str) -> datetime:
    """The instant at which the clocks are set around a day; its noon, if they are not."""
    noon = datetime.fromisoformat(day).replace(hour=12, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    minutes = (noon + n * MINUTE for n in range(-24 * 60, 24 * 60))
    offsets = ((at, at.astimezone(ZoneInfo(zone)).utcoffset()) for at in minutes)
    return next((later for (_, a), (later, b) in pairwise(offsets) if a != b), noon)


@given(st.sampled_from(DAYS), CRONTABS)
def test_the_due_times_are_those_at_which_the_clocks_show_a_time_of_the_crontab(
    zone_and_day: tuple[str, str], crontab: str
) -> None:
    """Against a plain look at every minute; what is made up for or not repeated is said by the module."""
    zone, day = ZoneInfo(zone_and_day[0]), zone_and_day[1]
    start = datetime.fromisoformat(day).replace(tzinfo=UTC) - timedelta(hours=14)
    minute, hour = crontab.split()[:2]
    named = not minute.startswith("*") and not hour.startswith("*")
    meant = wall_times(crontab, start.replace(tzinfo=None) - 2 * DAY, start.replace(tzinfo=None) + 5 * DAY)
    minutes = [start + n * MINUTE for n in range(2 * 24 * 60)]
    expected, shown = [], wall(minutes[0] - MINUTE, zone)
    for at in minutes:
        before, shown = shown, wall(at, zone)
        if named:
            skipped = {before + n * MINUTE for n in range(1, (shown - before) // MINUTE)}
            matches = bool(meant & (skipped | {shown})) and not at.astimezone(zone).fold
        else:
            matches = shown in meant
        if matches:
            expected.append(at)
    assert due_times(Schedule(crontab, zone_and_day[0]), minutes[0] - MINUTE, minutes[-1]) == expected


def wall(at: datetime, zone: ZoneInfo) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None, fold=0)


def wall_times(crontab: str, start: datetime, stop: datetime) -> set[datetime]:
    times = set()
    for at in CronSim(crontab, start):
        if at > stop:
            break
        times.add(at)
    return times


@pytest.mark.parametrize("zone", ["Europe/London", "America/New_York", "UTC"])
@pytest.mark.parametrize("crontab", ["30 2 * * *", "30 1 * * *", "5 * * * *", "*/30 * * * *", "0 */3 * * 1-5"])
def test_a_years_due_times_are_cronsims_own(zone: str, crontab: str) -> None:
    start = datetime(2026, 1, 1, 12, tzinfo=ZoneInfo(zone))
    theirs = []
    for at in CronSim(crontab, start):
        if at.year > 2026:
            break
        theirs.append(at.astimezone(UTC))
    assert due_times(Schedule(crontab, zone), start.astimezone(UTC), theirs[-1]) == theirs


@given(st.sampled_from(DAYS), CRONTABS, st.timedeltas(timedelta(0), timedelta(hours=40)), st.data())
def test_nothing_is_skipped_or_doubled_by_an_outage(
    zone_and_day: tuple[str, str], crontab: str, lasting: timedelta, data: st.DataObject
) -> None:
    """Checks made up to a time, then none for a while, then the row goes on from where it stood."""
    schedule = Schedule(crontab, zone_and_day[0])
    before = data.draw(st.timedeltas(timedelta(hours=-1), timedelta(hours=20)))
    due = next_due(schedule, PHASE, change(*zone_and_day) - before)
    reached = due + lasting
    missed, make = due_until(schedule, PHASE, due, reached)
    times = [due, *due_times(schedule, due, reached)]
    number = missed.number if missed else 0
    assert times[number:] == make
    assert all(at < reached - OVERDUE for at in times[:number])
    assert make[0] == times[-1] or make[0] >= reached - OVERDUE
    if missed:
        assert (missed.first, missed.last) == (times[0], times[number - 1])


EVERY = st.integers(1, 400_000).map(lambda seconds: timedelta(seconds=seconds))


@given(EVERY, st.timedeltas(timedelta(days=-1), timedelta(days=40)))
@example(timedelta(minutes=30), timedelta(0))
@example(timedelta(minutes=30), timedelta(minutes=30))
def test_an_interval_is_counted_from_its_phase(every: timedelta, after: timedelta) -> None:
    at = next_due(Schedule(every=every), PHASE, PHASE + after)
    assert at > PHASE + after
    assert (at - PHASE) % every == timedelta(0)
    assert at == PHASE + every or at - every <= PHASE + after


def test_an_interval_pays_no_heed_to_the_clocks() -> None:
    assert next_due(Schedule(every=DAY, timezone="Europe/London"), PHASE, PHASE + 100 * DAY) == PHASE + 101 * DAY


def test_nothing_is_due_before_its_time_and_a_check_on_time_is_just_made() -> None:
    schedule, due = Schedule(every=HOUR), PHASE + HOUR
    assert due_until(schedule, PHASE, due, due - timedelta.resolution) == (None, [])
    assert due_until(schedule, PHASE, due, due) == (None, [due])
    assert due_until(schedule, PHASE, due, due + 59 * MINUTE) == (None, [due])


def test_of_an_outages_checks_the_latest_is_made() -> None:
    missed, make = due_until(Schedule("5 * * * *"), PHASE, PHASE + 5 * MINUTE, PHASE + 2 * HOUR + 10 * MINUTE)
    assert missed == (2, PHASE + 5 * MINUTE, PHASE + HOUR + 5 * MINUTE)
    assert make == [PHASE + 2 * HOUR + 5 * MINUTE]


def test_checks_a_few_seconds_apart_are_all_made_while_they_are_recent() -> None:
    schedule, due = Schedule(every=timedelta(seconds=10)), PHASE + timedelta(seconds=10)
    assert due_until(schedule, PHASE, due, due + timedelta(seconds=35)) == (
        None, [due + n * timedelta(seconds=10) for n in range(4)]
    )  # fmt: skip
    missed, make = due_until(schedule, PHASE, due, due + timedelta(seconds=100))
    assert missed == (4, due, due + timedelta(seconds=30))
    assert make == [due + n * timedelta(seconds=10) for n in range(4, 11)]


@pytest.mark.parametrize("schedule", [Schedule("* * * * *", "Europe/London"), Schedule(every=timedelta(seconds=1))])
def test_years_of_outage_are_looked_through_in_few_steps(schedule: Schedule) -> None:
    due = next_due(schedule, PHASE, PHASE)
    reached = PHASE + 10 * 365 * DAY
    missed, make = due_until(schedule, PHASE, due, reached)
    assert missed is not None
    assert (missed.number, missed.first, make[-1]) == (MOST_COUNTED, due, reached)
    assert missed.last == max(make[0] - MINUTE, make[0] - (schedule.every or MINUTE))


@pytest.mark.parametrize(
    "crontab",
    ["", "5", "* * * * * *", "61 * * * *", "* * 31 2 *", "* * */29 * MON#2", "@daily", "x * * * *", "*/0 * * * *",
     "9" * 5000 + " * * * *", "5-1 * * * *", "* * * * 8", "²L * * * *"],
)  # fmt: skip
def test_a_crontab_that_is_none_or_never_comes_round_is_refused(crontab: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        check_crontab(crontab)


@pytest.mark.parametrize(
    "crontab", ["5 * * * *", "*/30 * * * *", "0 9 * * 1", "0 0 29 2 *", "0 0 L * *", "0 9 * jan mon-fri"]
)
def test_a_crontab_that_comes_round_is_taken(crontab: str) -> None:
    check_crontab(crontab)


FIELDS = st.text(alphabet="0123456789*/,-#LWMON²", min_size=1, max_size=5) | st.sampled_from("*****012")


@given(st.lists(FIELDS, min_size=5, max_size=5).map(" ".join))
def test_a_crontab_is_refused_or_has_a_next_time(crontab: str) -> None:
    try:
        check_crontab(crontab)
    except ValueError:
        return
    assert next_due(Schedule(crontab, "Europe/London"), PHASE, PHASE) > PHASE
