"""``streamnotify dead-letters``: the records that could not be used, and why."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

import click
from confluent_kafka import Message

from streamnotify import settings
from streamnotify.logs import visible
from streamnotify.stream.topic_reader import TopicReader
from streamnotify.wire import dead_letter
from streamnotify.wire.topics import DEAD_LETTERS

_SHOWN_BYTES = 100_000


@click.group()
def command() -> None:
    """Show the records that could not be used, and why.

    \b
    Example:
      streamnotify dead-letters list
      streamnotify dead-letters show 3-17
    """


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
    details = {**summary(found), "headers": _headers(found), "key": _text(found.key()), "value": _text(found.value())}
    if as_json:
        click.echo(json.dumps(details, indent=2))
        return
    click.echo(f"{details['source']} could not be used by {details['stage']}: {visible(said(details))}\n")
    for name, text in details["headers"].items():
        click.echo(f"{name}: {_harmless(text.rstrip()) if name == dead_letter.STACKTRACE else visible(text)}")
    click.echo(f"\nkey: {visible(str(details['key']))}\nvalue: {_harmless(str(details['value']))}")


def summary(message: Message) -> dict[str, Any]:
    """What is known about a dead letter from its headers; absent ones are None."""
    headers = _headers(message)
    source = f"{headers.get(dead_letter.TOPIC)}-{headers.get(dead_letter.PARTITION)}@{headers.get(dead_letter.OFFSET)}"
    return {
        "id": f"{message.partition()}-{message.offset()}",
        "failed_at": headers.get(dead_letter.FAILED_AT),
        "source": source,
        "stage": headers.get(dead_letter.STAGE),
        "class": headers.get(dead_letter.ERROR_CLASS),
        "reason": headers.get(dead_letter.REASON),
        "field": headers.get(dead_letter.FIELD),
    }


def said(letter: dict[str, Any]) -> str:
    """The reason, with the field it is about in front."""
    return f"{letter['field']}: {letter['reason']}" if letter["field"] else str(letter["reason"])


def _headers(message: Message) -> dict[str, str]:
    headers: Any = message.headers() or []  # pairs, whatever its stubs say
    return {name: _text(value) or "" for name, value in headers}


def _harmless(text: str) -> str:
    """Text of several lines from anybody, for a terminal."""
    return "\n".join(map(visible, text.split("\n")))


def _text(data: str | bytes | None) -> str | None:
    return data[:_SHOWN_BYTES].decode("utf-8", "backslashreplace") if isinstance(data, bytes) else data


def _topic(loaded: settings.Settings) -> str:
    return f"{loaded.topic_prefix}{DEAD_LETTERS.name}"


def _reader(loaded: settings.Settings) -> TopicReader:
    return TopicReader(loaded.kafka_bootstrap_servers, [_topic(loaded)], loaded.kafka_security)
