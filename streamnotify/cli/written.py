"""Records as they stand in people's files, looked at before any of them is sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from streamnotify.cli.documents import UnreadableFile
from streamnotify.errors import BadRecord


@dataclass(frozen=True, slots=True)
class Written:
    """One record as it stands in a file, not looked at yet.

    ``name`` is what its key will be; None: neither it nor the file's shape says.
    """

    place: str
    name: str | None
    record: Any

    @property
    def value(self) -> bytes:
        """The record that is sent: what was written, as JSON."""
        return json.dumps(self.record, ensure_ascii=False).encode("utf-8", "surrogatepass")  # parse says what is wrong


class Checked(NamedTuple):
    """Every record of some files that can be used, by name, and what there is to say about the files."""

    records: dict[str, Written]
    errors: list[str]
    warnings: list[str]


def check(
    files: Iterable[str], read: Callable[[str], Iterable[Written]], look: Callable[[Written], Iterable[str]]
) -> Checked:
    """Look at every record of some files as workers would.

    Args:
        files: their paths; ``-`` is standard input.
        read: what a file holds; it raises UnreadableFile.
        look: what is to be warned of in a record; it raises BadRecord for one that is refused, also for want of a name.
    """
    checked = Checked({}, [], [])
    for file in files:
        try:
            for written in read(file):
                _check(written, look, checked)
        except UnreadableFile as error:
            checked.errors.append(str(error))
    return checked


def said_name(record: Any, field: str) -> str | None:
    """The name that a record gives itself in a field."""
    name = record.get(field) if isinstance(record, dict) else None
    return str(name) if isinstance(name, str | int) and not isinstance(name, bool) else None


def _check(written: Written, look: Callable[[Written], Iterable[str]], checked: Checked) -> None:
    name, place = written.name, written.place
    if name is not None and name in checked.records:
        checked.errors.append(f"{place}: {name} is also in {checked.records[name].place}")
        return
    about = place if name is None or place.endswith(f", {name}") else f"{place}, {name}"
    try:
        checked.warnings.extend(f"{about}: {warning}" for warning in look(written))
    except BadRecord as error:
        checked.errors.append(f"{about}: {error}")
        return
    if name is not None:
        checked.records[name] = written
