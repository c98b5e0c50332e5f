"""The bytes of mails as a real SMTP server receives them (research/email.md items 14 to 20)."""

from __future__ import annotations

import asyncio
import email
import email.policy
import re
import smtplib
import threading
from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage
from functools import partial
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from streamnotify.devtools.samples import NOW, SAMPLES, sample
from streamnotify.render.addresses import InvalidAddress
from streamnotify.render.mime import Mime, to_bytes
from streamnotify.render.policy import Brand, RenderPolicy
from streamnotify.render.renderer import Renderer
from tests.render.a_notification import a_notification
from tests.render.test_mime import MIME

SENDER = "noreply@mail.example.com"
POLICY = RenderPolicy(
    SENDER, Brand(reply_to="help@example.com"), "https://app.example.com", unsubscribe_mailto="stop@mail.example.com"
)
RENDERER = Renderer(POLICY)
HEADERS = [
    "From",
    "To",
    "Reply-To",
    "Subject",
    "Date",
    "Message-ID",
    "List-Unsubscribe",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
    "X-Notification-ID",
    "MIME-Version",
    "Content-Type",
]


class Server:
    """An SMTP server that keeps what it is given, and a way to give it a mail."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 aiosmtpd's name
        self.envelopes.append(envelope)
        return "250 OK"

    def __enter__(self) -> Server:
        # Listening before the thread runs: nothing to wait for, and the system chooses the port.
        make = partial(SMTP, self, loop=self._loop)
        self._listening = self._loop.run_until_complete(self._loop.create_server(make, "127.0.0.1", 0))
        self._thread.start()
        self.client = smtplib.SMTP("127.0.0.1", self._listening.sockets[0].getsockname()[1])
        return self

    def __exit__(self, *_: object) -> None:
        self.client.quit()
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(timeout=10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        """Stop listening, and let the tasks of the connection end."""
        self._listening.close()
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True)

    def receive(self, sender: str, to: str, content: bytes) -> bytes:
        """``content`` as it arrives. Exactly one recipient is accepted and one mail comes."""
        before = len(self.envelopes)
        assert self.client.sendmail(sender, [to], content) == {}
        assert len(self.envelopes) == before + 1
        envelope = self.envelopes[-1]
        assert (envelope.mail_from, envelope.rcpt_tos) == (sender, [to])
        assert isinstance(envelope.content, bytes)
        return envelope.content


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One server for all the mails of this module."""
    with Server() as running:
        yield running


def parsed(received: bytes) -> EmailMessage:
    return email.message_from_bytes(received, policy=email.policy.default)


def received(server: Server, mime: Mime) -> bytes:
    return server.receive(mime.sender.address, mime.to.address, to_bytes(mime))


@pytest.mark.parametrize("template", ["task_completion", "test_execution_summary"])
@pytest.mark.parametrize("name", SAMPLES)
def test_every_mail_is_seven_bit_with_crlf_and_short_lines(server: Server, name: str, template: str) -> None:
    mail = RENDERER.task_mail(sample(name, template), "ann@example.com", NOW)
    data = server.receive(mail.sender, mail.to, mail.content)
    assert data == mail.content
    assert max(data) < 128
    assert data.count(b"\n") == data.count(b"\r\n") == data.count(b"\r")
    head, body = data.split(b"\r\n\r\n", 1)
    assert max(map(len, body.split(b"\r\n"))) <= 76
    assert max(map(len, head.split(b"\r\n"))) <= 998
    assert all(len(word) <= 75 for word in re.findall(rb"=\?utf-8\?b\?\S*\?=", head))
    assert len(data) <= 102_400
    read = parsed(data)
    assert read.keys() == HEADERS
    assert read["Subject"] == mail.subject
    assert not read.defects


def test_the_unsubscribe_address_is_in_the_header_and_in_both_parts(server: Server) -> None:
    mail = RENDERER.task_mail(a_notification(), "ann@example.com", NOW)
    read = parsed(server.receive(mail.sender, mail.to, mail.content))
    url = "mailto:stop@mail.example.com?subject=unsubscribe%20task_completion"
    assert read["List-Unsubscribe"] == f"<{url}>"
    assert "List-Unsubscribe-Post" not in read
    for kind in ("plain", "html"):
        body = read.get_body((kind,))
        assert body is not None
        assert url in body.get_content()


def test_without_such_an_address_there_is_neither_header_nor_link(server: Server) -> None:
    mail = Renderer(replace(POLICY, unsubscribe_mailto=None)).task_mail(a_notification(), "ann@example.com", NOW)
    data = server.receive(mail.sender, mail.to, mail.content)
    assert b"List-Unsubscribe" not in data
    assert b"Unsubscribe" not in data


