"""What a command under ``streamnotify run`` finds in its environment about its run."""

from __future__ import annotations

RUN_ID = "STREAMNOTIFY_TASK_ID"
RUN_NAME = "STREAMNOTIFY_TASK_NAME"
RUN_ATTEMPT = "STREAMNOTIFY_TASK_ATTEMPT"  # absent: the first
