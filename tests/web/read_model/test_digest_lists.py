"""A digest's list is exactly what its mail was about, however it came to be."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant

from streamnotify.web.read_model.answers import DigestItem, DigestItems
from tests.e2e.test_mailbox_properties import Mailboxes
from tests.web.a_read_model import CopiedTopics


def every_item(topics: CopiedTopics, digest_id: str, *, limit: int = 7) -> tuple[list[DigestItem], DigestItems]:
    """Of all pages of a digest, and the last page."""
    found: list[DigestItem] = []
    after: str | None = None
    while True:
        page = topics.answers.digest_items(digest_id, organization=None, after=after, limit=limit)
        found += page.items
        after = page.next
        if after is None:
            return found, page


class MailboxesThatAreWatched(Mailboxes):
    """Whatever the mailboxes go through (see there), a read model follows what they publish."""

    @invariant()
    def a_moment_passes(self) -> None:
        """No two digests of a mailbox begin within a millisecond: then they would have the same name."""
        self.engine.advance(timedelta(milliseconds=1))

    def each_digest_says_what_it_holds(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            topics = CopiedTopics(Path(directory), self.engine)
            topics.catch_up()
            for mail in self.relay.mails:
                if mail.digest is None:
                    continue
                items, page = every_item(topics, mail.notification_id)
                listed = [item.notification.notification_id for item in items]
                assert (len(listed), page.listed, page.total) == (len({*listed}), mail.digest.total, mail.digest.total)
                assert {item.notification_id for item in mail.digest.items} <= {*listed}
                counted = {(tally.organization_id, tally.kind): tally.total for tally in mail.digest.tallies}
                for about, total in counted.items():
                    assert sum(self.told[name] == about for name in listed) == total
                for organization in {organization for organization, _ in counted if organization is not None}:
                    theirs = topics.answers.digest_items(mail.notification_id, organization=organization)
                    assert theirs.listed == sum(self.told[name][0] == organization for name in listed)


MailboxesThatAreWatched.TestCase.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestDigestLists = MailboxesThatAreWatched.TestCase
