"""Monitors as people keep them in files: JSON or YAML, one or many, in whatever shape is at hand."""

from __future__ import annotations

import datetime as dt
import json
import math
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from streamnotify.errors import BadRecord
from streamnotify.wire.monitor_config import parse

STDIN = "-"
MOST_VALUES = 1_000_000  # of a file of YAML

# A mapping with one of these is a monitor; any other is a mapping of monitors by their names.
_OF_A_MONITOR = ("args", "tasks", "crontab", "interval")
_OF_A_TASK = "expected_statuses"


class UnreadableFile(Exception):
    """A file is no JSON or YAML, or holds no monitors; says which file, and where in it."""


@dataclass(frozen=True, slots=True)
class Written:
    """One monitor as it stands in a file, not looked at yet. ``name`` None: neither it nor the file's shape says."""

    place: str
    name: str | None
    record: Any

    @property
    def value(self) -> bytes:
        """The record that is sent: what was written, as JSON."""
        return json.dumps(self.record, ensure_ascii=False).encode("utf-8", "surrogatepass")  # parse says what is wrong


class Checked(NamedTuple):
    """Every monitor of some files that can be used, by name, and what there is to say about the files."""

    monitors: dict[str, Written]
    errors: list[str]
    warnings: list[str]


def check_files(files: Iterable[str]) -> Checked:
    """Look at every monitor of some files as workers would."""
    checked = Checked({}, [], [])
    for file in files:
        try:
            found = read_monitors(file)
        except UnreadableFile as error:
            checked.errors.append(str(error))
            continue
        for written in found:
            _check(written, checked)
    return checked


def _check(written: Written, checked: Checked) -> None:
    name, place = written.name, written.place
    if name is None:
        hint = "" if is_a_monitor(written.record) else ", and a crontab or an interval: tasks alone are no monitor"
        checked.errors.append(f"{place}: name: a monitor in a file needs one{hint}")
        return
    if name in checked.monitors:
        checked.errors.append(f"{place}: {name} is also in {checked.monitors[name].place}")
        return
    about = place if place.endswith(f", {name}") else f"{place}, {name}"
    try:
        parsed = parse(written.value, name)
    except BadRecord as error:
        checked.errors.append(f"{about}: {_explained(written.record, error)}")
        return
    checked.warnings.extend(f"{about}: {warning}" for warning in parsed.warnings)
    checked.monitors[name] = written


def _explained(record: Any, error: BadRecord) -> str:
    if isinstance(record, dict) and _OF_A_TASK in record:
        return "this is what a task is checked for, not a monitor: put it into the args of one that has a crontab"
    return str(error)


def read_monitors(file: str) -> list[Written]:
    """Every monitor in a file: a record, a list of records, or a mapping by name; YAML may have several documents.

    Args:
        file: its path; ``-`` is standard input.

    Raises:
        UnreadableFile: see there.
    """
    return [written for document in read_documents(file) for written in _monitors(name_of(file), document)]


def read_documents(file: str) -> list[Any]:
    """What a file holds, as JSON has it: one value, or the documents of a YAML file that are not empty.

    Raises:
        UnreadableFile: if it cannot be read.
    """
    text = _text(file)
    is_json = file.endswith(".json") or (file == STDIN and text.lstrip()[:1] in ("{", "["))
    return [_json(file, text)] if is_json else _yaml(file, text)


def is_a_monitor(document: Any) -> bool:
    """Whether this is meant to be one monitor, and not monitors or tasks by name."""
    return isinstance(document, dict) and any(field in document for field in _OF_A_MONITOR)


def written_name(record: Any) -> str | None:
    """The name a record gives itself."""
    name = record.get("name") if isinstance(record, dict) else None
    return str(name) if isinstance(name, str | int) and not isinstance(name, bool) else None


def name_of(file: str) -> str:
    """What a file is called where a person is told about it."""
    return "standard input" if file == STDIN else file


def _text(file: str) -> str:
    try:
        return sys.stdin.read() if file == STDIN else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise UnreadableFile(f"{name_of(file)}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"{name_of(file)}: not UTF-8 at byte {error.start}") from None


def _json(file: str, text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_no_key_twice, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise UnreadableFile(f"{name_of(file)}, line {error.lineno}: no JSON: {error.msg}") from None
    except ValueError as error:
        raise UnreadableFile(f"{name_of(file)}: {error}") from None
    except RecursionError:
        raise UnreadableFile(f"{name_of(file)}: nested too deeply") from None


def _yaml(file: str, text: str) -> list[Any]:
    try:
        documents = list(YAML(typ="safe", pure=True).load_all(text))  # pure: YAML 1.2, where `on` is no truth value
        _refuse_too_many(documents)
        return [_plain(document) for document in documents if document is not None]
    except MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UnreadableFile(f"{name_of(file)}{line}: no YAML: {_problem(error)}") from None
    except (YAMLError, ValueError) as error:
        raise UnreadableFile(f"{name_of(file)}: {error}") from None
    except RecursionError:
        raise UnreadableFile(f"{name_of(file)}: nested too deeply") from None


def _refuse_too_many(documents: list[Any]) -> None:
    """Aliases of aliases: nine lines of YAML can stand for billions of values."""
    waiting, seen = list(documents), 0
    while waiting:
        value = waiting.pop()
        seen += 1
        if seen > MOST_VALUES:
            raise ValueError(f"more than {MOST_VALUES:,} values, aliases counted each time")
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _problem(error: MarkedYAMLError) -> str:
    problem = str(error.problem).partition("\n")[0]
    # `crontab: */5 * * * *` is what everybody writes first.
    return (
        f"{problem} (a value that begins with * needs quotes)" if "alias" in f"{error.context} {problem}" else problem
    )


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


def _plain(value: Any) -> Any:
    """A value of YAML as JSON has it: a date is text, a key is text."""
    if isinstance(value, dict):
        return _no_key_twice(
            [(key if isinstance(key, str) else str(_plain(key)), _plain(each)) for key, each in value.items()]
        )
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return _no_constant(str(value))
    if value is None or isinstance(value, str | int | float):
        return value
    raise ValueError(f"a value of the type {type(value).__name__} is not allowed")


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{key} is there twice")
        found[key] = value
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")
