"""The whole way, by the examples of docs/api.md: curl to `streamnotify web`, Kafka, the worker, a real SMTP server."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from streamnotify.devtools.kafka import EmbeddedKafka
from tests.cli.running import streamnotify
from tests.e2e.product import APP, MailServer, Product, a_running_product, text_of
from tests.web.web_process import WebProcess

PAGE = (Path(__file__).parents[3] / "docs" / "api.md").read_text("utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)
CREATE = next(text for kind, text in BLOCKS if "token create" in text).partition("\nexport")[0]
BOUND = ("--scope", "read", "--scope", "publish", "--organization", "org-a")
EXAMPLES = [
    (command, json.loads(answer.replace("…", "")))
    for (kind, command), (_, answer) in pairwise(BLOCKS)
    if kind == "sh" and command.startswith("curl")
]


@dataclass
class Deployment:
    """What is running: a worker, `streamnotify web`, a relay; and the page's token."""

    product: Product
    web: WebProcess
    origin: str
    token: str
    directory: Path

    def curl(self, command: str) -> Any:
        """What a command of the page answers."""
        script = f'curl() {{ command curl --fail-with-body "$@"; }}\n{command}'
        env = {"PATH": "/usr/bin:/bin", "API": f"{self.origin}/api", "TOKEN": self.token}
        done = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def why(self, task_id: str) -> list[str]:
        """What `streamnotify why` says of a run."""
        where = {name: self.product.env[name] for name in ("KAFKA_BOOTSTRAP_SERVERS", "STREAMNOTIFY_TOPIC_PREFIX")}
        return streamnotify("why", "--task", task_id, directory=self.directory, **where).stdout.splitlines()

    def wait(self, found: Callable[[], bool]) -> None:
        """Until something is so."""
        until = time.monotonic() + 60
        while not found():
            assert time.monotonic() < until, self.web.log
            time.sleep(0.2)


@pytest.fixture(scope="module")
def mail_server() -> Iterator[MailServer]:
    with closing(MailServer()) as server:
        yield server


@pytest.fixture(scope="module")
def deployment(
    kafka: EmbeddedKafka, mail_server: MailServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    directory = tmp_path_factory.mktemp("api")
    arguments = CREATE.replace("\\\n", "").split()[1:]
    token = streamnotify(*arguments, directory=directory).stdout.strip()
    with a_running_product(kafka, directory, mail_server.port, STREAMNOTIFY_RECIPIENT_HOLD="1s") as product:
        web = WebProcess(
            directory,
            KAFKA_BOOTSTRAP_SERVERS=kafka.bootstrap_servers,
            STREAMNOTIFY_TOPIC_PREFIX=product.prefix,
            STREAMNOTIFY_APP_ID=APP,
            STREAMNOTIFY_HTTP_BIND="127.0.0.1:0",
            STREAMNOTIFY_API_TOKENS_FILE="tokens.jsonl",
            STREAMNOTIFY_DATA_DIR=str(directory / "state"),
        )
        try:
            yield Deployment(product, web, web.origin(), token, directory)
        finally:
            web.end(signal.SIGKILL)


def is_shaped_like(answer: Any, shown: Any) -> bool:
    """Whether an answer has every field that the page shows."""
    if isinstance(shown, dict):
        return isinstance(answer, dict) and all(
            name in answer and is_shaped_like(answer[name], value) for name, value in shown.items()
        )
    if isinstance(shown, list):
        return isinstance(answer, list) and all(map(is_shaped_like, answer, shown)) and bool(answer) >= bool(shown)
    return True


def test_the_examples_of_the_page_work_as_it_shows(deployment: Deployment, mail_server: MailServer) -> None:
    assert len(EXAMPLES) == 5
    for number, (command, shown) in enumerate(EXAMPLES):
        if number == 2:  # what was published before is there to be read once it has been taken in
            deployment.wait(
                lambda: "nightly-report" in json.dumps(deployment.curl(EXAMPLES[2][0].replace("limit=2", "limit=9")))
            )
            deployment.wait(lambda: outcomes(deployment) == ["sent"])
        answer = deployment.curl(command.replace("since=2026-01-15T00:00:00Z", "since=2020-01-01"))
        assert is_shaped_like(answer, shown), (command, answer)
    mails = {mail["Subject"]: mail for mail in mail_server.mails_to("ann@example.com")}
    assert set(mails) == {
        "Task Completed: email_notification_test - Success",
        "Task Completed: nightly-report - Success",
    }
    text = text_of(mails["Task Completed: email_notification_test - Success"])
    assert "Hello Ann," in text
    assert "- Message: Testing email notifications" in text


def outcomes(deployment: Deployment) -> list[str]:
    try:
        return [each["outcome"] for each in deployment.curl(EXAMPLES[4][0])["notifications"]]
    except AssertionError:
        return []  # 404: not taken in yet


def test_a_test_mail_is_explained_by_its_task_id(deployment: Deployment, mail_server: MailServer) -> None:
    """The contract of SPEC section 10: 202, a task_id, and the mail."""
    headers = {"Authorization": f"Bearer {deployment.token}"}
    with httpx.Client(base_url=deployment.origin, headers=headers) as client:
        answer = client.post("/api/tasks/email-notification-test", json={"message": "Grüße 🎉"})
        assert answer.status_code == 202
        assert list(answer.json()) == ["task_id"]
        task_id = answer.json()["task_id"]
        deployment.wait(lambda: any(task_id in text_of(mail) for mail in mail_server.mails_to("ann@example.com")))
        [mail] = [mail for mail in mail_server.mails_to("ann@example.com") if task_id in text_of(mail)]
        assert "- Message: Grüße 🎉" in text_of(mail)
        deployment.wait(lambda: client.get(f"/api/why/{task_id}").status_code == 200)
        deployment.wait(lambda: client.get(f"/api/why/{task_id}").json()["notifications"][0]["outcome"] == "sent")
        [story] = client.get(f"/api/why/{task_id}").json()["notifications"]
        assert deployment.why(task_id) == story["lines"]
        assert client.get(f"/api/tasks/{task_id}").json()["task_name"] == "email_notification_test"
    assert deployment.token not in deployment.web.log


def raw(origin: str, request: bytes) -> bytes:
    """What is answered to bytes."""
    host, port = origin.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 30) as connection:
        answer = b""
        with suppress(ConnectionError):
            connection.sendall(request)
            while chunk := connection.recv(65536):
                answer += chunk
        return answer


