"""The pages in a real Chromium, which is driven through Playwright. It reaches this machine only."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from starlette.types import ASGIApp

from streamnotify.devtools.browser import chromium

PHONE, DESKTOP = 375, 1280
_OF_THE_PAGE = (
    "Failed to load resource: the server responded with a status of 4"  # what a refused form is answered with
)


def free_socket() -> socket.socket:
    """One that listens on a free port of this machine."""
    return socket.create_server(("127.0.0.1", 0))


@contextmanager
def serving(app: ASGIApp, listening: socket.socket) -> Iterator[None]:
    """The application, served by a thread."""
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    until = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < until
        time.sleep(0.01)
    yield
    server.should_exit = True
    thread.join(30)


@contextmanager
def browser(*flags: str) -> Iterator[Browser]:
    """The system's Chromium, with more ``flags`` of its command line.

    Raises:
        NoBrowser: if there is none.
    """
    path = chromium()
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", *flags],
        )
        yield launched
        launched.close()


@dataclass
class Visit:
    """A page in a window, and whatever was wrong with it meanwhile."""

    page: Page
    origin: str
    wrong: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Note every error on the console and every request to anywhere else."""
        self.page.on("console", lambda message: self._hear(message.type, message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda request: self._look_at(request.url))

    def _hear(self, kind: str, text: str) -> None:
        if not text.startswith(_OF_THE_PAGE):
            self.wrong.append(f"{kind}: {text}")

    def _look_at(self, url: str) -> None:
        if not url.startswith(f"{self.origin}/"):
            self.wrong.append(f"asked {url}")

    def violations(self) -> list[str]:
        """What axe finds against WCAG 2.2 AA and good practice, and whether the page is wider than its window."""
        found: list[dict[str, Any]] = Axe().run(self.page).response["violations"]
        said = [f"{each['id']}: {each['help']}: {[node['html'][:200] for node in each['nodes']]}" for each in found]
        across, window = self.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        return said if across <= window else [*said, f"{across} px across in a window of {window} px"]


@contextmanager
def visit(
    browser: Browser, origin: str, width: int = PHONE, scheme: str = "light", *, scripts: bool = True
) -> Iterator[Visit]:
    """A window of its own, ``scheme`` light or dark. The pages have no scripts; axe is one."""
    context = browser.new_context(
        viewport={"width": width, "height": 812},
        color_scheme="dark" if scheme == "dark" else "light",
        java_script_enabled=scripts,
    )
    context.set_default_timeout(10_000)
    opened = Visit(context.new_page(), origin)
    opened.listen()
    yield opened
    context.close()
    assert opened.wrong == []
