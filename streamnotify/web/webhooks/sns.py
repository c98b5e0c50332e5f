"""Amazon SNS: who signed a message, for which topic, and when (its developer guide, "Verifying the signatures").

Nothing is asked of an address that a message names but of the host of its topic's own region, and only for topics that
the settings name.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections import deque
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from streamnotify.setting_values import SNS_TOPIC
from streamnotify.web.webhooks.refusals import NotNow, Refused

OLDEST = timedelta(hours=2)  # it tries again for an hour at most
_AHEAD = timedelta(minutes=5)  # that its clock may be
_CERTIFICATE_PATH = re.compile(r"/SimpleNotificationService-[0-9A-Za-z]{1,64}\.pem")
_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
_KEPT_FOR = timedelta(days=1)
_MOST_KEPT = 16  # certificates
_MOST_FETCHED = 10  # in a minute: whoever knows a topic's name could make us ask for any number

Fetch = Callable[[str], bytes]


class Message(msgspec.Struct, frozen=True, rename="pascal"):
    """An SNS message, with the names of its JSON."""

    type: str
    message_id: str
    topic_arn: str
    message: str
    timestamp: str
    signature_version: str
    signature: str
    signing_cert_url: str = msgspec.field(name="SigningCertURL")
    subject: str | None = None
    token: str | None = None
    subscribe_url: str | None = msgspec.field(name="SubscribeURL", default=None)


_read = msgspec.json.Decoder(Message).decode


class Sns:
    """Reads messages of some topics.

    Args:
        topics: their ARNs; others' messages are refused.
        fetch: what is at an https URL; raises OSError.
    """

    def __init__(self, topics: Collection[str], fetch: Fetch) -> None:
        self._topics = frozenset(topics)
        self._fetch = fetch
        self._certificates = _Certificates(fetch)

    def opened(self, body: bytes, now: datetime) -> Message:
        """The message in a request's body, once it is shown to be SNS's.

        Raises:
            Refused: if it is not.
            NotNow: if that cannot be told now.
        """
        try:
            message = _read(body)
        except (msgspec.MsgspecError, RecursionError):
            raise Refused("it is no signed SNS message") from None
        if message.type not in _SIGNED:
            raise Refused(f"its type is {message.type[:50]!r}")
        if message.topic_arn not in self._topics:
            raise Refused(f"STREAMNOTIFY_WEBHOOK_SES_TOPIC_ARNS does not name its topic {message.topic_arn[:300]!r}")
        sent_at = _instant(message.timestamp)
        if sent_at is None or not now - OLDEST <= sent_at <= now + _AHEAD:
            raise Refused(f"it was sent too long ago, or in the future: {message.timestamp[:50]!r}")
        url = message.signing_cert_url
        if not _CERTIFICATE_PATH.fullmatch(_path_at_sns(url, message.topic_arn) or ""):
            raise Refused(f"its certificate is not of its region's SNS: {url[:300]!r}")
        _check_signature(message, self._certificates.key(url, now))
        return message

    def confirm(self, message: Message) -> None:
        """Say yes to the subscription that an opened SubscriptionConfirmation asks about.

        Raises:
            Refused: if its link does not lead to SNS.
            NotNow: if SNS does not answer.
        """
        url = message.subscribe_url or ""
        if _path_at_sns(url, message.topic_arn) is None:
            raise Refused(f"its SubscribeURL is not of its region's SNS: {url[:300]!r}")
        try:
            self._fetch(url)
        except OSError as error:
            raise NotNow(f"the subscription to {message.topic_arn} cannot be confirmed: {error}") from error


class _Certificates:
    """The certificates that messages name, each fetched once a day."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._kept: dict[str, tuple[x509.Certificate, datetime]] = {}  # with when it was fetched, the oldest first
        self._fetched: deque[datetime] = deque(maxlen=_MOST_FETCHED)

    def key(self, url: str, now: datetime) -> RSAPublicKey:
        """The public key of the certificate at ``url``."""
        certificate, fetched_at = self._kept.get(url, (None, now))
        if certificate is None or now - fetched_at >= _KEPT_FOR:
            certificate = self._fetch_one(url, now)
            self._kept.pop(url, None)
            self._kept[url] = (certificate, now)
            while len(self._kept) > _MOST_KEPT:
                self._kept.pop(next(iter(self._kept)), None)
        key = certificate.public_key()
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise Refused("its certificate is not valid now")
        if not isinstance(key, RSAPublicKey):
            raise Refused("its certificate has no RSA key")
        return key

    def _fetch_one(self, url: str, now: datetime) -> x509.Certificate:
        if len(self._fetched) == _MOST_FETCHED and now - self._fetched[0] < timedelta(minutes=1):
            raise NotNow("too many certificates are asked for")
        self._fetched.append(now)
        try:
            return x509.load_pem_x509_certificate(self._fetch(url))
        except OSError as error:
            raise NotNow(f"SNS's certificate cannot be had: {error}") from error
        except ValueError:
            raise NotNow("what is where SNS's certificate should be is none") from None


def _check_signature(message: Message, key: RSAPublicKey) -> None:
    fields = msgspec.to_builtins(message)
    signed = "".join(f"{name}\n{fields[name]}\n" for name in _SIGNED[message.type] if fields.get(name) is not None)
    # Version 1, which is what topics have that nobody changed, is SHA-1: no collision helps who cannot make SNS sign.
    algorithms = {"1": hashes.SHA1(), "2": hashes.SHA256()}  # noqa: S303
    try:
        signature = base64.b64decode(message.signature, validate=True)
        key.verify(signature, signed.encode(), PKCS1v15(), algorithms[message.signature_version])
    except KeyError:
        raise Refused(f"its signature version is {message.signature_version[:50]!r}") from None
    except (InvalidSignature, binascii.Error, ValueError):
        raise Refused("its signature is wrong") from None


def _path_at_sns(url: str, arn: str) -> str | None:
    """What follows the host in a URL of SNS in the topic's region; None if it is another's."""
    found = SNS_TOPIC.fullmatch(arn)
    if found is None:
        return None
    origin = f"https://sns.{found[2]}.amazonaws.com" + (".cn" if found[1] == "aws-cn" else "")
    path = url.removeprefix(origin)
    return path if url.startswith(f"{origin}/") and url.isascii() and url.isprintable() and " " not in url else None


def _instant(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at
