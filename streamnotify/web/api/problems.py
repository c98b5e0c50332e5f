"""What is answered when something is wrong: RFC 9457, and field by field where a request has fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus

import msgspec
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from streamnotify.wire.reading import below, reason_of

MEDIA_TYPE = "application/problem+json"
RETRY_S = 5  # seconds after which what is out of order may work again
_TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}  # RFC 9110's; Python's differ by release
_MOST_ERRORS = 100
_SHOWN = 200  # characters of a field's path

_DETAILS = {
    400: "the request is no HTTP of ours",
    404: "there is nothing here by this name, or it belongs to another organization",
    405: "this method is not allowed here",
    408: "the body did not come in time",
    413: "the body is too large",
    500: "this is a mistake of ours; the log of `streamnotify web` says more",
}


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong with a field. ``field`` is its path (``[3].notify.email``); empty: the request as a whole."""

    field: str
    reason: str


class Problem(HTTPException):
    """A request that is not carried out.

    Args:
        status: of HTTP.
        detail: why, in a sentence.
        errors: field by field.
        headers: of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, headers)
        self.errors = errors


def unavailable(detail: str) -> Problem:
    """The refusal for what may work a little later."""
    return Problem(503, detail, headers={"Retry-After": str(RETRY_S)})


async def answered(_: Request, error: Exception) -> Response:
    """The answer to a request that failed with ``error``."""
    if isinstance(error, RequestValidationError):
        return _response(422, "a parameter is wrong", list(_of_parameters(error)))
    if isinstance(error, Problem):
        return _response(error.status_code, error.detail, error.errors, error.headers)
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    return _response(status, _DETAILS.get(status) or HTTPStatus(status).phrase, (), headers)


def _response(
    status: int, detail: str, errors: Sequence[FieldError], headers: Mapping[str, str] | None = None
) -> Response:
    problem: dict[str, object] = {
        "type": "about:blank",
        "title": _TITLES.get(status) or HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if errors:
        problem["errors"] = errors[:_MOST_ERRORS]
    return Response(msgspec.json.encode(problem), status, headers, MEDIA_TYPE)


def _of_parameters(error: RequestValidationError) -> Iterable[FieldError]:
    for each in error.errors():
        path = ""
        for part in each["loc"][1:]:  # the first says where: query or path
            path = below(path, str(part))
        yield FieldError(path[:_SHOWN], reason_of(each))
