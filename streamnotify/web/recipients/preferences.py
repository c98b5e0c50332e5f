"""The page on which somebody says what they want to be mailed, and when."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec
from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response

from streamnotify.domain.preference_changes import PreferenceChange
from streamnotify.domain.preferences import UnsubscribeScope
from streamnotify.render.signed_links import SignedLinks
from streamnotify.web.commands import Commands
from streamnotify.web.forms import form_of
from streamnotify.web.pages import Pages
from streamnotify.web.read_model.queries import ReadModel
from streamnotify.web.recipients.known import known_of
from streamnotify.web.recipients.preference_form import MAX_BYTES, BadForm, posted
from streamnotify.web.recipients.preference_view import PreferenceView, view_of
from streamnotify.web.recipients.preference_words import shown_words, wished_for
from streamnotify.web.recipients.visits import opened, refuse_foreign_forms, tell
from streamnotify.wire.commands import ChangePreferences

log = logging.getLogger(__name__)


class PreferencePages:
    """The page behind ``/preferences/<token>``: GET shows it, POST changes what was changed in it.

    Args:
        public_url: where the page is reached from outside.
        links: reads the tokens.
        commands: takes what people want.
        pages: makes the HTML.
        read_model: what is known so far.
        clock: the time now.
    """

    def __init__(
        self,
        public_url: str,
        links: SignedLinks[UnsubscribeScope],
        commands: Commands,
        pages: Pages,
        read_model: ReadModel,
        clock: Callable[[], datetime],
    ) -> None:
        self._public_url = public_url
        self._links = links
        self._commands = commands
        self._pages = pages
        self._read_model = read_model
        self._clock = clock
        self.router = APIRouter()
        self.router.add_api_route("/preferences/{token}", self.show, methods=["GET", "HEAD"])
        self.router.add_api_route("/preferences/{token}", self.act, methods=["POST"])

    async def show(self, token: str) -> Response:
        """What somebody wants, as far as it is known."""
        scope = opened(self._links, token, self._clock()).scope
        return await self._page(scope)

    async def act(self, token: str, request: Request) -> Response:
        """Pass on what was changed, and nothing else. The answer comes once it is safe, and shows what was wished for:
        what is known may lag behind."""
        refuse_foreign_forms(request, self._public_url)
        scope = opened(self._links, token, self._clock()).scope
        try:
            came = posted(await form_of(request, most=MAX_BYTES))
        except BadForm:
            raise HTTPException(400) from None
        if came.errors:
            return await self._page(scope, came.view, came.shown, errors=came.errors)
        if came.change != PreferenceChange():
            await tell(self._commands, scope.mailbox, ChangePreferences(scope.mailbox, came.change))
            log.info("%s wants other mails: %s", scope.mailbox, came.change)
        return await self._page(scope, came.view, change=came.change)

    async def _page(
        self,
        scope: UnsubscribeScope,
        view: PreferenceView | None = None,
        shown: PreferenceView | None = None,
        *,
        errors: Mapping[str, str] | None = None,
        change: PreferenceChange | None = None,
    ) -> Response:
        known = await run_in_threadpool(known_of, scope.mailbox, self._read_model, scope.organization_id)
        view = view or view_of(known, scope.kinds, scope.organization_id)
        return self._pages.page(
            "preferences",
            422 if errors else 200,
            view=view,
            shown=msgspec.json.encode(shown or view).decode(),
            errors=errors or {},
            done=None if change is None else wished_for(change),
            **shown_words(known, view),
        )
