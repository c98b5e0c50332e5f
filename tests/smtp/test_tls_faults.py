"""Encryption that fails never falls back, and wires that misbehave confuse nothing."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from streamnotify.domain.delivery import AttemptResult, Outcome
from streamnotify.smtp.policy import Tls
from streamnotify.smtp.sender import Sender
from tests.smtp.a_mail import a_mail, a_policy, lease_held
from tests.smtp.jumping_clock import now, run
from tests.smtp.relays import ScriptedRelay

SHORT = timedelta(seconds=2)  # a handshake on a busy machine takes less
Converse = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def a_server(converse: Converse, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port of a server that behaves as ``converse`` does."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await converse(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has hung up
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def attempt(port: int, tls: Tls) -> AttemptResult:
    """One attempt with credentials."""
    policy = a_policy(port, tls=tls, user="ann", password="secret", connect_timeout=SHORT, command_timeout=SHORT)
    sender = Sender(policy)
    result = await sender.send(a_mail(), 1, lease_held)
    await sender.close()
    return result


@pytest.mark.parametrize(
    ("answer", "then", "outcome", "reason"),
    [
        (b"454 4.7.0 no TLS just now\r\n", b"", Outcome.TLS_POLICY, "tls_unavailable"),
        (b"220 go\r\n", b"250 this is no handshake\r\n", Outcome.TLS_POLICY, "tls_failed"),
        (b"220 go\r\n", None, Outcome.UNREACHABLE, "tls_failed"),
        (b"220 go\r\n", b"", Outcome.UNREACHABLE, "tls_failed"),
        (b"", None, Outcome.UNREACHABLE, "tls_failed"),
    ],
    ids=["refused", "garbage", "hangs up after 220", "hangs after 220", "hangs up"],
)
def test_a_starttls_that_fails_ends_the_session_before_anything_is_told(
    answer: bytes, then: bytes | None, outcome: Outcome, reason: str
) -> None:
    heard = b""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        writer.write(b"220 hi\r\n")
        heard += await reader.readuntil(b"\r\n")
        writer.write(b"250-relay\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n")
        heard += await reader.readuntil(b"\r\n")
        writer.write(answer)
        if then is None:
            return
        if then:
            await reader.read(1)
            writer.write(then)
        heard += await reader.read()

    async def scenario() -> None:
        async with a_server(converse) as port:
            result = await attempt(port, Tls.STARTTLS)
        assert (result.outcome, result.stage, result.reason) == (outcome, "tls", reason)
        assert b"AUTH" not in heard
        assert b"MAIL" not in heard

    asyncio.run(scenario())


def test_implicit_tls_never_speaks_to_a_relay_that_answers_in_clear() -> None:
    async def scenario() -> None:
        async with ScriptedRelay() as relay:
            result = await attempt(relay.port, Tls.IMPLICIT)
            assert (result.outcome, result.stage, result.reason) == (Outcome.TLS_POLICY, "tls", "tls_failed")
            assert relay.commands == []

    asyncio.run(scenario())


def test_what_is_said_in_clear_after_the_starttls_answer_is_not_believed() -> None:
    """A man in the middle may have put it there (RFC 3207)."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hi\r\n")
        await reader.readuntil(b"\r\n")
        writer.write(b"250-relay\r\n250 STARTTLS\r\n")
        await reader.readuntil(b"\r\n")
        writer.write(b"220 go\r\n250-evil\r\n250 AUTH PLAIN\r\n235 welcome\r\n250 ok\r\n")
        await reader.read()

    async def scenario() -> None:
        async with a_server(converse) as port:
            result = await attempt(port, Tls.STARTTLS)
        assert result.stage == "tls"
        assert result.outcome in (Outcome.TLS_POLICY, Outcome.UNREACHABLE)

    asyncio.run(scenario())


def test_a_relay_without_starttls_is_asked_once_a_minute_at_first_and_holds_all_mails() -> None:
    async def scenario() -> None:
        async with ScriptedRelay() as relay:
            sender = Sender(a_policy(relay.port, tls=Tls.STARTTLS), now)
            lives = now() + timedelta(days=1)
            attempts = [
                asyncio.create_task(sender.send(a_mail(expires_at=lives), number, lease_held))
                for number in (1, 2, 2, 2, 2)
            ]
            await asyncio.sleep(59)
            assert relay.connections == 1
            await asyncio.sleep(299)
            assert relay.connections == 2
            assert [task.done() for task in attempts] == [True, False, False, False, False]
            for task in attempts:
                task.cancel()
            assert {command.partition(" ")[0] for command in relay.commands} <= {"EHLO"}

    run(scenario())


