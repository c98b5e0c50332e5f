"""What unsubscribe links lead to: what is shown, what changes nothing, and what is commanded."""

from __future__ import annotations

import base64
import hashlib
import html
import re
import threading
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from streamnotify.domain.preferences import UnsubscribeScope
from streamnotify.errors import EngineFailure, StreamnotifyError, TopicsError
from streamnotify.render.policy import Brand
from streamnotify.render.recipient_links import RecipientLinks
from streamnotify.web.forms import MAX_BYTES
from streamnotify.web.recipients.kinds import names
from streamnotify.wire.commands import Unsubscribe
from tests.web.browsing import HEALTH, NOW, PUBLIC_URL, SCOPE, Site


def text_of(page: httpx.Response) -> str:
    """What one reads on it."""
    shown = re.sub(r"<style>.*?</style>|<[^>]+>", " ", page.text, flags=re.DOTALL)
    return " ".join(html.unescape(shown).split())


def choices(page: httpx.Response) -> list[str]:
    return re.findall(r'name="choice" value="(\w+)"', page.text)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"])
def test_whatever_fetches_a_link_changes_nothing(site: Site, method: str) -> None:
    """Scanners of mail servers follow every link (research/features.md D25)."""
    for url in (site.link(), site.link() + "?List-Unsubscribe=One-Click&choice=everything"):
        answer = site.request(method, url)
        assert answer.status_code == (200 if method in ("GET", "HEAD") else 405)
    assert site.commands.sent == []


def test_the_page_says_what_the_mail_was_about_and_what_can_be_turned_off(site: Site) -> None:
    page = site.get(site.link())
    assert choices(page) == ["kinds", "organization", "everything"]
    read = text_of(page)
    for said in ("Unsubscribe", "This kind of mail Task results", "Everything of one organization org-a", "All mails"):
        assert said in read
    assert "own health" in read
    assert "cannot be turned off" in read
    assert '<form method="post">' in page.text


def test_a_mail_of_no_organization_offers_none(site: Site) -> None:
    assert choices(site.get(site.link(replace(SCOPE, organization_id=None)))) == ["kinds", "everything"]
    assert choices(site.get(site.link(replace(SCOPE, organization_id="")))) == ["kinds", "everything"]


def test_one_click_turns_off_what_the_mail_was_about_without_redirect_or_cookie(site: Site) -> None:
    answer = site.one_click(site.link())
    assert (answer.status_code, answer.headers.get("set-cookie"), answer.headers.get("location")) == (200, None, None)
    assert site.commands.sent == [("mailboxes", SCOPE.mailbox, Unsubscribe(SCOPE))]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_one_click_may_end_with_a_line(site: Site, end: str) -> None:
    body = f"List-Unsubscribe=One-Click{end}"
    assert site.request("POST", site.link(), content=body).status_code == 200
    assert site.commands.sent == [("mailboxes", SCOPE.mailbox, Unsubscribe(SCOPE))]


def test_one_click_may_come_as_multipart(site: Site) -> None:
    answer = site.request("POST", site.link(), files={"List-Unsubscribe": (None, "One-Click")})
    assert answer.status_code == 200
    assert site.commands.sent == [("mailboxes", SCOPE.mailbox, Unsubscribe(SCOPE))]


@pytest.mark.parametrize(
    ("choice", "command", "said"),
    [
        ("kinds", Unsubscribe(SCOPE), "no more mails of this kind: Task results ."),
        ("organization", Unsubscribe(SCOPE, whole_organization=True), "no more mails about the organization org-a ."),
        ("everything", Unsubscribe(SCOPE, everything=True), "Acme sends you no more mails."),
    ],
)
def test_what_is_chosen_is_commanded_and_confirmed(site: Site, choice: str, command: Unsubscribe, said: str) -> None:
    answer = site.post(site.link(), choice=choice)
    assert answer.status_code == 200
    assert site.commands.sent == [("mailboxes", SCOPE.mailbox, command)]
    assert "You are unsubscribed" in text_of(answer)
    assert said in text_of(answer)


def test_unsubscribing_twice_is_no_error(site: Site) -> None:
    assert [site.one_click(site.link()).status_code for _ in range(2)] == [200, 200]


