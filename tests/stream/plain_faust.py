"""A plain Faust app in a process of its own, as its documentation has it: ``python -m tests.stream.plain_faust JSON``.

``numbers`` is read by an agent that fails on number 3, ``rows`` by one that keeps a table. What was handled is printed.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import faust


def plain_app(told: dict[str, str]) -> faust.App:
    """The app; topics exist already."""
    app = faust.App(
        told["app_id"],
        broker=f"kafka://{told['bootstrap_servers']}",
        datadir=told["data_dir"],
        store="memory://",
        topic_partitions=1,
        topic_allow_declare=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        broker_commit_interval=0.3,
        table_standby_replicas=0,
    )
    table = app.Table("rows", partitions=1, default=str)

    @app.agent(app.topic(told["numbers"], value_type=int))  # type: ignore[arg-type]  # as its documentation has it
    async def read_numbers(numbers: Any) -> None:
        async for number in numbers:
            if number == 3:
                raise RuntimeError("no threes")
            print("handled", number, flush=True)

    @app.agent(app.topic(told["rows"], value_type=int))  # type: ignore[arg-type]  # as its documentation has it
    async def keep_rows(sizes: Any) -> None:
        async for size in sizes:
            table[f"row of {size}"] = "x" * size
            print("kept", size, flush=True)

    return app


async def main() -> None:
    """Run until killed."""
    app = plain_app(json.loads(sys.argv[1]))
    app.finalize()
    await app.start()
    await app.wait_until_stopped()


if __name__ == "__main__":
    asyncio.run(main())
