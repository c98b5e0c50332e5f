"""What a monitor expects of its tasks: the dictionary in every monitor's record (SPEC 2.2, the source's format)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json, to_json

from streamnotify.domain.monitors import TaskCheck, Tell
from streamnotify.domain.status import STATUS_NAMES, Status
from streamnotify.errors import BadRecord
from streamnotify.wire.fields import NAME_LENGTH, Address, AnyCase, Instant, Name, OptionalId
from streamnotify.wire.reading import MOST_WARNINGS, below, near_miss, reason_of, warn_of_unknown

MOST_HOURS = 840  # 35 days: how long runs are kept for checks to look back at
MOST_GRACE_MINUTES = 24 * 60  # runs are kept for so much longer
MOST_TASKS = 500
MOST_ADDRESSES = 100  # of a task
MOST_DEPENDENTS = 100  # of a task
MOST_NAMED = 250_000  # bytes of dependent tasks' names in all mails of a check; they are sent from one chunk of 800 KB
MOST_STATUSES = 50  # there are seven, but saying one twice does no harm


def _in_utc(at: datetime) -> datetime:
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        raise ValueError("this instant does not exist in UTC") from None


class TaskParameters(BaseModel):
    """What is expected of one task: the source's six parameters, and ours. null is the same as absent."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    expected_statuses: list[Annotated[Status, AnyCase(*STATUS_NAMES)]] = Field(
        min_length=1, max_length=MOST_STATUSES, description="The acceptable ones, in any letter case."
    )
    notify_to: Annotated[list[Address], Field(max_length=MOST_ADDRESSES)] | None = Field(
        default=None, description="Who is told; absent or empty: all superusers."
    )
    dependent_tasks: Annotated[list[Name], Field(max_length=MOST_DEPENDENTS)] | None = Field(
        default=None, description="The tasks that wait for this one; mails warn of them."
    )
    lookback_hours: Annotated[float, Field(gt=0, le=MOST_HOURS, allow_inf_nan=False)] | None = Field(
        default=None, description="How far back a check looks for a run; default 1."
    )
    context_model: Name | None = Field(default=None, description="Only runs with this context model are seen.")
    context_type: Name | None = Field(default=None, description="Only runs with this context type are seen.")
    organization_id: OptionalId | None = Field(default=None, description="Only its runs are seen; it brands the mail.")
    display_name: Name | None = Field(default=None, description="Shown beside the name.")
    urgent: bool | None = Field(default=None, description="true: its mails never wait for a digest.")
    notify: Tell | None = Field(
        default=None, description="on_change: once per incident, then a recovery mail. Default every_failure."
    )
    remind_hours: Annotated[float, Field(gt=0, le=MOST_HOURS, allow_inf_nan=False)] | None = Field(
        default=None, description="With on_change: again every so many hours while it fails."
    )
    grace_minutes: Annotated[float, Field(ge=0, le=MOST_GRACE_MINUTES, allow_inf_nan=False)] | None = Field(
        default=None, description="How long after its due time a check is made, looking at all until then; default 0."
    )
    silence_until: Annotated[Instant, AfterValidator(_in_utc)] | None = Field(
        default=None, description="Checks due before are recorded, not mailed. RFC 3339; without a zone it is UTC."
    )


_PARAMETERS = tuple(TaskParameters.model_fields)

TaskKey = Annotated[str, Field(min_length=1, max_length=NAME_LENGTH)]
Tasks = Annotated[dict[TaskKey, TaskParameters], Field(min_length=1, max_length=MOST_TASKS)]


