"""``streamnotify feedback``: what mail servers report about our mails, onto ``notification-feedback``."""

from __future__ import annotations

from typing import BinaryIO

import click

from streamnotify import settings
from streamnotify.cli.exit_codes import EXIT_SETTINGS, EXIT_TRY_AGAIN
from streamnotify.errors import EngineFailure, SettingsError, TopicsError
from streamnotify.logs import visible
from streamnotify.stream.topic_writer import publish
from streamnotify.wire.dsn import MAX_BYTES, NoDeliveryStatus, feedback_of
from streamnotify.wire.feedback import NotificationFeedback
from streamnotify.wire.topics import NOTIFICATION_FEEDBACK

EXIT_NO_DSN = 65  # EX_DATAERR: to a mail server final, while after those of exit_codes it keeps the mail


@click.group()
def command() -> None:
    """Take in what mail servers report about our mails.

    \b
    Example:
      streamnotify feedback dsn bounce.eml
    """


@command.command()
@click.argument("file", type=click.File("rb"))
@click.option("--dry-run", is_flag=True, help="Only print the events, one JSON object per line.")
def dsn(file: BinaryIO, dry_run: bool) -> None:
    """Publish what a delivery status notification (RFC 3464) says. FILE is the whole mail; - is standard input.

    Exit code 0 if it was published, 65 if the mail is no such report, 75 if Kafka did not take it, 78 if a setting is
    wrong: a mail server that pipes its bounces in here keeps those that could not be published yet.

    \b
    Example:
      streamnotify feedback dsn --dry-run bounce.eml
    """
    try:
        events = feedback_of(file.read(MAX_BYTES + 1))
    except NoDeliveryStatus as error:
        click.echo(f"Error: no delivery status notification: {error}", err=True)
        raise SystemExit(EXIT_NO_DSN) from None
    if not dry_run:
        _publish_or_exit(events)
    for event in events:
        if dry_run:
            click.echo(_json(event).decode())
        else:
            said = f" ({event.detail})" if event.detail else ""
            about = event.email or event.notification or event.message_id
            click.echo(visible(f"{event.event.value}: {about}{said}"))


def publish_feedback(loaded: settings.Settings, events: list[NotificationFeedback]) -> None:
    """Put events on ``notification-feedback``, keyed by address, else by notification.

    Raises:
        EngineFailure: if Kafka did not take them.
        TopicsError: if there is no such topic.
    """
    topic = f"{loaded.topic_prefix}{NOTIFICATION_FEEDBACK.name}"
    records = [(event.key, _json(event)) for event in events]
    publish(loaded.kafka_bootstrap_servers, topic, records, loaded.kafka_security)


def _publish_or_exit(events: list[NotificationFeedback]) -> None:
    try:
        publish_feedback(settings.load(), events)
    except SettingsError as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(EXIT_SETTINGS) from None
    except (EngineFailure, TopicsError) as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(EXIT_TRY_AGAIN) from None


def _json(event: NotificationFeedback) -> bytes:
    return NOTIFICATION_FEEDBACK.encode(event)
