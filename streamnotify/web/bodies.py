"""Reads what is posted to us: never more than was asked for, and not for ever."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

PATIENCE = timedelta(seconds=10)


async def body_of(request: Request, most: int, patience: timedelta = PATIENCE) -> bytes:
    """A request's body.

    Args:
        most: bytes that are taken.
        patience: how long the whole of it may take.

    Raises:
        HTTPException: 413 if it is too large, 408 if it does not come, 400 if it breaks off.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(patience.total_seconds()):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise HTTPException(413, headers={"Connection": "close"})
    except TimeoutError:
        raise HTTPException(408, headers={"Connection": "close"}) from None
    except ClientDisconnect:
        raise HTTPException(400) from None
    return bytes(body)
