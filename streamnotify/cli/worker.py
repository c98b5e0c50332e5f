"""``streamnotify worker``: the supervisor of an engine process, or the engine itself."""

from __future__ import annotations

import functools
import os
import sys

import click

from streamnotify import logs, settings
from streamnotify.errors import SettingsError
from streamnotify.stream.standing_in import standing_in
from streamnotify.stream.supervisor import REFUSED, die_with_parent, supervise


@click.command()
@click.option("--apply-topics", is_flag=True, help="Create and correct the topics first, as `topics apply` does.")
@click.option("--no-supervise", is_flag=True, help="Run the engine in this process and end when it ends.")
@click.option("--parent-fd", type=int, hidden=True, help="Pipe whose end of file means that we are to end, too.")
def command(apply_topics: bool, no_supervise: bool, parent_fd: int | None) -> None:
    """Read the stream and send the mails, until SIGTERM or Ctrl-C; a second one ends it at once.

    The engine runs in a process of its own, which is started again when it ends, after 1 to 60 seconds. Exit code 0
    after a stop, 78 if settings, topics or state are wrong. With --no-supervise also 70 if the engine failed.

    \b
    Example:
      streamnotify worker --apply-topics
    """
    try:
        loaded = settings.load()
    except SettingsError as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(REFUSED) from None
    argv = [sys.executable, "-m", "streamnotify.cli.engine", *(["--apply-topics"] if apply_topics else [])]
    if no_supervise:
        os.execv(argv[0], argv)  # noqa: S606 - our own interpreter and module
    logs.configure(loaded.log_level, loaded.log_format)
    if parent_fd is not None:
        die_with_parent(parent_fd)
    meanwhile = functools.partial(standing_in, loaded.health_bind.host, loaded.health_bind.port)
    raise SystemExit(supervise(argv, meanwhile=meanwhile))
