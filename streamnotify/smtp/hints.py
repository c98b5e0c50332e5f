"""What a person can do about a fault of the relay."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator

from streamnotify.domain.delivery import Outcome
from streamnotify.smtp.classification import classify
from streamnotify.smtp.fault import FaultKind, SmtpFault, Stage
from streamnotify.smtp.policy import SmtpPolicy, Tls
from streamnotify.smtp.presets import provider_of

_GREETING = "server ready message"  # aiosmtplib's words for what a relay says first

_LOGINS = {
    "sendgrid": "at SendGrid SMTP_USER is the word apikey and SMTP_PASSWORD an API key with the right Mail Send",
    "gmail": "Gmail wants an app password (16 letters, after 2-step verification is on), not the account's password",
    "ses": "SES wants SMTP credentials, which are made per region and are not the account's access keys",
    "mailgun": "at Mailgun SMTP_USER is a whole address of the sending domain, such as postmaster@mg.example.com",
}
_SENDERS = {
    "sendgrid": "verify SMTP_FROM as a sender identity, or its domain, at SendGrid",
    "gmail": "Gmail sends as the account or its verified aliases only",
    "ses": "verify SMTP_FROM's domain at SES; while the account is in the sandbox the recipient's address too",
    "mailgun": "SMTP_FROM must be of the domain that the login belongs to",
}


def hint(fault: SmtpFault, policy: SmtpPolicy) -> str | None:
    """What to look at after ``fault``, in words for a person; None if the relay's own words say all there is.

    Args:
        fault: as a session raised it.
        policy: the relay.
    """
    return next((said for rule in _RULES for said in rule(fault, policy)), None)


def _connecting(fault: SmtpFault, policy: SmtpPolicy) -> Iterator[str]:
    if fault.stage is not Stage.CONNECT or fault.kind is FaultKind.REPLY:
        return
    if _has_cause(fault, socket.gaierror):
        yield f"no DNS server knows SMTP_HOST {policy.host}: check its spelling"
    elif policy.port == 465 and policy.tls is not Tls.IMPLICIT:
        yield "on port 465 the relay speaks TLS from the first byte: set SMTP_TLS=implicit"
    elif _has_cause(fault, ConnectionRefusedError):
        yield f"nothing listens on port {policy.port} of {policy.host}: check SMTP_HOST and SMTP_PORT"
    elif _GREETING in fault.text and policy.tls is not Tls.IMPLICIT:
        yield f"port {policy.port} answers but says nothing: if it begins with TLS, set SMTP_TLS=implicit"
    else:
        yield (
            f"port {policy.port} may be blocked on the way, as many clouds do with 25: try 587, or 2525 where the "
            "provider offers it"
        )


def _encrypting(fault: SmtpFault, policy: SmtpPolicy) -> Iterator[str]:
    if fault.kind is FaultKind.NO_STARTTLS:
        yield "every relay should offer it; SMTP_TLS=none for a local test server"
    elif fault.kind is FaultKind.HANDSHAKE and re.search("wrong.version|record layer", fault.text, re.IGNORECASE):
        yield f"port {policy.port} does not speak TLS from the first byte: set SMTP_TLS=starttls, or SMTP_PORT=465"
    elif fault.kind is FaultKind.HANDSHAKE and "mismatch" in fault.text:
        yield f"the certificate is for another name than SMTP_HOST {policy.host}: set the name that is in it"
    elif fault.kind is FaultKind.HANDSHAKE:
        yield "an own certificate authority is trusted by SMTP_CA_FILE, a file of its certificates"


def _logging_in(fault: SmtpFault, policy: SmtpPolicy) -> Iterator[str]:
    provider = provider_of(policy.host) or ""
    if policy.token_file is not None and fault.stage is Stage.AUTH:
        yield from _token(fault)
    elif fault.kind is FaultKind.NO_AUTH:
        yield "the relay takes no login on this port or without encryption; leave out SMTP_USER and SMTP_PASSWORD?"
    elif _reason(fault) == "auth_required":
        yield "the relay wants a login: set SMTP_USER and SMTP_PASSWORD"
    elif _reason(fault) == "auth_failed":
        yield _LOGINS.get(provider, "check SMTP_USER and SMTP_PASSWORD; quotes in an .env file are not part of them")
    elif _reason(fault) == "relay_denied":
        yield "the relay sends for known senders only: set SMTP_USER and SMTP_PASSWORD, or have this machine allowed"


def _token(fault: SmtpFault) -> Iterator[str]:
    if fault.kind is FaultKind.NO_AUTH:
        yield "the relay takes no OAuth token: set SMTP_PASSWORD instead of SMTP_TOKEN_FILE"
    elif _reason(fault) == "auth_failed" and fault.kind is not FaultKind.NO_TOKEN:
        yield (
            "the relay refuses the token: look whether something refreshes SMTP_TOKEN_FILE before it runs out, whether "
            "its scope is SMTP's, and whether it may send as SMTP_USER"
        )


def _sending(fault: SmtpFault, policy: SmtpPolicy) -> Iterator[str]:
    outcome = classify(fault, "", 1).outcome
    if _reason(fault) == "sender_refused":
        said = f"the relay does not send for SMTP_FROM {policy.sender}"
        yield f"{said}: {_SENDERS.get(provider_of(policy.host) or '', 'have that address allowed at the provider')}"
    elif fault.kind is FaultKind.TINY_LIMIT:
        yield "every relay should take 64 KiB: have its limit for the size of a mail raised; the worker waits for that"
    elif outcome is Outcome.QUOTA:
        yield "the provider's quota is used up; the worker waits and tries again by itself"
    elif outcome is Outcome.RATE:
        yield "the provider takes fewer mails per second; the worker slows down by itself"
    elif outcome is Outcome.PERMANENT_RECIPIENT:
        yield "the relay knows no such mailbox: check the address"
    elif outcome is Outcome.MAILBOX_FULL:
        yield "the recipient's mailbox is full"
    elif _reason(fault) == "policy_refused":
        yield "refused by policy: look at SPF, DKIM and DMARC of SMTP_FROM's domain (docs/providers.md)"


def _reason(fault: SmtpFault) -> str | None:
    return classify(fault, "", 1).reason


def _has_cause(error: BaseException | None, kind: type[BaseException]) -> bool:
    while error is not None:
        if isinstance(error, kind):
            return True
        error = error.__cause__ or error.__context__
    return False


_RULES: tuple[Callable[[SmtpFault, SmtpPolicy], Iterator[str]], ...] = (
    _connecting,
    _encrypting,
    _logging_in,
    _sending,
)
