"""Reads the small forms that are posted to us, from browsers and from mail programs."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from email.message import Message
from email.parser import BytesParser
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

MAX_BYTES = 8 * 1024
PATIENCE = timedelta(seconds=10)


async def form_of(request: Request, patience: timedelta = PATIENCE) -> dict[str, str]:
    """The fields of a posted form, url-encoded or multipart (RFC 8058 allows both); of a repeated one, the last.

    What is no form has no fields.

    Raises:
        HTTPException: 413 if it is too large, 408 if it does not come, 400 if it breaks off.
    """
    content_type = request.headers.get("content-type", "")
    body = await _body(request, patience)
    if content_type.lower().startswith("multipart/form-data"):
        return _multipart(content_type, body)
    return dict(parse_qsl(body.decode("utf-8", "replace")))


async def _body(request: Request, patience: timedelta) -> bytes:
    body = b""
    try:
        async with asyncio.timeout(patience.total_seconds()):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise HTTPException(413, headers={"Connection": "close"})
    except TimeoutError:
        raise HTTPException(408, headers={"Connection": "close"}) from None
    except ClientDisconnect:
        raise HTTPException(400) from None
    return body


def _multipart(content_type: str, body: bytes) -> dict[str, str]:
    # A form of this kind is a MIME message; the parser takes whatever there is, and what it cannot use is no field.
    whole = BytesParser().parsebytes(b"Content-Type: " + content_type.encode("latin-1") + b"\r\n\r\n" + body)
    fields = {}
    for part in whole.walk():
        name = part.get_param("name", header="content-disposition")
        if isinstance(name, str) and not part.is_multipart():
            fields[name] = _text(part)
    return fields


def _text(part: Message) -> str:
    content = part.get_payload(decode=True)
    return content.decode("utf-8", "replace") if isinstance(content, bytes) else ""
