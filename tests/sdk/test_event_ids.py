"""The ids of events."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from streamnotify.sdk.event import event_id_of

NAMESPACE = uuid.UUID("b4d1a3f6-5a0e-5f0c-9c44-6f3f0f3c7a11")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(TEXTS, TEXTS, st.integers(1, 1000), TEXTS)
def test_one_is_the_uuid5_of_what_happened(source: str, task_id: str, attempt: int, kind: str) -> None:
    """research/celery-sdk.md C2, so that other producers can make the same."""
    expected = str(uuid.uuid5(NAMESPACE, f"{source}|{task_id}|{attempt}|{kind}"))
    assert event_id_of(source, task_id, attempt, kind) == expected
