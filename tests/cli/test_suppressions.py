"""``streamnotify feedback`` and ``streamnotify suppressions``, with Kafka, and a worker's changelog."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.domain.feedback import Sign
from streamnotify.domain.suppression import AddressHistory, Evidence
from streamnotify.stations.suppression import ADDRESS, address_key
from streamnotify.stream.topic_admin import TopicAdmin
from streamnotify.stream.topic_reader import TopicReader
from streamnotify.stream.topic_writer import publish
from streamnotify.wire.topic_layout import layouts
from tests.cli.running import streamnotify
from tests.wire import dsn_samples

NOW = datetime.now(UTC).replace(microsecond=0)


class Deployment:
    """Topics of its own on the shared broker, and the command told where they are."""

    def __init__(self, kafka: EmbeddedKafka, prefix: str, directory: Path) -> None:
        self.servers = kafka.bootstrap_servers
        self.prefix = prefix
        self._directory = directory
        TopicAdmin(self.servers).apply(layouts(prefix, "streamnotify", 2, 1))

    def __call__(self, *arguments: str) -> Result:
        """The result of a command."""
        given = {"KAFKA_BOOTSTRAP_SERVERS": self.servers, "STREAMNOTIFY_TOPIC_PREFIX": self.prefix}
        return streamnotify(*arguments, directory=self._directory, **given)

    def feedback(self) -> list[tuple[str, dict[str, Any]]]:
        """Key and content of what is on notification-feedback, as it was written."""
        with TopicReader(self.servers, [f"{self.prefix}notification-feedback"]) as reader:
            found = sorted(reader.to_the_end(), key=lambda message: message.timestamp()[1])
        return [((message.key() or b"").decode(), json.loads(message.value() or b"null")) for message in found]

    def write_row(self, history: AddressHistory) -> None:
        """Have a worker's row on the changelog."""
        key = ADDRESS.key(address_key(history.address, history.organization_id)).decode()
        publish(self.servers, f"{self.prefix}streamnotify-deliveries-changelog", [(key, ADDRESS.encode(history))])


@pytest.fixture
def deployment(kafka: EmbeddedKafka, unique: str, tmp_path: Path) -> Deployment:
    return Deployment(kafka, f"{unique}.", tmp_path)


def held(address: str, sign: Sign, organization_id: str | None = None, ago: int = 0) -> AddressHistory:
    evidence = Evidence(sign, NOW - timedelta(days=ago), "n1", "relay", "550 5.1.1 no such user")
    return AddressHistory(address, organization_id, (evidence,))


def test_the_list_shows_the_workers_latest_rows_that_still_hold(deployment: Deployment) -> None:
    deployment.write_row(AddressHistory("ann@example.com"))
    deployment.write_row(held("ann@example.com", Sign.HARD_BOUNCE))
    deployment.write_row(held("bob@example.com", Sign.COMPLAINT, "org-a", ago=400))
    deployment.write_row(held("carl@example.com", Sign.HARD_BOUNCE, ago=31))
    deployment.write_row(held("dora@example.com", Sign.HARD_BOUNCE))
    deployment.write_row(AddressHistory("dora@example.com", lifted_at=NOW))
    listed = deployment("suppressions", "list", "--json")
    assert listed.exit_code == 0
    assert json.loads(listed.output) == [
        {
            "address": "ann@example.com",
            "organization_id": None,
            "cause": "hard_bounce",
            "since": NOW.isoformat(),
            "until": (NOW + timedelta(days=30)).isoformat(),
            "source": "relay",
            "detail": "550 5.1.1 no such user",
        },
        {
            "address": "bob@example.com",
            "organization_id": "org-a",
            "cause": "complaint",
            "since": (NOW - timedelta(days=400)).isoformat(),
            "until": None,
            "source": "relay",
            "detail": "550 5.1.1 no such user",
        },
    ]
    shown = deployment("suppressions", "list").output
    assert "bob@example.com (organization org-a)  complaint by relay" in shown
    assert "for good: 550 5.1.1 no such user\n2 addresses get no mail\n" in shown


