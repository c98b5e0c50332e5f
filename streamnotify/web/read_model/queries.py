"""What can be asked of the read model."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from streamnotify.domain.preferences import Preferences, Profile
from streamnotify.domain.recipients import ADDRESS, ORGANIZATION, USER
from streamnotify.domain.runs import Facts
from streamnotify.web.read_model import cursors, digest_lists
from streamnotify.web.read_model.answers import (
    DeadLetter,
    DigestItems,
    Freshness,
    Monitor,
    MonitorResult,
    Notification,
    Page,
    PreferencesRecord,
    Run,
    Step,
    User,
)
from streamnotify.web.read_model.instants import instant
from streamnotify.web.read_model.notification_rows import notification_in, steps_in
from streamnotify.web.read_model.reading import MOST, Filters, Reader, checked, page
from streamnotify.web.read_model.run_rows import facts_in, run_in

_RUNS = "SELECT created_at, row, task_name, task_id, facts FROM runs"
_RESULTS = "SELECT created_at, row, result FROM monitor_results"
_LETTERS = "SELECT created_at, row, letter FROM dead_letters"
_MONITORS = "SELECT name, record FROM monitors WHERE name > ? AND record IS NOT NULL ORDER BY name LIMIT ?"
_MONITORS_OF = """
    SELECT name, record FROM monitors WHERE name > ? AND record IS NOT NULL
    AND name IN (SELECT monitor FROM monitor_tasks WHERE organization_id = ?) ORDER BY name LIMIT ?
"""
_PREFERENCES = "SELECT key, said, seen FROM preferences WHERE key = ?"
_PREFERENCES_OF_ADDRESS = "SELECT key, said, seen FROM preferences WHERE mailbox = ? ORDER BY seen DESC"
_NOTIFICATIONS = """
    SELECT created_at, row, notification_id, steps,
    (SELECT status FROM notifications AS digest WHERE digest.notification_id = notifications.digest_id)
    FROM notifications
