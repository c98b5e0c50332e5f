"""SMTP servers for tests, on 127.0.0.1 and in the test's own event loop.

:func:`a_relay` is aiosmtpd, a server that behaves. :class:`ScriptedRelay` answers what the test tells it to.
"""

from __future__ import annotations

import asyncio
import base64
import enum
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


@dataclass(frozen=True, slots=True)
class Received:
    """A mail as the relay got it: envelope and bytes."""

    sender: str
    to: list[str]
    content: bytes


@dataclass  # without slots: aiosmtpd looks at all of its members, which early releases of Python 3.11 fail at then
class Relay:
    """What the behaving relay has seen."""

    port: int = 0
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    logins: list[tuple[bytes, bytes]] = field(default_factory=list)
    password: bytes = b""

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.received.append(Received(envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 2.0.0 queued as 4711"

    async def auth_XOAUTH2(self, server: Any, args: list[str]) -> AuthResult:  # noqa: N802 - aiosmtpd's name
        """The password is the token. What is wrong with one is said in a challenge first, as Gmail does."""
        user, bearer, *rest = base64.b64decode(args[1]).split(b"\1")
        assert (user[:5], bearer[:12], rest) == (b"user=", b"auth=Bearer ", [b"", b""])
        self.logins.append((user[5:], bearer[12:]))
        is_right = bearer[12:] == self.password
        if not is_right:
            assert await server.challenge_auth('{"status":"401"}') == b""
        return AuthResult(success=is_right, handled=False, auth_data=user[5:])


@asynccontextmanager
async def a_relay(
    *,
    starttls: ssl.SSLContext | None = None,
    implicit: ssl.SSLContext | None = None,
    password: str | None = None,
    utf8: bool = False,
) -> AsyncIterator[Relay]:
    """An aiosmtpd server; STARTTLS and AUTH are required of its clients where they are given."""
    relay = Relay(password=(password or "").encode())
    sessions: list[asyncio.BaseTransport] = []

    def authenticate(*call: Any) -> AuthResult:
        data: LoginPassword = call[-1]
        relay.logins.append((data.login, data.password))
        return AuthResult(success=data.password == relay.password, handled=False)

    class Counted(SMTP):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            if transport.get_extra_info("sslcontext") is None or implicit is not None:
                relay.connections += 1
                sessions.append(transport)
            super().connection_made(transport)

    def protocol() -> SMTP:
        return Counted(
            relay,
            hostname="relay.example.com",
            tls_context=starttls,
            require_starttls=starttls is not None,
            authenticator=authenticate,
            auth_required=password is not None,
            auth_require_tls=starttls is not None,
            enable_SMTPUTF8=utf8,
        )

    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, ssl=implicit)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()
        for transport in sessions:
            transport.close()


class Silence(enum.Enum):
    """Answers without words."""

    HANG = "hang"  # never answer
    HANG_UP = "hang up"  # close the connection instead
    DEAF = "deaf"  # 354, then hear one byte and no more: only as an answer to DATA


Answer = str | Silence

_POLITE: dict[str, Answer] = {
    "GREETING": "220 relay.example.com ESMTP",
    "EHLO": "250-relay.example.com\r\n250 ENHANCEDSTATUSCODES",
    "AUTH": "235 2.7.0 welcome",
    "MAIL": "250 2.1.0 ok",
    "RCPT": "250 2.1.5 ok",
    "DATA": "354 go on",
    "DOT": "250 2.0.0 queued",
    "RSET": "250 2.0.0 ok",
    "QUIT": "221 2.0.0 bye",
}


class ScriptedRelay:
    """Answers each verb (and GREETING and DOT) as told; a list is used up from its front, its last answer stays.

    After an answer of 421 it hangs up, as relays do.
    """

    def __init__(self, **answers: Answer | list[Answer]) -> None:
        unknown = answers.keys() - _POLITE.keys()
        assert not unknown, unknown
        self._answers: dict[str, list[Answer]] = {
            verb: list(answer) if isinstance(answer, list) else [answer] for verb, answer in (_POLITE | answers).items()
        }
        self._writers: list[asyncio.StreamWriter] = []
        self._conversations: set[asyncio.Task[None]] = set()
        self.port = 0
        self.commands: list[str] = []
        self.contents: list[bytes] = []
        self.connections = 0
        self.dot = asyncio.Event()  # set when a final dot has come in
        self.deaf = False  # while it does not hear what is sent after its 354
        self._paused_at: str | None = None
        self._resumed = asyncio.Event()

    async def __aenter__(self) -> ScriptedRelay:
        await self.listen()
        return self

    async def listen(self, port: int = 0) -> None:
        """Open the port, any if 0."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port, limit=2**24)
        self.port = self._server.sockets[0].getsockname()[1]

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        for conversation in self._conversations:
            conversation.cancel()
        for writer in self._writers:
            writer.close()

    def hang_up(self) -> None:
        """Close every connection, as a relay does with idle ones."""
        for writer in self._writers:
            writer.close()

    def say_unasked(self, words: str) -> None:
        """Say ``words`` on every connection."""
        for writer in self._writers:
            writer.write(words.encode() + b"\r\n")

    def answer(self, verb: str, answer: Answer | list[Answer] | None) -> None:
        """From now on answer ``verb`` like this; politely if None."""
        given = _POLITE[verb] if answer is None else answer
        self._answers[verb] = list(given) if isinstance(given, list) else [given]

    def pause(self, verb: str) -> None:
        """Answer ``verb`` only after :meth:`resume`."""
        self._paused_at = verb

    def resume(self) -> None:
        """Answer again."""
        self._resumed.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = asyncio.current_task()
        assert conversation is not None
        self._conversations.add(conversation)
        self._writers.append(writer)
        self.connections += 1
        try:
            await self._converse(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # asyncio's own callback would log a cancelled conversation as an error
        finally:
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        verb, answer = "GREETING", await self._say("GREETING", writer)
        while answer is not None and not answer.startswith("421"):
            line = (await reader.readuntil(b"\n")).decode().rstrip("\r\n")
            self.commands.append(line)
            is_response = verb == "AUTH" and answer.startswith("334")  # which goes on with the login
            verb = "AUTH" if is_response else line.partition(" ")[0].upper()
            if verb == "DATA" and self._answers[verb][0] is Silence.DEAF:
                await self._turn_deaf(reader, writer)
            answer = await self._say(verb, writer)
            if verb == "DATA" and answer is not None and answer.startswith("354"):
                self.contents.append(await reader.readuntil(b"\r\n.\r\n"))
                self.dot.set()
                answer = await self._say("DOT", writer)

    async def _turn_deaf(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._answers["DATA"].pop(0)
        writer.write(b"354 go on\r\n")
        await reader.read(1)
        self.deaf = True
        await asyncio.Event().wait()

    async def _say(self, verb: str, writer: asyncio.StreamWriter) -> str | None:
        if verb == self._paused_at:
            await self._resumed.wait()
        answers = self._answers[verb]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer is Silence.HANG_UP:
            return None
        if answer is Silence.HANG:
            await asyncio.Event().wait()
        assert isinstance(answer, str)
        writer.write(answer.encode() + b"\r\n")
        await writer.drain()
        return answer
