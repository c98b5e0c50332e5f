"""``streamnotify web``: what links in mails lead to, and the HTTP interface."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import click

from streamnotify import logs, settings
from streamnotify.errors import SettingsError
from streamnotify.render.policy import Brand
from streamnotify.stream.config import EngineConfig
from streamnotify.stream.supervisor import REFUSED, die_with_parent
from streamnotify.web.api.application import api_application
from streamnotify.web.api.event_topic import KafkaEventTopic
from streamnotify.web.api.token_file import TokenFile
from streamnotify.web.app import application
from streamnotify.web.commands import KafkaCommands
from streamnotify.web.read_model.follower import Followed, Follower
from streamnotify.web.read_model.queries import ReadModel
from streamnotify.web.read_model.schema import file_in
from streamnotify.web.server import serve
from streamnotify.web.webhooks.configured import providers_of
from streamnotify.web.webhooks.publishing import KafkaFeedbackTopic
from streamnotify.web.webhooks.routes import Webhooks


@click.command()
@click.option("--parent-fd", type=int, hidden=True, help="Pipe whose end of file means that we are to end, too.")
def command(parent_fd: int | None) -> None:
    """Serve the pages that links in mails lead to, and the HTTP interface, until SIGTERM or Ctrl-C.

    They are plain HTTP on STREAMNOTIFY_HTTP_BIND: put a proxy with TLS in front that is reached as
    STREAMNOTIFY_PUBLIC_URL. Without that there are no pages, without STREAMNOTIFY_API_TOKENS_FILE (see `streamnotify
    token`) there is no HTTP interface. Exit code 0 after a stop, 78 if settings are wrong.

    \b
    Example:
      STREAMNOTIFY_PUBLIC_URL=https://notify.example.com streamnotify web
    """
    try:
        loaded = settings.load()
        logs.configure(loaded.log_level, loaded.log_format)
        if parent_fd is not None:
            die_with_parent(parent_fd)
        _serve(loaded)
    except SettingsError as error:
        _refuse(str(error))


def _serve(loaded: settings.Settings) -> None:
    try:
        links = loaded.recipient_links
        brand = Brand(
            name=loaded.brand_name, team=loaded.brand_team, colour=loaded.brand_colour, reply_to=loaded.brand_reply_to
        )
    except ValueError as error:
        raise SettingsError(str(error)) from error
    if links is None and loaded.api_tokens_file is None:
        raise SettingsError(
            "`streamnotify web` needs STREAMNOTIFY_PUBLIC_URL and STREAMNOTIFY_SECRET, to know the links in mails, or "
            "STREAMNOTIFY_API_TOKENS_FILE, to know who may use the HTTP interface"
        )
    config = EngineConfig(
        bootstrap_servers=loaded.kafka_bootstrap_servers,
        app_id=f"{loaded.topic_prefix}{loaded.app_id}",
        data_dir=Path(),
        security=loaded.kafka_security,
        topic_prefix=loaded.topic_prefix,
    )
    read_model = ReadModel(file_in(loaded.data_dir))
    providers = providers_of(loaded)
    webhooks = Webhooks(providers, KafkaFeedbackTopic(config))
    api = None
    if loaded.api_tokens_file is not None:
        api = api_application(
            TokenFile(loaded.api_tokens_file), KafkaEventTopic(config), read_model, public_url=loaded.public_url
        )
    app = application(
        loaded.public_url, links, KafkaCommands(config), brand, read_model, api=api, webhooks=webhooks.app
    )
    followed = Followed(
        file_in(loaded.data_dir), loaded.kafka_bootstrap_servers, loaded.kafka_security, loaded.topic_prefix
    )
    on = ", ".join(provider.name for provider in providers) or "none"
    with Follower(followed):
        serve(app, loaded.http_bind.host, loaded.http_bind.port, [f"Webhooks that are on: {on}"])


def _refuse(why: str) -> NoReturn:
    click.echo(f"Error: {why}", err=True)
    raise SystemExit(REFUSED)
