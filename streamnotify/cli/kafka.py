"""``streamnotify kafka``: the embedded broker, and Kafka's own console tools."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NoReturn

import click

from streamnotify import settings
from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.devtools.kafka.console import Console
from streamnotify.devtools.kafka.data_dir import DataDir
from streamnotify.devtools.kafka.download import KAFKA_VERSION, default_distribution, say
from streamnotify.devtools.kafka.errors import AlreadyRunning
from streamnotify.devtools.kafka.readiness import is_ready

_LOCAL = ("localhost", "127.0.0.1")
_PASS_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False}

_data_dir = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where its records are kept.  [default: STREAMNOTIFY_DATA_DIR/kafka]",
)


@click.group()
def command() -> None:
    """Run an embedded Kafka on this machine, and Kafka's own console tools on any Kafka.

    \b
    Example:
      streamnotify kafka start
      streamnotify topics apply
      echo '{"task_name": "nightly-report", "status": "Completed"}' | streamnotify kafka produce task-events
      streamnotify kafka consume notification-status --from-beginning
    """


@command.command()
@click.option("--port", type=click.IntRange(1, 65535), help="[default: that of KAFKA_BOOTSTRAP_SERVERS]")
@_data_dir
def start(port: int | None, data_dir: Path | None) -> None:
    """Start the broker in the background and wait until it is ready.

    Nothing happens if it is running already. Its records survive a stop.

    \b
    Example:
      streamnotify kafka start --port 9092
    """
    loaded = settings.load()
    place = DataDir(_directory(data_dir, loaded))
    broker = EmbeddedKafka(port=port or _own_port(loaded), data_dir=place.path, detached=True)
    say(f"Starting Apache Kafka {KAFKA_VERSION} …")
    try:
        broker.start()
    except AlreadyRunning:
        click.echo(f"Kafka is already running on {broker.bootstrap_servers}; its data is in {place.path}")
    else:
        click.echo(f"Kafka is ready on {broker.bootstrap_servers}; its data and log are in {place.path}")


@command.command()
@_data_dir
def stop(data_dir: Path | None) -> None:
    """Stop the broker; its records stay. Nothing happens if it is not running.

    \b
    Example:
      streamnotify kafka stop
    """
    stopped = DataDir(_directory(data_dir, settings.load())).stop()
    click.echo("Kafka is stopped" if stopped else "Kafka was not running")


@command.command()
@_data_dir
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def status(data_dir: Path | None, as_json: bool) -> None:
    """Show whether the broker is running and ready; the exit code is 0 if it is, else 1.

    \b
    Example:
      streamnotify kafka status --json
    """
    place = DataDir(_directory(data_dir, settings.load()))
    record = place.running()
    ready = record is not None and is_ready(record.bootstrap_servers, place.cluster_id())
    if as_json:
        shown = {
            "running": record is not None,
            "ready": ready,
            "bootstrap_servers": record.bootstrap_servers if record else None,
            "pid": record.pid if record else None,
            "data_dir": str(place.path),
            "log": str(place.log),
        }
        click.echo(json.dumps(shown))
    elif record is None:
        click.echo(f"Kafka is not running; its data would be in {place.path}")
    else:
        state = "ready" if ready else "running but not ready"
        where = f"on {record.bootstrap_servers} (process {record.pid})"
        click.echo(f"Kafka is {state} {where}; its data is in {place.path}")
    raise SystemExit(0 if ready else 1)


@command.command(context_settings=_PASS_ON)
@click.argument("topic")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def produce(topic: str, options: tuple[str, ...]) -> None:
    """Publish each line of standard input to TOPIC with Kafka's own console producer.

    A line for monitor-configs, users or user-preferences is KEY|VALUE, and KEY|null deletes the key. OPTIONS are the
    console producer's own, such as `--reader-property parse.headers=true`; `-- --help` shows them.

    \b
    Example:
      echo '{"task_name": "nightly-report", "status": "Completed"}' | streamnotify kafka produce task-events
      echo 'u1|{"email": "ann@example.com"}' | streamnotify kafka produce users
    """
    console = _console()
    _become(console.producer(console.topic(topic), options))


@command.command(context_settings=_PASS_ON)
@click.argument("topic")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def consume(topic: str, options: tuple[str, ...]) -> None:
    """Print the records of TOPIC with Kafka's own console consumer, new ones as they come, until Ctrl-C.

    Those of monitor-configs, users and user-preferences are shown as KEY|VALUE. OPTIONS are the console consumer's
    own, such as `--from-beginning` and `--max-messages 10`; `-- --help` shows them.

    \b
    Example:
      streamnotify kafka consume notification-status --from-beginning
      streamnotify kafka consume dead-letters --from-beginning --formatter-property print.headers=true
    """
    console = _console()
    _become(console.consumer(console.topic(topic), options))


def _console() -> Console:
    loaded = settings.load()
    libs = default_distribution().libs()
    return Console(libs, loaded.kafka_bootstrap_servers, loaded.topic_prefix, loaded.kafka_security)


def _become(arguments: list[str]) -> NoReturn:
    """Replace this process, so that Ctrl-C, pipes and the exit code are the tool's own."""
    os.execv(arguments[0], arguments)  # noqa: S606  # no shell is wanted


def _directory(given: Path | None, loaded: settings.Settings) -> Path:
    return given or loaded.data_dir / "kafka"


def _own_port(loaded: settings.Settings) -> int:
    host, _, port = loaded.kafka_bootstrap_servers.rpartition(":")
    if host not in _LOCAL:
        raise click.ClickException(
            f"KAFKA_BOOTSTRAP_SERVERS is {loaded.kafka_bootstrap_servers}, and the embedded broker only listens on "
            "127.0.0.1: leave it out, or give --port"
        )
    return int(port)