def test_a_long_unsubscribe_url_arrives_intact_and_can_be_clicked_once(server: Server) -> None:
    url = "https://notify.example.com/unsubscribe?token=" + "aB3-_.~%" * 32 + "&x=/y"
    assert len(url) >= 300
    mailto = "mailto:stop@mail.example.com?subject=unsubscribe"
    data = received(server, replace(MIME, list_unsubscribe=(url, mailto)))
    assert f"List-Unsubscribe: <{url}>,\r\n <{mailto}>\r\n".encode() in data
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in data
    assert parsed(data).get_all("List-Unsubscribe") == [f"<{url}>, <{mailto}>"]


def test_three_long_ids_of_a_thread_arrive_intact(server: Server) -> None:
    ids = tuple(f"thread.{letter * 150}@mail.example.com" for letter in "abc")
    data = received(server, replace(MIME, references=ids))
    folded = "\r\n ".join(f"<{each}>" for each in ids)
    assert f"\r\nReferences: {folded}\r\n".encode() in data
    assert f"\r\nIn-Reply-To: <{ids[-1]}>\r\n".encode() in data
    assert b"=?" not in data


def test_a_mail_without_a_thread_names_none(server: Server) -> None:
    data = received(server, MIME)
    assert b"References" not in data
    assert b"In-Reply-To" not in data


HOSTILE = st.text(
    st.one_of(st.characters(codec="utf-8"), st.sampled_from('\r\n\x00\x0b\x85\u2028\u2029\u202e\u2066:<>,"\\=?@;. ')),
    max_size=60,
)
BREAK_OUT = "x\r\nBcc: eve@example.com\r\n\r\n.\r\nRCPT TO:<eve@example.com>\u2028Cc: eve@example.com\u202e\x00"
FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FUZZ
@given(name=HOSTILE, subject=HOSTILE, brand=HOSTILE, texts=st.lists(HOSTILE, min_size=3, max_size=3))
@example(name=BREAK_OUT, subject=BREAK_OUT, brand=BREAK_OUT, texts=[BREAK_OUT, BREAK_OUT, BREAK_OUT])
def test_nothing_that_people_write_adds_a_header_or_a_recipient(
    server: Server, name: str, subject: str, brand: str, texts: list[str]
) -> None:
    policy = replace(POLICY, brand=_brand(brand))
    fields: dict[str, Any] = {
        "kind": texts[0],
        "template": "test_execution_summary",
        "name": name,
        "subject_template": subject,
        "task_name": texts[1],
        "task_id": texts[2],
        "error_message": texts[0],
        "variables": {"test_set_name": texts[0], "endpoint_url": texts[1], "test_run_id": texts[2]},
        "status": "failed",
        "notification_id": "a2345672345672345672345672",
    }
    mail = Renderer(policy).task_mail(a_notification(**fields), "ann@example.com", NOW)
    read = parsed(server.receive(mail.sender, mail.to, mail.content))
    assert read.keys() == HEADERS
    assert [address.addr_spec for address in read["To"].addresses] == ["ann@example.com"]
    assert [address.addr_spec for address in read["From"].addresses] == [SENDER]
    assert [address.addr_spec for address in read["Reply-To"].addresses] == ["help@example.com"]
    assert not set(read["Subject"]) & set("\r\n\x00\x85\u2028\u2029\u202e\u2066")


def _brand(name: str) -> Brand:
    """A brand of that name, or the default one where settings would refuse it."""
    try:
        return Brand(name=name, reply_to="help@example.com")
    except ValueError:
        return Brand(reply_to="help@example.com")


@FUZZ
@given(url=HOSTILE, reference=HOSTILE)
@example(url=BREAK_OUT, reference=BREAK_OUT)
@example(url="https://x.example/>,<https://evil.example", reference="a> <b")
def test_no_url_or_id_adds_a_header_or_a_second_one(server: Server, url: str, reference: str) -> None:
    read = parsed(received(server, replace(MIME, list_unsubscribe=(url,), references=(reference, "b@example.com"))))
    thread = ["In-Reply-To", "References"]
    post = ["List-Unsubscribe-Post"] if "List-Unsubscribe-Post" in read else []
    assert sorted(read.keys()) == sorted([*parsed(to_bytes(MIME)).keys(), *thread, "List-Unsubscribe", *post])
    assert read["List-Unsubscribe"].count("<") == read["List-Unsubscribe"].count(">") == 1
    assert len(str(read["References"]).split()) == 2


@FUZZ
@given(HOSTILE)
@example("ann@example.com\r\nRCPT TO:<eve@example.com>")
@example("ann@example.com>\r\nBcc: eve@example.com")
def test_an_address_is_sent_to_as_it_is_or_refused(server: Server, address: str) -> None:
    try:
        mail = RENDERER.task_mail(a_notification(), address, NOW)
    except InvalidAddress:
        return
    if mail.to.isascii():  # aiosmtpd wants SMTPUTF8 for others
        read = parsed(server.receive(mail.sender, mail.to, mail.content))
        assert [each.addr_spec for each in read["To"].addresses] == [mail.to]
