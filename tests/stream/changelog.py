"""What a changelog shows about how a station's state came to be."""

from __future__ import annotations

from streamnotify.stream import engine_rows
from tests.stream.kafka_pipeline import KafkaPipeline


def regressions(deployment: KafkaPipeline, station: str) -> list[str]:
    """Places where the applied input offset does not rise from one chunk to the next; there are none in a sound one."""
    applied: dict[int, int] = {}
    found = []
    for record in deployment.records(f"{deployment.name}-{station}-changelog"):
        if record.key() != engine_rows.POSITION:
            continue
        position, partition = engine_rows.decode_position(record.value()), record.partition() or 0
        before = applied.get(partition, -2)
        if position.applied <= before:
            found.append(f"{station}[{partition}]@{record.offset()}: from {before} to {position.applied}")
        applied[partition] = position.applied
    return found


def offsets(deployment: KafkaPipeline, station: str) -> dict[int, list[int]]:
    """Per partition the offsets its changelog still holds."""
    held: dict[int, list[int]] = {}
    for record in deployment.records(f"{deployment.name}-{station}-changelog"):
        held.setdefault(record.partition() or 0, []).append(record.offset() or 0)
    return held
