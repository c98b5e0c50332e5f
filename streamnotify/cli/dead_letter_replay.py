"""``streamnotify dead-letters replay``: put records back where they came from, once what was wrong is mended."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import click
from confluent_kafka import Message

from streamnotify import bootstrap, settings
from streamnotify.cli.dead_letter_lines import summary
from streamnotify.cli.numbers import Number
from streamnotify.cli.since import Ago
from streamnotify.errors import StreamnotifyError
from streamnotify.logs import visible
from streamnotify.stream.dead_letter_replay import (
    MOST_REPLAYS,
    REPLAY_OF,
    NotReplayable,
    Replay,
    letter_id,
    replay_of,
)
from streamnotify.stream.topic_reader import TopicReader, header_pairs
from streamnotify.stream.topic_writer import TopicWriter
from streamnotify.why.runs import said
from streamnotify.wire.topics import (
    DEAD_LETTERS,
    MAILBOXES,
    MONITOR_CONFIGS,
    NOTIFICATION_FEEDBACK,
    OUTBOX,
    TASK_EVENTS,
    TASKS,
    USER_PREFERENCES,
    USERS,
)

_UNKNOWN = "there is no such dead letter"
_OVERTAKEN = "a later record of its key is there, which it would replace; --force does it all the same"
# All that workers read, and so all that a dead letter can come from; whoever makes one up may name any topic.
_READ = (
    TASK_EVENTS,
    MONITOR_CONFIGS,
    USERS,
    USER_PREFERENCES,
    NOTIFICATION_FEEDBACK,
    TASKS,
    MAILBOXES,
    OUTBOX,
)
_LATEST_COUNTS = {topic.name for topic in (MONITOR_CONFIGS, USERS, USER_PREFERENCES)}  # compacted


class Wanted(NamedTuple):
    """Which dead letters are asked for; None: any."""

    letters: frozenset[str]
    stage: str | None
    error_class: str | None
    topic: str | None
    reason: str | None
    since: datetime | None

    def has(self, message: Message) -> bool:
        """Whether a dead letter is one of them."""
        if self.letters:
            return letter_id(message) in self.letters
        letter = summary(message)
        return (
            self.stage in (None, letter["stage"])
            and self.error_class in (None, letter["class"])
            and (self.topic is None or str(letter["source"]).rpartition("-")[0] == self.topic)
            and (self.reason is None or self.reason.lower() in said(letter).lower())
            and (self.since is None or message.timestamp()[1] >= self.since.timestamp() * 1000)
        )


class SinceThen(NamedTuple):
    """The dead letters whose records were put back already, and those after which came a later record of their key."""

    put_back: Collection[str]
    overtaken: Collection[str]


@click.command()
@click.argument("letters", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All of them, or those that the options below choose.")
@click.option("--stage", help="Those of one station, such as ingest.")
@click.option("--class", "error_class", type=click.Choice(["poison", "exhausted"]), help="Those of one class.")
@click.option("--topic", help="Those that came from one topic, by its name on the broker.")
@click.option("--reason", help="Those whose reason holds this text.")
@click.option("--since", type=Ago(), help="Those of the last 2h, 30m, ….")
@click.option("--again", is_flag=True, help="Also those that were put back before.")
@click.option("--force", is_flag=True, help="Also what is refused without, as the reasons say.")
@click.option("--rate", type=Number(0.1, 100_000), default=100.0, show_default=True, help="Records a second.")
@click.option("--dry-run", is_flag=True, help="Only say what would be put back.")
def replay(
    letters: Sequence[str], everything: bool, again: bool, force: bool, rate: float, dry_run: bool, **chosen: Any
) -> None:
    """Put dead letters back on the topics they came from, by the IDs that `list` gives them, or all that fit.

    Each is a new record there, with its own key, value, headers and time; what reads it does not know it from before.
    An event with a task_id of its own is still the same run, so that nobody is mailed twice; one without is a new run.
    Each is put back once, unless --again says otherwise. Mend first what was wrong: a record that fails again is a
    new dead letter.

    Exit code 0 if all of them were put back, 1 if some were not, with the reason for each.

    \b
    Example:
      streamnotify dead-letters replay 3-17
      streamnotify dead-letters replay --all --class exhausted --since 2h --dry-run
    """
    wanted = Wanted(frozenset(letters), **chosen)
    if bool(letters) == everything:
        raise click.UsageError("either IDs or --all is needed")
    if letters and any(value is not None for value in chosen.values()):
        raise click.UsageError("--stage, --class, --topic, --reason and --since go with --all, not with IDs")
    loaded = settings.load()
    found = _found(loaded, wanted)
    possible, refused = _possible(found, force, _topics_read(loaded))
    then = _since_then(loaded, possible)
    refused += [(letter, _UNKNOWN) for letter in wanted.letters.difference(map(letter_id, found))]
    left = []
    for each in possible:
        if each.letter in then.put_back and not again:
            click.echo(f"{each.letter}: put back before; --again does it once more", err=True)
        elif each.letter in then.overtaken and not force:
            refused.append((each.letter, _OVERTAKEN))
        else:
            left.append(each)
    for letter, why in sorted(refused):
        click.echo(visible(f"{letter}: not put back: {why}"), err=True)
    if dry_run:
        for each in left:
            click.echo(visible(f"{each.letter} would go back to {each.topic}-{each.partition}"))
    else:
        _put_back(loaded, left, rate)
    click.echo(f"{len(left)} record{'s' * (len(left) != 1)} {'would be ' * dry_run}put back")
    raise SystemExit(1 if refused else 0)


def _found(loaded: settings.Settings, wanted: Wanted) -> list[Message]:
    topic = f"{loaded.topic_prefix}{DEAD_LETTERS.name}"
    with TopicReader(loaded.kafka_bootstrap_servers, [topic], loaded.kafka_security) as reader:
        found = [message for message in reader.to_the_end() if wanted.has(message)]
    return sorted(found, key=lambda message: message.timestamp()[1])


def _topics_read(loaded: settings.Settings) -> set[str]:
    config = bootstrap.engine_config(loaded, Path())
    return {config.topic_name(topic) for topic in _READ}


def _possible(
    found: Iterable[Message], force: bool, topics: Collection[str]
) -> tuple[list[Replay], list[tuple[str, str]]]:
    """What can be put back, on one of ``topics``, and the other dead letters with the reason why not."""
    possible, refused = [], []
    for message in found:
        try:
            each = replay_of(message)
        except NotReplayable as why:
            refused.append((letter_id(message), str(why)))
            continue
        if each.topic not in topics:
            refused.append((each.letter, f"no worker of this deployment reads {each.topic}, where it says it lay"))
        elif each.replays >= MOST_REPLAYS and not force:
            refused.append((each.letter, f"it was put back {each.replays} times and failed again; --force tries again"))
        else:
            possible.append(each)
    return possible, refused


def _since_then(loaded: settings.Settings, replays: Sequence[Replay]) -> SinceThen:
    """What has come to the topics concerned since the records lay there."""
    put_back: set[str] = set()
    overtaken: set[str] = set()
    for topic in {each.topic for each in replays}:
        here = [each for each in replays if each.topic == topic]
        latest_counts = topic.removeprefix(loaded.topic_prefix) in _LATEST_COUNTS
        oldest = datetime.fromtimestamp(min(each.timestamp_ms for each in here) / 1000, UTC)
        with TopicReader(loaded.kafka_bootstrap_servers, [topic], loaded.kafka_security, since=oldest) as reader:
            for message in reader.to_the_end():
                put_back.update(_replay_marks(message))
                if latest_counts:
                    overtaken.update(each.letter for each in here if _overtakes(message, each))
    return SinceThen(put_back, overtaken)


def _overtakes(message: Message, replay: Replay) -> bool:
    """Whether a later record of the same key is there; what counts of a key is the latest."""
    later = (message.offset() or 0) > replay.offset and message.partition() == replay.partition
    return later and message.key() == replay.key


def _replay_marks(message: Message) -> Iterator[str]:
    return ((value or b"").decode(errors="replace") for name, value in header_pairs(message) if name == REPLAY_OF)


def _put_back(loaded: settings.Settings, replays: Sequence[Replay], rate: float) -> None:
    began = time.monotonic()
    with ExitStack() as open_writers:
        writers = {
            topic: open_writers.enter_context(TopicWriter(loaded.kafka_bootstrap_servers, topic, loaded.kafka_security))
            for topic in sorted({each.topic for each in replays})
        }
        for number, each in enumerate(replays):
            while (early := began + number / rate - time.monotonic()) > 0:
                writers[each.topic].wait(timedelta(seconds=early))
            try:
                writers[each.topic].put(
                    each.key,
                    each.value,
                    headers=each.headers,
                    partition=each.partition,
                    timestamp_ms=each.timestamp_ms,
                )
            except StreamnotifyError as error:
                raise click.ClickException(f"{error}; {number} records were handed over before {each.letter}") from None
