"""The commands on the internal topics: tagged msgspec structs around the domain's dataclasses, one union per topic."""

from __future__ import annotations

from datetime import datetime

import msgspec

from streamnotify.domain.alerts import AlertNotification, CheckResult, HealthNotification, LateCheck
from streamnotify.domain.delivery import AttemptResult, OutgoingMail
from streamnotify.domain.monitors import Monitor, TaskCheck
from streamnotify.domain.notifications import TaskNotification
from streamnotify.domain.pending import PendingDigest
from streamnotify.domain.preference_changes import PreferenceChange
from streamnotify.domain.preferences import OptOuts, Preferences, Profile, UnsubscribeScope
from streamnotify.domain.runs import RunUpdate
from streamnotify.domain.schedule import Schedule
from streamnotify.domain.suppression import Evidence


class MergeRun(msgspec.Struct, frozen=True, array_like=True, tag="merge_run"):
    """ingest -> tasks: merge this into the state of the run it names."""

    update: RunUpdate


class NoteLoss(msgspec.Struct, frozen=True, array_like=True, tag="note_loss"):
    """The engine -> every partition of tasks: events published before ``until`` are lost, nobody knows which."""

    until: datetime


class DefineMonitor(msgspec.Struct, frozen=True, array_like=True, tag="define_monitor"):
    """monitors -> tasks, keyed by the monitor's name: this is its definition now; None: there is no such monitor."""

    name: str
    monitor: Monitor | None


class SetCheck(msgspec.Struct, frozen=True, array_like=True, tag="set_check"):
    """tasks -> tasks, keyed by task_name: a monitor checks the task so from now on; ``check`` None: no longer.

    ``phase`` is where an interval is counted from.
    """

    monitor: str
    task_name: str
    check: TaskCheck | None
    schedule: Schedule
    phase: datetime


class NobodyTold(msgspec.Struct, frozen=True, array_like=True, tag="nobody_told"):
    """mailboxes -> tasks, keyed by task_name: the alert of a check had no recipient, so that nobody knows of it."""

    monitor: str
    task_name: str
    check_time: datetime


class AskRuns(msgspec.Struct, frozen=True, array_like=True, tag="ask_runs"):
    """Anybody -> tasks, keyed by task_name: which of its runs do checks see that look back to ``since``?"""

    question: str
    task_name: str
    since: datetime
    limit: int


class AskMonitor(msgspec.Struct, frozen=True, array_like=True, tag="ask_monitor"):
    """Anybody -> tasks, keyed by the monitor's name: what is its definition?"""

    question: str
    name: str


class AskCheck(msgspec.Struct, frozen=True, array_like=True, tag="ask_check"):
    """Anybody -> tasks, keyed by task_name: how does the task's check stand, and what would it find now?

    ``check`` None: the one the monitor has. ``notify``: record and mail what is found, as a due check would.
    """

    question: str
    monitor: str
    task_name: str
    check: TaskCheck | None = None
    notify: bool = False


class NotifyTask(msgspec.Struct, frozen=True, array_like=True, tag="notify_task"):
    """tasks -> mailboxes: tell somebody how a run ended.

    ``mailbox`` is set where one mailbox forwards to another; None means the recipient's own
    (:func:`streamnotify.domain.recipients.mailbox_of`). ``to_stay``: it is not forwarded any further.
    """

    notification: TaskNotification
    mailbox: str | None = None
    to_stay: bool = False


class NotifyAlert(msgspec.Struct, frozen=True, array_like=True, tag="notify_alert"):
    """tasks -> mailboxes, keyed by the recipient's mailbox: tell somebody about a monitored task.

    ``mailbox`` and ``to_stay`` as in :class:`NotifyTask`.
    """

    alert: AlertNotification
    mailbox: str | None = None
    to_stay: bool = False


class TellSuperusers(msgspec.Struct, frozen=True, array_like=True, tag="tell_superusers"):
    """tasks -> mailboxes, keyed by ``@superusers``: a check's monitor names nobody, so tell them, and record it."""

    result: CheckResult
    alert: AlertNotification


