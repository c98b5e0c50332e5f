"""Time zones by their IANA names, as records name them."""

from __future__ import annotations

from functools import lru_cache
from zoneinfo import available_timezones

from streamnotify.errors import BadRecord
from streamnotify.wire.reading import near_miss


def known_timezone(name: str, field: str) -> str:
    """``name``, which is one of a time zone.

    Args:
        name: as the record has it, in its proper letter case.
        field: where it stands.

    Raises:
        BadRecord: if there is no such zone.
    """
    zones = _zones()
    if zones.get(name.lower()) == name:
        return name
    near = near_miss(name, tuple(zones))
    hint = f" (did you mean {zones[near]}?)" if near else ""
    raise BadRecord(f"unknown time zone {name!r}; an IANA name such as Europe/Rome is allowed{hint}", field)


@lru_cache(maxsize=1)
def _zones() -> dict[str, str]:
    """Every time zone there is, by its name in lower case."""
    return {name.lower(): name for name in sorted(available_timezones())}
