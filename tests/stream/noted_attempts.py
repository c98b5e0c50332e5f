"""What the performers of tests.stream.slow_pipeline note about each attempt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

SLOW = "tests.stream.slow_pipeline"


class Attempts:
    """What the performers of all workers noted."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def keys(self, what: str, *, by: int | None = None) -> list[str]:
        """The keys of the attempts that began, were done or aborted, perhaps by one process only."""
        lines = [line.split() for line in self._log.read_text().splitlines()] if self._log.exists() else []
        return [key for pid, noted, key in lines if noted == what and by in (None, int(pid))]


Slow = Callable[[float], Attempts]  # has workers started from now on take so many seconds for an attempt
