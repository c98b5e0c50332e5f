"""Whatever comes, in whatever order, and whenever the process dies: no notification is lost, doubled or mixed up."""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from streamnotify.domain.delivery import DeliveryPolicy, OutgoingMail
from streamnotify.domain.digest import Lane, LanePolicy
from streamnotify.domain.digest_wishes import DigestWish
from streamnotify.domain.preference_changes import USUAL, PreferenceChange, Usual
from streamnotify.domain.preferences import UnsubscribeScope
from streamnotify.domain.recipients import mailbox_of
from streamnotify.render.policy import RenderPolicy
from streamnotify.render.renderer import Renderer
from streamnotify.stations import deliveries, directory, feedback, lanes, mailboxes
from streamnotify.stations.mailing import MailboxPolicy
from streamnotify.stream.layers import RECORD_ID
from streamnotify.wire.commands import ChangePreferences, MailboxesCommand, NotifyAlert, NotifyTask, Unsubscribe
from streamnotify.wire.topics import (
    DEAD_LETTERS,
    MAILBOXES,
    NOTIFICATION_FEEDBACK,
    NOTIFICATION_STATUS,
    USER_PREFERENCES,
    USERS,
)
from tests.e2e.crashing_engine import CrashingEngine
from tests.e2e.in_memory import KeptMails
from tests.e2e.product import parsed, text_of
from tests.render.a_notification import a_notification
from tests.stations.an_alert import an_alert

MINUTE = timedelta(minutes=1)
LANES = {
    Lane.TASKS: LanePolicy(after=1, window=30 * MINUTE, max_wait=40 * MINUTE, show=3),
    Lane.ALERTS: LanePolicy(after=2, window=10 * MINUTE, max_wait=12 * MINUTE, show=3),
}
LONGEST_WAIT = 40 * MINUTE
RENDERER = Renderer(RenderPolicy("notify@example.com"))

USER_IDS = st.sampled_from(["u1", "u2"])
ADDRESSES = st.sampled_from(["ann@example.com", "Ann@Example.com", "bob@example.com", "zoe@example.com"])
ORGANIZATIONS = st.sampled_from([None, "org-a", "org-b"])
KINDS = st.sampled_from(["task_completion", "own_template"])
STATUSES = st.sampled_from(["success", "failed", "cancelled"])
PEOPLE = st.sampled_from(
    [{"user_id": "u1"}, {"user_id": "u2"}, {"email": "ann@example.com"}, {"email": "bob@example.com"}]
)
VERDICTS = st.sampled_from([None, True, False])
LARGE = {"value": "x" * 1600}  # a dozen of these are all that a mailbox keeps

About = tuple[str | None, str]  # organization and kind


def dying(seed: int, danger: float) -> Iterator[bool | None]:
    """Which chunks die, and whether after they have emitted; each with the probability ``danger``."""
    chance = random.Random(seed)
    while True:
        yield chance.random() < 0.7 if chance.random() < danger else None


