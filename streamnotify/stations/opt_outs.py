"""The rows about what people and organizations refuse by now, as mailboxes and the directory tell it.

Mailboxes have asked before a mail was made; here it is asked again, since a mail may wait for days for its relay.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from streamnotify.domain.delivery import OutgoingMail
from streamnotify.domain.notifications import SuppressionReason
from streamnotify.domain.preferences import MANDATORY_KINDS, OptOuts
from streamnotify.stations.context import Context, Rows
from streamnotify.wire.commands import SetOptOuts, SetOrganization
from streamnotify.wire.rows import Row


@dataclass(frozen=True, slots=True)
class Told:
    """What a mailbox has told of itself; ``is_last``: it did not write to the address any more then."""

    opt_outs: OptOuts
    is_last: bool = False


OPT_OUTS = Row(b"o", Told)  # key: mailbox; while it refuses anything
SWITCHED_OFF = Row(b"s", bool)  # key: organization id; while its mails are switched off

REFUSES_NOTHING = OptOuts()
KEPT_AFTER_THE_LAST = timedelta(days=30)  # longer than any mail to the address waits


def set_opt_outs(command: SetOptOuts, ctx: Context) -> None:
    """Take in what a mailbox refuses from now on."""
    if command.opt_outs == REFUSES_NOTHING:
        forget(command.mailbox, ctx)
        return
    ctx.put(OPT_OUTS, command.mailbox, Told(command.opt_outs, command.is_last))
    ctx.wake(OPT_OUTS, command.mailbox, ctx.now + KEPT_AFTER_THE_LAST if command.is_last else None)


def take_back_the_last(mailbox: str, ctx: Context) -> bool:
    """Forget what a mailbox refused when it left the address, since it writes there again; whether there was anything.

    It need not say that it refuses nothing now: it does not know that it was here before.
    """
    told = ctx.get(OPT_OUTS, mailbox)
    if told is None or not told.is_last:
        return False
    forget(mailbox, ctx)
    return True


def set_organization(command: SetOrganization, ctx: Context) -> None:
    """Take in that an organization's mails are switched off, or on again."""
    if command.is_off:
        ctx.put(SWITCHED_OFF, command.organization_id, True)
    else:
        ctx.delete(SWITCHED_OFF, command.organization_id)


def forget(mailbox: str, ctx: Context) -> None:
    """Drop what a mailbox refused."""
    ctx.delete(OPT_OUTS, mailbox)


def refused(mail: OutgoingMail, rows: Rows) -> SuppressionReason | None:
    """Why a mail, or of a digest any part, is refused by now; None if all of it may go."""
    told = None if mail.mailbox is None else rows.get(OPT_OUTS, mail.mailbox)

    def refusal(kind: str, organization_id: str | None) -> SuppressionReason | None:
        reason = None if told is None else told.opt_outs.refusal(kind, organization_id)
        if reason is not None or organization_id is None or kind in MANDATORY_KINDS:
            return reason
        return SuppressionReason.ORGANIZATION_OFF if rows.get(SWITCHED_OFF, organization_id) else None

    return refusal(mail.kind, mail.organization_id) if mail.digest is None else mail.digest.refusal(refusal)
