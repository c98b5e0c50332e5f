"""Mails in a real browser: pictures of them, and whether they fit a phone. Needs Chromium."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_TIMEOUT_S = 60
_PAGE = """<!DOCTYPE html><meta charset="utf-8"><title>mails</title>
<style>body{{margin:0;background:#6b7280;white-space:nowrap}}iframe{{border:0;margin:8px;vertical-align:top}}</style>
{frames}
<script>
onload = () => {{
  const frames = [...document.querySelectorAll("iframe")];
  for (const frame of frames) frame.style.height = frame.contentDocument.documentElement.scrollHeight + "px";
  document.body.dataset.widths = frames.map(f => f.contentDocument.documentElement.scrollWidth).join(" ");
  document.body.dataset.heights = frames.map(f => f.contentDocument.documentElement.scrollHeight).join(" ");
}};
</script>"""


class NoBrowser(RuntimeError):
    """There is no Chromium on this machine."""


def chromium() -> str:
    """The path of a Chromium.

    Raises:
        NoBrowser: if there is none.
    """
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        raise NoBrowser(f"none of {', '.join(_NAMES)} is installed")
    return found


def sizes(mails: Sequence[str], width: int) -> list[tuple[int, int]]:
    """What each mail's HTML needs in a window ``width`` pixels wide: (width, height) of its content in pixels.

    Raises:
        NoBrowser: if there is no Chromium.
    """
    page = _page([(mail, width) for mail in mails])
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "page.html")
        path.write_text(page, "utf-8")
        shown = _run(directory, "--dump-dom", path.as_uri())
    found = [re.search(rf'data-{name}="([\d ]+)"', shown) for name in ("widths", "heights")]
    if not all(found):
        raise RuntimeError("Chromium has not shown the page")
    widths, heights = (list(map(int, match[1].split())) for match in found if match)
    return list(zip(widths, heights, strict=True))


def picture(mails: Sequence[tuple[str, int]], target: Path) -> None:
    """Write a PNG of mails side by side, each (HTML, width in pixels).

    Raises:
        NoBrowser: if there is no Chromium.
    """
    height = max(tall for mail, width in mails for _, tall in sizes([mail], width)) + 20
    across = sum(width + 20 for _, width in mails) + 20
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "page.html")
        path.write_text(_page(mails), "utf-8")
        _run(directory, f"--screenshot={target.resolve()}", f"--window-size={across},{height}", path.as_uri())


def _page(mails: Sequence[tuple[str, int]]) -> str:
    frames = (
        f'<iframe style="width:{width}px;height:600px" srcdoc="{html.escape(mail)}"></iframe>' for mail, width in mails
    )
    return _PAGE.format(frames="".join(frames))


def _run(directory: str, *arguments: str) -> str:
    """Chromium's output. It gets a profile of its own, and no way to the network."""
    command = [
        chromium(),
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--no-first-run",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={directory}/profile",
        "--virtual-time-budget=3000",
        *arguments,
    ]
    run = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    if run.returncode:
        raise RuntimeError(f"Chromium failed: {run.stderr[-500:]}")
    return run.stdout
