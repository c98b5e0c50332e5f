"""``streamnotify mailbox``, asking a worker played by a thread, and the real product."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import Result

from streamnotify.cli.mailbox_lines import lines
from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.domain.digest_wishes import DigestWish, QuietHours
from streamnotify.domain.notifications import SuppressionReason
from streamnotify.domain.preferences import OptOuts, Preferences, Profile
from streamnotify.stream.topic_reader import TopicReader
from streamnotify.stream.topic_writer import publish
from streamnotify.wire.commands import LaneSeen, MailboxAnswer
from streamnotify.wire.topics import ANSWERS, MAILBOXES
from tests.cli.deployments import Deployment
from tests.cli.running import streamnotify
from tests.e2e.product import APP, MailServer, Product, a_running_product

NOW = datetime.now(UTC).replace(microsecond=0)
ANN = Profile("u1", "ann@example.com", "Ann Example", organizations=("org-a", "org-b"), timezone="Europe/Berlin")


@pytest.fixture(scope="module")
def deployment(kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    directory = tmp_path_factory.mktemp("mailbox")
    return Deployment(kafka, f"mailbox{directory.name}{id(directory)}", directory)


@contextmanager
def a_worker(deployment: Deployment, *answers: MailboxAnswer) -> Iterator[None]:
    """Somebody who knows these mailboxes, and nothing of all others."""
    known = {answer.mailbox: answer for answer in answers}
    topics = {topic: f"{deployment.prefix}streamnotify-{topic.name}" for topic in (MAILBOXES, ANSWERS)}
    over = threading.Event()

    def work(reader: TopicReader) -> None:
        while not over.is_set():
            message = reader.next(timedelta(seconds=0.2))
            if message is not None:
                assert MAILBOXES.decode is not None
                query = MAILBOXES.decode(message.value() or b"")
                answer = known.get(query.mailbox, MailboxAnswer("", query.mailbox, opt_outs=OptOuts()))
                own = msgspec.structs.replace(answer, question=query.question)
                publish(deployment.servers, topics[ANSWERS], [(None, ANSWERS.encode(own))])

    with TopicReader(deployment.servers, [topics[MAILBOXES]], only_new=True) as reader:
        thread = threading.Thread(target=work, args=(reader,))
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def sent(notification_id: str, ago: timedelta, **fields: Any) -> dict[str, Any]:
    at = (NOW - ago).isoformat()
    return {"notification_id": notification_id, "status": "sent", "attempt": 1, "at": at, **fields}


def test_an_address_shows_its_user_the_digest_and_the_last_mails(deployment: Deployment) -> None:
    deployment.steps(
        sent("old", timedelta(minutes=9), user_id="u1", to="ann@example.com", subject="Task Completed: import"),
        sent("other", timedelta(minutes=8), user_id="u2", to="bob@example.com", subject="Not hers"),
        sent("new", timedelta(minutes=5), to="Ann@example.com", subject="Task Failed: export"),
    )
    items = (("n1", "nightly"), ("n2", "hourly"))
    lane = LaneSeen("tasks", "pending", "d1", 3, datetime(2026, 1, 5, 12, tzinfo=UTC), (NOW,), items)
    user = MailboxAnswer("", "user:u1", ANN, {}, opt_outs=OptOuts(members_of=("org-a", "org-b")), lanes=(lane,))
    address = MailboxAnswer(
        "", "address:ann@example.com", forwards_to="user:u1", claimed_by=("u1",), opt_outs=OptOuts()
    )
    with a_worker(deployment, user, address):
        shown = deployment("mailbox", "show", "Ann@Example.com")
        found = json.loads(deployment("mailbox", "show", "u1", "--mails", "1", "--json").stdout)
    flush = "2026-01-05 13:00:00 Europe/Berlin (2026-01-05 12:00:00 UTC)"
    assert shown.exit_code == 0
    assert [line.rstrip() for line in shown.output.splitlines()] == [
        "address:ann@example.com",
        "  belongs to user u1: what comes here goes to user:u1",
        "user:u1",
        "  Ann Example <ann@example.com>, verified, active, member of org-a, org-b, Europe/Berlin",
        f"  tasks: 3 in digest d1, flushed at {flush}; sent within the window: 1",
        "    nightly  n1",
        "    hourly  n2",
        "    and 1 more",
        "last mails:",
        f"  {NOW - timedelta(minutes=9):%Y-%m-%d %H:%M:%S} UTC  sent: Task Completed: import  old",
        f"  {NOW - timedelta(minutes=5):%Y-%m-%d %H:%M:%S} UTC  sent: Task Failed: export  new",
    ]
    assert [each["mailbox"] for each in found["mailboxes"]] == ["user:u1", "address:ann@example.com"]
    assert found["mailboxes"][0]["lanes"][0]["items"][0] == {"notification_id": "n1", "about": "nightly"}
    assert [(mail["notification_id"], mail["outcome"]) for mail in found["mails"]] == [("new", "sent")]


def test_what_nobody_knows_is_told_by_the_exit_code(deployment: Deployment) -> None:
    with a_worker(deployment):
        shown = deployment("mailbox", "show", "nobody@example.com")
    assert shown.exit_code == 1
    assert shown.output == (
        "Nothing is known of nobody@example.com: no mail to it is known, and it belongs to no user "
        "(ids are case-sensitive)\n"
    )


def test_mails_to_somebody_of_whom_nothing_is_kept_are_below_a_line_that_says_so(deployment: Deployment) -> None:
    deployment.steps(sent("gone", timedelta(minutes=5), to="once@example.com", subject="Task Completed: import"))
    with a_worker(deployment):
        shown = deployment("mailbox", "show", "once@example.com")
    assert shown.exit_code == 0
    assert shown.output.splitlines() == [
        "once@example.com",
        "  nobody of the topic users; nothing waits, and nothing is said of their wishes",
        "last mails:",
        f"  {NOW - timedelta(minutes=5):%Y-%m-%d %H:%M:%S} UTC  sent: Task Completed: import  gone",
    ]


def test_an_address_that_said_what_it_wants_is_not_taken_for_a_user_of_that_id(deployment: Deployment) -> None:
    said, refused = {"": Preferences(kinds={"weekly": False})}, OptOuts(kinds=("weekly",))
    both = said | {"user:u1": Preferences(email=False)}
    address = MailboxAnswer("", "address:eve@example.com", preferences=both, claimed_by=("u1", "u2"), opt_outs=refused)
    shadow = MailboxAnswer("", "user:Eve@example.com", preferences=said, opt_outs=refused)
    with a_worker(deployment, shadow, address):
        shown = deployment("mailbox", "show", "Eve@example.com")
        found = json.loads(deployment("mailbox", "show", "Eve@example.com", "--json").stdout)
    assert shown.exit_code == 0
    assert shown.output.splitlines() == [
        "address:eve@example.com",
        "  the address of u1 and u2 alike: what is sent to it is none of theirs; correct the topic users",
        "  refuses all mails, says user u1",
        "  refuses weekly, says user-preferences of eve@example.com",
    ]
    assert [each["mailbox"] for each in found["mailboxes"]] == ["address:eve@example.com"]


@pytest.mark.parametrize(
    "more",
    [
        {"held": 1},
        {"profile": replace(ANN, user_id="eve@example.com", email=None)},
        {"preferences": {"": Preferences(email=False)}},
    ],
    ids=str,
)
def test_a_user_whose_id_is_an_address_is_shown(deployment: Deployment, more: dict[str, Any]) -> None:
    said = {"": Preferences(kinds={"weekly": False})}
    address = MailboxAnswer("", "address:eve@example.com", preferences=said, opt_outs=OptOuts(kinds=("weekly",)))
    user = msgspec.structs.replace(address, mailbox="user:eve@example.com", **more)
    with a_worker(deployment, user, address):
        found = json.loads(deployment("mailbox", "show", "eve@example.com", "--json").stdout)
    assert [each["mailbox"] for each in found["mailboxes"]] == ["user:eve@example.com", "address:eve@example.com"]


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        (OptOuts(SuppressionReason.OPTED_OUT_USER), ["  all of it is refused by now and dropped at the flush"]),
        (OptOuts(kinds=("weekly",)), ["  what of it is refused by now is dropped at the flush"]),
        (OptOuts(organizations=("org-a",)), ["  what of it is refused by now is dropped at the flush"]),
        (OptOuts(), []),
        (OptOuts(members_of=("org-a",)), []),
    ],
    ids=str,
)
def test_what_waits_and_is_refused_by_now_is_said_to_be_dropped(refused: OptOuts, words: list[str]) -> None:
    waiting = LaneSeen("tasks", "pending", "d1", 1, NOW, (), (("n1", "nightly"),))
    idle = LaneSeen("alerts", "cooling", sent_at=(NOW,))
    shown = list(lines(MailboxAnswer("", "address:a@example.com", opt_outs=refused, lanes=(waiting, idle))))
    assert [line.removeprefix("  ") for line in shown[2:]] == [
        f"tasks: 1 in digest d1, flushed at {NOW:%Y-%m-%d %H:%M:%S} UTC; sent within the window: 0",
        *words,
        "  nightly  n1",
        "alerts: nothing waits; sent within the window: 1",
    ]


def test_superusers_are_listed(deployment: Deployment) -> None:
    with a_worker(deployment, MailboxAnswer("", "@superusers", claimed_by=("a@example.com", "b@example.com"))):
        shown = deployment("mailbox", "show", "@superusers")
    assert shown.exit_code == 0
    assert shown.output == "@superusers\n  told where a monitor names nobody: a@example.com, b@example.com\n"


def test_what_is_refused_is_shown_with_the_record_that_says_so() -> None:
    profile = replace(ANN, preferences=Preferences(email=False, kinds={"task_status_alert": True}))
    said = {
        "": Preferences(kinds={"task_completion": False}),
        "ann@example.com": Preferences(organizations={"x": False}),
    }
    shown = list(lines(MailboxAnswer("", "user:u1", profile, said)))
    assert shown[2:] == [
        "  refuses all mails, says users",
        "  refuses task_completion, says user-preferences",
        "  refuses mails of organization x, says user-preferences of ann@example.com",
    ]


def test_what_the_user_of_an_address_refuses_is_the_users_word() -> None:
    said = {"user:u1": Preferences(email=False)}
    shown = list(lines(MailboxAnswer("", "address:a@example.com", preferences=said, claimed_by=("u1",))))
    assert shown[1:] == ["  refuses all mails, says user u1"]


def test_who_gets_no_mail_at_all_is_seen_at_once() -> None:
    profile = replace(ANN, email_verified=False, is_active=False, is_superuser=True, organizations=(), timezone="UTC")
    _, person = lines(MailboxAnswer("", "user:u1", profile, held=0))
    assert person == (
        "  Ann Example <ann@example.com>, not verified: gets no mail, not active: gets no mail, superuser, "
        "member of no organization, UTC"
    )


def test_an_address_of_two_users_is_none_of_theirs() -> None:
    shown = list(lines(MailboxAnswer("", "address:a@example.com", claimed_by=("u1", "u2"))))
    assert shown[1] == (
        "  the address of u1 and u2 alike: what is sent to it is none of theirs; correct the topic users"
    )


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (DigestWish(window=timedelta(hours=1)), "every 1h"),
        (DigestWish(window=timedelta()), "none, each mail at once"),
        (DigestWish(daily_at=time(8)), "daily at 08:00"),
    ],
    ids=str,
)
def test_wishes_are_shown_and_what_is_held(wish: DigestWish, words: str) -> None:
    said = Preferences(digest=wish, quiet_hours=QuietHours(time(22), time(7), "Europe/Rome"))
    shown = list(lines(MailboxAnswer("", "user:u9", None, {"": said}, held=2)))
    assert shown == [
        "user:u9",
        "  nobody of the topic users",
        f"  digest: {words}",
        "  quiet hours: 22:00 to 07:00 in Europe/Rome",
        "  held until the topic users has this user: 2",
    ]


@pytest.fixture(scope="module")
def product(kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    directory = tmp_path_factory.mktemp("product")
    window = {"STREAMNOTIFY_DIGEST_WINDOW": "30m"}
    with closing(MailServer()) as mails, a_running_product(kafka, directory, mails.port, **window) as running:
        yield running


def test_the_running_product_tells_of_a_mailbox_and_of_each_mails_way(product: Product, tmp_path: Path) -> None:
    def command(*arguments: str) -> Result:
        given = {
            "KAFKA_BOOTSTRAP_SERVERS": product.bootstrap_servers,
            "STREAMNOTIFY_TOPIC_PREFIX": product.prefix,
            "STREAMNOTIFY_APP_ID": APP,
        }
        return streamnotify(*arguments, directory=tmp_path, **given)

    def shown(who: str) -> Any:
        return json.loads(command("mailbox", "show", who, "--json").stdout)

    def told(task_id: str) -> list[Any]:
        return list(json.loads(command("why", "--task", task_id, "--json").stdout)["notifications"])

    preferences = {"kinds": {"weekly": False}, "digest": {"window": "5s"}}
    for user_id, more in (("u1", {}), ("u2", {"preferences": preferences})):
        product.publish({"email": f"{user_id}@example.com", "name": user_id, **more}, user_id, topic="users")
    product.flush()
    product.wait_for(lambda: len(shown("u1@example.com")["mailboxes"]) == 2)
    product.wait_for(lambda: len(shown("u2@example.com")["mailboxes"]) == 2)
    for user_id, number in itertools.product(("u1", "u2"), (1, 2, 3)):
        event = {"task_name": "import", "task_id": f"{user_id}-{number}", "status": "Completed", "user_id": user_id}
        product.publish({**event, "notify": True}, key=user_id)
    product.publish({**event, "task_id": "u2-weekly", "notify": {"template": "weekly"}}, key="u2")
    product.flush()
    product.wait_for(lambda: [each["outcome"] for each in told("u2-3")] == ["sent"])
    [second] = told("u2-3")
    assert second["digests"][0]["steps"][-1]["status"] == "sent"
    assert command("why", "--task", "u2-weekly").exit_code == 3
    product.wait_for(lambda: [lane["pending"] for lane in shown("u1")["mailboxes"][0]["lanes"]] == [2])
    [lane] = shown("u1")["mailboxes"][0]["lanes"]
    assert (lane["phase"], [item["about"] for item in lane["items"]]) == ("pending", ["import", "import"])
    assert "refuses weekly, says users" in command("mailbox", "show", "u2").output
    mails = [(mail["subject"], mail["status"]) for mail in shown("u2@example.com")["mails"]]
    assert ("2 completed — 2 task notifications", "sent") in mails
    assert [status for _, status in mails].count("sent") == 2
