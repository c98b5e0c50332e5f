"""Hooks of other libraries in which nothing may go wrong."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import ParamSpec

logger = logging.getLogger(__name__)

P = ParamSpec("P")


def guarded(hook: Callable[P, object]) -> Callable[P, None]:
    """Log what a hook raises instead of letting it break, or look like a failure of, the task it tells about."""

    @functools.wraps(hook)
    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            hook(*args, **kwargs)
        except Exception:
            logger.warning("A task event could not be published", exc_info=True)

    return call
