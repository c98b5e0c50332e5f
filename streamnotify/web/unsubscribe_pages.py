"""What unsubscribe links lead to: GET shows what can be turned off, only POST turns it off (RFC 8058)."""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable, Iterable
from datetime import datetime

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response

from streamnotify.domain.preferences import MANDATORY_KINDS, UnsubscribeScope
from streamnotify.errors import EngineFailure, TopicsError
from streamnotify.render.unsubscribe import ExpiredToken, InvalidToken, UnsubscribeLinks
from streamnotify.web.commands import Commands
from streamnotify.web.forms import form_of
from streamnotify.web.pages import Pages
from streamnotify.wire.commands import Unsubscribe
from streamnotify.wire.topics import MAILBOXES

log = logging.getLogger(__name__)

_NAMES = {
    "task_completion": "Task results",
    "test_execution_summary": "Test run results",
    "task_status_alert": "Alerts about monitored tasks",
    "task_status_recovery": "All-clears of monitored tasks",
    "notification_digest": "Digests",
}
_NAMED = 8  # kinds
_RETRY_S = 60


class Choice(enum.StrEnum):
    """What can be turned off."""

    KINDS = "kinds"
    ORGANIZATION = "organization"
    EVERYTHING = "everything"


class UnsubscribePages:
    """The pages behind ``/unsubscribe/<token>``.

    Args:
        links: reads the tokens.
        commands: takes what people want.
        pages: makes the HTML.
        clock: the time now.
    """

    def __init__(
        self, links: UnsubscribeLinks, commands: Commands, pages: Pages, clock: Callable[[], datetime]
    ) -> None:
        self._links = links
        self._commands = commands
        self._pages = pages
        self._clock = clock
        self.router = APIRouter()
        self.router.add_api_route("/unsubscribe/{token}", self.show, methods=["GET", "HEAD"])
        self.router.add_api_route("/unsubscribe/{token}", self.act, methods=["POST"])

    async def show(self, token: str) -> Response:
        """What the link is about, and what can be turned off. Programs fetch links, so nothing is."""
        scope = self._opened(token)
        return self._pages.page("unsubscribe", scope=scope, kinds=names(scope.kinds), Choice=Choice)

    async def act(self, token: str, request: Request) -> Response:
        """Turn off what the form says, or what the mail was about if a mail program asks for its reader.

        The answer comes once the command is safe; there is no redirect, as RFC 8058 has it.
        """
        scope = self._opened(token)
        choice = _choice(await form_of(request), scope)
        if choice is Choice.KINDS and not names(scope.kinds):
            return self._pages.page("mandatory", 409)
        command = Unsubscribe(
            scope, whole_organization=choice is Choice.ORGANIZATION, everything=choice is Choice.EVERYTHING
        )
        try:
            await run_in_threadpool(self._commands.send, MAILBOXES, scope.mailbox, command)
        except (EngineFailure, TopicsError) as error:
            log.error("Nobody was unsubscribed: %s", error)
            return self._pages.page("unavailable", 503, {"Retry-After": str(_RETRY_S)})
        log.info("%s wants no more of %s", scope.mailbox, _in_words(choice, scope))
        return self._pages.page("unsubscribed", scope=scope, kinds=names(scope.kinds), choice=choice, Choice=Choice)

    def _opened(self, token: str) -> UnsubscribeScope:
        try:
            return self._links.opened(token, self._clock())
        except ExpiredToken:
            raise HTTPException(410) from None
        except InvalidToken:
            raise HTTPException(404) from None


def names(kinds: Iterable[str]) -> list[str]:
    """What to call those of the kinds that can be turned off; a few of them, if they are many."""
    found = [_NAMES.get(kind, kind.replace("_", " ")) for kind in kinds if kind not in MANDATORY_KINDS]
    return found if len(found) <= _NAMED else [*found[:_NAMED], f"{len(found) - _NAMED} more"]


def _choice(form: dict[str, str], scope: UnsubscribeScope) -> Choice:
    if form.get("List-Unsubscribe", "").strip().lower() == "one-click":
        return Choice.KINDS
    try:
        choice = Choice(form.get("choice", ""))
    except ValueError:
        raise HTTPException(400) from None
    if choice is Choice.ORGANIZATION and not scope.organization_id:
        raise HTTPException(400)
    return choice


def _in_words(choice: Choice, scope: UnsubscribeScope) -> str:
    if choice is Choice.KINDS:
        return ", ".join(scope.kinds)
    return f"organization {scope.organization_id}" if choice is Choice.ORGANIZATION else "everything"
