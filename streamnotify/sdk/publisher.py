"""Hands task events to Kafka from inside an application, without ever failing or delaying its tasks.

Rules: research/celery-sdk.md K1-K7.
"""

from __future__ import annotations

from dataclasses import replace

from streamnotify.errors import SettingsError
from streamnotify.sdk import one_process
from streamnotify.sdk.config import PublisherConfig
from streamnotify.sdk.counters import Counters, logger
from streamnotify.sdk.event import TaskEvent
from streamnotify.sdk.one_process import ProcessId, ProcessPublisher


class Publisher:
    """One per application; each process of it gets a producer of its own at its first event.

    Args:
        config: default: from the environment, when the first event is published.
        role: what this process is, for the ``producer`` field: publisher, main, child or cli. May be set later.
    """

    def __init__(self, config: PublisherConfig | None = None, *, role: str | None = None) -> None:
        self.role = role
        self._config = config
        self._is_off = False  # nothing can be published, and the log says why
        # What a fork left us of its parents' stays here untouched: to end such a producer takes a second (K1).
        self._processes: dict[ProcessId, ProcessPublisher] = {}

    @property
    def config(self) -> PublisherConfig | None:
        """What is in force; None as long as it is to be read from the environment, or if that is wrong."""
        return self._config

    def publish(self, event: TaskEvent) -> bool:
        """Hand an event over; True if it is in the queue. Never raises and never waits: loss is counted (K6)."""
        process = self._processes.get(one_process.this_process())
        if process is None or not process.is_started:
            process = self._start()
        return process is not None and process.publish(event, self.role)

    def wait(self, seconds: float) -> int:
        """Wait until Kafka has what was published, for at most so many seconds; returns how many it still has not.

        Those go on waiting in the queue.
        """
        process = self._processes.get(one_process.this_process())
        return 0 if process is None else process.wait(seconds)

    def flush(self, seconds: float | None = None) -> int:
        """Wait until Kafka has what was published, for at most so many seconds (default: the config's).

        What is left then is given up, and final events go to the spool if there is one: for the end of a process.
        Returns how many events are lost or spooled by that.
        """
        process = self._processes.get(one_process.this_process())
        return 0 if process is None else process.flush(seconds)

    def close(self) -> None:
        """Flush, and end what runs in this process for it. The next event would start it anew."""
        process = self._processes.pop(one_process.this_process(), None)
        if process is not None:
            process.close()

    @property
    def counters(self) -> Counters:
        """What has become of this process's events, at this moment."""
        process = self._processes.get(one_process.this_process())
        return Counters() if process is None else replace(process.counters)

    def _start(self) -> ProcessPublisher | None:
        if self._is_off:
            return None
        try:
            if self._config is None:
                self._config = PublisherConfig.from_environment()
            if self._config.bootstrap_servers is None:
                self._is_off = True
                logger.info("KAFKA_BOOTSTRAP_SERVERS is not set: no task events are published")
                return None
            # Of two threads that come here at once the first wins; nothing is started yet.
            process = self._processes.setdefault(one_process.this_process(), ProcessPublisher(self._config))
            process.start()
        except ImportError as error:
            self._turn_off(f"{error.name} is not installed: pip install 'streamnotify[sdk]'")
        except SettingsError as error:
            self._turn_off(str(error))
        except Exception as error:  # noqa: BLE001 - KafkaException for a setting, no more threads: no task may fail by it
            self._turn_off(str(error))
        else:
            return process
        return None

    def _turn_off(self, why: str) -> None:
        if not self._is_off:
            self._is_off = True
            logger.error("Task events are not published: %s", why)
