"""``streamnotify web``: what mails' unsubscribe links lead to."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import click

from streamnotify import logs, settings
from streamnotify.errors import SettingsError
from streamnotify.render.policy import Brand
from streamnotify.stream.config import EngineConfig
from streamnotify.stream.supervisor import REFUSED
from streamnotify.web.app import application
from streamnotify.web.commands import KafkaCommands
from streamnotify.web.server import serve


@click.command()
def command() -> None:
    """Serve the pages that unsubscribe links in mails lead to, until SIGTERM or Ctrl-C.

    They are plain HTTP on STREAMNOTIFY_HTTP_BIND: put a proxy with TLS in front that is reached as
    STREAMNOTIFY_PUBLIC_URL. Exit code 0 after a stop, 78 if settings are wrong.

    \b
    Example:
      STREAMNOTIFY_PUBLIC_URL=https://notify.example.com streamnotify web
    """
    try:
        loaded = settings.load()
        logs.configure(loaded.log_level, loaded.log_format)
        _serve(loaded)
    except SettingsError as error:
        _refuse(str(error))


def _serve(loaded: settings.Settings) -> None:
    try:
        links = loaded.unsubscribe_links
        brand = Brand(
            name=loaded.brand_name, team=loaded.brand_team, colour=loaded.brand_colour, reply_to=loaded.brand_reply_to
        )
    except ValueError as error:
        raise SettingsError(str(error)) from error
    if links is None or loaded.public_url is None:
        raise SettingsError(
            "`streamnotify web` needs STREAMNOTIFY_PUBLIC_URL and STREAMNOTIFY_SECRET, to know the links in mails"
        )
    config = EngineConfig(
        bootstrap_servers=loaded.kafka_bootstrap_servers,
        app_id=f"{loaded.topic_prefix}{loaded.app_id}",
        data_dir=Path(),
        security=loaded.kafka_security,
        topic_prefix=loaded.topic_prefix,
    )
    app = application(loaded.public_url, links, KafkaCommands(config), brand)
    serve(app, loaded.http_bind.host, loaded.http_bind.port)


def _refuse(why: str) -> NoReturn:
    click.echo(f"Error: {why}", err=True)
    raise SystemExit(REFUSED)
