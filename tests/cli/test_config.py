"""``streamnotify config``."""

from __future__ import annotations

import json
from pathlib import Path

from streamnotify.devtools.inbox import Inbox
from streamnotify.devtools.kafka import EmbeddedKafka
from tests.cli.deployments import PARTITIONS, Deployment
from tests.cli.running import streamnotify
from tests.smtp.name_server import name_server


def test_values_are_shown_with_their_sources_and_secrets_masked(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SMTP_PASSWORD=hunter2hunter2\nSMTP_USER=ann@example.com\n")
    shown = streamnotify("config", "--json", directory=tmp_path, SMTP_HOST="relay")
    listed = json.loads(shown.output)["settings"]
    assert (listed["SMTP_HOST"]["value"], listed["SMTP_HOST"]["source"]) == ("relay", "environment")
    assert (listed["SMTP_PASSWORD"]["value"], listed["SMTP_PASSWORD"]["source"]) == ("********", ".env")
    assert (listed["SMTP_FROM"]["value"], listed["SMTP_FROM"]["source"]) == ("ann@example.com", "default")
    assert listed["STREAMNOTIFY_DIGEST_WINDOW"]["value"] == "30m"
    assert "hunter2" not in shown.output + streamnotify("config", directory=tmp_path).output
    assert shown.exit_code == 0


def test_a_secret_in_a_file_is_shown_as_such_and_masked(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter2hunter2\n")
    shown = streamnotify("config", "--json", directory=tmp_path, SMTP_PASSWORD_FILE="password")
    listed = json.loads(shown.output)["settings"]["SMTP_PASSWORD"]
    assert (listed["value"], listed["source"]) == ("********", "file")
    assert "hunter2" not in shown.output
    (tmp_path / "password").unlink()
    refused = streamnotify("config", directory=tmp_path, SMTP_PASSWORD_FILE="password")
    assert (refused.exit_code, refused.output.count("\n")) == (1, 1)
    assert "SMTP_PASSWORD_FILE is 'password': a file of" in refused.output


def test_a_wrong_value_ends_with_one_line_and_exit_code_1(tmp_path: Path) -> None:
    shown = streamnotify("config", directory=tmp_path, SMTP_PORT="high")
    assert (shown.exit_code, shown.output) == (
        1,
        "Error: SMTP_PORT is 'high': a whole number from 1 to 65535 is allowed\n",
    )


def test_what_is_misspelt_or_missing_is_pointed_out(tmp_path: Path) -> None:
    shown = streamnotify("config", directory=tmp_path, STREAMNOTIFY_PARTITION="3")
    assert "STREAMNOTIFY_PARTITION is no setting; did you mean STREAMNOTIFY_PARTITIONS?" in shown.output
    assert "SMTP configuration incomplete. Email notifications will be disabled." in shown.output


def test_check_says_what_answers(kafka: EmbeddedKafka, unique: str, tmp_path: Path) -> None:
    Deployment(kafka, unique, tmp_path)
    with Inbox() as inbox:
        environment = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "STREAMNOTIFY_TOPIC_PREFIX": f"{unique}.",
            "STREAMNOTIFY_PARTITIONS": str(PARTITIONS),
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(inbox.smtp_port),
            "SMTP_FROM": "noreply@example.com",
        }
        well = streamnotify("config", "--check", directory=tmp_path, **environment, SMTP_TLS="none")
        no_tls = streamnotify("config", "--check", "--json", directory=tmp_path, **environment)
    assert well.exit_code == 0
    assert well.output.rpartition("\n\n")[2].splitlines() == [
        "Checked",
        f"kafka: ok, {kafka.bootstrap_servers} answers with 1 broker(s)",
        "topics: ok, 15 are there",
        f"smtp: ok, 127.0.0.1:{inbox.smtp_port} answers",
    ]
    answer = json.loads(no_tls.output)["checks"]["smtp"]
    assert (no_tls.exit_code, answer["ok"]) == (1, False)
    assert answer["answer"].endswith("SMTP_TLS=none for a local test server")


def test_check_says_what_does_not_answer(tmp_path: Path) -> None:
    shown = streamnotify("config", "--check", directory=tmp_path, KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert shown.exit_code == 1
    assert "kafka: FAILED, Kafka at 127.0.0.1:1 does not answer" in shown.output
    assert "smtp: FAILED, missing: SMTP_HOST (or SMTP_PRESET), SMTP_FROM" in shown.output
    assert "topics: " not in shown.output


def test_check_says_that_topics_are_missing_or_that_a_person_must_look(
    kafka: EmbeddedKafka, unique: str, tmp_path: Path
) -> None:
    given = {"KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers, "STREAMNOTIFY_TOPIC_PREFIX": f"{unique}."}
    missing = streamnotify("config", "--check", directory=tmp_path, **given)
    Deployment(kafka, unique, tmp_path)
    wrong = streamnotify("config", "--check", directory=tmp_path, **given, STREAMNOTIFY_PARTITIONS=str(PARTITIONS + 1))
    assert (missing.exit_code, wrong.exit_code) == (1, 1)
    assert "topics: FAILED, 15 missing or wrong. Run: streamnotify topics apply\n" in missing.output
    assert "topics: FAILED, 6 missing or wrong. Run: streamnotify topics diff\n" in wrong.output


def test_check_warns_of_mails_that_will_not_arrive(kafka: EmbeddedKafka, unique: str, tmp_path: Path) -> None:
    Deployment(kafka, unique, tmp_path)
    with Inbox() as inbox:
        environment = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "STREAMNOTIFY_TOPIC_PREFIX": f"{unique}.",
            "STREAMNOTIFY_PARTITIONS": str(PARTITIONS),
            "SMTP_HOST": "0.0.0.0",  # this machine, but no loopback address
            "SMTP_PORT": str(inbox.smtp_port),
            "SMTP_TLS": "none",
            "SMTP_FROM": "ann@gmail.com",
        }
        shown = streamnotify("config", "--check", directory=tmp_path, **environment)
        listed = json.loads(streamnotify("config", "--check", "--json", directory=tmp_path, **environment).output)
    assert shown.exit_code == 3
    assert "mails: WARNING, SMTP_FROM is 'ann@gmail.com': mail from gmail.com" in shown.output
    assert "mails: WARNING, SMTP_TLS is 'none'" in shown.output
    assert any("gmail.com" in warning for warning in listed["warnings"])
    assert "mails: WARNING" not in streamnotify("config", directory=tmp_path, **environment).output


def test_dns_is_asked_about_the_senders_domain_only_if_wanted(tmp_path: Path) -> None:
    environment = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "SMTP_FROM": "ann@example.com"}
    with name_server({"example.com": ["v=spf1 -all"]}) as address:
        asked = streamnotify("config", "--check", "--dns", address, directory=tmp_path, **environment)
    assert asked.output.count("mails: WARNING") == 1
    assert "mails: WARNING, DNS has no DMARC record at _dmarc.example.com" in asked.output
    with name_server({}, fails=True) as address:
        unknown = streamnotify("config", "--check", "--dns", address, directory=tmp_path, **environment)
    assert "mails: WARNING, SPF and DMARC of example.com are unknown: DNS does not answer" in unknown.output
    for arguments, said in ((("--dns",), "--dns goes with --check"), (("--check", "--dns", "dns"), "--dns is 'dns'")):
        refused = streamnotify("config", *arguments, directory=tmp_path, **environment)
        assert (refused.exit_code, said in refused.output) == (2, True)
