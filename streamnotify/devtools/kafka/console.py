"""Kafka's own console tools, told what our topics need (SPEC section 9). They work with any cluster."""

from __future__ import annotations

import difflib
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import KafkaException

from streamnotify.devtools.kafka.errors import EmbeddedKafkaError
from streamnotify.devtools.kafka.java import java_command
from streamnotify.devtools.kafka.readiness import topic_names
from streamnotify.wire.kafka_security import KafkaSecurity
from streamnotify.wire.topic_layout import DEAD_LETTER_BYTES, TopicLayout, layouts

KEY_SEPARATOR = "|"  # JSON is full of the usual ones, and a TAB is hard to type
NULL_MARKER = "null"
MAX_BLOCK_MS = 10_000  # by default a record for a topic without leader waits for a minute

_LOGIN_MODULES = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}


@dataclass(frozen=True, slots=True)
class Console:
    """The console tools for one cluster.

    Args:
        libs: the directory of Kafka's jars.
        bootstrap_servers: the cluster, ``host:port`` separated by commas.
        prefix: ``STREAMNOTIFY_TOPIC_PREFIX``.
        security: how to connect.
    """

    libs: Path
    bootstrap_servers: str
    prefix: str = ""
    security: KafkaSecurity = field(default_factory=KafkaSecurity)

    def topic(self, name: str) -> str:
        """The name on the broker of a topic that must exist.

        Args:
            name: one of SPEC section 2, with or without the prefix, or any other topic's.

        Raises:
            EmbeddedKafkaError: if there is no such topic, or no broker answers.
        """
        prefixed = f"{self.prefix}{name}"
        topic = prefixed if self._public(prefixed) else name
        try:
            there = topic_names(self.bootstrap_servers, self.security)
        except (ConnectionError, KafkaException) as error:
            raise EmbeddedKafkaError(
                f"no Kafka broker answers on {self.bootstrap_servers} (KAFKA_BOOTSTRAP_SERVERS): {error}. "
                "`streamnotify kafka start` starts one here"
            ) from error
        if topic not in there:
            hint = self._hint(topic, there)
            raise EmbeddedKafkaError(f"there is no topic {topic} on {self.bootstrap_servers}{hint}")
        return topic

    def producer(self, topic: str, extra: Sequence[str] = ()) -> list[str]:
        """The command that publishes each line of its standard input to ``topic``, as :meth:`topic` named it.

        A line of a compacted topic is ``key|value``; ``null`` as value deletes the key. On a secured cluster the
        command inherits a pipe with the credentials, so it can be run once.
        """
        properties = {"acks": "all", "max.block.ms": str(MAX_BLOCK_MS), "max.request.size": str(DEAD_LETTER_BYTES)}
        args = ["--bootstrap-server", self.bootstrap_servers, "--topic", topic]
        args += _options("--command-property", properties)
        if self._is_compacted(topic):
            presets = {"parse.key": "true", "key.separator": KEY_SEPARATOR, "null.marker": NULL_MARKER}
            args += _options("--reader-property", presets)
        return java_command(self.libs, "org.apache.kafka.tools.ConsoleProducer", *args, *self._credentials(), *extra)

    def consumer(self, topic: str, extra: Sequence[str] = ()) -> list[str]:
        """The command that prints the records of ``topic``, those of a compacted topic as ``key|value``."""
        args = ["--bootstrap-server", self.bootstrap_servers, "--topic", topic]
        if self._is_compacted(topic):
            args += _options("--formatter-property", {"print.key": "true", "key.separator": KEY_SEPARATOR})
        main_class = "org.apache.kafka.tools.consumer.ConsoleConsumer"
        return java_command(self.libs, main_class, *args, *self._credentials(), *extra)

    def _hint(self, topic: str, there: set[str]) -> str:
        if self._public(topic):
            return "; `streamnotify topics apply` creates it"
        close = difflib.get_close_matches(topic, there, n=1)
        return f"; did you mean {close[0]}?" if close else ""

    def _public(self, topic: str) -> TopicLayout | None:
        declared = layouts(self.prefix, app_id="streamnotify", partitions=1, replication=1)
        return next((layout for layout in declared if layout.name == topic), None)

    def _is_compacted(self, topic: str) -> bool:
        layout = self._public(topic)
        return layout is not None and layout.config["cleanup.policy"] == "compact"

    def _credentials(self) -> list[str]:
        properties = java_properties(self.security)
        if not properties:
            return []
        # Through a pipe: on the command line every user of the machine could read them, and a file would stay behind.
        reading, writing = os.pipe()
        os.write(writing, properties.encode())
        os.close(writing)
        os.set_inheritable(reading, True)
        return ["--command-config", f"/dev/fd/{reading}"]


def java_properties(security: KafkaSecurity) -> str:
    """The properties file of a Java client that connects so; empty if there is nothing to say."""
    properties: dict[str, str] = {}
    if security.protocol != "PLAINTEXT":
        properties["security.protocol"] = security.protocol
    if security.protocol.startswith("SASL_"):
        login = f"username={_quoted(security.username or '')} password={_quoted(security.password or '')}"
        properties["sasl.mechanism"] = security.mechanism
        properties["sasl.jaas.config"] = f"{_LOGIN_MODULES[security.mechanism]} required {login};"
    if security.protocol.endswith("SSL") and security.ca_file:
        properties |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": str(security.ca_file.absolute())}
    if security.protocol.endswith("SSL") and security.cert_file and security.key_file:
        properties["ssl.keystore.type"] = "PEM"
        properties["ssl.keystore.certificate.chain"] = security.cert_file.read_text()
        properties["ssl.keystore.key"] = security.key_file.read_text()
        if security.key_password:
            properties["ssl.key.password"] = security.key_password
    return "".join(f"{name}={_escaped(value)}\n" for name, value in properties.items())


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _escaped(text: str) -> str:
    """As a value in a Java properties file: what is special there, or no ASCII, as UTF-16 code units."""
    units = (unit for (unit,) in struct.iter_unpack(">H", text.encode("utf-16-be")))
    return "".join(chr(unit) if 0x20 < unit < 0x7F and unit != ord("\\") else f"\\u{unit:04x}" for unit in units)


def _options(flag: str, properties: dict[str, str]) -> list[str]:
    return [argument for name, value in properties.items() for argument in (flag, f"{name}={value}")]