def test_adding_and_removing_put_an_event_on_the_feedback_topic(deployment: Deployment) -> None:
    assert deployment("suppressions", "add", "Ann@Example.com", "--reason", "asked by phone").exit_code == 0
    assert deployment("suppressions", "remove", "Ann@Example.com").exit_code == 0
    assert deployment("suppressions", "remove", "ann@example.com", "--organization", "org-a").exit_code == 0
    common = {"source": "operator"}
    assert deployment.feedback() == [
        (
            "ann@example.com",
            {"event": "suppressed", "email": "Ann@example.com", "detail": "asked by phone"} | common,
        ),
        ("ann@example.com", {"event": "unsuppressed", "email": "Ann@example.com"} | common),
        ("ann@example.com", {"event": "unsuppressed", "email": "ann@example.com", "organization_id": "org-a"} | common),
    ]


@pytest.mark.parametrize(
    "arguments", [("add", "nobody"), ("remove", "nobody"), ("add", "ann@example.com", "--reason", "x" * 5000)]
)
def test_what_the_topic_would_refuse_is_refused_at_once(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert streamnotify("suppressions", *arguments, directory=tmp_path).exit_code == 2


def test_a_report_from_the_mail_server_is_published(deployment: Deployment, tmp_path: Path) -> None:
    (tmp_path / "bounce.eml").write_bytes(dsn_samples.SEVERAL.encode())
    shown = deployment("feedback", "dsn", str(tmp_path / "bounce.eml"))
    assert shown.exit_code == 0
    assert "bounced: one@example.org (5.1.1)\n" in shown.output
    found = deployment.feedback()
    assert sorted(key for key, _ in found) == [
        "josé@xn--bcher-kva.example",
        "one@example.org",
        "three+news@example.org",
        "two@example.org",
    ]
    assert {event["source"] for _, event in found} == {"dsn"}


def test_a_dry_run_prints_the_events_and_needs_no_kafka(tmp_path: Path) -> None:
    (tmp_path / "bounce.eml").write_bytes(dsn_samples.POSTFIX.encode())
    shown = streamnotify("feedback", "dsn", "--dry-run", "bounce.eml", directory=tmp_path)
    assert shown.exit_code == 0
    [line] = shown.output.splitlines()
    assert json.loads(line)["status"] == "5.1.1"


@pytest.mark.parametrize(
    ("mail", "environment", "exit_code"),
    [
        (b"Subject: Hi\n\nHello\n", {}, 65),
        (dsn_samples.POSTFIX.encode(), {"STREAMNOTIFY_PARTITIONS": "many"}, 78),
    ],
)
def test_the_exit_codes_are_those_that_mail_servers_understand(
    tmp_path: Path, mail: bytes, environment: dict[str, str], exit_code: int
) -> None:
    (tmp_path / "bounce.eml").write_bytes(mail)
    assert streamnotify("feedback", "dsn", "bounce.eml", directory=tmp_path, **environment).exit_code == exit_code


@pytest.mark.timeout(90)
def test_a_kafka_that_does_not_answer_has_the_mail_server_try_again(tmp_path: Path) -> None:
    (tmp_path / "bounce.eml").write_bytes(dsn_samples.POSTFIX.encode())
    shown = streamnotify("feedback", "dsn", "bounce.eml", directory=tmp_path, KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert (shown.exit_code, "Kafka at 127.0.0.1:1 does not answer" in shown.output) == (75, True)


def test_a_topic_that_is_not_there_has_the_mail_server_try_again(
    kafka: EmbeddedKafka, unique: str, tmp_path: Path
) -> None:
    (tmp_path / "bounce.eml").write_bytes(dsn_samples.POSTFIX.encode())
    given = {"KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers, "STREAMNOTIFY_TOPIC_PREFIX": f"{unique}."}
    assert streamnotify("feedback", "dsn", "bounce.eml", directory=tmp_path, **given).exit_code == 75
