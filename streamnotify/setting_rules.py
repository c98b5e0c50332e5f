"""What settings that are each right on their own must not be together (SPEC section 8)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from streamnotify.domain.hosts import is_loopback
from streamnotify.setting_values import format_duration
from streamnotify.wire.topic_layout import EVENT_RETENTION

LEAST_RUN_RETENTION = EVENT_RETENTION + timedelta(days=2)  # a run must outlive its events (SPEC section 3)
_LEAST_SECRET = 16
_LANES = ("STREAMNOTIFY_DIGEST", "STREAMNOTIFY_ALERT_DIGEST")


def contradictions(values: Mapping[str, Any]) -> list[str]:
    """One sentence for each, naming the setting, its value and what is allowed.

    Args:
        values: every setting's parsed value by its name; secrets as plain text.
    """
    return [*_relay(values), *_kafka(values), *_durations(values), *_links(values)]


def _relay(values: Mapping[str, Any]) -> Iterator[str]:
    host = values["SMTP_HOST"]
    if values["SMTP_TLS"] == "none" and values["SMTP_PASSWORD"] and host and not is_loopback(host):
        yield (
            f"SMTP_TLS is 'none': with SMTP_PASSWORD set, and SMTP_HOST {host} not on loopback, starttls or implicit "
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


def _links(values: Mapping[str, Any]) -> Iterator[str]:
    secret = values["STREAMNOTIFY_SECRET"]
    if values["STREAMNOTIFY_PUBLIC_URL"] and not secret:
        yield "STREAMNOTIFY_SECRET is not set: with STREAMNOTIFY_PUBLIC_URL it is required, to sign links"
    if secret and len(secret) < _LEAST_SECRET:
        yield f"STREAMNOTIFY_SECRET is ********: at least {_LEAST_SECRET} characters are allowed"
