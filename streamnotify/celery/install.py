"""The one call that makes a Celery app publish what happens to its tasks."""

from __future__ import annotations

from collections.abc import Iterable

from celery import Celery
from celery.local import Proxy

from streamnotify.celery.installed import (
    TENANT_KEYS,
    ContextOf,
    DbSession,
    EventPublisher,
    Installed,
    RecipientOf,
    installed_for,
    remember,
)
from streamnotify.celery.signals import Receivers


def install(
    app: Celery,
    *,
    publisher: EventPublisher | None = None,
    source: str | None = None,
    context: ContextOf | None = None,
    recipient: RecipientOf | None = None,
    tenant_keys: Iterable[str] = TENANT_KEYS,
    publish_pending: bool = True,
    publish_eager: bool = False,
    ignore: Iterable[str] = ("celery.*",),
    with_traceback: bool | None = None,
    db_session: DbSession | None = None,
) -> Installed:
    """Publish what happens to the tasks of ``app``, from every process that has called this.

    Call it where the app is made, so that web, beat and workers all do. Nothing is opened until the first event, and
    nothing happens without Kafka's address. A second call for an app changes nothing.

    Args:
        publisher: default: the process's default one, :func:`streamnotify.sdk.default_publisher`.
        source: the producing application and environment, such as ``gap/prod``; default: ``STREAMNOTIFY_SOURCE``, else
            the app's name. It is part of every event's id, so all processes of one application must agree on it.
        context: called with a task's request, args and kwargs; says what the run works on: a
            :class:`~streamnotify.sdk.Context`, a mapping with ``model``, ``type`` and ``id``, or None. It runs in every
            process and must be quick. The request (``celery.app.task.Context``) has at least id, retries and headers.
        recipient: called with a task's request; who is told about an opted-in task that has no ``user_id``: a mapping
            with ``email`` and ``name``, or None. A task's header ``notify_email`` comes before it.
        tenant_keys: the headers and keyword arguments that say to whom a run belongs: the first names the
            organization, the second the user; further ones are only handed on. Every task that a task starts
            inherits them, unless it has its own.
        publish_pending: publish Pending when a task is submitted.
        publish_eager: publish about eager tasks too.
        ignore: names of tasks, or patterns such as ``"celery.*"``, that nothing is published about.
        with_traceback: send tracebacks of failures, which may hold secrets; default: as the environment's
            :class:`~streamnotify.sdk.PublisherConfig` says, which is no.
        db_session: called with organization and user (or None), gives a context manager: the ``db`` of tasks under
            ``@with_tenant_context``.

    Returns:
        What is installed.

    Raises:
        ValueError: if ``tenant_keys`` has not at least two names.
    """
    if type(app) is Proxy:  # celery.current_app
        app = app._get_current_object()  # noqa: SLF001 - Celery's own way
    installed = installed_for(app)
    if installed is not None:
        return installed
    keys = tuple(tenant_keys)
    if len(keys) < 2:
        raise ValueError(f"tenant_keys is {keys!r}: it names the organization's and the user's header")
    installed = Installed(
        app=app,
        publisher_given=publisher,
        source_given=source,
        context=context,
        recipient=recipient,
        tenant_keys=keys,
        publish_pending=publish_pending,
        publish_eager=publish_eager,
        ignore=tuple(ignore),
        with_traceback=with_traceback,
        db_session=db_session,
    )
    remember(installed)
    Receivers(installed).connect()
    return installed
