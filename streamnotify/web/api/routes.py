"""Routes of one scope: who may come, what is taken, and what is said about them in the OpenAPI document."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any

from fastapi import APIRouter, Depends
from starlette.requests import Request

from streamnotify.web.api.access import Access
from streamnotify.web.api.problems import MEDIA_TYPE, FieldError, Problem
from streamnotify.web.api.tokens import Scope

_REFERENCE = "#/components/schemas/"
REFUSALS = {
    400: "The body is not the JSON that is allowed.",
    401: "There is no token, nobody knows it, or it has expired.",
    403: "The token lacks the scope, or is bound to another organization.",
    404: "There is nothing by this name, or it belongs to another organization.",
    408: "The body did not come in time.",
    409: "The token names nobody to write to.",
    413: "The body is too large.",
    415: "The body is no JSON by its headers.",
    422: "A parameter or a field is wrong; `errors` says which and why.",
    429: "Too many requests; `Retry-After` says when to come again.",
    503: "Kafka does not answer, or too much is being posted; `Retry-After` says when to come again.",
}
_OF_READS = (401, 403, 422, 429)
_OF_POSTS = (400, 401, 403, 408, 413, 415, 422, 429, 503)


class Routes:
    """Routes that need ``scope``; they are on ``router``."""

    def __init__(self, access: Access, scope: Scope) -> None:
        self._scope = scope
        self.router = APIRouter(dependencies=[Depends(access.needing(scope))])

    def read(self, path: str, endpoint: Callable[..., Any], answer: str, *, may_miss: bool = False) -> None:
        """GET and HEAD.

        Args:
            path: with its parameters; ``{name:path}`` where a name may have slashes.
            endpoint: called with them and the query's parameters, of which none but its own is allowed.
            answer: the schema of what it answers.
            may_miss: whether there may be nothing by the name in the path.
        """
        only = [Depends(_refusing_others(path, endpoint))]
        described = self._described(endpoint, 200, answer, (*_OF_READS, *([404] if may_miss else [])))
        self.router.add_api_route(path, endpoint, methods=["GET"], dependencies=only, **described)
        self.router.add_api_route(path, endpoint, methods=["HEAD"], dependencies=only, include_in_schema=False)

    def post(
        self, path: str, endpoint: Callable[..., Any], answer: str, body: dict[str, Any], *, also: Sequence[int] = ()
    ) -> None:
        """POST, answered with 202.

        Args:
            path: without parameters.
            endpoint: reads the body itself.
            answer: the schema of what it answers.
            body: the schema of what it takes, and examples, as OpenAPI has them.
            also: refusals besides those of all.
        """
        described = self._described(endpoint, 202, answer, (*_OF_POSTS, *also))
        described["openapi_extra"] |= {"requestBody": {"required": True, "content": {"application/json": body}}}
        self.router.add_api_route(
            path,
            endpoint,
            methods=["POST"],
            status_code=202,
            dependencies=[Depends(_refusing_others(path, endpoint))],
            **described,
        )

    def _described(
        self, endpoint: Callable[..., Any], status: int, answer: str, refusals: Sequence[int]
    ) -> dict[str, Any]:
        summary, _, description = (inspect.getdoc(endpoint) or "").partition("\n\n")
        answers: dict[int | str, dict[str, Any]] = {status: _content("Done.", "application/json", answer)}
        answers |= {each: _content(REFUSALS[each], MEDIA_TYPE, "Problem") for each in sorted(refusals)}
        return {
            "operation_id": getattr(endpoint, "__name__", None),
            "summary": summary.rstrip("."),
            "description": f"{description}\n\nNeeds the scope `{self._scope}`.".strip(),
            "responses": answers,
            "openapi_extra": {"security": [{"token": []}]},
        }


def _content(description: str, media_type: str, schema: str) -> dict[str, Any]:
    return {"description": description, "content": {media_type: {"schema": {"$ref": _REFERENCE + schema}}}}


def _refusing_others(path: str, endpoint: Callable[..., Any]) -> Callable[[Request], None]:
    """The dependency that refuses parameters which would have no effect, and what is given twice."""
    in_path = set(re.findall(r"{(\w+)", path))
    known = [name for name in inspect.signature(endpoint).parameters if name not in in_path and name != "request"]
    allowed = f"there are {', '.join(known)}" if known else "there are none"

    def refuse(request: Request) -> None:
        given = request.query_params
        errors = [FieldError(name[:100], f"unknown; {allowed}") for name in given if name not in known]
        errors += [FieldError(name, "given twice") for name in known if len(given.getlist(name)) > 1]
        if errors:
            raise Problem(422, "a parameter is wrong", errors)

    return refuse
