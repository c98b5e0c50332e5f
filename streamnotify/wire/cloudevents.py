"""CloudEvents 1.0 on Kafka: structured, also without its content-type header, and binary (SPEC section 2)."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from streamnotify.errors import BadRecord
from streamnotify.wire.fields import Instant, OptionalId
from streamnotify.wire.reading import read_json

_STRUCTURED = b"application/cloudevents"
_BATCH = b"application/cloudevents-batch"

Headers = Sequence[tuple[str, bytes]]


class Attributes(BaseModel):
    """The context attributes we use."""

    model_config = ConfigDict(strict=True)

    specversion: Annotated[str, Field(pattern=r"^1\.")]
    id: OptionalId | None = None
    time: Instant | None = None


NO_ATTRIBUTES = Attributes(specversion="1.0")


class _Structured(Attributes):
    data: Any = None
    data_base64: str | None = None


class Opened(NamedTuple):
    """What was inside: the data as JSON bytes, and the event's attributes."""

    data: bytes | None
    attributes: Attributes


def open_cloudevent(value: bytes | None, headers: Headers) -> Opened | None:
    """What is inside a record whose headers say that it is a CloudEvent; None if they do not.

    Raises:
        BadRecord: if it is one, but not a valid one.
    """
    by_name = {name.lower(): content for name, content in headers if content}  # Kafka's headers may be null
    content_type = by_name.get("content-type", b"").strip().lower()
    if content_type.startswith(_BATCH):
        raise BadRecord("batched CloudEvents are not read: one event per record")
    if content_type.startswith(_STRUCTURED):
        return _open_structured(value)
    if "ce_specversion" not in by_name:
        return None
    given = {
        name: by_name[f"ce_{name}"].decode("utf-8", "replace")
        for name in Attributes.model_fields
        if f"ce_{name}" in by_name
    }
    return Opened(value, read_json(Attributes, json.dumps(given).encode(), "the ce_ headers of a CloudEvent"))


def open_unmarked(value: bytes | None) -> Opened | None:
    """What is inside a structured CloudEvent without its content-type header; None if ``value`` is none."""
    if value is None or b'"specversion"' not in value:
        return None
    try:
        marks = _Marks.model_validate_json(value)
    except ValidationError:
        return None
    return _open_structured(value) if marks.specversion is not None and marks.data is not None else None


class _Marks(BaseModel):
    specversion: Any = None
    data: Any = None


def _open_structured(value: bytes | None) -> Opened:
    event = read_json(_Structured, value, "a structured CloudEvent", one="event")
    if event.data_base64 is not None:
        try:
            return Opened(base64.b64decode(event.data_base64, validate=True), event)
        except ValueError:
            raise BadRecord("no base64", "data_base64") from None
    if event.data is None:
        raise BadRecord("required field missing", "data")
    return Opened(json.dumps(event.data).encode(), event)
