"""The whole product on a real broker and a real SMTP server: workers as processes, events in, mails out."""

from __future__ import annotations

import collections
import email.policy
import json
import os
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email import message_from_bytes
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from confluent_kafka import OFFSET_END, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.devtools.kafka.broker import free_port
from streamnotify.domain.runs import Run
from streamnotify.stations.run_rows import RUN, run_of_key
from streamnotify.stream.topic_admin import TopicAdmin
from streamnotify.stream.topic_reader import TopicReader
from streamnotify.wire.topic_layout import DEAD_LETTER_BYTES, layouts
from tests.records import headers_of
from tests.worker_processes import WorkerProcesses

PARTITIONS = 4
APP = "sn"


class MailServer:
    """A real SMTP server that remembers every delivery, by Message-ID."""

    def __init__(self) -> None:
        self.deliveries: collections.defaultdict[str, list[bytes]] = collections.defaultdict(list)
        self.recipients: dict[str, str] = {}
        self.port = free_port()
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self._controller.start()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        """Accept everything."""
        content = envelope.original_content or b""
        message_id = message_from_bytes(content)["Message-ID"]
        self.deliveries[message_id].append(content)
        self.recipients[message_id] = envelope.rcpt_tos[0]
        return "250 accepted"

    def mails_to(self, address: str) -> list[EmailMessage]:
        """The distinct mails to an address."""
        ids = [message_id for message_id, to in self.recipients.items() if to == address]
        return [parsed(self.deliveries[message_id][0]) for message_id in ids]

    def close(self) -> None:
        """Close the port."""
        self._controller.stop()


class Product(WorkerProcesses):
    """One deployment under a unique topic prefix.

    Args:
        bootstrap_servers: of the broker.
        name: unique on the broker.
        directory: for state and logs.
        smtp_port: of the relay.
    """

    def __init__(self, bootstrap_servers: str, name: str, directory: Path, smtp_port: int) -> None:
        self.prefix = f"{name}."
        super().__init__(bootstrap_servers, f"{self.prefix}{APP}", directory)
        self.env = {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
            "STREAMNOTIFY_TOPIC_PREFIX": self.prefix,
            "STREAMNOTIFY_APP_ID": APP,
            "STREAMNOTIFY_PARTITIONS": str(PARTITIONS),
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(smtp_port),
            "SMTP_TLS": "none",
            "SMTP_FROM": "notify@example.com",
            "STREAMNOTIFY_DIGEST_WINDOW": "0",  # each mail at once, where a test is not about digests
            "STREAMNOTIFY_ALERT_DIGEST_WINDOW": "0",
        }
        TopicAdmin(bootstrap_servers).apply(layouts(self.prefix, APP, PARTITIONS, 1))
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "linger.ms": 10,
                "enable.idempotence": True,
                "message.max.bytes": DEAD_LETTER_BYTES,
            }
        )

    def new_relay_port(self) -> int:
        """Have workers started from now on send to a port where nothing listens yet; its number."""
        port = free_port()
        self.env["SMTP_PORT"] = str(port)
        return port

    def start(self, worker: int, *arguments: str, engine: str = "streamnotify.cli.engine", **env: str) -> None:
        """Start an engine process with a data directory of its own; it ends with code 70 where it crashes."""
        state = {"STREAMNOTIFY_DATA_DIR": str(self.data_dir(worker))}
        self.spawn(worker, [sys.executable, "-m", engine, *arguments], {**self.env, **state, **env})

    def revive(self) -> None:
        """Start workers that have crashed again, as their supervisor would."""
        for number, worker in self.workers.items():
            if worker.poll() == 70:
                self.start(number, "--after-failure")

    def publish(
        self,
        event: dict[str, Any] | bytes | None,
        key: str | bytes | None = None,
        headers: Sequence[tuple[str, bytes | None]] = (),
        topic: str = "task-events",
    ) -> None:
        """Publish an event, or raw bytes; flush() waits for it."""
        value = json.dumps(event).encode() if isinstance(event, dict) else event
        while True:
            try:
                self._producer.produce(f"{self.prefix}{topic}", value, key=key, headers=list(headers))
                break
            except BufferError:
                self._producer.poll(0.1)
        self._producer.poll(0)

    def flush(self) -> None:
        """Wait until everything published is acked."""
        assert self._producer.flush(60) == 0

    def records(self, name: str) -> Iterator[Message]:
        """Everything on a topic of this deployment."""
        with TopicReader(self.bootstrap_servers, [f"{self.prefix}{name}"]) as reader:
            yield from reader.to_the_end()

    def statuses(self) -> list[dict[str, Any]]:
        """The distinct records on notification-status."""
        distinct = {headers_of(record)["sn-id"]: record.value() for record in self.records("notification-status")}
        return [json.loads(value or b"null") for value in distinct.values()]

    def results(self) -> list[dict[str, Any]]:
        """The distinct records on monitor-results, in the order the checks were due."""
        distinct = {headers_of(record)["sn-id"]: record.value() for record in self.records("monitor-results")}
        return sorted(
            (json.loads(value or b"null") for value in distinct.values()), key=lambda each: each["check_time"]
        )

    def monitor(self, name: str, tasks: dict[str, Any], **fields: Any) -> None:
        """Put a monitor's record and wait until it is acked."""
        self.publish({"name": name, "tasks": tasks} | fields, key=name, topic="monitor-configs")
        self.flush()

    def dead_letters(self) -> list[tuple[bytes | None, dict[str, str]]]:
        """The distinct dead letters: value and headers."""
        letters = {headers_of(record)["sn-id"]: record for record in self.records("dead-letters")}
        return [(record.value(), headers_of(record)) for record in letters.values()]

    def expire(self, topic: str) -> None:
        """Delete every record of a topic, as retention does."""
        ends = [TopicPartition(f"{self.prefix}{topic}", number, OFFSET_END) for number in range(PARTITIONS)]
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers})  # it must outlive what it has promised
        for deleted in admin.delete_records(ends).values():
            deleted.result()

    def runs(self) -> dict[tuple[str, str], Run]:
        """The state of every run, as the changelog of the tasks station has it."""
        rows: dict[bytes, bytes | None] = {}
        for record in self.records(f"{APP}-tasks-changelog"):
            key = record.key() or b""
            if key[:1] == RUN.kind:
                rows[key] = record.value()
        return {run_of_key(key[1:].decode()): RUN.decode(value) for key, value in rows.items() if value is not None}


@contextmanager
def a_running_product(kafka: EmbeddedKafka, directory: Path, smtp_port: int, **env: str) -> Iterator[Product]:
    """A deployment with one running worker that several tests share; it must not have crashed by the end."""
    made = Product(kafka.bootstrap_servers, f"e2e{uuid.uuid4().hex[:10]}", directory, smtp_port)
    try:
        made.start(1, **env)
        made.wait_until_running(1)
        yield made
        assert made.stop(1) == 0, made.log(1).read_text()[-3000:]
    finally:
        made.close()


def parsed(content: bytes) -> EmailMessage:
    """A mail's bytes as Python reads them."""
    message = message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def text_of(mail: EmailMessage) -> str:
    """The plain text of a mail."""
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content())
