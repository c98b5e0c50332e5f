"""The links in mails that lead their recipients to our pages, without a sign-in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from streamnotify.domain.preferences import UnsubscribeScope
from streamnotify.render.signed_links import SignedLinks


@dataclass(frozen=True, slots=True)
class DigestScope:
    """A digest's mail: whose mailbox it went to, the digest's id, and how many notifications the mail counts."""

    mailbox: str
    digest_id: str
    total: int


class RecipientLinks:
    """Makes and reads all of them.

    ``unsubscribe`` links turn off what a mail was about; ``preferences`` links, about the same, lead to all that
    somebody wants; ``notifications`` links to the list of what a digest counts. Where ids are so long that not all of a
    mail's scope has room, the first two leave out its organization, then one kind after the other but the first.

    Args:
        public_url: where the web process is reached from outside, without a slash at its end.
        secret: whoever knows it can make links and read them.

    Raises:
        ValueError: if links could not follow ``public_url``.
    """

    def __init__(self, public_url: str, secret: str) -> None:
        self.unsubscribe = SignedLinks(public_url, secret, "unsubscribe", UnsubscribeScope, _ever_less)
        self.preferences = SignedLinks(public_url, secret, "preferences", UnsubscribeScope, _ever_less)
        self.notifications = SignedLinks(public_url, secret, "notifications", DigestScope)


def _ever_less(scope: UnsubscribeScope) -> Iterator[UnsubscribeScope]:
    yield scope
    for count in range(len(scope.kinds), min(len(scope.kinds), 1) - 1, -1):
        yield replace(scope, kinds=scope.kinds[:count], organization_id=None)
