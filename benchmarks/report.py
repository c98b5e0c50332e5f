"""What is shown: progress while it runs, tables of figures at the end."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

PROGRESS = 5.0  # seconds between two lines of progress
WIDTH = 120  # of tables in a file


class Report:
    """Prints to a terminal or a file alike."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        if not self._console.is_terminal:
            self._console.width = WIDTH
        self._began = time.monotonic()
        self._shown = 0.0

    def say(self, line: str) -> None:
        """Say what is going on, with the minutes and seconds since the start."""
        self._shown = time.monotonic()
        minutes, seconds = divmod(int(self._shown - self._began), 60)
        self._console.print(f"{minutes:3d}:{seconds:02d}  {line}", markup=False)

    def progress(self, line: str) -> None:
        """Say how far something is, unless something was said just now."""
        if time.monotonic() - self._shown >= PROGRESS:
            self.say(f"   … {line}")

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Show figures; all columns but the first are aligned to the right."""
        table = Table(title=title, title_justify="left", title_style="bold")
        for number, column in enumerate(columns):
            table.add_column(escape(column), justify="right" if number else "left", overflow="fold")
        for row in rows:
            table.add_row(*map(escape, row))
        self._console.print()
        self._console.print(table)

    def verdict(self, what: str, value: float, target: float, unit: str = "", *, at_most: bool = False) -> None:
        """Compare a figure with what must hold."""
        holds = value <= target if at_most else value >= target
        relation = "at most" if at_most else "at least"
        self._console.print(
            f"  {'✓' if holds else '✗'} {what}: {value:,.3g}{unit} ({relation} {target:,g}{unit})"
            if value < 1000
            else f"  {'✓' if holds else '✗'} {what}: {value:,.0f}{unit} ({relation} {target:,g}{unit})",
            markup=False,
        )

    def note(self, line: str) -> None:
        """A line below a table."""
        self._console.print(f"  {line}", markup=False)
