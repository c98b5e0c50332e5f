"""Many mails through a relay that fails in every way: none is lost, and nothing piles up in the worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.flaky_relay import FlakyRelay
from tests.e2e.product import Product


def memory_and_sockets(product: Product) -> tuple[int, int]:
    """The worker's resident memory in bytes, and how many sockets it has open."""
    process = Path(f"/proc/{product.workers[1].pid}")
    resident = next(line for line in (process / "status").read_text().splitlines() if line.startswith("VmRSS"))
    files = [file for file in (process / "fd").iterdir() if file.exists() or file.is_symlink()]
    return int(resident.split()[1]) * 1024, sum(str(file.readlink()).startswith("socket") for file in files)


def send_through_a_flaky_relay(product: Product, mails: int, seconds: float) -> None:
    with FlakyRelay(seed=5) as relay:
        product.env["SMTP_PORT"] = str(relay.port)
        product.start(1)
        product.wait_until_running(1)
        for number in range(mails):
            email = f"r{number % 500}@example.com"
            event = {"task_name": f"t{number % 50}", "task_id": str(number), "status": "Completed"}
            product.publish({**event, "notify": {"email": email}}, key=str(number))
        product.flush()
        product.wait_for(lambda: len(relay.taken) >= mails // 4, seconds)
        early = memory_and_sockets(product)
        product.wait_for(lambda: len(relay.taken) >= mails, seconds, pause=1)
        sent: set[str] = set()

        def all_recorded() -> bool:
            sent.update(status["task_id"] for status in product.statuses() if status["status"] == "sent")
            return len(sent) == mails

        product.wait_for(all_recorded, seconds, pause=5)
        late = memory_and_sockets(product)
    assert len(relay.taken) == mails
    twice = {message_id for message_id, contents in relay.taken.items() if len(contents) > 1}
    assert twice <= relay.unanswered
    assert all(len(set(contents)) == 1 for contents in relay.taken.values()), "a repeated mail differs from its first"
    assert late[0] < 1.25 * early[0] + (20 << 20)
    assert late[1] <= early[1] + 8


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_20000_mails_through_a_relay_that_fails_every_twelfth_time_all_arrive(product: Product) -> None:
    send_through_a_flaky_relay(product, 20_000, 1800)
