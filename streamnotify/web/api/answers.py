"""Answers of the read model as JSON, and what a caller may see of it."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from streamnotify.web.api.access import caller
from streamnotify.web.api.problems import FieldError, Problem

T = TypeVar("T")


def as_json(answer: Any, status: int = 200) -> Response:
    """An answer's structs, lists and dicts as JSON."""
    return Response(msgspec.json.encode(answer), status, media_type="application/json")


def organization_of(request: Request, asked: str | None = None) -> str | None:
    """What the caller may see: its own organization, or the one ``asked`` for, None meaning all.

    Raises:
        Problem: if it is bound to one and asks for another.
    """
    own = caller(request).organization_id
    if own is not None and asked not in (None, own):
        reason = f"the token is bound to organization {own}"
        raise Problem(403, "the token is bound to another organization", [FieldError("organization", reason)])
    return asked if own is None else own


def found(answer: T | None) -> T:
    """The answer.

    Raises:
        Problem: if there is none. Whose it is is not said: a foreign one is missing, too.
    """
    if answer is None:
        raise Problem(404, "there is nothing here by this name, or it belongs to another organization")
    return answer
