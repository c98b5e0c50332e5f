"""The query parameters that several lists share, each checked and described once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic import AfterValidator, BeforeValidator

from streamnotify.domain.alerts import Verdict
from streamnotify.domain.status import Status
from streamnotify.wire.fields import NAME_LENGTH
from streamnotify.wire.notification_status import NotificationStep

MOST = 200  # of a page


def _status(text: Any) -> Any:
    """Any letter case, and Celery's names, as in events."""
    try:
        return Status(text).value
    except ValueError:
        raise ValueError(f"one of {', '.join(Status)} is allowed") from None


def _utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


def _name(description: str, example: str) -> Any:
    return Query(max_length=NAME_LENGTH, description=description, examples=[example])


_Instant = Annotated[datetime, AfterValidator(_utc)]

Limit = Annotated[int, Query(ge=1, le=MOST, description="How many, at most.")]
Cursor = Annotated[str | None, Query(max_length=1024, description="The `next` of the page before.")]
Since = Annotated[_Instant | None, Query(description="Nothing older: RFC 3339; without a zone it is UTC.")]
Until = Annotated[_Instant | None, Query(description="Only what is older: RFC 3339; without a zone it is UTC.")]
Organization = Annotated[
    str | None,
    _name("Only of this organization; a token that is bound to one may name no other.", "org-a"),
]
TaskName = Annotated[str | None, _name("Only of this task.", "nightly-report")]
TaskId = Annotated[str | None, _name("Only about this run.", "2026-01-15")]
UserId = Annotated[str | None, _name("Only for this user.", "u-42")]
To = Annotated[str | None, _name("Only to this address, in any letter case.", "ann@example.com")]
MonitorName = Annotated[str | None, _name("Only of this monitor.", "Critical syncs")]
Kind = Annotated[str | None, _name("Only of this kind of mail.", "task_completion")]
Topic = Annotated[str | None, _name("Only of records that lay on this topic.", "task-events")]
Stage = Annotated[str | None, _name("Only those that this station could not use.", "ingest")]
RunStatus = Annotated[
    str | None,
    BeforeValidator(lambda text: text if text is None else _status(text)),
    Query(description=f"Only runs that are {', '.join(Status)}; in any letter case.", examples=["Completed"]),
]
Step = Annotated[NotificationStep | None, Query(description="Only those whose newest step is this.")]
VerdictFilter = Annotated[Verdict | None, Query(description="Only checks that came to this.")]
