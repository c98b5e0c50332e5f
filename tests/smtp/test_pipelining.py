"""Commands written together (RFC 2920): fewer round trips, the same care."""

from __future__ import annotations

import asyncio

import pytest

from streamnotify.domain.delivery import Outcome
from streamnotify.errors import LeaseLost
from streamnotify.smtp.sender import Sender
from tests.smtp.a_mail import a_mail, a_policy, lease_held
from tests.smtp.relays import ScriptedRelay

OFFERED = "250-relay\r\n250 PIPELINING"


@pytest.mark.parametrize(("offer", "together"), [(OFFERED, 3), ("250 relay", 1)])
def test_the_envelope_is_written_at_once_only_where_the_relay_takes_it(offer: str, together: int) -> None:
    async def scenario() -> None:
        chunks: list[bytes] = []

        async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 hi\r\n")
            await reader.readuntil(b"\r\n")
            writer.write(offer.encode() + b"\r\n")
            chunks.append(await reader.read(65536))
            writer.close()

        server = await asyncio.start_server(converse, "127.0.0.1", 0)
        await Sender(a_policy(server.sockets[0].getsockname()[1])).send(a_mail(), 1, lease_held)
        server.close()
        assert chunks[0].count(b"\r\n") == together

    asyncio.run(scenario())


def test_a_refused_recipient_leaves_no_answer_behind_for_the_next_mail() -> None:
    async def scenario() -> None:
        refused, no_data = "550 5.1.1 no such user", "503 5.5.1 no recipients"
        async with ScriptedRelay(EHLO=OFFERED, RCPT=[refused, "250 ok"], DATA=[no_data, "354 go"]) as relay:
            sender = Sender(a_policy(relay.port))
            first = await sender.send(a_mail(), 1, lease_held)
            second = await sender.send(a_mail(), 1, lease_held)
            await sender.close()
        assert (first.outcome, first.stage) == (Outcome.PERMANENT_RECIPIENT, "rcpt")
        assert second.outcome is Outcome.SENT
        assert relay.connections == 1
        assert relay.commands.count("RSET") == 1

    asyncio.run(scenario())


def test_a_relay_that_wants_the_content_of_a_refused_mail_does_not_get_it() -> None:
    async def scenario() -> None:
        async with ScriptedRelay(EHLO=OFFERED, RCPT=["550 5.1.1 no such user", "250 ok"]) as relay:
            sender = Sender(a_policy(relay.port))
            first = await sender.send(a_mail(), 1, lease_held)
            second = await sender.send(a_mail(), 1, lease_held)
            await sender.close()
        assert first.outcome is Outcome.PERMANENT_RECIPIENT
        assert second.outcome is Outcome.SENT
        assert relay.connections == 2
        assert len(relay.contents) == 1

    asyncio.run(scenario())


@pytest.mark.parametrize("lost_at_check", [1, 2, 3])
def test_a_lost_lease_keeps_the_dot_back_here_too(lost_at_check: int) -> None:
    async def scenario() -> None:
        checks = 0

        def check_lease() -> None:
            nonlocal checks
            checks += 1
            if checks == lost_at_check:
                raise LeaseLost("not ours any more")

        async with ScriptedRelay(EHLO=OFFERED) as relay:
            sender = Sender(a_policy(relay.port))
            with pytest.raises(LeaseLost):
                await sender.send(a_mail(), 1, check_lease)
            assert relay.contents == []
            assert any(command.startswith("MAIL") for command in relay.commands) is (lost_at_check == 3)
            await sender.close()

    asyncio.run(scenario())
