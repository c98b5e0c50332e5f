"""Which notifications a digest is about.

Each notification that waits says so itself, with its digest. A digest that is handed on says to which one, whole. What
is dropped at the flush says so itself, or its digest says of which kind and organization all are dropped. The last one
left is mailed by itself, and says so. So the list is exact as long as the records are there, which is for 30 days: of
what is older nothing can be known but the digest's own count.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamnotify.domain.notifications import DIGEST
from streamnotify.domain.status import Status
from streamnotify.web.read_model import cursors
from streamnotify.web.read_model.answers import DigestItem, DigestItems
from streamnotify.web.read_model.notification_rows import drops_in, notification_in
from streamnotify.web.read_model.reading import Reader, checked
from streamnotify.web.read_model.run_rows import run_in

_MOST_DIGESTS = 200  # that were handed on to one, one after the other

_ITEMS = """
    FROM notifications
    WHERE digest_id IN ({digests}) AND status = 'batched' AND kind IS NOT ? {organization}
    AND (digest_id, coalesce(kind, ''), coalesce(organization_id, '')) NOT IN (VALUES {dropped})
"""


def digest_items(
    reader: Reader, digest_id: str, organization: str | None, after: str | None, limit: int
) -> DigestItems:
    """See ReadModel.digest_items."""
    checked(limit)
    dropped = _sources(reader, digest_id)
    gone = [(source, *which) for source, drops in dropped.items() for which in drops] or [("", "", "")]
    sql = _ITEMS.format(
        digests=", ".join("?" * len(dropped)),
        organization="" if organization is None else "AND organization_id = ?",
        dropped=", ".join(["(?, ?, ?)"] * len(gone)),
    )
    parameters = [*dropped, DIGEST, *([] if organization is None else [organization])]
    parameters += [value for each in gone for value in each]
    [(listed,)] = reader.rows(f"SELECT count(*) {sql}", parameters)
    rows = _page(reader, sql, parameters, after, limit)
    own = reader.row("SELECT steps FROM notifications WHERE notification_id = ?", (digest_id,))
    known = notification_in(digest_id, own[0]) if own is not None else None
    return DigestItems(
        items=tuple(_item(reader, *row[2:]) for row in rows[:limit]),
        listed=listed,
        total=None if known is None or organization not in (None, known.organization_id) else known.count,
        next=cursors.write(rows[limit - 1][:2]) if len(rows) > limit else None,
    )


def _page(reader: Reader, sql: str, parameters: list[Any], after: str | None, limit: int) -> list[tuple[Any, ...]]:
    if after is not None:
        sql += " AND (created_at, row) < (?, ?)"
        parameters = [*parameters, *cursors.read(after, tuple[int, int])]
    select = f"SELECT created_at, row, notification_id, task_id, task_name, steps {sql}"
    return reader.rows(f"{select} ORDER BY created_at DESC, row DESC LIMIT ?", [*parameters, limit + 1])


def _item(reader: Reader, notification_id: str, task_id: str | None, task_name: str | None, steps: bytes) -> DigestItem:
    row = None
    if task_id is not None and task_name is not None:
        row = reader.row("SELECT facts FROM runs WHERE task_id = ? AND task_name = ?", (task_id, task_name))
    notification = notification_in(notification_id, steps)
    if row is None:
        return DigestItem(notification)
    run = run_in(task_name or "", task_id or "", row[0])
    return DigestItem(notification, Status(run.status), run.display_name, run.error_message)


def _sources(reader: Reader, digest_id: str) -> Mapping[str, set[tuple[str, str]]]:
    """The digest and those that were handed on to it, each with the kinds and organizations of it that were dropped on
    the way."""
    found: dict[str, set[tuple[str, str]]] = {digest_id: _drops(reader, digest_id)}
    asked = [digest_id]
    while asked and len(found) < _MOST_DIGESTS:
        taken_by = asked.pop()
        handed_on = reader.rows(
            "SELECT notification_id FROM notifications "
            "WHERE digest_id = ? AND status = 'batched' AND kind = ? AND notification_id <> ? LIMIT ?",
            (taken_by, DIGEST, taken_by, _MOST_DIGESTS),
        )
        for (source,) in handed_on:
            if source not in found:
                found[source] = _drops(reader, source) | found[taken_by]
                asked.append(source)
    return found


def _drops(reader: Reader, digest_id: str) -> set[tuple[str, str]]:
    row = reader.row("SELECT steps FROM notifications WHERE notification_id = ?", (digest_id,))
    return set() if row is None else {(kind, organization or "") for kind, organization in drops_in(row[0])}
