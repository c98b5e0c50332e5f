"""Floods of failures: two mails at most in a window, the exact number in them, and mailboxes that stay small."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from streamnotify.domain.delivery import DeliveryPolicy
from streamnotify.domain.preferences import Profile
from streamnotify.domain.recipients import user_mailbox
from streamnotify.render.policy import RenderPolicy
from streamnotify.render.renderer import Renderer
from streamnotify.stations import deliveries, mailboxes
from streamnotify.stations.mailing import MailboxPolicy
from streamnotify.testing.memory import MemoryEngine
from streamnotify.wire.commands import NotifyTask, SetProfile
from streamnotify.wire.topics import DEAD_LETTERS, MAILBOXES
from tests.e2e.in_memory import KeptMails
from tests.render.a_notification import a_notification

SMALL = 64 * 1024  # bytes of all rows of a mailbox
ERROR = "ConnectionError: the billing database did not answer within 30 s, after 5 tries; " * 20
RESULT = {f"column_{number}": "a value of some length " * 9 for number in range(11)}


class Flood:
    """Users of the directory, and failures of their runs."""

    def __init__(self, users: int) -> None:
        self.users = users
        self.relay = KeptMails()
        renderer = Renderer(RenderPolicy("notify@example.com"))
        self.engine = MemoryEngine(
            [mailboxes.station(MailboxPolicy(), renderer), deliveries.station(DeliveryPolicy(), self.relay)]
        )
        for number in range(users):
            user_id = f"u{number}"
            self._put(SetProfile(user_id, Profile(user_id, f"{user_id}@example.com")), user_id)

    def in_a_minute(self, each: int) -> int:
        """Every user's runs fail, ``each`` within a minute; the size of all rows of all mailboxes at its largest."""
        largest = 0
        for second in range(60):
            for run in range(second * each // 60, (second + 1) * each // 60):
                for number in range(self.users):
                    self.fails(f"u{number}", run)
            self.engine.advance(timedelta(seconds=1))
            largest = max(largest, self.mailbox_bytes)
        return largest

    @property
    def mailbox_bytes(self) -> int:
        """The size of all rows of all mailboxes."""
        return sum(len(k) + len(v) for k, v in self.engine.state("mailboxes").rows.items())

    def fails(self, user_id: str, run: int, **fields: Any) -> None:
        """A run has failed; it says a lot about it, and belongs to one of two organizations or none."""
        said: dict[str, Any] = {
            "organization_id": (None, "org-a", "org-b")[run % 3],
            "error_message": ERROR,
            "variables": RESULT,
        }
        notification = a_notification(
            task_id=f"{user_id}/{run}",
            status="failed",
            user_id=user_id,
            completed_at=self.engine.now,
            **said | fields,
        )
        self._put(NotifyTask(notification), user_id)

    def _put(self, command: NotifyTask | SetProfile, user_id: str) -> None:
        self.engine.put(MAILBOXES, MAILBOXES.encode(command), key=user_mailbox(user_id).encode(), settle=False)


def each_gets_two_mails_about_all(flood: Flood, each: int) -> None:
    """The first failure's, and one digest of the others that are all their own."""
    assert len(flood.relay.mails) == flood.users
    flood.engine.advance(timedelta(hours=3))
    assert len(flood.relay.mails) == 2 * flood.users
    assert flood.engine.records(DEAD_LETTERS) == []
    singles = [mail for mail in flood.relay.mails if mail.digest is None]
    assert sorted(mail.task_id or "" for mail in singles) == sorted(f"u{number}/0" for number in range(flood.users))
    digests = {mail.to: mail.digest for mail in flood.relay.mails if mail.digest is not None}
    assert len(digests) == flood.users
    for to, digest in digests.items():
        assert digest.total == each - 1
        assert {tally.organization_id: tally.failed for tally in digest.tallies} == {
            None: (each + 2) // 3 - 1,
            "org-a": (each + 1) // 3,
            "org-b": each // 3,
        }
        mine = to.partition("@")[0]
        assert [item.task_id for item in digest.items[-10:]] == [f"{mine}/{run}" for run in range(each - 10, each)]


def test_fifty_thousand_failures_of_one_user_in_a_minute_are_two_mails_and_a_small_mailbox() -> None:
    flood = Flood(users=1)
    assert flood.in_a_minute(50_000) < SMALL
    each_gets_two_mails_about_all(flood, 50_000)


def test_a_flood_for_each_of_many_users_is_a_digest_each_and_none_is_mixed() -> None:
    flood = Flood(users=100)
    assert flood.in_a_minute(60) < 100 * SMALL
    each_gets_two_mails_about_all(flood, 60)


@pytest.mark.parametrize(("organizations", "result_bytes"), [(20, 1_500), (41, 10), (60, 10), (60, 1_500)])
def test_a_flood_of_many_organizations_at_one_instant_is_one_mail_and_one_digest(
    organizations: int, result_bytes: int
) -> None:
    flood = Flood(users=1)
    for run in range(1_200):
        flood.fails("u0", run, organization_id=f"o{run % organizations}", variables={"blob": "z" * result_bytes})
    flood.engine.settle()
    assert flood.mailbox_bytes < SMALL
    assert [mail.task_id for mail in flood.relay.mails] == ["u0/0"]
    flood.engine.advance(timedelta(hours=3))
    assert flood.engine.records(DEAD_LETTERS) == []
    [_, mail] = flood.relay.mails
    assert mail.subject == "1199 failed — 1199 task notifications"
    assert mail.digest is not None
    assert mail.digest.total == 1_199
    assert {tally.organization_id: tally.failed for tally in mail.digest.tallies} == Counter(
        f"o{run % organizations}" for run in range(1, 1_200)
    )
    newest = [item.task_id for item in mail.digest.items[-5:]]
    assert newest == [f"u0/{run}" for run in range(1_195, 1_200)]


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_thousand_users_with_five_hundred_failures_each_get_a_digest_each() -> None:
    """The full version."""
    flood = Flood(users=1000)
    assert flood.in_a_minute(500) < 1000 * SMALL
    each_gets_two_mails_about_all(flood, 500)
