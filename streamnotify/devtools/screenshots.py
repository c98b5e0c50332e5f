"""``python -m streamnotify.devtools.screenshots DIRECTORY [SAMPLE…]``: pictures of every template, to look at.

Two PNGs for each template and sample: 600 px light and dark, 375 px light, dark and without the style block; and those
that are light once more, darkened by Chromium (forced dark), as some mail programs do it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from streamnotify import bootstrap, settings
from streamnotify.devtools import mail_views
from streamnotify.devtools.browser import FORCED_DARK, picture
from streamnotify.devtools.samples import sample_mail, samples_of

DESKTOP, PHONE = 600, 375


def main(directory: str, *wanted: str) -> None:
    """Write the pictures of the ``wanted`` samples (none: all) into ``directory``.

    Raises:
        NoBrowser: if there is no Chromium.
    """
    target = Path(directory)
    target.mkdir(parents=True, exist_ok=True)
    renderer = bootstrap.preview_renderer(settings.load())
    for template in renderer.library.names():
        for name in (name for name in samples_of(template) if not wanted or name in wanted):
            _, _, html = mail_views.parts(sample_mail(renderer, name, template).content)
            light, dark, stripped = mail_views.light(html), mail_views.dark(html), mail_views.stripped(html)
            views = [(light, DESKTOP), (dark, DESKTOP), (light, PHONE), (dark, PHONE), (stripped, PHONE)]
            darkened = [(light, DESKTOP), (light, PHONE), (stripped, PHONE)]
            for path, shown, flags in (
                (target / f"{template}.{name}.png", views, []),
                (target / f"{template}.{name}.forced-dark.png", darkened, [FORCED_DARK]),
            ):
                picture(shown, path, *flags)
                sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    main(*sys.argv[1:])
