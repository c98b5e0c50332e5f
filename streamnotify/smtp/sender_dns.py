"""What DNS says of the domain that mails are from: SPF and DMARC (research/email.md item 24).

DKIM cannot be looked up: its record's name has a selector that only a signed mail tells.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import dns.exception
import dns.resolver

from streamnotify.errors import StreamnotifyError

_WITHIN = timedelta(seconds=5)  # for one question
_SPF, _DMARC = "v=spf1", "v=DMARC1"
_HELP = "docs/providers.md says what to publish"


class NameServer:
    """Who is asked.

    Args:
        host: its IP address; None for the system's own name servers.
        port: where it answers.

    Raises:
        StreamnotifyError: if there is no such address, or the system names no server.
    """

    def __init__(self, host: str | None = None, port: int = 53) -> None:
        try:
            self._resolver = dns.resolver.Resolver(configure=host is None)
            if host is not None:
                self._resolver.nameservers, self._resolver.port = [host], port
        except (dns.exception.DNSException, ValueError) as error:
            raise StreamnotifyError(f"no name server: {error}") from error
        self._resolver.lifetime = _WITHIN.total_seconds()

    def texts(self, name: str) -> list[str]:
        """The TXT records of ``name``; none if there is no such name.

        Raises:
            StreamnotifyError: if DNS does not say.
        """
        try:
            answer = self._resolver.resolve(name, "TXT", search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except dns.exception.DNSException as error:
            raise StreamnotifyError(f"DNS does not answer for {name}: {error}") from error
        return [b"".join(record.strings).decode("utf-8", "replace") for record in answer]


def sender_doubts(domain: str, server: NameServer) -> Iterator[str]:
    """Why receivers may refuse mail from ``domain``, one sentence each.

    Raises:
        StreamnotifyError: if DNS does not say.
    """
    policies = _with_tag(server.texts(domain), _SPF)
    if not policies:
        yield f"DNS has no SPF record for {domain}: receivers cannot see that your relay may send for it. {_HELP}"
    elif len(policies) > 1:
        yield f"DNS has {len(policies)} SPF records for {domain}: one is allowed (RFC 7208), more count as none"
    elif policies[0].lower().endswith("+all"):
        yield f"the SPF record of {domain} ends with +all: it lets everybody send for it"
    if not any(_with_tag(server.texts(f"_dmarc.{name}"), _DMARC) for name in _and_parents(domain)):
        yield f"DNS has no DMARC record at _dmarc.{domain}: Gmail and others ask for one. {_HELP}"


def _with_tag(texts: list[str], tag: str) -> list[str]:
    """Those that are such a record: the tag stands alone or something follows it."""
    wanted = tag.lower()
    return [text for text in texts if text.lower().startswith(wanted) and not text[len(tag) : len(tag) + 1].isalnum()]


def _and_parents(domain: str) -> Iterator[str]:
    """The domain and those above it but for the last label: a policy holds below its domain (RFC 7489 6.6.3)."""
    labels = domain.split(".")
    for number in range(max(len(labels) - 1, 1)):
        yield ".".join(labels[number:])
