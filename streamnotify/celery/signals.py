"""Celery's signals, each turned into an event (research/celery-sdk.md section 1).

Which process each arrives in, and what it leaves out, differs by Celery's version and pool; the table is there.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from celery import Task, signals
from celery._state import get_current_worker_task
from celery.app.task import Context as Request
from celery.exceptions import Reject, WorkerShutdown, WorkerTerminate

from streamnotify.celery import headers as task_headers
from streamnotify.celery import schedule
from streamnotify.celery.chords import body_failures
from streamnotify.celery.events import Kind, Seen, event_of, failure, is_expected, redelivery_s
from streamnotify.celery.installed import Installed
from streamnotify.celery.mail_options import is_mailed, mail_options
from streamnotify.celery.runs import Runs
from streamnotify.celery.tasks import BaseTask, log_with_context
from streamnotify.domain.status import MAILED_OUTCOMES
from streamnotify.sdk.current import current_run, set_current_run
from streamnotify.sdk.encoding import variables_of
from streamnotify.sdk.event import ErrorInfo, TaskEvent

logger = logging.getLogger(__name__)

_WARN_EVERY_S = 60.0


def _now() -> datetime:
    return datetime.now(UTC)


class Receivers:
    """What is connected to Celery's signals for one app. None of it ever raises, or waits for anything."""

    def __init__(self, installed: Installed) -> None:
        self._installed = installed
        self._runs = Runs()
        self._warned_at = float("-inf")
        self._main_process: int | None = None

    def connect(self) -> None:
        """Connect every receiver, once per app whatever happens."""
        for signal, receive in (
            (signals.before_task_publish, self._before_publish),
            (signals.after_task_publish, self._published),
            (signals.task_received, self._received),
            (signals.task_prerun, self._began),
            (signals.task_success, self._succeeded),
            (signals.task_retry, self._retried),
            (signals.task_failure, self._failed),
            (signals.task_internal_error, self._internal_error),
            (signals.task_unknown, self._unknown),
            (signals.task_rejected, self._undecodable),
            (signals.task_revoked, self._revoked),
            (signals.task_postrun, self._over),
            (signals.worker_init, self._is_main),
            (signals.worker_process_init, self._is_child),
            (signals.worker_process_shutdown, self._flush),
            (signals.worker_shutdown, self._flush),
            (signals.beat_init, self._beat_began),
        ):
            uid = f"streamnotify:{id(self._installed.app)}:{signal.name}"
            signal.connect(self._guarded(receive), weak=False, dispatch_uid=uid)

    def _guarded(self, receive: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(receive)
        def guarded(**arguments: Any) -> None:
            try:
                receive(**arguments)
            except Exception as error:  # noqa: BLE001 - whatever it is, the task goes on
                self._warn(receive.__name__.lstrip("_"), error)

        return guarded

    def _warn(self, where: str, error: Exception) -> None:
        """Once a minute at most: what fails for one task fails for all of them."""
        now = time.monotonic()
        if now - self._warned_at >= _WARN_EVERY_S:
            self._warned_at = now
            logger.warning("a task event was not published (%s); the task goes on", where, exc_info=error)

    def _seen(self, task: Any, request: Request) -> Seen | None:
        """An attempt of a task of ours; None if nothing is published about it."""
        installed = self._installed
        if task.app is not installed.app or installed.ignores(task.name):
            return None
        if request.is_eager and not installed.publish_eager:
            return None
        return Seen(installed, task.name, request, task)

    def _seen_by_name(self, name: str, request: Request) -> Seen | None:
        """The same where Celery gives but the name."""
        installed = self._installed
        if installed.ignores(name) or not installed.speaks_for(name):
            return None
        return Seen(installed, name, request, installed.app.tasks.get(name))

    def _publish(self, event: TaskEvent) -> bool:
        return self._installed.publisher.publish(event)

    # In the process that submits: web, beat, or a worker for retries, chains and chord bodies.

    def _before_publish(self, *, sender: str, headers: dict[str, Any], body: Any, **_: Any) -> None:
        if not self._installed.speaks_for(sender):
            return
        parent_task = get_current_worker_task()
        # Errbacks of a lost child are published by the main process, which is in no task.
        parent = parent_task.request if parent_task else self._runs.received(headers.get("parent_id"))
        entry = schedule.entry_under_way()
        if entry is not None:
            headers.setdefault(task_headers.SCHEDULE, entry)
        keys = self._installed.tenant_keys
        task_headers.propagate(headers, _arguments(body)[1], parent=parent, keys=keys, now=_now())

    def _published(self, *, sender: str, headers: Mapping[str, Any], body: Any, **_: Any) -> None:
        # Without "id" it is protocol 1. A retry is no new run.
        if not self._installed.publish_pending or "id" not in headers or headers.get("retries"):
            return
        args, kwargs = _arguments(body)
        seen = self._seen_by_name(sender, Request(headers, args=args, kwargs=kwargs))
        if seen is not None:
            self._installed.set_role("publisher", unless_known=True)
            self._publish(event_of(seen, Kind.SUBMITTED, _now()))

    def _beat_began(self, *, sender: Any, **_: Any) -> None:
        if sender.app is self._installed.app:
            schedule.watch(sender.scheduler)

    # In the worker's main process.

    def _received(self, *, request: Any, **_: Any) -> None:
        now = _now()
        # It goes on to the child with the request, for the final event.
        request.request_dict[task_headers.QUEUED] = task_headers.written(now)
        self._runs.receive(request)
        seen = self._seen(request.task, Request(request.request_dict))
        if seen is not None:
            self._publish(event_of(seen, Kind.RECEIVED, now))
        else:
            self._installed.warn_if_unheard(request.task)

    def _revoked(
        self, *, sender: Task, request: Request, terminated: bool, signum: Any, expired: bool, **_: Any
    ) -> None:
        seen = self._seen(sender, request)
        if seen is None:
            return
        if expired:
            error = ErrorInfo(message="expired before it started")
        elif terminated:
            error = ErrorInfo(message=f"terminated by {getattr(signum, 'name', signum)}", cause="signal")
        else:
            error = ErrorInfo(message="revoked before it started")
        self._ended(seen, Kind.EXPIRED if expired else Kind.REVOKED, error=error)

    def _unknown(self, *, message: Any, name: str, id: str, exc: Any, **_: Any) -> None:
        seen = self._seen_by_name(name, Request(message.headers or {}, id=id))
        if seen is not None:
            error = ErrorInfo(type="NotRegistered", message=f"no worker knows the task {name}", cause="unregistered")
            self._ended(seen, Kind.FAILED, error=error)

    def _undecodable(self, *, message: Any, exc: Any, **_: Any) -> None:
        given = message.headers or {}
        if not given.get("id") or not given.get("task"):
            return  # Celery logs it; without an id there is no run
        seen = self._seen_by_name(given["task"], Request(given))
        if seen is not None:
            error = failure(exc, cause="invalid_message") if exc else ErrorInfo(cause="invalid_message")
            self._ended(seen, Kind.FAILED, error=error)

    # In the process that runs the task.

    def _began(self, *, task: Task, task_id: str, **_: Any) -> None:
        seen = self._seen(task, task.request)
        if seen is None:
            return
        now = _now()
        self._runs.begin(task_id, seen.attempt, now, current_run())
        set_current_run(seen.current_run)
        task_headers.warn_of_mismatch(seen.request, seen.task_name, self._installed.tenant_keys)
        self._publish(event_of(seen, Kind.STARTED, now, started_at=now))

    def _succeeded(self, *, sender: Task, result: Any, **_: Any) -> None:
        seen = self._seen(sender, sender.request)
        if seen is not None:
            self._ended(seen, Kind.SUCCEEDED, result=variables_of(result) if mail_options(sender) else None)

    def _retried(self, *, sender: Task, request: Request, reason: Any, **_: Any) -> None:
        seen = self._seen(sender, request)
        if seen is None:
            return
        if reason is None:  # a cold shutdown, or a lost connection: Celery calls that a retry (C6)
            self._interrupted(seen)
            return
        cause = getattr(reason, "exc", None)
        error = None if cause is None else failure(cause)
        # Of the next attempt, which is the higher one and so moves the run on; it has not been received yet.
        self._publish(event_of(seen, Kind.RETRYING, _now(), attempt=seen.attempt + 1, queued_at=None, error=error))

    def _failed(self, *, sender: Task, task_id: str, exception: Any, einfo: Any = None, **_: Any) -> None:
        # In the main process (lost child, time limit) there may be no task's request (C5).
        of_task = sender.request
        request = of_task if of_task.id == task_id else self._runs.received(task_id)
        seen = self._seen(sender, request or Request(id=task_id))
        if seen is None:
            return
        traceback = getattr(einfo, "traceback", None) if self._installed.sends_tracebacks else None
        error = failure(exception, traceback=traceback)
        expected = is_expected(sender, exception) or None
        self._ended(seen, Kind.FAILED, error=error, expected=expected)
        for of_chord in body_failures(seen, error, _now()):
            self._publish(of_chord)

    def _internal_error(self, *, sender: Task, task_id: str, request: Any, exception: Any, **_: Any) -> None:
        known = request if isinstance(request, Mapping) else {}
        seen = self._seen(sender, Request(known, id=task_id))
        if seen is not None:
            self._ended(seen, Kind.FAILED, error=failure(exception, cause="internal"))

    def _over(self, *, task: Task, task_id: str, state: str | None, retval: Any, **_: Any) -> None:
        seen = self._seen(task, task.request)
        if seen is None:
            return
        try:
            if state is None:
                self._left_early(seen, sys.exc_info()[1])
            elif state == "REJECTED" and not getattr(retval, "requeue", False):
                self._ended(seen, Kind.FAILED, error=failure(retval))
        finally:
            begun = self._runs.end(task_id, seen.attempt)
            set_current_run(begun.around if begun else None)

    def _left_early(self, seen: Seen, exception: BaseException | None) -> None:
        """The task was left by what is no Exception: its own exit, or a signal to its process (C6)."""
        if isinstance(exception, SystemExit) and not isinstance(exception, (WorkerShutdown, WorkerTerminate)):
            code = exception.code
            if not isinstance(code, int) or code >= 0:  # billiard exits with a negative one on a signal
                message = f"the task ended its process: {exception!r}"
                error = ErrorInfo(type="SystemExit", message=message, cause="worker_exit")
                self._ended(seen, Kind.FAILED, error=error)
                return
        if exception is not None and not isinstance(exception, Reject):
            self._interrupted(seen)

    def _interrupted(self, seen: Seen) -> None:
        """Nobody knows how it goes on: a cancellation, an end or another delivery may follow, or have come before it.

        So it has no error: as the latest of the run it would hide that of the end.
        """
        now = _now()
        times = self._runs.times(seen.request.id, seen.attempt, now)
        event = event_of(
            seen,
            Kind.INTERRUPTED,
            now,
            interrupted=True,
            redelivery_s=redelivery_s(seen),
            started_at=times.started_at,
        )
        self._publish(event)

    def _ended(self, seen: Seen, kind: Kind, **fields: Any) -> None:
        now = _now()
        times = self._runs.times(seen.request.id, seen.attempt, now)
        event = event_of(seen, kind, now, started_at=times.started_at, duration_s=times.duration_s, **fields)
        accepted = self._publish(event)
        if is_mailed(event) and isinstance(seen.task, BaseTask):
            level, verb = (logging.INFO, "sent") if accepted else (logging.WARNING, "failed")
            message = f"Task completion email {verb} ({MAILED_OUTCOMES[event.status]})"
            log_with_context(seen.task, seen.request, level, message)

    def _is_main(self, **_: Any) -> None:
        self._main_process = os.getpid()
        self._installed.set_role("main")

    def _is_child(self, **_: Any) -> None:
        if os.getpid() != self._main_process:  # the pool "solo" has but one
            self._installed.set_role("child")

    def _flush(self, **_: Any) -> None:
        self._installed.publisher.flush()


def _arguments(body: Any) -> tuple[Any, Any]:
    """Positional and keyword arguments of a record's body, in either protocol."""
    if isinstance(body, Mapping):
        return body.get("args"), body.get("kwargs")
    return (body[0], body[1]) if isinstance(body, (tuple, list)) and len(body) > 1 else (None, None)
