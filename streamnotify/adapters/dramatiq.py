"""Dramatiq: ``broker.add_middleware(TaskEvents())`` publishes what becomes of every message.

Whom to tell stands in the options ``organization_id``, ``user_id`` and ``notify`` (SPEC 2.1) of a message, else of its
actor.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from dramatiq import Broker, Message, MessageProxy, Middleware
from dramatiq.middleware import Shutdown, TimeLimitExceeded

from streamnotify.adapters.attempt import Attempt, error_of
from streamnotify.adapters.guarding import guarded
from streamnotify.adapters.opting_in import id_in, notify_of
from streamnotify.domain.status import Status
from streamnotify.sdk.api import default_publisher
from streamnotify.sdk.event import ErrorInfo, TaskEvent


class _Processing:
    """What is known of a message that this worker is processing, kept on it until it is acknowledged."""

    def __init__(self, broker: Broker, message: Message[Any] | MessageProxy) -> None:
        self.attempt = Attempt(_event(broker, message))
        self.retries = _retries(message)
        self.skipped = False
        self.result: Any = None
        self.exception: BaseException | None = None

    @classmethod
    def of(cls, message: MessageProxy) -> _Processing | None:
        return vars(message).get("streamnotify")


class TaskEvents(Middleware):
    """It may stand anywhere among the others: it speaks once a message is acknowledged and all have decided."""

    @property
    def actor_options(self) -> set[str]:
        """What an actor may say."""
        return {"organization_id", "user_id", "notify"}

    @guarded
    def after_enqueue(self, broker: Broker, message: Message[Any], delay: int) -> None:
        """Pending; a retry is the next attempt, in the queue again."""
        default_publisher().publish(_event(broker, message))

    @guarded
    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
        """Running."""
        processing = vars(message)["streamnotify"] = _Processing(broker, message)
        processing.attempt.begin()

    @guarded
    def after_process_message(
        self, broker: Broker, message: MessageProxy, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        """Over, but only the middleware that retries knows what follows."""
        if processing := _Processing.of(message):
            processing.attempt.over()
            processing.result, processing.exception = result, exception

    @guarded
    def after_skip_message(self, broker: Broker, message: MessageProxy) -> None:
        """It was too old, or another middleware did not want it."""
        processing = vars(message).setdefault("streamnotify", _Processing(broker, message))
        processing.skipped = True

    @guarded
    def after_ack(self, broker: Broker, message: MessageProxy) -> None:
        """Completed or Cancelled; or Stopped, with an attempt to come if there is one retry more than before."""
        if processing := _Processing.of(message):
            _tell_end(broker, message, processing)

    @guarded
    def after_nack(self, broker: Broker, message: MessageProxy) -> None:
        """Stopped for good; without having been processed, for want of its actor."""
        if processing := _Processing.of(message):
            _tell_end(broker, message, processing)
        else:
            error = ErrorInfo(message=f"There is no actor {message.actor_name}.", cause="unregistered")
            Attempt(_event(broker, message)).end(Status.STOPPED, error=error)


def _tell_end(broker: Broker, message: MessageProxy, processing: _Processing) -> None:
    attempt, exception = processing.attempt, processing.exception
    if processing.skipped:
        attempt.end(Status.CANCELLED)
    elif exception is None:
        attempt.end(Status.COMPLETED, result=processing.result)
    else:
        attempt.end(
            Status.STOPPED,
            error=error_of(exception, _cause(exception)),
            final=message.failed or _retries(message) == processing.retries,
            expected=_is_expected(broker, message, exception) or None,
        )


def _cause(exception: BaseException) -> str:
    if isinstance(exception, TimeLimitExceeded):
        return "time_limit"
    return "shutdown" if isinstance(exception, Shutdown) else "exception"


def _is_expected(broker: Broker, message: MessageProxy, exception: BaseException) -> bool:
    return isinstance(exception, _options(broker, message).get("throws") or ())


def _event(broker: Broker, message: Message[Any] | MessageProxy) -> TaskEvent:
    options, retries = _options(broker, message), _retries(message)
    most = options.get("max_retries")
    return TaskEvent(
        task_name=message.actor_name,
        task_id=message.message_id,
        status=Status.QUEUED if retries else Status.PENDING,
        attempt=retries + 1,
        max_attempts=None if most is None else most + 1,
        submitted_at=datetime.fromtimestamp(message.message_timestamp / 1000, UTC),
        notify=notify_of(options.get("notify")),
        organization_id=id_in(options, "organization_id"),
        user_id=id_in(options, "user_id"),
    )


def _retries(message: Message[Any] | MessageProxy) -> int:
    return int(message.options.get("retries", 0))


def _options(broker: Broker, message: Message[Any] | MessageProxy) -> dict[str, Any]:
    actor = broker.actors.get(message.actor_name)  # None where only messages are sent
    return {**(actor.options if actor else {}), **message.options}
