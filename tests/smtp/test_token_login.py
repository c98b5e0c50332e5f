"""Login by an OAuth access token in a file that something else keeps fresh (research/email.md item 34)."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from streamnotify.domain.delivery import AttemptResult, Outcome
from streamnotify.smtp.policy import Tls
from streamnotify.smtp.sender import Sender
from tests.smtp.a_mail import a_mail, a_policy, lease_held
from tests.smtp.conftest import Certificates
from tests.smtp.jumping_clock import now, run
from tests.smtp.relays import Answer, ScriptedRelay, a_relay

USER = "ann@example.com"
TOKEN = "ya29.A0AfH6SMC-first_token/~+=="
WITH_XOAUTH2 = "250-relay\r\n250 AUTH LOGIN PLAIN XOAUTH2"
# What Gmail and Exchange Online say first to a token they do not take.
CHALLENGE = base64.b64encode(json.dumps({"status": "401", "schemes": "bearer", "scope": "x"}).encode()).decode()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    """A file with a token."""
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    return path


def told(relay: ScriptedRelay) -> list[bytes]:
    """What was said by AUTH XOAUTH2, in plain."""
    begin = "AUTH XOAUTH2 "
    return [base64.b64decode(line.removeprefix(begin)) for line in relay.commands if line.startswith(begin)]


def renew(token_file: Path, content: bytes | None) -> None:
    """Put something else into the file, or take it away."""
    token_file.unlink()
    if content is not None:
        token_file.write_bytes(content)


def as_xoauth2(token: str) -> bytes:
    return f"user={USER}\1auth=Bearer {token}\1\1".encode()


def sender_at(relay: ScriptedRelay, token_file: Path) -> Sender:
    return Sender(a_policy(relay.port, user=USER, token_file=token_file), now)


def test_the_token_goes_over_an_encrypted_line_to_a_relay_that_knows_it(
    token_file: Path, certificates: Certificates
) -> None:
    async def scenario() -> None:
        async with a_relay(starttls=certificates.server, password=TOKEN) as relay:
            encrypted = {"tls": Tls.STARTTLS, "ca_file": certificates.ca_file}
            sender = Sender(a_policy(relay.port, user=USER, token_file=token_file, **encrypted))
            assert (await sender.send(a_mail(), 1, lease_held)).outcome is Outcome.SENT
            await sender.close()
            relay.password = b"another"
            refused = await sender.send(a_mail(), 1, lease_held)
        assert (refused.outcome, refused.stage, refused.code) == (Outcome.SENDER_CONFIG, "auth", 535)
        assert relay.logins == [(USER.encode(), TOKEN.encode())] * 2
        assert len(relay.received) == 1

    asyncio.run(scenario())


def test_the_token_is_read_anew_for_each_connection(token_file: Path) -> None:
    async def scenario() -> None:
        async with ScriptedRelay(EHLO=WITH_XOAUTH2) as relay:
            sender = sender_at(relay, token_file)
            assert (await sender.send(a_mail(), 1, lease_held)).outcome is Outcome.SENT
            renew(token_file, b"second")
            assert (await sender.send(a_mail(), 1, lease_held)).outcome is Outcome.SENT
            assert told(relay) == [as_xoauth2(TOKEN)]
            await asyncio.sleep(60)  # the idle connection is closed meanwhile
            assert (await sender.send(a_mail(), 1, lease_held)).outcome is Outcome.SENT
            assert told(relay) == [as_xoauth2(TOKEN), as_xoauth2("second")]
            await sender.close()

    run(scenario())


def test_a_token_that_has_run_out_holds_mails_until_the_file_has_a_better_one(token_file: Path) -> None:
    """The relay says why in a challenge first, which is answered by an empty line."""

    async def scenario() -> None:
        refusal = [f"334 {CHALLENGE}", "535 5.7.8 Username and Password not accepted"]
        async with ScriptedRelay(EHLO=WITH_XOAUTH2, AUTH=[*refusal, "235 2.7.0 Accepted"]) as relay:
            sender = sender_at(relay, token_file)
            result = await sender.send(a_mail(), 1, lease_held)
            assert (result.outcome, result.reason, result.code) == (Outcome.SENDER_CONFIG, "auth_failed", 535)
            assert [line.partition(" ")[0] for line in relay.commands] == ["EHLO", "AUTH", ""]
            renew(token_file, b"fresh")
            assert (await sender.send(a_mail(), 2, lease_held)).outcome is Outcome.SENT
            assert told(relay) == [as_xoauth2(TOKEN), as_xoauth2("fresh")]
            await sender.close()

    run(scenario())


async def first_result(relay: ScriptedRelay, token_file: Path) -> AttemptResult:
    sender = sender_at(relay, token_file)
    try:
        return await sender.send(a_mail(), 1, lease_held)
    finally:
        await sender.close()


def test_a_token_is_told_in_no_other_way(token_file: Path) -> None:
    async def scenario() -> None:
        async with ScriptedRelay(EHLO="250-relay\r\n250 AUTH LOGIN PLAIN CRAM-MD5") as relay:
            result = await first_result(relay, token_file)
            assert (result.outcome, result.reason) == (Outcome.SENDER_CONFIG, "auth_failed")
            assert result.text == "the relay offers no AUTH XOAUTH2"
            assert not any(line.startswith("AUTH") for line in relay.commands)

    run(scenario())


@pytest.mark.parametrize(
    "content",
    [None, b"", b" \n", b"two tokens", b"t\1auth=Basic", "tök".encode(), b"\xff", b"x" * 70_000],
    ids=["missing", "empty", "blank", "spaced", "control", "not ascii", "not utf-8", "large"],
)
def test_a_file_that_holds_no_token_holds_mails_and_nothing_is_told(content: bytes | None, token_file: Path) -> None:
    async def scenario() -> None:
        renew(token_file, content)
        async with ScriptedRelay(EHLO=WITH_XOAUTH2) as relay:
            result = await first_result(relay, token_file)
            assert (result.outcome, result.reason) == (Outcome.SENDER_CONFIG, "auth_failed")
            assert result.text is not None
            assert result.text.startswith("SMTP_TOKEN_FILE is ")
            assert "auth=Basic" not in result.text
            assert not any(line.startswith("AUTH") for line in relay.commands)

    run(scenario())


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_not_waited_for(make: Callable[[Path], None], token_file: Path) -> None:
    """Whoever opens a pipe to which nobody writes waits for ever, and all mails with it."""

    async def scenario() -> None:
        renew(token_file, None)
        make(token_file)
        async with ScriptedRelay(EHLO=WITH_XOAUTH2) as relay:
            result = await first_result(relay, token_file)
            assert (result.outcome, result.reason) == (Outcome.SENDER_CONFIG, "auth_failed")

    run(scenario())


SASL = base64.b64encode(as_xoauth2(TOKEN)).decode()


CHALLENGED = base64.b64encode(json.dumps({"token": TOKEN}).encode()).decode()


@pytest.mark.parametrize(
    ("answers", "shown"),
    [([f"535-no {TOKEN[:9]}\r\n535 {TOKEN[9:]}"], TOKEN[9:]), ([f"334 {CHALLENGED}"], CHALLENGED)],
    ids=["over two lines", "in challenge after challenge"],
)
def test_nor_does_it_show_if_the_relay_repeats_it_otherwise(
    answers: list[Answer], shown: str, token_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> AttemptResult:
        async with ScriptedRelay(EHLO=WITH_XOAUTH2, AUTH=answers) as relay:
            return await first_result(relay, token_file)

    result = run(scenario())
    assert (result.outcome, result.reason) == (Outcome.SENDER_CONFIG, "auth_failed")
    assert shown not in repr(result) + caplog.text


@pytest.mark.parametrize("said", [TOKEN, SASL, base64.b64encode(TOKEN.encode()).decode()])
@pytest.mark.parametrize(("verb", "code"), [("AUTH", "535"), ("AUTH", "454"), ("MAIL", "451"), ("DOT", "250")])
def test_the_token_shows_nowhere_even_if_the_relay_repeats_it(
    verb: str, code: str, said: str, token_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async def scenario() -> str:
        answers: dict[str, Answer | list[Answer]] = {"EHLO": WITH_XOAUTH2, verb: f"{code} no: {said}"}
        async with ScriptedRelay(**answers) as relay:
            sender = sender_at(relay, token_file)
            result = await sender.send(a_mail(), 1, lease_held)
            shown = [sender, sender.pool, sender.breaker, sender.breaker.outage, sender.remarks(), result]
            await sender.close()
        assert result.code == int(code)
        return "\n".join(map(repr, shown))

    everything = run(scenario()) + caplog.text
    for secret in (TOKEN, SASL, said):
        assert secret not in everything
