"""The pages, on the product that sends the mails whose links lead to them; all in memory."""

from __future__ import annotations

import re
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from streamnotify.render.policy import Brand, RenderPolicy
from streamnotify.render.recipient_links import RecipientLinks
from streamnotify.stations.mailing import MailboxPolicy
from streamnotify.wire.topics import Topic
from tests.e2e.in_memory import InMemoryProduct
from tests.e2e.product import text_of
from tests.stations.at_once import NO_DIGESTS
from tests.web.a_read_model import CopiedTopics
from tests.web.browsing import NOW, PUBLIC_URL, SECRET, Site

ANN = "ann@example.com"


class MailedSite(Site):
    """The pages, on the product that sends the mails; ``model`` is what the pages know of it."""

    def __init__(
        self, directory: Path, *, digests: bool = False, public_url: str = PUBLIC_URL, brand: Brand | None = None
    ) -> None:
        rendering = RenderPolicy("notify@example.com", links=RecipientLinks(public_url, SECRET))
        lanes = MailboxPolicy().lanes if digests else NO_DIGESTS
        self.product = InMemoryProduct(NOW, lanes=lanes, rendering=rendering)
        self.model = CopiedTopics(directory, self.product.engine)
        super().__init__(public_url, brand, self.model.answers)
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


def preferences_url(mail: EmailMessage) -> str:
    """Where the mail's footer says that its recipient chooses what they are mailed."""
    return _link(mail, "Choose what you are mailed:")


def notifications_url(mail: EmailMessage) -> str:
    """Where a digest says that all its notifications are listed."""
    return _link(mail, r"View all \d+ notifications:")


def _link(mail: EmailMessage, words: str) -> str:
    [url] = re.findall(rf"{words}\s+(\S+)", text_of(mail))
    return str(url)
