"""The examples of every public topic: those in ``schemas/``, in the AsyncAPI document and in the docs."""

from __future__ import annotations

from streamnotify.wire import example_inputs, example_outputs, topics
from streamnotify.wire.example import Example

EXAMPLES: dict[str, tuple[Example, ...]] = {
    topics.TASK_EVENTS.name: example_inputs.TASK_EVENTS,
    topics.MONITOR_CONFIGS.name: example_inputs.MONITOR_CONFIGS,
    topics.USERS.name: example_inputs.USERS,
    topics.USER_PREFERENCES.name: example_inputs.USER_PREFERENCES,
    topics.NOTIFICATION_FEEDBACK.name: example_inputs.NOTIFICATION_FEEDBACK,
    topics.MONITOR_RESULTS.name: example_outputs.MONITOR_RESULTS,
    topics.NOTIFICATION_STATUS.name: example_outputs.NOTIFICATION_STATUS,
    topics.DEAD_LETTERS.name: example_outputs.DEAD_LETTERS,
}
