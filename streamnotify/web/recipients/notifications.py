"""The page that lists all notifications of a digest (SPEC section 6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response

from streamnotify.domain.alerts import ALERT, RECOVERY
from streamnotify.domain.recipients import USER
from streamnotify.domain.status import Status
from streamnotify.render.instants import instant
from streamnotify.render.recipient_links import DigestScope
from streamnotify.render.signed_links import Opened, SignedLinks
from streamnotify.render.variables import line
from streamnotify.web.pages import Pages
from streamnotify.web.read_model.answers import DigestItem
from streamnotify.web.read_model.cursors import BadCursor
from streamnotify.web.read_model.queries import ReadModel
from streamnotify.web.recipients.visits import opened

PER_PAGE = 50
KEPT_FOR = timedelta(days=30)  # records on notification-status
_ERROR_LIMIT = 200  # characters
_OUTCOMES = {Status.COMPLETED: "completed", Status.STOPPED: "failed", Status.CANCELLED: "cancelled"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A notification as the page lists it; ``outcome`` is ``failed``, ``alert``, ``completed``, ``resolved``,
    ``cancelled`` or, where nothing is known of the run any more, ``ended``."""

    outcome: str
    name: str
    at: str
    task_id: str | None
    monitor: str | None
    error_message: str | None


class NotificationPages:
    """The pages behind ``/notifications/<token>``.

    Args:
        links: reads the tokens.
        pages: makes the HTML.
        read_model: what is known so far.
        clock: the time now.
    """

    def __init__(
        self,
        links: SignedLinks[DigestScope],
        pages: Pages,
        read_model: ReadModel,
        clock: Callable[[], datetime],
    ) -> None:
        self._links = links
        self._pages = pages
        self._read_model = read_model
        self._clock = clock
        self.router = APIRouter()
        self.router.add_api_route("/notifications/{token}", self.show, methods=["GET", "HEAD"])

    async def show(self, token: str, after: str | None = None) -> Response:
        """The newest of them, or those after a page's last one."""
        link = opened(self._links, token, self._clock())
        return await run_in_threadpool(self._page, link, after)

    def _page(self, link: Opened[DigestScope], after: str | None) -> Response:
        scope = link.scope
        try:
            found = self._read_model.digest_items(scope.digest_id, organization=None, after=after, limit=PER_PAGE)
        except BadCursor:
            raise HTTPException(404) from None
        timezone = self._timezone(scope.mailbox)
        return self._pages.page(
            "notifications",
            total=scope.total,
            listed=found.listed,
            sections=_by_organization(found.items, timezone),
            is_first=after is None,
            next=found.next,
            missing=max(scope.total - found.listed, 0),
            is_old=self._clock() >= link.issued_at + KEPT_FOR,
            sent_at=instant(link.issued_at, timezone),
        )

    def _timezone(self, mailbox: str) -> str | None:
        user = self._read_model.user(mailbox.removeprefix(USER)) if mailbox.startswith(USER) else None
        return None if user is None else user.profile.timezone


def _by_organization(items: Iterable[DigestItem], timezone: str | None) -> list[tuple[str | None, list[Entry]]]:
    """The page's entries under their organizations, in the order in which these have the newest; none last."""
    found: dict[str | None, list[Entry]] = {}
    for item in items:
        found.setdefault(item.notification.organization_id, []).append(_entry(item, timezone))
    return sorted(found.items(), key=lambda section: section[0] is None)


def _entry(item: DigestItem, timezone: str | None) -> Entry:
    told = item.notification
    return Entry(
        outcome=_outcome(told.kind, item.run_status),
        name=line(item.display_name) or line(told.task_name) or "A notification",
        at=instant(told.created_at, timezone),
        task_id=line(told.task_id) if told.monitor is None else None,  # an alert's is the check's, which tells nothing
        monitor=line(told.monitor),
        error_message=line(item.error_message, _ERROR_LIMIT) if item.run_status is Status.STOPPED else None,
    )


def _outcome(kind: str | None, status: Status | None) -> str:
    if kind == ALERT:
        return "alert"
    if kind == RECOVERY:
        return "resolved"
    return _OUTCOMES.get(status, "ended") if status is not None else "ended"
