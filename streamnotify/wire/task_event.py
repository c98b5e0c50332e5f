"""The records on ``task-events``: what happened to a task run (SPEC 2.1)."""

from __future__ import annotations

import enum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from streamnotify.domain.status import STATUS_NAMES, Status
from streamnotify.wire.fields import Address, AnyCase, Count, Instant, Name, OptionalId, RequiredId, Seconds, Text
from streamnotify.wire.reading import read_json

MOST_OUTCOMES = 10  # in `on`; there are three, but saying one twice does no harm
OUTPUT_LENGTH = 10_000  # characters, of a command's output

# Types are checked, not converted; unknown fields are kept only to find misspelt ones among them.
_OPEN = ConfigDict(strict=True, extra="allow", frozen=True)


class MailOn(enum.StrEnum):
    """An outcome that is mailed."""

    SUCCESS = "success"
    FAILURE = "failure"
    CANCELLED = "cancelled"

    @classmethod
    def _missing_(cls, value: object) -> MailOn | None:
        names: dict[str, MailOn] = {member.value: member for member in cls}
        return names.get(value.lower()) if isinstance(value, str) else None


class NotifyOptions(BaseModel):
    """Who is told how, if the task opts in. ``{}`` opts in with the defaults."""

    model_config = _OPEN

    template: Name | None = Field(
        default=None, description="task_completion (default), test_execution_summary or a template of your own."
    )
    subject_template: Text | None = Field(default=None, description='Such as "{task_name} - {status.title()}".')
    email: Address | None = Field(default=None, description="Who is told if there is no user_id.")
    name: Name | None = Field(default=None, description="The recipient's name.")
    on: list[Annotated[MailOn, AnyCase("success", "failure", "cancelled")]] | None = Field(
        default=None, max_length=MOST_OUTCOMES, description="The outcomes that are mailed; default success and failure."
    )
    urgent: bool | None = Field(default=None, description="true: never waits for a digest.")


class EventContext(BaseModel):
    """What the run works on."""

    model_config = _OPEN

    model: Name | None = None
    type: Name | None = None
    id: OptionalId | None = None
    ingestor_type: Name | None = Field(default=None, description="Read as type.")


class EventError(BaseModel):
    """Why the run failed. Only the message is ever mailed."""

    model_config = _OPEN

    type: str | None = None
    message: str | None = None
    traceback: str | None = None
    cause: str | dict[str, Any] | None = None


class Producer(BaseModel):
    """Who published the event."""

    model_config = ConfigDict(strict=True, frozen=True)

    sdk: Name | None = None
    version: OptionalId | None = None
    host: Name | None = None
    pid: int | None = None
    role: Name | None = None
    seq: int | None = Field(default=None, description="Counts a producer's events; a gap reveals a loss.")


class Progress(BaseModel):
    """How far a running task has come."""

    model_config = ConfigDict(strict=True, frozen=True)

    percent: float | None = Field(default=None, ge=0, le=100, allow_inf_nan=False)
    text: Text | None = None


class TaskEvent(BaseModel):
    """One thing that happened to a task run. null is the same as absent; only two fields are required."""

    model_config = ConfigDict(**_OPEN, title="task-events")

    task_name: RequiredId = Field(description="The definition that ran.")
    status: Annotated[Status, AnyCase(*STATUS_NAMES)] = Field(
        description="The run's status, in any letter case, or Celery's name for it."
    )
    task_id: OptionalId | None = Field(default=None, description="The run; default: each such event is one of its own.")
    event_id: OptionalId | None = Field(default=None, description="The event's identity; default: its position.")
    occurred_at: Instant | None = Field(default=None, description="RFC 3339; default: the record's Kafka timestamp.")
    attempt: Count | None = Field(default=None, description="Counted from 1, the default.")
    max_attempts: Count | None = None
    final: bool | None = Field(
        default=None, description="On an end status: false if only this attempt is over, not the run. Default true."
    )
    submitted_at: Instant | None = None
    queued_at: Instant | None = None
    started_at: Instant | None = None
    finished_at: Instant | None = None
    duration_s: Seconds | None = Field(default=None, description="How long it ran, in seconds.")
    interrupted: bool | None = Field(default=None, description="On a Running event: its worker was lost.")
    redelivery_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = Field(
        default=None, description="After how many seconds an interrupted run without successor is Stopped; default 60."
    )
    display_name: Name | None = Field(default=None, description="Shown beside the name.")
    context: EventContext | None = None
    organization_id: OptionalId | None = None
    user_id: OptionalId | None = None
    notify: bool | NotifyOptions | None = Field(
        default=None, description="true or an object: tell somebody how the run ends. Absent, null or false: silent."
    )
    result: Any = Field(default=None, description="Any JSON; an object's keys become template variables.")
    error: str | EventError | None = Field(default=None, description="The message, or an object.")
    source: Name | None = Field(default=None, description="The producing application and environment.")
    producer: Producer | None = None
    progress: Progress | None = None
    schedule: Name | None = Field(default=None, description="The entry of beat or cron that started it.")
    redelivered: bool | None = Field(default=None, description="true: the broker delivered the task once more.")
    expected: bool | None = Field(
        default=None, description="true: the failure is one the task declares, as with Celery's Task.throws."
    )
    exit_code: int | None = Field(default=None, description="Of a command.")
    output_tail: Annotated[str, Field(max_length=OUTPUT_LENGTH)] | None = Field(
        default=None, description="The end of a command's output."
    )


def parse(value: bytes | None) -> TaskEvent:
    """A record's value as an event.

    Raises:
        BadRecord: if it is none, with the reason and the field.
    """
    return read_json(TaskEvent, value, "a task event", one="event")
