"""The rows about organizations whose mails are switched off; every partition of mailboxes and deliveries keeps them."""

from __future__ import annotations

from streamnotify.domain.notifications import SuppressionReason
from streamnotify.domain.preferences import MANDATORY_KINDS, OptOuts
from streamnotify.stations.context import Context, Rows
from streamnotify.wire.commands import SetOrganization
from streamnotify.wire.rows import Row

ORGANIZATION_OFF = Row(b"g", bool)  # key: the organization's id; there while its mails are switched off


def set_organization(command: SetOrganization, ctx: Context) -> None:
    """An organization's mails are switched off, or on again."""
    if command.is_off:
        ctx.put(ORGANIZATION_OFF, command.organization_id, value=True)
    else:
        ctx.delete(ORGANIZATION_OFF, command.organization_id)


def refusal(opt_outs: OptOuts | None, rows: Rows, kind: str, organization_id: str | None) -> SuppressionReason | None:
    """Why somebody gets no notification of this kind from this organization; None if they do.

    Args:
        opt_outs: what they refuse; None: nothing.
        rows: of the partition.
        kind: of the notification.
        organization_id: likewise.
    """
    reason = None if opt_outs is None else opt_outs.refusal(kind, organization_id)
    if reason is not None or organization_id is None or kind in MANDATORY_KINDS:
        return reason
    return SuppressionReason.ORGANIZATION_OFF if rows.get(ORGANIZATION_OFF, organization_id) else None
