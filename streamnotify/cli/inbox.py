"""``streamnotify inbox``: a mail relay and mailbox in one, for trying things out."""

from __future__ import annotations

import signal
import threading

import click

from streamnotify.devtools.inbox import HOST, Inbox, PortRefused

_PORT = click.IntRange(0, 65535)


@click.command()
@click.option(
    "--smtp-port", type=_PORT, default=1025, show_default=True, metavar="PORT", help="Of the relay; 0: any free one."
)
@click.option(
    "--http-port", type=_PORT, default=8025, show_default=True, metavar="PORT", help="Of the page; 0: any free one."
)
def command(smtp_port: int, http_port: int) -> None:
    """Take every mail in, deliver none, and show them on a page, until Ctrl-C. They are forgotten then.

    It listens on 127.0.0.1 only, and prints the address of the page and the settings that send mails here. Exit code 0
    after a stop, 1 if a port cannot be used.

    \b
    Example:
      streamnotify inbox
      export SMTP_HOST=127.0.0.1 SMTP_PORT=1025 SMTP_TLS=none SMTP_FROM=noreply@example.com    # in another terminal
      streamnotify send-test ann@example.com
    """
    for number in (signal.SIGTERM, signal.SIGINT):  # the latter too: a script's background job begins with it ignored
        signal.signal(number, signal.default_int_handler)
    try:
        with Inbox(smtp_port, http_port) as inbox:
            click.echo(f"Mails are shown on {inbox.url} until Ctrl-C. These settings send them there:\n")
            click.echo(f"SMTP_HOST={HOST}\nSMTP_PORT={inbox.smtp_port}\nSMTP_TLS=none\nSMTP_FROM=noreply@example.com")
            threading.Event().wait()
    except PortRefused as error:
        raise click.ClickException(f"{error}; --smtp-port and --http-port name others") from None
    except KeyboardInterrupt:
        return
