"""Links to our pages: what they hide, what is refused, and how long they may be. Unsubscribe links stand for all."""

from __future__ import annotations

import string
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnotify.domain.preferences import UnsubscribeScope
from streamnotify.render.mime import Mailbox, Mime, to_bytes
from streamnotify.render.recipient_links import DigestScope, RecipientLinks
from streamnotify.render.signed_links import (
    LONGEST_PUBLIC_URL,
    LONGEST_TOKEN,
    VALID_FOR,
    ExpiredToken,
    InvalidToken,
    SignedLinks,
)

PUBLIC_URL = "https://notify.example.com"
PREFIX = PUBLIC_URL + "/unsubscribe/"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ALL = RecipientLinks(PUBLIC_URL, "a secret of the tests")
LINKS = ALL.unsubscribe
SCOPE = UnsubscribeScope("address:ann.lee@example.com", ("task_completion",), "org-a")
ALPHABET = string.ascii_letters + string.digits + "-_"

texts = st.text(max_size=255)
scopes = st.builds(
    UnsubscribeScope,
    st.one_of(texts.map("user:{}".format), st.emails().map("address:{}".format)),
    st.lists(texts, max_size=5).map(tuple),
    st.none() | texts,
)
instants = st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def token_of(scope: UnsubscribeScope, at: datetime = NOW, links: SignedLinks[Any] = LINKS) -> str:
    url = links.url(scope, at)
    assert url is not None
    assert url.startswith(PREFIX)
    return url.removeprefix(PREFIX)


def refuse(token: str, links: SignedLinks[Any] = LINKS) -> None:
    with pytest.raises(InvalidToken, match=r"^no link of ours$"):
        links.opened(token, NOW)


@given(scope=scopes, at=instants)
def test_a_link_says_what_it_was_made_for_if_that_has_room(scope: UnsubscribeScope, at: datetime) -> None:
    url = LINKS.url(scope, at)
    if url is None:
        assert len(scope.mailbox.encode()) > 240
        return
    opened = LINKS.opened(url.removeprefix(PREFIX), at).scope
    assert opened.mailbox == scope.mailbox
    if len("".join((scope.mailbox, *scope.kinds, scope.organization_id or "")).encode()) < 450:
        assert opened == scope


@given(scope=scopes, at=instants)
def test_the_same_scope_and_time_make_the_same_link(scope: UnsubscribeScope, at: datetime) -> None:
    assert LINKS.url(scope, at) == RecipientLinks(PUBLIC_URL, "a secret of the tests").unsubscribe.url(scope, at)


@given(position=st.integers(0, 10_000), character=st.sampled_from(ALPHABET + ".=%/+~ä\0"))
def test_any_changed_character_is_refused(position: int, character: str) -> None:
    token = token_of(SCOPE)
    position %= len(token)
    changed = token[:position] + character + token[position + 1 :]
    if changed != token:
        refuse(changed)


@given(length=st.integers(0, 1_000), more=st.text(ALPHABET, min_size=1, max_size=50))
def test_what_is_cut_off_or_added_is_refused(length: int, more: str) -> None:
    token = token_of(SCOPE)
    refuse(token[: length % len(token)])
    refuse(token[length % len(token) + 1 :])
    refuse(token + more)
    refuse(more + token)
    refuse(token[:-1] + more + token[-1])


@given(noise=st.one_of(st.text(), st.text(ALPHABET).map("{}1".format), st.binary().map(lambda data: data.hex() + "1")))
def test_anything_else_is_refused(noise: str) -> None:
    refuse(noise)


