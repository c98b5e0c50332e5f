"""``python -m tests.celery.outage BEGIN END`` and the worker beside it: a Celery app whose Kafka comes and goes.

The driver sends tasks with these numbers and prints how they ended, as Celery itself knows it.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from dataclasses import replace

from celery import Celery

from streamnotify import sdk
from streamnotify.celery import email_notification, install

SECONDS = 240.0

app = Celery("tests.celery.outage", broker=os.environ["TESTS_REDIS"], backend=os.environ["TESTS_REDIS"])
config = replace(sdk.PublisherConfig.from_environment(), give_up_s=float(os.environ["TESTS_GIVE_UP_S"]))
sdk.set_default_publisher(sdk.Publisher(config))
install(app)


@email_notification()
@app.task(name="works")
def works(number: int) -> dict[str, int]:
    return {"number": number}


def main() -> None:
    """Send the tasks and wait for all of them."""
    headers = {"organization_id": "org-a", "user_id": "ann"}
    sent = [works.apply_async((n,), task_id=f"task-{n}", headers=headers) for n in range(*map(int, sys.argv[1:]))]
    for result in sent:
        result.get(timeout=SECONDS, propagate=False)
    print(json.dumps(Counter(result.state for result in sent)), flush=True)


if __name__ == "__main__":
    main()