@pytest.mark.parametrize(
    "form", [{}, {"choice": "kind"}, {"choice": ""}, {"List-Unsubscribe": "no"}, {"other": "everything"}]
)
def test_a_form_that_asks_for_nothing_changes_nothing(site: Site, form: dict[str, str]) -> None:
    assert site.post(site.link(), **form).status_code == 400
    assert site.commands.sent == []


def test_an_organization_that_the_mail_did_not_have_cannot_be_chosen(site: Site) -> None:
    assert site.post(site.link(replace(SCOPE, organization_id=None)), choice="organization").status_code == 400
    assert site.commands.sent == []


def test_reports_of_the_services_own_health_cannot_be_turned_off_and_the_page_says_so(site: Site) -> None:
    page = site.get(site.link(HEALTH))
    assert "Such reports cannot be turned off" in text_of(page)
    assert choices(page) == ["everything"]
    for answer in (site.one_click(site.link(HEALTH)), site.post(site.link(HEALTH), choice="kinds")):
        assert answer.status_code == 409
        assert "This cannot be turned off" in text_of(answer)
    assert site.commands.sent == []
    assert site.post(site.link(HEALTH), choice="everything").status_code == 200
    assert [command.everything for _, _, command in site.commands.sent] == [True]


def refused_links(site: Site) -> dict[str, str]:
    link = site.link()
    foreign = RecipientLinks(PUBLIC_URL, "another secret of 16").unsubscribe.url(SCOPE, NOW)
    assert foreign is not None
    return {
        "forged": link[:-10] + ("A" if link[-10] != "A" else "B") + link[-9:],
        "cut": link[:-1],
        "foreign": foreign,
        "none": PUBLIC_URL + "/unsubscribe/",
        "short": PUBLIC_URL + "/unsubscribe/1",
        "long": PUBLIC_URL + "/unsubscribe/" + "A" * 15_000 + "1",
        "strange": PUBLIC_URL + "/unsubscribe/%00%ff%0d%0aSet-Cookie:%20a=1",
        "elsewhere": PUBLIC_URL + "/unsubscribe/../../etc/passwd",
        "slash": link + "/",
    }


@pytest.mark.parametrize("what", ["forged", "cut", "foreign", "none", "short", "long", "strange", "elsewhere", "slash"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_link_that_is_not_ours_is_not_found_and_that_is_all_it_says(site: Site, method: str, what: str) -> None:
    answer = site.request(
        method, refused_links(site)[what], data={"choice": "everything"} if method == "POST" else None
    )
    assert answer.status_code == 404
    assert site.commands.sent == []
    assert answer.text == site.request(method, refused_links(site)["short"]).text


def test_a_link_that_is_too_old_is_gone(site: Site) -> None:
    site.now = NOW + timedelta(days=180)
    for answer in (site.get(site.link()), site.one_click(site.link()), site.post(site.link(), choice="everything")):
        assert answer.status_code == 410
        assert "too old" in text_of(answer)
    assert site.commands.sent == []


@pytest.mark.parametrize("failure", [EngineFailure("Kafka at kafka-1:9092 is away"), TopicsError("Topic t: unknown")])
def test_without_kafka_nobody_is_told_that_they_are_unsubscribed(site: Site, failure: StreamnotifyError) -> None:
    site.commands.failure = failure
    for answer in (site.one_click(site.link()), site.post(site.link(), choice="everything")):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
        assert "Please try again" in text_of(answer)
        assert str(failure) not in text_of(answer)


def test_a_failure_of_ours_is_a_page_that_tells_nothing(site: Site) -> None:
    site.commands.failure = StreamnotifyError("inner words")
    answer = site.one_click(site.link())
    assert answer.status_code == 500
    assert "Something went wrong" in text_of(answer)
    assert "inner words" not in answer.text


def test_waiting_for_kafka_does_not_hold_up_the_other_requests(site: Site) -> None:
    site.one_click(site.link())
    assert site.commands.threads
    assert threading.get_ident() not in site.commands.threads  # the one that the event loop runs in, here


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=b"])
def test_a_form_that_is_too_large_is_refused(site: Site, kind: str) -> None:
    body = b"choice=everything&x=" + b"x" * MAX_BYTES
    answer = site.request("POST", site.link(), content=body, headers={"Content-Type": kind})
    assert answer.status_code == 413
    assert site.commands.sent == []


@pytest.mark.parametrize(
    "body",
    [b"\xff\xfe", b"&".join(b"a%d=1" % number for number in range(50)), b"choice", b"%", b"\0", b"choice=%ff"],
)
@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "multipart/form-data", "multipart/form-data; boundary=b", "", "a\xff"]
)
def test_what_is_no_form_changes_nothing(site: Site, kind: str, body: bytes) -> None:
    answer = site.request("POST", site.link(), content=body, headers=[(b"Content-Type", kind.encode("latin-1"))])
    assert answer.status_code == 400
    assert site.commands.sent == []


