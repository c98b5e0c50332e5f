"""``streamnotify dead-letters``: the records that could not be used, and why."""

from __future__ import annotations

import json
from collections import deque

import click

from streamnotify import settings
from streamnotify.cli.dead_letter_lines import headers_of, summary, text_of
from streamnotify.cli.dead_letter_replay import replay
from streamnotify.logs import visible
from streamnotify.stream.topic_reader import TopicReader
from streamnotify.why.runs import said
from streamnotify.wire import dead_letter
from streamnotify.wire.topics import DEAD_LETTERS


@click.group()
def command() -> None:
    """Show the records that could not be used, and why, and put them back once that is mended.

    \b
    Example:
      streamnotify dead-letters list
      streamnotify dead-letters show 3-17
      streamnotify dead-letters replay 3-17
    """


command.add_command(replay)


@command.command("list")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many, the newest ones.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def list_(limit: int, as_json: bool) -> None:
    """List the newest dead letters, oldest first; exit code 0 if there are none, else 1.

    \b
    Example:
      streamnotify dead-letters list --limit 10
    """
    with _reader(settings.load()) as reader:
        newest = deque(sorted(reader.to_the_end(), key=lambda message: message.timestamp()[1]), maxlen=limit)
    letters = [summary(message) for message in newest]
    if as_json:
        click.echo(json.dumps(letters, indent=2))
    else:
        for letter in letters:
            line = f"{letter['id']:<8} {letter['failed_at']}  {letter['source']}  {letter['stage']}: {said(letter)}"
            click.echo(visible(line))
        click.echo(f"{len(letters)} dead letter{'s' * (len(letters) != 1)}")
    raise SystemExit(1 if letters else 0)


@command.command()
@click.argument("position", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def show(position: str, as_json: bool) -> None:
    """Show one dead letter whole, by the ID that `list` gives it; exit code 1 if there is none.

    \b
    Example:
      streamnotify dead-letters show 3-17
    """
    partition, _, offset = position.partition("-")
    if not (partition.isdecimal() and offset.isdecimal() and len(partition) <= 9 and len(offset) <= 18):
        raise click.BadParameter("an ID such as 3-17 is allowed", param_hint="ID")
    loaded = settings.load()
    with _reader(loaded) as reader:
        found = reader.at(_topic(loaded), int(partition), int(offset))
    if found is None:
        raise click.ClickException(f"there is no dead letter {position}")
    details = {
        **summary(found),
        "headers": headers_of(found),
        "key": text_of(found.key()),
        "value": text_of(found.value()),
    }
    if as_json:
        click.echo(json.dumps(details, indent=2))
        return
    click.echo(f"{details['source']} could not be used by {details['stage']}: {visible(said(details))}\n")
    for name, text in details["headers"].items():
        click.echo(f"{name}: {_harmless(text.rstrip()) if name == dead_letter.STACKTRACE else visible(text)}")
    click.echo(f"\nkey: {visible(str(details['key']))}\nvalue: {_harmless(str(details['value']))}")


def _harmless(text: str) -> str:
    """Text of several lines from anybody, for a terminal."""
    return "\n".join(map(visible, text.split("\n")))


def _topic(loaded: settings.Settings) -> str:
    return f"{loaded.topic_prefix}{DEAD_LETTERS.name}"


def _reader(loaded: settings.Settings) -> TopicReader:
    return TopicReader(loaded.kafka_bootstrap_servers, [_topic(loaded)], loaded.kafka_security)
