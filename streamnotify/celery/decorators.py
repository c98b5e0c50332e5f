"""``@email_notification`` and ``@with_tenant_context``, which stand above and below ``@app.task``."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any, TypeVar

from celery import Celery, Task
from celery._state import connect_on_app_finalize, get_current_app, get_current_task
from celery.local import PromiseProxy, Proxy

from streamnotify.celery.installed import TENANT_KEYS, installed_for, tenant_of
from streamnotify.celery.mail_options import ATTRIBUTE, OUTCOMES, EmailTemplate, MailOptions
from streamnotify.sdk.event import Notify
from streamnotify.wire.addresses import ascii_address

logger = logging.getLogger(__name__)

T = TypeVar("T")


def email_notification(
    template: EmailTemplate | str | None = EmailTemplate.TASK_COMPLETION,
    subject_template: str | None = None,
    *,
    on: Iterable[str] | None = None,
    urgent: bool | None = None,
    email: str | None = None,
    name: str | None = None,
    display_name: str | None = None,
    on_chord_error: bool = False,
) -> Callable[[T], T]:
    """Have somebody told how the runs of a task end. Goes **above** ``@app.task``; gives the task back.

    It works with lazy and finalized apps, ``@shared_task``, and task classes and instances. On a plain function, that
    is below ``@app.task``, it changes nothing and logs a warning that says where to put it.

    Args:
        template: of the mail; a string names one of your own.
        subject_template: such as ``"Task Complete: {task_name} - {status.title()}"`` (SPEC section 4).
        on: the outcomes that are mailed, of success, failure and cancelled; default the first two.
        urgent: True: never waits for a digest.
        email: who is told if nobody else is known: the run's ``user_id`` comes first, then the header
            ``notify_email``, then what ``install(recipient=...)`` says.
        name: that recipient's name.
        display_name: shown beside the task's name; default: the task's option of that name.
        on_chord_error: for a chord's body: if a member fails, the body never runs; tell then that it failed, once
            however many members fail. The body must be a task, not a chain or group.

    Raises:
        ValueError: if ``on`` holds anything else, or ``email`` is no address.
    """
    outcomes = None if on is None else tuple(on)
    wrong = [outcome for outcome in outcomes or () if outcome not in OUTCOMES.values()]
    if wrong:
        raise ValueError(f"on holds {wrong[0]!r}: {', '.join(OUTCOMES.values())} are allowed")
    if email is not None:
        ascii_address(email)
    notify = Notify(
        template=None if template is None else str(template),
        subject_template=subject_template,
        email=email,
        name=name,
        on=outcomes,
        urgent=urgent,
    )
    options = MailOptions(notify, display_name, on_chord_error)

    def decorate(task: T) -> T:
        _attach(task, options)
        return task

    return decorate


def _attach(task: Any, options: MailOptions) -> None:
    # By type(): isinstance() would evaluate a lazy task, which reads the app's configuration too early.
    if type(task) is PromiseProxy:
        task.__then__(lambda: _attach(task._get_current_object(), options))  # noqa: SLF001 - Celery's own way
    elif type(task) is Proxy:
        _attach_to_shared(task, options)
    elif isinstance(task, Task) or (isinstance(task, type) and issubclass(task, Task)):
        setattr(task, ATTRIBUTE, options)
        if getattr(task, "never_mails", False):
            logger.warning("@email_notification on %s changes nothing: it is a SilentTask", _name(task))
    else:
        logger.warning(
            "@email_notification on the plain function %s changes nothing: put it above @app.task, not below it",
            _name(task),
        )


def _attach_to_shared(task: Any, options: MailOptions) -> None:
    """``@shared_task`` gives a proxy for the current app's task, which there is once the app is finalized."""

    def attach(*_: Any, **__: Any) -> None:
        _attach(task._get_current_object(), options)  # noqa: SLF001 - Celery's own way

    def attach_when_finalized(app: Celery) -> None:
        app.on_after_finalize.connect(attach, weak=False)

    connect_on_app_finalize(attach_when_finalized)
    if get_current_app().finalized:
        attach()


def _name(thing: Any) -> str:
    return str(getattr(thing, "name", None) or getattr(thing, "__qualname__", thing))


def with_tenant_context(function: Callable[..., T]) -> Callable[..., T]:
    """Give a task what it belongs to. Goes directly above the function, below ``@app.task``.

    A parameter ``organization_id`` or ``user_id`` that the function declares with a default, and that the caller did
    not give, gets the run's: from its headers, which every task started by it inherits, else from its arguments. So
    does a parameter ``db``, if ``install(db_session=...)`` was given: it is open for as long as the function runs.
    Without a worker, as in ``task(params)``, the function is called as it stands. Nothing else is changed, and a call
    that works without this decorator works with it.
    """
    signature = inspect.signature(function)
    wanted = {
        key
        for key, parameter in signature.parameters.items()
        if key in (*TENANT_KEYS, "db")
        and parameter.default is not parameter.empty
        and parameter.kind is not parameter.POSITIONAL_ONLY
    }

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> T:
        task = get_current_task()
        if not wanted or task is None or task.request.id is None:
            return function(*args, **kwargs)
        missing = wanted - _given(signature, args, kwargs)
        with ExitStack() as stack:
            return function(*args, **kwargs, **_supplied(task, missing, stack))

    # Celery checks a call's arguments against it; functools.wraps alone would let any pass.
    call.__signature__ = signature  # type: ignore[attr-defined]
    return call


def _given(signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> set[str]:
    """Which parameters the caller gave."""
    try:
        bound = signature.bind_partial(*args, **kwargs).arguments
    except TypeError:  # the call will say what is wrong with it
        return set(signature.parameters)
    return set(bound)


def _supplied(task: Task, missing: set[str], stack: ExitStack) -> dict[str, Any]:
    values = dict(zip(TENANT_KEYS, tenant_of(task.app, task.request), strict=True))
    supplied: dict[str, Any] = {key: value for key, value in values.items() if key in missing and value is not None}
    installed = installed_for(task.app)
    if "db" in missing and installed is not None and installed.db_session is not None:
        supplied["db"] = stack.enter_context(installed.db_session(*values.values()))
    return supplied
