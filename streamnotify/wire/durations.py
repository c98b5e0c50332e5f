"""How a length of time is written: ``30m``, ``45s``, ``2h``, ``3d`` or plain seconds (SPEC section 8)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1), "s": timedelta(seconds=1)}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([dhms]?)", re.ASCII)


def duration(*, zero: bool) -> Callable[[str], timedelta]:
    """Parser of a duration; of 0 too if ``zero``. It raises ValueError saying what is allowed."""
    allowed = "a duration such as 30m, 45s, 2h, 3d or plain seconds" + ("" if zero else " (longer than 0)")

    def parse(text: str) -> timedelta:
        match = _DURATION.fullmatch(text)
        try:
            value = float(match[1]) * _UNITS[match[2] or "s"] if match else None
        except OverflowError:
            value = None
        if value is None or (not value and not zero):
            raise ValueError(f"{allowed} is allowed")
        return value

    return parse


def format_duration(value: timedelta) -> str:
    """The shortest text that :func:`duration` reads back as ``value``."""
    for unit, length in _UNITS.items():
        if value and not value % length:
            return f"{value // length}{unit}"
    return f"{value.total_seconds():.6f}".rstrip("0").rstrip(".") + "s"
