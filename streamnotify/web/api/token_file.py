"""The file of tokens, one JSON object a line: read again when it changes, kept as it was while it is wrong."""

from __future__ import annotations

import hmac
import logging
import os
import stat
from pathlib import Path

from streamnotify.errors import BadRecord, SettingsError
from streamnotify.web.api.tokens import Token, digest, parse

log = logging.getLogger(__name__)

MOST_TOKENS = 1000  # each is compared with what is presented
_MOST_BYTES = 1024 * 1024

_Signature = tuple[int, int, int, int]


class TokenFile:
    """Who holds which token, by a file that may change at any time.

    Args:
        path: of the file.

    Raises:
        SettingsError: if it cannot be read or a line is wrong, naming the line and the field.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = _signature(path)
        self._tokens = read_tokens(path)

    def holder(self, secret: str) -> Token | None:
        """The token that ``secret`` is, expired or not; None if it is none.

        How long it takes says nothing about the tokens there are: each is compared, and each whole.
        """
        self._look()
        presented, found = digest(secret), None
        for token in self._tokens:
            if hmac.compare_digest(presented, token.sha256):
                found = token
        return found

    def _look(self) -> None:
        """Take up what has changed. A file that cannot be used is told of once, and the last good one counts."""
        signature = _signature(self._path)
        if signature == self._seen:
            return
        self._seen = signature
        try:
            self._tokens = read_tokens(self._path)
        except SettingsError as error:
            log.error("The tokens stay as they were: %s", error)
        else:
            log.info("Tokens read again: there are %d now", len(self._tokens))


def read_tokens(path: Path) -> tuple[Token, ...]:
    """The tokens of a file. Empty lines and lines that begin with # are passed over.

    Raises:
        SettingsError: if it cannot be read or a line is wrong, naming the line and the field.
    """
    lines = [
        (number, line)
        for number, line in enumerate(_content(path).split(b"\n"), 1)
        if line.strip() and not line.lstrip().startswith(b"#")
    ]
    if len(lines) > MOST_TOKENS:
        raise SettingsError(f"{path}: it has {len(lines)} tokens; at most {MOST_TOKENS} are allowed")
    tokens: dict[str, Token] = {}
    for number, line in lines:
        try:
            token = parse(line)
            _refuse_known(token, tokens)
        except BadRecord as error:
            raise SettingsError(f"{path}, line {number}: {error}") from None
        tokens[token.name] = token
    return tuple(tokens.values())


def _content(path: Path) -> bytes:
    """What is in the file. Whatever lies there by now, it takes neither long nor much memory to know."""
    try:
        with open(path, "rb", opener=_opened_at_once) as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise SettingsError(f"{path}: a regular file is allowed")
            content = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from None
    if len(content) > _MOST_BYTES:
        raise SettingsError(f"{path}: it is larger than the {_MOST_BYTES} bytes that are allowed")
    return content


def _opened_at_once(path: str, flags: int) -> int:
    """A pipe that nobody writes into would be waited for."""
    return os.open(path, flags | os.O_NONBLOCK)


def _refuse_known(token: Token, tokens: dict[str, Token]) -> None:
    if token.name in tokens:
        raise BadRecord(f"{token.name} is there already; each token has a name of its own", "name")
    if any(token.sha256 == other.sha256 for other in tokens.values()):
        raise BadRecord("the same token is there already", "sha256")


def _signature(path: Path) -> _Signature | None:
    """What changes when the file does; None if it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
