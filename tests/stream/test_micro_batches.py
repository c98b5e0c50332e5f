"""A poll's records become micro-batches that are each handled in one go."""

from __future__ import annotations

import itertools

from aiokafka.structs import ConsumerRecord
from hypothesis import given
from hypothesis import strategies as st

from streamnotify.stream.consumer import UNPACKED_BYTES, micro_batches

SIZES = st.lists(st.sampled_from([None, 0, 1, UNPACKED_BYTES // 3, UNPACKED_BYTES, 2 * UNPACKED_BYTES]), max_size=10)


@given(SIZES)
def test_no_batch_is_larger_than_allowed_and_no_record_is_lost(sizes: list[int | None]) -> None:
    """Compressed records can unpack to a thousand times what a poll fetches."""
    records = [
        ConsumerRecord("t", 0, offset, 0, 0, None, None if size is None else b"x" * size, None, 0, 0, ())
        for offset, size in enumerate(sizes)
    ]
    batches = list(micro_batches(records))
    assert [record for batch in batches for record in batch.value] == records
    for batch in batches:
        assert len(batch.value) == 1 or sum(len(record.value or b"") for record in batch.value) <= UNPACKED_BYTES
        assert batch.offset == batch.value[-1].offset
    for one, following in itertools.pairwise(batches):
        together = sum(len(record.value or b"") for record in (*one.value, following.value[0]))
        assert together > UNPACKED_BYTES, "batches are as large as allowed"
