"""Whole mails, byte for byte: tests/golden holds what is sent. `make golden` writes it anew, for review as a diff."""

from __future__ import annotations

from typing import Any

import pytest

from streamnotify.render.policy import Brand, RenderPolicy
from streamnotify.render.renderer import Renderer
from tests.conftest import Golden
from tests.render.a_notification import NOW, a_notification

RENDERER = Renderer(RenderPolicy("noreply@mail.example.com", Brand(team="Example Team"), "https://app.example.com"))

CASES: dict[str, dict[str, Any]] = {
    "bare": {},
    "success": {"name": "Ann", "duration_s": 165.0, "variables": {"test_run_id": "abcd1234"}},
    "failed": {"name": "Ann", "status": "failed", "error_message": "KeyError: 'customer'\nin row <17>"},
    "cancelled": {"name": "Änne", "status": "cancelled", "display_name": "Nächtlicher Bericht"},
}


@pytest.mark.parametrize("case", CASES)
def test_the_mail_is_the_expected_one_to_the_byte(case: str, golden: Golden) -> None:
    golden(f"{case}.eml", RENDERER.task_mail(a_notification(**CASES[case]), "ann@example.com", NOW).content)
