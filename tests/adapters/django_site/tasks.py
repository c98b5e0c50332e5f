"""Tasks of the site."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from django.conf import settings

from streamnotify import sdk
from streamnotify.adapters.django_tasks import notifies

task: Callable[..., Callable[[Callable[..., Any]], Any]] = import_module(settings.LIBRARY).task


class NoIngestor(LookupError):
    """An error of the site's own."""


@notifies(template="nightly", on=("failure", "success"))
@task()
def succeed(seconds: float, user_id: int | None = None, organization_id: str | None = None) -> dict[str, Any]:
    """Say half-way how far it is."""
    time.sleep(seconds)
    sdk.progress(50, f"half of it for {user_id} of {organization_id}")
    return {"total_tests": 10, "status": "mine", "nothing": None}


@task(takes_context=True)
@notifies(email="ann@example.com")
def fail(context: Any, user_id: int) -> None:
    """Fail, always, with a message of two lines."""
    raise NoIngestor(f"no ingestor: {user_id}\nnor a collector in attempt {context.attempt}")


@task()
def fail_silently() -> None:
    """Fail without a message."""
    raise ValueError


@task()
def call_another() -> None:
    """Run a task in between, at once."""
    fail_silently.using(backend="immediate").enqueue()
    sdk.progress(50)
