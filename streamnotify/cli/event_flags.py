"""A task event from a command's flags."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import click

from streamnotify.wire.strict_json import no_constant

F = TypeVar("F", bound=Callable[..., Any])

# The flags that are a field of the event each.
_FIELDS = {
    "task_name": click.option("--task", "task_name", metavar="NAME", help="The task; makes the flags an event."),
    "status": click.option("--status", metavar="STATUS", help="Running, Completed, Stopped, …; in any letter case."),
    "task_id": click.option("--task-id", metavar="ID", help="The run.  [default: a run of its own]"),
    "user_id": click.option("--user", "user_id", metavar="ID", help="Whom to tell how it ends."),
    "organization_id": click.option("--org", "organization_id", metavar="ID", help="The organization it is about."),
    "error": click.option("--error", metavar="TEXT", help="Why it failed."),
}
# Those that are a field of its ``notify`` each.
_NOTIFY = {
    "email": click.option("--email", metavar="ADDRESS", help="Whom to tell, without --user."),
    "name": click.option("--name", metavar="NAME", help="The recipient's name."),
    "on": click.option("--on", metavar="OUTCOME", multiple=True, help="success, failure or cancelled; repeatable."),
    "template": click.option("--template", metavar="NAME", help="The mail's template."),
    "subject_template": click.option(
        "--subject", "subject_template", metavar="TEXT", help="Its subject, such as '{task_name} is {status}'."
    ),
    "urgent": click.option("--urgent", is_flag=True, default=None, help="The mail never waits for a digest."),
}
_OTHERS = {
    "context_type": click.option("--context-type", metavar="TYPE", help="What the run works on."),
    "notify": click.option(
        "--notify/--silent", default=None, help="Whether somebody is told.  [default: with --user, or one of these]"
    ),
    "results": click.option(
        "--result", "results", metavar="KEY=VALUE", multiple=True, help="A key of the result; repeatable."
    ),
}


def event_flags(command: F) -> F:
    """Gives a command the flags; it gets them as keyword arguments, for :func:`event_of`."""
    for option in reversed([*_FIELDS.values(), *_NOTIFY.values(), *_OTHERS.values()]):
        command = option(command)
    return command


def event_of(flags: Mapping[str, Any]) -> dict[str, Any] | None:
    """The event that the flags say, or None if none was given.

    Raises:
        click.UsageError: if they make none.
    """
    if all(given is None or given == () for given in flags.values()):
        return None
    for name, flag in (("task_name", "--task"), ("status", "--status")):
        if flags[name] is None:
            raise click.UsageError(f"an event from flags needs {flag}")
    event = {name: flags[name] for name in _FIELDS if flags[name] is not None}
    if flags["context_type"] is not None:
        event["context"] = {"type": flags["context_type"]}
    notify = {name: flags[name] for name in _NOTIFY if flags[name]}
    told = bool(notify) or flags["user_id"] is not None
    if told if flags["notify"] is None else flags["notify"]:
        event["notify"] = notify or True
    if flags["results"]:
        event["result"] = _result(flags["results"])
    return event


def _result(pairs: Iterable[str]) -> dict[str, Any]:
    """``total=10`` is a number, as anything that is JSON; the rest is text."""
    result: dict[str, Any] = {}
    for pair in pairs:
        key, separator, text = pair.partition("=")
        if not key or not separator:
            raise click.UsageError(f"--result: KEY=VALUE is allowed, not {pair}")
        if key in result:
            raise click.UsageError(f"--result: {key} is there twice")
        try:
            result[key] = json.loads(text, parse_constant=no_constant)
        except (ValueError, RecursionError):
            result[key] = text
    return result
