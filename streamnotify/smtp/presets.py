"""Relays of well-known providers, for ``SMTP_PRESET``; docs/providers.md says the rest."""

from __future__ import annotations

from dataclasses import dataclass

from streamnotify.smtp.policy import Tls


@dataclass(frozen=True, slots=True)
class Preset:
    """Where a provider takes mails."""

    host: str
    port: int = 587
    tls: Tls = Tls.STARTTLS


PRESETS = {
    "sendgrid": Preset("smtp.sendgrid.net"),
    "gmail": Preset("smtp.gmail.com"),
    "ses": Preset("email-smtp.us-east-1.amazonaws.com"),
    "mailgun": Preset("smtp.mailgun.org"),
}


def provider_of(host: str | None) -> str | None:
    """The preset's name of the provider whose relay ``host`` is, in any region; None if it is another's."""
    name = (host or "").lower().rstrip(".")
    if name.startswith("email-smtp") and name.endswith(".amazonaws.com"):
        return "ses"
    domains = {"sendgrid.net": "sendgrid", "gmail.com": "gmail", "mailgun.org": "mailgun"}
    found = (provider for domain, provider in domains.items() if name.endswith("." + domain))
    return next(found, None)
