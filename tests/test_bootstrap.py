"""From the settings to the stations and their engine."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from streamnotify import bootstrap, settings
from streamnotify.devtools.alert_samples import health_sample
from streamnotify.domain.digest import Lane, LanePolicy
from streamnotify.domain.preferences import UnsubscribeScope
from streamnotify.errors import SettingsError
from streamnotify.render.recipient_links import RecipientLinks
from streamnotify.stations import mailing


@pytest.fixture(autouse=True)
def complete_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for field in settings.Settings.model_fields:
        if settings.name_of(field) in os.environ:
            monkeypatch.delenv(settings.name_of(field))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SMTP_HOST", "127.0.0.1")
    monkeypatch.setenv("SMTP_FROM", "noreply@example.com")


def test_the_stations_come_in_the_direction_of_the_data_and_read_what_the_one_before_writes() -> None:
    stations = bootstrap.build_stations(settings.load())
    assert [(station.name, station.inputs[0].name) for station in stations] == [
        ("ingest", "task-events"),
        ("monitors", "monitor-configs"),
        ("directory", "users"),
        ("tasks", "tasks"),
        ("mailboxes", "mailboxes"),
        ("feedback", "notification-feedback"),
        ("deliveries", "outbox"),
    ]


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"SMTP_HOST": ""}, "SMTP_HOST (or SMTP_PRESET)"),
        ({"SMTP_USER": "u"}, "SMTP_PASSWORD (or SMTP_TOKEN_FILE)"),
        ({"SMTP_PASSWORD": "p"}, "SMTP_USER"),
        ({"SMTP_HOST": "", "SMTP_FROM": ""}, "SMTP_HOST (or SMTP_PRESET), SMTP_FROM"),
    ],
)
def test_incomplete_smtp_is_said_once_and_the_stations_run_all_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, given: dict[str, str], missing: str
) -> None:
    for name, text in given.items():
        monkeypatch.setenv(name, text)
    loaded = settings.load()
    assert len(bootstrap.build_stations(loaded)) == 7
    disabled, what = caplog.messages
    assert disabled == "SMTP configuration incomplete. Email notifications will be disabled."
    assert what == (
        f"Missing: {missing}. Mails that come up meanwhile are recorded as suppressed (smtp_not_configured) and not "
        "sent later."
    )
    assert bootstrap.sender(loaded) is None
    assert bootstrap.renderer(loaded) is None


def test_mails_without_an_unsubscribe_link_are_warned_of_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bootstrap.build_stations(settings.load())
    assert caplog.messages == [
        "Mails carry no unsubscribe link. STREAMNOTIFY_PUBLIC_URL, or STREAMNOTIFY_UNSUBSCRIBE_MAILTO, gives them one."
    ]
    with monkeypatch.context() as environment:
        environment.setenv("STREAMNOTIFY_UNSUBSCRIBE_MAILTO", "stop@example.com")
        bootstrap.build_stations(settings.load())
    monkeypatch.setenv("STREAMNOTIFY_PUBLIC_URL", "https://notify.example.com")
    monkeypatch.setenv("STREAMNOTIFY_SECRET", "a secret of the tests")
    bootstrap.build_stations(settings.load())
    assert len(caplog.messages) == 1


def test_the_links_of_mails_are_those_that_the_web_process_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.load().recipient_links is None
    monkeypatch.setenv("STREAMNOTIFY_SECRET", "a secret of the tests")
    assert settings.load().recipient_links is None
    monkeypatch.setenv("STREAMNOTIFY_PUBLIC_URL", "https://notify.example.com/mails/")
    links = settings.load().recipient_links
    assert links is not None
    scope, now = UnsubscribeScope("user:ann", ("task_completion",)), datetime(2026, 3, 1, tzinfo=UTC)
    url = links.unsubscribe.url(scope, now)
    assert url is not None
    assert url.startswith("https://notify.example.com/mails/unsubscribe/")
    same = RecipientLinks("https://elsewhere.example.com", "a secret of the tests")
    assert same.unsubscribe.opened(url.rpartition("/")[2], now).scope == scope


def health_mail(loaded: settings.Settings) -> bytes:
    """A mail as the worker of these settings renders it."""
    renderer = bootstrap.renderer(loaded)
    assert renderer is not None
    return renderer.health_mail(
        health_sample("some-wrong"), "ops@example.com", datetime(2026, 3, 1, tzinfo=UTC)
    ).content


def test_mails_have_a_feedback_id_only_if_the_setting_says_who_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    assert b"Feedback-ID" not in health_mail(settings.load())
    monkeypatch.setenv("STREAMNOTIFY_FEEDBACK_ID", "acme-mails")
    monkeypatch.setenv("STREAMNOTIFY_APP_ID", "notify-2")
    assert b"\r\nFeedback-ID: service_health:notify-2:streamnotify:acme-mails\r\n" in health_mail(settings.load())


def test_a_public_url_that_no_link_can_follow_refuses_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMNOTIFY_SECRET", "a secret of the tests")
    monkeypatch.setenv("STREAMNOTIFY_PUBLIC_URL", "https://notify.example.com/?to=")
    with pytest.raises(SettingsError, match="PUBLIC_URL: an https URL"):
        bootstrap.build_stations(settings.load())


def test_the_lanes_keep_the_pace_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = bootstrap.mailbox_policy(settings.load())
    assert defaults == mailing.MailboxPolicy()
    for name, text in {
        "DIGEST_AFTER": "2",
        "DIGEST_WINDOW": "20m",
        "DIGEST_MAX_WAIT": "1h",
        "DIGEST_SHOW": "7",
        "ALERT_DIGEST_AFTER": "3",
        "ALERT_DIGEST_WINDOW": "1m",
        "ALERT_DIGEST_MAX_WAIT": "5m",
    }.items():
        monkeypatch.setenv(f"STREAMNOTIFY_{name}", text)
    assert bootstrap.mailbox_policy(settings.load()).lanes == {
        Lane.TASKS: LanePolicy(2, timedelta(minutes=20), timedelta(hours=1), 7),
        Lane.ALERTS: LanePolicy(3, timedelta(minutes=1), timedelta(minutes=5), 7),
    }


def test_a_file_that_holds_no_certificates_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    monkeypatch.setenv("SMTP_CA_FILE", "ca.pem")
    with pytest.raises(SettingsError):
        bootstrap.build_stations(settings.load())
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SSL")
    monkeypatch.setenv("KAFKA_SSL_CAFILE", "ca.pem")
    with pytest.raises(SettingsError, match="KAFKA_SSL_CAFILE"):
        bootstrap.engine_config(settings.load(), tmp_path)


def test_the_engine_is_told_what_the_settings_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, text in {
        "KAFKA_BOOTSTRAP_SERVERS": "kafka-1:9093, kafka-2:9093",
        "KAFKA_SECURITY_PROTOCOL": "sasl_ssl",
        "KAFKA_SASL_USERNAME": "ann",
        "KAFKA_SASL_PASSWORD": "secret",
        "STREAMNOTIFY_TOPIC_PREFIX": "acme.",
        "STREAMNOTIFY_PARTITIONS": "3",
        "STREAMNOTIFY_EPOCH": "2",
        "STREAMNOTIFY_SETTLE": "5s",
        "STREAMNOTIFY_HEALTH_BIND": "[::1]:9000",
    }.items():
        monkeypatch.setenv(name, text)
    config = bootstrap.engine_config(settings.load(), tmp_path)
    assert (config.bootstrap_servers, config.app_id) == ("kafka-1:9093,kafka-2:9093", "acme.streamnotify")
    assert (config.topic_prefix, config.partitions, config.deployment_epoch) == ("acme.", 3, 2)
    assert (config.health_bind, config.data_dir) == (("::1", 9000), tmp_path)
    assert (config.settle, config.frontier_topic) == (timedelta(seconds=5), "task-events")
    client = dict(config.client)
    assert client.pop("ssl_context").verify_mode.name == "CERT_REQUIRED"
    assert client == {
        "bootstrap_servers": "kafka-1:9093,kafka-2:9093",
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "ann",
        "sasl_plain_password": "secret",
    }
    assert dict(settings.load().kafka_security.for_librdkafka()) == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "ann",
        "sasl.password": "secret",
    }
