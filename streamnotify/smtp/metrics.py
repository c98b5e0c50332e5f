"""The relay's metrics. No recipient and no task is ever a label."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

ATTEMPTS = Counter(
    "streamnotify_smtp_attempts_total", "Attempts to hand over a mail, by what they came to.", ["outcome"]
)
CONNECTIONS = Counter("streamnotify_smtp_connections_total", "Connections opened to the relay.")
WAITING = Gauge("streamnotify_smtp_waiting", "Mails waiting for their turn at the relay.")
RATE_LIMIT = Gauge("streamnotify_smtp_rate_limit", "Mails a second we allow ourselves just now; 0 is no limit.")
BREAKER_STATE = Gauge("streamnotify_smtp_breaker_state", "0 the relay is used, 1 one mail probes it, 2 mails are held.")
BREAKER_AGE = Gauge("streamnotify_smtp_breaker_age_seconds", "How long mails have been held; 0 while they are not.")
