"""Kafka's console producer, kept open: what a person would type into it, line by line."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from streamnotify.devtools.kafka.console import Console
from streamnotify.errors import StreamnotifyError
from streamnotify.wire.topics import Topic

_AT_ONCE = ("--timeout", "20")  # ms that a line waits for others; by default a second
_END_WITHIN_S = 20


class ProducerEnded(StreamnotifyError):
    """The console producer takes no more lines."""


class ConsoleLines:
    """A console producer for one topic; as a context manager it ends with the block.

    Args:
        console: the tools, and the cluster.
        topic: what the lines are published to.
        directory: where its log is.
    """

    def __init__(self, console: Console, topic: Topic, directory: Path) -> None:
        self._command = console.producer(console.topic(topic.name), _AT_ONCE)
        self._log = directory / f"console-{topic.name}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                text=True,
                encoding="utf-8",
                process_group=0,  # Ctrl-C is for us; the end of its input ends it
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._process.communicate(timeout=_END_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def type(self, lines: Iterable[str]) -> None:
        """Type lines; each is a record.

        Raises:
            ProducerEnded: with what it said.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write("".join(f"{line}\n" for line in lines))
            self._process.stdin.flush()
        except BrokenPipeError:
            said = self._log.read_text(errors="replace").strip()
            raise ProducerEnded(f"Kafka's console producer has ended:\n{said}") from None
