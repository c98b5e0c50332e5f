"""An error's message as a mail shows it: of a long one both ends, and how long it was (research/email.md item 5)."""

from __future__ import annotations

import re

ERROR_MESSAGE_LIMIT = 2000  # characters
_LENGTH = re.compile(r"… (\d[\d,]*) characters in all …")


def length_mark(characters: int) -> str:
    """What stands where the middle of so long a message is left out."""
    return f"\n… {characters:,} characters in all …\n"


def both_ends(text: str, limit: int = ERROR_MESSAGE_LIMIT) -> str:
    """``text`` in at most ``limit`` characters. A third of what is kept is its end, which often says what went wrong.

    A text whose middle is left out already keeps the length that is said there.
    """
    if len(text) <= limit:
        return text
    said = _LENGTH.search(text)
    mark = f"\n{said[0]}\n" if said else length_mark(len(text))
    tail = (limit - len(mark)) // 3
    return f"{text[: limit - len(mark) - tail].rstrip()}{mark}{text[-tail:].lstrip()}"
