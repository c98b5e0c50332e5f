"""What people refuse: any explicit false stops a mail, and nothing else does (SPEC 2.3)."""

from __future__ import annotations

from datetime import time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamnotify.domain.alerts import ALERT, HEALTH, RECOVERY
from streamnotify.domain.digest_wishes import DigestWish, QuietHours
from streamnotify.domain.notifications import SuppressionReason
from streamnotify.domain.preferences import (
    MANDATORY_KINDS,
    OptOuts,
    Preferences,
    Profile,
    digest_wish,
    opt_outs,
    quiet_hours,
    without,
)

TASK = "task_completion"
ORGANIZATIONS = ["org-a", "org-b", "org-c"]
KINDS = [TASK, ALERT, RECOVERY, "own_template", HEALTH]

tri_state = st.sampled_from([None, True, False])
saids = st.builds(
    Preferences,
    email=tri_state,
    organizations=st.dictionaries(st.sampled_from(ORGANIZATIONS), st.booleans()),
    kinds=st.dictionaries(st.sampled_from(KINDS), st.booleans()),
)
profiles = st.builds(
    Profile,
    user_id=st.just("u1"),
    email_verified=st.sampled_from([True, True, False]),
    is_active=st.sampled_from([True, True, False]),
    organizations=st.none() | st.lists(st.sampled_from(ORGANIZATIONS), unique=True).map(tuple),
    preferences=saids,
)
organizations = st.sampled_from([*ORGANIZATIONS, None])
kinds = st.sampled_from(KINDS)


def test_nothing_said_refuses_nothing() -> None:
    assert opt_outs(None, []) == OptOuts()
    assert opt_outs(Profile("u1"), [Preferences()]) == OptOuts()
    assert OptOuts().refusal(TASK, "org-a") is None


def test_true_and_no_opinion_refuse_nothing() -> None:
    said = Preferences(email=True, organizations={"org-a": True}, kinds={TASK: True})
    assert opt_outs(None, [said, Preferences(email=None)]) == OptOuts()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (Preferences(email=False), SuppressionReason.OPTED_OUT_USER),
        (Preferences(organizations={"org-a": False}), SuppressionReason.OPTED_OUT_ORGANIZATION),
        (Preferences(kinds={TASK: False}), SuppressionReason.OPTED_OUT_KIND),
    ],
)
def test_any_false_stops_the_mail_whatever_others_say(said: Preferences, reason: SuppressionReason) -> None:
    yes = Preferences(email=True, organizations={"org-a": True}, kinds={TASK: True})
    for opinions in ([said, yes], [yes, said]):
        assert opt_outs(None, opinions).refusal(TASK, "org-a") is reason
        assert opt_outs(Profile("u1", preferences=opinions[0]), opinions[1:]).refusal(TASK, "org-a") is reason


def test_one_organization_or_kind_refused_leaves_the_others() -> None:
    refused = opt_outs(None, [Preferences(organizations={"org-a": False}, kinds={ALERT: False})])
    assert refused.refusal(TASK, "org-b") is None
    assert refused.refusal(TASK, None) is None
    assert refused.refusal(RECOVERY, "org-b") is None


@pytest.mark.parametrize(
    ("profile", "reason"),
    [
        (Profile("u1", email_verified=False), SuppressionReason.UNVERIFIED),
        (Profile("u1", is_active=False), SuppressionReason.INACTIVE),
        (Profile("u1", email_verified=False, is_active=False), SuppressionReason.UNVERIFIED),
    ],
)
def test_whoever_is_unverified_or_inactive_gets_nothing_at_all(profile: Profile, reason: SuppressionReason) -> None:
    refused = opt_outs(profile, [Preferences(email=True)])
    assert {refused.refusal(kind, None) for kind in KINDS} == {reason}


def test_a_mandatory_kind_cannot_be_turned_off() -> None:
    said = Preferences(email=False, organizations={"org-a": False}, kinds=dict.fromkeys(KINDS, False))
    refused = opt_outs(None, [said])
    assert refused.refusal(HEALTH, "org-a") is None
    assert HEALTH not in refused.kinds


