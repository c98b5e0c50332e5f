"""How many tests there were, passed and failed: numbers that a publisher's result says, or does not."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_MOST = 10**12  # beyond it is nonsense, and would not fit where counts are shown
_DIGITS = re.compile(r"\d{1,13}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts of tests; None is unknown. They need not fit together: ``whole`` is what the bar shows."""

    total: int | None
    passed: int | None
    failed: int | None

    @property
    def whole(self) -> int | None:
        """All tests, known or added up; None if not known well enough for a bar."""
        if self.passed is None and self.failed is None:
            return None
        if self.total is None and (self.passed is None or self.failed is None):
            return None
        return max(self.total or 0, (self.passed or 0) + (self.failed or 0))


def count(value: object) -> int | None:
    """``value`` as a count: a whole number from 0 on, also as text or float; anything else is None."""
    if isinstance(value, str):
        value = int(value.strip()) if _DIGITS.fullmatch(value.strip()) else None
    if isinstance(value, float):
        value = int(value) if math.isfinite(value) and value == int(value) else None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST:
        return None
    return value


def summary(counts: Counts) -> str | None:
    """The counts in words, such as ``8 of 10 tests passed, 2 failed``; None if nothing is known."""
    whole = counts.whole
    if counts.total == 0 and not whole:
        return "No tests were run"
    if not whole:
        return None if counts.total is None else _tests(counts.total)
    if counts.passed is None:
        return f"{counts.failed} of {_tests(whole)} failed"
    failed = f", {counts.failed} failed" if counts.failed else ""
    return f"{counts.passed} of {_tests(whole)} passed{failed}"


def bar(counts: Counts) -> tuple[tuple[str, int], ...] | None:
    """What is known as parts of a bar: ``passed``, ``failed`` and ``other`` with percents that add up to 100.

    A part is never rounded away: one failed test of a thousand is seen. None if there is nothing to show.
    """
    if not counts.whole:
        return None
    passed, failed = counts.passed or 0, counts.failed or 0
    sizes = {"passed": passed, "failed": failed, "other": counts.whole - passed - failed}
    shown = {name: max(1, round(100 * size / counts.whole)) for name, size in sizes.items() if size}
    largest = max(shown, key=lambda name: shown[name])
    shown[largest] += 100 - sum(shown.values())
    return tuple(shown.items())


def outcome(status: str, counts: Counts) -> str:
    """How a test execution ended: its ``status``, but ``partial`` or ``empty`` where a success hides something."""
    if status != "success":
        return status
    if counts.failed:
        return "partial"
    return "empty" if counts.total == 0 and not counts.passed else "success"


def _tests(number: int) -> str:
    return "1 test" if number == 1 else f"{number} tests"
