"""The JSON Schemas in ``schemas/``, generated from the models of the public topics.

``python -m streamnotify.wire.schemas [DIRECTORY]`` writes them (default: ``schemas``).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pydantic import BaseModel

from streamnotify.wire.feedback import NotificationFeedback
from streamnotify.wire.monitor_config import MonitorConfig
from streamnotify.wire.monitor_result import MonitorResult
from streamnotify.wire.notification_status import NotificationStatus
from streamnotify.wire.task_event import TaskEvent
from streamnotify.wire.user import User
from streamnotify.wire.user_preferences import UserPreferences

MODELS: dict[str, type[BaseModel]] = {
    "task-events": TaskEvent,
    "monitor-configs": MonitorConfig,
    "users": User,
    "user-preferences": UserPreferences,
    "notification-feedback": NotificationFeedback,
    "monitor-results": MonitorResult,
    "notification-status": NotificationStatus,
}
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_text(topic: str) -> str:
    """The JSON Schema of a topic's records, as its file holds it."""
    return json.dumps({"$schema": _DIALECT} | MODELS[topic].model_json_schema(), indent=2, ensure_ascii=False) + "\n"


def write(directory: Path) -> None:
    """Write every schema into ``directory``, which is made if it is not there."""
    directory.mkdir(parents=True, exist_ok=True)
    for topic in MODELS:
        (directory / f"{topic}.json").write_text(schema_text(topic), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "schemas"))
