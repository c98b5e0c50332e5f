"""Several JSON values in one text: one per line, pretty-printed one after another, or in a list."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from streamnotify.wire.strict_json import finite, no_constant, no_key_twice

_MOST_WRONG = 100  # each costs a look at the whole text
_SPACE = re.compile(r"\s*")
# Where reading goes on after something wrong: what is pretty-printed is indented inside a value.
_NEXT = re.compile(r"^(?=[{\[])", re.MULTILINE)


_decode = json.JSONDecoder(object_pairs_hook=no_key_twice, parse_constant=no_constant, parse_float=finite).raw_decode


@dataclass(frozen=True, slots=True)
class JsonValue:
    """A value and the line it begins on, counted from 1, or what is wrong there."""

    line: int
    value: Any = None
    wrong: str | None = None


def json_values(text: str) -> Iterator[JsonValue]:
    """Every value of a text, those of a list each for itself. After a wrong one it goes on at the next line that
    begins with a bracket, and after very many not at all."""
    lines, at, in_list, wrong = _Lines(text), _after_space(text, 0), False, 0
    while at < len(text) and wrong < _MOST_WRONG:
        if text[at] == "[" and not in_list:
            in_list, at = True, _after_space(text, at + 1)
            continue
        if text[at] == "]" and in_list:
            in_list, at = False, _after_space(text, at + 1)
            continue
        line = lines.of(at)
        try:
            value, at = _decode(text, at)
            yield JsonValue(line, value)
            at = _behind(text, at, in_list)
        except (ValueError, RecursionError) as error:
            wrong_line, why = _said(error, line)
            yield JsonValue(wrong_line, wrong=why)
            following, wrong = _NEXT.search(text, at + 1), wrong + 1
            at = following.start() if following else len(text)
    if wrong >= _MOST_WRONG:
        yield JsonValue(lines.of(at), wrong="the rest was not looked at")
    elif in_list and not wrong:
        yield JsonValue(lines.of(len(text)), wrong="no JSON: the list is not closed by ]")


class _Lines:
    """Tells the lines of ever later places."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._line, self._at = 1, 0

    def of(self, at: int) -> int:
        self._line += self._text.count("\n", self._at, at)
        self._at = at
        return self._line


def _behind(text: str, at: int, in_list: bool) -> int:
    """Where the next value begins, or the list ends."""
    at = _after_space(text, at)
    if not in_list:
        return at
    if text.startswith(",", at):
        behind = _after_space(text, at + 1)
        if text.startswith("]", behind):
            raise json.JSONDecodeError("a comma before the end of the list", text, at)
        return behind
    if at < len(text) and text[at] != "]":
        raise json.JSONDecodeError("a comma is missing", text, at)
    return at


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found is not None  # it matches nothing, too
    return found.end()


def _said(error: ValueError | RecursionError, line: int) -> tuple[int, str]:
    if isinstance(error, json.JSONDecodeError):
        return error.lineno, f"no JSON at column {error.colno}: {error.msg}"
    return line, "nested too deeply" if isinstance(error, RecursionError) else str(error)
