"""Reads JSON that is posted to us: strictly, and not too much or too deep of it."""

from __future__ import annotations

import json
from datetime import timedelta
from email.message import Message
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from streamnotify.logs import visible
from streamnotify.web.api.problems import FieldError, Problem
from streamnotify.web.bodies import body_of
from streamnotify.wire.strict_json import finite, no_constant, no_key_twice

MOST_DEPTH = 100  # objects and lists within one another
PATIENCE = timedelta(seconds=30)


async def json_of(request: Request, most: int, patience: timedelta = PATIENCE) -> Any:
    """The value that a request's body holds.

    Args:
        request: whose.
        most: how many bytes are allowed.
        patience: how long it may take to come.

    Raises:
        Problem: 415 if it is no JSON by its headers, 400 by its content.
        HTTPException: as :func:`streamnotify.web.bodies.body_of`.
    """
    return await run_in_threadpool(value_of, await json_text_of(request, most, patience))


async def json_text_of(request: Request, most: int, patience: timedelta = PATIENCE) -> bytes:
    """A request's body, unread, for :func:`value_of`; see :func:`json_of`."""
    _refuse_other_types(request)
    return await body_of(request, most, patience)


def value_of(body: bytes) -> Any:
    """The value that a body holds. It may take fifty times as much memory.

    Raises:
        Problem: 400 if it is not the JSON that is allowed.
    """
    text = _text(body)
    try:
        value = json.loads(text, object_pairs_hook=no_key_twice, parse_constant=no_constant, parse_float=finite)
    except json.JSONDecodeError as error:
        raise _no_json(f"no JSON at line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise _no_json("nested too deeply") from None
    except ValueError as error:
        raise _no_json(visible(str(error))) from None  # it may name what no UTF-8 can say
    if _is_deeper(value, MOST_DEPTH):
        raise _no_json("nested too deeply")
    return value


def _refuse_other_types(request: Request) -> None:
    described = Message()
    described["Content-Type"] = request.headers.get("content-type", "")
    charset = described.get_param("charset", "utf-8")
    is_utf8 = isinstance(charset, str) and charset.lower() in ("utf-8", "utf8")
    if described.get_content_type() != "application/json" or not is_utf8:
        raise Problem(
            415, "Content-Type: application/json is allowed, in UTF-8", headers={"Accept": "application/json"}
        )
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(415, "a body without Content-Encoding is allowed", headers={"Accept-Encoding": "identity"})


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise _no_json(f"not UTF-8 at byte {error.start}") from None


def _is_deeper(value: Any, most: int) -> bool:
    level = [value]
    for _ in range(most + 1):
        level = [part for each in level if isinstance(each, dict | list) for part in _parts(each)]
        if not level:
            return False
    return True


def _parts(value: dict[str, Any] | list[Any]) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value


def _no_json(reason: str) -> Problem:
    return Problem(400, "the body is not the JSON that is allowed", [FieldError("", reason[:500])])
