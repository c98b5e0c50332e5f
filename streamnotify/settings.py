"""The settings of SPEC section 8: the only reader of the environment.

Every setting is declared once, below, in the order in which ``streamnotify config`` and docs/settings.md show them.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from dotenv import dotenv_values
from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from streamnotify import setting_values as values
from streamnotify.errors import SettingsError
from streamnotify.render.policy import Brand
from streamnotify.render.recipient_links import RecipientLinks
from streamnotify.setting_rules import contradictions, doubts
from streamnotify.smtp.presets import PRESETS
from streamnotify.wire.durations import duration
from streamnotify.wire.kafka_security import KafkaSecurity
from streamnotify.wire.secret_files import file_setting, secret_of

_DOTENV = ".env"
_BRAND = Brand()

TlsMode = Literal["starttls", "implicit", "none"]
SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
LogFormat = Literal["text", "json"]


def _parsed(parse: Callable[[str], Any]) -> BeforeValidator:
    return BeforeValidator(lambda text: parse(text.strip()))


Duration = Annotated[timedelta, _parsed(duration(zero=True))]
PositiveDuration = Annotated[timedelta, _parsed(duration(zero=False))]
Count = Annotated[int, _parsed(values.whole_number(1, 1000))]
Line = Annotated[str, _parsed(values.line)]
Url = Annotated[str, _parsed(values.url)]
Address = Annotated[str, _parsed(values.email_address)]
ExistingFile = Annotated[Path, _parsed(values.existing_file)]


def _setting(
    section: str, name: str, meaning: str, default: Any = None, *, derive: Callable[[dict[str, Any]], Any] | None = None
) -> Any:
    """Declare a setting. ``derive`` computes its default from the settings above it; ``meaning`` then says how."""
    extra: dict[str, Any] = {"section": section}
    if derive is not None:
        return Field(default_factory=derive, validation_alias=name, description=meaning, json_schema_extra=extra)
    return Field(default=default, validation_alias=name, description=meaning, json_schema_extra=extra)


def _smtp(name: str, meaning: str, default: Any = None, **derived: Any) -> Any:
    return _setting("Mail relay", name, meaning, default, **derived)


def _kafka(name: str, meaning: str, default: Any = None) -> Any:
    return _setting("Kafka", name, meaning, default)


def _worker(name: str, meaning: str, default: Any = None) -> Any:
    return _setting("Worker and topics", f"STREAMNOTIFY_{name}", meaning, default)


def _mails(name: str, meaning: str, default: Any = None, **derived: Any) -> Any:
    return _setting("Mails", f"STREAMNOTIFY_{name}", meaning, default, **derived)


def _web(name: str, meaning: str, default: Any = None) -> Any:
    return _setting("Web", f"STREAMNOTIFY_{name}", meaning, default)


def _default_host(data: dict[str, Any]) -> str | None:
    preset = PRESETS.get(data["smtp_preset"])
    return preset.host if preset else None


def _default_port(data: dict[str, Any]) -> int:
    preset = PRESETS.get(data["smtp_preset"])
    return preset.port if preset else 587


def _default_tls(data: dict[str, Any]) -> TlsMode:
    preset = PRESETS.get(data["smtp_preset"])
    if preset and data["smtp_port"] == preset.port:
        return preset.tls.value
    return "implicit" if data["smtp_port"] == 465 else "starttls"


def _default_sender(data: dict[str, Any]) -> str | None:
    if values.is_email_address(data["smtp_user"]):
        return str(data["smtp_user"])
    address = f"noreply@{values.host_of(data['frontend_url'] or '')}"
    return address if values.is_email_address(address) else None


def _default_team(data: dict[str, Any]) -> str:
    return f"The {data['brand_name']} team"


class Settings(BaseSettings):
    """All settings, checked. Only :func:`load` makes one; attributes are in the units their types say."""

    model_config = SettingsConfigDict(
        env_file=_DOTENV,
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        enable_decoding=False,
        case_sensitive=True,
        extra="ignore",
        frozen=True,
        validate_default=False,
    )

    smtp_preset: Annotated[str, _parsed(values.choice(*PRESETS))] | None = _smtp(
        "SMTP_PRESET",
        f"{', '.join(PRESETS)}: that provider's host, port and encryption, unless said otherwise below.",
    )
    smtp_host: Annotated[str, _parsed(values.hostname)] | None = _smtp(
        "SMTP_HOST", "The relay; without it, and without SMTP_PRESET, no mail is sent.", derive=_default_host
    )
    smtp_port: Annotated[int, _parsed(values.whole_number(1, 65535))] = _smtp(
        "SMTP_PORT", "Its port; default 587.", derive=_default_port
    )
    smtp_user: Line | None = _smtp(
        "SMTP_USER", "User name at the relay; with SMTP_PASSWORD or SMTP_TOKEN_FILE, or not at all."
    )
    smtp_password: SecretStr | None = _smtp("SMTP_PASSWORD", "Its password.")
    smtp_token_file: ExistingFile | None = _smtp(
        "SMTP_TOKEN_FILE",
        "In the place of a password: file of an OAuth access token (XOAUTH2), read anew for each connection; something "
        "else keeps it fresh.",
    )
    smtp_tls: Annotated[TlsMode, _parsed(values.choice("starttls", "implicit", "none"))] = _smtp(
        "SMTP_TLS",
        "starttls (required, never opportunistic), implicit or none; default implicit on port 465, else starttls. "
        "none refuses a password off loopback.",
        derive=_default_tls,
    )
    smtp_ca_file: ExistingFile | None = _smtp("SMTP_CA_FILE", "CA certificates (PEM) to trust instead of the system's.")
    frontend_url: Url | None = _smtp("FRONTEND_URL", "Where links in mails lead; https except on loopback.")
    smtp_from: Address | None = _smtp(
        "SMTP_FROM",
        "Sender address; default SMTP_USER if that is an address, else noreply@ the host of FRONTEND_URL.",
        derive=_default_sender,
    )
    smtp_connections: Annotated[int, _parsed(values.whole_number(1, 50))] = _smtp(
        "SMTP_CONNECTIONS", "Most connections a worker opens to the relay at a time.", 4
    )
    smtp_max_per_second: Annotated[int, _parsed(values.whole_number(1, 10_000))] | None = _smtp(
        "SMTP_MAX_PER_SECOND", "Mails a second that a worker may send; default as many as the relay takes."
    )
    smtp_max_per_day: Annotated[int, _parsed(values.whole_number(1, 1_000_000))] | None = _smtp(
        "SMTP_MAX_PER_DAY", "Mails in any 24 hours that a worker may send, counted since its start; default any number."
    )

    kafka_bootstrap_servers: Annotated[str, _parsed(values.bootstrap_servers)] = _kafka(
        "KAFKA_BOOTSTRAP_SERVERS", "host:port of the cluster, several separated by commas.", "localhost:9092"
    )
    kafka_security_protocol: Annotated[
        SecurityProtocol, _parsed(values.choice("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL", upper=True))
    ] = _kafka("KAFKA_SECURITY_PROTOCOL", "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.", "PLAINTEXT")
    kafka_sasl_mechanism: Annotated[
        SaslMechanism, _parsed(values.choice("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", upper=True))
    ] = _kafka("KAFKA_SASL_MECHANISM", "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.", "SCRAM-SHA-512")
    kafka_sasl_username: Line | None = _kafka("KAFKA_SASL_USERNAME", "Required by the SASL protocols.")
    kafka_sasl_password: SecretStr | None = _kafka("KAFKA_SASL_PASSWORD", "Required by the SASL protocols.")
    kafka_ssl_cafile: ExistingFile | None = _kafka("KAFKA_SSL_CAFILE", "CA certificates (PEM); default: the system's.")
    kafka_ssl_certfile: ExistingFile | None = _kafka("KAFKA_SSL_CERTFILE", "Our client certificate (PEM).")
    kafka_ssl_keyfile: ExistingFile | None = _kafka("KAFKA_SSL_KEYFILE", "Its private key (PEM).")
    kafka_ssl_password: SecretStr | None = _kafka("KAFKA_SSL_PASSWORD", "The private key's password.")

    app_id: Annotated[str, _parsed(values.name_part(1, 100))] = _worker(
        "APP_ID", "Names the consumer group and the internal topics.", "streamnotify"
    )
    topic_prefix: Annotated[str, _parsed(values.name_part(0, 100))] = _worker(
        "TOPIC_PREFIX", "Put before every topic's name as given.", ""
    )
    partitions: Annotated[int, _parsed(values.whole_number(1, 1024))] = _worker(
        "PARTITIONS", "Partition count of the topics; at most so many workers share the load.", 8
    )
    replication: Annotated[int, _parsed(values.whole_number(1, 9))] | None = _worker(
        "REPLICATION", "Copies of every topic; default 3 where the cluster has three brokers, else 1."
    )
    epoch: Annotated[int, _parsed(values.whole_number(0, 2**31 - 1))] = _worker(
        "EPOCH", "Deployment epoch; raised to have records handled again on purpose.", 0
    )
    data_dir: Annotated[Path, _parsed(Path)] = _worker(
        "DATA_DIR",
        "Directory of what workers and web keep; each worker locks its own worker-N in it, web's is web.",
        Path(".streamnotify"),
    )
    instance_id: Annotated[str, _parsed(values.name_part(1, 200))] | None = _worker(
        "INSTANCE_ID",
        "This worker's own name, such as its pod's: its partitions wait 45s for it to come back; default none, they go "
        "to other workers at once.",
    )
    health_bind: Annotated[values.Bind, _parsed(values.bind)] = _worker(
        "HEALTH_BIND",
        "host:port of /livez, /readyz and /metrics; the next free port if that is taken.",
        values.Bind("127.0.0.1", 8091),
    )
    run_retention: PositiveDuration = _worker(
        "RUN_RETENTION",
        "How long ended runs are remembered; at least the retention of task-events (7d) + 2d.",
        timedelta(days=10),
    )
    settle: Duration = _worker("SETTLE", "Time that events in transit get before a check.", timedelta(seconds=2))
    log_level: Annotated[
        LogLevel, _parsed(values.choice("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", upper=True))
    ] = _worker("LOG_LEVEL", "DEBUG, INFO, WARNING, ERROR or CRITICAL.", "INFO")
    log_format: Annotated[LogFormat, _parsed(values.choice("text", "json"))] = _worker(
        "LOG_FORMAT", "text or json.", "text"
    )

    max_event_age: PositiveDuration = _mails(
        "MAX_EVENT_AGE",
        "An event that reaches Kafka this long after it occurred changes state but does not mail.",
        timedelta(hours=24),
    )
    mail_max_age: PositiveDuration = _mails(
        "MAIL_MAX_AGE", "How long a mail that cannot be delivered is kept trying.", timedelta(days=3)
    )
    hold_ambiguous: Annotated[tuple[str, ...], _parsed(values.kinds)] = _mails(
        "HOLD_AMBIGUOUS",
        "E-mail kinds, separated by commas, that wait 15 minutes instead of one before they are sent again when it is "
        "not known whether the relay has them; none for no kind.",
        ("notification_digest",),
    )
    recipient_hold: Duration = _mails(
        "RECIPIENT_HOLD",
        "How long a mail waits for the directory to learn of its unknown recipient.",
        timedelta(seconds=60),
    )
    placeholder_domains: Annotated[tuple[str, ...], _parsed(values.names)] = _mails(
        "PLACEHOLDER_DOMAINS",
        "Domains, separated by commas, whose addresses (subdomains too) are never mailed.",
        ("placeholder.rhesis.ai",),
    )
    link_test_run: Annotated[str, _parsed(values.path_template("test_run_id"))] = _mails(
        "LINK_TEST_RUN", "Path behind FRONTEND_URL of a test run.", "/test-runs/{test_run_id}"
    )
    link_test_set: Annotated[str, _parsed(values.path_template("test_set_id"))] = _mails(
        "LINK_TEST_SET", "Path behind FRONTEND_URL of a test set.", "/test-sets/{test_set_id}"
    )
    brand_name: Line = _mails("BRAND_NAME", "Who the mails come from.", _BRAND.name)
    brand_logo: Url | None = _mails("BRAND_LOGO", "URL of a logo; https except on loopback.")
    brand_colour: Annotated[str, _parsed(values.colour)] = _mails(
        "BRAND_COLOUR",
        "Colour of buttons, #rrggbb; darkened where white text could not be read.",
        _BRAND.colour,
    )
    brand_footer: Line | None = _mails("BRAND_FOOTER", "Last line of each mail.")
    brand_team: Line = _mails("BRAND_TEAM", "Who signs the mails; default The BRAND_NAME team.", derive=_default_team)
    brand_reply_to: Address | None = _mails("BRAND_REPLY_TO", "Address that replies go to.")
    template_dir: Annotated[Path, _parsed(values.existing_directory)] | None = _mails(
        "TEMPLATE_DIR", "Directory of own templates; only the files present override the shipped ones."
    )
    unsubscribe_mailto: Address | None = _mails("UNSUBSCRIBE_MAILTO", "Address that unsubscribes without PUBLIC_URL.")
    feedback_id: Annotated[str, _parsed(values.name_part(5, 15))] | None = _mails(
        "FEEDBACK_ID",
        "Who we are in the header Feedback-ID, by which Gmail counts complaints: 5 to 15 of A-Z a-z 0-9 . _ -; "
        "default no such header.",
    )

    digest_after: Count = _mails("DIGEST_AFTER", "Task mails that go singly within a window.", 1)
    digest_window: Duration = _mails(
        "DIGEST_WINDOW", "Window of task mails; 0 sends each at once.", timedelta(minutes=30)
    )
    digest_max_wait: Duration = _mails(
        "DIGEST_MAX_WAIT",
        "Longest wait of a squashed task mail, at least the window; default 4 windows.",
        derive=lambda data: 4 * data["digest_window"],
    )
    digest_show: Count = _mails("DIGEST_SHOW", "Notifications that a digest shows.", 10)
    alert_digest_after: Count = _mails("ALERT_DIGEST_AFTER", "Alerts that go singly within a window.", 5)
    alert_digest_window: Duration = _mails(
        "ALERT_DIGEST_WINDOW", "Window of alerts; 0: each at once.", timedelta(minutes=10)
    )
    alert_digest_max_wait: Duration = _mails(
        "ALERT_DIGEST_MAX_WAIT", "Longest wait of a squashed alert, at least the window.", timedelta(minutes=30)
    )
    link_notifications: Annotated[str, _parsed(values.path_template())] | None = _mails(
        "LINK_NOTIFICATIONS",
        "Path behind FRONTEND_URL of all notifications; without it digests link to the page at PUBLIC_URL.",
    )
    secret: SecretStr | None = _mails(
        "SECRET", "Seals the links in mails; at least 16 characters, required with PUBLIC_URL."
    )
    public_url: Url | None = _mails(
        "PUBLIC_URL", "Where the web process is reached from outside, for links in mails; https except on loopback."
    )

    http_bind: Annotated[values.Bind, _parsed(values.bind)] = _web(
        "HTTP_BIND", "host:port where `streamnotify web` listens.", values.Bind("127.0.0.1", 8090)
    )
    api_tokens_file: ExistingFile | None = _web(
        "API_TOKENS_FILE", "File of the HTTP interface's tokens (`streamnotify token`); without it there is no /api."
    )
    webhook_ses_topic_arns: Annotated[tuple[str, ...], _parsed(values.sns_topics)] = _web(
        "WEBHOOK_SES_TOPIC_ARNS",
        "ARNs, separated by commas, of the SNS topics that SES tells; without them there is no /webhooks/ses.",
        (),
    )
    webhook_sendgrid_key: Annotated[str, _parsed(values.verification_key_text)] | None = _web(
        "WEBHOOK_SENDGRID_KEY",
        "Verification key of SendGrid's Signed Event Webhook; without it there is no /webhooks/sendgrid.",
    )
    webhook_mailgun_key: SecretStr | None = _web(
        "WEBHOOK_MAILGUN_KEY", "Mailgun's HTTP webhook signing key; without it there is no /webhooks/mailgun."
    )

    @property
    def smtp_complete(self) -> bool:
        """True if mails can be sent: a relay, a sender, and user and password (or token) both or neither."""
        return not self.smtp_missing

    @property
    def smtp_missing(self) -> str:
        """The settings without which no mail can be sent, in words for a person; empty if none is missing."""
        missing = []
        if self.smtp_host is None:
            missing.append("SMTP_HOST (or SMTP_PRESET)")
        if self.smtp_from is None:
            missing.append("SMTP_FROM")
        if (self.smtp_user is None) != (self.smtp_password is None and self.smtp_token_file is None):
            missing.append("SMTP_USER" if self.smtp_user is None else "SMTP_PASSWORD (or SMTP_TOKEN_FILE)")
        return ", ".join(missing)

    @property
    def kafka_security(self) -> KafkaSecurity:
        """How every Kafka client of ours proves itself."""
        return KafkaSecurity(
            protocol=self.kafka_security_protocol,
            mechanism=self.kafka_sasl_mechanism,
            username=self.kafka_sasl_username,
            password=reveal(self.kafka_sasl_password),
            ca_file=self.kafka_ssl_cafile,
            cert_file=self.kafka_ssl_certfile,
            key_file=self.kafka_ssl_keyfile,
            key_password=reveal(self.kafka_ssl_password),
        )

    @property
    def recipient_links(self) -> RecipientLinks | None:
        """What makes and reads the links in mails to our pages; None without a PUBLIC_URL.

        Raises:
            ValueError: if links cannot follow it.
        """
        secret = reveal(self.secret)
        return RecipientLinks(self.public_url, secret) if self.public_url and secret else None


def load() -> Settings:
    """The settings of the environment, then of ``.env`` in the working directory.

    Raises:
        SettingsError: naming each wrong setting, its value (secrets masked) and what is allowed.
    """
    try:
        in_files = _secrets_in_files()
        settings = Settings(**in_files)
    except ValidationError as error:
        wrong = [each for each in error.errors() if each["type"] != "default_factory_not_called"]
        raise SettingsError("\n".join(map(_problem, wrong))) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{_DOTENV} cannot be read: {error}") from None
    if problems := contradictions(_by_name(settings), in_files):
        raise SettingsError("\n".join(problems))
    return settings


def warnings(settings: Settings) -> list[str]:
    """What is allowed but will probably keep mails from arriving or being of use, one sentence each."""
    return doubts(_by_name(settings))


def name_of(field: str) -> str:
    """The environment variable of an attribute of :class:`Settings`."""
    return str(Settings.model_fields[field].validation_alias)


def section_of(field: str) -> str:
    """The heading that an attribute of :class:`Settings` is shown under."""
    extra: Any = Settings.model_fields[field].json_schema_extra
    return str(extra["section"])


def meaning_of(field: str) -> str:
    """What an attribute of :class:`Settings` is for, in words for a person."""
    return str(Settings.model_fields[field].description)


def is_secret(field: str) -> bool:
    """True if the attribute's value must never be shown."""
    return "SecretStr" in str(Settings.model_fields[field].annotation)


