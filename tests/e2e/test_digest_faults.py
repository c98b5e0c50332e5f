"""Digests on a real broker while workers die, come and go: each is sent once, when it is due, with the exact total."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import datetime, timedelta
from typing import Any

from tests.e2e.product import MailServer, Product

EACH = 21  # notifications per person: one mail, and a digest of the rest


def type_into_the_console(product: Product, topic: str, **records: dict[str, Any]) -> None:
    """Type records into the console producer, as a person does: the key, a bar, the value."""
    command = [sys.executable, "-m", "streamnotify", "kafka", "produce", topic]
    lines = "".join(f"{key}|{json.dumps(value)}\n" for key, value in records.items())
    subprocess.run(command, input=lines, text=True, env=product.env, check=True, timeout=60)


def flood(product: Product, people: int) -> None:
    """So many people of the directory each get a mail, and then a digest is pending for each."""
    users = {
        f"u{number}": {"email": f"u{number}@example.com", "name": f"User {number}"} for number in range(people + 1)
    }
    type_into_the_console(product, "users", **users)
    wait_until_known(product, people)
    for run in range(EACH):
        for number in range(people):
            event = {"task_name": "import", "task_id": f"{number}-{run}", "status": "Stopped", "notify": {}}
            product.publish(event | {"user_id": f"u{number}"}, key=f"{number}-{run}")
    product.flush()
    product.wait_for(lambda: len(steps(product, "batched")) == people * (EACH - 1), 30)


def wait_until_known(product: Product, number: int) -> None:
    """Wait until the directory's last user is known: a mail to them goes out."""
    event = {"task_name": "hello", "status": "Completed", "notify": {"urgent": True}, "user_id": f"u{number}"}
    product.publish(event | {"task_id": "hello"}, key="hello")
    product.flush()
    product.wait_for(lambda: steps(product, "queued") != [], 30)


def steps(product: Product, step: str) -> list[dict[str, Any]]:
    """The statuses that say so."""
    return [status for status in product.statuses() if status["status"] == step]


def check(product: Product, mail_server: MailServer, people: int, *, late: timedelta) -> None:
    """Each has got a mail and a digest of all the rest, none before it was due and none later than ``late`` after."""

    def digests() -> list[dict[str, Any]]:
        product.revive()
        return [status for status in steps(product, "sent") if status["kind"] == "notification_digest"]

    product.wait_for(lambda: len(digests()) >= people, 60)
    for number in range(people):
        mails = [mail for mail in mail_server.mails_to(f"u{number}@example.com") if "import" in mail.as_string()]
        subjects = sorted(mail["Subject"] for mail in mails)
        rest = EACH - 1
        assert subjects == [f"{rest} failed — {rest} task notifications", "Task Completed: import - Failed"]
    assert all(len(copies) == 1 for copies in mail_server.deliveries.values())
    due = {
        status["digest_id"]: datetime.fromisoformat(status["next_at"]) for status in by_time(steps(product, "batched"))
    }
    made = {
        each["digest_id"]: datetime.fromisoformat(each["at"]) for each in steps(product, "queued") if "count" in each
    }
    assert made.keys() == due.keys()
    for digest_id, at in made.items():
        assert due[digest_id] <= at <= due[digest_id] + late
    assert product.dead_letters() == []


def by_time(statuses: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The earliest first."""
    return sorted(statuses, key=lambda status: str(status["at"]))


def test_digests_that_are_pending_when_workers_die_and_come_are_sent_once_and_whole(
    product: Product, mail_server: MailServer
) -> None:
    """Of three workers one is killed together with its state, one stops, and one joins meanwhile."""
    product.env["STREAMNOTIFY_DIGEST_WINDOW"] = "12s"
    for worker in (1, 2):
        product.start(worker)
    for worker in (1, 2):
        product.wait_until_running(worker)
    flood(product, 24)
    product.kill(1, lose_state=True)
    product.start(3)
    product.wait_until_running(3)
    product.stop(2)
    check(product, mail_server, 24, late=timedelta(seconds=45))


def test_a_digest_that_was_due_while_no_worker_ran_is_sent_at_once_by_the_next_one(
    product: Product, mail_server: MailServer
) -> None:
    product.env["STREAMNOTIFY_DIGEST_WINDOW"] = "5s"
    product.start(1)
    product.wait_until_running(1)
    flood(product, 20)
    product.kill_the_only_one(1)
    time.sleep(5.5)  # until the digests are due
    assert [mail for mails in mail_server.deliveries.values() for mail in mails if b"task_notifications" in mail] == []
    product.start(1)
    check(product, mail_server, 20, late=timedelta(seconds=45))


def test_preferences_typed_into_the_console_count(product: Product) -> None:
    """Those of a user, of an address and of an organization, all after the users they are about."""
    product.start(1)
    product.wait_until_running(1)
    users = {f"u{number}": {"email": f"u{number}@example.com"} for number in range(12)}
    type_into_the_console(product, "users", **users)
    refused: dict[str, dict[str, Any]] = {f"u{number}": {"email": False} for number in range(0, 12, 3)}
    refused |= {f"u{number}@example.com": {"kinds": {"task_completion": False}} for number in range(1, 12, 3)}
    type_into_the_console(product, "user-preferences", **refused, **{"organization:org-a": {"email": False}})
    wait_until_known(product, 11)
    for number in range(12):
        for organization_id in ("org-a", "org-b"):
            event = {"task_name": "import", "task_id": f"{number} {organization_id}", "status": "Completed"}
            event |= {"organization_id": organization_id, "user_id": f"u{number}"}
            product.publish(event | {"notify": {}}, key=f"{number}")
    product.flush()

    def about() -> list[dict[str, Any]]:
        found = [each for each in product.statuses() if each.get("task_name") == "import"]
        return [each for each in found if each["status"] in ("sent", "suppressed")]

    product.wait_for(lambda: len(about()) == 24, 30)
    found = {each["task_id"]: each.get("reason") or each["status"] for each in about()}
    reasons = {0: "opted_out_user", 1: "opted_out_kind", 2: "sent"}
    assert {number: found[f"{number} org-b"] for number in range(12)} == {n: reasons[n % 3] for n in range(12)}
    reasons[2] = "organization_off"
    assert {number: found[f"{number} org-a"] for number in range(12)} == {n: reasons[n % 3] for n in range(12)}
