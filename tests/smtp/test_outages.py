"""A relay that is out of order for every mail: mails are held, one probes, and all go out once it works again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY

from streamnotify.domain.delivery import AttemptResult, Outcome
from streamnotify.smtp.breaker import PROBE_AFTER, BreakerState
from streamnotify.smtp.sender import Sender
from tests.smtp.a_mail import a_mail, a_policy, lease_held
from tests.smtp.jumping_clock import now, run
from tests.smtp.relays import Answer, ScriptedRelay, Silence

WITH_AUTH = "250-relay\r\n250 AUTH PLAIN LOGIN"
LOGIN = {"user": "ann", "password": "hunter2"}


class Queue:
    """Mails that come back to the sender after each deferral, as the deliveries station has them do."""

    def __init__(self, sender: Sender, count: int, **fields: Any) -> None:
        self._sender = sender
        self.sent = 0
        self.results: list[AttemptResult] = []
        lives = fields.pop("lives", timedelta(days=3))
        mails = [a_mail(notification_id=f"n{n}", expires_at=now() + lives, **fields) for n in range(count)]
        self.all = asyncio.gather(*(self._deliver(mail) for mail in mails))

    async def give_up(self) -> None:
        """Stop. Who cancels without waiting leaves an error to the log of a later test."""
        self.all.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.all

    async def _deliver(self, mail: Any) -> None:
        attempt = 1
        while True:
            result = await self._sender.send(mail, attempt, lease_held)
            self.results.append(result)
            if result.outcome is Outcome.SENT or result.reason == "expired":
                self.sent += result.outcome is Outcome.SENT
                return
            attempt += 1
            await asyncio.sleep(60)


def auths(relay: ScriptedRelay) -> int:
    """How often somebody has tried to log in."""
    return sum(command.startswith("AUTH") for command in relay.commands)


def test_a_thousand_mails_and_a_wrong_password_are_two_logins_a_minute_and_none_is_lost() -> None:
    async def scenario() -> None:
        async with ScriptedRelay(EHLO=WITH_AUTH, AUTH="535 5.7.8 wrong") as relay:
            sender = Sender(a_policy(relay.port, **LOGIN), now)
            queue = Queue(sender, 1000)
            await asyncio.sleep(59)
            assert auths(relay) == 1
            await asyncio.sleep(60 + 300 + 900)
            assert auths(relay) == 4  # at 0, 1, 6 and 21 minutes
            assert queue.sent == 0
            held = {result.notification_id for result in queue.results}
            assert len(held) == 1000  # each has been shown as deferred, and why
            assert {result.reason for result in queue.results} == {"auth_failed"}
            assert len(queue.results) == 1000  # once: from then on it waits in silence
            relay.answer("AUTH", "235 2.7.0 welcome")
            await asyncio.wait_for(queue.all, 3600)
            assert queue.sent == len(relay.contents) == 1000
            assert auths(relay) <= 4 + 1000 // 100 + 4
            await sender.close()

    run(scenario())


def test_a_refused_password_is_tried_no_sooner_though_the_relay_says_so() -> None:
    async def scenario() -> None:
        async with ScriptedRelay(EHLO=WITH_AUTH, AUTH="535 5.7.8 wrong, try again in 1 second") as relay:
            queue = Queue(Sender(a_policy(relay.port, **LOGIN), now), 10)
            await asyncio.sleep(59)
            assert auths(relay) == 1
            relay.answer("AUTH", "535 5.7.8 locked, try again in 2 hours")
            await asyncio.sleep(3600)
            assert auths(relay) == 2
            await queue.give_up()

    run(scenario())


def test_a_password_that_becomes_wrong_is_tried_once() -> None:
    async def scenario() -> None:
        async with ScriptedRelay(EHLO=WITH_AUTH, AUTH=["235 2.7.0 welcome", "535 5.7.8 wrong"]) as relay:
            sender = Sender(a_policy(relay.port, **LOGIN), now)
            await Queue(sender, 1).all
            await asyncio.sleep(60)  # the idle connection is closed meanwhile
            queue = Queue(sender, 100)
            await asyncio.sleep(50)
            assert auths(relay) == 2
            await queue.give_up()

    run(scenario())


@pytest.mark.parametrize("limit", [10, 19_999])
def test_a_relay_set_up_to_take_no_ordinary_mail_loses_none(limit: int) -> None:
    """Each mail would fail for good otherwise, though nothing is wrong with any."""

    async def scenario() -> None:
        async with ScriptedRelay(EHLO=f"250-relay\r\n250 SIZE {limit}") as relay:
            sender = Sender(a_policy(relay.port), now)
            queue = Queue(sender, 50, content=b"Subject: x\r\n\r\n" + b"x" * limit + b"\r\n")
            await asyncio.sleep(3600)
            assert {(result.outcome, result.reason) for result in queue.results} == {
                (Outcome.SENDER_CONFIG, "size_limit"),
                (Outcome.HELD, "size_limit"),
            }
            assert f"the relay takes only {limit}" in (queue.results[0].text or "")
            assert not any(command.startswith("MAIL") for command in relay.commands)
            relay.answer("EHLO", "250-relay\r\n250 SIZE 10485760")
            await asyncio.wait_for(queue.all, 3700)
            assert len(relay.contents) == 50
            await sender.close()

    run(scenario())


@pytest.mark.parametrize(
    ("answers", "reason", "outcome"),
    [
        ({"GREETING": "421 4.3.2 busy"}, "relay_unavailable", Outcome.UNREACHABLE),
        ({"GREETING": Silence.HANG_UP}, "connection_failed", Outcome.UNREACHABLE),
        ({"GREETING": Silence.HANG}, "timeout", Outcome.UNREACHABLE),
        ({"MAIL": "530 5.7.0 log in"}, "auth_required", Outcome.SENDER_CONFIG),
        ({"DOT": "554 Message rejected: Email address is not verified."}, "sender_refused", Outcome.SENDER_CONFIG),
        ({"MAIL": "550 5.4.5 Daily user sending limit exceeded."}, "quota_exceeded", Outcome.QUOTA),
    ],
)
def test_an_outage_is_probed_by_one_mail_at_growing_intervals(
    answers: dict[str, Answer | list[Answer]], reason: str, outcome: Outcome
) -> None:
    async def scenario() -> None:
        async with ScriptedRelay(**answers) as relay:
            sender = Sender(a_policy(relay.port), now)
            queue = Queue(sender, 50)
            steps = PROBE_AFTER[outcome]
            await asyncio.sleep(sum(steps[:4]) - 0.5)
            assert relay.connections == (1 if reason == "timeout" else len(steps[:4]))  # that one takes 30 s
            await asyncio.sleep(60)
            assert {result.reason for result in queue.results} == {reason}
            assert {result.outcome for result in queue.results} == {outcome, Outcome.HELD}
            for verb in answers:
                relay.answer(verb, None)
            await asyncio.wait_for(queue.all, 2 * 3600)
            assert queue.sent == 50
            await sender.close()

    run(scenario())


def test_a_relay_that_refuses_connections_is_tried_within_a_minute_of_its_return() -> None:
    async def scenario() -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
            sender = Sender(a_policy(port), now)
            queue = Queue(sender, 20)
            await asyncio.sleep(10 * 3600)
            assert queue.sent == 0
        async with ScriptedRelay() as relay:
            await relay.listen(port)
            await asyncio.wait_for(queue.all, 61)
            assert queue.sent == len(relay.contents) == 20
            assert max(result.attempt for result in queue.results) == 2  # ten hours cost no attempts
            await sender.close()

    run(scenario())


def test_held_mails_expire_in_time_and_say_so() -> None:
    async def scenario() -> None:
        async with ScriptedRelay(EHLO=WITH_AUTH, AUTH="535 5.7.8 wrong") as relay:
            sender = Sender(a_policy(relay.port, **LOGIN), now)
            began = now()
            queue = Queue(sender, 30, lives=timedelta(hours=4))
            await queue.all
            assert timedelta(hours=4) <= now() - began < timedelta(hours=4, seconds=5)
            assert sum(result.reason == "expired" for result in queue.results) == 30
            assert relay.contents == []

    run(scenario())


def test_a_mail_that_waits_for_the_relay_stops_at_once_when_it_is_cancelled() -> None:
    async def scenario() -> None:
        async with ScriptedRelay(EHLO=WITH_AUTH, AUTH=["535 5.7.8 wrong", "235 2.7.0 welcome"]) as relay:
            sender = Sender(a_policy(relay.port, **LOGIN), now)
            await sender.send(a_mail(expires_at=now() + timedelta(days=3)), 1, lease_held)
            waiting = [
                asyncio.create_task(sender.send(a_mail(expires_at=now() + timedelta(days=3)), 2, lease_held))
                for _ in range(10)
            ]
            await asyncio.sleep(1)
            for task in waiting[:9]:
                task.cancel()
            await asyncio.wait(waiting[:9], timeout=0)
            await asyncio.sleep(0)
            assert all(task.cancelled() for task in waiting[:9])
            assert (await waiting[9]).outcome is Outcome.SENT
            assert len(relay.contents) == 1
            await sender.close()

    run(scenario())


def test_a_cancelled_probe_leaves_the_probing_to_the_next() -> None:
    async def scenario() -> None:
        async with ScriptedRelay(GREETING=["421 4.3.2 busy", "220 hi"]) as relay:
            sender = Sender(a_policy(relay.port), now)
            fresh = a_mail(expires_at=now() + timedelta(days=3))
            assert (await sender.send(fresh, 1, lease_held)).outcome is Outcome.UNREACHABLE
            relay.pause("MAIL")
            probe, other = (asyncio.create_task(sender.send(fresh, 2, lease_held)) for _ in range(2))
            await asyncio.sleep(5)
            assert sender.breaker.state is BreakerState.HALF_OPEN
            probe.cancel()
            await asyncio.wait((probe,))
            relay.resume()
            assert (await other).outcome is Outcome.SENT
            assert sender.breaker.outage is None
            await sender.close()

    run(scenario())


def test_an_outage_is_logged_once_when_it_begins_and_once_when_it_ends_and_shows_in_the_metrics(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "streamnotify.smtp")

    async def scenario() -> None:
        async with ScriptedRelay(EHLO=WITH_AUTH, AUTH="535 5.7.8 wrong") as relay:
            sender = Sender(a_policy(relay.port, **LOGIN), now)
            queue = Queue(sender, 100)
            await asyncio.sleep(2000)
            assert REGISTRY.get_sample_value("streamnotify_smtp_breaker_state") == BreakerState.OPEN
            assert REGISTRY.get_sample_value("streamnotify_smtp_waiting") == 100
            age = REGISTRY.get_sample_value("streamnotify_smtp_breaker_age_seconds")
            assert age == pytest.approx(2000, abs=5)
            [began] = caplog.messages
            assert began.startswith(f"127.0.0.1:{relay.port} is out of order, mails are held: auth_failed 535 5.7.8")
            assert began.endswith("(tried again in 60 s)")
            relay.answer("AUTH", "235 2.7.0 welcome")
            await queue.all
            await sender.close()
        assert len(caplog.messages) == 2
        assert "works again after" in caplog.messages[1]
        assert REGISTRY.get_sample_value("streamnotify_smtp_breaker_state") == BreakerState.CLOSED
        assert REGISTRY.get_sample_value("streamnotify_smtp_breaker_age_seconds") == 0

    run(scenario())


def test_a_relay_that_takes_fewer_connections_is_used_with_as_many_as_it_takes() -> None:
    """No mail is deferred for it, and the breaker stays closed."""

    async def scenario() -> None:
        greetings: list[Answer] = ["220 hi", "220 hi", "421 4.7.0 too many connections"]
        async with ScriptedRelay(GREETING=greetings) as relay:
            sender = Sender(a_policy(relay.port), now)
            queue = Queue(sender, 80)
            await asyncio.wait_for(queue.all, 30)
            assert [result.attempt for result in queue.results] == [1] * 80
            assert sender.breaker.outage is None
            assert relay.connections <= 5
            await sender.close()

    run(scenario())
