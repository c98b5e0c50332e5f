"""The preferences page's form, when what is posted is not what the page would send."""

from __future__ import annotations

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnotify.domain.preference_changes import PreferenceChange
from streamnotify.domain.preferences import Preferences
from streamnotify.web.forms import MAX_BYTES as LEAST_FORM
from streamnotify.web.recipients.known import Known
from streamnotify.web.recipients.preference_form import MAX_BYTES, BadForm, posted
from streamnotify.web.recipients.preference_view import MOST_LISTED, PreferenceView, view_of
from streamnotify.wire.topics import USER_PREFERENCES
from tests.web.browsing import Site
from tests.web.filled_forms import shown
from tests.web.mailed_site import MailedSite


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"email": "yes"}, {"email": "Please choose on or off."}),
        ({"kind.1": "keep"}, {"kind.1": "Please choose on or off."}),
        ({"organization.0": ""}, {"organization.0": "Please choose on or off."}),
        ({"digest": "5 minutes"}, {"digest": "Please choose one of these."}),
        ({"digest": "8d"}, {"digest": "Please choose one of these."}),
        ({"digest": ""}, {"digest": "Please choose one of these."}),
        ({"digest": "keep"}, {"digest": "Please choose one of these."}),
        ({"digest": "daily", "daily_at": "24:00"}, {"daily_at": "from 00:00 to 23:59"}),
        ({"digest": "daily", "daily_at": ""}, {"daily_at": "from 00:00 to 23:59"}),
        ({"quiet": "on", "quiet_from": "\u0660\u0668:00"}, {"quiet_from": "from 00:00 to 23:59"}),
        ({"quiet": "on", "quiet_to": "07:00\n"}, {}),
        ({"quiet": "on", "quiet_to": "22:00"}, {"quiet_to": "another time than the one they begin at"}),
        ({"quiet": "on", "quiet_zone": "../../etc/passwd"}, {"quiet_zone": "a time zone of the list"}),
        ({"quiet": "on", "quiet_zone": "europe/rome"}, {"quiet_zone": "a time zone of the list"}),
        (
            {"quiet": "on", "quiet_from": "x", "quiet_to": "y", "quiet_zone": "z", "kind.0": "<script>"},
            {"kind.0": "on or off", "quiet_from": "00:00", "quiet_to": "00:00", "quiet_zone": "time zone"},
        ),
    ],
)
def test_what_cannot_be_used_is_said_beside_its_field_and_nothing_is_changed(
    known: MailedSite, changed: dict[str, str], wrong: dict[str, str]
) -> None:
    url = known.preferences_link("user:ann")
    before = len(known.product.engine.records(USER_PREFERENCES))
    form = shown(known.get(url)) | {"kind.2": "on"} | changed
    form.pop("kind.3")
    answer = known.post(url, **form)
    assert answer.status_code == (422 if wrong else 200)
    for name, why in wrong.items():
        [said] = [line for line in answer.text.splitlines() if f'id="{name}-wrong"' in line]
        assert why in said
        assert f'<a href="#{name}">' in answer.text
        assert f'aria-invalid="true" aria-describedby="{name}-wrong"' in answer.text
    if not wrong:
        return
    assert len(known.product.engine.records(USER_PREFERENCES)) == before
    again = shown(answer)
    assert "kind.3" not in again  # what was touched is still touched
    assert again["shown"] == form["shown"]
    assert "<script>" not in answer.text


@pytest.mark.parametrize(
    "held",
    [
        "",
        "{",
        "[]",
        "null",
        '{"kinds": {"": true}}',
        '{"kinds": {"a": "on"}}',
        '{"kinds": {"a": 1}}',
        '{"email": "on"}',
        '{"digest": 1}',
        '{"digest": "5 minutes"}',
        '{"digest": "' + "9" * 400 + 'd"}',
        '{"kinds": {"' + "k" * 256 + '": true}}',
        '{"kinds": {' + ", ".join(f'"k{n}": true' for n in range(MOST_LISTED + 1)) + "}}",
        '{"kinds": {"\\ud800": true}}',
        "[" * 5000,
        "\0",
    ],
)
def test_a_form_that_is_not_the_pages_own_changes_nothing(site: Site, held: str) -> None:
    answer = site.post(site.preferences_link(), shown=held, digest="1h")
    assert answer.status_code == 400
    assert site.commands.sent == []


@given(form=st.dictionaries(st.sampled_from(["shown", "email", "digest", "daily_at", "quiet", "kind.0"]), st.text()))
def test_whatever_is_posted_is_a_change_an_error_or_no_form(form: dict[str, str]) -> None:
    held = msgspec.json.encode(PreferenceView(email=True, kinds={"a": None}, quiet=False)).decode()
    for tried in (form, {"shown": held} | form, form | {"shown": held}):
        try:
            came = posted(tried)
        except BadForm:
            continue
        assert not came.errors or came.change == PreferenceChange()


def test_with_names_of_any_length_and_number_the_form_can_be_sent_back(site: Site) -> None:
    names = [f"{number} " + "字" * 200 for number in range(100)]
    refused = dict.fromkeys(names, False)
    known = Known(Preferences(kinds=refused, organizations=refused), kinds=tuple(names), organizations=tuple(names))
    view = view_of(known, names, names[0])
    assert 5 < len(view.kinds) <= MOST_LISTED
    form = {"shown": msgspec.json.encode(view).decode(), "digest": "usual"}
    body = httpx.Request("POST", "x:", data=form).content
    assert LEAST_FORM < len(body) < MAX_BYTES
    assert site.post(site.preferences_link(), **form).status_code == 200
