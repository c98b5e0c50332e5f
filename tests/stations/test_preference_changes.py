"""What a person changes on their preferences page: only that, from whatever the mailbox knows by then."""

from __future__ import annotations

import json
from datetime import time, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from streamnotify.domain.digest_wishes import DigestWish, QuietHours
from streamnotify.domain.preference_changes import USUAL, PreferenceChange, Usual
from streamnotify.domain.preferences import Preferences, UnsubscribeScope
from streamnotify.render.policy import RenderPolicy
from streamnotify.render.renderer import Renderer
from streamnotify.stations import directory, mailboxes
from streamnotify.stations.mailing import MailboxPolicy
from streamnotify.stations.owners import OWNER, Owner
from streamnotify.testing.memory import MemoryEngine
from streamnotify.wire.commands import ChangePreferences, MailboxesCommand, Unsubscribe
from streamnotify.wire.topics import DEAD_LETTERS, MAILBOXES, USER_PREFERENCES, USERS
from streamnotify.wire.user_preferences import MOST_NAMED, parse, preferences_in

ADDRESS = "ann@example.com"
BOX, ALIAS = "user:u1", f"address:{ADDRESS}"
HOURLY = DigestWish(window=timedelta(hours=1))
DAILY = DigestWish(daily_at=time(8))
NIGHTS = QuietHours(time(22), time(7), "Europe/Rome")


class Town:
    """The directory and the mailboxes of Ann, a user with an address."""

    def __init__(self) -> None:
        policy, renderer = MailboxPolicy(), Renderer(RenderPolicy("notify@example.com"))
        self.engine = MemoryEngine([directory.station(), mailboxes.station(policy, renderer)])

    def known(self) -> None:
        """Ann comes into the directory."""
        self.engine.put(USERS, {"user_id": "u1", "email": ADDRESS}, key=b"u1")

    def tell(self, command: MailboxesCommand, mailbox: str, *, settle: bool = True) -> None:
        """A command to a mailbox."""
        self.engine.put(MAILBOXES, MAILBOXES.encode(command), key=mailbox.encode(), settle=settle)

    def change(self, change: PreferenceChange, mailbox: str = BOX) -> None:
        """What the page sends."""
        self.tell(ChangePreferences(mailbox, change), mailbox)

    def unsubscribe(self, *kinds: str, mailbox: str = BOX, settle: bool = True) -> None:
        """What a click in a mail sends."""
        self.tell(Unsubscribe(UnsubscribeScope(mailbox, kinds)), mailbox, settle=settle)

    def prefers(self, record: object, key: str = "u1") -> None:
        """What an application publishes."""
        self.engine.put(USER_PREFERENCES, json.dumps(record), key=key.encode())

    def owner(self, mailbox: str = BOX) -> Owner:
        """What a mailbox knows."""
        return self.engine.state("mailboxes").get(OWNER, mailbox) or Owner()

    def published(self, key: str = "u1") -> Preferences:
        """The latest record."""
        of_the_key = [each for each in self.engine.records(USER_PREFERENCES) if each.key == key.encode()]
        return preferences_in(parse(of_the_key[-1].value)) if of_the_key else Preferences()

    @property
    def count(self) -> int:
        """How many records there are on user-preferences."""
        return len(self.engine.records(USER_PREFERENCES))


@pytest.fixture
def town() -> Town:
    town = Town()
    town.known()
    return town


def test_only_what_was_changed_is_changed_so_that_no_newer_opt_out_is_lost(town: Town) -> None:
    """The page was drawn before the click: it does not know of it, and says nothing about it."""
    town.unsubscribe("task_completion")
    town.change(PreferenceChange(kinds={"task_status_alert": False}, digest=HOURLY))
    assert town.published() == Preferences(kinds={"task_completion": False, "task_status_alert": False}, digest=HOURLY)
    assert town.owner().own == town.published()


def test_each_wish_can_be_made_and_taken_back(town: Town) -> None:
    town.change(PreferenceChange(digest=DAILY, quiet_hours=NIGHTS, organizations={"org-a": False}, email=False))
    assert town.published() == Preferences(False, {"org-a": False}, {}, DAILY, NIGHTS)
    town.change(PreferenceChange(quiet_hours=USUAL, email=True))
    assert town.published() == Preferences(None, {"org-a": False}, {}, DAILY)
    town.change(PreferenceChange(digest=USUAL, organizations={"org-a": True, "org-b": True}))
    assert town.published() == Preferences()


def test_what_is_so_already_is_not_published_again(town: Town) -> None:
    for _ in range(2):
        town.change(PreferenceChange(kinds={"report": False}, digest=DAILY))
    town.change(PreferenceChange(kinds={"other": True}, email=True, quiet_hours=USUAL))
    town.change(PreferenceChange())
    assert town.count == 1


def test_reports_of_the_services_health_stay_on(town: Town) -> None:
    town.change(PreferenceChange(kinds={"service_health": False, "report": False}))
    assert town.engine.values(USER_PREFERENCES)[-1]["kinds"] == {"report": False}


