"""The lease: neither frozen nor out of the group's sight for longer than the limit."""

from __future__ import annotations

import asyncio
import time

import pytest

from streamnotify.errors import LeaseLost
from streamnotify.stream.lease import UNHEARD_LIMIT, Lease, boot_clock


class Clock:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_process_that_stood_still_for_longer_than_the_limit_may_not_write() -> None:
    """Up to the limit it may."""
    clock = Clock()
    lease = Lease(5.0, clock)
    clock.now += 5.0
    lease.check_pulse()
    clock.now += 0.1
    with pytest.raises(LeaseLost, match=r"stood still for 5\.1 s"):
        lease.check_pulse()


def test_a_process_the_group_has_not_answered_may_write_but_not_act() -> None:
    """Writes are fenced at the log; what leaves Kafka, such as a mail, is not."""
    clock = Clock()
    lease = Lease(5.0, clock)

    async def beat_once() -> None:
        pulse = asyncio.ensure_future(lease.keep_pulse())
        await asyncio.sleep(0)
        pulse.cancel()

    clock.now += 4.0
    asyncio.run(beat_once())
    clock.now += 2.0
    assert lease.heartbeat_age == 6.0
    lease.check_pulse()
    with pytest.raises(LeaseLost, match="no heartbeat"):
        lease.check()
    lease.heartbeat_answered()
    lease.check()


def test_a_process_that_the_group_has_forgotten_never_acts_again() -> None:
    """Not even if a heartbeat's answer, which was on its way, comes in."""
    lease = Lease(5.0, Clock())
    lease.lose("the group does not know this worker any more")
    lease.heartbeat_answered()
    for check in (lease.check_pulse, lease.check):
        with pytest.raises(LeaseLost, match="the group does not know this worker any more"):
            check()


def test_the_pulse_ends_with_the_first_beat_after_a_gap() -> None:
    """So that a frozen process ends even if it has nothing to send."""
    clock = Clock()
    lease = Lease(5.0, clock)

    async def freeze() -> None:
        beating = asyncio.ensure_future(lease.keep_pulse())
        await asyncio.sleep(0)
        clock.now += 6.0
        await asyncio.wait_for(beating, 5)

    with pytest.raises(LeaseLost):
        asyncio.run(freeze())


def test_the_clock_counts_time_asleep() -> None:
    """CLOCK_BOOTTIME where there is one."""
    wanted = time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
    assert boot_clock() == pytest.approx(wanted, abs=1)


def test_a_worker_the_group_is_silent_to_for_three_minutes_ends() -> None:
    """A request that is never answered does not keep it waiting."""
    clock = Clock()
    lease = Lease(5.0, clock)
    clock.now += UNHEARD_LIMIT
    lease.check_heard()
    clock.now += 1
    with pytest.raises(LeaseLost, match="has not answered for 181 s"):
        lease.check_heard()
