"""Events as the bytes that go to Kafka: whatever is in them, it becomes JSON that ingest takes, and not too much of it.

Bounds and what is dropped first: research/celery-sdk.md section 7. Nearly every event takes the fast path of
:func:`encode`; the others are made to fit, field by field, by the bounds in the types of
:mod:`streamnotify.sdk.event`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from typing import Any

import msgspec
from msgspec import inspect, structs

from streamnotify.domain.run_mail import DROPPED_KEYS, RESERVED_VARIABLES
from streamnotify.domain.status import Status
from streamnotify.sdk.event import ErrorInfo, Notify, TaskEvent
from streamnotify.sdk.json_safe import KEY_LENGTH, LEFT_OUT, REDACTED, JsonSafe, TooLarge, is_secret, key_text, text

EVENT_BYTES = 256 * 1024
RESULT_BYTES = 64 * 1024
_MOST_EFFORT = 16 * RESULT_BYTES  # characters of a result that are looked at to find those that fit
_MESSAGE_LENGTH = 4096
_MOST_KEYS = 10_000  # of a result; more would hardly fit
_NOTED_KEYS, _NOTED_LENGTH = 10, 64  # of those that were dropped
_NOTE_BYTES = 6 * 1024  # room for that note, each character escaped

# What code does wrong, ours or that of a value's own class. Not every Exception: a signal handler may raise one into a
# task at any moment, such as Celery's SoftTimeLimitExceeded, and it must get through.
MISTAKES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    msgspec.MsgspecError,
)

_to_json = msgspec.json.Encoder().encode
_check = msgspec.json.Decoder(TaskEvent).decode  # of the lengths and ranges in its types


def encode(event: TaskEvent) -> bytes:
    """The event as JSON of at most 256 KiB, without null fields. Never raises, whatever its fields hold.

    A value that does not belong into its field is made to fit or left out; only ``task_name`` and ``status`` stay as
    they are said, so that the dead letter of an event without them tells what is wrong.
    """
    if event.result is not None:
        event = structs.replace(event, result=_result(event.result))
    return _as_it_is(event) or _fitted(event)


def _as_it_is(event: TaskEvent) -> bytes | None:
    try:
        encoded = _to_json(event)
        _check(encoded)
    except MISTAKES:
        return None
    return encoded if len(encoded) <= EVENT_BYTES else None


def variables_of(result: Any) -> dict[str, Any] | None:
    """What a task's return value becomes for its mail (research/celery-sdk.md R5).

    None unless it is a dict, and of that neither None values nor the names that only streamnotify fills in.
    """
    if not isinstance(result, dict):
        return None
    hidden = RESERVED_VARIABLES | {DROPPED_KEYS}
    return {key: value for key, value in result.items() if value is not None and key not in hidden} or None


def _result(result: Any) -> msgspec.Raw | None:
    """A result in at most 64 KiB of JSON; of a dict the largest keys are dropped first, and noted as ingest does."""
    safe = JsonSafe(_MOST_EFFORT)
    try:
        if isinstance(result, Mapping):
            return msgspec.Raw(_of_mapping(result, safe))
        part = safe.value(result, RESULT_BYTES)
        encoded = b"" if part is LEFT_OUT else _to_json(part)
        return msgspec.Raw(encoded) if 0 < len(encoded) <= RESULT_BYTES else None
    except Exception:  # noqa: BLE001 - TooLarge, or a mapping of somebody's own
        return None


def _of_mapping(result: Mapping[Any, Any], safe: JsonSafe) -> bytes:
    kept: dict[str, bytes] = {}
    dropped: list[str] = []
    items = iter(result.items())
    for key, value in _with_text_keys(islice(items, _MOST_KEYS)):
        try:
            part = REDACTED if is_secret(key, value) else safe.value(value, RESULT_BYTES)
        except TooLarge:
            dropped.append(key)
        else:
            if part is not LEFT_OUT:
                kept[key] = _pair(key, part)
    dropped.extend(key for key, _ in _with_text_keys(islice(items, _NOTED_KEYS)))
    return _joined(kept, dropped)


def _with_text_keys(items: Iterable[tuple[Any, Any]]) -> Iterator[tuple[str, Any]]:
    for given, value in items:
        key = key_text(given)
        if key is not None:
            yield key, value


def _joined(kept: dict[str, bytes], dropped: list[str]) -> bytes:
    size = sum(len(pair) + 1 for pair in kept.values()) + 1
    if dropped or size > RESULT_BYTES:
        for largest in sorted(kept, key=lambda key: -len(kept[key])):
            if size <= RESULT_BYTES - _NOTE_BYTES:
                break
            size -= len(kept.pop(largest)) + 1
            dropped.append(largest)
        kept[DROPPED_KEYS] = _pair(DROPPED_KEYS, [key[:_NOTED_LENGTH] for key in dropped[:_NOTED_KEYS]])
    return b"{" + b",".join(kept.values()) + b"}"


def _pair(key: str, value: Any) -> bytes:
    return _to_json({key: value})[1:-1]


def _fitted(event: TaskEvent) -> bytes:
    fields = {field.name: _fit(getattr(event, field.name), field.type) for field in _types(TaskEvent)}
    fields = {name: value for name, value in fields.items() if value is not None}
    for largest in (_without_traceback, _without_result, _without_output):
        encoded = _to_json(fields)
        if len(encoded) <= EVENT_BYTES:
            return encoded
        largest(fields)
    return _to_json(fields)


def _without_traceback(fields: dict[str, Any]) -> None:
    if isinstance(fields.get("error"), dict):
        fields["error"].pop("traceback", None)


def _without_result(fields: dict[str, Any]) -> None:
    fields.pop("result", None)


def _without_output(fields: dict[str, Any]) -> None:
    fields.pop("output_tail", None)


@cache
def _types(struct: type[msgspec.Struct]) -> tuple[inspect.Field, ...]:
    described = inspect.type_info(struct)
    assert isinstance(described, inspect.StructType)
    return described.fields


def _fit(value: Any, wanted: inspect.Type, *, keep_end: bool = False) -> Any:
    """``value`` as JSON of the wanted type, within its bounds; None if nothing can be made of it."""
    if value is None:
        return None
    if isinstance(wanted, inspect.UnionType):  # with None
        return _fit(value, wanted.types[0])
    if isinstance(wanted, inspect.Metadata):
        return _fit(value, wanted.type, keep_end=(wanted.extra or {}).get("keep") == "end")
    try:
        if isinstance(wanted, inspect.StrType):
            return text(value, wanted.max_length or 0, keep_end=keep_end)
        return _FITTING[type(wanted)](value, wanted)
    except Exception:  # noqa: BLE001 - code of others made the value
        return None


def _fit_struct(value: Any, wanted: inspect.StructType) -> dict[str, Any] | str:
    if value is True and wanted.cls is Notify:  # as may be written in SPEC 2.1: opted in
        return {}
    if isinstance(value, str) and wanted.cls is ErrorInfo:  # and the message alone
        return text(value, _MESSAGE_LENGTH)
    said = structs.asdict(value) if isinstance(value, msgspec.Struct) else dict(value)
    fitted = {field.name: _fit(said.get(field.name), field.type) for field in wanted.fields}
    return {name: part for name, part in fitted.items() if part is not None}


def _fit_number(value: Any, wanted: inspect.IntType | inspect.FloatType) -> float | None:
    number: float = int(value) if isinstance(wanted, inspect.IntType) else float(value)
    if not math.isfinite(number):
        return None
    number = number if wanted.ge is None else max(wanted.ge, number)
    return number if wanted.le is None else min(wanted.le, number)


def _fit_instant(value: Any) -> str:
    said = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return (said.astimezone(UTC) if said.tzinfo else said).isoformat()


def _fit_status(value: Any) -> str:
    try:
        return Status(value).value
    except ValueError:
        return text(value, KEY_LENGTH)


def _fit_texts(value: Any, wanted: inspect.VarTupleType) -> list[str]:
    parts = [value] if isinstance(value, str) else value
    return [text(part, KEY_LENGTH) for part in islice(parts, wanted.max_length)]


_FITTING: dict[type[inspect.Type], Callable[[Any, Any], Any]] = {
    inspect.AnyType: lambda value, _: value,  # the result, which is bytes already
    inspect.BoolType: lambda value, _: bool(value),
    inspect.DateTimeType: lambda value, _: _fit_instant(value),
    inspect.EnumType: lambda value, _: _fit_status(value),
    inspect.FloatType: _fit_number,
    inspect.IntType: _fit_number,
    inspect.StructType: _fit_struct,
    inspect.VarTupleType: _fit_texts,
}