def test_an_event_of_an_organization_that_is_not_theirs_is_refused() -> None:
    member = opt_outs(Profile("u1", organizations=("org-a",)), [])
    assert member.refusal(TASK, "org-b") is SuppressionReason.CROSS_ORGANIZATION
    assert member.refusal(TASK, "org-a") is None
    assert member.refusal(TASK, None) is None
    assert opt_outs(Profile("u1", organizations=()), []).refusal(TASK, "org-a") is SuppressionReason.CROSS_ORGANIZATION
    assert opt_outs(Profile("u1"), []).refusal(TASK, "org-b") is None


@settings(deadline=None)
@given(profile=st.none() | profiles, overlays=st.lists(saids, max_size=3), kind=kinds, organization_id=organizations)
def test_a_mail_passes_exactly_if_nobody_says_no(
    profile: Profile | None, overlays: list[Preferences], kind: str, organization_id: str | None
) -> None:
    said = [*overlays, *([profile.preferences] if profile else [])]
    noes = [
        profile is not None and not (profile.email_verified and profile.is_active),
        profile is not None
        and profile.organizations is not None
        and organization_id not in (None, *profile.organizations),
        kind != HEALTH and any(each.email is False for each in said),
        kind != HEALTH and any(each.kinds.get(kind) is False for each in said),
        kind != HEALTH and any(each.organizations.get(organization_id or "") is False for each in said),
    ]
    assert (opt_outs(profile, overlays).refusal(kind, organization_id) is not None) == any(noes)


@settings(deadline=None)
@given(
    profile=st.none() | profiles,
    overlays=st.lists(saids, max_size=3),
    where=st.integers(0, 3),
    kind=st.text(max_size=9),
)
def test_nothing_of_an_organization_that_somebody_has_turned_off_is_passed(
    profile: Profile | None, overlays: list[Preferences], where: int, kind: str
) -> None:
    overlays.insert(where, Preferences(organizations={"org-a": False}))
    assert opt_outs(profile, overlays).refusal(kind, "org-a") is not None


# Unsubscribing


@settings(deadline=None)
@given(said=saids, kind=kinds, organization_id=organizations)
def test_unsubscribing_refuses_what_was_named_and_changes_nothing_else(
    said: Preferences, kind: str, organization_id: str | None
) -> None:
    before = opt_outs(None, [said])
    after = opt_outs(None, [without(said, kinds=[kind])])
    assert after.kinds == tuple(sorted({*before.kinds, kind} - MANDATORY_KINDS))
    assert (after.everything, after.organizations) == (before.everything, before.organizations)
    if organization_id is not None:
        after = opt_outs(None, [without(said, organization_id=organization_id)])
        assert after.organizations == tuple(sorted({*before.organizations, organization_id}))
        assert (after.everything, after.kinds) == (before.everything, before.kinds)
    after = opt_outs(None, [without(said)])
    assert after.everything is SuppressionReason.OPTED_OUT_USER
    assert (after.organizations, after.kinds) == (before.organizations, before.kinds)


def test_unsubscribing_from_a_mandatory_kind_refuses_nothing_rather_than_everything() -> None:
    assert without(Preferences(), kinds=[HEALTH]) == Preferences()
    assert without(Preferences(), kinds=(kind for kind in [HEALTH, TASK])) == Preferences(kinds={TASK: False})


def test_unsubscribing_keeps_how_digests_are_wanted() -> None:
    said = Preferences(digest=DigestWish(daily_at=time(8)), quiet_hours=QuietHours(time(22), time(7)))
    for left in (without(said), without(said, kinds=[TASK]), without(said, organization_id="org-a")):
        assert (left.digest, left.quiet_hours) == (said.digest, said.quiet_hours)


# How digests are wanted


def test_the_first_that_says_something_about_digests_counts_and_the_profile_last() -> None:
    hourly, daily, off = DigestWish(timedelta(hours=1)), DigestWish(daily_at=time(8)), DigestWish(timedelta())
    profile = Profile("u1", preferences=Preferences(digest=hourly))
    assert digest_wish(None, []) is None
    assert digest_wish(profile, []) == hourly
    assert digest_wish(profile, [Preferences(), Preferences(digest=off), Preferences(digest=daily)]) == off


def test_quiet_hours_are_found_in_the_same_way() -> None:
    night, siesta = QuietHours(time(22), time(7)), QuietHours(time(13), time(15))
    profile = Profile("u1", preferences=Preferences(quiet_hours=night))
    assert quiet_hours(None, []) is None
    assert quiet_hours(profile, [Preferences()]) == night
    assert quiet_hours(profile, [Preferences(quiet_hours=siesta)]) == siesta