def sources(settings: Settings) -> dict[str, str]:
    """Where each attribute's value comes from: ``environment``, ``file`` (of a secret), ``.env`` or ``default``."""
    return {
        field: "default"
        if field not in settings.model_fields_set
        else "environment"
        if os.environ.get(name_of(field))
        else "file"
        if is_secret(field) and _given().get(file_setting(name_of(field)))
        else _DOTENV
        for field in Settings.model_fields
    }


def misspelt() -> dict[str, str]:
    """Names in the environment or ``.env`` that are no settings, but close to one: name -> the one meant."""
    known = names()
    given = [name for name in (*os.environ, *dotenv_values(_DOTENV)) if name not in known]
    close = {name: difflib.get_close_matches(name, known, n=1, cutoff=0.85) for name in given}
    return {name: matches[0] for name, matches in close.items() if matches}


def child_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment for a child process: this one's, with exactly ``settings`` (name -> text) as its settings."""
    known = names()
    return {**{name: text for name, text in os.environ.items() if name not in known}, **settings}


def secret_names() -> list[str]:
    """The settings that may be in a file each, see :mod:`streamnotify.wire.secret_files`."""
    return [name_of(field) for field in Settings.model_fields if is_secret(field)]


def names() -> list[str]:
    """All settings, and those that name the file of a secret."""
    return [*(name_of(field) for field in Settings.model_fields), *map(file_setting, secret_names())]


def _given() -> dict[str, str]:
    """What the environment says, then ``.env``; empty is absent."""
    return {name: text for name, text in (*dotenv_values(_DOTENV).items(), *os.environ.items()) if text}


def _secrets_in_files() -> dict[str, Any]:
    given, found, problems = _given(), {}, []
    for name in secret_names():
        try:
            if given.get(file_setting(name)):
                found[name] = secret_of(given, name)
        except SettingsError as error:
            problems.append(str(error))
    if problems:
        raise SettingsError("\n".join(problems))
    return found


def _problem(error: Any) -> str:
    name = str(error["loc"][0])
    field = next(field for field in Settings.model_fields if name_of(field) == name)
    shown = "********" if is_secret(field) else repr(error["input"])
    return f"{name} is {shown}: {error['msg'].removeprefix('Value error, ')}"


def reveal(secret: SecretStr | None) -> str | None:
    """What a secret setting holds."""
    return secret.get_secret_value() if secret else None


def _by_name(settings: Settings) -> dict[str, Any]:
    return {name_of(field): _plain(getattr(settings, field)) for field in Settings.model_fields}


def _plain(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, SecretStr) else value
