"""``streamnotify why``: what became of a notification, and why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import click

from streamnotify import settings
from streamnotify.cli.since import Ago
from streamnotify.cli.why_reading import Source, normalised, notifications_where, steps_of
from streamnotify.cli.why_run import findings
from streamnotify.logs import visible
from streamnotify.why.story import Outcome, Story, described, digests_of, lines, story
from streamnotify.wire.notification_status import NotificationStatus

EXIT_UNKNOWN = 1
EXIT_NOT_SENT = 3


@click.command()
@click.argument("notification_id", required=False)
@click.option("--task", "task_id", metavar="TASK_ID", help="The notifications about this run.")
@click.option("--to", "recipient", metavar="USER|ADDRESS", help="The notifications for this user or address.")
@click.option("--since", type=Ago(), help="Only look at what is not older, such as 2h or 3d; default: everything.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many, the newest ones.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def command(
    notification_id: str | None,
    task_id: str | None,
    recipient: str | None,
    since: datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """Tell the whole way of a notification, by its id, its run or its recipient: each step, and the reason for it.

    The steps are on notification-status for 30 d. Where a run has no notification, its events and the dead letters are
    asked why. An id is looked up in one partition; --task and --to read the whole topic, or what is not older than
    --since. A user's id is case-sensitive, an address is not.

    Exit code 0 if all that were found are sent or on their way, 1 if there is none, 3 if one was not sent or came back.

    \b
    Example:
      streamnotify why bk3v5qy2nmzc7v4wqhxa6d2u5e
      streamnotify why --task import-2024-01-15
      streamnotify why --to ann@example.com --since 1d --limit 3
      streamnotify why --to u-17
    """
    if sum(given is not None for given in (notification_id, task_id, recipient)) != 1:
        raise click.UsageError("one of NOTIFICATION_ID, --task and --to is needed")
    source = Source(settings.load(), since)
    asked = _asked(source, notification_id, task_id, recipient)
    told = _told(source, asked[-limit:])
    none_because = [] if told else list(_why_none(source, notification_id, task_id, recipient))
    if as_json:
        total = len(asked) if told else 0
        found = {"notifications": [*map(described, told)], "total": total, "none_because": none_because}
        click.echo(json.dumps(found, indent=2))
    else:
        _show(told, none_because)
        if len(asked) > limit:
            click.echo(f"The newest of {len(asked)}: see --limit")
    if not told:
        raise SystemExit(EXIT_UNKNOWN)
    raise SystemExit(EXIT_NOT_SENT if any(each.outcome is Outcome.NOT_SENT for each in told) else 0)


def _asked(source: Source, notification_id: str | None, task_id: str | None, recipient: str | None) -> list[str]:
    """The ids of the notifications and digests that are asked for, the newest last."""
    if notification_id is not None:
        return [notification_id.strip()]
    if task_id is not None:
        return notifications_where(source, lambda step: step.task_id == task_id, [task_id])
    who = recipient or ""
    to = normalised(who).lower()

    def is_theirs(step: NotificationStatus) -> bool:
        return step.user_id == who or (step.to is not None and step.to.lower() == to)

    return notifications_where(source, is_theirs, [who, to])


def _told(source: Source, asked: list[str]) -> list[Story]:
    """Their stories; a digest that is part of another one's is not told twice."""
    steps = steps_of(source, asked)
    named = {digest_id for name, own in steps.items() for digest_id in digests_of(own) if digest_id != name}
    return [story(name, steps) for name in asked if name in steps and name not in named]


def _why_none(source: Source, notification_id: str | None, task_id: str | None, recipient: str | None) -> Iterator[str]:
    within = "" if source.since is None else " as far back as --since goes"
    if task_id is not None:
        yield from findings(source, task_id).lines()
    elif recipient is not None:
        yield (
            f"There is no notification for {recipient}{within}: see `streamnotify mailbox show`, or `streamnotify why "
            "--task` with the run's id"
        )
    else:
        yield (
            f"Nobody knows a notification {notification_id}{within}: its steps are kept for 30 d; for the id of a run "
            "there is --task"
        )


def _show(told: list[Story], none_because: list[str]) -> None:
    now = datetime.now(UTC)
    for number, each in enumerate(told):
        if number:
            click.echo()
        for line in lines(each, now):
            click.echo(visible(line))
    for line in none_because:
        click.echo(visible(line))
