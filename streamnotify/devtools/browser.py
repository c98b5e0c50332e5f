"""Mails in a real browser: pictures of them, and whether they fit a phone. Needs Chromium."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from base64 import b64decode, b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path

FORCED_DARK = "--enable-features=WebContentsForceDark"  # darken pages that are light, as some mail programs do
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

_ONE_MAIL = """<!DOCTYPE html><meta charset="utf-8"><title>a mail</title>
<style>body{{margin:0}}iframe{{border:0;display:block}}</style>{frame}"""
_CONVERT = """<!DOCTYPE html><meta charset="utf-8"><title>convert</title><img src="data:image/png;base64,{png}">
<script>
onload = () => {{
  const image = document.querySelector("img"), canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
  canvas.getContext("2d").drawImage(image, 0, 0);
  document.body.dataset.webp = canvas.toDataURL("image/webp", {quality});
  image.remove();
}};
</script>"""
_SHARPNESS = 1.25  # pixels of a picture for one of the page
_QUALITY = 0.75


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


def picture(mails: Sequence[tuple[str, int]], target: Path, *flags: str) -> None:
    """Write a PNG of mails side by side, each (HTML, width in pixels); ``flags`` are for Chromium's command line.

    Raises:
        NoBrowser: if there is no Chromium.
    """
    height = max(tall for mail, width in mails for _, tall in sizes([mail], width)) + 20
    across = sum(width + 20 for _, width in mails) + 20
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "page.html")
        path.write_text(_page(mails), "utf-8")
        window = f"--window-size={across},{height}"
        _run(directory, *flags, f"--screenshot={target.resolve()}", window, path.as_uri())


def webp_of_url(url: str, size: tuple[int, int], target: Path) -> None:
    """Write a WebP of a page that this machine serves, as its upper ``size`` (width, height in pixels) shows.

    Raises:
        NoBrowser: if there is no Chromium.
    """
    with tempfile.TemporaryDirectory() as directory:
        shot = Path(directory, "shot.png")
        _shoot(directory, shot, url, size)
        target.write_bytes(_as_webp(shot.read_bytes(), directory))


def webp_of_mail(html: str, size: tuple[int, int], target: Path) -> None:
    """Write a WebP of a mail in a window of ``size`` (width, height in pixels, the latter at most).

    Raises:
        NoBrowser: if there is no Chromium.
    """
    width, most = size
    [(_, tall)] = sizes([html], width)
    height = min(tall, most)
    frame = f'<iframe style="width:{width}px;height:{height}px" scrolling="no" srcdoc="{escape(html)}"></iframe>'
    with tempfile.TemporaryDirectory() as directory:
        page, shot = Path(directory, "page.html"), Path(directory, "shot.png")
        page.write_text(_ONE_MAIL.format(frame=frame), "utf-8")
        _shoot(directory, shot, page.as_uri(), (width, height))
        target.write_bytes(_as_webp(shot.read_bytes(), directory))


def _shoot(directory: str, target: Path, url: str, size: tuple[int, int]) -> None:
    width, height = size
    # A window is at least so wide, whatever it is told; what is beside the page is cut off then.
    _run(
        directory,
        f"--screenshot={target.resolve()}",
        f"--window-size={width},{height}",
        f"--force-device-scale-factor={_SHARPNESS}",
        "--blink-settings=preferredColorScheme=1",  # light
        url,
    )


def _as_webp(png: bytes, directory: str) -> bytes:
    """Chromium's own encoder, which spares us a library for pictures."""
    page = Path(directory, "convert.html")
    page.write_text(_CONVERT.format(png=b64encode(png).decode(), quality=_QUALITY), "utf-8")
    found = re.search(r'data-webp="data:image/webp;base64,([^"]+)"', _run(directory, "--dump-dom", page.as_uri()))
    if found is None:
        raise RuntimeError("Chromium has made no WebP")
    return b64decode(found[1])


def _page(mails: Sequence[tuple[str, int]]) -> str:
    frames = (
        f'<iframe style="width:{width}px;height:600px" srcdoc="{escape(mail)}"></iframe>' for mail, width in mails
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
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        f"--user-data-dir={directory}/profile",
        "--virtual-time-budget=3000",
        *arguments,
    ]
    run = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    if run.returncode:
        raise RuntimeError(f"Chromium failed: {run.stderr[-500:]}")
    return run.stdout
