"""What happened to a task, as an event: everything here is a function of what a signal brought."""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from billiard.einfo import ExceptionWithTraceback
from billiard.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded, WorkerLostError
from celery import Task
from celery.app.task import Context as Request
from celery.exceptions import Reject
from email_validator import EmailNotValidError

from streamnotify.celery import headers
from streamnotify.celery.installed import Installed, tenant_of
from streamnotify.celery.mail_options import mail_options
from streamnotify.domain.status import Status
from streamnotify.sdk.current import CurrentRun
from streamnotify.sdk.event import Context, ErrorInfo, Notify, TaskEvent, event_id_of
from streamnotify.wire.addresses import ascii_address

logger = logging.getLogger(__name__)

# A run whose worker was lost counts as stopped after so many seconds without a successor (SPEC 2.1).
REDELIVERY_S = 60.0
# When brokers that do not notice a lost worker deliver its tasks again, in seconds: kombu's defaults.
_VISIBILITY_TIMEOUTS = {"redis": 3600.0, "rediss": 3600.0, "sentinel": 3600.0, "sqs": 1800.0}


class Kind(enum.StrEnum):
    """What happened; part of the event's id (C2)."""

    SUBMITTED = "submitted"
    RECEIVED = "received"
    STARTED = "started"
    RETRYING = "retrying"
    INTERRUPTED = "interrupted"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REVOKED = "revoked"
    EXPIRED = "expired"


_STATUSES = {
    Kind.SUBMITTED: Status.PENDING,
    Kind.RECEIVED: Status.QUEUED,
    Kind.STARTED: Status.RUNNING,
    Kind.RETRYING: Status.QUEUED,
    Kind.INTERRUPTED: Status.RUNNING,
    Kind.SUCCEEDED: Status.COMPLETED,
    Kind.FAILED: Status.STOPPED,
    Kind.REVOKED: Status.CANCELLED,
    Kind.EXPIRED: Status.CANCELLED,
}
_ENDS = (Kind.SUCCEEDED, Kind.FAILED, Kind.REVOKED, Kind.EXPIRED)
# The kinds after which a mail may go: they alone say to whom.
_TOLD = (*_ENDS, Kind.INTERRUPTED)


class Seen(NamedTuple):
    """An attempt as a signal shows it. ``task`` is None if this process does not know the task, only its name."""

    installed: Installed
    task_name: str
    request: Request
    task: Task | None

    @property
    def attempt(self) -> int:
        """Counted from 1; a redelivery does not raise it (C3)."""
        return (self.request.retries or 0) + 1

    @property
    def current_run(self) -> CurrentRun:
        """The attempt, for code inside the task that reports progress."""
        organization_id, user_id = tenant_of(self.installed.app, self.request)
        return CurrentRun(self.task_name, self.request.id, self.attempt, organization_id, user_id)


def event_of(seen: Seen, kind: Kind, now: datetime, **fields: Any) -> TaskEvent:
    """The event of kind ``kind``, with all that is known of the run: it must do without earlier events (P4).

    Args:
        now: when it happened.
        fields: those of the event that depend on the kind.
    """
    installed, task_name, request, task = seen
    attempt = fields.pop("attempt", seen.attempt)
    organization_id, user_id = tenant_of(installed.app, request)
    ends = kind in _ENDS
    fields.setdefault("queued_at", headers.instant(request, headers.QUEUED))
    return TaskEvent(
        task_name=task_name,
        task_id=request.id,
        status=_STATUSES[kind],
        event_id=event_id_of(installed.source, request.id, attempt, _identity(kind, now)),
        occurred_at=now,
        source=installed.source or None,
        attempt=attempt,
        max_attempts=_max_attempts(task),
        final=ends if ends or kind is Kind.RETRYING else None,
        finished_at=now if ends else None,
        submitted_at=headers.instant(request, headers.SENT),
        organization_id=organization_id,
        user_id=user_id,
        display_name=_display_name(task),
        context=_context(installed, request),
        notify=_notify(seen) if kind in _TOLD else None,
        schedule=_text(headers.header(request, headers.SCHEDULE)),
        redelivered=True if (request.delivery_info or {}).get("redelivered") else None,
        **fields,
    )


def _identity(kind: Kind, now: datetime) -> str:
    # It may happen to one attempt more than once.
    return f"{kind}|{headers.written(now)}" if kind is Kind.INTERRUPTED else str(kind)


