"""How many mails per second: the whole path, the sender alone with and without keeping its connections; rendering."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

from benchmarks import rendering
from benchmarks.children import Child, wait
from benchmarks.events import mailing
from benchmarks.product import HOST, Product
from benchmarks.rates import Rate, Sample, rate
from benchmarks.report import Report
from benchmarks.stage import Stage
from streamnotify.devtools.kafka.broker import free_port
from streamnotify.domain.delivery import Outcome, OutgoingMail
from streamnotify.smtp.policy import SmtpPolicy, Tls
from streamnotify.smtp.sender import Sender

EVENTS = 10_000
FLOOR, REUSE = 500, 2.5  # mails/s from task-events to acceptance; reusing connections over one connection per mail
WITHIN = 120.0  # seconds for each; then it counts what was done by then
ALONE_SHARE = 5  # the sender alone gets a fifth of the mails
RENDERED_SHARE = 50  # of each sample a fiftieth of the mails is rendered
USER, PASSWORD = "bench", "secret"
_CONTENT = b"Subject: bench\r\n\r\n" + b"x" * 74 + (b"\r\n" + b"x" * 74) * 150 + b"\r\n"  # 11 KiB, as ours are


@dataclass(frozen=True, slots=True)
class Relay:
    """A running sink: its process and port, and the certificate authority to trust, if it speaks TLS."""

    process: Child
    port: int
    ca_file: Path | None


def run(stage: Stage, count: int, report: Report) -> None:
    """Measure and report.

    Raises:
        BenchmarkFailed: if no mails arrive.
    """
    plain, encrypted = _relay(stage, "plain", tls=False), _relay(stage, "tls", tls=True)
    login = {
        "SMTP_TLS": "implicit",
        "SMTP_USER": USER,
        "SMTP_PASSWORD": PASSWORD,
        "SMTP_CA_FILE": f"{encrypted.ca_file}",
    }
    lines = {
        "whole path, plain": _product(stage, plain, count, {}, report),
        "whole path, TLS + AUTH": _product(stage, encrypted, count, login, report),
        "sender alone, TLS + AUTH, connections kept": asyncio.run(_sender(encrypted, count // ALONE_SHARE, 100)),
        "sender alone, TLS + AUTH, one connection per mail": asyncio.run(_sender(encrypted, count // ALONE_SHARE, 1)),
    }
    for relay in (plain, encrypted):
        relay.process.stop()
    _tell(lines, report)
    rendering.run(max(count // RENDERED_SHARE, 1), report)


def _relay(stage: Stage, name: str, *, tls: bool) -> Relay:
    port, ca_file, certificate = free_port(), None, []
    if tls:
        authority = trustme.CA()
        ca_file, pem = stage.directory / "ca.pem", stage.directory / "relay.pem"
        authority.cert_pem.write_to_path(str(ca_file))
        authority.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(str(pem))
        certificate = [str(pem)]
    argv = [sys.executable, "-m", "benchmarks.smtp_sink", str(port), "{count}", "{alive}"]
    process = stage.children.start(f"relay-{name}", [*argv, str(stage.directory / f"mails-{name}"), *certificate])
    return Relay(process, port, ca_file)


def _product(stage: Stage, relay: Relay, count: int, settings: Mapping[str, str], report: Report) -> Rate:
    """The mails of events that lie there when the worker starts, accepted by the relay."""
    name = relay.process.name
    product = Product(stage, f"mails-{name}", relay.port, settings)
    stage.publish(product.events_topic, ((f"m{n}", mailing(f"m{n}", f"m{n}@example.com", n)) for n in range(count)))
    product.start()
    report.say(f"{name}: {count:,} mails")
    samples: list[Sample] = []
    began, before = time.monotonic(), relay.process.count()
    while not samples or samples[-1].records < count:
        product.worker.require_alive()
        samples.append(Sample(time.monotonic(), relay.process.count() - before, product.worker.cpu()))
        report.progress(f"{samples[-1].records:,} of {count:,}")
        if not wait(WITHIN, began):
            break
    product.worker.stop()
    return rate(samples, count)


async def _sender(relay: Relay, count: int, per_connection: int) -> Rate:
    """The sender without the engine around it, as many mails side by side as it has connections."""
    policy = SmtpPolicy(
        HOST,
        "noreply@example.com",
        relay.port,
        user=USER,
        password=PASSWORD,
        tls=Tls.IMPLICIT,
        ca_file=str(relay.ca_file),
        mails_per_connection=per_connection,
    )
    sender = Sender(policy)
    now = datetime.now(UTC)
    mail = OutgoingMail(
        notification_id="m",
        kind="task_completion",
        to="ann@example.com",
        sender=policy.sender,
        message_id="m@example.com",
        subject="bench",
        content=_CONTENT,
        created_at=now,
        expires_at=now + timedelta(days=1),
        task_name="t",
        task_id="r",
    )
    numbers = iter(range(count))

    async def send() -> None:
        for number in numbers:
            result = await sender.send(replace(mail, notification_id=f"m{number}"), 1, lambda: None)
            assert result.outcome is Outcome.SENT, result

    began = time.monotonic()
    await asyncio.gather(*(send() for _ in range(policy.connections)))
    seconds = time.monotonic() - began
    await sender.close()
    return Rate(count, seconds)


def _tell(lines: Mapping[str, Rate], report: Report) -> None:
    rows = [
        (name, f"{line.events:,}", f"{line.per_second:,.0f}", f"{line.cpu_per_event / 1000:.2f}" if line.cpu else "")
        for name, line in lines.items()
    ]
    report.table("Mails to a sink on this machine", ("", "mails", "mails/s", "CPU ms/mail"), rows)
    whole, encrypted, kept, anew = lines.values()
    report.verdict("whole path, plain", whole.per_second, FLOOR, " mails/s")
    report.verdict("whole path, TLS + AUTH", encrypted.per_second, FLOOR, " mails/s")
    report.verdict("connections kept over one per mail", kept.per_second / anew.per_second, REUSE, " times")
