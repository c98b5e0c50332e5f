"""What is too large in an event is cut, so that a run's state stays small (SPEC 2.1)."""

from __future__ import annotations

from typing import Any, NamedTuple

from pydantic_core import to_json

from streamnotify.domain.error_messages import length_mark
from streamnotify.domain.run_mail import DROPPED_KEYS
from streamnotify.domain.runs import RunError

ERROR_BYTES = 32 * 1024
RESULT_BYTES = 64 * 1024
CUT_MARK = " …[cut]"

_NOTED_KEYS = 10  # how many dropped keys are named
_NOTED_LENGTH = 64  # characters of each
_NOTE_BYTES = 6 * 1024  # room for that note, each character escaped


class CutResult(NamedTuple):
    """A result as JSON text, and the keys that did not fit."""

    text: str
    dropped: tuple[str, ...] = ()


def cut_error(
    message: str | None,
    type_: str | None = None,
    cause: str | dict[str, Any] | None = None,
    traceback: str | None = None,
) -> RunError:
    """An error in at most 32 KiB: both ends of the message first, a traceback as far as there is room."""
    cause_text = _json(cause).decode() if isinstance(cause, dict) else cause
    left = ERROR_BYTES
    kept: list[str | None] = []
    for text, cut in ((message, cut_middle), (type_, cut_text), (cause_text, cut_text), (traceback, cut_text)):
        kept.append(None if text is None else cut(text, left))
        left -= len((kept[-1] or "").encode())
    return RunError(message=kept[0], type=kept[1], traceback=kept[3], cause=kept[2])


def cut_text(text: str, limit: int) -> str:
    """``text`` in at most ``limit`` bytes of UTF-8, marked if it was cut; empty where not even the mark has room."""
    if len(text) * 4 <= limit:
        return text
    encoded = text.encode()
    if len(encoded) <= limit:
        return text
    mark = CUT_MARK.encode()
    if limit < len(mark):
        return ""
    return encoded[: limit - len(mark)].decode(errors="ignore") + CUT_MARK


def cut_middle(text: str, limit: int) -> str:
    """``text`` in at most ``limit`` bytes of UTF-8; of one that is cut both ends are kept, and its length is said."""
    if len(text) * 4 <= limit or len(encoded := text.encode()) <= limit:
        return text
    mark = length_mark(len(text))
    tail = (limit - len(mark.encode())) // 3
    head = limit - len(mark.encode()) - tail
    return encoded[:head].decode(errors="ignore") + mark + encoded[-tail:].decode(errors="ignore")


def cut_result(result: Any) -> CutResult | None:
    """An event's result in at most 64 KiB of JSON: whole keys dropped, the largest first, and noted in it.

    None if there is nothing left because it is too large and has no keys.
    """
    whole = _json(result)
    if len(whole) <= RESULT_BYTES:
        return CutResult(whole.decode())
    if not isinstance(result, dict):
        return None
    sizes = {key: len(_json(key)) + len(_json(value)) + 2 for key, value in result.items()}
    size = len(whole) + _NOTE_BYTES
    dropped = []
    for key in sorted(sizes, key=lambda key: (-sizes[key], key)):
        if size <= RESULT_BYTES:
            break
        size -= sizes[key]
        dropped.append(key)
    gone = set(dropped)
    kept = {key: value for key, value in result.items() if key not in gone}
    kept[DROPPED_KEYS] = [key[:_NOTED_LENGTH] for key in dropped[:_NOTED_KEYS]]
    return CutResult(_json(kept).decode(), tuple(dropped))


def _json(value: Any) -> bytes:
    return to_json(value, inf_nan_mode="null")
