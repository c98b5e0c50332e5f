"""The rows about what people refuse by now, as mailboxes tell it.

Mailboxes have asked before a mail was made; here it is asked again, since a mail may wait for days for its relay.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from streamnotify.domain.delivery import OutgoingMail
from streamnotify.domain.notifications import SuppressionReason
from streamnotify.domain.preferences import OptOuts
from streamnotify.stations import organizations
from streamnotify.stations.context import Context, Rows
from streamnotify.wire.commands import SetOptOuts
from streamnotify.wire.rows import Row


@dataclass(frozen=True, slots=True)
class Told:
    """What a mailbox has told of itself; ``is_last``: it did not write to the address any more then."""

    opt_outs: OptOuts
    is_last: bool = False


OPT_OUTS = Row(b"o", Told)  # key: mailbox; while it refuses anything

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


def forget(mailbox: str, ctx: Context) -> None:
    """Drop what a mailbox refused."""
    ctx.delete(OPT_OUTS, mailbox)


def refused(mail: OutgoingMail, rows: Rows) -> SuppressionReason | None:
    """Why a mail, or of a digest any part, is refused by now; None if all of it may go."""
    told = None if mail.mailbox is None else rows.get(OPT_OUTS, mail.mailbox)
    refusal = partial(organizations.refusal, None if told is None else told.opt_outs, rows)
    return refusal(mail.kind, mail.organization_id) if mail.digest is None else mail.digest.refusal(refusal)
