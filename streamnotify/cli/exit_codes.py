"""Exit codes of sysexits.h that several commands share, for scripts and for mail servers that pipe into them."""

from __future__ import annotations

EXIT_TRY_AGAIN = 75  # EX_TEMPFAIL: Kafka or a worker is away
EXIT_SETTINGS = 78  # EX_CONFIG