class ReportLateCheck(msgspec.Struct, frozen=True, array_like=True, tag="report_late_check"):
    """tasks -> mailboxes, keyed by ``@superusers``: an outage of ours held this check up."""

    late: LateCheck


class NotifyHealth(msgspec.Struct, frozen=True, array_like=True, tag="notify_health"):
    """mailboxes -> mailboxes, keyed by a superuser's mailbox: tell them about an outage of ours.

    ``mailbox`` and ``to_stay`` as in :class:`NotifyTask`.
    """

    health: HealthNotification
    mailbox: str | None = None
    to_stay: bool = False


class SetSuperuser(msgspec.Struct, frozen=True, array_like=True, tag="set_superuser"):
    """mailboxes -> mailboxes, keyed by ``@superusers``: a user's address as a superuser; None: is none (any more)."""

    user_id: str
    email: str | None
    name: str | None = None


class SetProfile(msgspec.Struct, frozen=True, array_like=True, tag="set_profile"):
    """directory -> mailboxes, keyed by the user's mailbox: who that is; None: there is no such user (any more)."""

    user_id: str
    profile: Profile | None


class SetPreferences(msgspec.Struct, frozen=True, array_like=True, tag="set_preferences"):
    """directory -> mailboxes, keyed by the mailbox: what is said of it on ``user-preferences``; None: nothing.

    ``source`` is set where an address's mailbox tells the one of its user what was said about the address.
    ``revision`` is set on records that the mailbox has published itself: one that came back is not news.
    """

    mailbox: str
    preferences: Preferences | None
    source: str = ""
    revision: int | None = None


class SetOrganization(msgspec.Struct, frozen=True, array_like=True, tag="set_organization"):
    """directory -> every partition of mailboxes and outbox: an organization's mails are switched off, or on again."""

    organization_id: str
    is_off: bool


class SetAlias(msgspec.Struct, frozen=True, array_like=True, tag="set_alias"):
    """mailboxes -> mailboxes, keyed by the address's mailbox: the address is a user's, or is not any more.

    ``is_sure``: the user is verified and active.
    """

    address: str
    user_id: str
    is_theirs: bool
    is_sure: bool = False


class MovePending(msgspec.Struct, frozen=True, array_like=True, tag="move_pending"):
    """mailboxes or deliveries -> mailboxes, keyed by the mailbox: what waits in this digest is to wait here.

    ``at_once``: it was due before, so that it is flushed again at once.
    """

    mailbox: str
    digest: PendingDigest
    at_once: bool = False


class MarkRead(msgspec.Struct, frozen=True, array_like=True, tag="mark_read"):
    """feedback -> every partition of mailboxes: somebody has seen this notification elsewhere."""

    notification_id: str


class Unsubscribe(msgspec.Struct, frozen=True, array_like=True, tag="unsubscribe"):
    """web -> mailboxes, keyed by the mailbox: its person wants no more of this.

    Of the scope, its kinds; with ``whole_organization`` everything of its organization, with ``everything`` all mails.
    The mailbox publishes what it makes of it on ``user-preferences``.
    """

    scope: UnsubscribeScope
    whole_organization: bool = False
    everything: bool = False


class ChangePreferences(msgspec.Struct, frozen=True, array_like=True, tag="change_preferences"):
    """web or mailboxes -> mailboxes, keyed by the mailbox: its person wants this to be otherwise.

    The mailbox publishes what it makes of it on ``user-preferences``. ``to_stay``: one mailbox of a person tells their
    other one, which does not tell it back.
    """

    mailbox: str
    change: PreferenceChange
    to_stay: bool = False


class AskMailbox(msgspec.Struct, frozen=True, array_like=True, tag="ask_mailbox"):
    """Anybody -> mailboxes, keyed by the mailbox: how does it stand?"""

    question: str
    mailbox: str


