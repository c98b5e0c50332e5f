"""Who a notification is for: the mailbox that decides about it (DESIGN section 1)."""

from __future__ import annotations

from streamnotify.domain.notifications import TaskNotification

USER = "user:"
ADDRESS = "address:"
SUPERUSERS = "@superusers"  # the mailbox that tells all of them


def mailbox_of(notification: TaskNotification) -> str | None:
    """The mailbox a notification belongs to: the user's, else the address's; None if it names neither."""
    if notification.user_id:
        return USER + notification.user_id
    if notification.email:
        return address_mailbox(notification.email)
    return None


def address_mailbox(email: str) -> str:
    """The mailbox of an address. Letter case does not make another one."""
    return ADDRESS + email.lower()
