"""Why a webhook's request is not taken, what it is answered then, and how that gets into the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from streamnotify.errors import StreamnotifyError

log = logging.getLogger(__name__)

_BETWEEN_LINES_S = 60.0


class Refused(StreamnotifyError):
    """It is not shown to be the provider's: no, a wrong or an old signature, or somebody else's account."""

    answer = 403


class Replayed(Refused):
    """It is the provider's, and was taken before."""

    answer = 406  # Mailgun's word for: do not try again


class Unreadable(Refused):
    """It is the provider's, but not what is documented."""

    answer = 400


class NotOn(Refused):
    """The setting that switches this provider's webhook on is not there."""

    answer = 404


class NotNow(Refused):
    """It cannot be checked or kept at the moment; providers try again."""

    answer = 503


class RefusalLog:
    """Says in the log why requests are refused: the first one, then once a minute while there are more.

    Args:
        provider: whose requests they are, or claim to be.
        monotonic: seconds that never run backwards.
    """

    def __init__(self, provider: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._provider = provider
        self._monotonic = monotonic
        self._said_at: float | None = None
        self._unsaid = 0

    def note(self, why: Refused) -> None:
        """One was refused."""
        now = self._monotonic()
        if self._said_at is not None and now - self._said_at < _BETWEEN_LINES_S:
            self._unsaid += 1
            return
        more = f" ({self._unsaid} more since the last such line)" if self._unsaid else ""
        log.warning("Webhook %s: answered %d, %s%s", self._provider, why.answer, why, more)
        self._said_at, self._unsaid = now, 0
