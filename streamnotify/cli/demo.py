"""``streamnotify demo``: everything at work on this machine."""

from __future__ import annotations

import signal

import click

from streamnotify.devtools import demo


@click.command()
@click.option("--once", is_flag=True, help="End as soon as everything has arrived.")
def command(once: bool) -> None:
    """Start Kafka, an inbox and a worker, publish a monitor and four events, show what they become; until Ctrl-C.

    Exit code 0 if everything arrived, else 1.

    \b
    Example:
      streamnotify demo --once
    """
    for number in (signal.SIGTERM, signal.SIGINT):  # the latter too: a script's background job begins with it ignored
        signal.signal(number, signal.default_int_handler)
    try:
        demo.run(once=once, say=click.echo)
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        raise SystemExit(130) from None
