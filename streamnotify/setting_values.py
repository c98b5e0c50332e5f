"""How the text of a setting becomes a value. Each function raises ValueError saying what is allowed."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from streamnotify.domain.hosts import is_loopback
from streamnotify.render.addresses import envelope_address

SNS_TOPIC = re.compile(r"arn:(aws|aws-cn|aws-us-gov):sns:([a-z0-9-]{5,40}):\d{12}:[A-Za-z0-9_-]{1,256}", re.ASCII)
_LEGAL_NAME = re.compile(r"[A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Bind:
    """Where a server listens. Port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Parser of a whole number from ``least`` to ``most``, both included."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"-?\d{1,18}", text, re.ASCII) or not least <= int(text) <= most:
            raise ValueError(f"a whole number from {least} to {most} is allowed")
        return int(text)

    return parse


def choice(*allowed: str, upper: bool = False) -> Callable[[str], str]:
    """Parser of one of ``allowed``, in any letter case."""

    def parse(text: str) -> str:
        value = text.upper() if upper else text.lower()
        if value not in allowed:
            raise ValueError(f"one of {', '.join(allowed)} is allowed")
        return value

    return parse


def url(text: str) -> str:
    """An https URL, or http on a loopback address, without its trailing slash (SPEC section 4, "Links")."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or not re.fullmatch(r"[^\s\"'<>\\\x00-\x1f\x7f]+", text):
        raise ValueError("a URL such as https://app.example.com is allowed")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise ValueError("an https:// URL is allowed (http:// only on loopback: localhost, 127.0.0.1, [::1])")
    return text.rstrip("/")


def hostname(text: str) -> str:
    """A host name or IP address, without port."""
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[?[0-9a-fA-F:]*:[0-9a-fA-F:.]*]?", text):
        raise ValueError("a host name or IP address, without port, is allowed")
    return text.strip("[]")


def host_of(address: str) -> str:
    """The host of a URL that :func:`url` has accepted."""
    return urlsplit(address).hostname or ""


def email_address(text: str) -> str:
    """One bare ASCII e-mail address."""
    try:
        address = envelope_address(text)
    except ValueError:
        address = ""
    if not address or not address.isascii():
        raise ValueError("an e-mail address such as noreply@example.com, without a name, is allowed")
    return address


def is_email_address(text: str | None) -> bool:
    """True if :func:`email_address` accepts ``text``."""
    try:
        return bool(text and email_address(text))
    except ValueError:
        return False


def path_template(*placeholders: str) -> Callable[[str], str]:
    """Parser of what is put behind FRONTEND_URL: a path that may use ``placeholders`` in braces."""
    allowed = "a path starting with /" + "".join(f" that contains {{{name}}}" for name in placeholders)

    def parse(text: str) -> str:
        if not text.startswith("/") or not text.isprintable() or " " in text:
            raise ValueError(f"{allowed} is allowed")
        if sorted(re.findall(r"[{}][^{}]*}?", text)) != sorted(f"{{{name}}}" for name in placeholders):
            raise ValueError(f"{allowed} is allowed")
        return text

    return parse


def bind(text: str) -> Bind:
    """``host:port``; IPv6 hosts in brackets."""
    host, separator, port = text.rpartition(":")
    try:
        number = whole_number(0, 65535)(port)
    except ValueError:
        number = -1
    if not separator or not host or number < 0 or (":" in host) != (host[0] == "[" and host[-1] == "]"):
        raise ValueError("host:port such as 127.0.0.1:8091 is allowed ([::1]:8091 for IPv6)")
    return Bind(host.strip("[]"), number)


def bootstrap_servers(text: str) -> str:
    """``host:port``, several separated by commas."""
    servers = [server.strip() for server in text.split(",") if server.strip()]
    try:
        if not servers or not all(bind(server).port for server in servers):
            raise ValueError
    except ValueError:
        raise ValueError("host:port is allowed, several separated by commas") from None
    return ",".join(servers)


def name_part(least: int, most: int) -> Callable[[str], str]:
    """Parser of a part of a Kafka name, ``least`` to ``most`` characters long."""

    def parse(text: str) -> str:
        if not _LEGAL_NAME.fullmatch(text) or not least <= len(text) <= most or text in (".", ".."):
            raise ValueError(f"{least} to {most} of the characters A-Z a-z 0-9 . _ - are allowed")
        return text

    return parse


def names(text: str) -> tuple[str, ...]:
    """Domain names separated by commas, as lower case."""
    values = tuple(value.strip().lower() for value in text.split(",") if value.strip())
    if not all(re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*", value) for value in values):
        raise ValueError("domain names separated by commas are allowed")
    return values


def kinds(text: str) -> tuple[str, ...]:
    """E-mail kinds separated by commas; ``none`` for no kind."""
    values = tuple(value.strip() for value in text.split(",") if value.strip())
    if not all(re.fullmatch(r"[A-Za-z0-9_.-]+", value) for value in values):
        raise ValueError("e-mail kinds such as notification_digest, separated by commas, or none are allowed")
    return () if values == ("none",) else values


def sns_topics(text: str) -> tuple[str, ...]:
    """ARNs of SNS topics, separated by commas."""
    values = tuple(value.strip() for value in text.split(",") if value.strip())
    if not values or not all(SNS_TOPIC.fullmatch(value) for value in values):
        raise ValueError(
            "ARNs of SNS topics such as arn:aws:sns:eu-west-1:123456789012:ses, separated by commas, are allowed"
        )
    return values


def verification_key(text: str) -> EllipticCurvePublicKey:
    """A public key for ECDSA as SendGrid shows it: base64, in one line."""
    try:
        key = load_der_public_key(base64.b64decode(text, validate=True))
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if isinstance(key, EllipticCurvePublicKey):
        return key
    raise ValueError("the verification key that SendGrid shows, base64 in one line, is allowed")


def verification_key_text(text: str) -> str:
    """The text of what :func:`verification_key` accepts."""
    verification_key(text)
    return text


def colour(text: str) -> str:
    """``#rrggbb``."""
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        raise ValueError("a colour such as #1a73e8 is allowed")
    return text.lower()


def line(text: str) -> str:
    """One line of text, at most 500 characters."""
    if not text.isprintable() or len(text) > 500:
        raise ValueError("one line of at most 500 printable characters is allowed")
    return text


def existing_file(text: str) -> Path:
    """The path of a file that is there."""
    if not (path := Path(text)).is_file():
        raise ValueError("the path of an existing file is allowed")
    return path


def existing_directory(text: str) -> Path:
    """The path of a directory that is there."""
    if not (path := Path(text)).is_dir():
        raise ValueError("the path of an existing directory is allowed")
    return path
