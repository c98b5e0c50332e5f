"""After a fault: nothing is lost, nothing goes twice, and no answer is taken for another's."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest

from streamnotify.domain.delivery import Outcome
from streamnotify.errors import LeaseLost
from streamnotify.smtp.sender import Sender
from tests.smtp.a_mail import CONTENT, a_mail, a_policy, lease_held
from tests.smtp.jumping_clock import run
from tests.smtp.relays import Answer, ScriptedRelay, Silence
from tests.smtp.test_classification import send_once

STUFFED = CONTENT.replace(b"\r\n.", b"\r\n..") + b".\r\n"


def test_a_relay_without_a_login_is_not_sent_to() -> None:
    async def scenario() -> None:
        async with ScriptedRelay() as relay:
            result = await send_once(relay, user="ann", password="secret")
        assert (result.outcome, result.stage, result.reason) == (Outcome.SENDER_CONFIG, "auth", "auth_failed")
        assert relay.contents == []

    run(scenario())


def test_nobody_listening_defers() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

        async def scenario() -> None:
            result = await Sender(a_policy(port)).send(a_mail(), 1, lease_held)
            assert (result.outcome, result.stage, result.reason) == (
                Outcome.UNREACHABLE,
                "connect",
                "connection_failed",
            )

        run(scenario())


def test_a_reply_in_pieces_is_read_whole() -> None:
    async def scenario() -> None:
        async with ScriptedRelay(DOT="250-2.0.0 first\r\n250-2.0.0 second\r\n250 2.0.0 third") as relay:
            result = await send_once(relay)
        assert result.outcome is Outcome.SENT
        assert result.text == "2.0.0 first 2.0.0 second 2.0.0 third"

    run(scenario())


@pytest.mark.parametrize("rset", ["250 ok", "500 what?", Silence.HANG, Silence.HANG_UP])
def test_after_a_refusal_the_next_mail_goes_out_and_gets_its_own_answer(rset: Answer) -> None:
    async def scenario() -> None:
        async with ScriptedRelay(RCPT=["550 5.1.1 no such user", "250 ok"], RSET=rset) as relay:
            sender = Sender(a_policy(relay.port))
            first = await sender.send(a_mail(), 1, lease_held)
            second = await sender.send(a_mail(notification_id="n2"), 1, lease_held)
            await sender.close()
        assert (first.outcome, first.code) == (Outcome.PERMANENT_RECIPIENT, 550)
        assert second.outcome is Outcome.SENT
        assert relay.connections == (1 if rset == "250 ok" else 2)

    run(scenario())


def test_a_mail_cancelled_before_the_dot_is_not_delivered_and_its_connection_not_used_again() -> None:
    async def scenario() -> None:
        async with ScriptedRelay(RCPT=[Silence.HANG, "250 ok"]) as relay:
            sender = Sender(a_policy(relay.port))
            attempt = asyncio.create_task(sender.send(a_mail(), 1, lease_held))
            await _until(lambda: any(command.startswith("RCPT") for command in relay.commands))
            attempt.cancel()
            with pytest.raises(asyncio.CancelledError):
                await attempt
            assert (await sender.send(a_mail(), 1, lease_held)).outcome is Outcome.SENT
            assert len(relay.contents) == 1
            assert relay.connections == 2
            await sender.close()

    run(scenario())


def test_a_mail_cancelled_after_the_dot_is_awaited_and_reported() -> None:
    async def scenario() -> None:
        async with ScriptedRelay() as relay:
            relay.pause("DOT")
            sender = Sender(a_policy(relay.port))
            attempt = asyncio.create_task(sender.send(a_mail(), 1, lease_held))
            await relay.dot.wait()
            for _ in range(3):
                attempt.cancel()
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            assert not attempt.done()
            relay.resume()
            assert (await attempt).outcome is Outcome.SENT
            await sender.close()

    run(scenario())


@pytest.mark.parametrize(("lost_at_check", "told", "connections"), [(1, False, 1), (2, False, 2), (3, True, 2)])
def test_a_lost_lease_stops_the_mail_before_mail_and_before_the_dot(
    lost_at_check: int, told: bool, connections: int
) -> None:
    async def scenario() -> None:
        checks = 0

        def check_lease() -> None:
            nonlocal checks
            checks += 1
            if checks == lost_at_check:
                raise LeaseLost("not ours any more")

        async with ScriptedRelay() as relay:
            sender = Sender(a_policy(relay.port))
            with pytest.raises(LeaseLost):
                await sender.send(a_mail(), 1, check_lease)
            assert relay.contents == []
            assert ("DATA" in relay.commands) is told
            assert (await sender.send(a_mail(), 1, lease_held)).outcome is Outcome.SENT
            assert relay.contents == [STUFFED]
            assert relay.connections == connections
            await sender.close()

    run(scenario())


def test_a_lease_lost_while_the_content_goes_out_keeps_the_dot_back() -> None:
    """The last look comes after the last byte of the content has left, however slowly it went."""

    async def scenario() -> None:
        seen_at_checks: list[int] = []
        received = 0

        async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal received
            writer.write(b"220 hi\r\n")
            for answer in (b"250 ok\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
                await reader.readuntil(b"\r\n")
                writer.write(answer)
            while piece := await reader.read(65536):
                received += len(piece)
            writer.close()

        content = b"Subject: x\r\n\r\n" + b"x" * 70 + b"\r\n" * 5_000_000
        server = await asyncio.start_server(converse, "127.0.0.1", 0)

        def check_lease() -> None:
            seen_at_checks.append(received)
            if len(seen_at_checks) == 3:
                raise LeaseLost("not ours any more")

        sender = Sender(a_policy(server.sockets[0].getsockname()[1]))
        with pytest.raises(LeaseLost):
            await sender.send(a_mail(content=content), 1, check_lease)
        assert seen_at_checks[:2] == [0, 0]
        # What is not received yet is in the kernel's buffers; without waiting nothing would have been received.
        assert seen_at_checks[2] > 0
        server.close()

    run(scenario())


def test_a_relay_that_closes_its_side_amid_the_content_does_not_have_the_mail() -> None:
    """No dot was written, so the end is not ambiguous."""

    async def scenario() -> None:
        async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 hi\r\n")
            for answer in (b"250 ok\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
                await reader.readuntil(b"\r\n")
                writer.write(answer)
            await reader.readexactly(1)  # the content has begun
            writer.write_eof()
            while await reader.read(65536):
                pass
            writer.close()

        server = await asyncio.start_server(converse, "127.0.0.1", 0)
        content = b"Subject: x\r\n\r\n" + b"x\r\n" * 5_000_000
        result = await Sender(a_policy(server.sockets[0].getsockname()[1])).send(a_mail(content=content), 1, lease_held)
        assert (result.outcome, result.stage, result.reason) == (Outcome.TRANSIENT, "data", "connection_lost")
        server.close()

    run(scenario())


def test_after_an_answer_that_is_none_the_connection_is_not_used_again() -> None:
    async def scenario() -> None:
        async with ScriptedRelay(RCPT=["what?", "250 ok"]) as relay:
            sender = Sender(a_policy(relay.port))
            assert (await sender.send(a_mail(), 1, lease_held)).reason == "protocol_error"
            assert (await sender.send(a_mail(), 1, lease_held)).outcome is Outcome.SENT
            await sender.close()
        assert relay.connections == 2

    run(scenario())


def test_a_size_of_thousands_of_digits_is_no_limit() -> None:
    async def scenario() -> None:
        async with ScriptedRelay(EHLO=f"250-relay\r\n250 SIZE {'9' * 5000}") as relay:
            assert (await send_once(relay)).outcome is Outcome.SENT

    run(scenario())


def test_a_reply_of_empty_lines_that_never_ends_is_no_reply() -> None:
    """Each line takes some memory, however little stands on it."""

    async def scenario() -> None:
        async with ScriptedRelay(DOT="250-\r\n" * 10_000 + "250 ok") as relay:
            result = await send_once(relay)
        assert (result.outcome, result.text) == (Outcome.AMBIGUOUS, "Response too long")

    run(scenario())


def test_an_idle_connection_on_which_the_relay_talks_without_end_is_given_up() -> None:
    async def scenario() -> None:
        async with ScriptedRelay() as relay:
            sender = Sender(a_policy(relay.port))
            assert (await sender.send(a_mail(), 1, lease_held)).outcome is Outcome.SENT
            [idle] = sender.pool._idle
            relay.say_unasked("\r\n".join(["250 and another thing"] * 1000))
            await _until(lambda: not idle.session.is_open)
            assert (await sender.send(a_mail(), 1, lease_held)).outcome is Outcome.SENT
            assert relay.connections == 2
            await sender.close()

    run(scenario())


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for is a list in the relay
            await asyncio.sleep(0.005)
