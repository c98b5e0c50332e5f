"""Mailboxes that send each mail at once, for tests that are not about digests."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from streamnotify.domain.digest import Lane, LanePolicy
from streamnotify.stations.mailing import MailboxPolicy

NO_DIGESTS = dict.fromkeys(Lane, LanePolicy(window=timedelta(0)))


def at_once(**fields: Any) -> MailboxPolicy:
    """A policy without digests, as ``fields`` say."""
    return MailboxPolicy(**{"lanes": NO_DIGESTS} | fields)
