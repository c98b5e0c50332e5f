"""What a person is told to look at after a fault; tests/cli/test_send_test.py has those that real servers cause."""

from __future__ import annotations

import asyncio
import socket
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from streamnotify.smtp.fault import FaultKind, SmtpFault, Stage
from streamnotify.smtp.hints import hint
from streamnotify.smtp.policy import SmtpPolicy, Tls
from streamnotify.smtp.pool import Pool
from streamnotify.smtp.presets import PRESETS, provider_of

REFUSED_LOGIN = SmtpFault(Stage.AUTH, FaultKind.REPLY, "5.7.8 bad credentials", 535)
REFUSED_SENDER = SmtpFault(Stage.MAIL, FaultKind.REPLY, "5.7.1 sender address rejected", 553)


def after(fault: SmtpFault, cause: BaseException | None = None, **policy: Any) -> str:
    fault.__cause__ = cause
    return hint(fault, SmtpPolicy(**{"host": "relay.acme.dev", "sender": "noreply@acme.dev"} | policy)) or ""


def broken(stage: Stage, kind: FaultKind, text: str = "") -> SmtpFault:
    return SmtpFault(stage, kind, text)


def test_a_name_that_dns_does_not_know() -> None:
    fault = broken(Stage.CONNECT, FaultKind.DISCONNECTED, "Name or service not known")
    assert "check its spelling" in after(fault, socket.gaierror(-2, "Name or service not known"))


def test_silence_on_a_port_that_speaks_tls_from_the_first_byte() -> None:
    assert "SMTP_TLS=implicit" in after(broken(Stage.CONNECT, FaultKind.TIMEOUT), port=465)


@pytest.mark.parametrize("tls", [Tls.STARTTLS, Tls.NONE])
def test_silence_after_the_connection_is_made_may_be_tls_on_a_port_of_ones_own(tls: Tls) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        policy = SmtpPolicy("127.0.0.1", "noreply@acme.dev", port, tls=tls, connect_timeout=timedelta(seconds=0.2))
        with pytest.raises(SmtpFault) as failed:
            asyncio.run(Pool(policy).open())
    assert "set SMTP_TLS=implicit" in (hint(failed.value, policy) or "")


def test_silence_on_any_other_port() -> None:
    assert "port 25 may be blocked" in after(broken(Stage.CONNECT, FaultKind.TIMEOUT), port=25)


def test_a_certificate_for_another_name() -> None:
    text = "certificate verify failed: Hostname mismatch, certificate is not valid for 'relay.acme.dev'"
    fault = broken(Stage.TLS, FaultKind.HANDSHAKE, text)
    assert "is for another name than SMTP_HOST relay.acme.dev" in after(fault, ssl.SSLError(text))


def test_tls_spoken_to_a_port_that_starts_in_clear() -> None:
    fault = broken(Stage.TLS, FaultKind.HANDSHAKE, "[SSL: WRONG_VERSION_NUMBER] wrong version number")
    assert "set SMTP_TLS=starttls" in after(fault, tls=Tls.IMPLICIT)


@pytest.mark.parametrize(
    ("provider", "login", "sender"),
    [
        ("sendgrid", "the word apikey", "sender identity"),
        ("gmail", "app password", "verified aliases"),
        ("ses", "made per region", "sandbox"),
        ("mailgun", "a whole address", "domain that the login belongs to"),
    ],
)
def test_each_providers_own_pitfalls(provider: str, login: str, sender: str) -> None:
    host = PRESETS[provider].host
    assert login in after(REFUSED_LOGIN, host=host)
    assert sender in after(REFUSED_SENDER, host=host)


def test_what_is_wrong_with_a_token_is_not_said_of_a_password() -> None:
    token: dict[str, Any] = {"user": "ann@gmail.com", "token_file": Path("token"), "host": "smtp.gmail.com"}
    assert "refreshes SMTP_TOKEN_FILE" in after(REFUSED_LOGIN, **token)
    assert "SMTP_PASSWORD instead of" in after(broken(Stage.AUTH, FaultKind.NO_AUTH), **token)
    assert after(broken(Stage.AUTH, FaultKind.NO_TOKEN, "SMTP_TOKEN_FILE is 'token': it is empty"), **token) == ""


def test_a_limit_for_mails_that_is_the_relays_mistake() -> None:
    text = "12045 bytes, and the relay takes only 10"
    assert "64 KiB" in after(broken(Stage.MAIL, FaultKind.TINY_LIMIT, text))


def test_the_relays_own_words_are_enough_where_there_is_nothing_to_add() -> None:
    assert after(SmtpFault(Stage.CONNECT, FaultKind.REPLY, "4.3.2 closing for maintenance", 421)) == ""


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        *((preset.host, name) for name, preset in PRESETS.items()),
        ("email-smtp.eu-west-1.amazonaws.com", "ses"),
        ("email-smtp-fips.us-west-2.amazonaws.com", "ses"),
        ("smtp.eu.mailgun.org", "mailgun"),
        ("SMTP.Gmail.com.", "gmail"),
        ("notgmail.com", None),
        ("ec2-1-2-3-4.compute.amazonaws.com", None),
        (None, None),
    ],
)
def test_a_providers_relay_is_known_in_every_region(host: str | None, provider: str | None) -> None:
    assert provider_of(host) == provider
