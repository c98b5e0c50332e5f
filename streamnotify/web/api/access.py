"""Who asks, and whether they may."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from datetime import datetime

from starlette.requests import Request

from streamnotify.web.api.limits import Limit
from streamnotify.web.api.problems import Problem
from streamnotify.web.api.token_file import TokenFile
from streamnotify.web.api.tokens import Scope, Token

log = logging.getLogger(__name__)

REALM = "streamnotify"
_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/-]{1,200}=*)", re.IGNORECASE)  # RFC 6750 section 2.1

Dependency = Callable[[Request], Awaitable[None]]


def token_limit() -> Limit:
    """How often a token may be used."""
    return Limit(at_once=100, per_second=20)


def address_limit() -> Limit:
    """How often somebody without a good token may come. Those with one are not held up by it, so that nobody can shut
    out others who come through the same proxy."""
    return Limit(at_once=20, per_second=1)


class Access:
    """Lets in who has a token.

    Args:
        tokens: who holds which.
        clock: the time now.
        per_token, per_address: how often they may come.
    """

    def __init__(self, tokens: TokenFile, clock: Callable[[], datetime], per_token: Limit, per_address: Limit) -> None:
        self._tokens = tokens
        self._clock = clock
        self._per_token = per_token
        self._per_address = per_address

    def needing(self, scope: Scope) -> Dependency:
        """The dependency of routes that need ``scope``; :func:`caller` then says whose token it is."""

        async def admitted(request: Request) -> None:
            token = self._holder(request)
            _refuse_if_too_often(self._per_token.wait_s(token.name))
            if scope not in token.scopes:
                challenge = f'Bearer realm="{REALM}", error="insufficient_scope", scope="{scope}"'
                detail = f"the token's scopes are {', '.join(token.scopes)}: this needs {scope}"
                raise Problem(403, detail, headers={"WWW-Authenticate": challenge})
            request.state.caller = token

        return admitted

    async def anybody(self, request: Request) -> None:
        """The dependency of routes that are open."""
        _refuse_if_too_often(self._per_address.wait_s(_address(request)))

    def _holder(self, request: Request) -> Token:
        given = request.headers.getlist("authorization")
        if not given:
            raise self._refused(request, "there is no token: Authorization: Bearer … is needed", None)
        bearer = _BEARER.fullmatch(given[0].strip()) if len(given) == 1 else None
        token = None if bearer is None else self._tokens.holder(bearer[1])
        if token is None:
            raise self._refused(request, "nobody knows this token", "invalid_token")
        if token.has_expired(self._clock()):
            raise self._refused(request, "the token has expired", "invalid_token")
        return token

    def _refused(self, request: Request, why: str, error: str | None) -> Problem:
        address = _address(request)
        _refuse_if_too_often(self._per_address.wait_s(address))
        log.warning("Refused a request from %s: %s", address, why)
        challenge = f'Bearer realm="{REALM}"' + (f', error="{error}", error_description="{why}"' if error else "")
        return Problem(401, why, headers={"WWW-Authenticate": challenge})


def caller(request: Request) -> Token:
    """Whose token a request came with that was let in."""
    token: Token = request.state.caller
    return token


def _refuse_if_too_often(wait_s: int) -> None:
    if wait_s:
        raise Problem(429, "too many requests", headers={"Retry-After": str(wait_s)})


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"
