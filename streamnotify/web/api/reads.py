"""What can be read: runs, monitors, checks, notifications and dead letters."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from streamnotify.web.api import parameters as query
from streamnotify.web.api.access import Access
from streamnotify.web.api.answers import as_json, found, organization_of
from streamnotify.web.api.problems import FieldError, Problem
from streamnotify.web.api.routes import Routes
from streamnotify.web.api.tokens import Scope
from streamnotify.web.read_model.answers import Page, Run
from streamnotify.web.read_model.cursors import BadCursor
from streamnotify.web.read_model.queries import ReadModel

_PAGE = 50


class Reads:
    """The routes of the scope read, on ``router``.

    Args:
        model: answers.
        access: lets callers in.
        clock: the time now.
    """

    def __init__(self, model: ReadModel, access: Access, clock: Callable[[], datetime]) -> None:
        self._model = model
        self._clock = clock
        routes = Routes(access, Scope.READ)
        routes.read("/tasks", self.runs, "RunPage")
        routes.read("/tasks/{task_id:path}", self.run, "Run", may_miss=True)
        routes.read("/monitors", self.monitors, "MonitorPage")
        routes.read("/monitors/{name:path}", self.monitor, "Monitor", may_miss=True)
        routes.read("/monitor-results", self.monitor_results, "MonitorResultPage")
        routes.read("/notifications", self.notifications, "NotificationPage")
        routes.read("/notifications/{notification_id:path}", self.notification, "NotificationDetail", may_miss=True)
        routes.read("/status", self.status, "ReadModelStatus")
        self.router = routes.router

    def runs(
        self,
        request: Request,
        organization: query.Organization = None,
        task_name: query.TaskName = None,
        user_id: query.UserId = None,
        status: query.RunStatus = None,
        since: query.Since = None,
        until: query.Until = None,
        cursor: query.Cursor = None,
        limit: query.Limit = _PAGE,
    ) -> Response:
        """List runs, the newest first.

        By when they started, or as long as they have not when they were queued. Their `result` is left out: ask for
        the run.
        """
        return _page(
            self._runs_without_result,
            cursor,
            organization=organization_of(request, organization),
            task_name=task_name,
            user_id=user_id,
            status=status,
            since=since,
            until=until,
            limit=limit,
        )

    def _runs_without_result(self, **arguments: Any) -> Page[Run]:
        """Results may be large, and two hundred of them very large."""
        page = self._model.runs(**arguments)
        return Page(tuple(replace(run, result=None) for run in page.items), page.next)

    def run(self, request: Request, task_id: str, task_name: query.TaskName = None) -> Response:
        """See a run.

        Of several with this id, which only different tasks may have, the newest; `task_name` says which is meant.
        """
        return as_json(found(self._model.run(task_id, organization=organization_of(request), task_name=task_name)))

    def monitors(
        self,
        request: Request,
        organization: query.Organization = None,
        cursor: query.Cursor = None,
        limit: query.Limit = _PAGE,
    ) -> Response:
        """List monitors by name.

        Of a monitor only the tasks that belong to the organization are shown.
        """
        within = organization_of(request, organization)
        return _page(self._model.monitors, cursor, organization=within, limit=limit)

    def monitor(self, request: Request, name: str) -> Response:
        """See a monitor.

        Of its tasks only those that belong to the organization are shown.
        """
        return as_json(found(self._model.monitor(name, organization=organization_of(request))))

    def monitor_results(
        self,
        request: Request,
        organization: query.Organization = None,
        monitor: query.MonitorName = None,
        task_name: query.TaskName = None,
        verdict: query.VerdictFilter = None,
        since: query.Since = None,
        until: query.Until = None,
        cursor: query.Cursor = None,
        limit: query.Limit = _PAGE,
    ) -> Response:
        """List checks and what they came to, the newest first.

        A check belongs to the organization that the monitor's task has now.
        """
        return _page(
            self._model.monitor_results,
            cursor,
            organization=organization_of(request, organization),
            monitor=monitor,
            task_name=task_name,
            verdict=verdict,
            since=since,
            until=until,
            limit=limit,
        )

    def notifications(
        self,
        request: Request,
        organization: query.Organization = None,
        to: query.To = None,
        user_id: query.UserId = None,
        task_name: query.TaskName = None,
        task_id: query.TaskId = None,
        monitor: query.MonitorName = None,
        status: query.Step = None,
        kind: query.Kind = None,
        since: query.Since = None,
        until: query.Until = None,
        cursor: query.Cursor = None,
        limit: query.Limit = _PAGE,
    ) -> Response:
        """List notifications and digests, the newest first.

        Digests about several organizations belong to none.
        """
        return _page(
            self._model.notifications,
            cursor,
            organization=organization_of(request, organization),
            address=to,
            user_id=user_id,
            task_name=task_name,
            task_id=task_id,
            monitor=monitor,
            status=status,
            kind=kind,
            since=since,
            until=until,
            limit=limit,
        )

    def notification(self, request: Request, notification_id: str) -> Response:
        """See a notification or digest with all its steps."""
        organization = organization_of(request)
        notification = found(self._model.notification(notification_id, organization=organization))
        steps = self._model.steps_of(notification_id, organization=organization)
        return as_json({"notification": notification, "steps": steps})

    def status(self, request: Request) -> Response:
        """See how far what is answered here is behind.

        It is read from topics, and what was published a moment ago may be missing.
        """
        return as_json({"read_model": self._model.freshness(self._clock())})


class DeadLetterReads:
    """The routes of the scope admin, on ``router``; see Reads."""

    def __init__(self, model: ReadModel, access: Access) -> None:
        self._model = model
        routes = Routes(access, Scope.ADMIN)
        routes.read("/dead-letters", self.dead_letters, "DeadLetterPage")
        self.router = routes.router

    def dead_letters(
        self,
        request: Request,
        topic: query.Topic = None,
        stage: query.Stage = None,
        since: query.Since = None,
        until: query.Until = None,
        cursor: query.Cursor = None,
        limit: query.Limit = _PAGE,
    ) -> Response:
        """List the records that could not be used, the newest first.

        `streamnotify dead-letters show ID` shows one whole, `replay` puts it back.
        """
        return _page(
            self._model.dead_letters,
            cursor,
            organization=organization_of(request),
            topic=topic,
            stage=stage,
            since=since,
            until=until,
            limit=limit,
        )


def _page(ask: Callable[..., Any], cursor: str | None, **arguments: Any) -> Response:
    try:
        return as_json(ask(after=cursor, **arguments))
    except BadCursor as error:
        raise Problem(422, "a parameter is wrong", [FieldError("cursor", str(error))]) from None
