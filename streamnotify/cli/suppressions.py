"""``streamnotify suppressions``: the addresses that get no mail, and why."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from email_validator import EmailNotValidError

from streamnotify import bootstrap, settings
from streamnotify.cli.feedback import publish_feedback
from streamnotify.domain.feedback import FeedbackEvent
from streamnotify.domain.suppression import AddressHistory, suppression
from streamnotify.logs import visible
from streamnotify.stations.suppression import ADDRESS, KEEPER, POLICY
from streamnotify.stream.topic_reader import TopicReader
from streamnotify.wire.addresses import ascii_address
from streamnotify.wire.feedback import NotificationFeedback
from streamnotify.wire.fields import NAME_LENGTH, TEXT_LENGTH

_organization = click.option("--organization", metavar="ID", help="Only mails of this organization.")


class Address(click.ParamType):
    """An e-mail address, normalised."""

    name = "address"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """See click."""
        try:
            return ascii_address(value)
        except EmailNotValidError as error:
            self.fail(str(error), param, ctx)


@click.group()
def command() -> None:
    """Show and change the addresses that get no mail.

    \b
    Example:
      streamnotify suppressions list
      streamnotify suppressions remove ann@example.com
    """


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def list_(as_json: bool) -> None:
    """List the addresses that get no mail now, by what the workers have written down in their changelog.

    Exit code 0 whether there are any or not, 1 if Kafka does not answer.

    \b
    Example:
      streamnotify suppressions list --json
    """
    now = datetime.now(UTC)
    found = [line for history in _histories(settings.load()) if (line := _line(history, now)) is not None]
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for line in found:
        whose = f" (organization {line['organization_id']})" if line["organization_id"] else ""
        until = f"until {line['until']}" if line["until"] else "for good"
        said = f": {line['detail']}" if line["detail"] else ""
        by = f" by {line['source']}" if line["source"] else ""
        click.echo(visible(f"{line['address']}{whose}  {line['cause']}{by}, since {line['since']}, {until}{said}"))
    click.echo("1 address gets no mail" if len(found) == 1 else f"{len(found)} addresses get no mail")


@command.command()
@click.argument("address", type=Address())
@_organization
@click.option("--reason", help="Kept with it and shown by `list`.")
def add(address: str, organization: str | None, reason: str | None) -> None:
    """Let no mail go to ADDRESS any more, until it is removed here.

    \b
    Example:
      streamnotify suppressions add ann@example.com --reason "asked by phone"
    """
    _publish(FeedbackEvent.SUPPRESSED, address, organization, reason)
    click.echo(f"No mail goes to {address} once a worker has read this")


@command.command()
@click.argument("address", type=Address())
@_organization
def remove(address: str, organization: str | None) -> None:
    """Let mail go to ADDRESS again: whatever was held against it until now is forgotten, complaints too.

    What is held against it for one organization only is removed with --organization.

    \b
    Example:
      streamnotify suppressions remove ann@example.com
    """
    _publish(FeedbackEvent.UNSUPPRESSED, address, organization, None)
    click.echo(f"Mail goes to {address} again once a worker has read this")


def _publish(event: FeedbackEvent, address: str, organization: str | None, reason: str | None) -> None:
    if len(organization or "") > NAME_LENGTH or len(reason or "") > TEXT_LENGTH:
        raise click.UsageError(f"at most {NAME_LENGTH} characters for --organization, {TEXT_LENGTH} for --reason")
    feedback = NotificationFeedback(
        event=event, email=address, organization_id=organization, detail=reason, source="operator"
    )
    publish_feedback(settings.load(), [feedback])


def _histories(loaded: settings.Settings) -> list[AddressHistory]:
    """What is held against every address, from the changelog, whose latest row of a key is the state."""
    topic = bootstrap.engine_config(loaded, Path()).changelog_name(KEEPER)
    rows: dict[bytes, bytes] = {}
    with TopicReader(loaded.kafka_bootstrap_servers, [topic], loaded.kafka_security) as reader:
        for message in reader.to_the_end():
            key, value = message.key(), message.value()
            if not isinstance(key, bytes) or not key.startswith(ADDRESS.kind):
                continue
            if isinstance(value, bytes):
                rows[key] = value
            else:
                rows.pop(key, None)
    histories = map(ADDRESS.decode, rows.values())
    return sorted(histories, key=lambda history: (history.address, history.organization_id or ""))


def _line(history: AddressHistory, now: datetime) -> dict[str, Any] | None:
    found = suppression(history, now, POLICY)
    if found is None:
        return None
    return {
        "address": history.address,
        "organization_id": history.organization_id,
        "cause": found.cause.value,
        "since": found.since.isoformat(timespec="seconds"),
        "until": found.until.isoformat(timespec="seconds") if found.until else None,
        "source": found.source,
        "detail": found.detail,
    }
