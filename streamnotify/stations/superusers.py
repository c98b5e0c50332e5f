"""The mailbox ``@superusers``: it knows who they are, and tells all of them where a monitor names nobody."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from streamnotify.domain.alerts import AlertNotification, CheckResult, Superusers, alert_id, health_id
from streamnotify.domain.recipients import address_mailbox
from streamnotify.render.renderer import Renderer
from streamnotify.stations.check_records import record_check
from streamnotify.stations.context import Context
from streamnotify.stations.mailing import MailboxPolicy
from streamnotify.wire.commands import NobodyTold, NotifyAlert, NotifyHealth, SetSuperuser, TellSuperusers
from streamnotify.wire.rows import Row
from streamnotify.wire.topics import MAILBOXES, TASKS

log = logging.getLogger(__name__)

Recipients = tuple[tuple[str, str | None], ...]  # address and name

# A quarter of a chunk: the check's own record and the list of those still to be told must fit in beside them.
_BYTES_AT_ONCE = 200_000
_BYTES_RECORDED = 50_000  # of addresses
_STAND_IN = "superusers@localhost"  # for a mail that nobody gets


@dataclass(frozen=True, slots=True)
class Untold:
    """A check that nobody could be told of yet."""

    result: CheckResult
    alert: AlertNotification


@dataclass(frozen=True, slots=True)
class Telling:
    """Recipients who have not been told yet, since one record cannot hold them all."""

    command: NotifyAlert | NotifyHealth
    rest: Recipients


MEMBERS = Row(b"s", Superusers)  # its one key: ALL
UNTOLD = Row(b"u", Untold)  # key: alert_id without an address; for as long as the directory may take
TELLING = Row(b"t", Telling)  # key: the same, or the health mail's; until everybody has been told
ALL = ""


def recipients(ctx: Context) -> Recipients:
    """Whom superusers' mails go to, each address once, in the order of addresses."""
    members = ctx.get(MEMBERS, ALL)
    return () if members is None else members.recipients


def members(ctx: Context) -> tuple[str, ...]:
    """The user ids of all superusers."""
    known = ctx.get(MEMBERS, ALL)
    return () if known is None else tuple(sorted(known.members))


def set_superuser(command: SetSuperuser, ctx: Context) -> None:
    """Somebody is a superuser with this address, or is none."""
    known = ctx.get(MEMBERS, ALL) or Superusers()
    others = {user_id: who for user_id, who in known.members.items() if user_id != command.user_id}
    own = {} if command.email is None else {command.user_id: (command.email, command.name)}
    if others | own != known.members:
        ctx.put(MEMBERS, ALL, Superusers(others | own))


def tell_of_check(command: TellSuperusers, policy: MailboxPolicy, ctx: Context) -> None:
    """Tell them of a check and record it; if there are none, wait for the directory to catch up."""
    if told := recipients(ctx):
        _tell(command.result, command.alert, told, ctx)
        return
    key = _key(command.alert)
    ctx.put(UNTOLD, key, Untold(command.result, command.alert))
    ctx.wake(UNTOLD, key, ctx.now + policy.recipient_hold)


def stop_waiting(key: str, renderer: Renderer | None, ctx: Context) -> None:
    """Tell whoever is a superuser by now. If nobody is, the check has failed, and its mail stands in the log."""
    untold = ctx.get(UNTOLD, key)
    if untold is None:
        return
    ctx.delete(UNTOLD, key)
    if told := recipients(ctx):
        _tell(untold.result, untold.alert, told, ctx)
        return
    error = f"ValueError: notify_to is empty but no superuser found for task '{untold.alert.task_name}'"
    lines = (error, *_mail_in_lines(untold.alert, renderer, ctx))
    each_escaped = "\n  | ".join("%s" for _ in lines)
    log.error(each_escaped, *lines)
    record_check(replace(untold.result, error=error), ctx)
    alert = untold.alert
    ctx.emit(TASKS, alert.task_name, NobodyTold(alert.monitor, alert.task_name, alert.check_time))


def tell_all(command: NotifyAlert | NotifyHealth, told: Recipients, key: str, ctx: Context) -> None:
    """Send each of ``told`` their own copy of ``command``: as many as one record can hold now, the rest one tick later.

    ``key`` names what they are told.
    """
    done = size = 0
    for email, name in told:
        own = _addressed(command, email, name)
        size += len(MAILBOXES.encode(own))
        if done and size > _BYTES_AT_ONCE:
            break
        ctx.emit(MAILBOXES, address_mailbox(email), own)
        done += 1
    if rest := told[done:]:
        ctx.put(TELLING, key, Telling(command, rest))
        ctx.wake(TELLING, key, ctx.now)


def tell_the_rest(key: str, ctx: Context) -> None:
    """Go on with what one record could not hold."""
    telling = ctx.get(TELLING, key)
    if telling is not None:
        ctx.delete(TELLING, key)
        tell_all(telling.command, telling.rest, key, ctx)


def _tell(result: CheckResult, alert: AlertNotification, told: Recipients, ctx: Context) -> None:
    record_check(result, ctx, notified=_some_of([email for email, _ in told]))
    tell_all(NotifyAlert(alert), told, _key(alert), ctx)


def _some_of(addresses: list[str]) -> tuple[str, ...]:
    """All of them, or as many as a record can hold and how many there are more."""
    size = 0
    for number, address in enumerate(addresses):
        size += len(address)
        if size > _BYTES_RECORDED:
            return (*addresses[:number], f"… and {len(addresses) - number} more")
    return tuple(addresses)


def _addressed(command: NotifyAlert | NotifyHealth, email: str, name: str | None) -> NotifyAlert | NotifyHealth:
    if isinstance(command, NotifyHealth):
        health = command.health
        own_id = health_id(health.since, health.until, email)
        return NotifyHealth(replace(health, notification_id=own_id, email=email, name=name))
    alert = command.alert
    own_id = alert_id(alert.kind, alert.monitor, alert.task_name, alert.check_time, email)
    return NotifyAlert(replace(alert, notification_id=own_id, email=email, name=name))


def _key(alert: AlertNotification) -> str:
    return alert_id(alert.kind, alert.monitor, alert.task_name, alert.check_time, "")


def _mail_in_lines(alert: AlertNotification, renderer: Renderer | None, ctx: Context) -> list[str]:
    if renderer is None:
        status = alert.current_status or "no execution found"
        return [f"{alert.task_id}: {status}", "SMTP configuration incomplete: there would have been no mail"]
    mail = renderer.alert_mail(replace(alert, notification_id=_key(alert)), _STAND_IN, ctx.now)
    return [f"Subject: {mail.subject}", "", *mail.text.splitlines()]
