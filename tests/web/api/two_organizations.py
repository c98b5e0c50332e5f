"""What has happened in two organizations that share the service; everything of org-b has SECRET in it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from streamnotify.domain.digest import Lane, LanePolicy
from streamnotify.wire.topics import DEAD_LETTERS
from tests.web.api.api_site import ApiSite

SECRET = "SECRET"
CHECK = {"expected_statuses": ["Completed"], "lookback_hours": 1}


def two_organizations(directory: Path) -> ApiSite:
    """A site with a run, a monitor, a check, mails and a digest of both."""
    lanes = dict.fromkeys(Lane, LanePolicy(after=1, window=timedelta(minutes=30)))
    site = ApiSite(directory, lanes)
    product = site.product
    product.monitor("ours", [{"import": {"organization_id": "org-a", **CHECK}}], crontab="5 * * * *")
    product.monitor(
        f"theirs-{SECRET}",
        [{f"export-{SECRET}": {"organization_id": "org-b", **CHECK, "notify_to": [f"{SECRET}@b.example"]}}],
        crontab="5 * * * *",
    )
    product.monitor(
        "both",
        [
            {
                "import": {"organization_id": "org-a", **CHECK, "notify_to": ["ops@a.example"]},
                f"export-{SECRET}": {"organization_id": "org-b", **CHECK, "notify_to": ["ops@b.example"]},
            }
        ],
        crontab="5 * * * *",
    )
    ours: dict[str, Any] = {"organization_id": "org-a", "notify": {"email": "ann@example.com"}}
    theirs: dict[str, Any] = {"organization_id": "org-b", "notify": {"email": "ann@example.com"}, "result": {SECRET: 1}}
    for number in range(3):  # Ann works for both: the later ones share a digest
        product.ran("import", task_id=f"a/{number}", **ours)
        product.ran(f"export-{SECRET}", task_id=f"{SECRET}/{number}", **theirs)
    product.ran(f"silent-{SECRET}", task_id=f"{SECRET}/silent", organization_id="org-b")
    product.ran("silent", task_id="a/silent", organization_id="org-a")
    product.engine.put(DEAD_LETTERS, f'{{"organization_id": "org-b", "task_name": "{SECRET}"}}')
    product.advance(hours=2)
    site.now += timedelta(hours=2)
    site.copy.catch_up()
    return site
