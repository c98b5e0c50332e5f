"""The embedded broker and Kafka's console tools, on the real thing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from streamnotify.devtools.kafka import EmbeddedKafka, EmbeddedKafkaError
from streamnotify.devtools.kafka.broker import free_port
from streamnotify.devtools.kafka.console import Console, java_properties
from streamnotify.devtools.kafka.data_dir import DataDir
from streamnotify.devtools.kafka.download import KAFKA_VERSION, Distribution, default_distribution, pinned_jars
from streamnotify.devtools.kafka.readiness import is_ready
from streamnotify.wire.kafka_security import KafkaSecurity
from tests.conftest import OwnKafka

EVENT = '{"task_name": "nightly-report", "status": "Completed"}'


def streamnotify(*args: str, stdin: str = "", cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a person would, with nothing set but what is given."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "STREAMNOTIFY_"))}
    return subprocess.run(
        [sys.executable, "-m", "streamnotify", *args],
        input=stdin,
        cwd=cwd,
        env={**bare, "PYTHONPATH": str(Path(__file__).parents[2]), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def create_topic(kafka: EmbeddedKafka, name: str, **config: str) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    admin.create_topics([NewTopic(name, 1, config=config)])[name].result(30)


def produce(kafka: EmbeddedKafka, topic: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    producer.produce(topic, value)
    assert producer.flush(30) == 0


def records(kafka: EmbeddedKafka, topic: str, count: int) -> list[tuple[bytes | None, bytes | None]]:
    """The first ``count`` keys and values of a topic."""
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": topic})
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    found = [(record.key(), record.value()) for record in consumer.consume(count, timeout=30)]
    consumer.close()
    return found


def test_a_line_given_to_produce_is_printed_by_consume(kafka: EmbeddedKafka, unique: str, tmp_path: Path) -> None:
    create_topic(kafka, f"{unique}.task-events")
    given = {"KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers, "STREAMNOTIFY_TOPIC_PREFIX": f"{unique}."}

    produced = streamnotify("kafka", "produce", "task-events", stdin=EVENT + "\n", cwd=tmp_path, **given)
    consume = ("kafka", "consume", "task-events", "--from-beginning", "--max-messages", "1")
    consumed = streamnotify(*consume, cwd=tmp_path, **given)

    assert (produced.returncode, produced.stdout) == (0, ""), produced.stderr
    assert consumed.stdout == EVENT + "\n", consumed.stderr


def test_a_line_for_a_compacted_topic_has_a_key_and_null_deletes_it(
    kafka: EmbeddedKafka, unique: str, tmp_path: Path
) -> None:
    create_topic(kafka, f"{unique}.users")
    given = {"KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers, "STREAMNOTIFY_TOPIC_PREFIX": f"{unique}."}
    lines = 'u1|{"email": "ann@example.com"}\nu1|null\n'

    streamnotify("kafka", "produce", "users", stdin=lines, cwd=tmp_path, **given)
    consume = ("kafka", "consume", "users", "--from-beginning", "--max-messages", "2")
    consumed = streamnotify(*consume, cwd=tmp_path, **given)

    assert records(kafka, f"{unique}.users", 2) == [(b"u1", b'{"email": "ann@example.com"}'), (b"u1", None)]
    assert consumed.stdout == lines, consumed.stderr


def test_a_record_of_two_mebibytes_can_be_produced(kafka: EmbeddedKafka, unique: str, tmp_path: Path) -> None:
    create_topic(kafka, unique, **{"max.message.bytes": "3145728"})
    value = json.dumps({"task_name": "x" * (2 * 1024 * 1024 - 100)})

    streamnotify(
        "kafka", "produce", unique, stdin=value + "\n", cwd=tmp_path, KAFKA_BOOTSTRAP_SERVERS=kafka.bootstrap_servers
    )

    assert records(kafka, unique, 1) == [(None, value.encode())]


@pytest.mark.parametrize("command", ["produce", "consume"])
def test_a_missing_topic_is_named_at_once_and_not_created(
    command: str, kafka: EmbeddedKafka, unique: str, tmp_path: Path
) -> None:
    started = time.monotonic()
    given = {"KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers, "STREAMNOTIFY_TOPIC_PREFIX": f"{unique}."}

    answer = streamnotify("kafka", command, "task-events", stdin=EVENT, cwd=tmp_path, **given)

    assert answer.returncode == 1
    assert f"there is no topic {unique}.task-events" in answer.stderr
    assert "streamnotify topics apply" in answer.stderr
    assert time.monotonic() - started < 20
    there = AdminClient({"bootstrap.servers": kafka.bootstrap_servers}).list_topics(timeout=10).topics
    assert f"{unique}.task-events" not in there


def test_a_cluster_that_does_not_answer_is_named(tmp_path: Path) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    answer = streamnotify("kafka", "produce", "task-events", cwd=tmp_path, KAFKA_BOOTSTRAP_SERVERS=nowhere)
    assert answer.returncode == 1
    assert f"no Kafka broker answers on {nowhere}" in answer.stderr


def test_data_and_port_survive_a_stop_a_kill_and_a_pause(own_kafka: OwnKafka) -> None:
    broker = own_kafka()
    broker.start()
    address = broker.bootstrap_servers
    create_topic(broker, "kept")
    produce(broker, "kept", b"before the stop")

    broker.stop()
    assert not is_ready(address)
    broker.start()
    produce(broker, "kept", b"before the kill")
    broker.kill()
    assert not is_ready(address)
    broker.start()

    assert broker.bootstrap_servers == address
    assert records(broker, "kept", 2) == [(None, b"before the stop"), (None, b"before the kill")]
    broker.pause()
    with pytest.raises(KafkaException):
        AdminClient({"bootstrap.servers": address}).list_topics(timeout=1)
    broker.resume()
    assert is_ready(address)


def test_a_broker_dies_with_its_user_even_if_a_child_of_the_user_lives_on(tmp_path: Path) -> None:
    user = f"""
