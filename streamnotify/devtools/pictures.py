"""``python -m streamnotify.devtools.pictures DIRECTORY``: plays the demo, and takes the pictures that README shows."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from streamnotify.devtools import mail_views
from streamnotify.devtools.browser import chromium, webp_of_mail, webp_of_url
from streamnotify.devtools.demo.pages import unsubscribe_link, view_all_link
from streamnotify.devtools.demo.set_up import stage_set
from streamnotify.devtools.demo.show import play
from streamnotify.devtools.demo.stage import Say
from streamnotify.devtools.inbox import Inbox, ReceivedMail

MOST_BYTES = 60_000  # of a picture: README is read on telephones, too

DESKTOP, PAGE, MAIL, PHONE = (1040, 636), (600, 560), (600, 1100), (375, 812)  # width, and height at most


def main(directory: str, say: Say) -> None:
    """Write the pictures into ``directory``.

    Raises:
        NoBrowser: if there is no Chromium.
        StreamnotifyError: if the demo does not show what it should.
    """
    chromium()  # before half a minute is spent on the demo
    target = Path(directory)
    target.mkdir(parents=True, exist_ok=True)
    with stage_set(say) as stage:
        digest = play(stage)
        webp_of_url(stage.inbox.url, DESKTOP, target / "inbox.webp")
        webp_of_url(unsubscribe_link(digest), PAGE, target / "unsubscribe.webp")
        webp_of_url(view_all_link(digest), PAGE, target / "all-notifications.webp")
        _mail(mail_views.light, _about(stage.inbox, "Success"), MAIL, target / "success.webp")
        _mail(mail_views.light, digest, MAIL, target / "digest.webp")
        _mail(mail_views.dark, _about(stage.inbox, "orders-import"), PHONE, target / "alert-on-a-phone.webp")


def _about(inbox: Inbox, subject: str) -> ReceivedMail:
    return next(mail for mail in inbox.mails if subject in mail.subject)


def _mail(view: Callable[[str], str], mail: ReceivedMail, size: tuple[int, int], target: Path) -> None:
    webp_of_mail(view(mail.part("html") or ""), size, target)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1], say=print)
