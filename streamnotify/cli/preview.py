"""``streamnotify preview``: what the mails look like, as pages to open in a browser."""

from __future__ import annotations

from pathlib import Path

import click

from streamnotify import bootstrap, settings
from streamnotify.devtools.gallery import Exhibit, write_gallery
from streamnotify.errors import SettingsError


@click.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), default=Path("preview"))
def command(directory: Path) -> None:
    """Write every template with every sample into DIRECTORY (preview) and check each mail.

    Open its index.html: HTML on a desktop and a phone, light and dark, the text, the headers, the size and what the
    lint says. Templates and brands are those of STREAMNOTIFY_TEMPLATE_DIR and STREAMNOTIFY_BRAND_*, organizations
    included. Nothing is sent, and Kafka is not needed.

    Exit code 0 if all is well, 1 if a mail has a fault.

    \b
    Example:
      STREAMNOTIFY_TEMPLATE_DIR=templates streamnotify preview mails
    """
    loaded = settings.load()
    renderer = bootstrap.preview_renderer(loaded)
    try:
        exhibits = write_gallery(renderer, directory)
    except OSError as error:
        raise SettingsError(f"{directory} cannot be written: {error}") from error
    for exhibit in exhibits:
        _say(exhibit)
    if loaded.frontend_url is None:
        click.secho(f"FRONTEND_URL is not set: links lead to {bootstrap.EXAMPLE_FRONTEND} here", fg="yellow", err=True)
    faulty = sum(bool(exhibit.faults) for exhibit in exhibits)
    click.echo(f"{len(exhibits)} mails, {faulty} with faults: {directory / 'index.html'}")
    raise SystemExit(1 if faulty else 0)


def _say(exhibit: Exhibit) -> None:
    for fault in exhibit.faults:
        click.secho(f"{exhibit.title}: {fault}", fg="red", err=True)
