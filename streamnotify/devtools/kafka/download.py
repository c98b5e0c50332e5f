"""Kafka's jars: fetched once by Maven into a cache, checked against ``jars.sha256`` every time they are used."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from streamnotify.devtools.kafka.errors import EmbeddedKafkaError

KAFKA_VERSION = "4.3.1"
# By itself Maven 3.8 would pick version 2.8, which is from 2010.
_COPY_JARS = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_TRIES = 2
_PROGRESS_INTERVAL_S = 2.0
_PACKAGE = resources.files("streamnotify.devtools.kafka")

Report = Callable[[str], None]
Fetch = Callable[[Path, bool, Report], None]


def say(line: str) -> None:
    """Report progress to the person at the terminal."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def fetch_with_maven(libs: Path, afresh: bool, report: Report) -> None:
    """Have Maven put Kafka's jars into ``libs``.

    Args:
        libs: the directory, which exists.
        afresh: True if what Maven keeps in its own repository may be damaged: then an empty one is used.
        report: told how far it is.

    Raises:
        EmbeddedKafkaError: if there is no Maven or it fails.
    """
    maven = shutil.which("mvn")
    if maven is None:
        raise EmbeddedKafkaError("Maven is needed to fetch Kafka: apt install maven (Debian) or brew install maven")
    with tempfile.TemporaryDirectory(prefix="streamnotify-maven-") as scratch:
        copied_pom = Path(scratch, "pom.xml")  # Maven may want to write beside it
        copied_pom.write_bytes((_PACKAGE / "pom.xml").read_bytes())
        command = [maven, "-B", "-f", str(copied_pom), f"-Dkafka.version={KAFKA_VERSION}", _COPY_JARS]
        command += ["-DincludeScope=runtime", f"-DoutputDirectory={libs}"]
        if afresh:
            command.append(f"-Dmaven.repo.local={scratch}/repository")
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            assert process.stdout is not None
            last_lines = _follow(process.stdout, report)
        if process.returncode != 0:
            raise EmbeddedKafkaError("Maven could not fetch Kafka:\n" + "\n".join(last_lines))


def _follow(output: Iterator[str], report: Report) -> list[str]:
    """Report Maven's downloads while they happen; returns its last lines."""
    lines: list[str] = []
    jars, megabytes, reported_at = 0, 0.0, time.monotonic()
    for line in output:
        lines = [*lines[-19:], line.rstrip()]
        found = re.match(r"(?:\[INFO\] )?Downloaded from .*\.jar \(([\d.]+) (kB|MB) ", line)
        if found:
            jars += 1
            megabytes += float(found[1]) / (1000 if found[2] == "kB" else 1)
        if time.monotonic() - reported_at >= _PROGRESS_INTERVAL_S:
            report(f"  … {jars} jars, {megabytes:.0f} MB")
            reported_at = time.monotonic()
    return lines


def pinned_jars() -> dict[str, str]:
    """SHA-256 by name of every jar Kafka is made of."""
    lines = (_PACKAGE / "jars.sha256").read_text().splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


@dataclass(frozen=True, slots=True)
class Distribution:
    """Kafka's jars in a directory of this machine.

    Args:
        home: the directory; the jars are in its ``libs``. An unpacked Kafka of the user's own is taken as it is.
        pinned: SHA-256 by name of the jars that must be there, and no others.
        fetch: puts the jars into a directory.
        report: told what is going on if it takes time.
    """

    home: Path
    pinned: Mapping[str, str]
    fetch: Fetch = fetch_with_maven
    report: Report = say

    def libs(self) -> Path:
        """The directory of the jars, fetched first if they are not there or damaged.

        Raises:
            EmbeddedKafkaError: if they cannot be had.
        """
        libs = self.home / "libs"
        if (self.home / "bin" / "kafka-server-start.sh").exists() and any(libs.glob("kafka_2.13-*.jar")):
            return libs
        if self._damage(libs) is not None:
            with self._one_at_a_time():
                damage = self._damage(libs)  # another process may have fetched them meanwhile
                if damage is not None:
                    self._fetch_anew(libs, damage)
        return libs

    def _damage(self, libs: Path) -> str | None:
        """What is wrong with the jars, or None."""
        if not self._done_marker.exists():
            return "not fetched yet"
        return compare(libs, self.pinned)

    @property
    def _done_marker(self) -> Path:
        return self.home / ".done"

    def _fetch_anew(self, libs: Path, damage: str) -> None:
        self.report(f"Fetching Apache Kafka {KAFKA_VERSION} (45 MB, once; {damage}) into {self.home}")
        started = time.monotonic()
        self._done_marker.unlink(missing_ok=True)
        for number in range(1, _TRIES + 1):
            shutil.rmtree(libs, ignore_errors=True)
            libs.mkdir(parents=True)
            try:
                self.fetch(libs, number > 1, self.report)
                wrong = compare(libs, self.pinned)
                if wrong is not None:
                    raise EmbeddedKafkaError(f"what was fetched is not what it should be: {wrong}")
            except EmbeddedKafkaError as error:
                if number == _TRIES:
                    raise
                self.report(f"  that failed, once more: {error}")
            else:
                break
        self._done_marker.touch()
        self.report(f"Apache Kafka {KAFKA_VERSION} is there ({time.monotonic() - started:.0f} s)")

    @contextlib.contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.report("Another process is fetching Kafka; waiting for it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def compare(libs: Path, pinned: Mapping[str, str]) -> str | None:
    """How the jars in ``libs`` differ from the pinned ones, by name; None if they do not."""
    there = {path.name for path in libs.glob("*.jar")}
    if there != set(pinned):
        differences = {"missing": sorted(set(pinned) - there), "surplus": sorted(there - set(pinned))}
        return "; ".join(f"{what}: {', '.join(jars)}" for what, jars in differences.items() if jars)
    damaged = [name for name in sorted(there) if _sha256(libs / name) != pinned[name]]
    return f"damaged: {', '.join(damaged)}" if damaged else None


def _sha256(path: Path) -> str:
    with path.open("rb") as jar:
        return hashlib.file_digest(jar, "sha256").hexdigest()


def default_distribution(report: Report = say) -> Distribution:
    """The jars in ``SN_KAFKA_HOME``, or in ``~/.cache/streamnotify/kafka-<version>``."""
    # A matter of this machine and not of the service, so it is no setting of SPEC section 8.
    home = os.environ.get("SN_KAFKA_HOME")
    directory = Path(home) if home else Path.home() / ".cache" / "streamnotify" / f"kafka-{KAFKA_VERSION}"
    return Distribution(directory, pinned_jars(), report=report)


def pin() -> None:
    """Fetch the jars the pom asks for and write down their checksums as the right ones."""
    target = Path(str(_PACKAGE / "jars.sha256"))
    with tempfile.TemporaryDirectory(prefix="streamnotify-kafka-") as scratch:
        fetch_with_maven(Path(scratch), True, say)
        jars = sorted(Path(scratch).glob("*.jar"))
        target.write_text("".join(f"{_sha256(jar)}  {jar.name}\n" for jar in jars))
    say(f"{target.name}: {len(jars)} jars pinned")
