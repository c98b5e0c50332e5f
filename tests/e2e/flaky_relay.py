"""A relay that fails now and then, in every way a relay can, and remembers what it has taken."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from email import message_from_bytes
from types import TracebackType
from typing import Self

from tests.smtp.threads import LoopThread

BUSY, HANGING_UP, HANGING = 0.05, 0.02, 0.01  # how many mails meet each, at a step of the conversation picked by chance
HANGS_FOR = 10.0  # seconds, then it hangs up
STEPS = ("MAIL", "RCPT", "DATA", "DOT")
_ANSWERS = {"MAIL": "250 ok", "RCPT": "250 ok", "DATA": "354 go on", "DOT": "250 queued", "QUIT": "221 bye"}


class FlakyRelay:
    """Listens in a thread of its own while entered.

    Args:
        seed: of its chances.
    """

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._loop = LoopThread()
        self.port = 0
        self.taken: defaultdict[str, list[bytes]] = defaultdict(list)  # contents by Message-ID
        self.unanswered: set[str] = set()  # Message-IDs whose final dot it left without an answer
        self.open_connections = 0

    def __enter__(self) -> Self:
        self._loop.call(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call(self._close())
        self._loop.end()

    async def _listen(self) -> None:
        self._conversations: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=2**22)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        for conversation in self._conversations:
            conversation.cancel()
        await asyncio.gather(*self._conversations)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = asyncio.current_task()
        assert conversation is not None
        self._conversations.add(conversation)
        self.open_connections += 1
        try:
            writer.write(b"220 flaky\r\n")
            await self._converse(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.open_connections -= 1
            self._conversations.discard(conversation)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        going_on, trouble = True, self._trouble()
        while going_on:
            verb = (await reader.readuntil(b"\n")).decode().partition(" ")[0].strip().upper()
            if verb == "MAIL":
                trouble = self._trouble()
            going_on = await self._answer(verb, trouble, writer)
            if verb == "DATA" and going_on:
                content = await reader.readuntil(b"\r\n.\r\n")
                going_on = await self._take(content, trouble, writer)

    async def _take(self, content: bytes, trouble: dict[str, str], writer: asyncio.StreamWriter) -> bool:
        message_id = str(message_from_bytes(content)["Message-ID"])
        if trouble.get("DOT") != "busy":
            self.taken[message_id].append(content)
        if trouble.get("DOT") in ("hang", "hang up"):
            self.unanswered.add(message_id)
        return await self._answer("DOT", trouble, writer)

    async def _answer(self, verb: str, trouble: dict[str, str], writer: asyncio.StreamWriter) -> bool:
        """Whether the conversation goes on."""
        match trouble.get(verb):
            case "busy":
                writer.write(b"421 4.3.2 come again\r\n")
                return False
            case "hang up":
                return False
            case "hang":
                await asyncio.sleep(HANGS_FOR)
                return False
        writer.write(_ANSWERS.get(verb, "250 ok").encode() + b"\r\n")
        await writer.drain()
        return verb != "QUIT"

    def _trouble(self) -> dict[str, str]:
        """What goes wrong with the next mail, by the step at which it does."""
        thrown, step = self._chance.random(), self._chance.choice(STEPS)
        for what, chance in (("busy", BUSY), ("hang up", HANGING_UP), ("hang", HANGING)):
            if thrown < chance:
                return {step: what}
            thrown -= chance
        return {}