@pytest.mark.parametrize(
    ("said_after", "outcome", "stage", "reason"),
    [(4, Outcome.AMBIGUOUS, "dot", "no_reply"), (3, Outcome.TRANSIENT, "data", "connection_lost")],
)
def test_a_half_closed_connection_is_ambiguous_after_the_dot_only(
    said_after: int, outcome: Outcome, stage: str, reason: str
) -> None:
    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hi\r\n")
        for answer in (b"250 ok\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n")[:said_after]:
            await reader.readuntil(b"\r\n")
            writer.write(answer)
        await reader.readuntil(b"\r\n.\r\n" if said_after == 4 else b"DATA\r\n")
        writer.write_eof()
        await reader.read()

    async def scenario() -> None:
        async with a_server(converse) as port:
            result = await Sender(a_policy(port)).send(a_mail(), 1, lease_held)
        assert (result.outcome, result.stage, result.reason) == (outcome, stage, reason)

    asyncio.run(scenario())


@pytest.mark.parametrize("cut", range(1, 12))
def test_answers_that_come_in_pieces_are_put_together(cut: int) -> None:
    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say(answer: bytes) -> None:
            for start in range(0, len(answer), cut):
                writer.write(answer[start : start + cut])
                await writer.drain()
                for _ in range(3):
                    await asyncio.sleep(0)

        await say(b"220-hello\r\n220 hi\r\n")
        for answer in (b"250-relay\r\n250-SIZE 1000000\r\n250 8BITMIME\r\n", b"250 ok\r\n", b"250-a\r\n250 ok\r\n"):
            await reader.readuntil(b"\r\n")
            await say(answer)
        await reader.readuntil(b"DATA\r\n")
        await say(b"354 go\r\n")
        await reader.readuntil(b"\r\n.\r\n")
        await say(b"250-2.0.0 first\r\n250-2.0.0 second\r\n250 2.0.0 queued as 4711\r\n")
        await reader.read()

    async def scenario() -> None:
        async with a_server(converse) as port:
            sender = Sender(a_policy(port))
            result = await sender.send(a_mail(), 1, lease_held)
            await sender.close()
        assert result.outcome is Outcome.SENT
        assert result.text == "2.0.0 first 2.0.0 second 2.0.0 queued as 4711"
        assert result.queue_id == "4711"

    asyncio.run(scenario())


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "DOT"])
def test_a_relay_that_closes_amid_a_session_defers_that_mail_and_takes_the_next_on_a_new_connection(verb: str) -> None:
    async def scenario() -> None:
        async with ScriptedRelay(**{verb: "421 4.3.2 shutting down"}) as relay:
            sender = Sender(a_policy(relay.port))
            first = await sender.send(a_mail(), 1, lease_held)
            relay.answer(verb, None)
            second = await sender.send(a_mail(), 1, lease_held)
            await sender.close()
        assert (first.outcome, first.stage, first.reason) == (Outcome.TRANSIENT, verb.lower(), "relay_unavailable")
        assert second.outcome is Outcome.SENT
        assert relay.connections == 2

    asyncio.run(scenario())


def test_an_answer_that_comes_after_a_cancelled_mail_is_not_taken_for_the_next_mails() -> None:
    """research/email.md item 29: the next mail once received the cancelled one's 451."""

    async def scenario() -> None:
        async with ScriptedRelay(DATA=["451 4.3.0 for the cancelled one", "354 go"]) as relay:
            relay.pause("DATA")
            sender = Sender(a_policy(relay.port))
            cancelled = asyncio.create_task(sender.send(a_mail(), 1, lease_held))
            async with asyncio.timeout(5):
                while "DATA" not in relay.commands:  # noqa: ASYNC110 - what is waited for is a list in the relay
                    await asyncio.sleep(0.005)
            cancelled.cancel()
            await asyncio.wait((cancelled,))
            relay.resume()
            result = await sender.send(a_mail(), 1, lease_held)
            await sender.close()
        assert cancelled.cancelled()
        assert result.outcome is Outcome.SENT
        assert relay.connections == 2

    asyncio.run(scenario())


def test_what_the_relay_says_unasked_while_idle_is_not_taken_for_an_answer() -> None:
    async def scenario() -> None:
        async with ScriptedRelay() as relay:
            sender = Sender(a_policy(relay.port))
            await sender.send(a_mail(), 1, lease_held)
            relay.say_unasked("550 5.1.1 no such user")
            await asyncio.sleep(0.05)
            assert (await sender.send(a_mail(), 1, lease_held)).outcome is Outcome.SENT
            await sender.close()

    asyncio.run(scenario())


def test_a_mail_larger_than_the_relay_takes_is_refused_before_it_is_asked() -> None:
    async def scenario() -> None:
        async with ScriptedRelay(EHLO="250-relay\r\n250 SIZE 20000") as relay:
            sender = Sender(a_policy(relay.port))
            large = await sender.send(a_mail(content=b"x" * 19_999 + b"\r\n"), 1, lease_held)
            small = await sender.send(a_mail(content=b"x" * 19_998 + b"\r\n"), 1, lease_held)
            await sender.close()
        assert (large.outcome, large.reason) == (Outcome.PERMANENT_MESSAGE, "too_large")
        assert small.outcome is Outcome.SENT
        assert [command for command in relay.commands if command.startswith("MAIL")] == [
            "MAIL FROM:<noreply@example.com> SIZE=20000"
        ]

    asyncio.run(scenario())
