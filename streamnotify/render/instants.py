"""Instants as people read them, in their own zone if it is known (SPEC section 4)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

_MINUTE = timedelta(minutes=1)


def instant(at: datetime, timezone: str | None = None) -> str:
    """An instant as ``2024-01-15 14:30:25 UTC``, or ``2024-01-15 15:30:25 CET`` where that is the time.

    Args:
        at: aware.
        timezone: IANA name of the reader's zone; None, and one that is unknown here, is UTC. A zone without letters
            of its own reads ``UTC+03``.
    """
    zone = None if timezone is None or timezone == "UTC" else _zone(timezone)
    if zone is None:
        return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(' ', 'seconds')} UTC"
    try:
        local = at.astimezone(zone)
    except OverflowError:  # a day before the first or after the last that there is
        return instant(at)
    return f"{local.replace(tzinfo=None).isoformat(' ', 'seconds')} {_zone_name(local)}"


@lru_cache(maxsize=1024)
def _zone(name: str) -> tzinfo | None:
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # unknown, no name, a directory's
        return None


def _zone_name(local: datetime) -> str:
    name = local.tzname() or ""
    if name.isalpha():
        return name
    offset = (local.utcoffset() or timedelta()) // _MINUTE
    if not offset:
        return "UTC"
    hours, minutes = divmod(abs(offset), 60)
    return f"UTC{'+' if offset > 0 else '-'}{hours:02d}{f':{minutes:02d}' if minutes else ''}"