def test_names_from_events_are_shown_as_text(site: Site) -> None:
    scope = UnsubscribeScope("user:a", ("<script>alert(1)</script>",), '"><img src=x>\u202e')
    for answer in (site.get(site.link(scope)), site.one_click(site.link(scope))):
        assert "<script" not in answer.text
        assert "<img" not in answer.text


def test_neither_address_nor_id_is_on_any_page(site: Site) -> None:
    for scope in (SCOPE, UnsubscribeScope("user:ann-lee", SCOPE.kinds)):
        name = scope.mailbox.partition(":")[2]
        for answer in (site.get(site.link(scope)), site.one_click(site.link(scope))):
            assert name not in answer.text


def every_page(site: Site) -> list[httpx.Response]:
    made = [
        site.get(site.link()),
        site.get(site.link(HEALTH)),
        site.one_click(site.link()),
        site.one_click(site.link(HEALTH)),
        site.get(PUBLIC_URL + "/unsubscribe/1"),
        site.get(PUBLIC_URL + "/docs"),
        site.get(PUBLIC_URL + "/livez"),
        site.get(PUBLIC_URL + "/"),
        site.request("PUT", site.link()),
        site.post(site.link()),
    ]
    site.commands.failure = EngineFailure("away")
    made.append(site.one_click(site.link()))
    site.commands.failure = StreamnotifyError("unforeseen")
    return [*made, site.one_click(site.link())]


def test_every_answer_keeps_itself_to_itself(site: Site) -> None:
    pages = every_page(site)
    assert [page.status_code for page in pages] == [200, 200, 200, 409, 404, 404, 200, 200, 405, 400, 503, 500]
    for page in pages:
        headers = page.headers
        assert "set-cookie" not in headers
        assert (headers["referrer-policy"], headers["cache-control"]) == ("no-referrer", "no-store")
        assert (headers["x-content-type-options"], headers["x-robots-tag"]) == ("nosniff", "noindex, nofollow")
        assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
        for directive in ("form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"):
            assert directive in headers["content-security-policy"]


def test_pages_run_no_script_and_ask_nobody_else_and_their_style_is_the_one_that_is_allowed(site: Site) -> None:
    for page in every_page(site):
        if page.headers["content-type"].startswith("text/plain"):
            continue
        assert not re.search(r"<script|javascript:|https?://|\son\w+=|\ssrc=|\sstyle=|@import|url\(", page.text)
        assert re.search(r'<html lang="en">', page.text)
        assert len(re.findall("<h1>", page.text)) == 1
        css = re.search(r"<style>(.*?)</style>", page.text, re.DOTALL)
        assert css is not None
        allowed = base64.b64encode(hashlib.sha256(css[1].encode()).digest()).decode()
        assert f"'sha256-{allowed}'" in page.headers["content-security-policy"]


def test_pages_are_the_brands() -> None:
    site = Site(brand=Brand(name="Rhesis & Co", colour="#ffcc00", reply_to="help@example.com"))
    page = site.one_click(site.link())
    assert "<title>You are unsubscribed - Rhesis &amp; Co</title>" in page.text
    assert "--brand: #ffcc00; --on-brand: #000000;" in page.text
    assert 'href="mailto:help@example.com"' in page.text


def test_the_pages_lie_under_the_path_of_the_public_url() -> None:
    site = Site("https://example.com/notify")
    assert site.link().startswith("https://example.com/notify/unsubscribe/")
    assert site.get(site.link()).status_code == 200
    assert site.get(site.link().replace("/notify/", "/")).status_code == 404
    assert site.get("https://example.com/livez").text == "ok\n"


def test_many_kinds_are_named_in_a_few_words() -> None:
    found = names(["task_completion", "service_health", *(f"weekly_{number}" for number in range(20))])
    assert found[:2] == ["Task results", "weekly 0"]
    assert found[-1] == "13 more"
    assert len(found) == 9
