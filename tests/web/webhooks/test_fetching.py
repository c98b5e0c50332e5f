"""What is fetched from a trusted host, and what is not."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import trustme

from streamnotify.web.webhooks.fetching import fetcher


class Answers(BaseHTTPRequestHandler):
    """One answer for each path."""

    def do_GET(self) -> None:
        """See BaseHTTPRequestHandler."""
        status = {"/moved": 302, "/gone": 404, "/made": 201}.get(self.path, 200)
        content = b"x" * (300_000 if self.path == "/large" else 10)
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/ok")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def origin(authority: trustme.CA) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = HTTPServer(("127.0.0.1", 0), Answers)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"https://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def trusting(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def test_what_is_there_is_fetched(origin: str, trusting: ssl.SSLContext) -> None:
    assert fetcher(trusting)(f"{origin}/ok") == b"x" * 10


@pytest.mark.parametrize("path", ["/moved", "/gone", "/made", "/large"])
def test_a_redirect_an_error_and_what_is_too_large_are_not(origin: str, trusting: ssl.SSLContext, path: str) -> None:
    with pytest.raises(OSError, match=r".+"):
        fetcher(trusting)(origin + path)


@pytest.mark.usefixtures("trusting")
def test_a_host_that_nobody_vouches_for_is_not_believed(origin: str) -> None:
    with pytest.raises(OSError, match="certificate"):
        fetcher()(f"{origin}/ok")


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "file:///etc/passwd", "ftp://127.0.0.1/", "", "HTTPS"])
def test_only_https_is_fetched(url: str) -> None:
    with pytest.raises(ValueError, match="only https"):
        fetcher()(url)
