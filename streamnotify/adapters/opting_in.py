"""How a task of any library says whom to tell: by what SPEC 2.1 allows for ``notify``, and by ids."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import msgspec

from streamnotify.sdk.event import Notify
from streamnotify.wire.addresses import ascii_address

logger = logging.getLogger(__name__)

_OUTCOMES = {"success", "failure", "cancelled"}
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
        given = {name: wish[name] for name in _FIELDS & wish.keys()}
        return Notify(**{name: value for name, value in given.items() if _is_usable(name, value)})
    return Notify() if wish is True else None


def _is_usable(name: str, value: Any) -> bool:
    """Whether workers accept it: an event with a wrong one would be a dead letter, and the run would never end."""
    try:
        if name == "email" and value is not None:
            ascii_address(value)
        if name == "on" and value is not None and (isinstance(value, str) or not _OUTCOMES.issuperset(value)):
            raise ValueError(f"a list of {', '.join(sorted(_OUTCOMES))} is allowed")
    except (ValueError, TypeError, AttributeError) as error:
        logger.warning("notify.%s is %r, which is left out: %s", name, value, error)
        return False
    return True


def id_in(place: Mapping[str, Any], name: str) -> str | None:
    """An id as text, whatever type it has there: ``organization_id`` or ``user_id``."""
    return None if place.get(name) is None else str(place[name])
