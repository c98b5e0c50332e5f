"""Airflow: a plugin whose listener publishes what becomes of every DAG run and task instance; no DAG is edited.

Its entry point tells Airflow of it where streamnotify is installed. Task instances are silent, for monitors only. Whom
to tell how a DAG run ended stands under ``streamnotify`` in the DAG's ``default_args`` or, which wins, in the ``conf``
that it was triggered with: ``organization_id``, ``user_id`` and ``notify`` (SPEC 2.1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

from streamnotify.adapters.attempt import Attempt, error_of
from streamnotify.adapters.guarding import guarded
from streamnotify.adapters.opting_in import id_in, notify_of
from streamnotify.domain.status import Status
from streamnotify.sdk.api import default_publisher
from streamnotify.sdk.event import ErrorInfo, TaskEvent

KEY = "streamnotify"
_REASONS = {
    "task_failure": "A task of it has failed.",
    "all_tasks_deadlocked": "None of its tasks can run.",
    "timed_out": "It has taken longer than its DAG allows.",
}
P = ParamSpec("P")


def _hook(function: Callable[P, None]) -> Callable[P, None]:
    hook: Callable[P, None] = hookimpl(guarded(function))
    return hook


class TaskEvents:
    """The listener. Airflow calls it in the scheduler, the API server and the process of each task instance."""

    def __init__(self) -> None:
        self._attempt: Attempt | None = None  # that of the task instance whose process this is

    @_hook
    def on_dag_run_running(self, dag_run: Any) -> None:
        """Running."""
        default_publisher().publish(_dag_run(dag_run))

    @_hook
    def on_dag_run_success(self, dag_run: Any) -> None:
        """Completed."""
        Attempt(_dag_run(dag_run)).end(Status.COMPLETED)

    @_hook
    def on_dag_run_failed(self, dag_run: Any, msg: str) -> None:
        """Stopped. Which tasks have failed is in Airflow's database, where a listener must not look: it is in the
        middle of a transaction of the scheduler's."""
        Attempt(_dag_run(dag_run)).end(Status.STOPPED, error=ErrorInfo(message=_REASONS.get(msg, msg)))

    @_hook
    def on_task_instance_running(self, task_instance: Any) -> None:
        """Running."""
        self._attempt = Attempt(_task_instance(task_instance))
        self._attempt.begin()

    @_hook
    def on_task_instance_success(self, task_instance: Any) -> None:
        """Completed."""
        self._attempt_of(task_instance).end(Status.COMPLETED)

    @_hook
    def on_task_instance_skipped(self, task_instance: Any) -> None:
        """Cancelled: it has decided that there is nothing to do."""
        self._attempt_of(task_instance).end(Status.CANCELLED)

    @_hook
    def on_task_instance_failed(self, task_instance: Any, error: str | BaseException | None) -> None:
        """Stopped. A text instead of an exception comes from the scheduler, which has missed the task's process."""
        lost = ErrorInfo(message=error if isinstance(error, str) else None, cause="worker_lost")
        reason = error_of(error) if isinstance(error, BaseException) else lost
        self._attempt_of(task_instance).end(Status.STOPPED, error=reason, final=task_instance.state != "up_for_retry")

    @_hook
    def before_stopping(self) -> None:
        """The process of a task instance ends by ``os._exit``, which waits for nobody."""
        default_publisher().flush()

    def _attempt_of(self, task_instance: Any) -> Attempt:
        event = _task_instance(task_instance)
        attempt, self._attempt = self._attempt, None
        if attempt is not None and (attempt.event.task_name, attempt.event.task_id) == (event.task_name, event.task_id):
            return attempt
        return Attempt(event)


class StreamnotifyPlugin(AirflowPlugin):  # type: ignore[misc] # Airflow is not installed where types are checked
    """What Airflow looks for."""

    name = "streamnotify"
    listeners = [TaskEvents()]  # noqa: RUF012 - as Airflow has it


def _dag_run(dag_run: Any) -> TaskEvent:
    begun, ended = dag_run.start_date, dag_run.end_date
    wish = _wish(getattr(dag_run, "dag", None)) | ((dag_run.conf or {}).get(KEY) or {})
    return TaskEvent(
        task_name=dag_run.dag_id,
        task_id=dag_run.run_id,
        status=Status.RUNNING,
        attempt=dag_run.clear_number + 1,
        submitted_at=dag_run.queued_at,
        started_at=begun,
        finished_at=ended,
        duration_s=(ended - begun).total_seconds() if begun and ended else None,
        organization_id=id_in(wish, "organization_id"),
        user_id=id_in(wish, "user_id"),
        notify=notify_of(wish.get("notify")),
    )


def _task_instance(task_instance: Any) -> TaskEvent:
    mapped = task_instance.map_index is not None and task_instance.map_index >= 0
    return TaskEvent(
        task_name=f"{task_instance.dag_id}.{task_instance.task_id}",
        task_id=f"{task_instance.run_id}[{task_instance.map_index}]" if mapped else task_instance.run_id,
        status=Status.RUNNING,
        attempt=max(task_instance.try_number, 1),
        max_attempts=task_instance.max_tries + 1,
        started_at=task_instance.start_date,
        organization_id=id_in(_wish(getattr(getattr(task_instance, "task", None), "dag", None)), "organization_id"),
    )


def _wish(dag: Any) -> dict[str, Any]:
    return dict((getattr(dag, "default_args", None) or {}).get(KEY) or {})
