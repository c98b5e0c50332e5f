"""The variables of a digest (SPEC section 6): exact numbers of all, and of each notification listed what one sees at a
glance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import escape

from streamnotify.domain.alerts import RECOVERY, AlertNotification
from streamnotify.domain.digest import Lane
from streamnotify.domain.notifications import TaskNotification
from streamnotify.domain.pending import DigestItem, DigestNotification, DigestSection
from streamnotify.render.alert_variables import NO_EXECUTION, plain_hours
from streamnotify.render.cleaning import shorten_middle
from streamnotify.render.counts import Counts, count, outcome, summary
from streamnotify.render.instants import instant
from streamnotify.render.library import PART_LIMIT
from streamnotify.render.links import is_safe_url
from streamnotify.render.policy import RenderPolicy
from streamnotify.render.recipient_links import DigestScope
from streamnotify.render.variables import Variables, execution_time, frontend_link, line, result_link, word

OF_DIGESTS = (
    "recipient_name",
    "lane",
    "total",
    "failed",
    "completed",
    "cancelled",
    "summary",
    "what",
    "sections",
    "shown",
    "latest_at",
    "notifications_url",
)
_NAME_LIMIT, _ERROR_LIMIT = 100, 200  # characters
_MOST_SECTIONS = 30  # so that there is room for what they list
# At most so many bytes of HTML: of an item without its texts, of a section's heading, of all the rest; of a character.
_ITEM_SIZE, _SECTION_SIZE, _MAIL_SIZE, _MOST_BYTES = 1000, 1100, 22_000, 5
_TASK_OUTCOMES = {name: name for name in ("success", "partial", "empty", "failed", "cancelled")}
_UNREADABLE = "Unnamed organization"


@dataclass(frozen=True, slots=True)
class Item:
    """A notification as a digest lists it; what is not known is None.

    ``outcome`` is a task's status, or ``partial`` or ``empty`` of a test execution; of an alert ``mismatch``,
    ``not_executed`` or ``resolved``. ``at`` is when the task ended or was checked. ``note`` says how the tests went.
    ``task_id`` to ``link_url`` are a task's, the others after them an alert's.
    """

    outcome: str
    task_name: str
    at: str
    task_id: str | None = None
    execution_time: str | None = None
    note: str | None = None
    error_message: str | None = None
    link_url: str | None = None
    monitor: str | None = None
    current_status: str | None = None
    expected_statuses: str | None = None
    lookback_hours: float | None = None

    @property
    def texts(self) -> str:
        """All that differs much in length."""
        names = (self.task_name, self.task_id or "", self.monitor or "", self.expected_statuses or "")
        return "".join((*names, self.note or "", self.error_message or "", self.link_url or ""))


@dataclass(frozen=True, slots=True)
class Section:
    """One organization's part of a digest. ``name`` None: of no organization. The numbers are of all, listed or not.

    Where there are too many, the last is of all others: with a name, but without ``organization_id``.
    """

    organization_id: str | None
    name: str | None
    total: int
    failed: int
    completed: int
    cancelled: int
    summary: str
    what: str
    items: tuple[Item, ...]

    @property
    def more(self) -> int:
        """How many are not listed."""
        return self.total - len(self.items)


@dataclass(frozen=True, slots=True)
class _Listed:
    """An item on its way into the list."""

    item: Item
    at: datetime
    is_failure: bool


def digest_variables(
    digest: DigestNotification, policy: RenderPolicy, names: Mapping[str, str], now: datetime
) -> tuple[Variables, tuple[str, ...]]:
    """What the template ``notification_digest`` may use, :data:`OF_DIGESTS`; and a warning if something is not listed.

    Args:
        digest: its sections are in the order in which they are shown.
        policy: the links.
        names: of organizations, by id; others are shown by their id.
        now: the mail's date.
    """
    lane = Lane(digest.lane)
    timezone = digest.timezone if lane is Lane.TASKS else None  # as in the mails of single alerts
    problems: list[str] = []
    own, others = _apart(digest.sections)
    fitting = _that_fit([[*_listed(section.items, timezone, policy, problems)] for section in own])
    sections = [
        _section(section, tuple(each.item for each in items), lane, _organization(section.organization_id, names))
        for section, items in zip(own, fitting, strict=True)
    ]
    if others:
        sections.append(_section(_as_one(others), (), lane, f"{len(others)} more organizations"))
    latest = max((each.at for items in fitting for each in items), default=None)
    variables: Variables = {
        "recipient_name": line(digest.name),
        "lane": lane.value,
        "total": digest.total,
        "failed": digest.failed,
        "completed": digest.completed,
        "cancelled": digest.cancelled,
        "summary": _summary(digest, lane),
        "what": _what(digest.total, lane),
        "sections": sections,
        "shown": sum(map(len, fitting)),
        "latest_at": None if latest is None else instant(latest, timezone),
        "notifications_url": _notifications_url(digest, policy, now),
    }
    return variables, _warnings(digest, problems)


def _notifications_url(digest: DigestNotification, policy: RenderPolicy, now: datetime) -> str | None:
    """Where all of them are listed: the operator's own page, else ours (SPEC section 6)."""
    url = frontend_link(policy.link_notifications, {}, policy)
    if url is not None:
        return url if is_safe_url(url) else None
    if policy.links is None or digest.mailbox is None:
        return None
    return policy.links.notifications.url(DigestScope(digest.mailbox, digest.notification_id, digest.total), now)


