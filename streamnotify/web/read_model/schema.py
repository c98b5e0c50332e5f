"""The tables, and how the file is opened.

Each row is what a set of records says, whatever the order they came in. Its columns are what is asked for; what is
only shown lies whole in its last one. Instants are microseconds since 1970. ``seen`` is when the newest record of a
row was published, by which it goes (:mod:`streamnotify.web.read_model.retention`).
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

VERSION = 1  # raise it when the tables change: the file is made anew then
FOLDER = "web"  # below STREAMNOTIFY_DATA_DIR
_BUSY_MS = 5_000

_TABLES = """
CREATE TABLE positions (
    topic TEXT NOT NULL,             -- its logical name, such as users
    partition INTEGER NOT NULL,
    topic_id TEXT NOT NULL,          -- another one is another topic of the same name
    next INTEGER NOT NULL,           -- the first offset that is not in the rows
    PRIMARY KEY (topic, partition)
) WITHOUT ROWID;

CREATE TABLE progress (              -- one row, once there is any
    row INTEGER PRIMARY KEY CHECK (row = 1),
    caught_up_at INTEGER,            -- all that was published before is in the rows
    behind INTEGER NOT NULL          -- records that were not, when it was last looked
);

CREATE TABLE notifications (
    row INTEGER PRIMARY KEY,
    notification_id TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,     -- its first step
    status TEXT NOT NULL,
    kind TEXT,
    task_name TEXT,
    task_id TEXT,
    monitor TEXT,
    address TEXT,                    -- in lower case
    user_id TEXT,
    organization_id TEXT,
    digest_id TEXT,                  -- the last one it waited for; of a digest itself, or the one it was moved to
    seen INTEGER NOT NULL,
    steps BLOB NOT NULL              -- Steps
);
CREATE INDEX notification_time ON notifications (created_at);
CREATE INDEX notification_organization ON notifications (organization_id, created_at, kind);
CREATE INDEX notification_organization_status ON notifications (organization_id, status, created_at, kind);
CREATE INDEX notification_status ON notifications (status, created_at, kind);
CREATE INDEX notification_kind ON notifications (kind, created_at);
CREATE INDEX notification_task ON notifications (task_name, created_at, status, organization_id);
CREATE INDEX notification_run ON notifications (task_id, created_at) WHERE task_id IS NOT NULL;
CREATE INDEX notification_monitor ON notifications (monitor, created_at) WHERE monitor IS NOT NULL;
CREATE INDEX notification_address ON notifications (address, created_at) WHERE address IS NOT NULL;
CREATE INDEX notification_user ON notifications (user_id, created_at) WHERE user_id IS NOT NULL;
CREATE INDEX notification_digest ON notifications (digest_id, status, created_at, kind, organization_id)
    WHERE digest_id IS NOT NULL;

CREATE TABLE runs (
    row INTEGER PRIMARY KEY,
    task_id TEXT NOT NULL,
    task_name TEXT NOT NULL,
    created_at INTEGER NOT NULL,     -- when it counts from: its start, or as long as it has none when it was queued
    status TEXT NOT NULL,
    organization_id TEXT,
    user_id TEXT,
    presumed_end_at INTEGER,         -- when it counts as stopped, if its worker was lost
    seen INTEGER NOT NULL,
    facts BLOB NOT NULL,             -- domain.runs.Facts
    UNIQUE (task_id, task_name)
);
CREATE INDEX run_time ON runs (created_at);
CREATE INDEX run_organization ON runs (organization_id, created_at);
CREATE INDEX run_organization_status ON runs (organization_id, status, created_at);
CREATE INDEX run_status ON runs (status, created_at);
CREATE INDEX run_task ON runs (task_name, created_at, status, organization_id);
CREATE INDEX run_presumed_end ON runs (presumed_end_at) WHERE presumed_end_at IS NOT NULL;
CREATE INDEX run_user ON runs (user_id, created_at) WHERE user_id IS NOT NULL;

CREATE TABLE monitors (
    name TEXT PRIMARY KEY,
    place INTEGER NOT NULL,          -- offset of the record
    seen INTEGER NOT NULL,
    record TEXT                      -- as people write one, JSON; null: it was deleted
) WITHOUT ROWID;
CREATE TABLE monitor_tasks (
    monitor TEXT NOT NULL,
    task_name TEXT NOT NULL,
    organization_id TEXT,
    PRIMARY KEY (monitor, task_name)
) WITHOUT ROWID;
CREATE INDEX monitor_task_organization ON monitor_tasks (organization_id, monitor);

