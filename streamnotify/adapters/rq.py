"""RQ: ``rq worker -w streamnotify.adapters.rq.NotifyingWorker`` publishes what becomes of every job.

Whom to tell stands in ``job.meta``: ``organization_id``, ``user_id`` and ``notify``, as in SPEC 2.1.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from datetime import datetime
from typing import Any

from rq import Queue
from rq.exceptions import AbandonedJobError, DeserializationError
from rq.executions import Execution
from rq.job import Job, JobStatus
from rq.timeouts import JobTimeoutException
from rq.worker import BaseWorker, SimpleWorker, SpawnWorker, Worker

from streamnotify.adapters.attempt import Attempt, error_of
from streamnotify.adapters.guarding import guarded
from streamnotify.adapters.opting_in import id_in, notify_of
from streamnotify.domain.status import Status
from streamnotify.sdk.api import default_publisher
from streamnotify.sdk.event import ErrorInfo, TaskEvent

_ATTEMPTS = "streamnotify_attempts:"  # counted in the job's hash: RQ only knows how many are left


class _Notifying(BaseWorker):
    """Tells about the jobs of a worker, whether it runs them itself, forks or spawns for them."""

    _attempt: Attempt | None = None  # the one under way; a forked horse inherits it

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.push_exc_handler(_tell_abandoned)  # type: ignore[no-untyped-call]

    def prepare_execution(self, job: Job) -> Execution:
        """In the worker, before there is a horse: what is counted here outlives it."""
        self._count(job)
        return super().prepare_execution(job)

    def perform_job(self, job: Job, *args: Any, **kwargs: Any) -> bool:
        """A horse ends by ``os._exit``, which waits for nobody, so Kafka must have its events before."""
        self._tell_running(job)
        try:
            return super().perform_job(job, *args, **kwargs)
        finally:
            if self.is_horse:
                guarded(default_publisher().flush)()

    def handle_job_success(self, job: Job, *args: Any, **kwargs: Any) -> None:
        """Told once Redis has it."""
        super().handle_job_success(job, *args, **kwargs)
        self._tell_end(job, Status.COMPLETED)

    def handle_job_retry(self, job: Job, *args: Any, **kwargs: Any) -> None:
        """The job has returned ``Retry``."""
        super().handle_job_retry(job, *args, **kwargs)
        final = job.get_status(refresh=False) == JobStatus.FAILED
        self._tell_end(job, Status.STOPPED, ErrorInfo(message="It asks for a retry."), final=final)

    def handle_job_failure(self, job: Job, *args: Any, **kwargs: Any) -> None:
        """In the horse with the job's exception; in the worker, without one, if the horse is gone."""
        exception, final = sys.exc_info()[1], not job.should_retry
        super().handle_job_failure(job, *args, **kwargs)
        if job.get_status(refresh=False) == JobStatus.STOPPED:
            self._tell_end(job, Status.CANCELLED)
            return
        error = ErrorInfo(message=kwargs.get("exc_string", "").rstrip("; "), cause="worker_lost")
        if exception is not None:
            error = error_of(exception, "time_limit" if isinstance(exception, JobTimeoutException) else "exception")
        self._tell_end(job, Status.STOPPED, error, final=final)

    @guarded
    def _count(self, job: Job) -> None:
        self._attempt = None
        self._attempt = Attempt(_event(job, self.connection.hincrby(job.key, _ATTEMPTS + _run(job), 1)))
        self._attempt.clock()

    @guarded
    def _tell_running(self, job: Job) -> None:
        self._attempt = self._attempt or _attempt_in_redis(job)  # a spawned horse inherits nothing
        self._attempt.begin()

    @guarded
    def _tell_end(self, job: Job, status: Status, error: ErrorInfo | None = None, *, final: bool = True) -> None:
        attempt = self._attempt or _attempt_in_redis(job)
        result = job.return_value() if status is Status.COMPLETED and attempt.event.notify else None
        attempt.end(status, result=result, error=error, final=final)


class NotifyingWorker(_Notifying, Worker):
    """RQ's own worker, which forks for every job."""


class NotifyingSpawnWorker(_Notifying, SpawnWorker):
    """The one that starts a new Python for every job."""


class NotifyingSimpleWorker(_Notifying, SimpleWorker):
    """The one that runs the jobs in its own process."""


class NotifyingQueue(Queue):
    """Publishes Pending when a job is enqueued for the first time, too."""

    def _enqueue_job(self, job: Job, *args: Any, **kwargs: Any) -> Job:
        if self.is_async and job.started_at is None:
            guarded(lambda: default_publisher().publish(_event(job, 1)))()
        return super()._enqueue_job(job, *args, **kwargs)


@guarded
def _tell_abandoned(job: Job, error_type: type[BaseException], *_: object) -> None:
    """An exception handler of every worker: by it one learns that another worker is gone, with the job it had."""
    if issubclass(error_type, AbandonedJobError):
        error = ErrorInfo(message="The worker is gone.", cause="worker_lost")
        _attempt_in_redis(job, job.started_at).end(Status.STOPPED, error=error, final=not job.should_retry)


def _attempt_in_redis(job: Job, started_at: datetime | None = None) -> Attempt:
    return Attempt(_event(job, int(job.connection.hget(job.key, _ATTEMPTS + _run(job)) or 1), started_at))


def _event(job: Job, attempt: int, started_at: datetime | None = None) -> TaskEvent:
    return TaskEvent(
        task_name=_name(job),
        task_id=_run(job),
        status=Status.PENDING,
        attempt=attempt,
        max_attempts=None if job.retries_left is None else attempt + job.retries_left,
        submitted_at=job.created_at,
        started_at=started_at,
        notify=notify_of(job.meta.get("notify")),
        organization_id=id_in(job.meta, "organization_id"),
        user_id=id_in(job.meta, "user_id"),
    )


def _run(job: Job) -> str:
    """A job that repeats itself keeps its id, but each repetition is a run."""
    return job.id if job.repeats_left is None else f"{job.id}:{job.repeats_left}"


def _name(job: Job) -> str:
    with suppress(DeserializationError):  # by which the job will fail
        return job.func_name or job.id
    return (job.description or job.id).partition("(")[0]
