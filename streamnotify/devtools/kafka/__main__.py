"""``python -m streamnotify.devtools.kafka fetch``: have the jars. ``… pin``: the pom has changed, write jars.sha256."""

from __future__ import annotations

import sys

from streamnotify.devtools.kafka.download import default_distribution, pin, say
from streamnotify.devtools.kafka.errors import EmbeddedKafkaError

if __name__ == "__main__":
    try:
        if sys.argv[1:] == ["pin"]:
            pin()
        else:
            default_distribution().libs()
    except EmbeddedKafkaError as error:
        say(f"Error: {error}")
        sys.exit(1)
