"""Who a notification is for: the mailbox that decides about it (DESIGN section 1)."""

from __future__ import annotations

from typing import TypeAlias

from streamnotify.domain.alerts import AlertNotification, HealthNotification
from streamnotify.domain.notifications import TaskNotification

Notification: TypeAlias = TaskNotification | AlertNotification | HealthNotification

USER = "user:"
ADDRESS = "address:"
ORGANIZATION = "organization:"  # what keys on user-preferences begin with that are about one
SUPERUSERS = "@superusers"  # the mailbox that tells all of them


def mailbox_of(notification: Notification) -> str | None:
    """The mailbox a notification belongs to: the user's, else the address's; None if it names neither."""
    if notification.user_id:
        return user_mailbox(notification.user_id)
    if notification.email:
        return address_mailbox(notification.email)
    return None


def user_mailbox(user_id: str) -> str:
    """The mailbox of somebody in the directory."""
    return USER + user_id


def address_mailbox(email: str) -> str:
    """The mailbox of an address. Letter case does not make another one."""
    return ADDRESS + email.lower()
