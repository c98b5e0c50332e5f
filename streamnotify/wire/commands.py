"""The commands on the internal topics: tagged msgspec structs around the domain's dataclasses, one union per topic."""

from __future__ import annotations

import msgspec

from streamnotify.domain.delivery import AttemptResult, OutgoingMail
from streamnotify.domain.notifications import TaskNotification
from streamnotify.domain.runs import RunUpdate
from streamnotify.domain.suppression import Evidence


class MergeRun(msgspec.Struct, frozen=True, array_like=True, tag="merge_run"):
    """ingest -> tasks: merge this into the state of the run it names."""

    update: RunUpdate


class NotifyTask(msgspec.Struct, frozen=True, array_like=True, tag="notify_task"):
    """tasks -> mailboxes: tell somebody how a run ended.

    ``mailbox`` is set where one mailbox forwards to another; None means the recipient's own
    (:func:`streamnotify.domain.recipients.mailbox_of`).
    """

    notification: TaskNotification
    mailbox: str | None = None


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


# A union with one member stays a union once a later part adds the next; msgspec wants the members tagged for that.
TasksCommand = MergeRun
MailboxesCommand = NotifyTask
OutboxCommand = DeliverMail | RecordResult | RecordFeedback
