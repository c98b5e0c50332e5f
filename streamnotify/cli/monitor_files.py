"""Monitors as people keep them in files: one or many, in whatever shape is at hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from streamnotify.cli.documents import UnreadableFile, name_of, read_documents
from streamnotify.cli.written import Checked, Written, check, said_name
from streamnotify.errors import BadRecord
from streamnotify.wire.monitor_config import parse

# A mapping with one of these is a monitor; any other is a mapping of monitors by their names.
_OF_A_MONITOR = ("args", "tasks", "crontab", "interval")
_OF_A_TASK = "expected_statuses"


def check_files(files: Iterable[str]) -> Checked:
    """Look at every monitor of some files as workers would."""
    return check(files, read_monitors, _look)


def read_monitors(file: str) -> list[Written]:
    """Every monitor in a file: a record, a list of records, or a mapping by name; YAML may have several documents.

    Args:
        file: its path; ``-`` is standard input.

    Raises:
        UnreadableFile: see there.
    """
    return [written for document in read_documents(file) for written in _monitors(name_of(file), document)]


def is_a_monitor(document: Any) -> bool:
    """Whether this is meant to be one monitor, and not monitors or tasks by name."""
    return isinstance(document, dict) and any(field in document for field in _OF_A_MONITOR)


def written_name(record: Any) -> str | None:
    """The name a record gives itself."""
    return said_name(record, "name")


def _look(written: Written) -> list[str]:
    if written.name is None:
        hint = "" if is_a_monitor(written.record) else ", and a crontab or an interval: tasks alone are no monitor"
        raise BadRecord(f"a monitor in a file needs one{hint}", "name")
    try:
        return parse(written.value, written.name).warnings
    except BadRecord:
        if isinstance(written.record, dict) and _OF_A_TASK in written.record:
            raise BadRecord(
                "this is what a task is checked for, not a monitor: put it into the args of one that has a crontab"
            ) from None
        raise


def _monitors(file: str, document: Any) -> Iterator[Written]:
    if isinstance(document, list):
        for number, record in enumerate(document):
            yield Written(f"{file}, [{number}]", written_name(record), record)
    elif not isinstance(document, dict):
        raise UnreadableFile(f"{file}: a monitor, a list of monitors or a mapping by name is allowed")
    elif is_a_monitor(document):
        yield Written(file, written_name(document), document)
    else:
        for name, record in document.items():
            yield Written(f"{file}, {name}", name, record)
