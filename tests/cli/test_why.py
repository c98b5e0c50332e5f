"""``streamnotify why``, with Kafka and the records that workers would have written."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from streamnotify.cli.why import EXIT_NOT_SENT, EXIT_UNKNOWN
from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.domain.notifications import SuppressionReason
from streamnotify.domain.run_steps import IngestPolicy
from streamnotify.stations.ingest import Oddities, read_update
from streamnotify.testing.memory import MemoryRecord
from streamnotify.why.runs import why_silent
from streamnotify.why.words import SUPPRESSED, meaning
from streamnotify.wire.dead_letter import FIELD, REASON, STAGE
from streamnotify.wire.notification_status import NotificationStatus, NotificationStep
from tests.cli.deployments import Deployment

START = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=3)


@pytest.fixture(scope="module")
def deployment(kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    directory = tmp_path_factory.mktemp("why")
    return Deployment(kafka, f"why{directory.name}{id(directory)}", directory)


def step(notification_id: str, status: str, seconds: int = 0, **fields: Any) -> dict[str, Any]:
    at = (START + timedelta(seconds=seconds)).isoformat()
    return {"notification_id": notification_id, "status": status, "kind": "task_completion", "at": at, **fields}


def about(task_id: str, **fields: Any) -> dict[str, Any]:
    return {"task_name": "import", "task_id": task_id, "organization_id": "org-a", **fields}


def digest(name: str, status: str, seconds: int = 0, **fields: Any) -> dict[str, Any]:
    return step(name, status, seconds, **fields) | {"kind": "notification_digest"}


def in_order(text: str, *parts: str) -> bool:
    return re.search(".*".join(map(re.escape, parts)), text, re.DOTALL) is not None


def test_the_way_of_a_mail_is_told_in_the_order_of_time(deployment: Deployment) -> None:
    whom = about("run-1", to="ann@example.com")
    refused = {"attempt": 1, "smtp_stage": "rcpt", "smtp_code": 451, "reason": "greylisted"}
    deployment.steps(
        step("n1", "sent", 70, attempt=2, **whom),
        step("n1", "accepted", **about("run-1", user_id="u1")),
        step("n1", "queued", 1, subject="Task Completed: import", **whom),
        step("n1", "deferred", 2, next_at=(START + timedelta(seconds=62)).isoformat(), **refused, **whom),
        step("n1", "queued", 1, subject="Task Completed: import", **whom),
    )
    told = deployment("why", "n1")
    assert told.exit_code == 0
    lines = told.output.splitlines()
    assert lines[0] == "task_completion n1 about task import run run-1 for u1, ann@example.com"
    assert [re.search(r"UTC  (\w+):", line)[1] for line in lines[1:5]] == ["accepted", "queued", "deferred", "sent"]  # type: ignore[index]
    assert "attempt 1 at the stage rcpt with 451 (greylisted); tried again at" in lines[3]
    assert lines[5].startswith("  => sent at ")


def test_a_digest_is_followed_and_one_that_was_handed_on_into_the_next(deployment: Deployment) -> None:
    later = (START + timedelta(seconds=20)).isoformat()
    whom = {"to": "bob@example.com", "organization_id": "org-a"}
    deployment.steps(
        step("n2", "accepted", **about("run-2", to="bob@example.com")),
        step("n2", "batched", 1, digest_id="d1", next_at=later, **about("run-2", to="bob@example.com")),
        digest("d1", "queued", 20, subject="3 task notifications", **whom),
        digest("d1", "suppressed", 21, reason="opted_out_kind", digest_id="d1", count=3, message_id="<d1@x>", **whom),
        digest("d1", "batched", 22, digest_id="d2", count=3, next_at=later),
        digest("d2", "suppressed", 23, digest_id="d2", count=1, reason="opted_out_kind"),
        digest("d2", "queued", 23, subject="2 task notifications", **whom),
        digest("d2", "sent", 24, attempt=1, **whom),
    )
    told = deployment("why", "--task", "run-2")
    assert told.exit_code == 0
    wanted = (
        "accepted:",
        "in digest d1",
        "digest d1:",
        "3 task",
        "opted_out_kind: its mail does not go, since some of it is not wanted any more",
        "digest d2:",
        "1 notification(s) of it, opted_out_kind: this person has turned off this kind",
        "2 task",
        "sent:",
        "=> sent in its digest",
    )
    assert in_order(told.output, *wanted)
    assert "unless it is one of the 1 that were taken out of the digest" in told.output
    found = json.loads(deployment("why", "n2", "--json").stdout)["notifications"]
    assert [(each["outcome"], each["digests"][0]["digests"][0]["notification_id"]) for each in found] == [
        ("sent", "d2")
    ]


def test_what_was_dropped_with_others_of_its_kind_is_not_taken_for_sent(deployment: Deployment) -> None:
    deployment.steps(
        step("n3", "batched", digest_id="d3", **about("run-3", to="cleo@example.com")),
        digest(
            "d3", "suppressed", 1, digest_id="d3", count=40, reason="opted_out_organization", organization_id="org-a"
        )
        | {"kind": "task_completion"},
        digest("d3", "sent", 2, attempt=1, to="cleo@example.com"),
    )
    told = deployment("why", "n3")
    assert told.exit_code == 3
    assert (
        "40 notification(s) of it, opted_out_organization: this person wants no mails of organization org-a"
        in told.output
    )
    assert "=> not sent in its digest: opted_out_organization" in told.output


def test_a_digest_whose_mail_is_refused_is_sent_for_none_of_its_notifications(deployment: Deployment) -> None:
    mail = {"digest_id": "d7", "count": 2, "message_id": "<d7@x>", "to": "fay@example.com"}
    deployment.steps(
        step("n7", "batched", digest_id="d7", **about("run-7", to="fay@example.com")),
        digest("d7", "suppressed", 1, digest_id="d7", count=1, reason="opted_out_kind"),
        digest("d7", "queued", 1, **mail),
        digest("d7", "suppressed", 2, reason="suppressed_address", **mail),
    )
    told = deployment("why", "n7")
    assert told.exit_code == 3
    assert "`streamnotify suppressions remove fay@example.com` ends it" in told.output
    assert "=> not sent in its digest: suppressed_address" in told.output


def test_what_waits_in_a_digest_names_the_command_that_shows_when_it_goes(deployment: Deployment) -> None:
    at = (START + timedelta(hours=1)).isoformat()
    deployment.steps(step("n4", "batched", digest_id="d4", next_at=at, **about("run-4", user_id="u 4")))
    told = deployment("why", "n4")
    assert told.exit_code == 0
    assert told.output.splitlines()[-1].endswith(
        "or later, and is dropped then if it is refused by that time: `streamnotify mailbox show 'u 4'` says when, and "
        "what is refused"
    )


@pytest.mark.parametrize("reason", SuppressionReason)
def test_every_reason_is_explained(reason: SuppressionReason) -> None:
    said = meaning(
        NotificationStatus(
            notification_id="n",
            status=NotificationStep.SUPPRESSED,
            reason=reason,
            kind="weekly",
            user_id="u1",
            at=START,
        )
    )
    assert said.startswith(f"{reason}: {SUPPRESSED[reason][:10]}")
    assert "{" not in said


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("superseded", "not sent late, attempt 3: a later mail says the opposite"),
        (None, "not delivered within STREAMNOTIFY_MAIL_MAX_AGE, attempt 3: given up"),
    ],
)
def test_what_expired_was_too_old_or_superseded(reason: str | None, said: str) -> None:
    step = NotificationStatus(
        notification_id="n",
        status=NotificationStep.EXPIRED,
        reason=reason,
        kind="task_status_alert",
        attempt=3,
        at=START,
    )
    assert meaning(step) == said


def test_the_guide_names_every_reason_and_exit_code() -> None:
    page = (Path(__file__).parents[2] / "docs" / "why.md").read_text("utf-8")
    assert [reason for reason in SuppressionReason if f"`{reason}`" not in page] == []
    assert all(f"| {code} | " in page for code in (0, EXIT_UNKNOWN, 2, EXIT_NOT_SENT))


def test_a_suppressed_one_says_what_to_do_and_is_told_by_the_exit_code(deployment: Deployment) -> None:
    deployment.steps(step("n5", "suppressed", reason="opted_out_kind", **about("run-5", user_id="u5")))
    told = deployment("why", "--task", "run-5")
    assert told.exit_code == 3
    assert "this person has turned off task_completion: it is false on users or user-preferences" in told.output
    assert "`streamnotify mailbox show u5` says which" in told.output
    assert "=> not sent: opted_out_kind" in told.output


def test_an_address_is_found_in_any_letter_case_and_the_newest_are_shown(deployment: Deployment) -> None:
    deployment.steps(
        *(
            step(f"many{number}", "sent", number, attempt=1, **about(f"many-{number}", to="Dora@example.com"))
            for number in range(5)
        )
    )
    told = deployment("why", "--to", "dora@EXAMPLE.com", "--limit", "2")
    assert told.exit_code == 0
    assert re.findall(r"run many-\d", told.output) == ["run many-3", "run many-4"]
    assert told.output.endswith("The newest of 5: see --limit\n")


def test_a_users_notifications_are_found_by_their_id_whatever_the_address(deployment: Deployment) -> None:
    deployment.steps(
        step("held", "held", **about("held-1", user_id="Gus")),
        step("mailed", "sent", 1, attempt=1, **about("mailed-1", user_id="Gus", to="g@example.com")),
        step("other", "sent", 2, attempt=1, **about("other-1", user_id="gus", to="h@example.com")),
    )
    told = deployment("why", "--to", "Gus")
    assert re.findall(r"run (\w+-1)", told.output) == ["held-1", "mailed-1"]


def test_since_leaves_out_what_is_older(deployment: Deployment) -> None:
    deployment.steps(step("n6", "sent", attempt=1, **about("run-6", to="eve@example.com")))
    assert deployment("why", "--to", "eve@example.com", "--since", "1h").exit_code == 0
    told = deployment("why", "--to", "eve@example.com", "--since", "0.000001s")
    assert told.exit_code == 1
    assert "as far back as --since goes" in told.output


@pytest.mark.parametrize(
    ("event", "why"),
    [
        ({"status": "Completed"}, "a silent task, since none of its events has a notify"),
        ({"status": "Stopped", "notify": False}, "its newest event with a notify says notify false"),
        ({"status": "Running", "notify": True}, "it has not ended, it is Running since"),
        ({"status": "FAILURE", "final": False, "notify": True}, "only attempt 1 is over, Stopped since"),
        ({"status": "Invalidated", "notify": True}, "invalidated to be tried again, which is never mailed"),
        ({"status": "Completed", "notify": True}, "no worker has come to it yet: is `streamnotify worker` running"),
    ],
    ids=str,
)
def test_a_run_without_a_notification_says_why_there_is_none(event: dict[str, Any], why: str) -> None:
    value = json.dumps({"task_name": "import", "task_id": "r", **event}).encode()
    record = MemoryRecord("task-events", 0, int(START.timestamp() * 1000), None, value)
    assert why in why_silent(read_update(record, IngestPolicy(), Oddities()).facts)


def test_the_events_of_a_run_are_joined_wherever_they_lie(deployment: Deployment) -> None:
    events: list[dict[str, Any]] = [
        {"status": "Running", "notify": True},
        {"status": "Completed"},
        {"status": "Queued"},
    ]
    deployment.publish(
        "task-events",
        *(
            (key, {"task_name": "import", "task_id": "täsk-1", **event})
            for key, event in zip("abc", events, strict=True)
        ),
    )
    told = deployment("why", "--task", "täsk-1")
    assert told.exit_code == 1
    assert told.output.startswith("The run täsk-1 of task import has no notification: it is Completed since")


def test_a_record_that_could_not_be_used_is_told_with_its_reason(deployment: Deployment) -> None:
    broken = b'{"task_name": "import", "task_id" :"dead-1", "status": "Complted"}'
    deployment.dead_letter(broken, {STAGE: "ingest", FIELD: "status", REASON: "unknown status"})
    told = deployment("why", "--task", "dead-1")
    assert told.exit_code == 1
    assert re.search(r"by ingest: status: unknown status; see `streamnotify dead-letters show \d-\d+`", told.output)


def test_what_nobody_knows_says_what_to_look_at(deployment: Deployment) -> None:
    run, notification = deployment("why", "--task", "Nobody"), deployment("why", "nobody")
    assert (run.exit_code, notification.exit_code) == (1, 1)
    assert run.output.startswith("Nobody knows a run Nobody: ids are case-sensitive")
    assert notification.output.startswith("Nobody knows a notification nobody: its steps are kept for 30 d")
    found = json.loads(deployment("why", "--task", "Nobody", "--json").stdout)
    assert (found["notifications"], found["total"]) == ([], 0)
    assert found["none_because"] == [run.output.strip()]


def test_the_name_of_a_task_is_not_taken_for_an_unknown_run(deployment: Deployment) -> None:
    deployment.publish("task-events", (None, {"task_name": "nightly report", "task_id": "x9", "status": "Completed"}))
    told = deployment("why", "--task", "nightly report")
    assert told.exit_code == 1
    assert told.output == (
        "nightly report is the name of a task: --task takes the id of a run, task_id; "
        "`streamnotify runs 'nightly report'` lists its runs with theirs\n"
    )


@pytest.mark.parametrize(
    ("user_id", "words"),
    [
        ("u 8", "the topic users has no user u 8 with an address; see `streamnotify mailbox show 'u 8'`"),
        (None, "the event named neither notify.email nor a user_id that the topic users has with an address"),
    ],
)
def test_nobody_to_write_to_names_the_user_who_is_missing(user_id: str | None, words: str) -> None:
    record = NotificationStatus.model_validate(step("n", "suppressed", reason="no_recipient", user_id=user_id))
    assert words in meaning(record)


def test_no_record_reaches_the_terminal_raw(deployment: Deployment) -> None:
    hostile = "\x1b[2Jrun\r\n=> sent"
    evil = about(hostile, to="\x1b]0;x\x07@example.com")
    deployment.steps(step("evil", "suppressed", **evil | {"reason": "\x1b[31m", "organization_id": hostile}))
    deployment.publish("notification-status", ("evil", b"no JSON"), ("evil", b'{"status": "of a later release"}'))
    told = deployment("why", "evil")
    assert told.exit_code == 3
    assert not re.search("[\x00-\x09\x0b-\x1f]", told.output)
    assert deployment("why", "--task", hostile).exit_code == 3


def test_only_one_question_is_answered_at_a_time(deployment: Deployment) -> None:
    assert deployment("why").exit_code == 2
    assert deployment("why", "n1", "--to", "ann@example.com").exit_code == 2
