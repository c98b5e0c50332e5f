"""``streamnotify monitor``: monitors from files, what they find, and how they stand."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from typing import Any, NoReturn

import click
from confluent_kafka import Message

from streamnotify import settings
from streamnotify.cli import monitor_run, monitor_states
from streamnotify.cli.monitor_files import Checked, check_files
from streamnotify.errors import BadRecord, EngineFailure, TopicsError
from streamnotify.logs import visible
from streamnotify.stream.topic_reader import TopicReader
from streamnotify.stream.topic_writer import publish
from streamnotify.wire.cloudevents import open_cloudevent, open_unmarked
from streamnotify.wire.topics import MONITOR_CONFIGS

EXIT_REFUSED = 2
EXIT_NOBODY = 75  # EX_TEMPFAIL of sysexits.h: try again later

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
    if prune and not checked.monitors:
        raise click.UsageError("there is no monitor in the files: --prune would delete all; see `monitor delete`")
    loaded = settings.load()
    before = published(loaded)
    wanted: dict[str, bytes | None] = {name: written.value for name, written in checked.monitors.items()}
    changes = {name: value for name, value in wanted.items() if not _same(before.get(name), value)}
    if prune:
        changes |= {name: None for name in before if name not in wanted}
    if changes and not dry_run:
        _publish(loaded, changes)
    for name, value in changes.items():
        done = "created" if name not in before else "deleted" if value is None else "changed"
        click.echo(visible(f"{'would be ' if dry_run else ''}{done}: {name}"))
        if dry_run:
            _show_difference(before.get(name), value)
    unchanged = sum(name not in changes for name in wanted)
    said = "nothing was sent" if dry_run or not changes else "they count once a worker has read them"
    click.echo(f"{_counted(len(changes), 'change')}, {unchanged} unchanged; {said}")


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
    states = monitor_states.states(loaded, published(loaded))
    if states.unanswered is not None:
        click.echo(f"Only definitions: {states.unanswered}", err=True)
    if as_json:
        click.echo(json.dumps([monitor_states.described(each) for each in states.monitors], indent=2))
        return
    for each in states.monitors:
        for line in monitor_states.lines(each):
            click.echo(visible(line))
    click.echo(_counted(len(states.monitors), "monitor"))


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
    before = published(loaded)
    for name in names:
        if name not in before:
            near = difflib.get_close_matches(name, before, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise click.ClickException(visible(f"there is no monitor {name}{hint}"))
    _publish(loaded, dict.fromkeys(names))
    click.echo(f"{_counted(len(set(names)), 'monitor')} deleted")


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
    click.echo(f"{_counted(len(checked.monitors), 'monitor')}, {_counted(len(checked.warnings), 'warning')}")
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
        _warn(wanted.warnings)
        found = monitor_run.look(loaded, wanted, notify)
    except monitor_run.Refused as error:
        _end(str(error), EXIT_REFUSED)
    except (EngineFailure, TopicsError) as error:
        _end(str(error), EXIT_NOBODY)
    click.echo(json.dumps({name: monitor_run.described(each) for name, each in found.items()}, indent=2))
    raise SystemExit(0 if all(monitor_run.is_ok(each) for each in found.values()) else 1)


def published(loaded: settings.Settings) -> dict[str, bytes]:
    """The monitors' records on the topic, by name, sorted.

    Raises:
        EngineFailure: if the cluster does not answer.
        TopicsError: if there is no such topic.
    """
    records: dict[str, bytes] = {}
    with TopicReader(loaded.kafka_bootstrap_servers, [_topic(loaded)], loaded.kafka_security) as reader:
        for message in reader.to_the_end():
            key, value = message.key(), message.value()
            name = key.decode("utf-8", "backslashreplace") if isinstance(key, bytes) else ""
            if isinstance(value, bytes):
                records[name] = _inside(value, message)
            else:
                records.pop(name, None)
    return dict(sorted(records.items()))


def _inside(value: bytes, message: Message) -> bytes:
    """A record's monitor, which may have come as a CloudEvent."""
    headers: Any = message.headers() or []  # pairs, whatever its stubs say
    try:
        opened = open_cloudevent(value, headers) or open_unmarked(value)
    except BadRecord:
        return value
    return opened.data or b"" if opened else value


def _checked(files: Sequence[str], exit_code: int) -> Checked:
    """The files' monitors; ends the command if one of them cannot be used."""
    checked = check_files(files)
    _warn(checked.warnings)
    for wrong in checked.errors:
        click.echo(visible(f"Error: {wrong}"), err=True)
    if checked.errors:
        raise SystemExit(exit_code)
    return checked


def _warn(warnings: Sequence[str]) -> None:
    for warning in warnings:
        click.echo(visible(f"Warning: {warning}"), err=True)


def _same(old: bytes | None, new: bytes | None) -> bool:
    return old is not None and new is not None and _parsed(old) == _parsed(new)


def _show_difference(old: bytes | None, new: bytes | None) -> None:
    for line in list(difflib.unified_diff(_pretty(old), _pretty(new), lineterm="", n=3))[2:]:
        click.echo(f"  {visible(line)}")


def _pretty(value: bytes | None) -> list[str]:
    return [] if value is None else json.dumps(_parsed(value), indent=2, ensure_ascii=False).split("\n")


def _parsed(value: bytes) -> Any:
    """A record's content; of one that is no JSON its text."""
    try:
        return json.loads(value)
    except ValueError:
        return value.decode("utf-8", "backslashreplace")


def _publish(loaded: settings.Settings, records: dict[str, bytes | None]) -> None:
    publish(loaded.kafka_bootstrap_servers, _topic(loaded), records.items(), loaded.kafka_security)


def _topic(loaded: settings.Settings) -> str:
    return f"{loaded.topic_prefix}{MONITOR_CONFIGS.name}"


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number != 1)}"


def _end(why: str, exit_code: int) -> NoReturn:
    click.echo(visible(f"Error: {why}"), err=True)
    raise SystemExit(exit_code)