class SetOptOuts(msgspec.Struct, frozen=True, array_like=True, tag="set_opt_outs"):
    """mailboxes -> deliveries, keyed by the address: what the mailbox's person refuses now.

    ``is_last``: the mailbox does not write to this address any more, so that it can be forgotten after a while.
    """

    mailbox: str
    opt_outs: OptOuts
    is_last: bool = False


class DeliverMail(msgspec.Struct, frozen=True, array_like=True, tag="deliver_mail"):
    """mailboxes -> deliveries: hand this mail to the relay."""

    mail: OutgoingMail


class RecordResult(msgspec.Struct, frozen=True, array_like=True, tag="record_result"):
    """deliveries -> deliveries: how an attempt ended."""

    result: AttemptResult


class RecordFeedback(msgspec.Struct, frozen=True, array_like=True, tag="record_feedback"):
    """feedback -> deliveries: what has become known about an address (in lower case).

    ``organization_id`` is whose mails it concerns; None means everybody's. Repeating it changes nothing, and neither
    does another order.
    """

    address: str
    organization_id: str | None
    evidence: Evidence


class RunSeen(msgspec.Struct, frozen=True, array_like=True):
    """A run as checks see it. ``at`` is its start, or when it was queued or submitted if it has not started."""

    task_id: str
    at: datetime
    status: str
    started_at: datetime | None = None
    finished_at: datetime | None = None
    context_model: str | None = None
    context_type: str | None = None
    organization_id: str | None = None


class RunsAnswer(msgspec.Struct, frozen=True, array_like=True, tag="runs"):
    """The runs asked for, newest first; ``more``: there are older ones within the time asked for."""

    question: str
    runs: tuple[RunSeen, ...]
    more: bool = False


class MonitorAnswer(msgspec.Struct, frozen=True, array_like=True, tag="monitor"):
    """The definition asked for; None: there is no such monitor."""

    question: str
    monitor: Monitor | None


class CheckAnswer(msgspec.Struct, frozen=True, array_like=True, tag="check"):
    """How a check stands. ``now`` is what it finds now; None: no such check. ``last_verdict`` and ``next_due`` are
    None for a check that is not on a schedule, or was never made."""

    question: str
    now: CheckResult | None
    last_verdict: str | None = None
    last_checked_at: datetime | None = None
    next_due: datetime | None = None


class LaneSeen(msgspec.Struct, frozen=True, array_like=True):
    """How a mailbox's lane stands. ``items`` are the kept ones as (notification_id, what it is about), newest first."""

    lane: str
    phase: str
    digest_id: str | None = None
    pending: int = 0
    next_at: datetime | None = None
    sent_at: tuple[datetime, ...] = ()
    items: tuple[tuple[str, str], ...] = ()


class MailboxAnswer(msgspec.Struct, frozen=True, array_like=True, tag="mailbox"):
    """How a mailbox stands. ``forwards_to`` is the user's mailbox if the address is one's; ``claimed_by`` are the users
    whose address it is. ``preferences`` by their source, "" for the mailbox's own. ``held`` notifications wait for the
    directory."""

    question: str
    mailbox: str
    profile: Profile | None = None
    preferences: dict[str, Preferences] = {}
    forwards_to: str | None = None
    claimed_by: tuple[str, ...] = ()
    opt_outs: OptOuts | None = None
    lanes: tuple[LaneSeen, ...] = ()
    held: int = 0


TasksCommand = MergeRun | NoteLoss | NobodyTold | DefineMonitor | SetCheck | AskRuns | AskMonitor | AskCheck
MailboxesCommand = (
    NotifyTask
    | NotifyAlert
    | TellSuperusers
    | ReportLateCheck
    | NotifyHealth
    | SetSuperuser
    | SetProfile
    | SetPreferences
    | SetOrganization
    | SetAlias
    | MovePending
    | MarkRead
    | Unsubscribe
    | ChangePreferences
    | AskMailbox
)
OutboxCommand = DeliverMail | RecordResult | RecordFeedback | SetOptOuts | SetOrganization
Answer = RunsAnswer | MonitorAnswer | CheckAnswer | MailboxAnswer
