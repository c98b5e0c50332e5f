"""The statuses under every name they arrive by (SPEC section 1)."""

from __future__ import annotations

import pytest

from streamnotify.domain.status import Rank, Status

CELERY = {
    "PENDING": Status.PENDING,
    "RECEIVED": Status.QUEUED,
    "RETRY": Status.QUEUED,
    "STARTED": Status.RUNNING,
    "SUCCESS": Status.COMPLETED,
    "FAILURE": Status.STOPPED,
    "REJECTED": Status.STOPPED,
    "REVOKED": Status.CANCELLED,
    "success": Status.COMPLETED,
    "failed": Status.STOPPED,
}


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("case", [str.lower, str.upper, str.title, str.swapcase])
def test_a_status_is_known_in_any_letter_case(status: Status, case: type[str]) -> None:
    assert Status(case(status.value)) is status


@pytest.mark.parametrize(("name", "status"), CELERY.items())
def test_celery_names_are_known(name: str, status: Status) -> None:
    assert Status(name) is status


@pytest.mark.parametrize("name", ["", "Done", "Complete", " Completed", None, 3])
def test_any_other_name_is_refused(name: object) -> None:
    with pytest.raises(ValueError, match="not a valid Status"):
        Status(name)  # type: ignore[arg-type]  # what JSON may hold


def test_the_ranks_follow_the_specification() -> None:
    """Pending < Queued < Running < end with final=false < end < Invalidated."""
    order = [Status.PENDING.rank, Status.QUEUED.rank, Status.RUNNING.rank, Rank.ATTEMPT_ENDED, Status.COMPLETED.rank]
    assert [*order, Status.INVALIDATED.rank] == sorted({*order, Status.INVALIDATED.rank})
    assert Status.COMPLETED.rank == Status.STOPPED.rank == Status.CANCELLED.rank
