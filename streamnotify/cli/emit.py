"""``streamnotify emit``: task events from flags, files and pipes, looked at before any of them is sent."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from typing import Any, NoReturn

import click

from streamnotify import settings
from streamnotify.cli.applying import counted
from streamnotify.cli.emitting import Load, Published, emit, repeated
from streamnotify.cli.event_flags import event_flags, event_of
from streamnotify.cli.event_reading import read_events
from streamnotify.cli.exit_codes import EXIT_SETTINGS, EXIT_TRY_AGAIN
from streamnotify.cli.numbers import Number
from streamnotify.errors import EngineFailure, SettingsError, TopicsError
from streamnotify.logs import visible
from streamnotify.stations.written_events import WrittenEvent, look_at

EXIT_WRONG = 1
EXIT_INTERRUPTED = 130  # as of a command that Ctrl-C has ended

_LISTED = 10  # of the events that were sent


@click.command()
@click.argument("sources", metavar="[EVENT|FILE|-]...", nargs=-1)
@event_flags
@click.option("--validate", is_flag=True, help="Only say what is wrong, field by field. Needs no Kafka.")
@click.option("--dry-run", is_flag=True, help="Only print what would be sent, one event per line.")
@click.option("--keep-going", is_flag=True, help="Send the good events even if others are wrong.")
@click.option("--count", type=click.IntRange(1), help="Send so many, as runs of their own.")
@click.option("--rate", type=Number(0.001, 1_000_000), help="At most so many events a second.")
@click.option("--json", "as_json", is_flag=True, help="Print what was published: a JSON array.")
def command(
    sources: tuple[str, ...],
    validate: bool,
    dry_run: bool,
    keep_going: bool,
    count: int | None,
    rate: float | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Publish task events: one from the flags, or those given as JSON, in FILEs or on standard input (-).

    A file holds one or many, pretty-printed, one per line or in a list; CloudEvents are sent as they are. The key is
    the task_id. Everything is looked at first, and nothing is sent if something is wrong, unless --keep-going. With
    --count the events are templates: the runs are told apart by -1, -2 … behind their task_id.

    Exit code 0 if everything was published, 1 if an event is wrong, 2 for flags that do not go together, 75 if Kafka
    did not take them all, 78 if a setting is wrong, 130 after Ctrl-C. With --validate a misspelt field is wrong, too;
    workers ignore it.

    \b
    Example:
      streamnotify emit --task nightly-report --status Completed --email ann@example.com --result test_run_id=42
      streamnotify emit --validate events.jsonl
      jq '.runs[]' export.json | streamnotify emit -
      streamnotify emit --count 10000 --rate 500 '{"task_name": "load", "status": "Completed"}'
    """
    if validate + dry_run + as_json > 1:
        raise click.UsageError("--validate, --dry-run and --json do not go together")
    events = list(_events(sources, flags))
    wrong = _say_what_is_wrong(events)
    if validate:
        _end_validation(events, wrong)
    if wrong and not keep_going:
        _end(f"nothing was sent: {_of(wrong, len(events))} wrong", EXIT_WRONG)
    good = [each for each in events if not each.problems]
    load = Load(*_templates(good, count), rate)
    if dry_run:
        for each in load.events:
            click.echo(each.value)
    elif good:
        _send(load, as_json)
    elif as_json:
        click.echo("[]")
    raise SystemExit(EXIT_WRONG if wrong else 0)


def _events(sources: tuple[str, ...], flags: dict[str, Any]) -> Iterable[WrittenEvent]:
    said = event_of(flags)
    if (said is None) == (not sources):
        raise click.UsageError(
            "give either --task and --status, or events: JSON, files, or - for standard input"
            + (", not both" if sources else "")
        )
    return [look_at("the flags", said)] if said is not None else read_events(sources)


def _templates(events: list[WrittenEvent], count: int | None) -> tuple[Iterable[WrittenEvent], int]:
    if count is None:
        return events, len(events)
    if any(each.in_cloudevent for each in events):
        raise click.UsageError("--count makes events from plain ones, not from CloudEvents")
    return repeated(events, count), len(events) * count


def _say_what_is_wrong(events: Iterable[WrittenEvent]) -> int:
    """How many events are wrong, each problem of them printed."""
    wrong = 0
    for each in events:
        wrong += bool(each.problems)
        for problem in each.problems:
            click.echo(visible(f"Error: {each.place}: {problem}"), err=True)
        for warning in each.warnings:
            click.echo(visible(f"Warning: {each.place}: {warning}"), err=True)
    return wrong


def _end_validation(events: list[WrittenEvent], wrong: int) -> NoReturn:
    misspelt = sum(bool(each.warnings) for each in events)
    click.echo(f"{counted(len(events), 'event')}, {wrong} wrong, {misspelt} with fields that look misspelt")
    raise SystemExit(EXIT_WRONG if wrong or misspelt else 0)


def _send(load: Load, as_json: bool) -> None:
    published = Published(None if as_json else _LISTED)
    failed = exit_code = None
    seconds = 0.0
    try:
        seconds = emit(settings.load(), load, published)
    except SettingsError as error:
        failed, exit_code = str(error), EXIT_SETTINGS
    except KeyboardInterrupt:
        failed, exit_code = f"interrupted ({_of(published.count, load.length)} published)", EXIT_INTERRUPTED
    except (EngineFailure, TopicsError) as error:
        failed, exit_code = f"{error} ({_of(published.count, load.length)} published)", EXIT_TRY_AGAIN
    if as_json:
        click.echo(json.dumps([each._asdict() for each in published.first], indent=2))
    elif failed is None:
        _show(published, seconds)
    if failed is not None:
        _end(failed, exit_code)


def _show(published: Published, seconds: float) -> None:
    first = published.first
    if published.count > _LISTED:
        rate = published.count / max(seconds, 0.001)
        click.echo(f"{published.count:,} events published in {seconds:.1f} s: {rate:,.0f}/s")
    else:
        for each in first:
            where = f"partition {each.partition}, offset {each.offset}"
            click.echo(visible(f"published: {each.task_name}, run {each.task_id} ({where})"))
    click.echo(visible(f"What becomes of it: streamnotify why --task {shlex.quote(first[0].task_id)}"))


def _of(number: int, all_: int) -> str:
    return f"{number} of {all_} {'event is' if all_ == 1 else 'events are'}"


def _end(why: str, exit_code: int | None) -> NoReturn:
    click.echo(visible(f"Error: {why}"), err=True)
    raise SystemExit(exit_code)
