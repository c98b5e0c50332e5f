"""The HTTP interface of a test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.web.api.api_site import ApiSite


@pytest.fixture
def site(tmp_path: Path) -> ApiSite:
    """One with a token of org-a for reading and publishing, which requests use by default."""
    made = ApiSite(tmp_path)
    made.secret = made.token(user_id="u1", email="ann@example.com", person="Ann")
    return made
