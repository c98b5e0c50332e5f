"""``streamnotify spool``: the final events that Kafka did not take from applications, and their replay."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import click

from streamnotify.cli.exit_codes import EXIT_SETTINGS, EXIT_TRY_AGAIN
from streamnotify.errors import SettingsError
from streamnotify.logs import visible
from streamnotify.sdk.config import PublisherConfig, spool_of_user
from streamnotify.sdk.kafka_client import make_producer
from streamnotify.sdk.replay import replay_all
from streamnotify.sdk.spool import SpoolFile, owner_of, spool_files, spooled_lines

EXIT_UNUSABLE = 1
PATIENCE_S = 10.0  # for Kafka's answer to an event


@click.group()
def command() -> None:
    """Show and replay the final events that applications wrote down because Kafka did not take them.

    Publishers do that by themselves as soon as Kafka is there: for their own host, while one of them runs. This is for
    the others. DIR is the directory; default: STREAMNOTIFY_SPOOL_DIR, else the one that `streamnotify run` uses.

    \b
    Example:
      streamnotify spool list
      streamnotify spool replay /var/spool/streamnotify
    """


@command.command("list")
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(file_okay=False, exists=True))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def list_(directory: str | None, as_json: bool) -> None:
    """List the files in a spool, oldest first; exit code 0 if there are none, else 1.

    \b
    Example:
      streamnotify spool list --json
    """
    try:
        files = [_told(path) for path in spool_files(_directory(directory))]
    except OSError as error:  # another user's, or one that was replayed meanwhile
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(files, indent=2))
    else:
        for file in files:
            state = "in use" if file["in_use"] else "left behind"
            click.echo(visible(f"{file['file']}  {file['changed_at']}  {file['events']} events  {state}"))
        click.echo(f"{sum(file['events'] for file in files)} events in {len(files)} files")
    raise SystemExit(1 if files else 0)


@command.command()
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(file_okay=False, exists=True))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def replay(directory: str | None, as_json: bool) -> None:
    """Publish what lies in a spool, each event with the id it had, and remove what Kafka took.

    Files that a living process writes are left to it. If this is interrupted, nothing is lost; what was published then
    comes once more, which changes nothing.

    Exit code 0 if Kafka took everything, 75 if not, 1 if a file could not be used, 78 if a setting is wrong.

    \b
    Example:
      streamnotify spool replay /var/spool/streamnotify
    """
    where = _directory(directory)
    config = replace(_config(), give_up_s=PATIENCE_S)
    if config.bootstrap_servers is None:
        _wrong_setting("KAFKA_BOOTSTRAP_SERVERS is not set")
    try:
        producer, _ = make_producer(config)
        outcome = replay_all(producer, where, None, lambda: False)
    except OSError as error:
        raise click.ClickException(f"{where} cannot be replayed: {error}") from error
    in_use = [path.name for path in spool_files(where) if _is_in_use(path)]
    if as_json:
        click.echo(json.dumps({**asdict(outcome), "in_use": in_use}, indent=2))
    else:
        dropped = f", {outcome.dropped} can never be" if outcome.dropped else ""
        click.echo(f"{outcome.taken} events published{dropped}")
        for name in in_use:
            click.echo(visible(f"{name} is left to its process, which is alive"))
    if outcome.left:
        click.echo(f"Error: Kafka at {config.bootstrap_servers} did not take the others; they are kept", err=True)
        raise SystemExit(EXIT_TRY_AGAIN)
    if outcome.unusable:
        raise SystemExit(EXIT_UNUSABLE)


def _told(path: Path) -> dict[str, Any]:
    host, pid = owner_of(path)
    lines = [line.event is not None for line in spooled_lines(path)]
    status = path.stat()
    return {
        "file": path.name,
        "host": host,
        "pid": pid,
        "in_use": _is_in_use(path),
        "events": lines.count(True),
        "unreadable": lines.count(False),
        "bytes": status.st_size,
        "changed_at": datetime.fromtimestamp(int(status.st_mtime), UTC).isoformat().replace("+00:00", "Z"),
    }


def _is_in_use(path: Path) -> bool:
    file = SpoolFile.claim(path)
    if file is None:
        return path.exists()
    file.close()
    return False


def _directory(given: str | None) -> Path:
    if given is not None:
        return Path(given)
    configured = _config().spool_dir
    if configured is not None:
        return configured
    of_commands = spool_of_user()
    if of_commands is None:
        raise click.UsageError("give a DIR, or set STREAMNOTIFY_SPOOL_DIR")
    return of_commands


def _config() -> PublisherConfig:
    try:
        return PublisherConfig.from_environment()
    except SettingsError as error:
        _wrong_setting(str(error))


def _wrong_setting(why: str) -> NoReturn:
    click.echo(f"Error: {why}", err=True)
    raise SystemExit(EXIT_SETTINGS)
