"""``streamnotify demo``: everything at work on this machine."""

from __future__ import annotations

import signal

import click

from streamnotify.devtools.demo import show


@click.command()
@click.option("--once", is_flag=True, help="Press the unsubscribe button, too, and end.")
def command(once: bool) -> None:
    """Start Kafka, an inbox, the worker and the web process, and show what they do; then stay, until Ctrl-C.

    Tasks end and mail their owners, monitors alert and give the all-clear, a flood becomes a digest, and somebody
    unsubscribes. Exit code 0 if everything came as it should, else 1 and the reason.

    \b
    Example:
      streamnotify demo --once
    """
    for number in (signal.SIGTERM, signal.SIGINT):  # the latter too: a script's background job begins with it ignored
        signal.signal(number, signal.default_int_handler)
    try:
        show.run(once=once, say=click.echo)
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        raise SystemExit(130) from None
