"""The whole way: a mail's link, a click on it, and what is mailed from then on."""

from __future__ import annotations

from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import pytest

from streamnotify.render.policy import RenderPolicy
from streamnotify.stations.mailing import MailboxPolicy
from streamnotify.wire.topics import USER_PREFERENCES, Topic
from tests.e2e.in_memory import InMemoryProduct
from tests.e2e.product import text_of
from tests.stations.at_once import NO_DIGESTS
from tests.web.browsing import NOW, Site

ANN = "ann@example.com"


class MailedSite(Site):
    """The pages, on the product that sends the mails."""

    def __init__(self, *, digests: bool = False) -> None:
        super().__init__()
        rendering = RenderPolicy("notify@example.com", unsubscribe=self.links)
        lanes = MailboxPolicy().lanes if digests else NO_DIGESTS
        self.product = InMemoryProduct(NOW, lanes=lanes, rendering=rendering)
        self.commands.send = self._send  # type: ignore[method-assign]

    def _send(self, topic: Topic, key: str, command: Any) -> None:
        self.product.engine.put(topic, topic.encode(command), key=key.encode())

    def ends(self, organization: str = "org-a", *, user_id: str | None = None, **notify: Any) -> None:
        """A run of Ann's ends, or of another's."""
        who = {"email": ANN} if user_id is None else {}
        self.product.ran("import", organization_id=organization, user_id=user_id, notify=who | notify)

    @property
    def count(self) -> int:
        """How many mails were sent."""
        return len(self.product.relay.mails)

    def reasons(self) -> list[str]:
        """Why mails were not sent."""
        return [status["reason"] for status in self.product.statuses("suppressed")]


def one_click_url(mail: EmailMessage) -> str:
    """What a mail program would post to (RFC 8058)."""
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    url = str(mail["List-Unsubscribe"]).strip().partition(">")[0].removeprefix("<")
    assert url in text_of(mail).replace("\n", "")
    return url


@pytest.fixture
def site() -> MailedSite:
    return MailedSite()


def test_one_click_ends_the_mails_of_this_kind_and_no_others(site: MailedSite) -> None:
    site.ends()
    url = one_click_url(site.product.last_mail())
    site.get(url)
    site.ends()
    assert site.count == 2
    assert site.one_click(url).status_code == 200
    site.ends()
    assert (site.count, site.reasons()) == (2, ["opted_out_kind"])
    site.ends(template="test_execution_summary")
    assert site.count == 3
    site.ends(email="ben@example.com")
    assert site.count == 4


def test_the_form_ends_the_mails_of_one_organization(site: MailedSite) -> None:
    site.ends()
    site.post(one_click_url(site.product.last_mail()), choice="organization")
    site.ends()
    site.ends("org-b")
    assert (site.count, site.reasons()) == (2, ["opted_out_organization"])


def test_the_form_ends_all_mails_and_the_wish_is_on_user_preferences(site: MailedSite) -> None:
    site.ends()
    site.post(one_click_url(site.product.last_mail()), choice="everything")
    site.ends("org-b", template="test_execution_summary")
    assert (site.count, site.reasons()) == (1, ["opted_out_user"])
    records = site.product.engine.records(USER_PREFERENCES)
    assert [(record.key, record.json()["email"]) for record in records] == [(ANN.encode(), False)]


def test_a_click_takes_back_what_waits_in_a_digest() -> None:
    site = MailedSite(digests=True)
    for _ in range(3):
        site.ends()
    assert site.count == 1
    site.one_click(one_click_url(site.product.last_mail()))
    site.product.advance(hours=3)
    assert site.count == 1


def test_a_click_takes_back_what_waits_for_the_relay(site: MailedSite) -> None:
    site.ends()
    url = one_click_url(site.product.last_mail())
    site.product.relay.is_down = True
    site.ends()
    site.one_click(url)
    site.product.relay.is_down = False
    site.product.advance(hours=3)
    assert (site.count, site.reasons()) == (1, ["opted_out_kind"])


def test_a_digest_is_unsubscribed_from_like_its_notifications() -> None:
    site = MailedSite(digests=True)
    for _ in range(3):
        site.ends()
    site.product.advance(hours=3)
    assert site.count == 2
    site.one_click(one_click_url(site.product.last_mail()))
    site.product.advance(hours=3)
    site.ends()
    assert (site.count, site.reasons()) == (2, ["opted_out_kind"])


def test_a_users_link_follows_the_user_to_another_address(site: MailedSite) -> None:
    site.product.user("ann", email=ANN)
    site.ends(user_id="ann")
    url = one_click_url(site.product.last_mail())
    site.product.user("ann", email="ann@elsewhere.example.com")
    site.now = NOW + timedelta(days=1)
    site.one_click(url)
    site.ends(user_id="ann")
    assert (site.count, site.reasons()) == (1, ["opted_out_kind"])
