"""Public records read with their pydantic models; what is wrong with one is said in words for a person."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, from_json

from streamnotify.errors import BadRecord
from streamnotify.wire.fields import NAME_LENGTH

MAX_RECORD_BYTES = 2 * 1024 * 1024
MOST_WARNINGS = 50  # about one record
_NEARNESS = 0.8  # of difflib: one letter more, less or other in a short name

_SHOWN = 64  # of a wrong value: characters, or digits

# Where JSON was broken off, and the words that are written so in it, as people know them from elsewhere.
_PLACE = re.compile(r"at line (\d+) column (\d+)$")
_LEVEL = re.compile(r"[.\[]")  # where a path goes one level down
_WORD = re.compile(rb"\W?(\w+)")
_WORDS = {"null": "null", "none": "null", "true": "true", "false": "false"}

M = TypeVar("M", bound=BaseModel)


def read_json(model: type[M], value: bytes | None, what: str, *, one: str = "record") -> M:
    """``value`` as ``model``.

    Args:
        what: what the record should be, such as "a task event".
        one: what its publisher calls one of them, such as "event".

    Raises:
        BadRecord: naming the first field that is wrong, if ``value`` is not one JSON object that fits the model.
    """
    read = _read(model, value, what, one)
    if isinstance(read, list):
        raise read[0]
    return read


def problems(model: type[BaseModel], value: bytes | None, what: str, *, one: str = "record") -> list[BadRecord]:
    """Everything that keeps ``value`` from being ``model``, one for each field; the arguments of :func:`read_json`."""
    read = _read(model, value, what, one)
    return read if isinstance(read, list) else []


def reason_of(error: ErrorDetails) -> str:
    """What pydantic finds wrong (an error with its input), in words for a person."""
    if error["type"] != "bool_type":
        return error["msg"].removeprefix("Value error, ")
    given = error["input"]
    if isinstance(given, str):
        return f"true or false is allowed, not {json.dumps(given[:_SHOWN], ensure_ascii=False)}"
    is_short = isinstance(given, float) or (isinstance(given, int) and abs(given) < 10**_SHOWN)
    return f"true or false is allowed, not {given}" if is_short else "true or false is allowed"


def _read(model: type[M], value: bytes | None, what: str, one: str) -> M | list[BadRecord]:
    if not value:
        return [BadRecord(f"the record is empty; {what} is one JSON object")]
    if len(value) > MAX_RECORD_BYTES:
        return [BadRecord(f"the record has {len(value)} bytes; at most {MAX_RECORD_BYTES} are allowed")]
    try:
        return model.model_validate_json(value)
    except ValidationError as error:
        return _problems(model, value, error, what, one)


def _problems(model: type[BaseModel], value: bytes, error: ValidationError, what: str, one: str) -> list[BadRecord]:
    errors = error.errors(include_url=False, include_context=False)
    if errors[0]["type"] == "json_invalid":
        return [BadRecord(_why_no_json(value, errors[0]["msg"], one))]
    if not errors[0]["loc"]:
        return [BadRecord(f"{what} is one JSON object, with fields by name")]
    given = from_json(value)
    by_field: dict[str, list[ErrorDetails]] = {}
    for each in errors:
        by_field.setdefault(_path(each, given), []).append(each)
    # Of the branches of a union the one that got furthest is what the writer meant.
    parents = {path[: end.start()] for path in by_field for end in _LEVEL.finditer(path)}
    fields = [path for path in by_field if path not in parents]
    return [_problem(model, given, field, by_field[field]) for field in fields]


def _problem(model: type[BaseModel], given: Any, field: str, branches: list[ErrorDetails]) -> BadRecord:
    if branches[0]["type"] == "missing":
        return BadRecord(f"required field missing{_hint(model, given, field)}", field)
    return BadRecord("; or: ".join(dict.fromkeys(map(reason_of, branches))), field)


def _why_no_json(value: bytes, message: str, one: str) -> str:
    try:
        value.decode()
    except UnicodeDecodeError as error:
        return f"not UTF-8 at byte {error.start}"
    if "recursion" in message:
        return "nested too deeply"
    said = message.removeprefix("Invalid JSON: ") + _miswritten(value, message)
    return f"not one whole JSON value ({said}): one {one} per line"


def _miswritten(value: bytes, message: str) -> str:
    """A hint, if a word such as NULL stands where JSON was broken off."""
    place = _PLACE.search(message)
    if place is None:
        return ""
    line, column = value.split(b"\n")[int(place[1]) - 1], int(place[2])
    word = _WORD.match(line, max(0, column - 2))  # the place is its first or its second letter
    written = word[1].decode() if word else ""
    meant = _WORDS.get(written.lower(), written)
    return "" if meant == written else f"; did you mean {meant} where it says {written}?"


def _path(error: ErrorDetails, value: Any) -> str:
    """The path a person would write. pydantic puts the names of union branches in between: types, not fields."""
    path = ""
    for number, part in enumerate(error["loc"], 1):
        if isinstance(value, list) and isinstance(part, int) and part < len(value):
            path, value = f"{path}[{part}]", value[part]
        elif isinstance(value, dict) and part in value:
            path, value = below(path, str(part)), value[str(part)]
        elif error["type"] == "missing" and number == len(error["loc"]):
            path = below(path, str(part))
    return path


def _hint(model: type[BaseModel], given: Any, field: str) -> str:
    near = difflib.get_close_matches(field, given, n=1, cutoff=_NEARNESS)
    return f" (did you mean {field} where it says {near[0]}?)" if near and field in model.model_fields else ""


@lru_cache(maxsize=4096)
def near_miss(name: str, known: Sequence[str]) -> str | None:
    """The one of the ``known`` field names that an unknown one was probably meant to be, else None.

    ``known`` must be hashable.
    """
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=_NEARNESS)
    return near[0] if near else None


def warn_of_unknown(
    unknown: Mapping[str, Any] | None, known: tuple[str, ...], path: str, warnings: list[str], *, near_only: bool
) -> None:
    """Add a warning for each unknown field, or for those only that were probably meant to be a known one."""
    for name in islice(unknown or (), MOST_WARNINGS):
        meant = near_miss(name[:NAME_LENGTH], known)
        if len(warnings) < MOST_WARNINGS and (meant or not near_only):
            hint = f": did you mean {meant}?" if meant else f"; there are {', '.join(known)}"
            warnings.append(f"{below(path, name)}: unknown, ignored{hint}")


def below(path: str, name: str) -> str:
    """The path of a field ``name`` of what stands at ``path``; empty: of the record."""
    name = name[:NAME_LENGTH]
    return f"{path}.{name}" if path else name
