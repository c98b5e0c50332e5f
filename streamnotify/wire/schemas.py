"""The files in ``schemas/``: a JSON Schema per public topic, generated from the models, and the AsyncAPI document.

``python -m streamnotify.wire.schemas [DIRECTORY]`` writes them (default: ``schemas``).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from streamnotify.wire import asyncapi
from streamnotify.wire.examples import EXAMPLES
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
    examples = [each.value for each in EXAMPLES[topic]]
    return _text({"$schema": _DIALECT} | MODELS[topic].model_json_schema() | {"examples": examples})


def texts() -> dict[str, str]:
    """What every file holds, by its name."""
    return {f"{topic}.json": schema_text(topic) for topic in MODELS} | {asyncapi.FILE: _text(asyncapi.document())}


def write(directory: Path) -> None:
    """Write every file into ``directory``, which is made if it is not there."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in texts().items():
        (directory / name).write_text(text, encoding="utf-8")


def _text(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "schemas"))
