"""How a task of any library says whom to tell: by what SPEC 2.1 allows for ``notify``, and by ids."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import msgspec

from streamnotify.sdk.event import Notify

logger = logging.getLogger(__name__)

_FIELDS = {field.name for field in msgspec.structs.fields(Notify)}


def notify_of(wish: Any) -> Notify | None:
    """The ``notify`` of an event.

    Args:
        wish: True, ``{}`` or a mapping with fields of :class:`Notify` opts in; None or False is silent.
    """
    if isinstance(wish, Notify):
        return wish
    if isinstance(wish, Mapping):
        unknown = wish.keys() - _FIELDS
        if unknown:
            logger.warning("notify has no field %s; it has %s", sorted(unknown), sorted(_FIELDS))
        return Notify(**{name: wish[name] for name in _FIELDS & wish.keys()})
    return Notify() if wish is True else None


def id_in(place: Mapping[str, Any], name: str) -> str | None:
    """An id as text, whatever type it has there: ``organization_id`` or ``user_id``."""
    return None if place.get(name) is None else str(place[name])
