"""What those try who have no link, or a link to something else, and what publishers may put into names."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest

from streamnotify.domain.preferences import UnsubscribeScope
from streamnotify.render.recipient_links import DigestScope, RecipientLinks
from streamnotify.web.recipients.preference_form import MAX_BYTES
from tests.e2e.product import parsed
from tests.web.browsing import HEALTH, NOW, PUBLIC_URL, SCOPE, Site
from tests.web.filled_forms import shown
from tests.web.mailed_site import ANN, MailedSite, notifications_url, one_click_url, preferences_url

DIGEST = DigestScope(SCOPE.mailbox, "d" * 26, 60)
FOREIGN = RecipientLinks(PUBLIC_URL, "another secret of 16")
PURPOSES = ("unsubscribe", "preferences", "notifications")
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' autofocus onfocus='alert(1)",
    "</style><style>*{display:none}",
    "</title><svg/onload=alert(1)>",
    "{{ 7777 * 7 }}{% include '/etc/passwd' %}",
    "javascript:alert(1)//",
    "\u202eevil\u2066 \x1b[2J",
    "&lt;b&gt;&amp;quot;",
)
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "main", "p", "h1", "h2", "form", "fieldset", "legend", "label"),
    *(
        "input",
        "select",
        "optgroup",
        "option",
        "button",
        "span",
        "strong",
        "bdi",
        "ul",
        "li",
        "code",
        "div",
        "a",
        "nav",
    ),
}
ATTRIBUTES = {
    *("lang", "charset", "name", "content", "class", "method", "novalidate", "type", "value", "required", "checked"),
    *("for", "id", "role", "selected", "label", "href", "rel", "dir", "aria-label", "aria-invalid", "aria-describedby"),
}


def link(links: RecipientLinks, purpose: str) -> str:
    """The link of a mail of now for this purpose."""
    scope: Any = DIGEST if purpose == "notifications" else SCOPE
    url: str | None = getattr(links, purpose).url(scope, NOW)
    assert url is not None
    return url


def refused(site: Site, purpose: str) -> dict[str, str]:
    """Links for this purpose that are none."""
    url = link(site.links, purpose)
    front, _, token = url.rpartition("/")
    others = {f"of {each}": link(site.links, each).rpartition("/")[2] for each in PURPOSES if each != purpose}
    tokens = others | {
        "of another secret": link(FOREIGN, purpose).rpartition("/")[2],
        "changed": ("B" if token[0] == "A" else "A") + token[1:],
        "cut off": token[:-8],
        "cut in front": token[4:],
        "with more": token + "A",
        "twice": token + token,
        "in upper case": token.upper(),
        "only a version": "1",
        "long": "A" * 5000 + "1",
        "odd": "ä%F0%9F%98%80%00%0d%0aX: y1",
        "with a path behind": token + "/more",
        "with a path before": "x/" + token,
        "with a slash behind": token + "/",
        "climbing": "..%2F" + purpose + "%2F" + token,
        "of dots": "%2e%2e",
        "empty": "",
    }
    return {name: f"{front}/{each}" for name, each in tokens.items()}


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_link_that_is_forged_damaged_or_for_something_else_is_refused_and_tells_nothing(
    site: Site, purpose: str
) -> None:
    said = Counter[str]()
    for name, url in refused(site, purpose).items():
        for answer in (site.get(url), site.post(url, choice="everything", shown="{}", digest="0s")):
            assert answer.status_code in (404, 405), (name, answer.status_code)
            said[answer.text] += answer.status_code == 404
    assert len([text for text, count in said.items() if count]) == 1
    assert site.commands.sent == []


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_link_that_is_too_old_is_gone(site: Site, purpose: str) -> None:
    url = link(site.links, purpose)
    site.now = NOW + timedelta(days=180) - timedelta(seconds=1)
    assert site.get(url).status_code == 200
    site.now += timedelta(seconds=1)
    assert site.get(url).status_code == 410
    assert site.post(url, shown="{}", digest="0s").status_code in (405, 410)
    assert site.commands.sent == []


def test_no_link_becomes_younger_by_leading_to_another(site: Site) -> None:
    site.now = NOW + timedelta(days=179)
    page = site.one_click(site.link())
    [path] = [part.partition('"')[0] for part in page.text.split('href="') if part.startswith("/preferences/")]
    assert site.get(PUBLIC_URL + path).status_code == 200
    site.now = NOW + timedelta(days=180)
    assert site.get(PUBLIC_URL + path).status_code == 410


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("purpose", PURPOSES)
def test_whatever_fetches_a_link_changes_nothing(site: Site, purpose: str, method: str) -> None:
    url = link(site.links, purpose) + "?digest=0s&email=off&choice=everything&List-Unsubscribe=One-Click"
    assert site.request(method, url).status_code == (200 if method == "HEAD" else 405)
    assert site.commands.sent == []


def test_a_form_that_is_too_large_is_refused(site: Site) -> None:
    body = b"shown={}&digest=" + b"x" * MAX_BYTES
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=b"):
        answer = site.request("POST", link(site.links, "preferences"), content=body, headers={"Content-Type": kind})
        assert answer.status_code == 413
    assert site.commands.sent == []


@pytest.mark.parametrize("after", ["", "x", "A" * 5000, "lQEC", "'; DROP TABLE notifications; --", "%00", "kgEC"])
def test_a_page_that_is_none_is_not_found_or_empty(site: Site, after: str) -> None:
    answer = site.request("GET", link(site.links, "notifications"), params={"after": after})
    assert answer.status_code in (200, 404)
    assert "Task ID" not in answer.text


class _Elements(HTMLParser):
    """The tags and attributes of a page, and the addresses in it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {tag, *(f"{tag}.{name}" for name, _ in attrs)}
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action")]


