"""The inbox with a real SMTP client and a real HTTP client."""

from __future__ import annotations

import json
import smtplib
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import pytest

from streamnotify.devtools.browser import NoBrowser, chromium
from streamnotify.devtools.inbox import Inbox
from tests.web.chromium import DESKTOP, browser, visit


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with Inbox() as running:
        yield running


def _send(
    inbox: Inbox, subject: str = "Grüße ✅", to: str = "ann@example.com", html: str | None = "<p>Hello</p>"
) -> None:
    mail = EmailMessage()
    mail["From"] = "noreply@example.com"
    mail["To"] = to
    mail["Subject"] = subject
    mail.set_content("Hello Ann,\n.a line with a dot\n")
    if html is not None:
        mail.add_alternative(html, subtype="html")
    with smtplib.SMTP("127.0.0.1", inbox.smtp_port) as relay:
        relay.send_message(mail)


def _get(inbox: Inbox, path: str) -> Any:
    return urllib.request.urlopen(inbox.url + path, timeout=5)


def test_a_mail_is_kept_and_shown_in_its_parts(inbox: Inbox) -> None:
    _send(inbox)
    (mail,) = inbox.mails
    assert (mail.number, mail.sender, mail.recipients) == (1, "noreply@example.com", ("ann@example.com",))
    assert mail.subject == "Grüße ✅"
    assert mail.part("plain") == "Hello Ann,\n.a line with a dot\n"
    assert mail.part("html") == "<p>Hello</p>\n"


def test_the_list_is_json_newest_first(inbox: Inbox) -> None:
    _send(inbox, "first")
    _send(inbox, "second", to="bob@example.com")
    listed = json.load(_get(inbox, "api/mails"))
    assert [(mail["number"], mail["subject"], mail["to"]) for mail in listed] == [
        (2, "second", ["bob@example.com"]),
        (1, "first", ["ann@example.com"]),
    ]
    assert json.load(_get(inbox, "api/mails/1"))["text"].startswith("Hello Ann,")


def test_a_mail_without_html_says_so(inbox: Inbox) -> None:
    _send(inbox, html=None)
    assert json.load(_get(inbox, "api/mails/1"))["has_html"] is False


def test_the_html_of_a_mail_may_run_and_fetch_nothing(inbox: Inbox) -> None:
    _send(inbox, html="<script>alert(1)</script>")
    answer = _get(inbox, "mails/1/html")
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'")
    assert "script" not in policy
    assert b'sandbox="allow-popups allow-popups-to-escape-sandbox"' in _get(inbox, "").read()


@pytest.mark.parametrize(
    ("html", "shown"),
    [
        ("<!DOCTYPE html><html><head><title>T", '<!DOCTYPE html><html><head><base target="_blank"><title>T'),
        ("<p>Hello</p>", '<base target="_blank"><p>Hello</p>'),
    ],
)
def test_the_links_of_a_mail_open_in_tabs_of_their_own(inbox: Inbox, html: str, shown: str) -> None:
    _send(inbox, html=html)
    assert _get(inbox, "mails/1/html").read().decode().startswith(shown)


def test_a_path_that_leads_nowhere_is_not_found(inbox: Inbox) -> None:
    for path in ("mails/1/html", "api/mails/x", "etc/passwd"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            _get(inbox, path)


def test_waiting_ends_when_the_mail_arrives_or_the_time_is_over(inbox: Inbox) -> None:
    assert not inbox.wait_for(bool, within=0.05)
    _send(inbox)
    assert inbox.wait_for(lambda mails: len(mails) == 1, within=5)


def test_a_link_of_a_mail_leads_to_a_page_that_works(inbox: Inbox) -> None:
    """In a real browser: the frame with the mail may run nothing, the page behind its link may."""
    _send(inbox, html=f'<p><a href="{inbox.url}">Unsubscribe</a></p>')
    try:
        chromium()
    except NoBrowser as error:
        pytest.skip(f"whether links of mails can be followed was not looked at: {error}")
    with browser() as running, visit(running, inbox.url.rstrip("/"), DESKTOP) as window:
        window.page.goto(inbox.url)
        with window.page.expect_popup() as opened:
            window.page.frame_locator("iframe").get_by_text("Unsubscribe").click()
        opened.value.get_by_text("1 mail").wait_for()  # its script has run