def read_tasks(given: Any, path: str, warnings: list[str]) -> dict[str, TaskCheck]:
    """The tasks of a monitor by name, from the source's array with a single dictionary, that as text, or the
    dictionary.

    Args:
        given: parsed JSON.
        path: where it stood in the record, such as ``args``; empty: it is the record.
        warnings: what is ignored is added, path and reason.

    Raises:
        BadRecord: naming the first field that is wrong by its path.
    """
    if isinstance(given, str):
        given = read_text(given, path)
    if isinstance(given, list):
        if len(given) != 1:
            raise BadRecord(f"an array with a single dictionary is allowed, this has {len(given)} elements", path)
        given, path = given[0], f"{path}[0]"
    if not isinstance(given, dict):
        raise BadRecord("a dictionary of what is expected of which task is allowed", path or None)
    if not 1 <= len(given) <= MOST_TASKS:
        raise BadRecord(f"1 to {MOST_TASKS} tasks are allowed, not {len(given)}", path or None)
    return {name: _check(name, parameters, path, warnings) for name, parameters in given.items()}


def read_text(text: str | bytes, path: str) -> Any:
    """JSON that stood at ``path`` as text.

    Raises:
        BadRecord: if it is none.
    """
    try:
        return from_json(text)
    except ValueError as error:
        raise BadRecord(f"not one whole JSON value ({error})", path or None) from None


def _check(task_name: str, given: Any, path: str, warnings: list[str]) -> TaskCheck:
    path = below(path, task_name)
    if not 1 <= len(task_name) <= NAME_LENGTH:
        raise BadRecord(f"a task's name of 1 to {NAME_LENGTH} characters is allowed", path)
    if not isinstance(given, dict):
        raise BadRecord("a dictionary with expected_statuses is allowed", path)
    try:
        parameters = TaskParameters.model_validate_json(to_json(given, inf_nan_mode="constants"))
    except ValidationError as error:
        raise _refusal(error, given, path) from None
    warn_of_unknown(parameters.model_extra, _PARAMETERS, path, warnings, near_only=False)
    check = _as_check(parameters)
    named = sum(len(name.encode()) for name in check.dependent_tasks)
    if len(check.notify_to) * named > MOST_NAMED:
        raise BadRecord(
            f"every mail names every dependent task: {len(check.notify_to)} mails of {named} bytes of names are more"
            f" than the {MOST_NAMED} bytes that are allowed",
            f"{path}.dependent_tasks",
        )
    if check.remind_hours is not None and check.notify is not Tell.ON_CHANGE and len(warnings) < MOST_WARNINGS:
        warnings.append(f"{path}.remind_hours: without effect, unless notify is on_change")
    return check


def _as_check(given: TaskParameters) -> TaskCheck:
    return TaskCheck(
        expected_statuses=tuple(dict.fromkeys(given.expected_statuses)),
        notify_to=_once_each(given.notify_to or ()),
        dependent_tasks=tuple(dict.fromkeys(name for name in given.dependent_tasks or () if name)),
        lookback_hours=1 if given.lookback_hours is None else given.lookback_hours,
        context_model=given.context_model or None,
        context_type=given.context_type or None,
        organization_id=given.organization_id or None,
        display_name=given.display_name or None,
        urgent=bool(given.urgent),
        notify=given.notify or Tell.EVERY_FAILURE,
        remind_hours=given.remind_hours,
        grace_minutes=given.grace_minutes or 0,
        silence_until=given.silence_until,
    )


def _once_each(addresses: Iterable[str]) -> tuple[str, ...]:
    """Addresses that differ in letter case only are one: the first, as it was written."""
    by_mailbox: dict[str, str] = {}
    for address in addresses:
        by_mailbox.setdefault(address.lower(), address)
    return tuple(by_mailbox.values())


def _refusal(error: ValidationError, given: dict[str, Any], path: str) -> BadRecord:
    first = error.errors(include_url=False, include_context=False)[0]
    for part in first["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    if first["type"] != "missing":
        return BadRecord(reason_of(first), path)
    required = str(first["loc"][0])
    near = [name[:NAME_LENGTH] for name in islice(given, MOST_WARNINGS) if near_miss(name, (required,))]
    return BadRecord("required field missing" + (f" (did you mean it by {near[0]}?)" if near else ""), path)
