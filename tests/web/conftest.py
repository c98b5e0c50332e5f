"""The pages, with nothing known and with something."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.web.browsing import Site
from tests.web.mailed_site import ANN, MailedSite


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def known(tmp_path: Path) -> MailedSite:
    """Ann is a user of whom something is known."""
    site = MailedSite(tmp_path)
    site.product.user("ann", email=ANN, timezone="Europe/Rome")
    site.model.catch_up()
    return site
