"""What must not show: password, AUTH line and body, in logs, results and reprs (research/email.md item 39)."""

from __future__ import annotations

import asyncio
import base64
import logging

import pytest

from streamnotify.smtp.sender import Sender
from tests.smtp.a_mail import a_mail, a_policy, lease_held
from tests.smtp.relays import Answer, ScriptedRelay, Silence

PASSWORD = "hunter2-hunter2"
TOLD = base64.b64encode(f"\0ann\0{PASSWORD}".encode()).decode()
ALONE = base64.b64encode(PASSWORD.encode()).decode()


@pytest.mark.parametrize(
    "answer",
    [f"535 5.7.8 {TOLD} is wrong", f"535 {ALONE}", f"454 {PASSWORD}", f"{PASSWORD}?", "235 welcome", Silence.HANG_UP],
)
@pytest.mark.parametrize("method", ["PLAIN", "LOGIN"])
def test_a_login_shows_nowhere_even_if_the_relay_repeats_it(
    answer: Answer, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async def scenario() -> str:
        async with ScriptedRelay(EHLO=f"250-relay\r\n250 AUTH {method}", AUTH=answer) as relay:
            policy = a_policy(relay.port, user="ann", password=PASSWORD)
            sender = Sender(policy)
            mail = a_mail(content=b"Subject: x\r\n\r\nthe whole body\r\n")
            result = await sender.send(mail, 1, lease_held)
            shown = [policy, sender, sender.pool, sender.breaker, sender.breaker.outage, mail, result]
            await sender.close()
        return "\n".join(map(repr, shown))

    everything = asyncio.run(scenario()) + caplog.text
    for secret in (PASSWORD, TOLD, ALONE, "the whole body"):
        assert secret not in everything


@pytest.mark.parametrize(
    "answers",
    [
        {"GREETING": f"554 {TOLD}"},
        {"MAIL": f"451 {TOLD}"},
        {"RCPT": f"550 no {PASSWORD}"},
        {"DOT": f"250 queued, {ALONE}"},
        {"DATA": PASSWORD},
    ],
    ids=["greeting", "mail", "rcpt", "dot", "no reply"],
)
def test_a_relay_that_repeats_the_login_later_is_not_quoted_either(
    answers: dict[str, Answer], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async def scenario() -> str:
        async with ScriptedRelay(EHLO="250-relay\r\n250 AUTH PLAIN", **answers) as relay:
            sender = Sender(a_policy(relay.port, user="ann", password=PASSWORD))
            result = await sender.send(a_mail(), 1, lease_held)
            await sender.close()
        assert "***" in (result.text or "")
        return repr(result)

    everything = asyncio.run(scenario()) + caplog.text
    for secret in (PASSWORD, TOLD, ALONE):
        assert secret not in everything


def test_the_relays_words_are_cut_and_cleaned() -> None:
    async def scenario() -> None:
        async with ScriptedRelay(RCPT="550 5.1.1 no\x1b[31m\u202e " + "x" * 5000) as relay:
            sender = Sender(a_policy(relay.port))
            result = await sender.send(a_mail(), 1, lease_held)
            await sender.close()
        assert result.text is not None
        assert len(result.text) == 500
        assert result.text.isprintable()

    asyncio.run(scenario())
