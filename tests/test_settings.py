"""Settings: where they come from, what is refused and how that is said."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from streamnotify import settings
from streamnotify.errors import SettingsError
from streamnotify.setting_values import Bind
from streamnotify.wire.durations import duration, format_duration


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """None of our settings in the environment, and a working directory without ``.env``."""
    for name in os.environ:
        if name.startswith(("STREAMNOTIFY_", "SMTP_", "KAFKA_", "FRONTEND_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def load(monkeypatch: pytest.MonkeyPatch, **environment: str) -> settings.Settings:
    for name, text in environment.items():
        monkeypatch.setenv(name, text)
    return settings.load()


def refusal(monkeypatch: pytest.MonkeyPatch, **environment: str) -> str:
    with pytest.raises(SettingsError) as refused:
        load(monkeypatch, **environment)
    return str(refused.value)


def test_the_defaults_are_those_of_the_specification() -> None:
    loaded = settings.load()
    assert (loaded.smtp_port, loaded.smtp_tls, loaded.smtp_host, loaded.smtp_from) == (587, "starttls", None, None)
    assert (loaded.kafka_bootstrap_servers, loaded.app_id, loaded.partitions) == ("localhost:9092", "streamnotify", 8)
    assert (loaded.epoch, loaded.topic_prefix, loaded.data_dir) == (0, "", Path(".streamnotify"))
    assert (loaded.settle, loaded.recipient_hold) == (timedelta(seconds=2), timedelta(seconds=60))
    assert (loaded.max_event_age, loaded.run_retention) == (timedelta(hours=24), timedelta(days=10))
    assert loaded.mail_max_age == timedelta(days=3)
    assert (loaded.digest_after, loaded.digest_window, loaded.digest_show) == (1, timedelta(minutes=30), 10)
    assert loaded.digest_max_wait == timedelta(hours=2)
    assert (loaded.alert_digest_after, loaded.alert_digest_window) == (5, timedelta(minutes=10))
    assert loaded.alert_digest_max_wait == timedelta(minutes=30)
    assert loaded.link_test_run == "/test-runs/{test_run_id}"
    assert loaded.placeholder_domains == ("placeholder.rhesis.ai",)
    assert (loaded.http_bind, loaded.health_bind) == (Bind("127.0.0.1", 8090), Bind("127.0.0.1", 8091))
    assert set(settings.sources(loaded).values()) == {"default"}


def test_the_environment_goes_before_the_dotenv_file_and_both_before_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path(".env").write_text("SMTP_HOST=from-file\nSMTP_PORT=2525\n# a comment\nOTHER=ignored\n")
    loaded = load(monkeypatch, SMTP_HOST="from-environment")
    assert (loaded.smtp_host, loaded.smtp_port) == ("from-environment", 2525)
    found = settings.sources(loaded)
    assert (found["smtp_host"], found["smtp_port"], found["smtp_user"]) == ("environment", ".env", "default")


def test_an_empty_value_is_none_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load(monkeypatch, SMTP_USER="", STREAMNOTIFY_PARTITIONS="")
    assert (loaded.smtp_user, loaded.partitions) == (None, 8)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("30m", timedelta(minutes=30)),
        ("45s", timedelta(seconds=45)),
        ("2h", timedelta(hours=2)),
        ("3d", timedelta(days=3)),
        ("90", timedelta(seconds=90)),
        ("1.5h", timedelta(minutes=90)),
        ("0", timedelta(0)),
        ("10 m", timedelta(minutes=10)),
    ],
)
def test_durations_are_read(text: str, value: timedelta) -> None:
    assert duration(zero=True)(text) == value


@pytest.mark.parametrize("text", ["", "m", "-5m", "5w", "1h30m", "٣m", "9" * 30 + "d", "nan", "1e3"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a duration such as 30m, 45s, 2h, 3d or plain seconds is allowed"):
        duration(zero=True)(text)


@pytest.mark.parametrize("text", ["30m", "45s", "2h", "3d", "1.5s", "90m", "0s"])
def test_a_shown_duration_can_be_read_again(text: str) -> None:
    assert format_duration(duration(zero=True)(text)) == text


def test_every_wrong_setting_is_named_with_its_value_and_what_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    said = refusal(
        monkeypatch,
        SMTP_PORT="70000",
        STREAMNOTIFY_SETTLE="soon",
        STREAMNOTIFY_LOG_FORMAT="xml",
        STREAMNOTIFY_HEALTH_BIND="8091",
        STREAMNOTIFY_TOPIC_PREFIX="a b",
        STREAMNOTIFY_LINK_TEST_RUN="/run/{run}",
        STREAMNOTIFY_BRAND_COLOUR="red",
        STREAMNOTIFY_FEEDBACK_ID="a:b:c:acme",
        KAFKA_BOOTSTRAP_SERVERS="kafka",
        KAFKA_SSL_CAFILE="none.pem",
        SMTP_HOST="smtp://relay:25",
        SMTP_FROM="Ann <a@example.com>",
    ).splitlines()
    assert said == [
        "SMTP_HOST is 'smtp://relay:25': a host name or IP address, without port, is allowed",
        "SMTP_PORT is '70000': a whole number from 1 to 65535 is allowed",
        "SMTP_FROM is 'Ann <a@example.com>': an e-mail address such as noreply@example.com, without a name, is allowed",
        "KAFKA_BOOTSTRAP_SERVERS is 'kafka': host:port is allowed, several separated by commas",
        "KAFKA_SSL_CAFILE is 'none.pem': the path of an existing file is allowed",
        "STREAMNOTIFY_TOPIC_PREFIX is 'a b': 0 to 100 of the characters A-Z a-z 0-9 . _ - are allowed",
        "STREAMNOTIFY_HEALTH_BIND is '8091': host:port such as 127.0.0.1:8091 is allowed ([::1]:8091 for IPv6)",
        "STREAMNOTIFY_SETTLE is 'soon': a duration such as 30m, 45s, 2h, 3d or plain seconds is allowed",
        "STREAMNOTIFY_LOG_FORMAT is 'xml': one of text, json is allowed",
        "STREAMNOTIFY_LINK_TEST_RUN is '/run/{run}': a path starting with / that contains {test_run_id} is allowed",
        "STREAMNOTIFY_BRAND_COLOUR is 'red': a colour such as #1a73e8 is allowed",
        "STREAMNOTIFY_FEEDBACK_ID is 'a:b:c:acme': 5 to 15 of the characters A-Z a-z 0-9 . _ - are allowed",
    ]


@pytest.mark.parametrize("name", ["FRONTEND_URL", "STREAMNOTIFY_PUBLIC_URL", "STREAMNOTIFY_BRAND_LOGO"])
def test_urls_must_be_https(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    said = refusal(monkeypatch, **{name: "http://app.example.com"})
    assert said.startswith(f"{name} is 'http://app.example.com': an https:// URL is allowed")


@pytest.mark.parametrize("url", ["http://localhost:3000", "http://127.0.0.1", "http://[::1]:80", "https://a.example"])
def test_loopback_needs_no_https(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    assert load(monkeypatch, FRONTEND_URL=url + "/").frontend_url == url


@pytest.mark.parametrize(
    "url", ["app.example.com", "https://", "https://a b", "http://localhost.example", "http://[::1"]
)
def test_what_is_no_url_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    assert "is allowed" in refusal(monkeypatch, FRONTEND_URL=url)


@pytest.mark.parametrize(
    ("environment", "sender"),
    [
        ({"SMTP_FROM": "a@b.example", "SMTP_USER": "c@d.example"}, "a@b.example"),
        ({"SMTP_USER": "c@d.example", "FRONTEND_URL": "https://app.example.com"}, "c@d.example"),
        ({"SMTP_USER": "apikey", "FRONTEND_URL": "https://app.example.com:8443/x"}, "noreply@app.example.com"),
        ({"FRONTEND_URL": "http://localhost:3000"}, "noreply@localhost"),
        ({"SMTP_USER": "apikey"}, None),
    ],
)
def test_the_sender_is_the_given_one_the_user_or_noreply_at_the_frontend(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], sender: str | None
) -> None:
    assert load(monkeypatch, **environment).smtp_from == sender


@pytest.mark.parametrize(
    ("environment", "complete"),
    [
        ({"SMTP_HOST": "relay", "SMTP_FROM": "a@b.example"}, True),
        ({"SMTP_HOST": "relay", "SMTP_FROM": "a@b.example", "SMTP_USER": "u", "SMTP_PASSWORD": "p"}, True),
        ({"SMTP_FROM": "a@b.example"}, False),
        ({"SMTP_HOST": "relay"}, False),
        ({"SMTP_HOST": "relay", "SMTP_FROM": "a@b.example", "SMTP_USER": "u"}, False),
        ({"SMTP_HOST": "relay", "SMTP_FROM": "a@b.example", "SMTP_PASSWORD": "p"}, False),
        ({"SMTP_HOST": "relay", "SMTP_FROM": "a@b.example", "SMTP_USER": "u", "SMTP_TOKEN_FILE": __file__}, True),
        ({"SMTP_HOST": "relay", "SMTP_FROM": "a@b.example", "SMTP_TOKEN_FILE": __file__}, False),
    ],
)
def test_smtp_is_complete_with_host_sender_and_both_credentials_or_none(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], complete: bool
) -> None:
    assert load(monkeypatch, **environment).smtp_complete is complete


@pytest.mark.parametrize(
    ("environment", "tls"),
    [
        ({}, "starttls"),
        ({"SMTP_PORT": "465"}, "implicit"),
        ({"SMTP_PORT": "465", "SMTP_TLS": "starttls"}, "starttls"),
        ({"SMTP_TLS": "NONE"}, "none"),
    ],
)
def test_tls_is_required_unless_switched_off(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], tls: str
) -> None:
    assert load(monkeypatch, **environment).smtp_tls == tls


def test_a_password_never_goes_over_an_open_line_except_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    open_line = {"SMTP_TLS": "none", "SMTP_USER": "u", "SMTP_PASSWORD": "hunter2hunter2"}
    assert load(monkeypatch, **open_line, SMTP_HOST="127.0.0.1").smtp_tls == "none"
    said = refusal(monkeypatch, SMTP_HOST="relay.example.com")
    assert said.startswith("SMTP_TLS is 'none': with SMTP_PASSWORD set")
    assert "hunter2" not in said


def test_a_token_is_a_password_in_a_file_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("token").write_text("hunter2hunter2")
    given = {"SMTP_USER": "u", "SMTP_TOKEN_FILE": "token", "SMTP_TLS": "none"}
    assert load(monkeypatch, **given, SMTP_HOST="127.0.0.1").smtp_token_file == Path("token")
    said = refusal(monkeypatch, SMTP_HOST="relay.example.com")
    assert said.startswith("SMTP_TLS is 'none': with SMTP_TOKEN_FILE set")
    both = refusal(monkeypatch, SMTP_TLS="starttls", SMTP_PASSWORD="hunter3")
    assert both == "SMTP_PASSWORD and SMTP_TOKEN_FILE are both set: one of them is allowed"
    missing = refusal(monkeypatch, SMTP_PASSWORD="", SMTP_TOKEN_FILE="none")
    assert missing == "SMTP_TOKEN_FILE is 'none': the path of an existing file is allowed"


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        (
            {"STREAMNOTIFY_DIGEST_WINDOW": "1h", "STREAMNOTIFY_DIGEST_MAX_WAIT": "30m"},
            "STREAMNOTIFY_DIGEST_MAX_WAIT is 30m: at least STREAMNOTIFY_DIGEST_WINDOW, 1h, is allowed",
        ),
        (
            {"STREAMNOTIFY_ALERT_DIGEST_WINDOW": "1h"},
            "STREAMNOTIFY_ALERT_DIGEST_MAX_WAIT is 30m: at least STREAMNOTIFY_ALERT_DIGEST_WINDOW, 1h, is allowed",
        ),
        (
            {"STREAMNOTIFY_RUN_RETENTION": "215h"},
            "STREAMNOTIFY_RUN_RETENTION is 215h: at least the retention of task-events + 2d, 9d, is allowed",
        ),
        (
            {"STREAMNOTIFY_PUBLIC_URL": "https://notify.example.com"},
            "STREAMNOTIFY_SECRET is not set: with STREAMNOTIFY_PUBLIC_URL it is required, to sign links",
        ),
        ({"STREAMNOTIFY_SECRET": "short"}, "STREAMNOTIFY_SECRET is ********: at least 16 characters are needed"),
        (
            {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_USERNAME": "u"},
            "KAFKA_SASL_PASSWORD is not set: with KAFKA_SECURITY_PROTOCOL SASL_SSL it is required",
        ),
        (
            {"KAFKA_SASL_PASSWORD": "p"},
            (
                "KAFKA_SECURITY_PROTOCOL is 'PLAINTEXT': with KAFKA_SASL_PASSWORD set, "
                "SASL_PLAINTEXT or SASL_SSL is allowed"
            ),
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], said: str
) -> None:
    assert refusal(monkeypatch, **environment) == said


def test_equal_limits_and_a_window_of_zero_are_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load(
        monkeypatch,
        STREAMNOTIFY_RUN_RETENTION="9d",
        STREAMNOTIFY_DIGEST_WINDOW="1h",
        STREAMNOTIFY_DIGEST_MAX_WAIT="1h",
        STREAMNOTIFY_ALERT_DIGEST_WINDOW="0",
    )
    assert (loaded.digest_max_wait, loaded.alert_digest_window) == (timedelta(hours=1), timedelta(0))


def test_secrets_do_not_show_in_a_representation(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load(monkeypatch, SMTP_PASSWORD="hunter2hunter2", KAFKA_SECURITY_PROTOCOL="PLAINTEXT")
    assert "hunter2" not in repr(loaded) + repr(loaded.kafka_security)
    assert settings.reveal(loaded.smtp_password) == "hunter2hunter2"


def test_a_name_close_to_a_setting_is_pointed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("SMTP_PASWORD=x\n")
    monkeypatch.setenv("STREAMNOTIFY_DIGEST_WINDW", "1h")
    monkeypatch.setenv("UNRELATED", "1")
    assert settings.misspelt() == {
        "STREAMNOTIFY_DIGEST_WINDW": "STREAMNOTIFY_DIGEST_WINDOW",
        "SMTP_PASWORD": "SMTP_PASSWORD",
    }


def test_a_child_process_gets_exactly_the_settings_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_USER", "ours")
    monkeypatch.setenv("UNRELATED", "kept")
    environment = settings.child_environment({"SMTP_HOST": "theirs"})
    assert (environment["SMTP_HOST"], environment["UNRELATED"]) == ("theirs", "kept")
    assert "SMTP_USER" not in environment


def test_a_dotenv_file_that_is_no_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_bytes(b"SMTP_HOST=\xff\xfe\n")
    assert refusal(monkeypatch).startswith(".env cannot be read")


@pytest.mark.parametrize(
    ("preset", "host"),
    [
        ("sendgrid", "smtp.sendgrid.net"),
        ("gmail", "smtp.gmail.com"),
        ("ses", "email-smtp.us-east-1.amazonaws.com"),
        ("mailgun", "smtp.mailgun.org"),
    ],
)
def test_a_preset_says_where_a_provider_takes_mails(monkeypatch: pytest.MonkeyPatch, preset: str, host: str) -> None:
    loaded = load(monkeypatch, SMTP_PRESET=preset)
    assert (loaded.smtp_host, loaded.smtp_port, loaded.smtp_tls) == (host, 587, "starttls")


def test_what_is_set_goes_before_the_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    here = load(monkeypatch, SMTP_PRESET="ses", SMTP_HOST="email-smtp.eu-west-1.amazonaws.com", SMTP_PORT="465")
    assert (here.smtp_host, here.smtp_port, here.smtp_tls) == ("email-smtp.eu-west-1.amazonaws.com", 465, "implicit")
    assert load(monkeypatch, SMTP_PRESET="ses", SMTP_PORT="587", SMTP_TLS="implicit").smtp_tls == "implicit"


def test_an_unknown_preset_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal(monkeypatch, SMTP_PRESET="gmial") == (
        "SMTP_PRESET is 'gmial': one of sendgrid, gmail, ses, mailgun is allowed"
    )


GOOD_RELAY = {
    "SMTP_HOST": "relay.acme.dev",
    "SMTP_FROM": "noreply@acme.dev",
    "FRONTEND_URL": "https://app.acme.dev",
    "STREAMNOTIFY_UNSUBSCRIBE_MAILTO": "stop@acme.dev",
}


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, None),
        ({"SMTP_FROM": "ann@gmail.com"}, "mail from gmail.com that comes over relay.acme.dev fails DMARC"),
        ({"SMTP_FROM": "ann@yahoo.com"}, "mail from yahoo.com"),
        ({"SMTP_FROM": "noreply@example.com"}, "that domain belongs to nobody"),
        ({"SMTP_TLS": "none"}, "everybody on the way to the relay can read the mails"),
        ({"SMTP_PORT": "465", "SMTP_TLS": "starttls"}, "on port 465 relays speak implicit"),
        ({"SMTP_TLS": "implicit"}, "on port 587 relays speak starttls"),
        ({"FRONTEND_URL": "http://localhost:3000"}, "links in mails lead to each reader's own machine"),
        ({"STREAMNOTIFY_UNSUBSCRIBE_MAILTO": ""}, "mails carry no way to unsubscribe"),
        ({"SMTP_HOST": "smtp.sendgrid.net"}, "sendgrid takes no mail without a login"),
        ({"SMTP_HOST": "smtp.sendgrid.net", "SMTP_USER": "ann", "SMTP_PASSWORD": "p"}, "it is the word apikey"),
        ({"SMTP_HOST": "smtp.eu.mailgun.org", "SMTP_USER": "ann", "SMTP_PASSWORD": "p"}, "it is a whole address"),
        (
            {"SMTP_PRESET": "gmail", "SMTP_HOST": "", "SMTP_USER": "ann@acme.dev", "SMTP_PASSWORD": "p"},
            "Gmail writes SMTP_USER in its place",
        ),
        ({"SMTP_HOST": "127.0.0.1", "SMTP_TLS": "none", "SMTP_FROM": "ann@gmail.com"}, None),
        ({"SMTP_HOST": ""}, None),
    ],
)
def test_what_will_probably_not_arrive_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], said: str | None
) -> None:
    found = settings.warnings(load(monkeypatch, **GOOD_RELAY | environment))
    assert len(found) == (said is not None), found
    assert said is None or said in found[0]


def test_gmail_may_send_for_its_own_account(monkeypatch: pytest.MonkeyPatch) -> None:
    login = {"SMTP_USER": "ann@gmail.com", "SMTP_PASSWORD": "p", "STREAMNOTIFY_UNSUBSCRIBE_MAILTO": "ann@gmail.com"}
    assert settings.warnings(load(monkeypatch, SMTP_PRESET="gmail", **login)) == []


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (b"hunter2", "hunter2"),
        (b"hunter2\n", "hunter2"),
        (b"hunter2\r\n", "hunter2"),
        (b" two words \n\n", " two words \n"),
        ("schlüssel\n".encode(), "schlüssel"),
    ],
)
def test_a_secret_may_be_in_a_file_and_is_all_of_it_but_its_last_line_end(
    monkeypatch: pytest.MonkeyPatch, content: bytes, secret: str
) -> None:
    Path("password").write_bytes(content)
    loaded = load(monkeypatch, SMTP_PASSWORD_FILE="password")
    assert settings.reveal(loaded.smtp_password) == secret
    assert settings.sources(loaded)["smtp_password"] == "file"
    assert settings.sources(loaded)["smtp_user"] == "default"


def test_the_file_of_a_secret_may_be_named_in_the_dotenv_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("password").write_text("hunter2")
    Path(".env").write_text("KAFKA_SASL_PASSWORD_FILE=password\nSMTP_PASSWORD_FILE=\n")
    loaded = load(monkeypatch, KAFKA_SASL_USERNAME="u", KAFKA_SECURITY_PROTOCOL="SASL_SSL", KAFKA_SASL_PASSWORD="")
    assert loaded.kafka_security.password == "hunter2"
    assert loaded.smtp_password is None
    assert settings.sources(loaded)["kafka_sasl_password"] == "file"


def test_every_secret_may_be_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in settings.secret_names():
        Path(name).write_text(f"the secret {name}")
        monkeypatch.setenv(f"{name}_FILE", name)
    loaded = load(monkeypatch, KAFKA_SASL_USERNAME="u", KAFKA_SECURITY_PROTOCOL="SASL_SSL", SMTP_USER="u")
    assert loaded.kafka_security.key_password == "the secret KAFKA_SSL_PASSWORD"
    assert settings.reveal(loaded.secret) == "the secret STREAMNOTIFY_SECRET"
    assert settings.reveal(loaded.webhook_mailgun_key) == "the secret STREAMNOTIFY_WEBHOOK_MAILGUN_KEY"
    assert settings.misspelt() == {}
    assert not {f"{name}_FILE" for name in settings.secret_names()} & set(settings.child_environment({}))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "(No such file or directory)"),
        ("a directory", "(Is a directory)"),
        (b"", "(it is empty)"),
        (b"\n", "(it is empty)"),
        (b"hunter2" * 10_000, "(it is larger)"),
        (b"hunter2\xff", "(it is no UTF-8)"),
    ],
)
def test_a_file_that_holds_no_secret_is_refused_by_name_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, content: bytes | str | None, why: str
) -> None:
    if isinstance(content, bytes):
        Path("f").write_bytes(content)
    elif content:
        Path("f").mkdir()
    allowed = "a file of 1 to 65536 bytes of UTF-8 is allowed"
    assert refusal(monkeypatch, SMTP_PASSWORD_FILE="f") == f"SMTP_PASSWORD_FILE is 'f': {allowed} {why}"


def test_a_secret_in_a_file_that_is_too_short_is_refused_by_the_name_of_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("secret").write_text("hunter2")
    said = refusal(monkeypatch, STREAMNOTIFY_SECRET_FILE="secret")
    assert said == "STREAMNOTIFY_SECRET_FILE holds ********: at least 16 characters are needed"


def test_a_secret_and_its_file_are_refused_together_each_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("password").write_text("hunter2")
    Path(".env").write_text("SMTP_PASSWORD=hunter3\n")
    both = {"SMTP_PASSWORD_FILE": "password", "KAFKA_SSL_PASSWORD": "hunter4", "KAFKA_SSL_PASSWORD_FILE": "none"}
    assert refusal(monkeypatch, **both).splitlines() == [
        "SMTP_PASSWORD and SMTP_PASSWORD_FILE are both set: one of them is allowed",
        "KAFKA_SSL_PASSWORD and KAFKA_SSL_PASSWORD_FILE are both set: one of them is allowed",
    ]


@pytest.mark.parametrize(
    "arns", ["arn", "arn:aws:sns:eu-west-1:123456789012:a b", "arn:aws:sqs:eu-west-1:123456789012:a"]
)
def test_what_is_no_topic_of_sns_is_refused(monkeypatch: pytest.MonkeyPatch, arns: str) -> None:
    said = refusal(monkeypatch, STREAMNOTIFY_WEBHOOK_SES_TOPIC_ARNS=arns)
    assert said.startswith(f"STREAMNOTIFY_WEBHOOK_SES_TOPIC_ARNS is '{arns}': ARNs of SNS topics such as arn:aws:sns:")


def test_several_topics_of_sns_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    arns = "arn:aws:sns:eu-west-1:123456789012:a, arn:aws-cn:sns:cn-north-1:123456789012:b,"
    loaded = load(monkeypatch, STREAMNOTIFY_WEBHOOK_SES_TOPIC_ARNS=arns)
    assert loaded.webhook_ses_topic_arns == tuple(arns.strip(",").split(", "))


@pytest.mark.parametrize("key", ["key", "AAAA", "é", "-----BEGIN PUBLIC KEY-----"])
def test_what_is_no_verification_key_is_refused(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    said = refusal(monkeypatch, STREAMNOTIFY_WEBHOOK_SENDGRID_KEY=key)
    assert said.endswith("the verification key that SendGrid shows, base64 in one line, is allowed")
