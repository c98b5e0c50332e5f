"""Forms that do not come, or break off. What they mean is in test_unsubscribe_pages.py."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from streamnotify.web.forms import form_of

POST = {"type": "http", "method": "POST", "headers": [(b"content-type", b"application/x-www-form-urlencoded")]}


def refused_with(*messages: dict[str, Any]) -> int:
    """The status for a request of which nothing comes after ``messages``."""
    left = list(messages)

    async def receive() -> dict[str, Any]:
        return left.pop(0) if left else await asyncio.Future[dict[str, Any]]()

    with pytest.raises(HTTPException) as refused:
        asyncio.run(form_of(Request(POST, receive), patience=timedelta(seconds=0.2)))
    return refused.value.status_code


def test_a_form_that_does_not_come_is_given_up() -> None:
    assert refused_with() == 408
    assert refused_with({"type": "http.request", "body": b"choice=everything", "more_body": True}) == 408


def test_a_form_that_breaks_off_is_no_failure_of_ours() -> None:
    begun = {"type": "http.request", "body": b"choice=everything", "more_body": True}
    assert refused_with(begun, {"type": "http.disconnect"}) == 400