class Mailboxes(RuleBasedStateMachine):
    """People, what they are told and what they want, on the stations that are concerned with it."""

    @initialize(seed=st.integers(0, 1000), danger=st.sampled_from([0, 0.1, 0.3]))
    def begin(self, seed: int, danger: float) -> None:
        self.relay = KeptMails()
        self.relay.asks_to_wait = 20 * MINUTE  # else hours of retries are simulated
        self.engine = CrashingEngine(
            [
                directory.station(),
                mailboxes.station(MailboxPolicy(lanes=LANES), RENDERER),
                feedback.station(),
                deliveries.station(DeliveryPolicy(), self.relay),
            ]
        )
        self.engine.crashes = dying(seed, danger)
        self.numbers = itertools.count()
        self.told: dict[str, About] = {}
        self.checked = 0
        self.off: set[str] = set()
        self.refused: dict[str, set[str]] = {"u1": set(), "u2": set()}
        self.somebody_is_known("u1", email="ann@example.com")

    def tell(self, command: MailboxesCommand, mailbox: str) -> None:
        """A command for a mailbox."""
        self.engine.put(MAILBOXES, MAILBOXES.encode(command), key=mailbox.encode())

    def end_of_run(self, **fields: Any) -> None:
        """A notification about a run."""
        task_id = f"run {next(self.numbers)} of {fields['organization_id']}"
        notification = a_notification(task_id=task_id, completed_at=self.engine.now, **fields)
        self.told[notification.notification_id] = (notification.organization_id, notification.kind)
        self.tell(NotifyTask(notification), mailbox_of(notification) or "")

    @rule(email=ADDRESSES, organization_id=ORGANIZATIONS, kind=KINDS, status=STATUSES, urgent=st.booleans())
    def a_run_ends_for_an_address(self, urgent: bool, **fields: Any) -> None:
        self.end_of_run(**fields, urgent=urgent)

    @rule(user_id=USER_IDS, email=st.none() | ADDRESSES, organization_id=ORGANIZATIONS, kind=KINDS, status=STATUSES)
    def a_run_ends_for_a_user(self, **fields: Any) -> None:
        self.end_of_run(**fields)

    @rule(who=PEOPLE, organization_id=ORGANIZATIONS, minutes=st.sampled_from([4, 11, 29]))
    def runs_end_steadily(self, who: dict[str, str], organization_id: str | None, minutes: int) -> None:
        for _ in range(5):
            self.end_of_run(**who, organization_id=organization_id)
            self.engine.advance(minutes * MINUTE)

    @rule(who=PEOPLE, organization_id=ORGANIZATIONS, kind=KINDS, many=st.integers(8, 16), status=STATUSES)
    def many_runs_end(self, who: dict[str, str], many: int, **fields: Any) -> None:
        for _ in range(many):
            self.end_of_run(**who, **fields, variables=LARGE)

    @rule(email=ADDRESSES, organization_id=ORGANIZATIONS, status=st.sampled_from([None, "Stopped"]))
    def a_check_fails(self, email: str, organization_id: str | None, status: str | None) -> None:
        at = self.engine.now + timedelta(microseconds=next(self.numbers))
        alert = an_alert(email, organization_id=organization_id, current_status=status, check_time=at)
        self.told[alert.notification_id] = (organization_id, alert.kind)
        self.tell(NotifyAlert(alert), mailbox_of(alert) or "")

    @rule(
        user_id=USER_IDS,
        email=st.sampled_from(["ann@example.com", "Bob@example.com", "bob@example.com", None]),
        email_verified=st.sampled_from([None, None, True, False]),
        organizations=st.sampled_from([None, None, ["org-a"]]),
    )
    def somebody_is_known(self, user_id: str, **fields: Any) -> None:
        self.engine.put(USERS, json.dumps({"user_id": user_id} | fields), key=user_id.encode())

    @rule(
        user_id=USER_IDS, email=st.sampled_from(["bob@example.com", "zoe@example.com"]), organization_id=ORGANIZATIONS
    )
    def somebody_becomes_known_to_whom_much_is_told(
        self, user_id: str, email: str, organization_id: str | None
    ) -> None:
        self.many_runs_end({"email": email}, 16, organization_id=organization_id)
        self.somebody_is_known(user_id, email=email)

    @rule(user_id=USER_IDS)
    def somebody_is_gone(self, user_id: str) -> None:
        self.engine.put(USERS, None, key=user_id.encode())

    @rule(user_id=USER_IDS, org=VERDICTS, kind=VERDICTS, digest=st.sampled_from([None, False, {"window": "5m"}]))
    def somebody_wants(self, user_id: str, org: bool | None, kind: bool | None, digest: Any) -> None:
        wanted = {"organizations": {"org-a": {"email": org}}, "kinds": {"own_template": kind}, "digest": digest}
        self.engine.put(USER_PREFERENCES, json.dumps(wanted), key=user_id.encode())
        self.refused[user_id] = {"org-a"} if org is False else set()

    @rule(email=ADDRESSES, wanted=st.booleans())
    def an_address_wants(self, email: str, wanted: bool) -> None:
        record = json.dumps({"kinds": {"own_template": False}}) if wanted else None
        self.engine.put(USER_PREFERENCES, record, key=email.lower().encode())

    @rule(email=ADDRESSES, organization_id=ORGANIZATIONS)
    def somebody_unsubscribes(self, email: str, organization_id: str | None) -> None:
        mailbox = f"address:{email.lower()}"
        scope = UnsubscribeScope(mailbox, ("own_template",), organization_id)
        self.tell(Unsubscribe(scope, whole_organization=organization_id is not None), mailbox)

    @rule(user_id=USER_IDS, is_wanted=st.booleans(), digest=st.sampled_from([None, USUAL, DigestWish(5 * MINUTE)]))
    def somebody_chooses_on_their_page(self, user_id: str, is_wanted: bool, digest: DigestWish | Usual | None) -> None:
        mailbox = f"user:{user_id}"
        self.tell(
            ChangePreferences(mailbox, PreferenceChange(organizations={"org-a": is_wanted}, digest=digest)), mailbox
        )
        self.refused[user_id] = set() if is_wanted else {"org-a"}

    @rule(is_off=st.booleans())
    def an_organization_is_switched(self, is_off: bool) -> None:
        self.engine.put(USER_PREFERENCES, json.dumps({"email": not is_off}), key=b"organization:org-b")
        self.off = {"org-b"} if is_off else set()

    @rule(data=st.data())
    def something_is_read(self, data: st.DataObject) -> None:
        if self.told:
            read = data.draw(st.sampled_from(sorted(self.told)))
            self.engine.put(NOTIFICATION_FEEDBACK, json.dumps({"event": "read", "notification_id": read}))

    @rule(minutes=st.sampled_from([0.1, 1, 4, 5, 11, 29, 30, 31, 61]))
    def time_passes(self, minutes: float) -> None:
        self.engine.advance(minutes * MINUTE)

    @rule(is_down=st.booleans())
    def the_relay_goes_or_comes(self, is_down: bool) -> None:
        self.relay.is_down = is_down

    @rule(user_id=USER_IDS, organization_id=ORGANIZATIONS)
    def somebody_changes_their_mind_while_the_relay_is_down(self, user_id: str, organization_id: str | None) -> None:
        self.relay.is_down = True
        for each in ("org-a", organization_id):
            self.many_runs_end({"user_id": user_id}, 12, organization_id=each)
        self.engine.advance(LONGEST_WAIT)
        self.somebody_wants(user_id, org=False, kind=None, digest=None)
        self.relay.is_down = False

    @invariant()
    def nobody_gets_what_they_refuse(self) -> None:
        """Mails that went out just now are of nothing that is switched off now, and each section is its own."""
        for mail in self.relay.mails[self.checked :]:
            assert not self.off & {organization or "" for organization, _ in abouts(mail)}
            user_id = (mail.mailbox or "").removeprefix("user:")
            assert not self.refused.get(user_id, set()) & {organization or "" for organization, _ in abouts(mail)}
        self.checked = len(self.relay.mails)

    @invariant()
    def nothing_waits_longer_than_the_cap(self) -> None:
        for key, row in self.engine.state("mailboxes").items(lanes.LANE).items():
            cap = LANES[Lane(key.rpartition("\0")[2])].max_wait  # nobody here wishes for anything longer
            assert row.state.first_at is None or row.state.first_at + cap >= self.engine.now

    def teardown(self) -> None:
        """Once everything that waits has gone, each notification was mailed, counted in a digest or suppressed."""
        self.relay.is_down = False
        self.engine.advance(5 * LONGEST_WAIT)
        assert self.engine.records(DEAD_LETTERS) == []
        mailed, counted = Counter[str](), Counter[About]()
        for mail in self.relay.mails:
            if mail.digest is None:
                mailed[mail.notification_id] += 1
            else:
                counted.update({(tally.organization_id, tally.kind): tally.total for tally in mail.digest.tallies})
        suppressed, dropped = Counter[str](), 0
        distinct = {dict(record.headers)[RECORD_ID]: record for record in self.engine.records(NOTIFICATION_STATUS)}
        for status in (record.json() for record in distinct.values()):
            if status["status"] == "suppressed" and "attempt" not in status and status["notification_id"] in self.told:
                suppressed[status["notification_id"]] += 1
            elif status["status"] == "suppressed" and "attempt" not in status:
                dropped += status["count"]
            elif status["status"] == "suppressed" and status["kind"] != "notification_digest":
                suppressed[status["notification_id"]] += 1
        assert max((mailed + suppressed).values(), default=1) == 1
        expected = Counter(self.told.values())
        ended = counted + Counter(self.told[each] for each in mailed + suppressed)
        assert ended <= expected
        assert sum((expected - ended).values()) == dropped
        self.each_digest_says_what_it_holds()

    def each_digest_says_what_it_holds(self) -> None:
        """No notification is in two mails, and each in the section of its own organization."""
        listed = Counter[str]()
        for mail in self.relay.mails:
            if mail.digest is None:
                continue
            listed.update(item.notification_id for item in mail.digest.items)
            tallies = {(tally.organization_id, tally.kind): tally.total for tally in mail.digest.tallies}
            kept = Counter((item.organization_id, item.kind) for item in mail.digest.items)
            assert all(kept[about] <= tallies[about] for about in kept)
            assert all(
                self.told[item.notification_id] == (item.organization_id, item.kind) for item in mail.digest.items
            )
            assert str(mail.digest.total) in mail.subject
            assert misplaced(mail) == []
        assert max(listed.values(), default=1) == 1


def misplaced(mail: OutgoingMail) -> list[str]:
    """The runs that a digest's text shows in the section of another organization."""
    found = []
    section = str(mail.organization_id)  # of a digest about one only, which has no headings
    for line in text_of(parsed(mail.content)).splitlines():
        if line.startswith("== "):
            name = line.strip("= ")
            section = "None" if name.startswith("Other") else name
        elif line.startswith("Task ID: ") and not line.endswith(f" of {section}"):
            found.append(f"{line} in {section}")
    return found


def abouts(mail: OutgoingMail) -> set[About]:
    """What a mail is about."""
    if mail.digest is None:
        return {(mail.organization_id, mail.kind)}
    return {(tally.organization_id, tally.kind) for tally in mail.digest.tallies}


Mailboxes.TestCase.settings = settings(
    max_examples=80, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
TestMailboxes = Mailboxes.TestCase
