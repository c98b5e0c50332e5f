"""Whose mailbox it is: the person or address behind it, and what they want."""

from __future__ import annotations

from dataclasses import dataclass, field

from streamnotify.domain.digest_wishes import DigestWish, QuietHours
from streamnotify.domain.notifications import SuppressionReason
from streamnotify.domain.preferences import OptOuts, Preferences, Profile, digest_wish, opt_outs, quiet_hours
from streamnotify.domain.recipients import ADDRESS, user_mailbox
from streamnotify.stations import organizations
from streamnotify.stations.context import Context
from streamnotify.wire.rows import Row

OWN = ""  # the source of what is said of the mailbox itself


@dataclass(frozen=True, slots=True)
class Owner:
    """What is known of a mailbox's owner.

    ``profile`` is a user's. ``preferences`` are by source: :data:`OWN`, of a user's mailbox an address that is theirs,
    of an address's mailbox those of users whose address it is. ``claimed_by`` are these users, a few if they are many.
    ``former`` are the addresses a user had before, the last ones. ``revision`` is of the record that the mailbox has
    published last itself, and ``unseen`` what it turned off in it, until the record has come back.
    """

    profile: Profile | None = None
    preferences: dict[str, Preferences] = field(default_factory=dict)
    claimed_by: tuple[str, ...] = ()
    former: tuple[str, ...] = ()
    revision: int = 0
    unseen: Preferences | None = None

    @property
    def own(self) -> Preferences:
        """What is said of the mailbox itself."""
        return self.preferences.get(OWN, NO_OPINION)

    @property
    def opt_outs(self) -> OptOuts:
        """What they refuse."""
        return opt_outs(self.profile, self._said)

    @property
    def digest_wish(self) -> DigestWish | None:
        """How they want their digests."""
        return digest_wish(self.profile, self._said)

    @property
    def quiet_hours(self) -> QuietHours | None:
        """When they want no mails."""
        return quiet_hours(self.profile, self._said)

    @property
    def timezone(self) -> str:
        """Their zone's IANA name."""
        return "UTC" if self.profile is None else self.profile.timezone

    @property
    def only_user(self) -> str | None:
        """The mailbox of the one user whose address it is; an address of two is nobody's."""
        return user_mailbox(self.claimed_by[0]) if len(self.claimed_by) == 1 else None

    def address(self, mailbox: str) -> str | None:
        """Where the mails of ``mailbox``, which is theirs, go, in lower case."""
        if mailbox.startswith(ADDRESS):
            return mailbox.removeprefix(ADDRESS)
        return self.profile.email.lower() if self.profile is not None and self.profile.email else None

    @property
    def _said(self) -> list[Preferences]:
        """What is said, the mailbox's own first."""
        return [self.preferences[source] for source in sorted(self.preferences)]


NO_OPINION = Preferences()
NOBODY = Owner()
OWNER = Row(b"p", Owner)  # key: the mailbox


def owner_of(mailbox: str, ctx: Context) -> Owner:
    """The owner of a mailbox."""
    return ctx.get(OWNER, mailbox) or NOBODY


def refusal(owner: Owner, ctx: Context, kind: str, organization_id: str | None) -> SuppressionReason | None:
    """Why the owner gets no notification of this kind from this organization; None if they do."""
    return organizations.refusal(None if owner is NOBODY else owner.opt_outs, ctx, kind, organization_id)