def is_clean(page: httpx.Response) -> None:
    """Nothing but our own elements, links to our own pages, and nothing of the operator's secrets."""
    elements = _Elements()
    elements.feed(page.text)
    tags = {each for each in elements.found if "." not in each}
    assert tags <= TAGS
    assert {each.partition(".")[2] for each in elements.found - tags} <= ATTRIBUTES
    assert all(each.startswith(("/preferences/", "?", "#", "mailto:")) for each in elements.links)
    assert len(page.text.split("<style>")) == 2
    assert "54439" not in page.text
    for control in ("\x1b", "\0", "\u202e", "\u2066"):
        assert control not in page.text


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_name_from_outside_becomes_part_of_a_page(tmp_path: Path, hostile: str) -> None:
    site = MailedSite(tmp_path, digests=True)
    site.product.user("ann", email=ANN, name=hostile, organizations=[hostile, "org-a"])
    site.product.prefers("ann", {"kinds": {hostile: False}, "organizations": {hostile: {"email": False}}})
    check = {"expected_statuses": ["Completed"], "notify_to": [ANN], "display_name": hostile}
    site.product.monitor(hostile, [{hostile: check}], interval={"every": 1, "period": "minutes"})
    for number in range(4):
        site.product.ran(
            hostile,
            "Stopped",
            task_id=f"{number}{hostile}",
            organization_id="org-a",
            user_id="ann",
            display_name=hostile,
            error=hostile,
            notify={"template": "task_completion", "subject_template": hostile},
        )
    site.product.advance(hours=1)
    mails = [parsed(mail.content) for mail in site.product.relay.mails]
    digests = [mail for mail in mails if "notifications" in str(mail["Subject"]) or "alerts" in str(mail["Subject"])]
    assert len(digests) >= 2
    site.model.catch_up()
    pages = []
    for mail in digests:
        pages += [site.get(preferences_url(mail)), site.get(notifications_url(mail)), site.get(one_click_url(mail))]
        assert "<li" in pages[-2].text
    form = shown(pages[0])
    pages.append(site.post(preferences_url(mails[0]), **form | {"digest": hostile, "quiet": "on", "quiet_to": hostile}))
    assert pages[-1].status_code == 422
    pages.append(site.post(preferences_url(mails[0]), **form | {"kind.4": "on", "organization.0": "on"}))
    scope = UnsubscribeScope("user:ann", (hostile, "task_completion"), hostile)
    for url in (site.links.unsubscribe.url(scope, NOW), site.links.preferences.url(scope, NOW)):
        pages.append(site.get(url or ""))
    pages.append(site.post(site.links.unsubscribe.url(scope, NOW) or "", choice="organization"))
    for page in pages:
        is_clean(page)


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_page_keeps_itself_to_itself(site: Site, purpose: str) -> None:
    url = link(site.links, purpose)
    for answer in (site.get(url), site.post(url, shown="{}"), site.get(url + "x"), site.get(url + "?after=x")):
        assert "set-cookie" not in answer.headers
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "unsafe" not in policy


def test_neither_address_nor_id_is_on_any_page(tmp_path: Path) -> None:
    site = MailedSite(tmp_path, digests=True)
    site.product.user("ann-lee", email=ANN, name="Ann Lee")
    for _ in range(3):
        site.ends(user_id="ann-lee")
    site.product.advance(hours=3)
    site.model.catch_up()
    mail = site.product.last_mail()
    for url in (preferences_url(mail), notifications_url(mail), one_click_url(mail)):
        page = site.get(url).text
        assert not [secret for secret in (ANN, "ann-lee", "Ann Lee") if secret in page]
    assert HEALTH.mailbox.partition(":")[2] not in site.get(site.links.preferences.url(HEALTH, NOW) or "").text
