"""How the publisher reaches Kafka, read from the environment of the application it lives in.

The worker's settings.py reads its own; this is the one other reader of the environment, since an application that
publishes has only the base package (DESIGN section 2: sdk stands on wire alone).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from streamnotify.errors import SettingsError
from streamnotify.sdk.current import CurrentRun
from streamnotify.wire.kafka_security import KafkaSecurity
from streamnotify.wire.run_environment import RUN_ATTEMPT, RUN_ID, RUN_NAME
from streamnotify.wire.secret_files import secret_of

_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
TOPIC = "task-events"


@dataclass(frozen=True, slots=True)
class PublisherConfig:
    """Where events go, and how much of this process they may take.

    Args:
        bootstrap_servers: ``host:port,...``; None: nothing is published.
        security: how we prove ourselves.
        topic: its full name.
        source: the producing application and environment, such as ``gap/prod``; up to 255 characters.
        spool_dir: where final events go that Kafka did not take; None: they are counted as lost.
        queue_events, queue_bytes: how much may wait in memory (K3: librdkafka's own limit would be 1 GiB).
        linger_ms: how long an event waits for others to go with.
        give_up_s: seconds after which an event counts as not taken.
        flush_s: seconds the end of a process may wait for Kafka (K4).
        idempotence: let the broker drop repeated batches; costs 0.5 s at the first flush of each process (K3).
        compression: none or lz4.
        with_traceback: send tracebacks of failures; they may hold secrets.
    """

    bootstrap_servers: str | None = None
    security: KafkaSecurity = field(default_factory=KafkaSecurity)
    topic: str = TOPIC
    source: str = ""
    spool_dir: Path | None = None
    queue_events: int = 10_000
    queue_bytes: int = 16 * 1024 * 1024
    linger_ms: int = 5
    give_up_s: float = 30.0
    flush_s: float = 3.0
    idempotence: bool = False
    compression: str = "none"
    with_traceback: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> PublisherConfig:
        """The settings of SPEC section 8 that concern a publisher.

        ``KAFKA_BOOTSTRAP_SERVERS`` unset means that nothing is published; the other ``KAFKA_…`` ones are the worker's,
        their passwords' ``…_FILE`` too;
        ``STREAMNOTIFY_TOPIC_PREFIX``, ``STREAMNOTIFY_SOURCE`` and ``STREAMNOTIFY_SPOOL_DIR`` are as the arguments say.

        Args:
            environment: default: this process's.

        Raises:
            SettingsError: with name, value and what is allowed.
        """
        variables = os.environ if environment is None else environment
        given = {name: value for name, value in variables.items() if value}
        return cls(
            bootstrap_servers=given.get("KAFKA_BOOTSTRAP_SERVERS"),
            security=_security(given),
            topic=given.get("STREAMNOTIFY_TOPIC_PREFIX", "") + TOPIC,
            source=given.get("STREAMNOTIFY_SOURCE", ""),
            spool_dir=Path(given["STREAMNOTIFY_SPOOL_DIR"]) if "STREAMNOTIFY_SPOOL_DIR" in given else None,
        )


def spool_of_user(environment: Mapping[str, str] | None = None) -> Path | None:
    """Where commands keep an event if nobody said where: cron's jobs are configured by nobody.

    Args:
        environment: default: this process's.
    """
    variables = os.environ if environment is None else environment
    if directory := variables.get("STATE_DIRECTORY"):  # of a systemd unit with StateDirectory=
        return Path(directory.split(":")[0], "spool")
    state = variables.get("XDG_STATE_HOME") or (f"{home}/.local/state" if (home := variables.get("HOME")) else None)
    return None if state is None else Path(state, "streamnotify", "spool")


def run_of_environment(environment: Mapping[str, str] | None = None) -> CurrentRun | None:
    """The run that ``streamnotify run`` tells the command it runs about; None without it.

    Args:
        environment: default: this process's.
    """
    variables = os.environ if environment is None else environment
    task_name, task_id = variables.get(RUN_NAME), variables.get(RUN_ID)
    if not task_name or not task_id:
        return None
    attempt = variables.get(RUN_ATTEMPT, "")
    return CurrentRun(task_name, task_id, int(attempt) if attempt.isdecimal() and attempt.isascii() else 1)


def _security(given: Mapping[str, str]) -> KafkaSecurity:
    files = {name: _file(given, f"KAFKA_SSL_{name}") for name in ("CAFILE", "CERTFILE", "KEYFILE")}
    return KafkaSecurity(
        protocol=_one_of(given, "KAFKA_SECURITY_PROTOCOL", _PROTOCOLS, "PLAINTEXT"),
        mechanism=_one_of(given, "KAFKA_SASL_MECHANISM", _MECHANISMS, "SCRAM-SHA-512"),
        username=given.get("KAFKA_SASL_USERNAME"),
        password=secret_of(given, "KAFKA_SASL_PASSWORD"),
        ca_file=files["CAFILE"],
        cert_file=files["CERTFILE"],
        key_file=files["KEYFILE"],
        key_password=secret_of(given, "KAFKA_SSL_PASSWORD"),
    )


def _one_of(given: Mapping[str, str], name: str, allowed: tuple[str, ...], default: str) -> str:
    value = given.get(name, default).upper()
    if value not in allowed:
        raise SettingsError(f"{name} is {given[name]!r}: {', '.join(allowed)} are allowed")
    return value


def _file(given: Mapping[str, str], name: str) -> Path | None:
    if name not in given:
        return None
    path = Path(given[name])
    if not path.is_file():
        raise SettingsError(f"{name} is {given[name]!r}: there is no such file")
    return path