def test_what_was_turned_off_before_one_was_known_can_be_turned_on_by_the_user() -> None:
    town = Town()
    town.unsubscribe("report", mailbox=ALIAS)
    town.known()
    assert town.owner().opt_outs.kinds == ("report",)
    town.change(PreferenceChange(kinds={"report": True}))
    assert town.owner().opt_outs.kinds == town.owner(ALIAS).opt_outs.kinds == ()
    assert town.published(ADDRESS) == Preferences()


def test_an_old_link_to_the_address_changes_the_user_whose_address_it_is(town: Town) -> None:
    town.change(PreferenceChange(digest=HOURLY, kinds={"report": False}))
    town.change(PreferenceChange(digest=DAILY, kinds={"report": True, "other": False}), mailbox=ALIAS)
    assert (town.owner().digest_wish, town.owner().opt_outs.kinds) == (DAILY, ("other",))
    assert town.owner(ALIAS).own.kinds == {"other": False}  # it holds also once the user is gone


def test_a_stale_record_of_another_brings_back_nothing_of_what_was_turned_on_and_loses_no_opt_out(town: Town) -> None:
    """Whoever wrote it could not know what was changed here right before."""
    town.unsubscribe("report", "other", settle=False)
    change = PreferenceChange(kinds={"report": True, "weekly": False})
    town.tell(ChangePreferences(BOX, change), BOX, settle=False)
    town.prefers({"kinds": {"alert": False}})
    assert town.published().kinds == {"alert": False, "other": False, "weekly": False}
    assert town.owner().own == town.published()


def test_what_a_mailbox_cannot_keep_changes_nothing(town: Town, caplog: pytest.LogCaptureFixture) -> None:
    town.change(PreferenceChange(kinds={"report": False}))
    for change in (
        PreferenceChange(organizations={f"org-{number}": False for number in range(MOST_NAMED + 1)}),
        PreferenceChange(kinds={"k" * 250 + str(number): False for number in range(20)}),
    ):
        town.change(change)
        assert town.published() == town.owner().own == Preferences(kinds={"report": False})
    assert len([each for each in caplog.messages if "is passed over" in each]) == 2
    assert town.engine.records(DEAD_LETTERS) == []


KINDS = st.sampled_from(["report", "other", "task_completion"])
CHOSEN = st.dictionaries(KINDS, st.booleans(), max_size=2)
WISHES = st.sampled_from([None, USUAL, HOURLY, DAILY])


class ChangesOfMind(RuleBasedStateMachine):
    """Ann clicks, chooses, and is written about by her application, in any order."""

    @initialize()
    def begin(self) -> None:
        self.town = Town()
        self.town.known()
        self.refused: dict[str, set[str]] = {BOX: set(), ALIAS: set()}
        self.wish: DigestWish | None = None

    @rule(mailbox=st.sampled_from([BOX, ALIAS]), kinds=CHOSEN, digest=WISHES)
    def she_chooses(self, mailbox: str, kinds: dict[str, bool], digest: DigestWish | Usual | None) -> None:
        self.town.change(PreferenceChange(kinds=kinds, digest=digest), mailbox)
        wanted = {kind for kind, is_wanted in kinds.items() if is_wanted}
        for told in {mailbox, BOX}:
            self.refused[told] |= kinds.keys() - wanted
        for refused in self.refused.values():
            refused.difference_update(wanted)
        if digest is not None:
            self.wish = digest if isinstance(digest, DigestWish) else None

    @rule(mailbox=st.sampled_from([BOX, ALIAS]), kind=KINDS)
    def she_clicks(self, mailbox: str, kind: str) -> None:
        self.town.unsubscribe(kind, mailbox=mailbox)
        self.refused[mailbox].add(kind)

    @rule(kinds=st.sets(KINDS), is_daily=st.booleans())
    def her_application_writes(self, kinds: set[str], is_daily: bool) -> None:
        wish = {"digest": "daily at 08:00"} if is_daily else {}
        self.town.prefers({"kinds": dict.fromkeys(kinds, False)} | wish)
        self.refused[BOX] = set(kinds)
        self.wish = DAILY if is_daily else None

    @rule(minutes=st.integers(0, 100))
    def time_passes(self, minutes: int) -> None:
        self.town.engine.advance(timedelta(minutes=minutes))

    @invariant()
    def her_latest_word_counts(self) -> None:
        owner = self.town.owner()
        assert {*owner.opt_outs.kinds} == self.refused[BOX] | self.refused[ALIAS]
        assert owner.own.digest == self.wish

    @invariant()
    def it_is_what_user_preferences_says(self) -> None:
        for mailbox, key in ((BOX, "u1"), (ALIAS, ADDRESS)):
            assert self.town.published(key) == self.town.owner(mailbox).own
        assert self.town.engine.records(DEAD_LETTERS) == []


ChangesOfMind.TestCase.settings = settings(
    max_examples=40, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
TestChangesOfMind = ChangesOfMind.TestCase
