"""What unsubscribe links lead to: GET shows what can be turned off, only POST turns it off (RFC 8058)."""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from streamnotify.domain.preferences import UnsubscribeScope
from streamnotify.render.recipient_links import RecipientLinks
from streamnotify.render.signed_links import Opened
from streamnotify.web.commands import Commands
from streamnotify.web.forms import form_of
from streamnotify.web.pages import Pages
from streamnotify.web.recipients.kinds import names
from streamnotify.web.recipients.visits import opened, tell
from streamnotify.wire.commands import Unsubscribe

log = logging.getLogger(__name__)


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

    def __init__(self, links: RecipientLinks, commands: Commands, pages: Pages, clock: Callable[[], datetime]) -> None:
        self._links = links
        self._commands = commands
        self._pages = pages
        self._clock = clock
        self.router = APIRouter()
        self.router.add_api_route("/unsubscribe/{token}", self.show, methods=["GET", "HEAD"])
        self.router.add_api_route("/unsubscribe/{token}", self.act, methods=["POST"])

    async def show(self, token: str) -> Response:
        """What the link is about, and what can be turned off. Programs fetch links, so nothing is."""
        link = opened(self._links.unsubscribe, token, self._clock())
        return self._page("unsubscribe", link)

    async def act(self, token: str, request: Request) -> Response:
        """Turn off what the form says, or what the mail was about if a mail program asks for its reader.

        The answer comes once the command is safe; there is no redirect, as RFC 8058 has it.
        """
        link = opened(self._links.unsubscribe, token, self._clock())
        scope = link.scope
        choice = _choice(await form_of(request), scope)
        if choice is Choice.KINDS and not names(scope.kinds):
            return self._pages.page("mandatory", 409)
        command = Unsubscribe(
            scope, whole_organization=choice is Choice.ORGANIZATION, everything=choice is Choice.EVERYTHING
        )
        await tell(self._commands, scope.mailbox, command)
        log.info("%s wants no more of %s", scope.mailbox, _in_words(choice, scope))
        return self._page("unsubscribed", link, choice=choice)

    def _page(self, template: str, link: Opened[UnsubscribeScope], **variables: Any) -> Response:
        scope = link.scope
        # As old as the mail: no link lives longer by leading to another.
        url = self._links.preferences.url(scope, link.issued_at)
        return self._pages.page(
            template,
            scope=scope,
            kinds=names(scope.kinds),
            Choice=Choice,
            preferences_url=None if url is None else urlsplit(url).path,
            **variables,
        )


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