import os, time
from pathlib import Path
from streamnotify.devtools.kafka import EmbeddedKafka
EmbeddedKafka(data_dir=Path({str(tmp_path)!r})).start()
child = os.fork()
if child:  # the child prints nothing: its 0 could come first, and SIGKILL to 0 ends every process of the test run
    print(child, flush=True)
time.sleep(300)
"""
    place = DataDir(tmp_path)
    with subprocess.Popen([sys.executable, "-c", user], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            child = int(process.stdout.readline())
            assert place.is_running()
            process.kill()
            process.wait()
            assert place.wait_for_end(20), "the broker outlived its user"
            os.kill(child, 0)  # raises if it is not there
        finally:
            process.kill()
            os.kill(child, signal.SIGKILL)


@pytest.fixture
def stopped_afterwards(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    DataDir(tmp_path).stop()


def test_kafka_start_detaches_and_kafka_stop_ends_it(stopped_afterwards: Path, tmp_path: Path) -> None:
    place = ("--data-dir", str(stopped_afterwards))
    port = free_port()
    given = {"KAFKA_BOOTSTRAP_SERVERS": f"localhost:{port}"}

    started = streamnotify("kafka", "start", *place, cwd=tmp_path, **given)
    again = streamnotify("kafka", "start", *place, cwd=tmp_path, **given)
    shown = streamnotify("kafka", "status", "--json", *place, cwd=tmp_path, **given)
    stopped = streamnotify("kafka", "stop", *place, cwd=tmp_path, **given)
    shown_after = streamnotify("kafka", "status", "--json", *place, cwd=tmp_path, **given)

    assert started.returncode == 0, started.stderr
    assert (again.returncode, f"already running on 127.0.0.1:{port}" in again.stdout) == (0, True)
    status = json.loads(shown.stdout)
    assert (shown.returncode, status["ready"], status["bootstrap_servers"]) == (0, True, f"127.0.0.1:{port}")
    assert (stopped.returncode, stopped.stdout) == (0, "Kafka is stopped\n")
    assert (shown_after.returncode, json.loads(shown_after.stdout)["running"]) == (1, False)


def test_a_port_taken_meanwhile_is_answered_by_another_try_with_another_port(own_kafka: OwnKafka) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        ports = iter([taken])
        reports: list[str] = []
        broker = own_kafka(choose_port=lambda: next(ports, None) or free_port(), report=reports.append)

        broker.start()

    assert broker.bootstrap_servers != f"127.0.0.1:{taken}"
    assert any(f"port {taken} is taken" in report for report in reports)


def test_a_fixed_port_that_is_taken_is_named(own_kafka: OwnKafka) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        with pytest.raises(EmbeddedKafkaError, match=f"port {taken} is taken"):
            own_kafka(port=taken).start()


def test_a_broker_that_does_not_come_up_shows_the_end_of_its_log(own_kafka: OwnKafka, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "meta.properties").write_text("cluster.id=formatted-already\n")
    nothing = Distribution(tmp_path, {}, fetch=lambda libs, afresh, report: None)

    with pytest.raises(EmbeddedKafkaError, match=r"its process ended(.|\n)*main class kafka\.Kafka"):
        own_kafka(data_dir=tmp_path, distribution=nothing).start()


def test_only_the_expected_cluster_counts_as_ready(kafka: EmbeddedKafka) -> None:
    assert is_ready(kafka.bootstrap_servers, kafka.data_dir.cluster_id())
    assert not is_ready(kafka.bootstrap_servers, "another-cluster")


class FakeMaven:
    """Writes the jars it is given, one set per call; the last set again and again."""

    def __init__(self, *sets: dict[str, bytes]) -> None:
        self.sets = list(sets)
        self.calls: list[bool] = []  # whether each was to fetch afresh
        self.on_call: Callable[[], None] = lambda: None

    def __call__(self, libs: Path, afresh: bool, report: Callable[[str], None]) -> None:
        self.on_call()
        jars = self.sets[min(len(self.calls), len(self.sets) - 1)]
        self.calls.append(afresh)
        for name, content in jars.items():
            (libs / name).write_bytes(content)


# As `sha256sum` prints them for b"a" and b"b".
PINNED = {
    "a.jar": "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
    "b.jar": "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d",
}
GOOD = {"a.jar": b"a", "b.jar": b"b"}


def distribution(home: Path, maven: FakeMaven) -> Distribution:
    return Distribution(home, PINNED, maven, report=lambda line: None)


def test_jars_are_fetched_once(tmp_path: Path) -> None:
    maven = FakeMaven(GOOD)
    libs = distribution(tmp_path / "home", maven).libs()
    assert distribution(tmp_path / "home", maven).libs() == libs
    assert sorted(path.name for path in libs.iterdir()) == ["a.jar", "b.jar"]
    assert maven.calls == [False]


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda libs: (libs / "a.jar").write_bytes(b"x"), id="damaged"),
        pytest.param(lambda libs: (libs / "a.jar").unlink(), id="missing"),
        pytest.param(lambda libs: (libs / "c.jar").write_bytes(b"c"), id="surplus"),
        pytest.param(lambda libs: (libs.parent / ".done").unlink(), id="unfinished"),
    ],
)
def test_jars_that_are_not_what_they_should_be_are_fetched_anew(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    maven = FakeMaven(GOOD)
    libs = distribution(tmp_path, maven).libs()
    harm(libs)
    distribution(tmp_path, maven).libs()
    assert {path.name: path.read_bytes() for path in libs.iterdir()} == GOOD
    assert len(maven.calls) == 2


def test_a_bad_download_is_tried_once_more_past_mavens_own_cache(tmp_path: Path) -> None:
    maven = FakeMaven({"a.jar": b"half"}, GOOD)
    distribution(tmp_path, maven).libs()
    assert maven.calls == [False, True]


def test_two_bad_downloads_are_an_error_that_names_the_jar(tmp_path: Path) -> None:
    maven = FakeMaven({**GOOD, "a.jar": b"half"})
    with pytest.raises(EmbeddedKafkaError, match=r"damaged: a\.jar"):
        distribution(tmp_path, maven).libs()
    assert len(maven.calls) == 2


def test_two_processes_at_once_fetch_once(tmp_path: Path) -> None:
    maven = FakeMaven(GOOD)
    waiting = threading.Event()
    second = Distribution(tmp_path, PINNED, maven, report=lambda line: waiting.set())
    thread = threading.Thread(target=second.libs)

    def start_second() -> None:
        thread.start()
        assert waiting.wait(20), "the second one does not wait"

    maven.on_call = start_second
    distribution(tmp_path, maven).libs()
    thread.join(20)
    assert maven.calls == [False]


def test_an_unpacked_kafka_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "libs").mkdir()
    (tmp_path / "bin" / "kafka-server-start.sh").touch()
    (tmp_path / "libs" / "kafka_2.13-4.2.0.jar").touch()
    maven = FakeMaven(GOOD)
    assert distribution(tmp_path, maven).libs() == tmp_path / "libs"
    assert maven.calls == []


def test_the_pinned_jars_are_of_the_version_we_name() -> None:
    assert {f"kafka_2.13-{KAFKA_VERSION}.jar", f"kafka-tools-{KAFKA_VERSION}.jar"} <= set(pinned_jars())


def test_credentials_reach_the_console_tools_but_not_their_command_line() -> None:
    security = KafkaSecurity("SASL_PLAINTEXT", "PLAIN", "ann", 'pass "word" \\ é')
    console = Console(default_distribution().libs(), "127.0.0.1:9092", security=security)

    command = console.consumer("task-events")

    descriptor = int(command[command.index("--command-config") + 1].removeprefix("/dev/fd/"))
    with os.fdopen(descriptor) as pipe:
        assert pipe.read() == java_properties(security)
    assert "pass" not in " ".join(command)


def test_java_reads_the_credentials_back_as_they_were(tmp_path: Path) -> None:
    security = KafkaSecurity("SASL_PLAINTEXT", "PLAIN", "ann", 'pass "word" \\ é😀')
    (tmp_path / "client.properties").write_text(java_properties(security))
    (tmp_path / "Read.java").write_text(
        """
        public class Read {
            public static void main(String[] args) throws Exception {
                var properties = new java.util.Properties();
                properties.load(new java.io.FileInputStream(args[0]));
                new java.io.PrintStream(System.out, true, "UTF-8").print(properties.getProperty("sasl.jaas.config"));
            }
        }
        """
    )
    read = subprocess.run(
        ["java", "Read.java", "client.properties"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    module = "org.apache.kafka.common.security.plain.PlainLoginModule"
    assert read.stdout == module + r' required username="ann" password="pass \"word\" \\ é😀";', read.stderr


@pytest.mark.parametrize("command", ["start", "stop", "status", "produce", "consume"])
def test_help_has_an_example(command: str, tmp_path: Path) -> None:
    answer = streamnotify("kafka", command, "--help", cwd=tmp_path)
    assert answer.returncode == 0
    assert f"streamnotify kafka {command}" in answer.stdout.partition("Example:")[2]


def test_a_command_whose_extra_is_missing_says_which() -> None:
    without = "import sys; sys.modules['confluent_kafka'] = None; from streamnotify.cli.main import main; main()"
    answer = subprocess.run(
        [sys.executable, "-c", without, "kafka", "status"], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 1
    assert "pip install 'streamnotify[worker]'" in answer.stderr
