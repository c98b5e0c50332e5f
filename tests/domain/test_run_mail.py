"""Whether a run's mail goes, and what it says (SPEC sections 3 and 4)."""

from __future__ import annotations

from functools import reduce
from typing import Any

import pytest

from streamnotify.domain.notifications import SuppressionReason, is_placeholder, notification_id
from streamnotify.domain.run_mail import MailDecision, decide_mail, template_variables
from streamnotify.domain.runs import Notify, RunError, RunUpdate, join
from streamnotify.domain.status import Status
from tests.domain.run_builders import an_update, at

ANN = Notify(email="Ann@example.com")
PLACEHOLDERS = ("placeholder.rhesis.ai",)
COMPLETED, STOPPED, CANCELLED, RUNNING = Status.COMPLETED, Status.STOPPED, Status.CANCELLED, Status.RUNNING


def decide(*updates: RunUpdate) -> MailDecision | None:
    """The decision about the last end among ``updates``."""
    facts = reduce(join, (update.facts for update in updates))
    end = [update.end for update in updates if update.end is not None][-1]
    return decide_mail("nightly-report", "run-1", facts, end, PLACEHOLDERS)


def decided(*updates: RunUpdate) -> MailDecision:
    decision = decide(*updates)
    assert decision is not None
    return decision


def test_a_silent_task_gets_no_decision_and_so_no_status() -> None:
    assert decide(an_update(COMPLETED, user_id="u1")) is None
    assert decide(an_update(COMPLETED, notify=Notify(wanted=False))) is None


def test_the_notification_says_how_the_run_ended() -> None:
    notify = Notify(email="ann@example.com", name="Ann", template="weekly", subject_template="{task_name}", urgent=True)
    decision = decided(
        an_update(RUNNING, 10, user_id="u1", organization_id="org-a", display_name="Nightly report"),
        an_update(STOPPED, 52.5, notify=notify, error=RunError("boom"), result='{"test_run_id": "t1"}'),
    )
    notification = decision.notification
    assert decision.suppressed is None
    assert notification.notification_id == notification_id("weekly", "nightly-report", "run-1")
    assert (notification.kind, notification.template, notification.subject_template) == (
        "weekly",
        "weekly",
        "{task_name}",
    )
    assert (notification.status, notification.completed_at, notification.duration_s) == ("failed", at(52.5), 42.5)
    assert (notification.user_id, notification.organization_id, notification.email) == (
        "u1",
        "org-a",
        "ann@example.com",
    )
    assert (notification.name, notification.display_name, notification.urgent) == ("Ann", "Nightly report", True)
    assert (notification.error_message, notification.variables) == ("boom", {"test_run_id": "t1"})


@pytest.mark.parametrize(("status", "word"), [(COMPLETED, "success"), (STOPPED, "failed"), (CANCELLED, "cancelled")])
def test_each_end_has_its_word(status: Status, word: str) -> None:
    assert decided(an_update(status, notify=ANN)).notification.status == word


@pytest.mark.parametrize(
    ("status", "on", "suppressed"),
    [
        (COMPLETED, ("success", "failure"), False),
        (STOPPED, ("success", "failure"), False),
        (CANCELLED, ("success", "failure"), True),
        (CANCELLED, ("cancelled",), False),
        (COMPLETED, ("failure",), True),
        (COMPLETED, (), True),
    ],
)
def test_only_the_outcomes_in_on_are_mailed(status: Status, on: tuple[str, ...], suppressed: bool) -> None:
    decision = decided(an_update(status, notify=ANN._replace(on=on)))
    assert decision.suppressed == (SuppressionReason.NOT_IN_ON if suppressed else None)


def test_cancelled_is_not_mailed_by_default() -> None:
    assert decided(an_update(CANCELLED, notify=ANN)).suppressed is SuppressionReason.NOT_IN_ON


def test_a_stale_end_is_not_mailed() -> None:
    assert decided(an_update(COMPLETED, notify=ANN, stale=True)).suppressed is SuppressionReason.STALE


def test_without_user_and_address_there_is_no_recipient() -> None:
    assert decided(an_update(COMPLETED, notify=Notify())).suppressed is SuppressionReason.NO_RECIPIENT
    assert decided(an_update(COMPLETED, notify=Notify(), user_id="u1")).suppressed is None