def _max_attempts(task: Task | None) -> int | None:
    if task is None:
        return None
    of_autoretry = getattr(task, "retry_kwargs", None) or {}
    retries = of_autoretry.get("max_retries", task.max_retries)
    return None if retries is None else retries + 1


def _display_name(task: Task | None) -> str | None:
    options = mail_options(task)
    return (options and options.display_name) or getattr(task, "display_name", None)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _context(installed: Installed, request: Request) -> Context | None:
    if installed.context is None:
        return None
    found = _asked("context", installed.context, request, request.args, request.kwargs)
    if not isinstance(found, Mapping):
        return found if isinstance(found, Context) else None
    named = {key: _text(found.get(key)) for key in ("model", "type", "id")}
    return Context(**named)


def _notify(seen: Seen) -> Notify | None:
    """Who is told: the task's decorator says whether, and the run may name another recipient than it does."""
    options = mail_options(seen.task)
    if options is None:
        return None
    notify, installed = options.notify, seen.installed
    email, name = headers.header(seen.request, headers.EMAIL), headers.header(seen.request, headers.NAME)
    if email is None and installed.recipient is not None:
        found = _asked("recipient", installed.recipient, seen.request)
        email, name = (found.get("email"), found.get("name")) if isinstance(found, Mapping) else (None, None)
    if email is None or not _is_address(email, seen.request):
        return notify
    return Notify(
        template=notify.template,
        subject_template=notify.subject_template,
        email=str(email),
        name=_text(name),
        on=notify.on,
        urgent=notify.urgent,
    )


def _is_address(email: Any, request: Request) -> bool:
    """An event with a wrong address would be a dead letter, and the run would never end."""
    try:
        ascii_address(str(email))
    except EmailNotValidError:
        logger.warning("%r is no address; nobody is told there about task %s", email, request.id)
        return False
    return True


def _asked(what: str, answer: Callable[..., Any], *about: Any) -> Any:
    """What the application's own function says; its mistakes cost that field, not the event."""
    try:
        return answer(*about)
    except Exception:
        logger.warning("install(%s=...) failed for task %s", what, about[0].id, exc_info=True)
        return None


def failure(exception: Any, *, cause: str | None = None, traceback: Any = None) -> ErrorInfo:
    """An exception that Celery reports, for a person.

    Args:
        exception: any; Celery wraps those that cannot be pickled, or that come from another process.
        cause: as in :class:`ErrorInfo`; default: by the exception.
        traceback: None: none is sent.
    """
    if isinstance(exception, ExceptionWithTraceback):
        exception = exception.exc
    return ErrorInfo(
        # celery.utils.serialization.UnpickleableExceptionWrapper keeps the name.
        type=getattr(exception, "exc_cls_name", None) or type(exception).__name__,
        message=_message(exception),
        cause=cause or _cause(exception),
        traceback=_text(traceback),
    )


def _message(exception: Any) -> str:
    if isinstance(exception, TimeLimitExceeded) and exception.args:
        return f"time limit of {exception.args[0]} s exceeded"
    if isinstance(exception, SoftTimeLimitExceeded):
        return "soft time limit exceeded"
    try:
        if isinstance(exception, Reject):
            return "rejected" if exception.reason is None else f"rejected: {exception.reason}"
        return str(exception) or type(exception).__name__
    except Exception:  # noqa: BLE001 - a __str__ of theirs
        return type(exception).__name__


def _cause(exception: Any) -> str:
    for type_, cause in _CAUSES.items():
        if isinstance(exception, type_):
            return cause
    return "exception"


_CAUSES = {
    SoftTimeLimitExceeded: "soft_time_limit",
    TimeLimitExceeded: "time_limit",
    WorkerLostError: "worker_lost",
    Reject: "rejected",
}


def is_expected(task: Task, exception: Any) -> bool:
    """Whether a task declares that it may fail so: by ``throws``, which to Celery may be one class, too."""
    throws = task.throws or ()
    return isinstance(exception, throws if isinstance(throws, type) else tuple(throws))


def redelivery_s(seen: Seen) -> float:
    """After how many seconds a run whose worker was lost counts as stopped (C6)."""
    if not getattr(seen.task, "acks_late", False):
        return REDELIVERY_S
    conf = seen.installed.app.conf
    scheme = str(conf.broker_read_url or conf.broker_url or "").partition("://")[0]
    default = _VISIBILITY_TIMEOUTS.get(scheme, REDELIVERY_S)
    return max(REDELIVERY_S, float((conf.broker_transport_options or {}).get("visibility_timeout", default)))
