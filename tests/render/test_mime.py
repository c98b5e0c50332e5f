"""The bytes of a mail, read back with Python's own parser."""

from __future__ import annotations

import email
import email.policy
import re
from dataclasses import replace
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnotify.render.mime import Mailbox, Mime, to_bytes
from tests.render.a_notification import NOW

MIME = Mime(
    sender=Mailbox("noreply@example.com", "Streamnotify"),
    to=Mailbox("ann@example.com", "Ann"),
    subject="Hello",
    at=NOW,
    message_id="task_completion.abc@example.com",
    boundary="=_abc",
    text="Hello\n.\n..dots\nlast",
    html="<p>Hello</p>",
    machine_headers=(("Auto-Submitted", "auto-generated"),),
)
HEADERS = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]
HOSTILE = st.text(st.one_of(st.characters(), st.sampled_from('\r\n\x00\u2028\u202e:<>,"\\=?@ ')), max_size=300)


def parsed(mail: Mime) -> EmailMessage:
    """``mail`` as Python's parser understands its bytes."""
    return email.message_from_bytes(to_bytes(mail), policy=email.policy.default)


def test_text_comes_first_and_both_parts_read_back() -> None:
    mail = parsed(MIME)
    assert mail.get_content_type() == "multipart/alternative"
    text, html = cast("list[EmailMessage]", mail.get_payload())
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert text.get_content().replace("\r\n", "\n") == MIME.text
    assert html.get_content().strip() == MIME.html
    assert not mail.defects


def test_the_headers_are_these_and_no_others() -> None:
    mail = parsed(MIME)
    assert mail.keys() == HEADERS
    assert mail["From"] == "Streamnotify <noreply@example.com>"
    assert mail["Date"] == "Mon, 15 Jan 2024 14:30:26 +0000"
    assert mail["Message-ID"] == "<task_completion.abc@example.com>"
    assert mail["Auto-Submitted"] == "auto-generated"


def test_a_long_message_id_is_never_folded_or_encoded() -> None:
    long_id = "k" * 64 + "." + "n" * 26 + "@" + "d" * 60 + ".example.com"
    assert f"\r\nMessage-ID: <{long_id}>\r\n".encode() in to_bytes(replace(MIME, message_id=long_id))


@pytest.mark.parametrize(
    "text",
    ["plain " * 40, "ürgent " * 40, "日本語" * 60, "👩‍👩‍👧" * 40, "=?utf-8?q?x?=", "x" * 120, 'a "b" \\c'],
    ids=["ascii", "latin", "japanese", "emoji", "looks encoded", "one word", "quotes"],
)
def test_subjects_and_names_read_back_in_short_lines(text: str) -> None:
    mail = replace(MIME, subject=text, to=Mailbox("ann@example.com", text))
    read = parsed(mail)
    assert read["Subject"] == text.strip()
    # The new parser of Python before 3.13 puts spaces between a name's encoded-words; the old one follows RFC 2047.
    name, address = parseaddr(str(email.message_from_bytes(to_bytes(mail))["To"]))
    assert str(make_header(decode_header(name))) == text.strip()
    assert address == "ann@example.com"
    head = to_bytes(mail).split(b"\r\n\r\n")[0].split(b"\r\n")
    assert max(len(line) for line in head) <= (76 if " " in text or not text.isascii() else 130)
    for word in re.findall(rb"=\?utf-8\?b\?\S*", b"\r\n".join(head)):
        assert len(word) <= 75


@pytest.mark.parametrize(
    "text", ["a" * 5000, "ü" * 5000, "日本 " * 5000, "tail \t \nx= \n\n", "."], ids=lambda t: ascii(t[:9])
)
def test_bodies_are_seven_bit_with_crlf_and_short_lines(text: str) -> None:
    mail = replace(MIME, text=text, html=f"<p>{text}</p>")
    data = to_bytes(mail)
    assert max(data) < 128
    assert data.count(b"\n") == data.count(b"\r\n") == data.count(b"\r")
    assert max(len(line) for line in data.split(b"\r\n")) <= 76
    assert b"\r\n.\r\n" not in data
    assert data.endswith(b"--=_abc--\r\n")
    body = parsed(mail).get_body(("plain",))
    assert body is not None
    assert body.get_content().rstrip("\r\n").replace("\r\n", "\n") == text.rstrip("\n")


@given(subject=HOSTILE, name=HOSTILE, brand=HOSTILE, body=HOSTILE)
def test_no_text_adds_a_header_or_a_recipient(subject: str, name: str, brand: str, body: str) -> None:
    body = body.encode("utf-8", "replace").decode()
    mail = replace(
        MIME,
        subject=subject,
        to=Mailbox("ann@example.com", name),
        sender=Mailbox("noreply@example.com", brand),
        text=body,
        html=body,
    )
    data = to_bytes(mail)
    read = parsed(mail)
    assert read.keys() == HEADERS
    assert [address.addr_spec for address in read["To"].addresses] == ["ann@example.com"]
    assert [address.addr_spec for address in read["From"].addresses] == ["noreply@example.com"]
    assert max(data) < 128
    assert data.count(b"\n") == data.count(b"\r\n") == data.count(b"\r")


def test_a_non_ascii_local_part_is_written_as_it_is() -> None:
    data = to_bytes(replace(MIME, to=Mailbox("jörg@example.com")))
    assert "\r\nTo: jörg@example.com\r\n".encode() in data
