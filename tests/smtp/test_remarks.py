"""What the sender says of a relay that is out of order to somebody who asks how the worker is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import pytest

from streamnotify.domain.delivery import AttemptResult, Outcome
from streamnotify.smtp.breaker import Breaker
from streamnotify.smtp.sender import Sender
from tests.smtp.a_mail import a_mail, a_policy, lease_held
from tests.smtp.jumping_clock import now, run
from tests.smtp.relays import ScriptedRelay


def refused(text: str) -> AttemptResult:
    return AttemptResult("n1", 1, Outcome.SENDER_CONFIG, "mail", 550, "sender_refused", text)


def test_a_relay_in_order_is_not_spoken_of() -> None:
    async def scenario() -> None:
        async with ScriptedRelay() as relay:
            sender = Sender(a_policy(relay.port), now)
            assert sender.remarks() == ()
            assert (await sender.send(a_mail(), 1, lease_held)).outcome is Outcome.SENT
            assert sender.remarks() == ()
            await sender.close()

    run(scenario())


def test_an_outage_is_told_with_its_age_its_reason_and_its_next_probe_until_it_ends() -> None:
    """Also to another thread, as the health server's is."""

    async def scenario() -> None:
        seen: list[Sequence[str]] = []
        async with ScriptedRelay(GREETING="421 4.3.2 busy") as relay:
            sender = Sender(a_policy(relay.port), now)
            assert (await sender.send(a_mail(), 1, lease_held)).outcome is Outcome.UNREACHABLE
            sending = asyncio.ensure_future(sender.send(a_mail(), 2, lease_held))
            await asyncio.sleep(40)  # probes after 1, 3, 7, 15 and 31 s
            seen.append(await asyncio.to_thread(sender.remarks))
            relay.pause("MAIL")
            relay.answer("GREETING", None)
            await asyncio.sleep(30)
            seen.append(sender.remarks())
            relay.resume()
            assert (await sending).outcome is Outcome.SENT
            assert sender.remarks() == ()
            await sender.close()
        begin = f"SMTP relay 127.0.0.1:{relay.port} has been out of order for"
        held = "s, mails are held: relay_unavailable 421 4.3.2 busy"
        assert seen == [
            (f"{begin} 40 {held} (tried again in 23 s)",),
            (f"{begin} 70 {held} (a mail tries it now)",),
        ]

    run(scenario())


def test_a_relay_that_nothing_is_due_for_is_tried_with_the_next_mail() -> None:
    breaker = Breaker("relay:587")
    breaker.end(False, refused("5.1.8 no"), 100.0)
    [remark] = breaker.remarks(100.0 + 3600)
    assert remark.endswith("for 3600 s, mails are held: sender_refused 550 5.1.8 no (the next mail tries it)")


@pytest.mark.parametrize(
    "address", ["ann@example.com", "<ann@example.com>", '"ann lee"@example.com', "änn@exämple.com", "'ann'@x.example:"]
)
def test_no_address_is_told_though_the_relay_names_one(address: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever may ask how the worker is need not know whom it writes to."""
    caplog.set_level(logging.CRITICAL)
    breaker = Breaker("relay:587")
    breaker.end(False, refused(f"5.1.8 no {address} here"), 0.0)
    [remark] = breaker.remarks(1.0)
    assert "5.1.8 no (an address) here" in remark
