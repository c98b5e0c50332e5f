"""Connections on which nothing is asked, which would otherwise take the places of those on which something is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from streamnotify.web.connections import Connection

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"


class Hasty(Connection):
    """Waits for a tenth of a second."""

    patience = timedelta(seconds=0.1)


@asynccontextmanager
async def opened(
    app: ASGIApp,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a server with such."""
    config, state = uvicorn.Config(app, log_config=None, lifespan="off"), ServerState()
    config.load()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Hasty(config, state, {}), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            yield reader, writer
        finally:
            writer.close()


@pytest.mark.parametrize("sent", [b"", b"GET", HEAD, HEAD + b"\r\n" + HEAD, (HEAD + b"\r\n") * 3])
def test_a_connection_on_which_no_whole_head_comes_is_closed(sent: bytes) -> None:
    async def answers() -> bytes:
        async with opened(PlainTextResponse("ok")) as (reader, writer):
            writer.write(sent)
            return await asyncio.wait_for(reader.read(), 30)

    assert asyncio.run(answers()).count(b"HTTP/1.1 200") == sent.count(b"\r\n\r\n")


def test_an_answer_may_take_as_long_as_it_does() -> None:
    async def slow(scope: object, receive: object, send: object) -> None:
        await asyncio.sleep(3 * Hasty.patience.total_seconds())
        await PlainTextResponse("ok")(scope, receive, send)  # type: ignore[arg-type]

    async def answer() -> bytes:
        async with opened(slow) as (reader, writer):
            writer.write(HEAD + b"\r\n")
            return await asyncio.wait_for(reader.read(), 30)

    assert asyncio.run(answer()).startswith(b"HTTP/1.1 200")
