"""Commands out, replies in, over a connection that aiosmtplib has opened, encrypted and logged in.

From there on aiosmtplib is not used: it takes one command at a time, and cannot be stopped between a mail's content and
its final dot. Several commands may be written at once (RFC 2920); their replies are read one by one.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import aiosmtplib

from streamnotify.smtp.replies import enhanced_code

_LINE = re.compile(rb"(\d{3})(?:([ -])(.*))?")
_LONGEST_REPLY = 32_768  # bytes, so that a relay that never ends a reply takes no more memory than that
_MOST_UNASKED = 100  # replies
_NO_REPLY_CODE = -1  # aiosmtplib's mark of a line that is no reply, which faults know


@dataclass(frozen=True, slots=True)
class Reply:
    """The relay's answer. ``text`` may have several lines."""

    code: int
    text: str

    @property
    def enhanced(self) -> str | None:
        """The status code of RFC 3463 that it begins with."""
        return enhanced_code(self.text)


class Channel(asyncio.Protocol):
    """Takes over ``transport``, of which nothing must be left to read.

    Args:
        transport: the connection.
        hide: takes out of the relay's words what must not be repeated.
    """

    def __init__(self, transport: asyncio.Transport, hide: Callable[[str], str]) -> None:
        self._transport = transport
        self._hide = hide
        self._rest = b""
        self._lines: list[str] = []
        self._length = 0  # bytes of these lines, with their ends
        self._replies: deque[Reply] = deque()
        self._reading: asyncio.Future[None] | None = None
        self._writing: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self.unread = 0  # replies that are still to come or to be read
        # All that is written must have left before drain returns: what follows it is then the final dot alone. Not 0:
        # uvloop's TLS transport would say of an empty buffer that it is full.
        transport.set_write_buffer_limits(high=1)
        transport.set_protocol(self)

    @property
    def is_open(self) -> bool:
        """False once the relay has closed it or has said what is no reply."""
        return self._error is None and not self._transport.is_closing()

    def command(self, *lines: bytes) -> None:
        """Write commands, each without its CRLF; each has a reply.

        Raises:
            ConnectionError: if the connection is lost.
        """
        if self.unread == 0:
            self._replies.clear()  # what was said unasked
        self.write(b"".join(line + b"\r\n" for line in lines))
        self.unread += len(lines)

    def write(self, data: bytes) -> None:
        """Write bytes.

        Raises:
            ConnectionError: if the connection is lost.
        """
        if not self.is_open:
            raise self._error or ConnectionResetError("Connection lost")
        self._transport.write(data)

    async def drain(self, timeout: float) -> None:
        """Wait until all that was written has left.

        Raises:
            ConnectionError, TimeoutError: if it has not.
        """
        if self._writing is not None and self._error is None:
            async with asyncio.timeout(timeout):
                await self._writing
        if self._error is not None:
            raise self._error

    async def reply(self, timeout: float) -> Reply:
        """The next reply.

        Raises:
            ConnectionError, TimeoutError: if there is none.
            SMTPResponseException: with a negative code, if what came is no reply.
        """
        if not self._replies and self._error is None:
            self._reading = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(timeout):
                    await self._reading
            finally:
                self._reading = None
        if self._replies:
            self.unread -= 1
            return self._replies.popleft()
        raise self._error or ConnectionResetError("Connection lost")

    def data_received(self, data: bytes) -> None:
        """Bytes from the relay."""
        *lines, rest = (self._rest + data).split(b"\n")
        for line in lines:
            if self._error is not None:  # what follows a line that is no reply belongs to nothing
                return
            self._take(line.rstrip(b"\r"))
        self._rest = rest
        if len(self._rest) + self._length > _LONGEST_REPLY:
            self._refuse("Response too long")
        elif self._replies:
            self._wake(self._reading)

    def eof_received(self) -> bool:
        """The relay says no more; the transport then closes itself."""
        self._fail(ConnectionResetError("Unexpected EOF received"))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has broken or was closed, here or there."""
        self._fail(exc or ConnectionResetError("Connection lost"))

    def pause_writing(self) -> None:
        """Something is waiting to leave."""
        self._writing = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """All has left."""
        self._wake(self._writing)
        self._writing = None

    def _take(self, line: bytes) -> None:
        found = _LINE.fullmatch(line)
        if found is None:
            text = f"Malformed SMTP response line: {self._hide(line.decode(errors='replace'))}"
            self._refuse(text)
            return
        self._lines.append(self._hide((found[3] or b"").strip().decode(errors="replace")))
        self._length += len(line) + 2
        if self._length > _LONGEST_REPLY:
            self._refuse("Response too long")
        elif found[2] != b"-":
            self._replies.append(Reply(int(found[1]), "\n".join(self._lines)))
            self._lines.clear()
            self._length = 0
            if len(self._replies) > self.unread + _MOST_UNASKED:
                self._refuse("Too many replies")

    def _refuse(self, text: str) -> None:
        """What the relay says is no reply."""
        self._fail(aiosmtplib.SMTPResponseException(_NO_REPLY_CODE, text))

    def _fail(self, error: Exception) -> None:
        """Nothing more is read; the first error is the one that counts."""
        self._error = self._error or error
        self._wake(self._reading)
        self._wake(self._writing)

    @staticmethod
    def _wake(waiting: asyncio.Future[None] | None) -> None:
        if waiting is not None and not waiting.done():
            waiting.set_result(None)
