"""What a person sees (SPEC 2.1, 2.4, 4): an event goes in, the right mail comes out, and every step is recorded."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from streamnotify.devtools.kafka import EmbeddedKafka
from tests.e2e.product import MailServer, Product, a_running_product, parsed, text_of
from tests.worker_processes import ROOT


@pytest.fixture(scope="module")
def product(
    kafka: EmbeddedKafka, shared_mail_server: MailServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Product]:
    """One running worker for all tests here; each uses task ids and addresses of its own."""
    directory = tmp_path_factory.mktemp("mails")
    with a_running_product(kafka, directory, shared_mail_server.port, STREAMNOTIFY_RECIPIENT_HOLD="2s") as running:
        yield running


def steps(product: Product, task_id: str) -> list[dict[str, Any]]:
    """What notification-status says about a run, in the order it happened."""
    found = [status for status in product.statuses() if status["task_id"] == task_id]
    return sorted(found, key=lambda status: str(status["at"]))


def publish(product: Product, task_id: str, **fields: Any) -> None:
    product.publish({"task_name": "nightly-report", "status": "Completed", "task_id": task_id} | fields, key=task_id)
    product.flush()


def wait_for_step(product: Product, task_id: str, last: str) -> list[dict[str, Any]]:
    """The steps of a run's notification once it has got to ``last``."""
    product.wait_for(lambda: last in [step["status"] for step in steps(product, task_id)], 30)
    return steps(product, task_id)


def test_a_line_typed_into_the_console_producer_becomes_a_mail(
    product: Product, shared_mail_server: MailServer
) -> None:
    line = '{"task_name": "nightly-report", "status": "Completed", "notify": {"email": "typed@example.com"}}\n'
    console = [sys.executable, "-m", "streamnotify", "kafka", "produce", "task-events"]
    subprocess.run(console, input=line, text=True, env=product.env, check=True, timeout=60)
    product.wait_for(lambda: shared_mail_server.mails_to("typed@example.com") != [], 30)
    [mail] = shared_mail_server.mails_to("typed@example.com")
    assert mail["Subject"] == "Task Completed: nightly-report - Success"
    assert "✅ Task Completed" in text_of(mail)


def test_a_success_says_all_that_is_known_and_every_step_is_recorded(
    product: Product, shared_mail_server: MailServer
) -> None:
    publish(product, "r-ok", status="Running", occurred_at=(datetime.now(UTC) - timedelta(seconds=165)).isoformat())
    publish(
        product,
        "r-ok",
        status="SUCCESS",
        duration_s=165,
        display_name="Nightly report",
        notify={"email": "Ok@Example.com", "name": "Ann"},
        result={"test_run_id": "42", "recipient_name": "Eve", "rows": 7},
    )
    accepted, queued, sent = wait_for_step(product, "r-ok", "sent")
    assert [accepted["status"], queued["status"], sent["status"]] == ["accepted", "queued", "sent"]
    assert len({step["notification_id"] for step in (accepted, queued, sent)}) == 1
    [mail] = shared_mail_server.mails_to("Ok@example.com")
    assert (sent["to"], sent["attempt"], sent["smtp_stage"], sent["smtp_code"]) == ("Ok@example.com", 1, "dot", 250)
    assert f"<{sent['message_id']}>" == mail["Message-ID"]
    assert queued["subject"] == mail["Subject"] == "Task Completed: Nightly report - Success"
    assert (accepted["kind"], accepted["task_name"]) == ("task_completion", "nightly-report")
    text = text_of(mail)
    for said in (
        "Hello Ann,",
        "completed with status: SUCCESS",
        "Task Details:",
        "Task Name: Nightly report",
        "Task ID: r-ok",
        "Execution Time: 2m 45s",
        "Test Run ID: 42",
    ):
        assert said in text
    assert "N/A" not in text
    line = "Task completion email sent successfully to Ok@example.com for task r-ok"
    assert product.log(1).read_text().count(line) == 1


