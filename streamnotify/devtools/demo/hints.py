"""What a person can look at and try while the demo stays."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from streamnotify.devtools.demo.set_up import KAFKA_PORT
from streamnotify.devtools.demo.stage import Addresses

EVENT_TO_TRY = '{"task_name": "my-task", "status": "Completed", "notify": {"email": "me@example.com"}}'


def where_to_look(at: Addresses, unsubscribe_link: str) -> str:
    """What there is, and with which commands, to be typed in another terminal.

    Args:
        at: where everything is reached.
        unsubscribe_link: of Carol's digest.
    """
    elsewhere = "" if at.kafka.endswith(f":{KAFKA_PORT}") else f"KAFKA_BOOTSTRAP_SERVERS={at.kafka} "
    command = f"{elsewhere}{_command()}"
    return f"""
4 · Your turn. Open Carol's digest in the inbox and press its unsubscribe link:
  {unsubscribe_link}

Look at
  the mails       {at.inbox}
  the HTTP API    {at.web}/api/openapi.json
  the metrics     {at.metrics}
  what happened   {command} why --to carol@example.com
  her mailbox     {command} mailbox show carol@example.com
  the monitors    {command} monitor list
  the runs        {command} runs price-feed
  dead letters    {command} dead-letters list
  the topics      {command} kafka consume notification-status --from-beginning

Send an event yourself, from another terminal:
  echo '{EVENT_TO_TRY}' | {command} kafka produce task-events
  {command} emit --task my-task --status Stopped --error "out of disk" --email me@example.com
  curl -sS {at.web}/api/task-events -H 'Authorization: Bearer {at.token}' \\
    -H 'Content-Type: application/json' -d '{EVENT_TO_TRY}'

Ctrl-C ends everything."""


def _command() -> str:
    """How a person at this terminal calls the command that we are part of."""
    script = Path(sys.executable).with_name("streamnotify")
    if not script.exists():
        return f"{sys.executable} -m streamnotify"
    if (found := shutil.which("streamnotify")) and Path(found) == script:
        return "streamnotify"
    return str(script.relative_to(Path.cwd()) if script.is_relative_to(Path.cwd()) else script)