def _listed(
    items: Iterable[DigestItem], timezone: str | None, policy: RenderPolicy, problems: list[str]
) -> Iterator[_Listed]:
    for item in items:
        try:
            if isinstance(item, AlertNotification):
                yield _Listed(_alert(item, timezone), item.check_time, item.kind != RECOVERY)
            else:
                yield _Listed(_task(item, timezone, policy), item.completed_at, item.status == "failed")
        except Exception as error:  # noqa: BLE001 whatever is wrong with one, the others go
            problems.append(f"{item.notification_id}: {error!r}")


def _task(task: TaskNotification, timezone: str | None, policy: RenderPolicy) -> Item:
    result = task.variables
    counts = Counts(*(count(result.get(name)) for name in ("total_tests", "tests_passed", "tests_failed")))
    url = result_link(task, policy)
    return Item(
        outcome=_TASK_OUTCOMES[outcome(task.status, counts)],
        task_name=_name(task.display_name) or _name(task.task_name) or "",
        at=instant(task.completed_at, timezone),
        task_id=_name(task.task_id),
        execution_time=execution_time(task.duration_s),
        note=": ".join(filter(None, (_name(word(result.get("test_set_name"))), summary(counts)))) or None,
        error_message=_excerpt(task.error_message),
        link_url=url if is_safe_url(url) else None,
    )


def _alert(alert: AlertNotification, timezone: str | None) -> Item:
    failure = "mismatch" if alert.current_status else "not_executed"
    return Item(
        outcome="resolved" if alert.kind == RECOVERY else failure,
        task_name=_name(alert.task_name) or "",
        at=instant(alert.check_time, timezone),
        monitor=_name(alert.monitor),
        current_status=alert.current_status or NO_EXECUTION,
        expected_statuses=", ".join(alert.expected_statuses),
        lookback_hours=plain_hours(alert.lookback_hours),
    )


def _apart(sections: Sequence[DigestSection]) -> tuple[list[DigestSection], list[DigestSection]]:
    """The sections that are shown as such, in their order, and, if they are too many, those that are counted as one.

    The notifications of no organization are shown as such, then those of which something is listed, then the largest.
    """
    if len(sections) <= _MOST_SECTIONS:
        return [*sections], []
    ranks = sorted(
        range(len(sections)),
        key=lambda at: (sections[at].organization_id is not None, not sections[at].items, -sections[at].total),
    )
    own = {*ranks[: _MOST_SECTIONS - 1]}
    return (
        [section for at, section in enumerate(sections) if at in own],
        [section for at, section in enumerate(sections) if at not in own],
    )


def _as_one(sections: Sequence[DigestSection]) -> DigestSection:
    """The numbers of all of them."""
    failed, completed, cancelled = (
        sum(getattr(section, outcome) for section in sections) for outcome in ("failed", "completed", "cancelled")
    )
    return DigestSection(None, failed, completed, cancelled, ())


def _organization(organization_id: str | None, names: Mapping[str, str]) -> str | None:
    return None if organization_id is None else _name(names.get(organization_id, organization_id)) or _UNREADABLE


def _section(section: DigestSection, items: tuple[Item, ...], lane: Lane, name: str | None) -> Section:
    return Section(
        organization_id=section.organization_id,
        name=name,
        total=section.total,
        failed=section.failed,
        completed=section.completed,
        cancelled=section.cancelled,
        summary=_summary(section, lane),
        what=_what(section.total, lane),
        items=items,
    )


def _that_fit(sections: list[list[_Listed]]) -> list[list[_Listed]]:
    """The items that a mail has room for: failures first, then the newest."""
    room = PART_LIMIT - _MAIL_SIZE - len(sections) * _SECTION_SIZE
    everything = [each for items in sections for each in items]
    if sum(_ITEM_SIZE + _MOST_BYTES * len(each.item.texts) for each in everything) <= room:
        return sections
    kept = set()
    for each in sorted(everything, key=lambda each: (not each.is_failure, -each.at.timestamp())):
        room -= _ITEM_SIZE + len(escape(each.item.texts).encode("utf-8", "replace"))
        if room < 0:
            break
        kept.add(id(each))
    return [[each for each in items if id(each) in kept] for items in sections]


def _summary(numbers: DigestNotification | DigestSection, lane: Lane) -> str:
    """Such as ``3 failed, 12 completed``."""
    completed = "resolved" if lane is Lane.ALERTS else "completed"
    parts = ((numbers.failed, "failed"), (numbers.completed, completed), (numbers.cancelled, "cancelled"))
    return ", ".join(f"{number} {how}" for number, how in parts if number)


def _what(total: int, lane: Lane) -> str:
    noun = "alert" if lane is Lane.ALERTS else "task notification"
    return f"{total} {noun}" if total == 1 else f"{total} {noun}s"


def _name(text: str | None) -> str | None:
    said = line(text)
    return None if said is None else shorten_middle(said, _NAME_LIMIT)


def _excerpt(text: str | None) -> str | None:
    return line(text, _ERROR_LIMIT)


def _warnings(digest: DigestNotification, problems: list[str]) -> tuple[str, ...]:
    if not problems:
        return ()
    return (f"{len(problems)} of the digest's {digest.total} notifications cannot be listed, such as {problems[0]}",)
