"""A DAG, one task of which fails as often as AIRFLOW_FAILURES says."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowSkipException

from streamnotify import sdk

HOME = Path(os.environ["AIRFLOW_HOME"])
REFUSING = os.environ.get("REFUSING")


class Refusing(sdk.Publisher):
    """Breaks what no publisher of ours does."""

    def publish(self, event: sdk.TaskEvent) -> bool:
        raise RuntimeError("no event today")


with DAG(
    "nightly",
    default_args={"streamnotify": {"organization_id": 7, "user_id": "u-1", "notify": {"template": "nightly"}}},
) as nightly:

    @task(retries=1, retry_delay=timedelta(0))  # type: ignore[untyped-decorator]
    def extract(failures: int) -> None:
        """Fail so often, counting in a file."""
        counter = HOME / "failures"
        seen = int(counter.read_text()) if counter.exists() else 0
        counter.write_text(str(seen + 1))
        if REFUSING is None:
            sdk.progress(50, "half of it")
        if seen < failures:
            raise ValueError("no such ingestor")

    @task  # type: ignore[untyped-decorator]
    def skip() -> None:
        """Find that there is nothing to do."""
        raise AirflowSkipException

    @task  # type: ignore[untyped-decorator]
    def load(number: int) -> None:
        """One of several."""

    load.expand(number=[1, 2]) << extract(int(os.environ.get("AIRFLOW_FAILURES", "0")))
    skip()

if __name__ == "__main__":
    if REFUSING is not None:
        sdk.set_default_publisher(Refusing())
    run = nightly.test(run_conf={"streamnotify": {"user_id": "u-2"}})
    (HOME / "run").write_text(run.run_id)
    if REFUSING is not None:
        Path(REFUSING).write_text(run.state)
