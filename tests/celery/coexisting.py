"""``python -m tests.celery.coexisting`` and the worker beside it: a Celery app that three others watch, and we.

TESTS_OURS says when we are installed: ``first``, ``last`` or ``never``. The driver publishes one task within a trace of
each and prints the ids of those traces and what the task, on its second attempt, saw of the headers.
"""

from __future__ import annotations

import json
import os
from typing import Any

import ddtrace
import sentry_sdk
from celery import Celery
from celery.signals import worker_process_init
from opentelemetry import trace
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from sentry_sdk.integrations.celery import CeleryIntegration
from sentry_sdk.transport import Transport

from streamnotify.celery import install

OURS = os.environ["TESTS_OURS"]
WATCHED = ("baggage", "organization_id", "sentry-", "traceparent", "user_id", "x-datadog-", "x-streamnotify-")
SECONDS = 120.0


class Nowhere(Transport):  # type: ignore[misc] # it is not there where types are checked
    """Sentry's, without a server."""

    def capture_envelope(self, envelope: Any) -> None:
        """Forget it."""


ddtrace.patch(celery=True)
sentry_sdk.init(
    dsn="http://key@127.0.0.1:1/1", transport=Nowhere, traces_sample_rate=1.0, integrations=[CeleryIntegration()]
)
trace.set_tracer_provider(TracerProvider())

app = Celery("tests.celery.coexisting", broker=os.environ["TESTS_REDIS"], backend=os.environ["TESTS_REDIS"])
if OURS == "first":
    install(app)


@worker_process_init.connect(weak=False)
def instrument(**_: Any) -> None:
    """As OpenTelemetry asks for."""
    CeleryInstrumentor().instrument()


@app.task(name="looks", bind=True, autoretry_for=(ValueError,), default_retry_delay=0)
def looks(self: Any) -> dict[str, dict[str, str]]:
    """What the task sees, at the top level and under Celery's nested key."""
    if not self.request.retries:
        raise ValueError("once more")
    return {"top": watched(vars(self.request)), "nested": watched(self.request.headers or {})}


def watched(headers: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in headers.items() if name.startswith(WATCHED) and value is not None}


def main() -> None:
    """Publish the task, print what is known."""
    instrument()
    if OURS == "last":
        install(app)
    tracer = trace.get_tracer("tests")
    with (
        ddtrace.tracer.trace("tests") as of_datadog,
        sentry_sdk.start_transaction(name="tests") as of_sentry,
        tracer.start_as_current_span("tests") as of_opentelemetry,
    ):
        headers = {"organization_id": "org-a", "user_id": "ann"}
        seen = looks.apply_async(task_id=f"ours-{OURS}", headers=headers).get(timeout=SECONDS)
        traces = {
            "datadog": str(of_datadog.trace_id & (2**64 - 1)),
            "sentry": of_sentry.trace_id,
            "opentelemetry": f"{of_opentelemetry.get_span_context().trace_id:032x}",
        }
    print(json.dumps({"traces": traces} | seen), flush=True)


if __name__ == "__main__":
    main()
elif OURS == "last":
    install(app)
