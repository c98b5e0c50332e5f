"""``status_details`` of a test execution: a text, a list or an object of a publisher's, as lines."""

from __future__ import annotations

from collections.abc import Iterator

from streamnotify.render.cleaning import many_lines, one_line, shorten

_LINES, _LINE = 20, 200  # at most so many lines, of so many characters


def status_details(value: object) -> str | None:
    """``value`` as at most 20 lines, ``name: value`` for each of an object's keys; None if it says nothing."""
    if value is None:
        return None
    said = [each for each in _lines(value) if each.strip()]
    more = [f"… and {len(said) - _LINES + 1} more"] if len(said) > _LINES else []
    lines = [shorten(one_line(each[: 4 * _LINE]), _LINE) for each in said[: _LINES - len(more)]]
    return "\n".join(filter(None, [*lines, *more])) or None


def _lines(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (f"{name}: {_flat(item)}" for name, item in value.items())
    elif isinstance(value, list):
        yield from map(_flat, value)
    elif isinstance(value, str):
        yield from many_lines(value).split("\n")
    elif value is not None:
        yield _flat(value)


def _flat(value: object, depth: int = 0) -> str:
    """A value on one line. What is nested deeper than anybody reads is left out."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if not isinstance(value, dict | list):
        return str(value)
    if depth == 2:
        return "…"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_flat(item, depth + 1)}" for name, item in value.items())
    return ", ".join(_flat(item, depth + 1) for item in value)
