"""The records on ``monitor-configs``: one monitor (SPEC 2.2), in every form in which people write one."""

from __future__ import annotations

import enum
from datetime import datetime, timedelta
from typing import Annotated, Any, NamedTuple

import msgspec
from pydantic import BaseModel, ConfigDict, Field, SkipValidation

from streamnotify.domain.monitors import SELF_CHECK, Monitor, TaskCheck
from streamnotify.domain.schedule import Schedule, check_crontab
from streamnotify.errors import BadRecord
from streamnotify.wire.fields import NAME_LENGTH, AnyCase, Name
from streamnotify.wire.monitor_result import as_written
from streamnotify.wire.monitor_tasks import Tasks, read_tasks, read_text
from streamnotify.wire.reading import MAX_RECORD_BYTES, read_json, warn_of_unknown
from streamnotify.wire.timezones import known_timezone

LONGEST_INTERVAL = timedelta(days=366)

# The tasks station keeps a definition, tells every task of it and every task it no longer covers, all in one chunk of
# 800 KB: three times this, which is counted as what each task is told.
DEFINITION_BYTES = 250_000
_TOLD_BYTES = 160  # the rest of such a record: its identity, its key's and its own framing

_encode = msgspec.msgpack.Encoder().encode


class Period(enum.StrEnum):
    """What an interval is counted in; also in the singular, in any letter case."""

    DAYS = "days"
    HOURS = "hours"
    MINUTES = "minutes"
    SECONDS = "seconds"

    @classmethod
    def _missing_(cls, value: object) -> Period | None:
        return _PERIODS.get(value.lower()) if isinstance(value, str) else None


_PERIODS = {name: period for period in Period for name in (period.value, period.value.removesuffix("s"))}


