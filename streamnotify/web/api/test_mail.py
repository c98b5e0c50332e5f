"""The mail by which somebody sees that mails arrive: a run of its own, told to the caller."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from streamnotify.domain.status import Status
from streamnotify.stations.written_events import encoded
from streamnotify.web.api.problems import FieldError, Problem
from streamnotify.web.api.tokens import Token
from streamnotify.wire.reading import problems, read_json

TASK_NAME = "email_notification_test"
MOST_BYTES = 16 * 1024
MESSAGE_LENGTH = 1000  # characters


class TestMailRequest(BaseModel):
    """What the mail says. Other fields are passed over."""

    model_config = ConfigDict(strict=True)

    message: Annotated[str, Field(max_length=MESSAGE_LENGTH, description="Shown in the mail.")] = (
        "Testing email notifications"
    )


def run_of(body: Any, caller: Token) -> tuple[str, bytes]:
    """The run that brings the mail: its task_id, and its event as JSON.

    The recipient is the caller's user as the directory has it, else the caller's own address (SPEC section 4). It is
    urgent: a test that waits for a digest would say nothing.

    Raises:
        Problem: 422 if the request is wrong, 409 if the token names nobody.
    """
    value = encoded(body)
    wrong = problems(TestMailRequest, value, "the body", one="request")
    if wrong:
        raise Problem(422, "no mail is sent", [FieldError(each.field or "", each.reason) for each in wrong])
    if caller.user_id is None and caller.email is None:
        raise Problem(409, "the token names nobody to write to: give it a user_id or an email")
    task_id = str(uuid.uuid4())
    notify = {"template": "task_completion", "email": caller.email, "name": caller.person, "urgent": True}
    event = {
        "task_name": TASK_NAME,
        "task_id": task_id,
        "event_id": str(uuid.uuid4()),
        "status": Status.COMPLETED,
        "organization_id": caller.organization_id,
        "user_id": caller.user_id,
        "notify": {name: value for name, value in notify.items() if value is not None},
        "result": {"test_message": read_json(TestMailRequest, value, "the body").message},
        "source": "streamnotify web",
    }
    return task_id, encoded({name: value for name, value in event.items() if value is not None})
