"""Reads the small forms that are posted to us, from browsers and from mail programs."""

from __future__ import annotations

from datetime import timedelta
from email.message import Message
from email.parser import BytesParser
from urllib.parse import parse_qsl

from starlette.requests import Request

from streamnotify.web.bodies import PATIENCE, body_of

MAX_BYTES = 8 * 1024


async def form_of(request: Request, patience: timedelta = PATIENCE, *, most: int = MAX_BYTES) -> dict[str, str]:
    """The fields of a posted form, url-encoded or multipart (RFC 8058 allows both); of a repeated one, the last.

    What is no form has no fields.

    Args:
        request: the request.
        patience: how long all of it may take.
        most: bytes that it may have.

    Raises:
        HTTPException: 413 if it is too large, 408 if it does not come, 400 if it breaks off.
    """
    content_type = request.headers.get("content-type", "")
    body = await body_of(request, most, patience)
    if content_type.lower().startswith("multipart/form-data"):
        return _multipart(content_type, body)
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


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