@pytest.mark.parametrize(
    ("email", "placeholder"),
    [
        ("a@placeholder.rhesis.ai", True),
        ("a@Sub.Placeholder.Rhesis.AI", True),
        ("a@rhesis.ai", False),
        ("a@notplaceholder.rhesis.ai", False),
        ("placeholder.rhesis.ai@example.com", False),
    ],
)
def test_addresses_of_placeholder_domains_and_their_subdomains_are_skipped(email: str, placeholder: bool) -> None:
    decision = decided(an_update(COMPLETED, notify=Notify(email=email)))
    assert decision.suppressed == (SuppressionReason.PLACEHOLDER_ADDRESS if placeholder else None)
    assert is_placeholder(email, ("PLACEHOLDER.rhesis.ai",)) == placeholder


def test_a_user_is_looked_up_even_if_the_address_given_is_a_placeholder() -> None:
    notify = Notify(email="a@placeholder.rhesis.ai")
    assert decided(an_update(COMPLETED, notify=notify, user_id="u1")).suppressed is None


def test_the_mail_of_a_success_does_not_show_the_error_of_a_failed_attempt() -> None:
    failed = an_update(STOPPED, 1, final=False, error=RunError("boom"))
    assert decided(failed, an_update(COMPLETED, 2, attempt=2, notify=ANN)).notification.error_message is None


@pytest.mark.parametrize(
    ("message", "mailed"),
    [
        ("line 1\r\nline 2\tend", "line 1\nline 2\tend"),
        ("a\x00b\x1b[31mc\x7f\x85d", "ab[31mcd"),
        ("x" * 3000, "x" * 1314 + "\n… 3,000 characters in all …\n" + "x" * 657),
        ("\x00 ", None),
        (None, None),
    ],
    ids=["line breaks stay", "controls go", "cut to 2,000", "nothing left", "no message"],
)
def test_the_error_message_is_cleaned_and_cut(message: str | None, mailed: str | None) -> None:
    update = an_update(STOPPED, notify=ANN, error=RunError(message, "ValueError", "a traceback", "a cause"))
    assert decided(update).notification.error_message == mailed


@pytest.mark.parametrize(
    ("updates", "duration_s"),
    [
        ([an_update(COMPLETED, 50, notify=ANN)], None),
        ([an_update(COMPLETED, 50, notify=ANN, duration_s=3.0)], 3.0),
        ([an_update(COMPLETED, 50, notify=ANN, started_at=at(10))], 40.0),
        ([an_update(RUNNING, 45), an_update(COMPLETED, 50, notify=ANN)], 5.0),
        ([an_update(COMPLETED, 50, notify=ANN, started_at=at(60))], None),
        ([an_update(COMPLETED, 50, notify=ANN, finished_at=at(48))], None),
    ],
    ids=["unknown", "reported", "from the start", "from Running", "starts after its end", "published later"],
)
def test_the_duration_is_reported_or_follows_from_the_other_events(
    updates: list[RunUpdate], duration_s: float | None
) -> None:
    assert decided(*updates).notification.duration_s == duration_s


@pytest.mark.parametrize(
    ("result", "variables"),
    [
        (None, {}),
        ("[1, 2]", {}),
        ('"text"', {}),
        ('{"total_tests": 10, "rate": 0.5, "gone": null}', {"total_tests": 10, "rate": 0.5}),
        (
            '{"n": 123456789012345678901234567890, "m": -9223372036854775809}',
            {"n": "123456789012345678901234567890", "m": "-9223372036854775809"},
        ),
        ('{"n": 18446744073709551615, "_dropped_keys": ["x"]}', {"n": 18446744073709551615}),
    ],
)
def test_an_objects_keys_become_variables_and_nulls_never_do(result: str | None, variables: dict[str, Any]) -> None:
    assert template_variables(result) == variables


@pytest.mark.parametrize(
    "name",
    [
        "status",
        "error_message",
        "recipient_name",
        "recipient_email",
        "task_id",
        "task_name",
        "organization_id",
        "frontend_url",
        "execution_time",
        "completed_at",
    ],
)
def test_reserved_keys_of_a_result_never_become_variables(name: str) -> None:
    assert template_variables(f'{{"{name}": "x", "mine": 1}}') == {"mine": 1}


@pytest.mark.parametrize("kind", ["task_status_alert", "task_status_recovery", "service_health", "notification_digest"])
def test_no_publisher_can_claim_a_kind_that_has_rights_of_its_own(kind: str) -> None:
    """The wanted template is unknown to the renderer then, which says so."""
    decision = decided(an_update(COMPLETED, notify=ANN._replace(template=kind)))
    assert (decision.notification.kind, decision.notification.template) == ("task_completion", kind)
