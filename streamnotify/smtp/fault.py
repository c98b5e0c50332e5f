"""What can go wrong while a mail is handed over: aiosmtplib's, ssl's and the system's errors mapped once."""

from __future__ import annotations

import contextlib
import enum
import ssl
from collections.abc import Iterator

import aiosmtplib

from streamnotify.errors import StreamnotifyError
from streamnotify.smtp.replies import enhanced_code


class Stage(enum.StrEnum):
    """The step of the SMTP session, in order."""

    CONNECT = "connect"  # connection, greeting and EHLO
    TLS = "tls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"  # from DATA to the last line of the content
    DOT = "dot"  # the final dot and the answer to it


class FaultKind(enum.StrEnum):
    """What happened, whatever the stage."""

    REPLY = "reply"  # the relay answered, with another code than hoped for
    DISCONNECTED = "disconnected"  # the connection could not be made, or broke
    TIMEOUT = "timeout"
    MALFORMED = "malformed"  # the answer was no SMTP reply
    NO_STARTTLS = "no_starttls"  # the relay offers none, and without it nothing is said
    HANDSHAKE = "handshake"  # the certificate or the TLS handshake failed
    NO_TOKEN = "no_token"  # noqa: S105 - the file of the access token holds none; nothing was tried
    NO_AUTH = "no_auth"  # the relay offers no way to log in that we know
    NO_SMTPUTF8 = "no_smtputf8"  # the address is not ASCII and the relay cannot take such
    BAD_ADDRESS = "bad_address"  # the address cannot be written into a command
    TOO_LARGE = "too_large"  # the relay has said that it takes no mail of this size
    TINY_LIMIT = "tiny_limit"  # the same, of a size that is nothing special


class SmtpFault(StreamnotifyError):
    """The mail was not accepted, or that is not known.

    Args:
        stage: where it happened.
        kind: what happened.
        text: the relay's words or the error's.
        code: the relay's reply code, if it answered.
    """

    def __init__(self, stage: Stage, kind: FaultKind, text: str, code: int | None = None) -> None:
        super().__init__(f"{stage}: {code} {text}" if code is not None else f"{stage}: {text}")
        self.stage = stage
        self.kind = kind
        self.text = text
        self.code = code

    @property
    def enhanced(self) -> str | None:
        """The status code of RFC 3463 that the relay's words begin with, such as ``5.1.1``."""
        return enhanced_code(self.text) if self.code is not None else None


@contextlib.contextmanager
def at(stage: Stage) -> Iterator[None]:
    """Turn every foreign error raised inside into an SmtpFault of ``stage``, with the error as its cause."""
    try:
        yield
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:  # ssl's errors and time-outs are OSErrors
        raise _fault(stage, error) from error


def _fault(stage: Stage, error: Exception) -> SmtpFault:
    handshake = _handshake_error(error)
    if handshake is not None:
        return SmtpFault(Stage.TLS if stage is Stage.CONNECT else stage, FaultKind.HANDSHAKE, str(handshake))
    if isinstance(error, aiosmtplib.SMTPResponseException):
        if error.code < 0:  # aiosmtplib's mark of a line that is no reply
            return SmtpFault(stage, FaultKind.MALFORMED, error.message)
        return SmtpFault(stage, FaultKind.REPLY, error.message, error.code)
    text = str(error) or type(error).__name__
    if isinstance(error, TimeoutError):
        return SmtpFault(stage, FaultKind.TIMEOUT, text)
    if isinstance(error, OSError):
        return SmtpFault(stage, FaultKind.DISCONNECTED, text)
    if isinstance(error, ValueError):
        return SmtpFault(stage, FaultKind.BAD_ADDRESS, text)
    return SmtpFault(stage, FaultKind.MALFORMED, text)


def _handshake_error(error: BaseException | None) -> ssl.SSLError | None:
    """Under STARTTLS the raw ssl error is raised, under implicit TLS it is the cause of a connect error."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__
    return error
