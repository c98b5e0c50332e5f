"""Alerts and all-clears that a later mail contradicts: sent late, they would say what is not so any more.

They are closed instead (research/email.md item 35). A first attempt is never stopped for it: that one is not late.
"""

from __future__ import annotations

from streamnotify.domain.alerts import ALERT, RECOVERY
from streamnotify.domain.delivery import OutgoingMail
from streamnotify.domain.notifications import notification_id
from streamnotify.stations.context import Context, Rows
from streamnotify.wire.rows import Row, keys_below

# key: below monitor, task, address and e-mail kind, time of the check and notification_id; until the mail's end.
# True: it is superseded.
STANDING = Row(b"s", bool, ordered=True)

_OPPOSITE = {ALERT: RECOVERY, RECOVERY: ALERT}
_CLOSED_AT_ONCE = 100  # mails: what one record changes must fit into a chunk. The others end with their next attempt.


def take_in(mail: OutgoingMail, ctx: Context) -> tuple[str, ...]:
    """Note a mail that has come in; returns the notifications not delivered yet that end for it now.

    It may be of an older check than what waits, for a digest that is given back goes out anew: then it is superseded.
    """
    if not _is_of_a_check(mail):
        return ()
    begin, end = _below(mail, _OPPOSITE[mail.kind])
    behind = f"{begin}{_time(mail)}\1"
    superseded = [key for key, is_known in ctx.scan(STANDING, begin, behind) if not is_known]
    for key in superseded:
        ctx.put(STANDING, key, True)
    ctx.put(STANDING, _key(mail), any(True for _ in ctx.scan(STANDING, behind, end)))
    return tuple(key.rpartition("\0")[2] for key in superseded[:_CLOSED_AT_ONCE])


def is_superseded(mail: OutgoingMail, rows: Rows) -> bool:
    """True if a later mail says the opposite."""
    return _is_of_a_check(mail) and rows.get(STANDING, _key(mail)) is True


def leave(mail: OutgoingMail, ctx: Context) -> None:
    """Forget a mail that has come to its end."""
    if _is_of_a_check(mail):
        ctx.delete(STANDING, _key(mail))


def _is_of_a_check(mail: OutgoingMail) -> bool:
    """A publisher's own mail may use a template of ours, and so its name as e-mail kind."""
    return mail.monitor is not None and mail.kind in _OPPOSITE


def _key(mail: OutgoingMail) -> str:
    return f"{_below(mail, mail.kind)[0]}{_time(mail)}\0{mail.notification_id}"


def _time(mail: OutgoingMail) -> str:
    """When its check was due; times sort as text."""
    return (mail.task_id or "").rpartition("/")[2]


def _below(mail: OutgoingMail, kind: str) -> tuple[str, str]:
    return keys_below(notification_id(kind, mail.monitor or "", mail.task_name or "", mail.to.lower()))