"""

_result = msgspec.msgpack.Decoder(MonitorResult).decode
_letter = msgspec.msgpack.Decoder(DeadLetter).decode
_profile = msgspec.msgpack.Decoder(Profile).decode
_preferences = msgspec.msgpack.Decoder(tuple[Preferences, int | None]).decode


class ReadModel:
    """Answers from the file at ``path``, from any thread; each takes well below 0.1 s.

    The file may lag or be absent, which is no error: then answers know less, and :meth:`freshness` says so.

    Of every method: ``organization`` narrows the answer down to what belongs to it; None: everybody's. ``since``
    (included) and ``until`` (excluded) are aware. ``limit`` is 1 to 200. ``after`` is the cursor of the page before
    (:attr:`Page.next`). Lists are the newest first.

    Raises:
        BadCursor: if ``after`` is no cursor of this list.
        ValueError: if ``limit`` is not allowed.
    """

    def __init__(self, path: Path) -> None:
        self._reader = Reader(path)

    def freshness(self, now: datetime | None = None) -> Freshness | None:
        """How far it is behind the topics; None: there is none yet. ``now`` is aware, by default the clock's."""
        row = self._reader.row("SELECT caught_up_at, behind FROM progress")
        if row is None:
            return None
        caught_up_at = instant(row[0])
        behind = None if caught_up_at is None else ((now or datetime.now(UTC)) - caught_up_at).total_seconds()
        return Freshness(caught_up_at, behind if behind is None else max(behind, 0.0), row[1])

    def run(self, task_id: str, *, organization: str | None, task_name: str | None = None) -> Run | None:
        """The run of this id; of several, which only different tasks may have, the newest."""
        found = page(
            self._reader,
            _RUNS,
            Filters("runs", {"task_id": task_id, "task_name": task_name, "organization_id": organization}),
            _run,
            after=None,
            limit=1,
        )
        return next(iter(found.items), None)

    def runs(
        self,
        *,
        organization: str | None,
        task_name: str | None = None,
        user_id: str | None = None,
        status: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> Page[Run]:
        """Runs by when they started, or as long as they have not when they were queued."""
        equal = {"user_id": user_id, "task_name": task_name, "status": status, "organization_id": organization}
        filters = Filters("runs", equal, since, until)
        return page(self._reader, _RUNS, filters, _run, after=after, limit=limit)

    def facts(self, task_id: str, *, organization: str | None) -> dict[str, Facts]:
        """All that the events say of the runs of this id, by task name."""
        rows = self._reader.rows(
            "SELECT task_name, facts FROM runs WHERE task_id = ? AND (? IS NULL OR organization_id = ?) LIMIT ?",
            (task_id, organization, organization, MOST),
        )
        return {task_name: facts_in(data) for task_name, data in rows}

    def monitors(self, *, organization: str | None, after: str | None = None, limit: int = 50) -> Page[Monitor]:
        """Monitors by name, each with the tasks that belong to the organization."""
        checked(limit)
        name = "" if after is None else cursors.read(after, tuple[str])[0]
        rows = self._reader.rows(
            _MONITORS if organization is None else _MONITORS_OF,
            [name, *([] if organization is None else [organization]), limit + 1],
        )
        following = cursors.write((rows[limit - 1][0],)) if len(rows) > limit else None
        return Page(tuple(_monitor(row[0], row[1], organization) for row in rows[:limit]), following)

    def monitor(self, name: str, *, organization: str | None) -> Monitor | None:
        """The monitor of this name; None too if none of its tasks belongs to the organization."""
        row = self._reader.row("SELECT name, record FROM monitors WHERE name = ? AND record IS NOT NULL", (name,))
        found = None if row is None else _monitor(row[0], row[1], organization)
        return found if found is None or organization is None or found.record["args"][0] else None

    def monitor_results(
        self,
        *,
        organization: str | None,
        monitor: str | None = None,
        task_name: str | None = None,
        verdict: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> Page[MonitorResult]:
        """Checks by when they were due. They belong to the organization that the monitor's task has now."""
        equal = {"monitor": monitor, "task_name": task_name, "verdict": verdict, "organization_id": organization}
        filters = Filters("monitor_results", equal, since, until)
        return page(
            self._reader,
            _RESULTS,
            filters,
            lambda row: _result(row[2]),
            after=after,
            limit=limit,
        )

    def notifications(
        self,
        *,
        organization: str | None,
        address: str | None = None,
        user_id: str | None = None,
        task_name: str | None = None,
        task_id: str | None = None,
        monitor: str | None = None,
        status: str | None = None,
        kind: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> Page[Notification]:
        """Notifications and digests by their first step. Of ``address`` letter case does not matter."""
        equal = {
            "task_id": task_id,
            "address": address and address.lower(),
            "user_id": user_id,
            "monitor": monitor,
            "task_name": task_name,
            "status": status,
            "organization_id": organization,
            "kind": kind,
        }
        filters = Filters("notifications", equal, since, until)
        return page(self._reader, _NOTIFICATIONS, filters, _notification, after=after, limit=limit)

    def notification(self, notification_id: str, *, organization: str | None) -> Notification | None:
        """The notification or digest of this id."""
        filters = Filters("notifications", {"notification_id": notification_id, "organization_id": organization})
        found = page(self._reader, _NOTIFICATIONS, filters, _notification, after=None, limit=1)
        return next(iter(found.items), None)

    def steps_of(self, notification_id: str, *, organization: str | None) -> tuple[Step, ...]:
        """The steps of a notification or digest in the order of time; none if it is not known."""
        row = self._reader.row(
            "SELECT steps FROM notifications WHERE notification_id = ? AND (? IS NULL OR organization_id = ?)",
            (notification_id, organization, organization),
        )
        return () if row is None else steps_in(notification_id, row[0])

    def digest_items(
        self, digest_id: str, *, organization: str | None, after: str | None = None, limit: int = 50
    ) -> DigestItems:
        """The notifications that a digest is about, those handed on to it included, without those dropped.

        See :mod:`streamnotify.web.read_model.digest_lists` for what can be known.
        """
        return digest_lists.digest_items(self._reader, digest_id, organization, after, limit)

    def dead_letters(
        self,
        *,
        organization: str | None,
        topic: str | None = None,
        stage: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> Page[DeadLetter]:
        """Dead letters by when they failed. They belong to the organization that the record itself names."""
        equal = {"topic": topic, "stage": stage, "organization_id": organization}
        filters = Filters("dead_letters", equal, since, until)
        return page(self._reader, _LETTERS, filters, lambda row: _letter(row[2]), after=after, limit=limit)

    def preferences(self, mailbox: str) -> PreferencesRecord | None:
        """What ``user-preferences`` says of a mailbox, such as ``user:u1`` or ``address:ann@example.com``."""
        if mailbox.startswith(ADDRESS):
            return self._preferences(_PREFERENCES_OF_ADDRESS, mailbox)
        return self._preferences(_PREFERENCES, mailbox.removeprefix(USER))

    def is_organization_off(self, organization: str) -> bool:
        """Whether nobody gets mails about the organization."""
        said = self._preferences(_PREFERENCES, f"{ORGANIZATION}{organization}")
        return said is not None and said.preferences.email is False

    def user(self, user_id: str) -> User | None:
        """A person of the directory."""
        row = self._reader.row("SELECT profile, seen FROM users WHERE user_id = ?", (user_id,))
        return None if row is None or row[0] is None else User(_profile(row[0]), instant(row[1]))

    def users_at(self, address: str, *, limit: int = 50) -> tuple[User, ...]:
        """The people of the directory with this address."""
        rows = self._reader.rows(
            "SELECT profile, seen FROM users WHERE address = ? ORDER BY user_id LIMIT ?",
            (address.lower(), checked(limit)),
        )
        return tuple(User(_profile(profile), instant(seen)) for profile, seen in rows)

    def _preferences(self, sql: str, key: str) -> PreferencesRecord | None:
        row = self._reader.row(sql, (key,))
        if row is None or row[1] is None:
            return None
        said, revision = _preferences(row[1])
        return PreferencesRecord(row[0], said, revision, instant(row[2]))


def _run(row: tuple[Any, ...]) -> Run:
    return run_in(*row[2:])


def _notification(row: tuple[Any, ...]) -> Notification:
    return notification_in(*row[2:])


def _monitor(name: str, record: str, organization: str | None) -> Monitor:
    """With the organization's tasks only."""
    said = json.loads(record)
    if organization is not None:
        tasks = said["args"][0].items()
        said["args"] = [{task: each for task, each in tasks if each.get("organization_id") == organization}]
    return Monitor(name, said)
