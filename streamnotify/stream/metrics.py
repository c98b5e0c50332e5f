"""The engine's metrics; names carry their units. No task or recipient is ever a label."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

RECORDS = Counter("streamnotify_records_total", "Records a station has applied.", ["station"])
DEAD_LETTERS = Counter("streamnotify_dead_letters_total", "Records that could not be used.", ["station", "error_class"])
LOST = Counter("streamnotify_lost_offsets_total", "Offsets that expired before they were read.", ["topic"])
TICKS = Counter("streamnotify_ticks_total", "Ticks sent because a wake was due.", ["station"])
CHUNK_SECONDS = Histogram(
    "streamnotify_batch_seconds",
    "Time to apply and persist one micro-batch.",
    ["station"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2, 10),
)
RESTORE_SECONDS = Gauge("streamnotify_state_restore_seconds", "Time the last restore of state took.")
ATTEMPTS_OPEN = Gauge("streamnotify_attempts_waiting", "Attempts waiting for a free place in the pool.", ["station"])
PARTITIONS_OWNED = Gauge("streamnotify_partitions_owned", "Partitions of stateful stations owned by this worker.")
HEARTBEAT_AGE = Gauge("streamnotify_heartbeat_age_seconds", "Time since the group coordinator last answered.")
FRONTIER_AGE = Gauge(
    "streamnotify_frontier_age_seconds", "How long ago the last second ended up to which task-events has been taken in."
)
NOTES_VOIDED = Counter(
    "streamnotify_frontier_notes_voided_total", "Times the broker did not tell where task-events ends."
)
