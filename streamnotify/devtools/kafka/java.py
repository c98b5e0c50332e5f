"""The Java virtual machine everything of Kafka runs in."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path

from streamnotify.devtools.kafka.errors import EmbeddedKafkaError

REQUIRED_JAVA = 17  # Kafka 4's server; its clients would do with 11
_HOW_TO_INSTALL = "apt install openjdk-17-jre-headless (Debian, Ubuntu) or brew install openjdk (macOS)"


def find_java() -> str:
    """The path of a Java that Kafka runs on.

    Raises:
        EmbeddedKafkaError: if there is none on the PATH, or an older one than 17.
    """
    java = shutil.which("java")
    if java is None:
        raise EmbeddedKafkaError(f"Java {REQUIRED_JAVA} or newer is needed: {_HOW_TO_INSTALL}")
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    found = re.search(r'version "(?:1\.)?(\d+)', answer.stderr + answer.stdout)
    if found is None or int(found[1]) < REQUIRED_JAVA:
        said = f"{java} says {(answer.stderr + answer.stdout).strip()[:200]!r}"
        raise EmbeddedKafkaError(f"Java {REQUIRED_JAVA} or newer is needed, but {said}: {_HOW_TO_INSTALL}")
    return java


def java_command(libs: Path, main_class: str, *args: str, heap: str = "256m", compile_fully: bool = False) -> list[str]:
    """The command line that runs a class of Kafka.

    Args:
        libs: the directory of the jars.
        main_class: what to run, with ``args``.
        heap: the most memory it may take for objects, as Java writes it.
        compile_fully: False starts faster and then runs slower; True is for benchmarks.
    """
    log4j = Path(str(resources.files("streamnotify.devtools.kafka") / "log4j2.properties"))
    return [
        find_java(),
        "-Xms64m",
        f"-Xmx{heap}",
        "-XX:+UseSerialGC",
        *([] if compile_fully else ["-XX:TieredStopAtLevel=1"]),
        "-Djava.awt.headless=true",
        f"-Dlog4j2.configurationFile={log4j.as_uri()}",
        "-cp",
        f"{libs}/*",
        main_class,
        *args,
    ]
