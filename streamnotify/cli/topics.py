"""``streamnotify topics``: compare the cluster's topics with their declaration, and create or correct them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

import click

from streamnotify import bootstrap, settings
from streamnotify.stream.topic_differences import Difference


@click.group()
def command() -> None:
    """Compare the cluster's topics with their declaration, and create or correct them.

    \b
    Example:
      streamnotify topics diff
      streamnotify topics apply
    """


@command.command()
@click.option("--dry-run", is_flag=True, help="Only show what would be changed.")
def apply(dry_run: bool) -> None:
    """Create missing topics, add partitions to task-events, correct policies. Safe to repeat.

    Exit code 0 if the cluster is then as declared, 1 if something is left that only a person can change.

    \b
    Example:
      streamnotify topics apply --dry-run
    """
    admin, declared = bootstrap.topics(settings.load())
    if dry_run:
        changes = admin.diff(declared)
        for change in changes:
            click.echo(f"left: {change}" if change.remedy else f"would be {_done(change)}")
        click.echo(f"{_counted(changes)} in {len(declared)} topics; nothing was changed")
        return
    changes = admin.apply(declared)
    for change in changes:
        click.echo(_done(change))
    left = admin.diff(declared)
    for difference in left:
        click.echo(f"left: {difference}", err=True)
    click.echo(f"{len(declared)} topics are as declared" if not left else f"{_counted(left)} left")
    raise SystemExit(1 if left else 0)


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def diff(as_json: bool) -> None:
    """Show where the cluster differs from the declaration; exit code 0 if nowhere, else 1.

    \b
    Example:
      streamnotify topics diff --json
    """
    admin, declared = bootstrap.topics(settings.load())
    differences = admin.diff(declared)
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(difference) for difference in differences], indent=2))
    else:
        for difference in differences:
            click.echo(str(difference))
        click.echo(f"{_counted(differences)} in {len(declared)} topics")
    raise SystemExit(1 if differences else 0)


def _done(change: Difference) -> str:
    if change.actual is None:
        return f"created: {change.topic}, {change.wanted}"
    return f"corrected: {change.topic}, {change.what} from {change.actual} to {change.wanted}"


def _counted(differences: Sequence[Difference]) -> str:
    return "1 difference" if len(differences) == 1 else f"{len(differences)} differences"
