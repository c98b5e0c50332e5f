"""Two hours in which nothing of ours ran: no false alarm, and one word about what was missed (in-memory engine)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from streamnotify.wire.topics import TASK_EVENTS
from tests.e2e.in_memory import InMemoryProduct
from tests.e2e.product import text_of

START = datetime(2024, 1, 15, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HEALTHY = [f"healthy-{number}" for number in range(5)]
EVERY_TASK = [*HEALTHY, "dead"]


@pytest.fixture
def product() -> InMemoryProduct:
    """Ran for an hour, all its tasks with it; each is checked every 15 minutes and looked back at for 20."""
    product = InMemoryProduct(START)
    product.user("u1", email="root@example.com", is_superuser=True)
    expected = {"expected_statuses": ["Completed"], "notify_to": ["ops@example.com"], "lookback_hours": 1 / 3}
    product.monitor("watch", [dict.fromkeys(EVERY_TASK, expected)], crontab="*/15 * * * *")
    for _ in range(6):
        for name in EVERY_TASK:
            product.ran(name)
        product.advance(minutes=10)
    assert product.mails() == []
    return product


def down(product: InMemoryProduct, minutes: int) -> None:
    """Nothing of ours runs; the healthy tasks go on every ten minutes, and what they publish waits in Kafka."""
    for minute in range(minutes):
        if minute % 10 == 0:
            for name in HEALTHY:
                event = {"task_name": name, "status": "Completed", "task_id": f"{name}-{minute}"}
                product.engine.put(TASK_EVENTS, event, settle=False)
        product.engine.now += MINUTE


def test_two_hours_of_our_own_downtime_are_no_false_alarm_and_what_really_did_not_run_is_told_once(
    product: InMemoryProduct,
) -> None:
    down(product, 122)
    product.advance(minutes=3)
    late = [result for result in product.results if result["check_time"] > "2024-01-15T09:00:00Z"]
    assert {(result["task_name"], result["verdict"]) for result in late if result["verdict"] != "skipped"} == {
        *((name, "ok") for name in HEALTHY),
        ("dead", "not_executed"),
    }
    skipped = [result for result in late if result["verdict"] == "skipped"]
    assert [(result["count"], result["first"], result["last"]) for result in skipped] == [
        (7, "2024-01-15T09:15:00Z", "2024-01-15T10:45:00Z")
    ] * 6
    alert, health = product.mails()
    assert alert == ("ops@example.com", "[ALERT] dead Has Not Executed")
    assert health[0] == "root@example.com"
    text = text_of(product.last_mail())
    for said in ("2024-01-15 09:15:00 UTC", "2024-01-15 11:02:00 UTC", "42", "dead"):
        assert said in text


def test_after_the_catch_up_everything_is_as_before(product: InMemoryProduct) -> None:
    down(product, 122)
    product.advance(minutes=12)
    for name in EVERY_TASK:
        product.ran(name)
    mails = len(product.mails())
    product.advance(minutes=2)
    assert [result["verdict"] for result in product.results[-6:]] == ["ok"] * 6
    assert len(product.mails()) == mails


def test_a_few_minutes_are_made_up_for_without_a_word(product: InMemoryProduct) -> None:
    """Five minutes late is what superusers are told of."""
    product.advance(minutes=14)
    for name in EVERY_TASK:
        product.ran(name)
    down(product, 4)
    product.advance(minutes=10)
    assert [result["verdict"] for result in product.results[-6:]] == ["ok"] * 6
    assert product.mails() == []


def test_what_is_late_because_of_us_is_found_as_of_its_due_time(product: InMemoryProduct) -> None:
    """A run that began after the check was due is none of its business, even if it is there when the check is made."""
    product.advance(minutes=10)
    product.engine.now += 10 * MINUTE
    product.engine.put(TASK_EVENTS, {"task_name": "dead", "status": "Completed"}, settle=False)
    product.advance(minutes=1)
    [dead] = [each for each in product.results[-6:] if each["task_name"] == "dead"]
    assert (dead["check_time"], dead["verdict"]) == ("2024-01-15T09:15:00Z", "not_executed")
