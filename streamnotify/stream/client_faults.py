"""Why a client does not get through to the cluster, in words that name the setting to look at.

librdkafka tries on for ever and answers calls with "timed out"; what the matter is it says beside, to whoever listens.
"""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import KafkaError
from cryptography.x509 import load_pem_x509_certificates

from streamnotify.wire.kafka_security import KafkaSecurity

_LOGIN = frozenset({KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED})  # noqa: SLF001 - its API
_TLS = frozenset({KafkaError._SSL})  # noqa: SLF001
_NOT_ALLOWED = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
# librdkafka says where it was and for how long: "sasl_ssl://host:9092/bootstrap: … (after 3ms in state AUTH_REQ)".
_SAID = re.compile(r"(?:\S+://\S+: )?(?P<what>.*?)(?: \(after .*\))?", re.DOTALL)
ACLS = "docs/kafka-security.md lists the ACLs that are needed"


logger = logging.getLogger(__name__)


def is_denied(error: KafkaError) -> bool:
    """Whether an ACL is missing."""
    return error.code() in _NOT_ALLOWED


class ClientFaults:
    """Listens to one client: give it as its ``error_cb`` and its ``logger``; it is told when the client is polled.

    Args:
        servers: ``host:port,...`` that it connects to.
        security: how it proves itself.
    """

    def __init__(self, servers: str, security: KafkaSecurity) -> None:
        self._servers = servers
        self._security = security
        self._not_let_in: str | None = None

    @property
    def is_locked_out(self) -> bool:
        """Whether trying on is of no use until somebody has changed something."""
        return self._not_let_in is not None

    def log(self, level: int, message: str, *arguments: Any) -> None:
        """librdkafka's own lines: each fault comes by the dozen, and what matters of them is in :meth:`sentence`."""
        logger.debug(message, *arguments)

    def __call__(self, error: KafkaError) -> None:
        """librdkafka reports."""
        found = _SAID.fullmatch(error.str())
        said = found["what"] if found else error.str()
        if error.code() in _LOGIN:
            who = self._security.username
            self._not_let_in = f"the login of {who} fails (KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD): {said}"
        elif error.code() in _TLS:
            files = "KAFKA_SSL_CAFILE, KAFKA_SSL_CERTFILE, KAFKA_SSL_KEYFILE"
            self._not_let_in = f"TLS fails ({files}): {said}"

    def sentence(self, error: KafkaError | None = None, about: str | None = None) -> str:
        """What went wrong with a call.

        Args:
            error: that it ended with; None: no answer came.
            about: what was asked for, such as ``topic users``.
        """
        if self._not_let_in is not None:
            return f"Kafka at {self._servers} does not let us in: {self._not_let_in}"
        if (expired := self._expired_certificate()) is not None:
            return f"Kafka at {self._servers} does not let us in: {expired}"
        if error is None:
            return f"Kafka at {self._servers} does not answer"
        if is_denied(error):
            what = f" for {about}" if about else ""
            return f"Kafka at {self._servers} does not allow us this{what}: {error.str()}; {ACLS}"
        return f"Kafka at {self._servers} does not answer: {error.str()}"

    def _expired_certificate(self) -> str | None:
        """With TLS 1.3 a broker that refuses ours just closes the connection."""
        path = self._security.cert_file
        if path is None:
            return None
        try:
            until = load_pem_x509_certificates(path.read_bytes())[0].not_valid_after_utc
        except (OSError, ValueError) as error:
            return f"KAFKA_SSL_CERTFILE {path} cannot be read: {error}"
        if until > datetime.now(UTC):
            return None
        return f"our certificate has expired on {until:%Y-%m-%d %H:%M:%S} UTC (KAFKA_SSL_CERTFILE {path})"
