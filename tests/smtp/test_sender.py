"""A mail handed to a relay that behaves: encryption, login, bytes, reuse of connections."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta

import pytest
import trustme
import uvloop

from streamnotify.domain.delivery import AttemptResult, Outcome, OutgoingMail
from streamnotify.smtp.policy import SmtpPolicy, Tls
from streamnotify.smtp.sender import Sender
from tests.smtp.a_mail import CONTENT, a_mail, a_policy, lease_held
from tests.smtp.conftest import Certificates
from tests.smtp.relays import Answer, ScriptedRelay, Silence, a_relay

# aiosmtpd does not see that with implicit TLS the password is encrypted.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")


async def send_once(policy: SmtpPolicy, mail: OutgoingMail | None = None) -> AttemptResult:
    """The result of one attempt with a sender of its own."""
    sender = Sender(policy)
    try:
        return await sender.send(mail or a_mail(), 3, lease_held)
    finally:
        await sender.close()


def test_the_relay_gets_exactly_the_bytes_and_one_recipient() -> None:
    async def scenario() -> None:
        async with a_relay() as relay:
            result = await send_once(a_policy(relay.port))
        assert result == AttemptResult(
            "n1", 3, Outcome.SENT, "dot", 250, None, "2.0.0 queued as 4711", enhanced="2.0.0", queue_id="4711"
        )
        [mail] = relay.received
        assert mail.content == CONTENT
        assert mail.sender == "noreply@example.com"
        assert mail.to == ["ann@example.com"]

    asyncio.run(scenario())


def test_a_large_mail_arrives_whole() -> None:
    content = b"Subject: x\r\n\r\n" + b"".join(b"%05d" % n + b"." * 70 + b"\r\n.\r\n" for n in range(20_000))

    async def scenario() -> None:
        async with a_relay() as relay:
            result = await send_once(a_policy(relay.port), a_mail(content=content))
        assert result.outcome is Outcome.SENT
        assert relay.received[0].content == content

    asyncio.run(scenario())


@pytest.mark.parametrize("tls", [Tls.STARTTLS, Tls.IMPLICIT])
def test_large_mails_arrive_encrypted_on_the_event_loop_of_the_worker(certificates: Certificates, tls: Tls) -> None:
    """uvloop tells of its TLS buffers in its own way."""
    content = b"Subject: x\r\n\r\n" + b"x" * 70 + b"\r\n" * 500_000

    async def scenario() -> None:
        starttls = certificates.server if tls is Tls.STARTTLS else None
        implicit = certificates.server if tls is Tls.IMPLICIT else None
        async with a_relay(starttls=starttls, implicit=implicit) as relay, asyncio.timeout(20):
            sender = Sender(a_policy(relay.port, tls=tls, ca_file=certificates.ca_file))
            for _ in range(3):
                assert (await sender.send(a_mail(content=content), 1, lease_held)).outcome is Outcome.SENT
            await sender.close()
        assert [mail.content for mail in relay.received] == [content] * 3

    uvloop.run(scenario())


def test_starttls_and_login_with_a_trusted_certificate(certificates: Certificates) -> None:
    async def scenario() -> None:
        async with a_relay(starttls=certificates.server, password="secret") as relay:
            policy = a_policy(relay.port, tls=Tls.STARTTLS, ca_file=certificates.ca_file, user="ann", password="secret")
            result = await send_once(policy)
        assert result.outcome is Outcome.SENT
        assert relay.logins == [(b"ann", b"secret")]
        assert len(relay.received) == 1

    asyncio.run(scenario())


def test_implicit_tls_and_login_with_a_trusted_certificate(certificates: Certificates) -> None:
    async def scenario() -> None:
        async with a_relay(implicit=certificates.server, password="secret") as relay:
            policy = a_policy(relay.port, tls=Tls.IMPLICIT, ca_file=certificates.ca_file, user="ann", password="secret")
            result = await send_once(policy)
        assert result.outcome is Outcome.SENT
        assert len(relay.received) == 1

    asyncio.run(scenario())


def test_a_relay_without_starttls_is_told_nothing() -> None:
    async def scenario() -> None:
        async with ScriptedRelay() as relay:
            result = await send_once(a_policy(relay.port, tls=Tls.STARTTLS, user="ann", password="secret"))
        assert (result.outcome, result.stage, result.reason) == (Outcome.TLS_POLICY, "tls", "tls_unavailable")
        assert "SMTP_TLS=none for a local test server" in (result.text or "")
        assert [command.partition(" ")[0] for command in relay.commands] == ["EHLO"]

    asyncio.run(scenario())


@pytest.mark.parametrize("tls", [Tls.STARTTLS, Tls.IMPLICIT])
def test_an_untrusted_certificate_ends_the_attempt_before_the_login(certificates: Certificates, tls: Tls) -> None:
    async def scenario() -> None:
        starttls = certificates.server if tls is Tls.STARTTLS else None
        implicit = certificates.server if tls is Tls.IMPLICIT else None
        async with a_relay(starttls=starttls, implicit=implicit, password="secret") as relay:
            result = await send_once(a_policy(relay.port, tls=tls, user="ann", password="secret"))
        assert (result.outcome, result.stage, result.reason) == (Outcome.TLS_POLICY, "tls", "tls_failed")
        assert "certificate verify failed" in (result.text or "")
        assert relay.logins == []

    asyncio.run(scenario())


def test_a_certificate_for_another_host_is_refused() -> None:
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("other.example.com").configure_cert(server)

    async def scenario() -> None:
        with authority.cert_pem.tempfile() as ca_file:
            async with a_relay(starttls=server) as relay:
                result = await send_once(a_policy(relay.port, tls=Tls.STARTTLS, ca_file=ca_file))
        assert (result.outcome, result.reason) == (Outcome.TLS_POLICY, "tls_failed")

    asyncio.run(scenario())


def test_a_wrong_password_is_tried_once_per_connection(certificates: Certificates) -> None:
    async def scenario() -> None:
        async with a_relay(starttls=certificates.server, password="secret") as relay:
            policy = a_policy(relay.port, tls=Tls.STARTTLS, ca_file=certificates.ca_file, user="ann", password="wrong")
            result = await send_once(policy)
        assert (result.outcome, result.stage, result.reason) == (Outcome.SENDER_CONFIG, "auth", "auth_failed")
        assert result.code == 535
        assert relay.logins == [(b"ann", b"wrong")]
        assert "wrong" not in repr(result)

    asyncio.run(scenario())


def test_connections_are_reused_up_to_their_limit_and_never_shared() -> None:
    async def scenario() -> None:
        async with a_relay() as relay:
            sender = Sender(a_policy(relay.port, connections=3, mails_per_connection=10))
            mails = [a_mail(notification_id=f"n{n}", content=b"X-N: %d\r\n\r\nhi\r\n" % n) for n in range(60)]
            results = await asyncio.gather(*(sender.send(mail, 1, lease_held) for mail in mails))
            await sender.close()
        assert {result.outcome for result in results} == {Outcome.SENT}
        assert sorted(mail.content for mail in relay.received) == sorted(mail.content for mail in mails)
        assert 60 // 10 <= relay.connections <= 60 // 10 + 3

    asyncio.run(scenario())


def test_an_old_connection_is_not_used_again() -> None:
    async def scenario() -> None:
        async with ScriptedRelay() as relay:
            sender = Sender(a_policy(relay.port, max_age=timedelta(0)))
            for _ in range(3):
                assert (await sender.send(a_mail(), 1, lease_held)).outcome is Outcome.SENT
            await sender.close()
        assert relay.connections == 3
        assert relay.commands.count("QUIT") == 3

    asyncio.run(scenario())


def test_a_connection_that_is_used_again_is_idle_no_more() -> None:
    async def scenario() -> None:
        async with ScriptedRelay() as relay:
            sender = Sender(a_policy(relay.port, idle_close=timedelta(milliseconds=50)))
            await sender.send(a_mail(), 1, lease_held)
            relay.pause("RCPT")
            attempt = asyncio.create_task(sender.send(a_mail(), 1, lease_held))
            await asyncio.sleep(0.15)  # longer than the connection would have stayed idle
            relay.resume()
            assert (await attempt).outcome is Outcome.SENT
            assert relay.connections == 1
            await sender.close()

    asyncio.run(scenario())


def test_an_idle_connection_is_closed_politely_in_time() -> None:
    async def scenario() -> None:
        async with ScriptedRelay() as relay:
            sender = Sender(a_policy(relay.port, idle_close=timedelta(milliseconds=50)))
            await sender.send(a_mail(), 1, lease_held)
            async with asyncio.timeout(5):
                while "QUIT" not in relay.commands:  # noqa: ASYNC110 - what is waited for is a list in the relay
                    await asyncio.sleep(0.01)
            assert (await sender.send(a_mail(), 1, lease_held)).outcome is Outcome.SENT
            assert relay.connections == 2
            await sender.close()

    asyncio.run(scenario())


def test_an_idle_connection_the_relay_has_closed_costs_no_attempt() -> None:
    async def scenario() -> None:
        async with ScriptedRelay() as relay:
            sender = Sender(a_policy(relay.port))
            await sender.send(a_mail(), 1, lease_held)
            relay.hang_up()  # not noticed here before the next command
            assert (await sender.send(a_mail(), 1, lease_held)).outcome is Outcome.SENT
            assert relay.connections == 2
            await sender.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("at_mail", ["421 4.4.2 idle too long", Silence.HANG_UP])
def test_a_reused_connection_that_dies_at_mail_is_replaced_once(at_mail: Answer) -> None:
    async def scenario() -> None:
        async with ScriptedRelay(MAIL=["250 ok", at_mail, "250 ok"]) as relay:
            sender = Sender(a_policy(relay.port))
            await sender.send(a_mail(), 1, lease_held)
            assert (await sender.send(a_mail(), 1, lease_held)).outcome is Outcome.SENT
            assert relay.connections == 2
            assert len(relay.contents) == 2
            await sender.close()

    asyncio.run(scenario())


def test_a_fresh_connection_that_dies_at_mail_is_a_failed_attempt() -> None:
    async def scenario() -> None:
        async with ScriptedRelay(MAIL="421 4.3.2 shutting down") as relay:
            result = await send_once(a_policy(relay.port))
        assert (result.outcome, result.stage, result.code) == (Outcome.TRANSIENT, "mail", 421)
        assert relay.connections == 1

    asyncio.run(scenario())


def test_a_mail_past_its_time_is_not_sent() -> None:
    async def scenario() -> None:
        async with a_relay() as relay:
            result = await send_once(a_policy(relay.port), a_mail(expires_at=datetime(2024, 1, 1, tzinfo=UTC)))
        assert (result.outcome, result.reason) == (Outcome.TRANSIENT, "expired")
        assert relay.connections == 0

    asyncio.run(scenario())


@pytest.mark.parametrize(("offered", "outcome"), [(True, Outcome.SENT), (False, Outcome.PERMANENT_MESSAGE)])
def test_a_non_ascii_local_part_needs_smtputf8(offered: bool, outcome: Outcome) -> None:
    async def scenario() -> None:
        async with a_relay(utf8=offered) as relay:
            result = await send_once(a_policy(relay.port), a_mail(to="jörg@example.com"))
        assert result.outcome is outcome
        assert result.reason == (None if offered else "smtputf8_unsupported")
        assert [mail.to for mail in relay.received] == ([["jörg@example.com"]] if offered else [])

    asyncio.run(scenario())


@pytest.mark.parametrize("to", ["ann@example.com\r\nRCPT TO:<eve@example.com>", "a\x00b@example.com"])
def test_an_address_cannot_smuggle_a_command(to: str) -> None:
    async def scenario() -> None:
        async with ScriptedRelay() as relay:
            result = await send_once(a_policy(relay.port), a_mail(to=to))
        assert (result.outcome, result.reason) == (Outcome.PERMANENT_RECIPIENT, "invalid_address")
        assert not any("eve" in command for command in relay.commands)
        assert relay.contents == []

    asyncio.run(scenario())
