"""What DNS says of the sender's domain: each doubt against a name server of our own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from streamnotify.errors import StreamnotifyError
from streamnotify.smtp.sender_dns import NameServer, sender_doubts
from tests.smtp.name_server import name_server

SPF = "v=spf1 include:relay.example.net -all"
DMARC = "v=DMARC1; p=none"


def doubts(domain: str, texts: Mapping[str, Sequence[str]], *, fails: bool = False) -> list[str]:
    with name_server(texts, fails=fails) as address:
        host, _, port = address.rpartition(":")
        return list(sender_doubts(domain, NameServer(host, int(port))))


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ({"m.example.com": [SPF], "_dmarc.m.example.com": [DMARC]}, []),
        # A record of several strings, others beside it, and a policy of the domain above.
        ({"m.example.com": ["x=1", f"v=spf1 {'a ' * 150}-all"], "_dmarc.example.com": ["V=dmarc1;p=reject"]}, []),
        ({"m.example.com": [SPF]}, ["no DMARC record at _dmarc.m.example.com"]),
        ({"_dmarc.m.example.com": [DMARC]}, ["no SPF record for m.example.com"]),
        ({"m.example.com": [SPF, SPF + " "], "_dmarc.m.example.com": [DMARC]}, ["2 SPF records for m.example.com"]),
        ({"m.example.com": ["v=spf1 +all"], "_dmarc.m.example.com": [DMARC]}, ["lets everybody send"]),
        ({"m.example.com": ["v=spf10 -all"], "_dmarc.com": [DMARC]}, ["no SPF record", "no DMARC record"]),
        ({}, ["no SPF record", "no DMARC record"]),
    ],
)
def test_what_receivers_miss_is_said(texts: Mapping[str, Sequence[str]], said: list[str]) -> None:
    found = doubts("m.example.com", texts)
    assert len(found) == len(said)
    assert all(part in sentence for part, sentence in zip(said, found, strict=True))


def test_a_name_server_that_fails_says_nothing_about_the_domain() -> None:
    with pytest.raises(StreamnotifyError, match=r"DNS does not answer for m\.example\.com"):
        doubts("m.example.com", {}, fails=True)


def test_a_name_server_is_an_address() -> None:
    with pytest.raises(StreamnotifyError, match="no name server"):
        NameServer("dns.example.com")