class Interval(BaseModel):
    """A check every so often."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    every: int = Field(ge=1, le=LONGEST_INTERVAL // timedelta(seconds=1))
    period: Annotated[Period, AnyCase(*_PERIODS)]


class MonitorConfig(BaseModel):
    """One monitor; null is the same as absent. A record without value deletes the monitor its key names."""

    model_config = ConfigDict(
        strict=True,
        extra="allow",
        frozen=True,
        title="monitor-configs",
        json_schema_extra={
            "allOf": [  # exactly one of each pair, and null is none
                {"oneOf": [{"required": [name], "properties": {name: {"not": {"type": "null"}}}} for name in pair]}
                for pair in (("crontab", "interval"), ("args", "tasks"))
            ]
        },
    )

    name: Annotated[str, Field(min_length=1, max_length=NAME_LENGTH)] | None = Field(
        default=None, description="The record's key; where there is none it is required."
    )
    enabled: bool | None = Field(default=None, description="false: no checks. Default true.")
    crontab: Name | None = Field(default=None, description='Minute to day of the week, such as "5 * * * *".')
    interval: Interval | None = Field(default=None, description="Instead of crontab.")
    timezone: Name | None = Field(default=None, description="IANA name of the zone crontab is read in; default UTC.")
    # Read by hand, so that what is wrong is named by the path at which it was written.
    args: SkipValidation[
        Annotated[list[Tasks], Field(min_length=1, max_length=1)]
        | Tasks
        | Annotated[str, Field(json_schema_extra={"contentMediaType": "application/json"})]
        | None
    ] = Field(
        default=None, description="The tasks: an array with a single dictionary, that as text, or the dictionary."
    )
    tasks: SkipValidation[Tasks | None] = Field(default=None, description="The dictionary of tasks, instead of args.")


_FIELDS = tuple(MonitorConfig.model_fields)


class ParsedMonitor(NamedTuple):
    """A monitor, and what was ignored in its record: path and reason, in words for a person."""

    monitor: Monitor
    warnings: list[str]


class ParsedTasks(NamedTuple):
    """What is expected of which task, and what was ignored."""

    tasks: dict[str, TaskCheck]
    warnings: list[str]


def parse(value: bytes | None, key: str | None) -> ParsedMonitor:
    """A record's value as a monitor.

    Args:
        key: the record's, which is the monitor's name; None or empty: the record must name it.

    Raises:
        BadRecord: if it is none, with the reason and the path of the field (``args[0].nightly.expected_statuses``).
    """
    record = read_json(MonitorConfig, value, "a monitor")
    warnings: list[str] = []
    unknown = {name: given for name, given in (record.model_extra or {}).items() if (name, given) != _TASK}
    warn_of_unknown(unknown, _FIELDS, "", warnings, near_only=True)
    name, schedule = _name(record.name, key), _schedule(record)
    if (record.args is None) == (record.tasks is None):
        raise BadRecord("exactly one of args and tasks is required", "args")
    if isinstance(record.tasks, (str, list)):
        raise BadRecord("a dictionary of what is expected of which task is allowed", "tasks")
    path = "args" if record.tasks is None else "tasks"
    tasks = read_tasks(record.args if record.tasks is None else record.tasks, path, warnings)
    _check_size(name, schedule, tasks, path)
    return ParsedMonitor(Monitor(name, schedule, record.enabled is not False, tasks), warnings)


_TASK = ("task", SELF_CHECK)  # the source's records say so, and mean nothing else by it


def parse_tasks(value: bytes) -> ParsedTasks:
    """The source's ``monitor_task_status(config)`` argument: tasks by name, without name and schedule.

    Raises:
        BadRecord: as :func:`parse`.
    """
    if len(value) > MAX_RECORD_BYTES:
        raise BadRecord(f"it has {len(value)} bytes; at most {MAX_RECORD_BYTES} are allowed")
    warnings: list[str] = []
    return ParsedTasks(read_tasks(read_text(value, ""), "", warnings), warnings)


def to_record(monitor: Monitor) -> dict[str, Any]:
    """The monitor as the JSON that :func:`parse` reads as the same one; parameters at their defaults are left out."""
    schedule = monitor.schedule
    return {
        "name": monitor.name,
        "enabled": monitor.enabled,
        **({"crontab": schedule.crontab} if schedule.every is None else {"interval": _interval(schedule.every)}),
        "timezone": schedule.timezone,
        "args": [{name: _parameters(check) for name, check in monitor.tasks.items()}],
    }


def name_in(value: bytes | None) -> str | None:
    """The name in a record that may be no monitor; None if there is none."""
    try:
        return parsed.name if (parsed := _Named.model_validate_json(value or b"")).name else None
    except ValueError:
        return None


class _Named(BaseModel, strict=True):
    name: Name | None = None


def _name(name: str | None, key: str | None) -> str:
    if key and len(key) > NAME_LENGTH:
        raise BadRecord(f"the record's key has {len(key)} characters; at most {NAME_LENGTH} are allowed")
    if not (name or key):
        raise BadRecord("the record has no key, so it must name the monitor", "name")
    if key and name and name != key:
        raise BadRecord(f"differs from the record's key {key!r}", "name")
    return name or key or ""


def _schedule(record: MonitorConfig) -> Schedule:
    if (record.crontab is None) == (record.interval is None):
        raise BadRecord("exactly one of crontab and interval is required", "crontab")
    timezone = "UTC" if record.timezone is None else known_timezone(record.timezone, "timezone")
    if record.interval is not None:
        every = timedelta(**{record.interval.period.value: record.interval.every})
        if every > LONGEST_INTERVAL:
            raise BadRecord(f"at most {LONGEST_INTERVAL.days} days are allowed", "interval.every")
        return Schedule(timezone=timezone, every=every)
    crontab = " ".join((record.crontab or "").split())
    try:
        check_crontab(crontab)
    except ValueError as error:
        allowed = "minute, hour, day of the month, month and day of the week are allowed, such as 5 * * * *"
        raise BadRecord(f"{error}: {allowed}", "crontab") from None
    return Schedule(crontab, timezone)


def _check_size(name: str, schedule: Schedule, tasks: dict[str, TaskCheck], path: str) -> None:
    """A monitor whose changes would not fit into one chunk is refused before it is accepted."""
    size = sum(len(_encode((name, schedule, told))) + _TOLD_BYTES for told in tasks.items())
    if size > DEFINITION_BYTES:
        reason = f"its tasks take {size} bytes; at most {DEFINITION_BYTES} are allowed: make several monitors of it"
        raise BadRecord(reason, path)


def _interval(every: timedelta) -> dict[str, Any]:
    """In the largest unit that leaves no rest."""
    for period in Period:
        number, rest = divmod(every, timedelta(**{period.value: 1}))
        if not rest:
            break
    return {"every": number, "period": period.value}


def _parameters(check: TaskCheck) -> dict[str, Any]:
    defaults = check._field_defaults
    return {
        name: _plain(value)
        for name, value in check._asdict().items()
        if name not in defaults or value != defaults[name]
    }


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [str(each) for each in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str):  # an enum's member too
        return str(value)
    return as_written(value) if isinstance(value, float) else value
