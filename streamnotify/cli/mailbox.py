"""``streamnotify mailbox``: how somebody's mailbox stands."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from streamnotify import bootstrap, settings
from streamnotify.cli.mailbox_lines import described, is_known, is_shadow, lines
from streamnotify.cli.since import Ago
from streamnotify.cli.why_reading import Source, normalised, notifications_where, steps_of
from streamnotify.domain.recipients import SUPERUSERS, USER, address_mailbox, user_mailbox
from streamnotify.logs import visible
from streamnotify.stream.asking import ask
from streamnotify.stream.config import EngineConfig
from streamnotify.why.story import Story, story
from streamnotify.why.words import utc
from streamnotify.wire.commands import AskMailbox, MailboxAnswer
from streamnotify.wire.notification_status import NotificationStatus, NotificationStep

_LOOK_BACK = timedelta(days=7)
_NO_MAIL_YET = (NotificationStep.ACCEPTED, NotificationStep.HELD, NotificationStep.BATCHED)


@click.group()
def command() -> None:
    """Show how somebody's mailbox stands.

    \b
    Example:
      streamnotify mailbox show ann@example.com
    """


@command.command()
@click.argument("who", metavar="USER|ADDRESS")
@click.option("--mails", type=click.IntRange(0), default=5, show_default=True, help="How many of the last mails.")
@click.option("--since", type=Ago(), help="How far to look back for mails, such as 2h or 30d; default: 7d.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def show(who: str, mails: int, since: datetime | None, as_json: bool) -> None:
    """Show who USER or ADDRESS is, what they refuse and by which record, what waits in their digests, and their last
    mails. `@superusers` shows who these are.

    A running worker is asked. A user's id is case-sensitive, an address is not; of an address that is a user's, both
    mailboxes are shown.

    Exit code 0 if anything is known, 1 if nothing is or nobody answered.

    \b
    Example:
      streamnotify mailbox show u-17
      streamnotify mailbox show ann@example.com --mails 20 --since 30d
    """
    loaded = settings.load()
    asked = _answers(bootstrap.engine_config(loaded, Path()), who)
    answers = [answer for answer in asked if is_known(answer) and not is_shadow(answer, asked)]
    source = Source(loaded, since or datetime.now(UTC) - _LOOK_BACK)
    last = _last_mails(source, who, answers, mails) if mails and who != SUPERUSERS else []
    if as_json:
        found = {"mailboxes": [described(answer) for answer in answers], "mails": [_described(mail) for mail in last]}
        click.echo(json.dumps(found, indent=2))
    else:
        _show(who, answers, last)
    raise SystemExit(0 if answers or last else 1)


def _answers(config: EngineConfig, who: str) -> list[MailboxAnswer]:
    """The mailboxes ``who`` may mean, and those that go with them: an address's user, a user's address."""
    named = [who] if who == SUPERUSERS else [user_mailbox(who)]
    if "@" in who and who != SUPERUSERS:
        named.append(address_mailbox(normalised(who)))
    answers = ask(config, [AskMailbox("", mailbox) for mailbox in named], MailboxAnswer)
    related = [each for answer in answers for each in _related(answer) if each not in named]
    return answers + ask(config, [AskMailbox("", mailbox) for mailbox in dict.fromkeys(related)], MailboxAnswer)


def _related(answer: MailboxAnswer) -> Iterable[str]:
    if answer.forwards_to is not None:
        yield answer.forwards_to
    if answer.profile is not None and answer.profile.email:
        yield address_mailbox(answer.profile.email)


def _last_mails(source: Source, who: str, answers: Sequence[MailboxAnswer], limit: int) -> list[Story]:
    """The newest mails to the mailboxes' person, and those there might have been, the oldest first.

    What a digest tells of is not among them, the digest is.
    """
    emails = {answer.profile.email.lower() for answer in answers if answer.profile is not None and answer.profile.email}
    emails |= {normalised(who).lower()} if "@" in who else set()
    user_ids = {who} | {answer.mailbox.removeprefix(USER) for answer in answers if answer.mailbox.startswith(USER)}

    def is_theirs(step: NotificationStatus) -> bool:
        theirs = step.user_id in user_ids or (step.to or "").lower() in emails
        return theirs and step.status not in _NO_MAIL_YET

    newest = notifications_where(source, is_theirs, emails | user_ids)[-limit:]
    steps = steps_of(source, newest)
    told = [story(name, steps) for name in newest if name in steps]
    return [each for each in told if each.decided_by in each.steps]  # a digest handed on is told by the next


def _show(who: str, answers: Sequence[MailboxAnswer], last: Sequence[Story]) -> None:
    for answer in answers:
        for line in lines(answer):
            click.echo(visible(line))
    if last and not answers:
        click.echo(visible(who))
        click.echo("  nobody of the topic users; nothing waits, and nothing is said of their wishes")
    if last:
        click.echo("last mails:")
    for mail in last:
        click.echo(visible(f"  {_line(mail)}"))
    if not answers and not last:
        click.echo(
            visible(
                f"Nothing is known of {who}: no mail to it is known, and it belongs to no user (ids are case-sensitive)"
            )
        )


def _line(mail: Story) -> str:
    step = mail.decided_by
    subject = next((each.subject for each in reversed(mail.steps) if each.subject), None)
    about = next((each.task_name for each in mail.steps if each.task_name), None)
    what = subject or " ".join(part for part in (mail.steps[-1].kind, about) if part)
    reason = f" ({step.reason})" if step.reason else ""
    return f"{utc(step.at)}  {step.status}{reason}: {what}  {mail.notification_id}"


def _described(mail: Story) -> dict[str, Any]:
    step = mail.decided_by
    return {
        "notification_id": mail.notification_id,
        "kind": mail.steps[0].kind,
        "subject": next((each.subject for each in reversed(mail.steps) if each.subject), None),
        "outcome": mail.outcome.value,
        "status": step.status.value,
        "reason": step.reason and str(step.reason),
        "at": step.at.isoformat(),
    }
