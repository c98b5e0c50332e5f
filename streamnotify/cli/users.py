"""``streamnotify users``: the directory from files."""

from __future__ import annotations

from collections.abc import Mapping

import click

from streamnotify import settings
from streamnotify.cli.applying import EXIT_REFUSED, changes, counted, published, send, show, usable
from streamnotify.cli.user_files import check_files
from streamnotify.cli.written import Checked
from streamnotify.wire.topics import USERS


@click.group()
def command() -> None:
    """Keep the directory: who is who, and at what address.

    \b
    Example:
      streamnotify users apply --dry-run people.csv
      streamnotify users apply people.csv
    """


@command.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--dry-run", is_flag=True, help="Only show what would be changed.")
@click.option("--prune", is_flag=True, help="Remove the users who are in none of the files.")
@click.option("--yes", is_flag=True, help="Let --prune remove everybody there is.")
def apply(files: tuple[str, ...], dry_run: bool, prune: bool, yes: bool) -> None:
    """Publish the users of each FILE (.csv, .json, or else YAML; - is standard input with any of these) on users.

    A file holds a user, a list of them, or a mapping by user_id; a YAML file may have several documents. The columns of
    CSV, named in its first line, are user_id, email, name, email_verified, is_active, is_superuser, organizations (with
    semicolons between them), timezone and locale. A user's record replaces the one before as a whole. Everything is
    checked before anything is sent, and what has not changed is not sent. Exit code 0 if the topic then is as the files
    say, 1 if Kafka does not answer, 2 if a file or --prune is refused and nothing was sent; with --dry-run likewise.

    \b
    Example:
      streamnotify users apply --dry-run --prune people/*.csv
    """
    checked = usable(check_files(files), EXIT_REFUSED)
    loaded = settings.load()
    before = published(loaded, USERS)
    if prune and not yes:
        _refuse_to_remove_all(before, checked)
    changed = changes(before, checked, prune=prune)
    if not dry_run:
        send(loaded, USERS, changed)
    show(before, checked, changed, "removed", dry_run=dry_run)
    if prune:
        removed = sum(value is None for value in changed.values())
        click.echo(f"{counted(removed, 'user')} {'would be ' if dry_run else ''}removed")


def _refuse_to_remove_all(before: Mapping[str, bytes], checked: Checked) -> None:
    """Nobody who is there is in the files: more likely they are the wrong files, or the wrong topic."""
    if before and not before.keys() & checked.records.keys():
        there = counted(len(before), "user")
        raise click.UsageError(
            f"--prune would remove everybody there is, {there}: none is in the files. If that is meant, add --yes"
        )