def test_every_single_bit_counts() -> None:
    sealed = urlsafe_b64decode(token_of(SCOPE)[:-1] + "==")
    for bit in range(len(sealed) * 8):
        forged = bytearray(sealed)
        forged[bit // 8] ^= 1 << bit % 8
        refuse(urlsafe_b64encode(forged).rstrip(b"=").decode() + "1")


def test_what_a_huge_request_holds_is_refused_before_it_is_looked_at() -> None:
    refuse("A" * 50_000_000 + "1")


def test_what_is_longer_than_any_of_our_links_is_refused_whatever_it_is() -> None:
    said = msgspec.msgpack.encode([int(NOW.timestamp()), "user:u", ["k" * LONGEST_TOKEN], None])
    sealed = LINKS._cipher.encrypt(said, [b"streamnotify unsubscribe 1"])
    refuse(urlsafe_b64encode(sealed).rstrip(b"=").decode() + "1")


def test_another_spelling_of_the_same_bytes_is_refused() -> None:
    scope = next(
        scope for scope in (UnsubscribeScope("user:" + "u" * n, ()) for n in range(3)) if len(token_of(scope)) % 4 != 1
    )
    token = token_of(scope)
    body = token[:-1]
    same = [body[:-1] + each for each in ALPHABET if decoded(body[:-1] + each) == decoded(body)]
    assert len(same) > 1
    for other in {*same} - {body}:
        refuse(other + "1")
    refuse(body + "=" * (-len(body) % 4) + "1")
    refuse(body[:4] + "\n" + body[4:] + "1")


def decoded(body: str) -> bytes:
    return urlsafe_b64decode(body + "=" * (-len(body) % 4))


@pytest.mark.parametrize("secret", ["another secret", "a secret of the tests ", "A secret of the tests"])
def test_the_link_of_another_secret_is_refused(secret: str) -> None:
    refuse(token_of(SCOPE, links=RecipientLinks(PUBLIC_URL, secret).unsubscribe))


@pytest.mark.parametrize("version", ["0", "2", "A", "_", ""])
def test_the_link_of_another_version_is_refused(version: str) -> None:
    refuse(token_of(SCOPE)[:-1] + version)


def test_what_was_sealed_for_another_purpose_is_refused() -> None:
    said = msgspec.msgpack.encode([int(NOW.timestamp()), "user:u", ["task_completion"], None])
    for purpose in ([b"streamnotify api 1"], [], [b"streamnotify unsubscribe 1", b""]):
        sealed = LINKS._cipher.encrypt(said, purpose)
        refuse(urlsafe_b64encode(sealed).rstrip(b"=").decode() + "1")


@pytest.mark.parametrize("content", [b"\0", b"\x90", b"\x94\x01\xa1u\x90", b"\xc1", b"\x94\xa1x\xa1u\x90\xc0"])
def test_sealed_content_of_another_shape_is_refused(content: bytes) -> None:
    sealed = LINKS._cipher.encrypt(content, [b"streamnotify unsubscribe 1"])
    refuse(urlsafe_b64encode(sealed).rstrip(b"=").decode() + "1")


def test_a_link_is_good_for_180_days_from_its_mail() -> None:
    token = token_of(SCOPE)
    assert timedelta(days=180) == VALID_FOR
    assert LINKS.opened(token, NOW + VALID_FOR - timedelta(seconds=1)).scope == SCOPE
    with pytest.raises(ExpiredToken):
        LINKS.opened(token, NOW + VALID_FOR)


def test_a_clock_that_is_behind_that_of_the_broker_refuses_nothing() -> None:
    assert LINKS.opened(token_of(SCOPE), NOW - timedelta(minutes=5)).scope == SCOPE


@given(local=st.text(string.ascii_lowercase + string.digits, min_size=6, max_size=40), at=instants)
def test_no_part_of_the_address_or_id_is_in_the_link(local: str, at: datetime) -> None:
    scope = UnsubscribeScope(f"address:{local}@mail.example.com", ("task_completion",), "organization-42")
    token = token_of(scope, at)
    clear = "|".join((scope.mailbox, *scope.kinds, scope.organization_id or ""))
    told = [*(clear[start:] for start in range(3))]
    for text in (clear, *(b64encode(each.encode()).decode() for each in told), clear.encode().hex()):
        assert not [text[at : at + 6] for at in range(len(text) - 5) if text[at : at + 6] in token]


def test_links_to_different_people_have_nothing_in_common() -> None:
    tokens = [token_of(UnsubscribeScope(f"user:{number}", ("task_completion",))) for number in range(200)]
    assert len({token[:6] for token in tokens}) == len(tokens)


@given(scope=scopes)
def test_a_link_is_never_too_long_for_a_header(scope: UnsubscribeScope) -> None:
    public_url = "https://" + "h" * 60 + ".example.com/" + "p" * (LONGEST_PUBLIC_URL - 81)
    assert len(public_url) == LONGEST_PUBLIC_URL
    url = RecipientLinks(public_url, "s" * 16).unsubscribe.url(scope, NOW)
    assert url is None or len(url) <= LONGEST_PUBLIC_URL + len("/unsubscribe/") + LONGEST_TOKEN < 900


def test_the_longest_link_arrives_in_the_header_as_it_is() -> None:
    url = LINKS.url(UnsubscribeScope("user:" + "u" * 255, ("k" * 248,)), NOW)
    assert url is not None
    assert len(url) - len(PREFIX) > LONGEST_TOKEN - 4
    sender = Mailbox("noreply@example.com")
    mail = Mime(sender, Mailbox("a@example.com"), "s", NOW, "m@example.com", "=_b", "t", "h", list_unsubscribe=[url])
    assert f"\r\nList-Unsubscribe: <{url}>\r\n".encode() in to_bytes(mail)


@pytest.mark.parametrize(
    ("scope", "kept"),
    [
        (UnsubscribeScope("user:" + "u" * 255, ("k",), "o" * 200), "all"),
        (UnsubscribeScope("user:" + "u" * 255, ("k",), "o" * 255), "no organization"),
        (UnsubscribeScope("user:" + "u" * 255, ("k", "l" * 255), "o"), "one kind"),
        (UnsubscribeScope("user:" + "\U0001f600" * 255, ("k",), "o"), "nothing"),
        (UnsubscribeScope("user:" + "u" * 255, ("k" * 255,)), "nothing"),
    ],
)
def test_long_ids_leave_out_what_has_no_room_and_never_ask_for_more(scope: UnsubscribeScope, kept: str) -> None:
    url = LINKS.url(scope, NOW)
    expected = {
        "all": scope,
        "no organization": UnsubscribeScope(scope.mailbox, scope.kinds),
        "one kind": UnsubscribeScope(scope.mailbox, scope.kinds[:1]),
        "nothing": None,
    }[kept]
    assert (url and LINKS.opened(url.removeprefix(PREFIX), NOW).scope) == expected


@given(scope=scopes)
def test_a_link_is_plain_text_that_no_mail_program_cuts(scope: UnsubscribeScope) -> None:
    url = LINKS.url(scope, NOW)
    if url is not None:
        assert {*url.removeprefix(PREFIX)} <= {*ALPHABET}
        assert url[-1].isalnum()


@pytest.mark.parametrize(
    "public_url",
    [
        "http://notify.example.com",
        "https://notify.example.com/?page=",
        "https://notify.example.com/#",
        "ftp://notify.example.com",
        "https://" + "h" * LONGEST_PUBLIC_URL,
        "",
    ],
)
def test_a_public_url_that_links_cannot_follow_is_refused(public_url: str) -> None:
    with pytest.raises(ValueError, match="PUBLIC_URL: an https URL"):
        RecipientLinks(public_url, "s" * 16)


def test_a_public_url_may_have_a_path() -> None:
    url = RecipientLinks("https://example.com/notify/", "s" * 16).unsubscribe.url(SCOPE, NOW)
    assert url is not None
    assert url.startswith("https://example.com/notify/unsubscribe/")


def test_a_link_for_one_thing_is_no_right_to_another() -> None:
    digest = DigestScope(SCOPE.mailbox, "d" * 26, 60)
    urls = {
        "unsubscribe": ALL.unsubscribe.url(SCOPE, NOW),
        "preferences": ALL.preferences.url(SCOPE, NOW),
        "notifications": ALL.notifications.url(digest, NOW),
    }
    everyone: dict[str, SignedLinks[Any]] = {purpose: getattr(ALL, purpose) for purpose in urls}
    for purpose, url in urls.items():
        assert url is not None
        token = url.removeprefix(f"{PUBLIC_URL}/{purpose}/")
        assert everyone[purpose].opened(token, NOW).scope == (digest if purpose == "notifications" else SCOPE)
        assert everyone[purpose].opened(token, NOW).issued_at == NOW
        for other in urls.keys() - {purpose}:
            refuse(token, everyone[other])


@given(mailbox=texts, digest_id=texts, total=st.integers(0, 2**40))
def test_a_link_to_a_digest_says_which_one_or_there_is_none(mailbox: str, digest_id: str, total: int) -> None:
    digest = DigestScope(mailbox, digest_id, total)
    url = ALL.notifications.url(digest, NOW)
    if url is None:
        assert len((mailbox + digest_id).encode()) > 400
    else:
        assert ALL.notifications.opened(url.rpartition("/")[2], NOW).scope == digest


def test_preferences_of_a_mail_that_must_come_have_a_link_too() -> None:
    must_come = UnsubscribeScope("user:" + "u" * 255, (), "o" * 255)
    url = ALL.preferences.url(must_come, NOW)
    assert url is not None
    assert ALL.preferences.opened(url.rpartition("/")[2], NOW).scope == UnsubscribeScope(must_come.mailbox, ())
