"""The failure of a chord: its body never runs, so nothing else would tell about it (R11)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from celery.app.task import Context as Request

from streamnotify.celery import headers
from streamnotify.celery.events import Kind, Seen, event_of
from streamnotify.celery.mail_options import mail_options
from streamnotify.sdk.event import ErrorInfo, TaskEvent


def body_failures(member: Seen, error: ErrorInfo, now: datetime) -> Iterator[TaskEvent]:
    """The events that a chord's body is stopped because ``member`` failed, and those of the chords around it.

    None if the failed task is no chord's member, or the body did not ask for it (``on_chord_error=True``). All members
    give the event one id, so it is one mail however many fail.
    """
    body = _body(member.request)
    while body:
        event = _body_failure(member, body, error, now)
        if event is not None:
            yield event
        body = body.get("options", {}).get("chord")  # of which this chord is a member


def _body_failure(member: Seen, body: Mapping[str, Any], error: ErrorInfo, now: datetime) -> TaskEvent | None:
    task_id = body.get("options", {}).get("task_id")
    task = member.installed.app.tasks.get(body.get("task"))
    options = mail_options(task)
    if task_id is None or options is None or not options.on_chord_error:
        return None
    message = f"chord member {member.task_name} failed: {error.message}"
    # As the body would have been published: with its own headers, and else those of the member.
    given: dict[str, Any] = dict(body["options"].get("headers") or {})
    keys = member.installed.tenant_keys
    headers.propagate(given, body.get("kwargs"), parent=member.request, keys=keys, now=now)
    del given[headers.SENT]  # but it was not
    request = Request(given, id=task_id, args=body.get("args"), kwargs=body.get("kwargs"))
    return event_of(
        Seen(member.installed, task.name, request, task),
        Kind.FAILED,
        now,
        error=ErrorInfo(type=error.type, message=message, cause=error.cause),
    )


def _body(request: Request) -> Mapping[str, Any]:
    """The signature of the chord's body, on its member, or on the last task of a chain that is a member."""
    body = request.chord
    if body is None and request.chain:
        body = request.chain[0].get("options", {}).get("chord")  # the chain's rest, in reverse
    return body if isinstance(body, Mapping) else {}
