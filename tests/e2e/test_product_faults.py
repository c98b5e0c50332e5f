"""The promise: whatever dies, every run's state is right and every mail goes out, once."""

from __future__ import annotations

import random
import time

import pytest

from tests.e2e.product import MailServer, Product
from tests.e2e.scripted_runs import ScriptedRun, scripted_run


def publish_at(product: Product, runs: list[ScriptedRun], per_second: int) -> None:
    """Publish the runs' events at a steady rate, interleaved as they come."""
    began, published = time.monotonic(), 0
    for run in runs:
        for event in run.events:
            product.publish(event, key=run.task_id)
            published += 1
        ahead = published / per_second - (time.monotonic() - began)
        if ahead > 0.02:
            time.sleep(ahead)
    product.flush()


def check_everything(product: Product, mail_server: MailServer, runs: list[ScriptedRun], seconds: float) -> None:
    """Every run's state equals the script's end; every mailing run has exactly one distinct delivery."""
    mailing = [run for run in runs if run.mails_to is not None]

    def settled() -> bool:
        product.revive()
        return len(mail_server.deliveries) >= len(mailing)

    product.wait_for(settled, seconds, pause=0.5)

    def wrong_states() -> dict[str, tuple[object, object]]:
        states = product.runs()
        wrong: dict[str, tuple[object, object]] = {}
        for run in runs:
            state = states.get((run.task_name, run.task_id))
            found = None if state is None else (state.status.value, state.facts.step.attempt)
            if found != (run.status, run.attempt):
                wrong[run.task_id] = (found, (run.status, run.attempt))
        return wrong

    product.wait_for(lambda: not wrong_states(), seconds, pause=1)
    assert sorted(mail_server.recipients.values()) == sorted(run.mails_to for run in mailing if run.mails_to)
    for message_id, copies in mail_server.deliveries.items():
        assert len(set(copies)) == 1, f"{message_id} was delivered with different bytes"
    assert product.dead_letters() == []


def run_with_kills(
    product: Product,
    mail_server: MailServer,
    *,
    runs: int,
    mailing: int,
    kills: int,
    lost: int,
    per_second: int,
    seed: int,
) -> None:
    """Publish runs while workers are killed at random, some with their state directory deleted."""
    rng = random.Random(seed)
    every = runs // mailing
    scripted = [scripted_run(number, rng, mails=number % every == 0) for number in range(runs)]
    for worker in (1, 2):
        product.start(worker)
    product.wait_until_running(1)
    product.wait_until_running(2)
    part = len(scripted) // (kills + 1) + 1
    for kill in range(kills + 1):
        publish_at(product, scripted[kill * part : (kill + 1) * part], per_second)
        if kill < kills:
            victim = rng.choice((1, 2))
            product.kill(victim, lose_state=kill < lost)
            product.start(victim)
        product.revive()
    check_everything(product, mail_server, scripted, seconds=180)


def test_kill_9_under_load_loses_no_state_and_no_mail(product: Product, mail_server: MailServer) -> None:
    """Two workers, 36,000 events of 9,000 runs, 300 of them mailing; two kills, one lost directory."""
    run_with_kills(product, mail_server, runs=9_000, mailing=300, kills=2, lost=1, per_second=2500, seed=1)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_many_kills_under_load_lose_no_state_and_no_mail(product: Product, mail_server: MailServer) -> None:
    """The full version: 300,000 events of 75,000 runs, 2,000 of them mailing; six kills, two lost directories."""
    run_with_kills(product, mail_server, runs=75_000, mailing=2000, kills=6, lost=2, per_second=3500, seed=2)
