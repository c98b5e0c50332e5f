"""The fast way to read task events, and to write our own: only what is beyond doubt, three times as fast as pydantic.

What it accepts, :class:`~streamnotify.wire.task_event.TaskEvent` accepts with the same values (a property test holds
them together); whatever it refuses, misspelt fields among it, is left to the model, which also says what is wrong.
Digits of a second beyond the sixth are rounded here, and cut there.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from pydantic_core import from_json

from streamnotify.domain.status import Status
from streamnotify.wire.addresses import ascii_address
from streamnotify.wire.fields import NAME_LENGTH, TEXT_LENGTH
from streamnotify.wire.reading import MAX_RECORD_BYTES
from streamnotify.wire.task_event import MOST_OUTCOMES, OUTPUT_LENGTH, MailOn

_Id = Annotated[str, msgspec.Meta(max_length=NAME_LENGTH)] | int
_Name = Annotated[str, msgspec.Meta(max_length=NAME_LENGTH)]
_Text = Annotated[str, msgspec.Meta(max_length=TEXT_LENGTH)]
_Count = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
_NULL = msgspec.Raw(b"null")


class FastNotify(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """See NotifyOptions."""

    template: _Name | None = None
    subject_template: _Text | None = None
    given_email: Annotated[str, msgspec.Meta(max_length=320)] | None = msgspec.field(name="email", default=None)
    name: _Name | None = None
    on: Annotated[list[MailOn], msgspec.Meta(max_length=MOST_OUTCOMES)] | None = None
    urgent: bool | None = None

    @property
    def email(self) -> str | None:
        """The address normalised.

        Raises:
            ValueError: if it is none.
        """
        return None if self.given_email is None else ascii_address(self.given_email)


class FastContext(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """See EventContext."""

    model: _Name | None = None
    type: _Name | None = None
    id: _Id | None = None
    ingestor_type: _Name | None = None


class FastError(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """See EventError."""

    type: str | None = None
    message: str | None = None
    traceback: str | None = None
    cause: str | None = None


class FastProducer(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """See Producer."""

    sdk: _Name | None = None
    version: _Id | None = None
    host: _Name | None = None
    pid: int | None = None
    role: _Name | None = None
    seq: int | None = None


class FastProgress(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """See Progress."""

    percent: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None
    text: _Text | None = None


class FastTaskEvent(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """See TaskEvent."""

    task_name: Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_LENGTH)] | int
    status: Status
    task_id: _Id | None = None
    event_id: _Id | None = None
    occurred_at: datetime | None = None
    attempt: _Count | None = None
    max_attempts: _Count | None = None
    final: bool | None = None
    submitted_at: datetime | None = None
    queued_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    duration_s: float | None = None
    interrupted: bool | None = None
    redelivery_s: Annotated[float, msgspec.Meta(ge=0)] | None = None
    display_name: _Name | None = None
    context: FastContext | None = None
    organization_id: _Id | None = None
    user_id: _Id | None = None
    notify: bool | FastNotify | None = None
    given_result: msgspec.Raw = msgspec.field(name="result", default=_NULL)
    error: str | FastError | None = None
    source: _Name | None = None
    producer: FastProducer | None = None
    progress: FastProgress | None = None
    schedule: _Name | None = None
    redelivered: bool | None = None
    expected: bool | None = None
    exit_code: int | None = None
    output_tail: Annotated[str, msgspec.Meta(max_length=OUTPUT_LENGTH)] | None = None

    @property
    def result(self) -> Any:
        """The result, read by the parser the model uses.

        Raises:
            ValueError: if it is no JSON.
        """
        return None if self.given_result is _NULL else from_json(bytes(self.given_result))


_decode = msgspec.json.Decoder(FastTaskEvent).decode


def parse_fast(value: bytes | None) -> FastTaskEvent | None:
    """A record's value as an event, or None if the model has to look at it."""
    if value is None or len(value) > MAX_RECORD_BYTES:
        return None
    try:
        return _decode(value)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