def test_a_failure_shows_the_message_and_nothing_more_of_the_error(
    product: Product, shared_mail_server: MailServer
) -> None:
    error = {"type": "OSError", "message": "disk \x1b full " * 500, "traceback": "SECRET=1", "cause": "SECRET=2"}
    address = {"email": "bad@example.com"}
    publish(product, "r-bad", status="FAILURE", error=error, notify=address, result={"key": "SECRET"})
    wait_for_step(product, "r-bad", "sent")
    [mail] = shared_mail_server.mails_to("bad@example.com")
    text = text_of(mail)
    assert mail["Subject"] == "Task Completed: nightly-report - Failed"
    assert "❌ Task Failed" in text
    assert 1900 < text.count("disk") * len("disk  full ") < 2010
    assert "\x1b" not in text
    assert "SECRET" not in mail.as_string()


def test_a_failing_job_of_cron_is_one_mail_and_a_good_one_none(
    product: Product, shared_mail_server: MailServer, tmp_path: Path
) -> None:
    job = tmp_path / "import.sh"
    job.write_text("#!/bin/sh\necho importing\nexit $1\n")
    job.chmod(0o755)
    run = f"{sys.executable} -m streamnotify run --task cron-import --email cron@example.com --on failure"
    # As cron does it: hardly an environment, and nobody there.
    env = {name: product.env[name] for name in ("KAFKA_BOOTSTRAP_SERVERS", "STREAMNOTIFY_TOPIC_PREFIX")}
    env |= {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    for task_id, code in (("night-1", 0), ("night-2", 3)):
        line = ["sh", "-c", f"{run} --id {task_id} -- {job} {code}"]
        done = subprocess.run(line, env=env, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (code, b"importing\n", b"")
    wait_for_step(product, "night-2", "sent")
    [mail] = shared_mail_server.mails_to("cron@example.com")
    assert mail["Subject"] == "Task Completed: cron-import - Failed"
    assert "exit code 3" in text_of(mail)


def test_only_what_was_asked_for_is_mailed(product: Product, shared_mail_server: MailServer) -> None:
    """Cancelled only with ``on``; absent, null and false are silent and leave no record."""
    address = {"email": "asked@example.com"}
    publish(product, "r-c1", status="Cancelled", notify=address)
    publish(product, "r-s1", status="Completed", notify=address | {"on": ["failure"]})
    publish(product, "r-silent0")
    publish(product, "r-silent1", notify=None)
    publish(product, "r-silent2", notify=False)
    publish(product, "r-retry", status="Stopped", final=False, notify=address)
    publish(product, "r-c2", status="Cancelled", notify=address | {"on": ["Cancelled"]})
    wait_for_step(product, "r-c2", "sent")
    for run in ("r-c1", "r-s1"):
        [suppressed] = wait_for_step(product, run, "suppressed")
        assert suppressed["reason"] == "not_in_on"
    product.wait_for(lambda: ("nightly-report", "r-retry") in product.runs())
    for run in ("r-silent0", "r-silent1", "r-silent2", "r-retry"):
        assert steps(product, run) == []
    [mail] = shared_mail_server.mails_to("asked@example.com")
    assert mail["Subject"] == "Task Completed: nightly-report - Cancelled"


def test_a_subject_of_ones_own_is_filled_in(product: Product, shared_mail_server: MailServer) -> None:
    for number, template in enumerate(
        ("Task Complete: {task_name} - {status.title()}", "{rows} rows of {task_name.upper()}", "{nonsense}")
    ):
        notify = {"email": f"subject{number}@example.com", "subject_template": template}
        publish(product, f"r-sub{number}", notify=notify, result={"rows": 7})
        wait_for_step(product, f"r-sub{number}", "sent")
    subjects = [shared_mail_server.mails_to(f"subject{number}@example.com")[0]["Subject"] for number in range(3)]
    assert subjects == [
        "Task Complete: nightly-report - Success",
        "7 rows of NIGHTLY-REPORT",
        "Task Completed: nightly-report - Success",
    ]
    assert "subject_template '{nonsense}' cannot be filled in" in product.log(1).read_text()


def test_an_unknown_user_without_address_is_held_and_then_given_up_with_the_warning(
    product: Product, shared_mail_server: MailServer
) -> None:
    publish(product, "r-user", user_id="u-unknown", notify=True)
    accepted, held, suppressed = wait_for_step(product, "r-user", "suppressed")
    assert [accepted["status"], held["status"]] == ["accepted", "held"]
    assert (suppressed["reason"], suppressed["user_id"]) == ("no_recipient", "u-unknown")
    waited = datetime.fromisoformat(suppressed["at"]) - datetime.fromisoformat(held["at"])
    assert timedelta(seconds=2) <= waited < timedelta(seconds=20)
    assert held["next_at"] <= suppressed["at"]
    assert "] No email found for user u-unknown [" in product.log(1).read_text()

    publish(product, "r-user2", user_id="u-unknown", notify={"email": "fallback@example.com"})
    wait_for_step(product, "r-user2", "sent")
    assert len(shared_mail_server.mails_to("fallback@example.com")) == 1


def test_nobody_is_mailed_at_a_placeholder_address_or_about_the_distant_past(
    product: Product, shared_mail_server: MailServer
) -> None:
    publish(product, "r-place", notify={"email": "x@Sub.Placeholder.Rhesis.ai"})
    publish(product, "r-nobody", notify={})
    old = (datetime.now(UTC) - timedelta(days=2)).isoformat()
    publish(product, "r-old", occurred_at=old, notify={"email": "old@example.com"})
    reasons = {"r-place": "placeholder_address", "r-nobody": "no_recipient", "r-old": "stale"}
    for run, reason in reasons.items():
        [suppressed] = wait_for_step(product, run, "suppressed")
        assert suppressed["reason"] == reason
    assert "STREAMNOTIFY_MAX_EVENT_AGE" in product.log(1).read_text()
    assert shared_mail_server.mails_to("old@example.com") == []


def test_cloudevents_are_read_in_every_shape(product: Product, shared_mail_server: MailServer) -> None:
    event: dict[str, Any] = {"task_name": "ce", "status": "Completed"}
    envelope = {"specversion": "1.0", "id": "e1", "source": "/x", "type": "task", "time": "2026-01-01T00:00:00Z"}
    for number, headers in enumerate(([("content-type", b"application/cloudevents+json; charset=utf-8")], [])):
        data = event | {"task_id": f"ce{number}", "notify": {"email": f"ce{number}@example.com"}}
        fresh = envelope | {"time": datetime.now(UTC).isoformat(), "data": data}
        product.publish(fresh, headers=headers)
    binary = [(f"ce_{name}", value.encode()) for name, value in envelope.items() if name != "time"]
    data = event | {"task_id": "ce2", "notify": {"email": "ce2@example.com"}}
    product.publish(data, headers=[*binary, ("content-type", b"application/json")])
    product.flush()
    for number in range(3):
        wait_for_step(product, f"ce{number}", "sent")
        assert len(shared_mail_server.mails_to(f"ce{number}@example.com")) == 1
    assert product.runs()["ce", "ce2"].facts.step.event_id == "e1"


def test_a_repeated_event_mails_once_and_a_single_mail_comes_within_two_seconds(
    product: Product, shared_mail_server: MailServer
) -> None:
    began = time.monotonic()
    for _ in range(5):
        publish(product, "r-twice", notify={"email": "twice@example.com"})
    product.wait_for(lambda: shared_mail_server.mails_to("twice@example.com") != [], 30, pause=0.02)
    took = time.monotonic() - began
    publish(product, "r-after", notify={"email": "after@example.com"})
    wait_for_step(product, "r-after", "sent")
    [message_id] = [each for each, to in shared_mail_server.recipients.items() if to == "twice@example.com"]
    assert len(shared_mail_server.deliveries[message_id]) == 1
    assert took < 2, f"{took:.2f} s"


def test_without_smtp_host_every_mail_is_suppressed_and_the_log_says_why(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    with a_running_product(kafka, tmp_path, 25, SMTP_HOST="") as product:
        publish(product, "r-none", notify={"email": "ann@example.com"})
        accepted, suppressed = wait_for_step(product, "r-none", "suppressed")
        assert (accepted["status"], suppressed["reason"]) == ("accepted", "smtp_not_configured")
        assert "] SMTP configuration incomplete. Email notifications will be disabled. [" in product.log(1).read_text()


SMALLEST = {"task_name": "nightly-report", "status": "Completed"}
EVIL = "a\0\r\nBcc: eve@example.com\r\n\r\nbody\u2028X-Evil: 1\u2029\x85\u202e\x1b[31m"
HOSTILE: dict[str, tuple[dict[str, Any], str]] = {
    "line breaks": ({"task_name": EVIL}, "a Bcc: eve@example.com body X-Evil: 1 [31m - Success"),
    "display name": ({"display_name": EVIL}, "a Bcc: eve@example.com body X-Evil: 1 [31m - Success"),
    "jinja": ({"task_name": "{{7*7}}{% raw %}"}, "{{7*7}}{% raw %} - Success"),
    "attributes": ({"task_name": "{task_name.__class__}"}, "{task_name.__class__} - Success"),
    "encoded words": ({"task_name": "=?utf-8?q?=0d=0aBcc:_eve?="}, "=?utf-8?q?=0d=0aBcc:_eve?= - Success"),
    "markup": ({"task_name": "<script>alert(1)</script>"}, "<script>alert(1)</script> - Success"),
    "right to left": ({"task_name": "\u05d0\u05d1\u05d2"}, "\u05d0\u05d1\u05d2 - Success"),
    "emoji": ({"task_name": "\U0001f469\u200d\U0001f680 go"}, "\U0001f469\u200d\U0001f680 go - Success"),
    "unbroken": ({"task_name": "x" * 255}, f"{'x' * 64}\u2026{'x' * 29} - Success"),
}


def test_hostile_text_stays_text(product: Product, shared_mail_server: MailServer) -> None:
    for number, (fields, _) in enumerate(HOSTILE.values()):
        product.publish(
            SMALLEST | fields | {"task_id": EVIL, "notify": {"email": f"h{number}@example.com", "name": EVIL}}
        )
    for number, template in enumerate(("{task_name.__class__}", f"{EVIL}{{task_name}}", "{{7*7}}", "{error_message}")):
        product.publish(SMALLEST | {"notify": {"email": f"s{number}@example.com", "subject_template": template}})
    product.flush()
    wanted = {f"h{number}@example.com" for number in range(len(HOSTILE))} | {f"s{n}@example.com" for n in range(4)}
    product.wait_for(lambda: wanted <= set(shared_mail_server.recipients.values()), 30)
    for number, (name, (_, subject)) in enumerate(HOSTILE.items()):
        [mail] = shared_mail_server.mails_to(f"h{number}@example.com")
        assert mail["Subject"] == f"Task Completed: {subject}", name
        assert [address.addr_spec for address in mail["To"].addresses] == [f"h{number}@example.com"], name
    for number, subject in enumerate(
        (
            "Task Completed: nightly-report - Success",
            "a Bcc: eve@example.com body X-Evil: 1 [31mnightly-report",
            "{7*7}",
            "Task Completed: nightly-report - Success",
        )
    ):
        [mail] = shared_mail_server.mails_to(f"s{number}@example.com")
        assert mail["Subject"] == subject
    for message_id, [content] in shared_mail_server.deliveries.items():
        head = content.partition(b"\r\n\r\n")[0]
        assert b"\nBcc" not in head, message_id
        assert b"\nX-Evil" not in head, message_id
        html = parsed(content).get_body(("html",))
        assert html is not None
        assert "<script>alert" not in html.get_content(), message_id
    assert all("eve@" not in to for to in shared_mail_server.recipients.values())
    said = product.log(1).read_bytes().decode()  # read_text would hide a CR
    assert said.count("eve@example.com") >= len(HOSTILE)
    assert "\nBcc: eve@example.com" not in said, "a log line was forged"
    assert "\x1b" not in said
