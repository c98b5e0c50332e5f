"""The embedded broker: Apache Kafka itself, one KRaft node on this machine."""

from __future__ import annotations

import base64
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from streamnotify.devtools.kafka import guard
from streamnotify.devtools.kafka.data_dir import POLL_INTERVAL_S, BrokerRecord, DataDir
from streamnotify.devtools.kafka.download import Distribution, Report, default_distribution, say
from streamnotify.devtools.kafka.errors import EmbeddedKafkaError, StartFailed
from streamnotify.devtools.kafka.java import java_command
from streamnotify.devtools.kafka.readiness import is_ready

START_TIMEOUT_S = 60.0
START_TRIES = 3
PAUSE_BETWEEN_TRIES_S = 0.5
# Below the range the system takes ports of outgoing connections from: else a client that keeps trying to reach a
# broker that is down can be given the broker's own port, and the broker cannot come back.
PORTS = range(20_000, 32_000)

# One node, small and quick to start. Kafka's own defaults assume three nodes and a data centre.
_PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "log.dirs": "data",
    "num.partitions": "1",
    "auto.create.topics.enable": "false",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    # After a kill the node must wait until its former self is given up; by default 9 s.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "log.segment.bytes": "16777216",
    "num.network.threads": "2",
    "num.io.threads": "2",
    # Taken from the heap whole; by default 128 MiB.
    "log.cleaner.dedupe.buffer.size": "33554432",
}


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on now."""
    for port in random.sample(PORTS, 100):
        if is_free(port):
            return port
    raise StartFailed(f"no free port found from {PORTS.start} to {PORTS.stop - 1}")


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1."""
    with socket.socket() as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class EmbeddedKafka:
    """One broker. As a context manager it runs within the block.

    The broker ends when the process that started it does, even by SIGKILL, unless ``detached``.

    Args:
        port: where clients connect; by default the data directory's last one, else a free one. It stays the same
            from the first start on.
        data_dir: keeps the records over a stop; by default a temporary directory, removed by ``close``.
        overrides: broker properties that differ from ours, or are added.
        listeners: ports of this machine on which it listens beside, by the names under which ``overrides`` say how;
            ``listener.security.protocol.map`` must name them.
        detached: True lets the broker outlive this process; ``DataDir(data_dir).stop()`` ends it.
        compile_fully: True for benchmarks: a slower start, then full speed.
        heap: the most memory the broker may take for objects, as Java writes it.
        report: told what is going on if it takes time.
        distribution: the jars; by default those of this machine's cache.
        choose_port: names a port that is probably free.
    """

    def __init__(
        self,
        *,
        port: int | None = None,
        data_dir: Path | None = None,
        overrides: Mapping[str, str] | None = None,
        listeners: Mapping[str, int] | None = None,
        detached: bool = False,
        compile_fully: bool = False,
        heap: str = "512m",
        report: Report = say,
        distribution: Distribution | None = None,
        choose_port: Callable[[], int] = free_port,
    ) -> None:
        self._port = port
        self._temporary = None if data_dir else Path(tempfile.mkdtemp(prefix="streamnotify-kafka-"))
        self.data_dir = DataDir(data_dir or self._temporary or Path())
        self._overrides = dict(overrides or {})
        self._listeners = dict(listeners or {})
        self._detached = detached
        self._compile_fully = compile_fully
        self._heap = heap
        self._report = report
        self._distribution = distribution or default_distribution(report)
        self._choose_port = choose_port
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def bootstrap_servers(self) -> str:
        """Where clients connect, ``host:port``.

        Raises:
            EmbeddedKafkaError: if the broker was never started.
        """
        record = self.data_dir.record()
        if record is None:
            raise EmbeddedKafkaError("the broker was not started yet, so it has no port")
        return record.bootstrap_servers

    def start(self) -> None:
        """Start the broker on the data it has and return when it is ready. Tried three times.

        Raises:
            AlreadyRunning: if a broker runs on the data directory.
            EmbeddedKafkaError: if Java or the jars cannot be had, or the broker does not come up; the message has the
                end of its log.
        """
        libs = self._distribution.libs()
        last_record = self.data_dir.record()
        for number in range(1, START_TRIES + 1):
            # The ports of the last run are kept if they can be: its clients know them.
            record = self._ports(last_record if number == 1 else None)
            try:
                self._start_once(libs, record)
            except StartFailed as error:
                if number == START_TRIES:
                    end_of_log = f"End of {self.data_dir.log}:\n{self.data_dir.log_tail()}"
                    raise EmbeddedKafkaError(f"Kafka did not start: {error}\n{end_of_log}") from error
                self._report(f"Kafka did not start, once more: {error}")
                time.sleep(PAUSE_BETWEEN_TRIES_S)
            else:
                self._port = record.port
                return

    def stop(self) -> None:
        """Stop the broker cleanly; its data and ports stay for the next start. Nothing happens if it does not run."""
        self.data_dir.stop()
        self._reap()

    def close(self) -> None:
        """Stop the broker and remove its directory if that is a temporary one."""
        self.stop()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def kill(self) -> None:
        """End the broker as a power cut would: SIGKILL."""
        self._signal(signal.SIGKILL)
        self.data_dir.wait_for_end(START_TIMEOUT_S)
        self._reap()

    def pause(self) -> None:
        """Freeze the broker (SIGSTOP): its connections stay and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused broker go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if not self.data_dir.signal(number):
            raise EmbeddedKafkaError(f"no broker is running on {self.data_dir.path}")

    def _ports(self, last: BrokerRecord | None) -> BrokerRecord:
        port = self._port or (last.port if last else self._choose_port())
        return BrokerRecord(port, last.controller_port if last else self._choose_port())

    def _start_once(self, libs: Path, record: BrokerRecord) -> None:
        lock = self.data_dir.lock()
        try:
            for port in (record.port, record.controller_port):
                if not is_free(port):
                    raise StartFailed(f"port {port} is taken by another process")
            self.data_dir.server_properties.write_text(_properties(record, self._listeners, self._overrides))
            self._format(libs)
            self.data_dir.remember(record)
            pid = self._spawn(libs, lock)
            self.data_dir.remember(BrokerRecord(record.port, record.controller_port, pid))
        finally:
            os.close(lock)  # from here on only the broker's process holds it
        try:
            self._wait_until_ready(record.bootstrap_servers)
        except BaseException:  # Ctrl-C too: nothing half started stays behind
            self.stop()
            raise

    def _format(self, libs: Path) -> None:
        if self.data_dir.cluster_id() is not None:
            return
        command = java_command(libs, "kafka.tools.StorageTool", "format", "-t", _new_cluster_id())
        command += ["-c", str(self.data_dir.server_properties), "--ignore-formatted"]
        answer = subprocess.run(command, cwd=self.data_dir.path, capture_output=True, text=True, check=False)
        if answer.returncode != 0:
            raise StartFailed(f"the data directory could not be formatted:\n{answer.stdout}{answer.stderr}")

    def _spawn(self, libs: Path, lock: int) -> int:
        """Start the broker's process in a session of its own, out of reach of Ctrl-C; returns its process id."""
        command = java_command(
            libs, "kafka.Kafka", "server.properties", heap=self._heap, compile_fully=self._compile_fully
        )
        if not self._detached:
            command = [sys.executable, "-I", "-S", guard.__file__, str(os.getpid()), str(lock), *command]
        with self.data_dir.log.open("a") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.data_dir.path,
                stdin=subprocess.DEVNULL if self._detached else subprocess.PIPE,
                stdout=log if self._detached else subprocess.PIPE,
                stderr=log,
                pass_fds=(lock,),
                start_new_session=True,
                text=True,
            )
        if self._process.stdout is None:
            return self._process.pid
        said = self._process.stdout.readline()
        if not said:
            self._reap()
            raise StartFailed("the broker's process could not be started")
        return int(said)

    def _wait_until_ready(self, bootstrap_servers: str) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        cluster_id = self.data_dir.cluster_id()
        while not is_ready(bootstrap_servers, cluster_id):
            if not self.data_dir.is_running():
                raise StartFailed("its process ended")
            if time.monotonic() > deadline:
                raise StartFailed(f"it was not ready within {START_TIMEOUT_S:.0f} s")
            time.sleep(POLL_INTERVAL_S)

    def _reap(self) -> None:
        if self._process is None:
            return
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()
        self._process = None


def _properties(record: BrokerRecord, listeners: Mapping[str, int], overrides: Mapping[str, str]) -> str:
    clients = ",".join(f"{name}://127.0.0.1:{port}" for name, port in {"PLAINTEXT": record.port, **listeners}.items())
    addresses = {
        "listeners": f"{clients},CONTROLLER://127.0.0.1:{record.controller_port}",
        "advertised.listeners": clients,
        # Static voters, so that the controller's port may change from one start to the next.
        "controller.quorum.voters": f"1@127.0.0.1:{record.controller_port}",
    }
    properties = _PROPERTIES | addresses | dict(overrides)
    return "".join(f"{name}={value}\n" for name, value in properties.items())


def _new_cluster_id() -> str:
    while True:
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not cluster_id.startswith("-"):  # the tool would take it for an option
            return cluster_id
