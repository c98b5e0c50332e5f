"""Files in which people keep records: JSON or YAML, whatever it holds."""

from __future__ import annotations

import datetime as dt
import json
import math
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from streamnotify.wire.strict_json import no_constant, no_key_twice

STDIN = "-"
MOST_VALUES = 1_000_000  # of a file of YAML


class UnreadableFile(Exception):
    """A file cannot be read, or holds something else; says which file, and where in it."""


def read_documents(file: str) -> list[Any]:
    """What a file holds, as JSON has it: one value, or the documents of a YAML file that are not empty.

    Raises:
        UnreadableFile: if it cannot be read.
    """
    return documents_in(file, read_text(file))


def documents_in(file: str, text: str) -> list[Any]:
    """As :func:`read_documents`, of a file whose text was read.

    Raises:
        UnreadableFile: if it is no JSON or YAML.
    """
    is_json = file.endswith(".json") or (file == STDIN and text.lstrip()[:1] in ("{", "["))
    return [_json(file, text)] if is_json else _yaml(file, text)


def read_text(file: str) -> str:
    """A file's text, without a byte-order mark.

    Args:
        file: its path; ``-`` is standard input.

    Raises:
        UnreadableFile: if it cannot be read.
    """
    try:
        text = sys.stdin.read() if file == STDIN else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise UnreadableFile(f"{name_of(file)}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"{name_of(file)}: not UTF-8 at byte {error.start}") from None
    return text.removeprefix("\ufeff")


def name_of(file: str) -> str:
    """What a file is called where a person is told about it."""
    return "standard input" if file == STDIN else file


def _json(file: str, text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=no_key_twice, parse_constant=no_constant)
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


def _plain(value: Any) -> Any:
    """A value of YAML as JSON has it: a date is text, a key is text."""
    if isinstance(value, dict):
        return no_key_twice(
            [(key if isinstance(key, str) else str(_plain(key)), _plain(each)) for key, each in value.items()]
        )
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return no_constant(str(value))
    if value is None or isinstance(value, str | int | float):
        return value
    raise ValueError(f"a value of the type {type(value).__name__} is not allowed")
