"""Events that a program posts: looked at as ingest does, kept to the caller's organization, then all published."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import msgspec

from streamnotify.stations.written_events import WrittenEvent, encoded, look_at
from streamnotify.web.api.problems import FieldError, Problem
from streamnotify.web.api.tokens import Token
from streamnotify.web.read_model.queries import ReadModel
from streamnotify.wire.reading import MAX_RECORD_BYTES

MOST_EVENTS = 1000  # of a request
_MOST_SHOWN = 200  # characters of a field's path
_NO_ENVELOPE = "a CloudEvent is not taken here: post what is in its data"


class Published(msgspec.Struct, frozen=True):
    """An event that was published. ``task_id`` and ``event_id`` are its own, or made where it has none."""

    task_name: str
    task_id: str
    event_id: str


class Accepted(msgspec.Struct, frozen=True):
    """What was published, in the order it was posted; ``warnings`` says what has no effect."""

    events: tuple[Published, ...]
    warnings: tuple[FieldError, ...] = ()


class Posted(msgspec.Struct, frozen=True):
    """What is to be published (task_id, event as JSON), and what is then answered."""

    records: tuple[tuple[str, bytes], ...]
    accepted: Accepted


def posted(body: Any, caller: Token, model: ReadModel) -> Posted:
    """The events of a request's body.

    Args:
        body: an event or a list of events, as JSON has them.
        caller: who publishes. Without an organization an event gets the caller's.
        model: knows whose runs there are: what a run of others says, and its mail, is not to be had by an event about
            it. Of one that has only just begun it may not know.

    Raises:
        Problem: 422 naming every field that is wrong, 403 every event that is another organization's.
    """
    written = [look_at(place, record) for place, record in _records(body)]
    wrong = [error for each in written for error in _errors(each)]
    if wrong:
        raise Problem(422, "nothing was published: something is wrong", wrong)
    foreign = [error for each in written for error in _foreign(each, caller, model)]
    if foreign:
        raise Problem(403, "nothing was published: the token is bound to another organization", foreign)
    completed = [_completed(each, caller) for each in written]
    records = tuple((published.task_id, value) for published, value in completed)
    too_large = [each for each, (_, value) in zip(written, records, strict=True) if len(value) > MAX_RECORD_BYTES]
    if too_large:
        reason = f"at most {MAX_RECORD_BYTES} bytes are allowed"
        raise Problem(422, "nothing was published: something is wrong", [FieldError(too_large[0].place, reason)])
    warnings = tuple(_at(each.place, *warning.partition(": ")[::2]) for each in written for warning in each.warnings)
    return Posted(records, Accepted(tuple(published for published, _ in completed), warnings))


def _records(body: Any) -> Iterator[tuple[str, Any]]:
    """Each with its place in the body."""
    if not isinstance(body, list):
        return iter([("", body)])
    if not 1 <= len(body) <= MOST_EVENTS:
        reason = f"1 to {MOST_EVENTS} events are allowed, not {len(body)}"
        raise Problem(422, "nothing was published: something is wrong", [FieldError("", reason)])
    return ((f"[{number}]", each) for number, each in enumerate(body))


def _errors(event: WrittenEvent) -> Iterator[FieldError]:
    if event.in_cloudevent:
        yield _at(event.place, "specversion", _NO_ENVELOPE)
    for problem in event.problems:
        yield _at(event.place, problem.field or "", problem.reason)


def _foreign(event: WrittenEvent, caller: Token, model: ReadModel) -> Iterator[FieldError]:
    own = caller.organization_id
    if own is None:
        return
    if event.organization_id not in (None, own):
        yield _at(event.place, "organization_id", f"only {own} is allowed, which may be left out")
    if event.task_id is not None:
        known = model.run(event.task_id, organization=None, task_name=event.task_name)
        if known is not None and known.organization_id != own:
            yield _at(event.place, "task_id", f"this run is not organization {own}'s")


def _completed(event: WrittenEvent, caller: Token) -> tuple[Published, bytes]:
    """With the ids and the organization that it lacks."""
    record = dict(event.record)
    task_id = event.task_id or str(uuid.uuid4())
    event_id = record.get("event_id") or str(uuid.uuid4())
    record |= {"task_id": task_id, "event_id": event_id}
    if caller.organization_id is not None:
        record["organization_id"] = caller.organization_id
    return Published(event.task_name or "", task_id, str(event_id)), encoded(record)


def _at(place: str, field: str, reason: str) -> FieldError:
    path = f"{place}.{field}" if place and field else place or field
    return FieldError(path[:_MOST_SHOWN], reason)
