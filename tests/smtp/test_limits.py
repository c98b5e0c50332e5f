"""How fast mails go out, and which first."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import timedelta
from typing import Any

import pytest

from streamnotify.domain.delivery import AttemptResult, Outcome, OutgoingMail
from streamnotify.smtp.limits import Limits
from streamnotify.smtp.sender import Sender
from tests.smtp.a_mail import a_mail, a_policy, lease_held
from tests.smtp.jumping_clock import now, run
from tests.smtp.relays import ScriptedRelay


class LimitingRelay(ScriptedRelay):
    """Takes so many mails in any second, and tells the others that they come too fast."""

    def __init__(self, per_second: int, **answers: Any) -> None:
        super().__init__(**answers)
        self._per_second = per_second
        self._taken: deque[float] = deque()
        self.rejected = 0

    async def _say(self, verb: str, writer: asyncio.StreamWriter) -> str | None:
        if verb == "DATA":
            time = asyncio.get_running_loop().time()
            while self._taken and self._taken[0] <= time - 1:
                self._taken.popleft()
            if len(self._taken) >= self._per_second:
                self.rejected += 1
                self.answer("DATA", "454 Throttling failure: Maximum sending rate exceeded.")
            else:
                self._taken.append(time)
                self.answer("DATA", None)
        return await super()._say(verb, writer)


async def deliver(sender: Sender, mail: OutgoingMail) -> AttemptResult:
    """Send, and again after 5 s while the relay defers."""
    attempt = 0
    while True:
        attempt += 1
        result = await sender.send(mail, attempt, lease_held)
        if result.outcome is Outcome.SENT:
            return result
        await asyncio.sleep(5)


def mails(count: int, **fields: Any) -> list[OutgoingMail]:
    """``count`` fresh mails."""
    lives = now() + timedelta(days=3)
    return [a_mail(notification_id=f"n{n}", expires_at=lives, **fields) for n in range(count)]


@pytest.mark.parametrize("configured", [10.0, None])
def test_a_relay_that_takes_10_a_second_gets_9_refuses_few_and_loses_none(configured: float | None) -> None:
    """Configured or found out."""

    async def scenario() -> None:
        relay = LimitingRelay(10)
        async with relay:
            sender = Sender(a_policy(relay.port, per_second=configured), now)
            began = asyncio.get_running_loop().time()
            await asyncio.gather(*(deliver(sender, mail) for mail in mails(600)))
            took = asyncio.get_running_loop().time() - began
            assert len(relay.contents) == 600
            assert 600 / took >= 9
            assert relay.rejected < 0.05 * 600
            await sender.close()

    run(scenario())


def test_what_is_allowed_a_day_goes_out_and_the_rest_the_next_day() -> None:
    async def scenario() -> None:
        async with ScriptedRelay() as relay:
            sender = Sender(a_policy(relay.port, per_day=50), now)
            sending = asyncio.gather(*(deliver(sender, mail) for mail in mails(120)))
            await asyncio.sleep(3600)
            assert len(relay.contents) == 50
            await asyncio.sleep(24 * 3600)
            assert len(relay.contents) == 100
            await sending
            assert len(relay.contents) == 120
            await sender.close()

    run(scenario())


def test_a_complaint_halves_the_rate_and_it_comes_back_steadily() -> None:
    limits = Limits(100.0, None)
    for n in range(100):
        limits.accepted(n / 100)
    limits.complained(0.995)
    limits.complained(1.5)  # about what was sent before
    assert limits.rate == 50.0
    rates = []
    for second in range(2, 200):
        limits.ready_at(float(second))
        rates.append(limits.rate)
    assert rates == sorted(rates)
    assert rates[4] == pytest.approx(90.0, abs=1)
    assert rates[-1] == 100.0


def test_urgent_mails_overtake_alerts_overtake_task_mails_overtake_digests() -> None:
    async def scenario() -> None:
        async with ScriptedRelay() as relay:
            sender = Sender(a_policy(relay.port, per_second=10.0, connections=1), now)
            kinds = ["notification_digest", "task_completion", "task_status_alert"]
            queued = [
                asyncio.create_task(deliver(sender, mail))
                for kind in kinds
                for mail in mails(20, kind=kind, content=f"{kind}\r\n".encode())
            ]
            await asyncio.sleep(0.25)
            [urgent] = mails(1, urgent=True, content=b"urgent\r\n")
            await asyncio.gather(deliver(sender, urgent), *queued)
            order = [content.split(b"\r\n")[0].decode() for content in relay.contents]
            assert order[0] == "notification_digest"  # it had come alone
            assert order[1:3] == ["task_status_alert"] * 2
            assert order[3] == "urgent"
            expected = ["task_status_alert"] * 18 + ["task_completion"] * 20 + ["notification_digest"] * 19
            assert order[4:] == expected
            await sender.close()

    run(scenario())