def test_the_server_refuses_what_is_no_http(deployment: Deployment) -> None:
    head = f"Host: x\r\nAuthorization: Bearer {deployment.token}\r\nConnection: close\r\n".encode()
    for request, status in (
        (b"GET /api/tasks HTTP/1.1\r\n" + head + b"\r\n", b"200"),
        (b"GET /api/../api/tasks HTTP/1.1\r\n" + head + b"\r\n", b"404"),
        (b"GET /api/%2e%2e/tasks HTTP/1.1\r\n" + head + b"\r\n", b"404"),
        (b"GET /api/tasks HTTP/1.1\r\n" + head + b"X: a\x00b\r\n\r\n", b"400"),
        (b"GET /api/tasks HTTP/1.1\r\n" + head + b"Authorization: Bearer x\r\n\r\n", b"401"),
        (b"GET /api/tasks\x00 HTTP/1.1\r\n" + head + b"\r\n", b"400"),
        (
            b"POST /api/task-events HTTP/1.1\r\n"
            + head
            + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"4",
        ),
        (b"POST /api/task-events HTTP/1.1\r\n" + head + b"Content-Length: -1\r\n\r\n", b"400"),
    ):
        assert raw(deployment.origin, request).startswith(b"HTTP/1.1 " + status), request[:60]
    overlong = b"GET /api/tasks/" + b"y" * 200_000 + b" HTTP/1.1\r\n" + head + b"\r\n"
    assert raw(deployment.origin, overlong)[:12] in (b"", b"HTTP/1.1 400")  # the connection may be gone first
    assert deployment.web.log.count("Invalid HTTP request received") == 1  # a minute: nobody fills a disk with it


def test_a_wrong_file_of_tokens_stops_the_start_with_its_line_and_field(tmp_path: Path) -> None:
    (tmp_path / "tokens.jsonl").write_text('# ours\n{"name": "ci"}\n')
    process = WebProcess(tmp_path, STREAMNOTIFY_API_TOKENS_FILE="tokens.jsonl")
    assert process.end(0) == 78
    assert process.log == "Error: tokens.jsonl, line 2: sha256: required field missing\n"


def test_without_kafka_posts_are_to_come_again_and_reads_are_answered(tmp_path: Path) -> None:
    made = json.loads(streamnotify("token", "create", "ci", *BOUND, "--json", directory=tmp_path).stdout)
    (tmp_path / "tokens.jsonl").write_text(json.dumps(made["entry"]))
    headers = {"Authorization": f"Bearer {made['token']}"}
    with socket.create_server(("127.0.0.1", 0)) as mute:
        process = WebProcess(
            tmp_path,
            KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{mute.getsockname()[1]}",
            STREAMNOTIFY_HTTP_BIND="127.0.0.1:0",
            STREAMNOTIFY_API_TOKENS_FILE="tokens.jsonl",
        )
        try:
            with httpx.Client(base_url=process.origin(), headers=headers, timeout=60) as client:
                refused = client.post("/api/task-events", json={"task_name": "x", "status": "Completed"})
                listed = client.get("/api/tasks")
        finally:
            process.end(signal.SIGKILL)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert refused.json()["detail"] == "Kafka did not take all of it"
    assert "Events that were posted are not published: Kafka at 127.0.0.1" in process.log
    assert listed.json() == {"items": [], "next": None}
