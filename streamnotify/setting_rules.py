"""What settings that are each right on their own must not be together (SPEC section 8)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from typing import Any

from streamnotify.domain.hosts import is_loopback
from streamnotify.setting_values import host_of
from streamnotify.smtp.presets import provider_of
from streamnotify.wire.durations import format_duration
from streamnotify.wire.secret_files import file_setting
from streamnotify.wire.topic_layout import EVENT_RETENTION

LEAST_RUN_RETENTION = EVENT_RETENTION + timedelta(days=2)  # a run must outlive its events (SPEC section 3)
_LEAST_SECRET = 16
# Mail from there is accepted from their own relays only: they publish DMARC policies for their users' addresses.
_FREEMAIL = {
    "gmail.com": "gmail.com",
    "googlemail.com": "gmail.com",
    "outlook.com": "office365.com outlook.com",
    "hotmail.com": "office365.com outlook.com",
    "yahoo.com": "yahoo.com",
    "aol.com": "aol.com",
    "icloud.com": "me.com",
    "gmx.net": "gmx.net",
    "web.de": "web.de",
}
_RESERVED = ("example", "test", "invalid", "localhost", "local", "example.com", "example.org", "example.net")
_LANES = ("STREAMNOTIFY_DIGEST", "STREAMNOTIFY_ALERT_DIGEST")


def contradictions(values: Mapping[str, Any], in_files: Collection[str]) -> list[str]:
    """One sentence for each, naming the setting, its value and what is allowed.

    Args:
        values: every setting's parsed value by its name; secrets as plain text.
        in_files: the names of the secrets that were read from files.
    """
    return [*_relay(values), *_kafka(values), *_durations(values), *_links(values, in_files)]


def doubts(values: Mapping[str, Any]) -> list[str]:
    """What is allowed but will probably keep mails from arriving or being of use (research/email.md item 24).

    Only what can be told without asking DNS; a relay on loopback is for tests, and nothing is said about it.

    Args:
        values: as of :func:`contradictions`.
    """
    host = values["SMTP_HOST"]
    if not host or is_loopback(host):
        return []
    return [*_doubtful_encryption(values), *_doubtful_login(values), *_doubtful_sender(values), *_useless_links(values)]


def _doubtful_encryption(values: Mapping[str, Any]) -> Iterator[str]:
    port, tls = values["SMTP_PORT"], values["SMTP_TLS"]
    if tls == "none":
        yield "SMTP_TLS is 'none': everybody on the way to the relay can read the mails; starttls or implicit is better"
    if (port == 465 and tls == "starttls") or (port in (25, 587, 2525) and tls == "implicit"):
        usual = "implicit" if port == 465 else "starttls"
        yield f"SMTP_TLS is {tls!r}: on port {port} relays speak {usual}"


def _doubtful_login(values: Mapping[str, Any]) -> Iterator[str]:
    user, provider = values["SMTP_USER"], provider_of(values["SMTP_HOST"])
    if provider and not user:
        yield f"SMTP_USER is not set: {provider} takes no mail without a login"
    if provider == "sendgrid" and user and user != "apikey":
        yield f"SMTP_USER is {user!r}: at SendGrid it is the word apikey, and SMTP_PASSWORD the API key"
    if provider in ("gmail", "mailgun") and user and "@" not in user:
        yield f"SMTP_USER is {user!r}: at {provider} it is a whole address"


def _doubtful_sender(values: Mapping[str, Any]) -> Iterator[str]:
    sender, host, user = values["SMTP_FROM"], values["SMTP_HOST"].lower(), values["SMTP_USER"]
    domain = (sender or "").rpartition("@")[2].lower()
    own = _FREEMAIL.get(domain)
    if own and not any(host == each or host.endswith("." + each) for each in own.split()):
        yield (
            f"SMTP_FROM is {sender!r}: mail from {domain} that comes over {host} fails DMARC and is refused or ends as "
            "spam; send from a domain of your own"
        )
    if any(domain == each or domain.endswith("." + each) for each in _RESERVED):
        yield f"SMTP_FROM is {sender!r}: that domain belongs to nobody, so receivers refuse it"
    if provider_of(host) == "gmail" and user and sender and user.lower() != sender.lower():
        yield f"SMTP_FROM is {sender!r}: Gmail writes SMTP_USER in its place, except for verified aliases"


def _useless_links(values: Mapping[str, Any]) -> Iterator[str]:
    url = values["FRONTEND_URL"]
    if url and is_loopback(host_of(url)):
        yield f"FRONTEND_URL is {url!r}: links in mails lead to each reader's own machine"
    if not values["STREAMNOTIFY_PUBLIC_URL"] and not values["STREAMNOTIFY_UNSUBSCRIBE_MAILTO"]:
        yield (
            "STREAMNOTIFY_PUBLIC_URL and STREAMNOTIFY_UNSUBSCRIBE_MAILTO are not set: mails carry no way to "
            "unsubscribe, which large providers ask for"
        )


def _relay(values: Mapping[str, Any]) -> Iterator[str]:
    host = values["SMTP_HOST"]
    secrets = [name for name in ("SMTP_PASSWORD", "SMTP_TOKEN_FILE") if values[name]]
    if len(secrets) > 1:
        yield f"{' and '.join(secrets)} are both set: one of them is allowed"
    if values["SMTP_TLS"] == "none" and secrets and host and not is_loopback(host):
        yield (
            f"SMTP_TLS is 'none': with {secrets[0]} set, and SMTP_HOST {host} not on loopback, starttls or implicit "
            "is allowed"
        )


def _kafka(values: Mapping[str, Any]) -> Iterator[str]:
    protocol = values["KAFKA_SECURITY_PROTOCOL"]
    for name in ("KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"):
        if protocol.startswith("SASL_") and not values[name]:
            yield f"{name} is not set: with KAFKA_SECURITY_PROTOCOL {protocol} it is required"
        if values[name] and not protocol.startswith("SASL_"):
            yield f"KAFKA_SECURITY_PROTOCOL is {protocol!r}: with {name} set, SASL_PLAINTEXT or SASL_SSL is allowed"
    if bool(values["KAFKA_SSL_CERTFILE"]) != bool(values["KAFKA_SSL_KEYFILE"]):
        yield "KAFKA_SSL_CERTFILE and KAFKA_SSL_KEYFILE: both or neither are allowed"


def _durations(values: Mapping[str, Any]) -> Iterator[str]:
    for lane in _LANES:
        window, wait = values[f"{lane}_WINDOW"], values[f"{lane}_MAX_WAIT"]
        if wait < window:
            least = format_duration(window)
            yield f"{lane}_MAX_WAIT is {format_duration(wait)}: at least {lane}_WINDOW, {least}, is allowed"
    retention = values["STREAMNOTIFY_RUN_RETENTION"]
    if retention < LEAST_RUN_RETENTION:
        yield (
            f"STREAMNOTIFY_RUN_RETENTION is {format_duration(retention)}: at least the retention of task-events + 2d, "
            f"{format_duration(LEAST_RUN_RETENTION)}, is allowed"
        )


def _links(values: Mapping[str, Any], in_files: Collection[str]) -> Iterator[str]:
    name = "STREAMNOTIFY_SECRET"
    secret = values[name]
    if values["STREAMNOTIFY_PUBLIC_URL"] and not secret:
        yield "STREAMNOTIFY_SECRET is not set: with STREAMNOTIFY_PUBLIC_URL it is required, to sign links"
    if secret and len(secret) < _LEAST_SECRET:
        given = f"{file_setting(name)} holds" if name in in_files else f"{name} is"
        yield f"{given} ********: at least {_LEAST_SECRET} characters are needed"
