"""An upgrade while everything runs: the workers restart one after the other, the web process dies as it likes.

The real commands, a real broker and a real SMTP server, and 300 events in each second: runs whose ends are mailed.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.devtools.kafka.broker import free_port
from streamnotify.web.read_model.queries import ReadModel
from streamnotify.web.read_model.schema import file_in
from tests.e2e.product import MailServer, Product

PER_SECOND = 300
STEPS = ("Queued", "Running")  # before a run's end
WORKERS = (1, 2)
WEB = 3
LEFT_ALONE_S = 2.0  # before, between and after the restarts
WEB_LIVES_S = 3.0
ANSWERED_AFTER_S = 0.03


class TimedMailServer(MailServer):
    """Remembers when each mail came, too. It takes its time to answer, as relays do: a worker that ends meanwhile does
    not know that its mail is taken, and sends it again."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived: list[float] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        """Accept everything."""
        self.arrived.append(time.monotonic())
        await asyncio.sleep(ANSWERED_AFTER_S)
        return await super().handle_DATA(server, session, envelope)

    def longest_pause(self) -> float:
        """Seconds between two mails, at most."""
        return max(later - earlier for earlier, later in itertools.pairwise(self.arrived))


class Deployment(Product):
    """Two workers and a web process, by the commands that people start."""

    def __init__(self, bootstrap_servers: str, name: str, directory: Path, smtp_port: int) -> None:
        super().__init__(bootstrap_servers, name, directory, smtp_port)
        self.web_url = f"http://127.0.0.1:{free_port()}"
        self.env |= {
            "SMTP_CONNECTIONS": "8",
            "STREAMNOTIFY_PUBLIC_URL": self.web_url,
            "STREAMNOTIFY_SECRET": "a secret of the tests",
            "STREAMNOTIFY_HTTP_BIND": self.web_url.removeprefix("http://"),
        }
        self.published = 0  # events
        self.ended = 0  # runs, each with a mail

    def run(self, process: int, command: str) -> None:
        """Start ``streamnotify <command>``, with a data directory of its own."""
        state = {"STREAMNOTIFY_DATA_DIR": str(self.data_dir(process))}
        self.spawn(process, [sys.executable, "-m", "streamnotify", command], {**self.env, **state})

    def restart(self, worker: int) -> None:
        """As an upgrade does it: SIGTERM, wait for the end, start, wait until it is at work."""
        assert self.stop(worker) == 0, self.log(worker).read_text()[-3000:]
        self.run(worker, "worker")
        self.wait_until_running(worker)

    def web_answers(self) -> bool:
        """Whether the web process serves."""
        assert self.workers[WEB].poll() is None, self.log(WEB).read_text()[-3000:]
        try:
            with urllib.request.urlopen(f"{self.web_url}/livez", timeout=5):
                return True
        except OSError:
            return False

    def sent_says_web(self) -> int:
        """Of how many notifications the read model of the web process says that they are sent."""
        read_model, after, sent = ReadModel(file_in(self.data_dir(WEB))), None, 0
        while True:
            page = read_model.notifications(organization=None, status="sent", after=after, limit=200)
            sent, after = sent + len(page.items), page.next
            if after is None:
                return sent

    def next_event(self) -> None:
        """One more event: runs take ``STEPS`` and end, and whom each belongs to hears of its end."""
        run, step = divmod(self.published, len(STEPS) + 1)
        event: dict[str, Any] = {"task_name": "nightly-report", "task_id": f"run-{run}"}
        if step < len(STEPS):
            event["status"] = STEPS[step]
        else:
            event["status"] = ("Completed", "Stopped")[run % 2]
            event["notify"] = {"email": f"ann-{run % 1000}@example.com"}
            self.ended += 1
        self.publish(event, key=f"run-{run}")
        self.published += 1

    @contextmanager
    def steady_load(self) -> Iterator[None]:
        """``PER_SECOND`` events in each second of the block, whatever happens in it."""
        over = threading.Event()

        def publish() -> None:
            began = time.monotonic()
            while not over.wait(0.02):
                for _ in range(int((time.monotonic() - began) * PER_SECOND) - self.published):
                    self.next_event()

        publishing = threading.Thread(target=publish, name="load")
        publishing.start()
        try:
            yield
        finally:
            over.set()
            publishing.join()
            self.flush()

    @contextmanager
    def web_killed_again_and_again(self) -> Iterator[None]:
        """``streamnotify web`` is started, answers, is killed by force, and so on, at least twice in the block."""
        over, kills = threading.Event(), 0

        def torment() -> None:
            nonlocal kills
            while not over.is_set() or kills < 2:
                self.run(WEB, "web")
                self.wait_for(self.web_answers, pause=0.1)
                over.wait(WEB_LIVES_S)
                self.kill(WEB)
                kills += 1

        tormenting = threading.Thread(target=torment, name="web")
        tormenting.start()
        try:
            yield
        finally:
            over.set()
            tormenting.join()
        assert kills >= 2


@pytest.fixture
def relay() -> Iterator[TimedMailServer]:
    with closing(TimedMailServer()) as server:
        yield server


@pytest.fixture
def deployment(kafka: EmbeddedKafka, unique: str, tmp_path: Path, relay: TimedMailServer) -> Iterator[Deployment]:
    with closing(Deployment(kafka.bootstrap_servers, f"e2e{unique}", tmp_path, relay.port)) as made:
        yield made


def restart_all_under_load(deployment: Deployment, rounds: int) -> None:
    """Restart both workers ``rounds`` times while runs end and the web process is killed."""
    for worker in WORKERS:
        deployment.run(worker, "worker")
    for worker in WORKERS:
        deployment.wait_until_running(worker)
    with deployment.steady_load(), deployment.web_killed_again_and_again():
        time.sleep(LEFT_ALONE_S)
        for worker in WORKERS * rounds:
            deployment.restart(worker)
            time.sleep(LEFT_ALONE_S)


def sent_by(statuses: Sequence[Mapping[str, Any]]) -> list[str]:
    """The runs whose mail has been sent, as the records on notification-status have it."""
    return [status["task_id"] for status in statuses if status["status"] == "sent"]


def each_run_is_mailed_once(deployment: Deployment, relay: TimedMailServer, within: float) -> None:
    """Every run's mail has come within so many seconds, none of them twice; and the web process knows of each."""
    deployment.wait_for(lambda: len(relay.arrived) >= deployment.ended, within)
    # A worker that is stopped between a mail's acceptance and its result says so only when it runs again.
    deployment.wait_for(lambda: len(sent_by(deployment.statuses())) >= deployment.ended, pause=1)
    for worker in WORKERS:  # what one would send a second time, it has sent when it ends
        assert deployment.stop(worker) == 0, deployment.log(worker).read_text()[-3000:]
    print(f"{deployment.published} events, {deployment.ended} mails, longest pause {relay.longest_pause():.1f} s")
    mails, of_them_distinct = len(relay.arrived), len(relay.deliveries)
    assert (mails, of_them_distinct) == (deployment.ended, deployment.ended)
    statuses = deployment.statuses()
    assert sorted(sent_by(statuses)) == sorted(f"run-{number}" for number in range(deployment.ended))
    assert not {"suppressed", "failed", "expired"} & {status["status"] for status in statuses}
    assert deployment.dead_letters() == []
    deployment.run(WEB, "web")
    deployment.wait_for(lambda: deployment.sent_says_web() == deployment.ended)


def test_a_rolling_restart_under_load_loses_no_mail_and_sends_none_twice_while_web_is_killed(
    deployment: Deployment, relay: TimedMailServer
) -> None:
    restart_all_under_load(deployment, rounds=1)
    each_run_is_mailed_once(deployment, relay, within=180)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_many_rolling_restarts_under_load_lose_no_mail_and_send_none_twice(
    deployment: Deployment, relay: TimedMailServer
) -> None:
    """The full version: ten rounds."""
    restart_all_under_load(deployment, rounds=10)
    each_run_is_mailed_once(deployment, relay, within=900)
