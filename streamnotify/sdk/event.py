"""What a producer says about a task run: the fields of SPEC 2.1 as structs that are cheap to make and to encode.

:mod:`streamnotify.wire.task_event` has the same fields as a pydantic model, which checks what arrives; here nothing is
checked, since the code of a task must never fail because of what is told about it: the bounds that stand in the types
are those :mod:`streamnotify.sdk.encoding` cuts to.
"""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime
from typing import Annotated, Any

import msgspec

from streamnotify.domain.status import Status

_Name = Annotated[str, msgspec.Meta(max_length=255)]  # ids too
_Text = Annotated[str, msgspec.Meta(max_length=4096)]
_Count = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
_Int = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]
_KEEP_END = {"keep": "end"}  # where a text is cut at its start
_Traceback = Annotated[str, msgspec.Meta(max_length=16 * 1024, extra=_KEEP_END)]
_OutputTail = Annotated[str, msgspec.Meta(max_length=10_000, extra=_KEEP_END)]

# One event has one id however often it is published (research/celery-sdk.md C2).
_EVENTS = uuid.UUID("b4d1a3f6-5a0e-5f0c-9c44-6f3f0f3c7a11").bytes
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}  # RFC 9562 section 4.1


class Notify(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who is told how. ``Notify()`` opts in with the defaults; an event without one is silent.

    Args:
        template: ``task_completion`` (default), ``test_execution_summary`` or one of your own.
        subject_template: such as ``"{task_name} - {status.title()}"``.
        email: who is told if there is no ``user_id``.
        name: the recipient's name.
        on: the outcomes that are mailed, of success, failure and cancelled; default the first two.
        urgent: True: never waits for a digest.
    """

    template: _Name | None = None
    subject_template: _Text | None = None
    email: _Text | None = None
    name: _Name | None = None
    on: Annotated[tuple[str, ...], msgspec.Meta(max_length=10)] | None = None
    urgent: bool | None = None


class Context(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the run works on."""

    model: _Name | None = None
    type: _Name | None = None
    id: _Name | None = None


class ErrorInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why the run failed. Only the message is ever mailed.

    Args:
        type: the exception's class.
        message: in words for a person.
        traceback: only if somebody opted in: it may hold secrets.
        cause: exception, soft_time_limit, time_limit, worker_lost, worker_exit, rejected, unregistered,
            invalid_message, internal, shutdown, exec or signal (research/celery-sdk.md section 7).
    """

    type: _Name | None = None
    message: _Text | None = None
    traceback: _Traceback | None = None
    cause: _Name | None = None


class Progress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a running task has come: per cent, 0 to 100, and a word about it."""

    percent: _Percent | None = None
    text: _Text | None = None


class Producer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who published the event; the publisher fills it in. Gaps in ``seq`` per host and pid reveal a loss."""

    sdk: _Name
    version: _Name
    host: _Name
    pid: int
    role: _Name | None = None
    seq: int


class TaskEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that happened to a task run; only its name and status are required. Fields as in SPEC 2.1.

    What the publisher fills in if it is None: ``event_id``, ``occurred_at`` (now), ``source``, ``producer``.

    Args:
        task_name: the definition that ran.
        status: of the run.
        task_id: the run; without it each event is a run of its own.
        attempt: counted from 1.
        final: on an end status: False if only this attempt is over, not the run.
        duration_s: how long this attempt ran, in seconds, by a clock that never jumps.
        interrupted: on a Running event: its worker was lost. The run is Stopped if no successor comes within
            ``redelivery_s`` seconds (60).
        schedule: the entry of beat or cron that started it.
        redelivered: the broker delivered the task once more.
        expected: the failure is one the task declares.
        exit_code, output_tail: of a command.
    """

    task_name: _Name
    status: Status
    task_id: _Name | None = None
    event_id: _Name | None = None
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
    context: Context | None = None
    organization_id: _Name | None = None
    user_id: _Name | None = None
    notify: Notify | None = None
    result: Any = None
    error: ErrorInfo | None = None
    source: _Name | None = None
    producer: Producer | None = None
    progress: Progress | None = None
    schedule: _Name | None = None
    redelivered: bool | None = None
    expected: bool | None = None
    exit_code: _Int | None = None
    output_tail: _OutputTail | None = None


def event_id_of(source: str, task_id: str, attempt: int, kind: str) -> str:
    """The id every report of the same fact gets, so that repeating it changes nothing (C2).

    Args:
        source: the producing application and environment.
        attempt: counted from 1.
        kind: what happened: submitted, received, started, succeeded, failed, retrying, interrupted, revoked, expired,
            invalidated or progress; the last and ``interrupted`` may happen more than once, so callers add the instant.
    """
    # What uuid.uuid5 gives, in a third of the time: between tasks, out of all caches, that takes 90 us.
    name = f"{source}|{task_id}|{attempt}|{kind}".encode()
    digits = hashlib.sha1(_EVENTS + name, usedforsecurity=False).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{_VARIANT[digits[16]]}{digits[17:20]}-{digits[20:32]}"
