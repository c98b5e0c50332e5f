"""What somebody wishes for their digests: how often, and at which hours not (SPEC 2.3: ``digest``, ``quiet_hours``)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DigestWish:
    """How somebody wants their task mails digested: by a window of their own (0: each at once), or once a day.

    Exactly one is set. ``daily_at`` is in the person's zone.
    """

    window: timedelta | None = None
    daily_at: time | None = None

    @property
    def is_off(self) -> bool:
        """Whether each mail is wanted at once."""
        return self.window is not None and not self.window


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From ``start`` (included) to ``end`` (excluded), over midnight if ``end`` is the earlier; never equal.

    ``timezone`` None: the person's.
    """

    start: time
    end: time
    timezone: str | None = None

    def over_at(self, at: datetime, zone: str) -> datetime | None:
        """When the quiet hours that ``at`` falls into are over; None if it falls into none.

        Args:
            at: aware UTC.
            zone: IANA name of the person's zone.
        """
        here = ZoneInfo(self.timezone or zone)
        today = at.astimezone(here).date()
        for day in (today - _DAY, today):
            start = _instant(datetime.combine(day, self.start, here))
            end = _instant(datetime.combine(day if self.start < self.end else day + _DAY, self.end, here))
            if start <= at < end:
                return end
        return None


def next_daily(daily_at: time, after: datetime, zone: str) -> datetime:
    """The first time after ``after`` (aware UTC) at which it is ``daily_at`` in ``zone``; once a day, also where the
    clocks change."""
    here = ZoneInfo(zone)
    # From the day before: where clocks are put forward at midnight, its last hour is over only on the next day.
    day = after.astimezone(here).date() - _DAY
    while (at := _instant(datetime.combine(day, daily_at, here))) <= after:
        day += _DAY
    return at


def _instant(local: datetime) -> datetime:
    """The instant of a wall-clock time: of one that comes twice the first, of one that does not exist as far after
    the gap as it lies within."""
    return local.astimezone(UTC)
