"""Quix Streams counting per key, in a Python of its own; it sees nothing of this project.

``python quix_count.py BOOTSTRAP TOPIC COUNT_FILE ALIVE_FD STATE_DIR``
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

from quixstreams import Application

WRITE_EVERY = 500  # records


def main(bootstrap_servers: str, topic: str, count_file: str, state_dir: str) -> None:
    """Count per key (the task's name) until killed, writing how many records were counted."""
    counts = os.open(count_file, os.O_WRONLY | os.O_CREAT, 0o600)
    app = Application(
        broker_address=bootstrap_servers,
        consumer_group="bench-quix",
        auto_offset_reset="earliest",
        state_dir=state_dir,
    )
    done = 0

    def count(event: dict[str, Any], state: Any) -> None:
        nonlocal done
        if event["task_name"]:
            state.set("count", state.get("count", 0) + 1)
        done += 1
        if done % WRITE_EVERY == 0:
            os.pwrite(counts, b"%012d" % done, 0)

    events = app.dataframe(app.topic(topic, value_deserializer="json"))
    events.update(count, stateful=True)
    app.run()


def end_with(alive_fd: int) -> None:
    """End this process when the one that started it is gone."""

    def wait() -> None:
        os.read(alive_fd, 1)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    end_with(int(sys.argv[4]))
    main(sys.argv[1], sys.argv[2], sys.argv[3], state_dir=sys.argv[5])
