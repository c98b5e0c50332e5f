"""Bringing a compacted topic to what people's files say: what lies on it, what differs, and sending that."""

from __future__ import annotations

import difflib
import itertools
import json
from collections.abc import Iterable, Mapping
from typing import Any

import click
from confluent_kafka import Message

from streamnotify.cli.written import Checked
from streamnotify.errors import BadRecord
from streamnotify.logs import visible
from streamnotify.settings import Settings
from streamnotify.stream.topic_reader import TopicReader
from streamnotify.stream.topic_writer import publish
from streamnotify.wire.cloudevents import open_cloudevent, open_unmarked
from streamnotify.wire.topics import Topic

EXIT_REFUSED = 2

_AT_ONCE = 10_000  # records that are sent before the next are: the client keeps them in memory


def published(loaded: Settings, topic: Topic) -> dict[str, bytes]:
    """The records on the topic, by key, sorted.

    Raises:
        EngineFailure: if the cluster does not answer.
        TopicsError: if there is no such topic.
    """
    records: dict[str, bytes] = {}
    with TopicReader(loaded.kafka_bootstrap_servers, [_name(loaded, topic)], loaded.kafka_security) as reader:
        for message in reader.to_the_end():
            key, value = message.key(), message.value()
            name = key.decode("utf-8", "backslashreplace") if isinstance(key, bytes) else ""
            if isinstance(value, bytes):
                records[name] = _inside(value, message)
            else:
                records.pop(name, None)
    return dict(sorted(records.items()))


def changes(before: Mapping[str, bytes], checked: Checked, *, prune: bool) -> dict[str, bytes | None]:
    """What must be sent so that the topic says what the files say, by key.

    Args:
        before: what lies on the topic.
        checked: what the files say.
        prune: remove what is in none of them.
    """
    wanted: dict[str, bytes | None] = {name: written.value for name, written in checked.records.items()}
    changed = {name: value for name, value in wanted.items() if not _same(before.get(name), value)}
    return changed | {name: None for name in before if prune and name not in wanted}


def send(loaded: Settings, topic: Topic, records: Mapping[str, bytes | None]) -> None:
    """Publish records by key; None removes the key. Shows how far it is, if there are many.

    Raises:
        EngineFailure: if one was not taken; earlier ones may have been.
        TopicsError: if there is no such topic.
    """
    slices = range(0, len(records), _AT_ONCE)
    left = iter(records.items())
    with click.progressbar(
        slices, label="sending", hidden=len(slices) < 2, file=click.get_text_stream("stderr")
    ) as bar:
        for _ in bar:
            batch = itertools.islice(left, _AT_ONCE)
            publish(loaded.kafka_bootstrap_servers, _name(loaded, topic), batch, loaded.kafka_security)


def show(
    before: Mapping[str, bytes], checked: Checked, changed: Mapping[str, bytes | None], gone: str, *, dry_run: bool
) -> None:
    """Print what was changed, or with ``dry_run`` what would be, and how.

    Args:
        before: what lay on the topic.
        checked: what the files say.
        changed: what was sent, or would be.
        gone: what happens to a record that is removed, such as ``deleted``.
        dry_run: nothing was sent.
    """
    for name, value in changed.items():
        done = "created" if name not in before else gone if value is None else "changed"
        click.echo(visible(f"{'would be ' if dry_run else ''}{done}: {name}"))
        if dry_run:
            _show_difference(before.get(name), value)
    unchanged = sum(name not in changed for name in checked.records)
    said = "nothing was sent" if dry_run or not changed else "they count once a worker has read them"
    click.echo(f"{counted(len(changed), 'change')}, {unchanged} unchanged; {said}")


def usable(checked: Checked, exit_code: int) -> Checked:
    """``checked``, of which warnings and errors were printed; an error ends the command."""
    warn(checked.warnings)
    for wrong in checked.errors:
        click.echo(visible(f"Error: {wrong}"), err=True)
    if checked.errors:
        raise SystemExit(exit_code)
    return checked


def warn(warnings: Iterable[str]) -> None:
    """Print warnings."""
    for warning in warnings:
        click.echo(visible(f"Warning: {warning}"), err=True)


def counted(number: int, thing: str) -> str:
    """``1 user``, ``2 users``."""
    return f"{number} {thing}{'s' * (number != 1)}"


def _inside(value: bytes, message: Message) -> bytes:
    """A record's monitor, which may have come as a CloudEvent."""
    headers: Any = message.headers() or []  # pairs, whatever its stubs say
    try:
        opened = open_cloudevent(value, headers) or open_unmarked(value)
    except BadRecord:
        return value
    return opened.data or b"" if opened else value


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


def _name(loaded: Settings, topic: Topic) -> str:
    return f"{loaded.topic_prefix}{topic.name}"
