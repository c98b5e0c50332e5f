"""``streamnotify monitor``: monitors from files, what they find, and how they stand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NoReturn

import click

from streamnotify import settings
from streamnotify.cli import monitor_run, monitor_states
from streamnotify.cli.applying import EXIT_REFUSED, changes, counted, published, send, show, usable, warn
from streamnotify.cli.exit_codes import EXIT_TRY_AGAIN
from streamnotify.cli.monitor_files import check_files
from streamnotify.cli.written import Checked
from streamnotify.errors import EngineFailure, TopicsError
from streamnotify.logs import visible
from streamnotify.wire.topics import MONITOR_CONFIGS

_files = click.argument("files", metavar="FILE...", nargs=-1, required=True)


@click.group()
def command() -> None:
    """Define monitors, see how they stand, and have them look now.

    \b
    Example:
      streamnotify monitor lint monitors.yaml
      streamnotify monitor apply monitors.yaml
      streamnotify monitor list
    """


@command.command()
@_files
@click.option("--dry-run", is_flag=True, help="Only show what would be changed.")
@click.option("--prune", is_flag=True, help="Delete the monitors that are in none of the files.")
def apply(files: tuple[str, ...], dry_run: bool, prune: bool) -> None:
    """Publish the monitors of each FILE (JSON or YAML; - is standard input) on monitor-configs.

    A file holds a monitor, a list of them, or a mapping by name; a YAML file may have several documents. Everything is
    checked before anything is sent, and what has not changed is not sent. Exit code 0 if the topic then is as the
    files say, 1 if Kafka does not answer, 2 if a file is refused and nothing was sent.

    \b
    Example:
      streamnotify monitor apply --dry-run --prune monitors/*.yaml
    """
    checked = _checked(files, EXIT_REFUSED)
    if prune and not checked.records:
        raise click.UsageError("there is no monitor in the files: --prune would delete all; see `monitor delete`")
    loaded = settings.load()
    before = published(loaded, MONITOR_CONFIGS)
    changed = changes(before, checked, prune=prune)
    if not dry_run:
        send(loaded, MONITOR_CONFIGS, changed)
    show(before, checked, changed, "deleted", dry_run=dry_run)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def list_(as_json: bool) -> None:
    """List the monitors on monitor-configs, and of each task what a check would find now, found last, and is due next.

    The latter a running worker is asked; without one the definitions are listed all the same. Exit code 0, or 1 if
    Kafka does not answer.

    \b
    Example:
      streamnotify monitor list --json
    """
    loaded = settings.load()
    states = monitor_states.states(loaded, published(loaded, MONITOR_CONFIGS))
    if states.unanswered is not None:
        click.echo(f"Only definitions: {states.unanswered}", err=True)
    if as_json:
        click.echo(json.dumps([monitor_states.described(each) for each in states.monitors], indent=2))
        return
    for each in states.monitors:
        for line in monitor_states.lines(each):
            click.echo(visible(line))
    click.echo(counted(len(states.monitors), "monitor"))


@command.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
def delete(names: tuple[str, ...]) -> None:
    """Delete monitors by NAME: their checks end once a worker has read it.

    Exit code 0 if they were deleted, 1 if one of them is not there, and then none was, or if Kafka does not answer.

    \b
    Example:
      streamnotify monitor delete "Monitor Critical Data Collection Tasks"
    """
    loaded = settings.load()
    before = published(loaded, MONITOR_CONFIGS)
    for name in names:
        if name not in before:
            raise click.ClickException(visible(f"there is no monitor {name}{monitor_run.meant(name, before)}"))
    send(loaded, MONITOR_CONFIGS, dict.fromkeys(names))
    click.echo(f"{counted(len(set(names)), 'monitor')} deleted")


@command.command()
@_files
@click.option("--strict", is_flag=True, help="Exit code 1 for warnings, too.")
def lint(files: tuple[str, ...], strict: bool) -> None:
    """Say what is wrong with the monitors of each FILE (- is standard input), and what in them is ignored.

    Needs no Kafka. Exit code 0 if they can be used, 1 if not.

    \b
    Example:
      streamnotify monitor lint --strict monitors.yaml
    """
    checked = _checked(files, 1)
    click.echo(f"{counted(len(checked.records), 'monitor')}, {counted(len(checked.warnings), 'warning')}")
    raise SystemExit(1 if strict and checked.warnings else 0)


@command.command()
@click.argument("monitor", metavar="FILE|NAME")
@click.option("--notify", is_flag=True, help="Record what is found, and mail it, as a check on schedule does.")
def run(monitor: str, notify: bool) -> None:
    """Have a monitor look now, and print what it finds of each task as JSON.

    The monitor is one that is published, by NAME, or in a FILE (- is standard input): a monitor, or only its tasks as
    a dictionary from name to expected_statuses and so on. A running worker is asked. Exit code 0 if every task is as
    expected, 1 if one is not, 2 if the monitor is refused or there is none, 75 if nobody answered.

    \b
    Example:
      echo '{"hourly_data_sync": {"expected_statuses": ["Completed"]}}' | streamnotify monitor run -
    """
    loaded = settings.load()
    try:
        wanted = monitor_run.monitor_in(monitor) if monitor_run.is_file(monitor) else monitor_run.named(loaded, monitor)
        warn(wanted.warnings)
        found = monitor_run.look(loaded, wanted, notify)
    except monitor_run.Refused as error:
        _end(str(error), EXIT_REFUSED)
    except (EngineFailure, TopicsError) as error:
        _end(str(error), EXIT_TRY_AGAIN)
    click.echo(json.dumps({name: monitor_run.described(each) for name, each in found.items()}, indent=2))
    raise SystemExit(0 if all(monitor_run.is_ok(each) for each in found.values()) else 1)


def _checked(files: Sequence[str], exit_code: int) -> Checked:
    """The files' monitors; ends the command if one of them cannot be used."""
    return usable(check_files(files), exit_code)


def _end(why: str, exit_code: int) -> NoReturn:
    click.echo(visible(f"Error: {why}"), err=True)
    raise SystemExit(exit_code)
