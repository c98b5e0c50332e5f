"""How we prove ourselves to the Kafka cluster, in the words of each client library."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class KafkaSecurity:
    """Protocol and credentials.

    Args:
        protocol: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.
        mechanism: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; used by the SASL protocols only, as are the two below.
        ca_file: PEM file of the CAs to trust; None for the system's.
        cert_file: PEM file of our own certificate, with its key in ``key_file`` (``key_password`` unlocks it).
    """

    protocol: str = "PLAINTEXT"
    mechanism: str = "SCRAM-SHA-512"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    key_password: str | None = field(default=None, repr=False)

    def for_aiokafka(self) -> Mapping[str, Any]:
        """Keyword arguments of aiokafka's clients.

        Raises:
            OSError: if a certificate file cannot be used (``ssl.SSLError`` is one).
        """
        arguments: dict[str, Any] = {"security_protocol": self.protocol}
        if self.protocol.endswith("SSL"):
            context = ssl.create_default_context(cafile=str(self.ca_file) if self.ca_file else None)
            if self.cert_file:
                context.load_cert_chain(self.cert_file, self.key_file, self.key_password)
            arguments["ssl_context"] = context
        if self.protocol.startswith("SASL_"):
            arguments["sasl_mechanism"] = self.mechanism
            arguments["sasl_plain_username"] = self.username
            arguments["sasl_plain_password"] = self.password
        return arguments

    def for_librdkafka(self) -> Mapping[str, str]:
        """Configuration of confluent-kafka's clients."""
        values = {
            "security.protocol": self.protocol,
            "ssl.ca.location": self.ca_file,
            "ssl.certificate.location": self.cert_file,
            "ssl.key.location": self.key_file,
            "ssl.key.password": self.key_password,
        }
        if self.protocol.startswith("SASL_"):
            values |= {
                "sasl.mechanism": self.mechanism,
                "sasl.username": self.username,
                "sasl.password": self.password,
            }
        return {name: str(value) for name, value in values.items() if value is not None}
