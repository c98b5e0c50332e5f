"""``streamnotify send-test``, against real SMTP servers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from streamnotify.devtools.inbox import Inbox
from streamnotify.devtools.kafka.broker import free_port
from tests.cli.running import streamnotify
from tests.smtp.conftest import Certificates
from tests.smtp.threads import in_a_thread, scripted


def send_test(directory: Path, port: int, *arguments: str, **environment: str) -> Result:
    """The result of sending to Ann over the relay at ``port``."""
    given = relay_settings(port) | environment
    return streamnotify("send-test", "ann@example.com", *arguments, directory=directory, **given)


def relay_settings(port: int) -> dict[str, str]:
    """A relay on this machine, in clear."""
    return {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(port), "SMTP_TLS": "none", "SMTP_FROM": "noreply@example.com"}


def test_settings_steps_and_the_relays_answer_are_shown_and_the_mail_is_there(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("FRONTEND_URL=https://app.example.com\n")
    with Inbox() as inbox:
        shown = send_test(tmp_path, inbox.smtp_port)
        [mail] = inbox.mails
    assert shown.exit_code == 0
    assert f"SMTP_PORT     {inbox.smtp_port}  (environment)" in shown.output
    assert "FRONTEND_URL  https://app.example.com  (.env)" in shown.output
    assert "SMTP_PRESET" not in shown.output
    steps = [line.split()[1] for line in shown.output.splitlines() if line.startswith("  ok ")]
    assert steps == ["connect", "mail", "rcpt", "data", "dot"]
    assert "The relay answered: 250 " in shown.output
    assert mail.recipients == ("ann@example.com",)
    assert "streamnotify send-test" in mail.subject


def test_encryption_and_login_are_steps_of_their_own_and_the_password_is_not_shown(
    tmp_path: Path, certificates: Certificates
) -> None:
    with in_a_thread(starttls=certificates.server, password="hunter2hunter2") as relay:
        login = {"SMTP_USER": "ann", "SMTP_PASSWORD": "hunter2hunter2"}
        shown = send_test(tmp_path, relay.port, SMTP_TLS="starttls", SMTP_CA_FILE=certificates.ca_file, **login)
    assert shown.exit_code == 0
    steps = [line.split()[1] for line in shown.output.splitlines() if line.startswith("  ok ")]
    assert steps == ["connect", "tls", "auth", "mail", "rcpt", "data", "dot"]
    assert "hunter2" not in shown.output


def test_a_token_logs_in_and_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hunter2hunter2\n")
    login, no_kafka = {"SMTP_USER": "ann", "SMTP_TOKEN_FILE": "token"}, {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    with scripted(EHLO="250-relay\r\n250 AUTH XOAUTH2") as relay:
        shown = send_test(tmp_path, relay.port, **login)
        checked = streamnotify(
            "config", "--check", directory=tmp_path, **relay_settings(relay.port), **login, **no_kafka
        )
        relay.answer("AUTH", ["334 eyJzdGF0dXMiOiI0MDEifQ==", "535 5.7.3 Authentication unsuccessful"])
        refused = send_test(tmp_path, relay.port, **login)
        commands = relay.commands
    (tmp_path / "token").write_text("")
    empty = send_test(tmp_path, 1, **login)
    assert (shown.exit_code, refused.exit_code, empty.exit_code) == (0, 4, 4)
    assert "  ok " not in empty.output
    assert "FAILED  auth     SMTP_TOKEN_FILE is 'token': a file of 1 to" in empty.output
    assert "ok      auth     logged in" in shown.output
    assert "SMTP_TOKEN_FILE token  (environment)" in shown.output
    assert f"smtp: ok, 127.0.0.1:{relay.port} answers and accepts ann" in checked.output
    assert "FAILED  auth     535 5.7.3 Authentication unsuccessful" in refused.output
    assert "Hint: the relay refuses the token" in refused.output
    assert "hunter2" not in shown.output + checked.output + refused.output
    assert commands.count("AUTH XOAUTH2 dXNlcj1hbm4BYXV0aD1CZWFyZXIgaHVudGVyMmh1bnRlcjIBAQ==") == 3


@pytest.mark.parametrize("template", ["task_completion", "test_execution_summary"])
def test_a_template_can_be_chosen(tmp_path: Path, template: str) -> None:
    with Inbox() as inbox:
        assert send_test(tmp_path, inbox.smtp_port, "--template", template).exit_code == 0
        assert len(inbox.mails) == 1


@pytest.mark.parametrize(
    ("template", "said"),
    [("no_such", "there is no template 'no_such'"), ("task_status_alert", "task_status_alert is not about a task")],
)
def test_a_template_that_no_test_mail_can_have_is_refused(tmp_path: Path, template: str, said: str) -> None:
    shown = send_test(tmp_path, free_port(), "--template", template)
    assert (shown.exit_code, said in shown.output) == (1, True)


def test_incomplete_settings_are_named(tmp_path: Path) -> None:
    shown = streamnotify("send-test", "ann@example.com", directory=tmp_path, SMTP_USER="ann")
    assert shown.exit_code == 1
    assert "SMTP configuration incomplete. Email notifications will be disabled." in shown.output
    assert "Missing: SMTP_HOST (or SMTP_PRESET), SMTP_FROM, SMTP_PASSWORD" in shown.output


def test_an_address_that_is_none_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    environment = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": "1", "SMTP_TLS": "none", "SMTP_FROM": "noreply@example.com"}
    shown = streamnotify("send-test", "nobody", directory=tmp_path, **environment)
    assert shown.exit_code == 1
    assert "'nobody'" in shown.output


def test_a_relay_that_is_not_there_is_exit_code_3_and_a_hint(tmp_path: Path) -> None:
    port = free_port()
    shown = send_test(tmp_path, port)
    assert shown.exit_code == 3
    assert "FAILED  connect" in shown.output
    assert f"Hint: nothing listens on port {port} of 127.0.0.1" in shown.output


@pytest.mark.parametrize(
    ("answers", "environment", "exit_code", "failed", "hint"),
    [
        ({}, {"SMTP_TLS": "starttls"}, 3, "tls", "SMTP_TLS=none for a local test server"),
        ({}, {"SMTP_TLS": "implicit"}, 3, "tls", "does not speak TLS from the first byte: set SMTP_TLS=starttls"),
        (
            {"EHLO": "250-relay\r\n250 AUTH PLAIN", "AUTH": "535 5.7.8 no"},
            {"SMTP_USER": "ann", "SMTP_PASSWORD": "hunter2"},
            4,
            "auth",
            "check SMTP_USER and SMTP_PASSWORD",
        ),
        ({}, {"SMTP_USER": "ann", "SMTP_PASSWORD": "hunter2"}, 4, "auth", "the relay takes no login"),
        ({"MAIL": "530 5.7.0 Authentication required"}, {}, 5, "mail", "the relay wants a login"),
        ({"MAIL": "553 5.7.1 not your address"}, {}, 5, "mail", "the relay does not send for SMTP_FROM"),
        ({"RCPT": "550 5.1.1 no such user"}, {}, 5, "rcpt", "the relay knows no such mailbox"),
        ({"RCPT": "554 5.7.1 Relay access denied"}, {}, 5, "rcpt", "the relay sends for known senders only"),
        ({"RCPT": "452 4.2.2 mailbox full"}, {}, 5, "rcpt", "the recipient's mailbox is full"),
        ({"DOT": "550 5.7.26 unauthenticated"}, {}, 5, "dot", "SPF, DKIM and DMARC"),
        ({"DOT": "550 5.4.5 Daily user sending limit exceeded"}, {}, 5, "dot", "quota is used up"),
    ],
)
def test_each_failure_has_its_step_its_exit_code_and_a_hint(
    tmp_path: Path, answers: dict[str, Any], environment: dict[str, str], exit_code: int, failed: str, hint: str
) -> None:
    with scripted(**answers) as relay:
        shown = send_test(tmp_path, relay.port, **environment)
    assert shown.exit_code == exit_code, shown.output
    assert f"  FAILED  {failed}" in shown.output
    [line] = [line for line in shown.output.splitlines() if line.startswith("Hint: ")]
    assert hint in line


def test_a_certificate_of_an_unknown_authority_is_exit_code_3_and_a_hint(
    tmp_path: Path, certificates: Certificates
) -> None:
    with in_a_thread(starttls=certificates.server) as relay:
        shown = send_test(tmp_path, relay.port, SMTP_TLS="starttls")
    assert shown.exit_code == 3
    assert "SMTP_CA_FILE" in shown.output.split("Hint: ")[1]