CREATE TABLE monitor_results (
    row INTEGER PRIMARY KEY,
    identity TEXT NOT NULL UNIQUE,   -- a repeated record has the same
    created_at INTEGER NOT NULL,     -- when the check was due
    monitor TEXT NOT NULL,
    task_name TEXT,
    verdict TEXT NOT NULL,
    organization_id TEXT,            -- as the monitor's task has it now
    seen INTEGER NOT NULL,
    result BLOB NOT NULL             -- MonitorResult
);
CREATE INDEX result_time ON monitor_results (created_at);
CREATE INDEX result_monitor ON monitor_results (monitor, created_at, task_name, verdict);
CREATE INDEX result_monitor_task ON monitor_results (monitor, task_name);
CREATE INDEX result_task ON monitor_results (task_name, created_at, verdict, organization_id);
CREATE INDEX result_verdict ON monitor_results (verdict, created_at);
CREATE INDEX result_organization ON monitor_results (organization_id, created_at) WHERE organization_id IS NOT NULL;
CREATE INDEX result_organization_verdict ON monitor_results (organization_id, verdict, created_at)
    WHERE organization_id IS NOT NULL;

CREATE TABLE dead_letters (
    row INTEGER PRIMARY KEY,
    identity TEXT NOT NULL UNIQUE,
    partition INTEGER NOT NULL,
    place INTEGER NOT NULL,          -- its offset; with the partition it is the letter's id
    created_at INTEGER NOT NULL,
    topic TEXT,                      -- where the record came from
    stage TEXT,
    organization_id TEXT,            -- as the record says itself
    seen INTEGER NOT NULL,
    letter BLOB NOT NULL             -- DeadLetter
);
CREATE INDEX letter_time ON dead_letters (created_at);
CREATE INDEX letter_place ON dead_letters (partition, place);
CREATE INDEX letter_topic ON dead_letters (topic, created_at, stage);
CREATE INDEX letter_stage ON dead_letters (stage, created_at);
CREATE INDEX letter_organization ON dead_letters (organization_id, created_at) WHERE organization_id IS NOT NULL;

CREATE TABLE users (
    user_id TEXT PRIMARY KEY,
    place INTEGER NOT NULL,
    seen INTEGER NOT NULL,
    address TEXT,
    profile BLOB                     -- domain.preferences.Profile; null: removed
) WITHOUT ROWID;
CREATE INDEX user_address ON users (address) WHERE address IS NOT NULL;

CREATE TABLE preferences (
    key TEXT PRIMARY KEY,            -- of the record
    mailbox TEXT,                    -- the one of the address that the key is, if it is one
    place INTEGER NOT NULL,
    seen INTEGER NOT NULL,
    said BLOB                        -- StoredPreferences; null: all of it was taken back
) WITHOUT ROWID;
CREATE INDEX preference_mailbox ON preferences (mailbox, seen) WHERE mailbox IS NOT NULL;
"""


def file_in(data_dir: Path) -> Path:
    """Where the read model lies below ``STREAMNOTIFY_DATA_DIR``; another version is another file."""
    return data_dir / FOLDER / f"read-model-{VERSION}.sqlite3"


def open_to_write(path: Path) -> sqlite3.Connection:
    """The file with its tables, which are made if there are none. Transactions are begun by hand.

    Raises:
        sqlite3.Error: if there is no room for it, or what lies there is no such file.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # it holds addresses
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=_BUSY_MS / 1000)
    try:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # room that rows leave is given back
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # after a power cut it may be older, never half
        connection.execute("PRAGMA wal_autocheckpoint = 16000")  # pages: 64 MB
        connection.execute("PRAGMA journal_size_limit = 134217728")
        connection.execute("PRAGMA cache_size = -131072")  # 128 MiB
        if not _is_ours(connection):
            connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
    except BaseException:
        connection.close()
        raise
    return connection


def open_to_read(path: Path) -> sqlite3.Connection | None:
    """The file to be read, by the thread that asks; None if there is none yet.

    Raises:
        sqlite3.Error: if what lies there is no such file.
    """
    if not path.exists():
        return None
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_MS / 1000)
    try:
        if _is_ours(connection):
            connection.execute("PRAGMA cache_size = -16384")
            return connection
    except BaseException:
        connection.close()
        raise
    connection.close()
    return None


def empty() -> sqlite3.Connection:
    """The tables without rows, in memory."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(_TABLES)
    return connection


def _is_ours(connection: sqlite3.Connection) -> bool:
    with closing(connection.execute("PRAGMA user_version")) as found:
        return bool(found.fetchone()[0] == VERSION)
