"""From a job in a queue to the mail about it: RQ, Kafka, the service, a relay."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

from redis import Redis
from rq import Queue, Retry

from streamnotify.devtools.kafka import EmbeddedKafka
from tests.adapters import rq_jobs
from tests.adapters.published import DEADLINE_S, a_process, until
from tests.e2e.product import MailServer, a_running_product, text_of


def test_one_mail_tells_how_a_job_ended_for_good(kafka: EmbeddedKafka, redis_url: str, tmp_path: Path) -> None:
    """A retry is nobody's business; the last failure is."""
    with (
        closing(MailServer()) as mails,
        a_running_product(kafka, tmp_path, mails.port) as product,
        Redis.from_url(redis_url) as redis,
    ):
        queue = Queue("mailed", connection=redis)
        for address, job, argument in (
            ("ann@example.com", rq_jobs.fail_at_first, str(tmp_path / "seen")),
            ("bob@example.com", rq_jobs.fail, "no such ingestor"),
        ):
            wish = {"email": address, "subject_template": "Job {status.title()}"}
            queue.enqueue(job, argument, meta={"notify": wish}, retry=Retry(max=1))
        rq = str(Path(sys.executable).with_name("rq"))
        command = [rq, "worker", "--url", redis_url, "-w", "streamnotify.adapters.rq.NotifyingWorker", "--burst"]
        with a_process([*command, queue.name], product.env, tmp_path / "rq.log") as worker:
            assert worker.wait(DEADLINE_S) == 0
        until(lambda: len(mails.recipients) == 2, "no mails")
        (to_ann,), (to_bob,) = mails.mails_to("ann@example.com"), mails.mails_to("bob@example.com")
    assert (to_ann["Subject"], to_bob["Subject"]) == ("Job Success", "Job Failed")
    assert "no such ingestor" in text_of(to_bob)
