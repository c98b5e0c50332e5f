"""Why somebody was told, or was not: the story of ``streamnotify why``, from the read model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from streamnotify.domain.notifications import DIGEST
from streamnotify.web.api.access import Access
from streamnotify.web.api.answers import as_json, found, organization_of
from streamnotify.web.api.routes import Routes
from streamnotify.web.api.tokens import Scope
from streamnotify.web.read_model.answers import Step
from streamnotify.web.read_model.queries import ReadModel
from streamnotify.why.runs import RunFindings
from streamnotify.why.story import described, digests_of, lines, story
from streamnotify.wire.notification_status import NotificationStatus, NotificationStep

_MOST = 20  # notifications about a run
_MOST_ROUNDS = 20  # from a digest that was handed on to the next


class Why:
    """The route, on ``router``; see :class:`streamnotify.web.api.reads.Reads`."""

    def __init__(self, model: ReadModel, access: Access, clock: Callable[[], datetime]) -> None:
        self._model = model
        self._clock = clock
        routes = Routes(access, Scope.READ)
        routes.read("/why/{id:path}", self.why, "Why", may_miss=True)
        self.router = routes.router

    def why(self, request: Request, id: str) -> Response:
        """Ask what became of a notification or of a run's notifications, and why.

        The id is a notification's or a digest's, or a run's `task_id`. Of a run without a notification `none_because`
        says why it has none.
        """
        organization = organization_of(request)
        asked = [id] if self._model.steps_of(id, organization=organization) else self._about(id, organization)
        steps = self._steps(asked, organization)
        told = [story(each, steps) for each in asked]
        none_because = [] if told else self._why_none(id, organization)
        now = self._clock()
        answer = {
            "notifications": [{**described(each), "lines": list(lines(each, now))} for each in told],
            "none_because": none_because,
        }
        return as_json(found(answer if told or none_because else None))

    def _about(self, task_id: str, organization: str | None) -> list[str]:
        """The notifications about a run, the oldest first."""
        page = self._model.notifications(organization=organization, task_id=task_id, limit=_MOST)
        return [each.notification_id for each in reversed(page.items)]

    def _steps(self, asked: Iterable[str], organization: str | None) -> dict[str, list[NotificationStatus]]:
        """The steps of notifications and of the digests they lay in."""
        known = {each: _records(self._model.steps_of(each, organization=organization)) for each in asked}
        wanted = {digest for steps in known.values() for digest in digests_of(steps)}
        for _ in range(_MOST_ROUNDS):
            wanted -= known.keys()
            if not wanted:
                break
            new = {each: _records(self._of_digest(each, organization)) for each in wanted}
            known |= new
            wanted = {digest for steps in new.values() for digest in digests_of(steps)}
        return known

    def _of_digest(self, digest_id: str, organization: str | None) -> list[Step]:
        """The steps of a digest, as far as they are of the organization's concern.

        Its recipient is that of the notification in it, but it may be about other organizations, too: what it says in
        its subject, and how many it stands for, is nobody else's.
        """
        steps = self._model.steps_of(digest_id, organization=None)
        if organization is None:
            return list(steps)
        return [seen for step in steps if (seen := _as_seen_by(organization, step)) is not None]

    def _why_none(self, task_id: str, organization: str | None) -> list[str]:
        facts = self._model.facts(task_id, organization=organization)
        return list(RunFindings(task_id, facts, ()).lines()) if facts else []


def _as_seen_by(organization: str, step: Step) -> Step | None:
    is_partial_drop = step.status is NotificationStep.SUPPRESSED and step.count is not None and step.message_id is None
    if step.organization_id == organization or (is_partial_drop and step.kind in (None, DIGEST)):
        return step
    if is_partial_drop:
        return None
    return msgspec.structs.replace(step, subject=None, count=None, organization_id=None)


def _records(steps: Iterable[Step]) -> list[NotificationStatus]:
    given: list[dict[str, Any]] = [msgspec.structs.asdict(step) for step in steps]
    return [NotificationStatus(**each) for each in given]
