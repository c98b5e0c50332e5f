"""The operator's templates and brands, per service and per organization (SPEC section 4)."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

import pytest

from streamnotify.render.policy import Brand, RenderPolicy
from streamnotify.render.renderer import RenderedMail, Renderer
from tests.render.a_notification import NOW, a_notification
from tests.render.reading import html_of, links, text_of, words

POLICY = RenderPolicy("noreply@mail.example.com", Brand(reply_to="help@example.com"), "https://app.example.com")
SHIPPED = "Your task has completed with status: SUCCESS"


def put(directory: Path, **files: str) -> None:
    """Write files; ``__`` in a name is a slash and ``_dot_`` a dot."""
    for name, text in files.items():
        path = directory / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def mail(own: Path, **fields: Any) -> RenderedMail:
    """The mail about a notification with ``fields``, by the templates in ``own``."""
    return Renderer(POLICY, own).task_mail(a_notification(**fields), "ann@example.com", NOW)


def test_only_the_files_present_override_the_shipped_ones(tmp_path: Path) -> None:
    put(tmp_path, task_completion_dot_txt="Done: {{ task_name }}, {{ report }}")
    rendered = mail(tmp_path, variables={"report": "R & D"})
    assert text_of(rendered).strip() == "Done: nightly-report, R & D"
    assert SHIPPED in words(html_of(rendered))
    assert rendered.subject == "Task Completed: nightly-report - Success"
    assert rendered.problems == ()


def test_an_organizations_files_go_first_then_the_services_then_the_packages(tmp_path: Path) -> None:
    put(
        tmp_path,
        task_completion_dot_txt="service",
        task_completion_dot_subject="service subject",
        organizations__acme__task_completion_dot_txt="acme",
    )
    acme, other = mail(tmp_path, organization_id="acme"), mail(tmp_path, organization_id="other")
    assert (text_of(acme).strip(), acme.subject) == ("acme", "service subject")
    assert (text_of(other).strip(), other.subject) == ("service", "service subject")
    assert SHIPPED in words(html_of(acme))
    assert text_of(mail(tmp_path)).strip() == "service"


def test_a_template_of_ones_own_name_takes_what_it_lacks_from_task_completion(tmp_path: Path) -> None:
    put(tmp_path, weekly_report_dot_html='{% extends "layout/base.html" %}{% block content %}<h1>W</h1>{% endblock %}')
    rendered = mail(tmp_path, kind="weekly_report", template="weekly_report")
    assert "W Best regards, The streamnotify team" in words(html_of(rendered))
    assert SHIPPED in text_of(rendered)
    assert rendered.warnings == ()
    assert rendered.message_id.startswith("weekly_report.")


def test_another_layout_serves_the_shipped_templates_too(tmp_path: Path) -> None:
    put(tmp_path, layout__base_dot_txt="{% block content %}{% endblock %}\nACME")
    assert text_of(mail(tmp_path)).endswith("Completed at: 2024-01-15 14:30:25 UTC\nACME\n")


def test_an_organization_has_its_own_templates_to_itself(tmp_path: Path) -> None:
    put(tmp_path, organizations__acme__special_dot_txt="for acme only")
    assert text_of(mail(tmp_path, organization_id="acme", template="special")).strip() == "for acme only"
    other = mail(tmp_path, organization_id="other", template="special")
    assert SHIPPED in text_of(other)
    assert len(other.warnings) == 1


BROKEN = {
    "undeclared name": ("{{ no_such_name }}", "'no_such_name' is undefined"),
    "undeclared attribute": ("{{ task_name.nothing }}", "has no attribute 'nothing'"),
    "division": ("{{ 1 / 0 }}", "division by zero"),
    "out of the sandbox": ("{{ task_name.__class__.__mro__ }}", "is unsafe"),
    "no such layout": ('{% extends "layout/none.html" %}', "'layout/none.html'"),
    "up and out": ('{% include "../../../../etc/passwd" %}', "passwd"),
    "absolute": ('{% include "/etc/passwd" %}', "passwd"),
    "endless": ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "recursion"),
    "too large": ("{{ 'x' * 100000 }}", "more than 90000 bytes"),
    "far too large": ("{{ 'x' * 10 ** 12 }}", "more than 90000 bytes"),
    "a large number": ("{{ 10 ** (10 ** 9) }}", "more than 90000 bytes"),
    "too long a loop": ("{% for i in range(100000) %}{{ 'x' * 80000 }}{% endfor %}", "more than 90000 bytes"),
    "half a character": ('{{ "\\ud800" }}', "surrogates not allowed"),
}


@pytest.mark.parametrize("suffix", ["html", "txt", "subject"])
@pytest.mark.parametrize("fault", BROKEN)
def test_a_template_that_fails_is_replaced_by_the_shipped_one_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, fault: str, suffix: str
) -> None:
    source, reason = BROKEN[fault]
    put(tmp_path, **{f"task_completion_dot_{suffix}": source})
    renderer = Renderer(POLICY, tmp_path)
    shipped = Renderer(POLICY).task_mail(a_notification(), "ann@example.com", NOW)
    for _ in range(3):
        rendered = renderer.task_mail(a_notification(), "ann@example.com", NOW)
        assert rendered.content == shipped.content
        assert len(rendered.problems) == 1
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert f"Template task_completion.{suffix}: " in caplog.text
    assert reason in caplog.text


def test_a_fault_of_an_organizations_template_names_it_and_skips_the_services(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, organizations__acme__task_completion_dot_txt="{{ nothing }}")
    assert SHIPPED in text_of(mail(tmp_path, organization_id="acme"))
    assert caplog.messages == [
        "Organization 'acme': Template task_completion.txt: 'nothing' is undefined: the shipped template is used"
    ]


NEVER_ENDING = {
    "loops": "{% for i in range(90000) %}{% for j in range(90000) %}{% endfor %}{% endfor %}",
    "loops over data": "{% for i in 'x' * 90000 %}{% for j in 'x' * 90000 %}{% endfor %}{% endfor %}",
    "macros": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
}


def test_a_fault_of_the_services_template_is_said_once_whatever_organizations_there_are(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, task_completion_dot_txt="{{ nothing }}")
    renderer = Renderer(POLICY, tmp_path)
    for organization_id in (None, "acme", "other"):
        renderer.task_mail(a_notification(organization_id=organization_id), "ann@example.com", NOW)
    assert caplog.messages == ["Template task_completion.txt: 'nothing' is undefined: the shipped template is used"]


@pytest.mark.parametrize("source", NEVER_ENDING)
def test_a_template_that_would_never_end_is_stopped_once_and_then_not_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, source: str
) -> None:
    put(tmp_path, task_completion_dot_txt=NEVER_ENDING[source])
    renderer = Renderer(POLICY, tmp_path)
    rendered = renderer.task_mail(a_notification(), "ann@example.com", NOW)
    assert SHIPPED in text_of(rendered)
    started = time.thread_time()
    for _ in range(3):
        assert renderer.task_mail(a_notification(), "ann@example.com", NOW).content == rendered.content
    assert time.thread_time() - started < 1
    assert caplog.messages == ["Template task_completion.txt: it takes more than 1 s: the shipped template is used"]


def test_a_loop_says_what_it_always_did(tmp_path: Path) -> None:
    nested = "{% for each in rows recursive %}{{ loop.index }}/{{ loop.length }}={{ each.n }}{{ loop(each.rows) }};"
    put(tmp_path, task_completion_dot_txt=nested + "{% endfor %}{% for a in [] %}{% else %}none{% endfor %}")
    rows = [{"n": "a", "rows": [{"n": "b", "rows": []}]}, {"n": "c", "rows": []}]
    assert text_of(mail(tmp_path, variables={"rows": rows})).strip() == "1/2=a1/1=b;;2/2=c;none"


@pytest.mark.parametrize(
    "source",
    ["{% if %}", "{{ open", b"\xff\xfe\xff", "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "{% if 1 %}" * 500],
    ids=["syntax", "open", "no text", "deep", "deep blocks"],
)
def test_a_file_that_is_no_template_is_said_at_the_start_and_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, source: str | bytes
) -> None:
    (tmp_path / "task_completion.txt").write_bytes(source if isinstance(source, bytes) else source.encode())
    renderer = Renderer(POLICY, tmp_path)
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(f"Template {tmp_path / 'task_completion.txt'}: ")
    rendered = renderer.task_mail(a_notification(), "ann@example.com", NOW)
    assert SHIPPED in text_of(rendered)
    assert len(caplog.messages) == 1


@pytest.mark.parametrize(
    "organization_id",
    [
        "../outside",
        "acme/../../outside",
        "/",
        ".",
        "..",
        "",
        "acme/",
        "ACME",
        "acme\x00",
        "organizations/acme",
        "%2e%2e",
    ],
)
def test_an_organization_id_never_becomes_a_path(tmp_path: Path, organization_id: str) -> None:
    own = tmp_path / "own"
    put(tmp_path, outside__task_completion_dot_txt="outside", task_completion_dot_txt="above")
    put(own, organizations__acme__task_completion_dot_txt="acme", organizations__task_completion_dot_txt="between")
    assert SHIPPED in text_of(mail(own, organization_id=organization_id))


def test_publishers_text_in_a_template_is_text_and_no_template(tmp_path: Path) -> None:
    put(tmp_path, task_completion_dot_html="<p>{{ report }}</p><a href='{{ link }}'>x</a>")
    result = {"report": "{{ 7*7 }}<script>", "link": "javascript:alert(1)"}
    html = html_of(mail(tmp_path, variables=result))
    assert "<p>{{ 7*7 }}&lt;script&gt;</p><a>x</a>" in html


def test_a_changed_file_counts_after_a_restart(tmp_path: Path) -> None:
    put(tmp_path, task_completion_dot_txt="before")
    renderer = Renderer(POLICY, tmp_path)
    put(tmp_path, task_completion_dot_txt="after")
    assert text_of(renderer.task_mail(a_notification(), "ann@example.com", NOW)).strip() == "before"


def test_the_digest_names_the_templates_that_are_used(tmp_path: Path) -> None:
    shipped = Renderer(POLICY).library.digest()
    assert Renderer(POLICY).library.digest("acme") == shipped
    put(tmp_path, organizations__acme__task_completion_dot_txt="acme")
    first = Renderer(POLICY, tmp_path).library
    assert first.digest() == first.digest("other") == shipped != first.digest("acme")
    put(tmp_path, organizations__acme__task_completion_dot_txt="changed")
    assert Renderer(POLICY, tmp_path).library.digest("acme") not in (shipped, first.digest("acme"))


def test_an_organization_has_its_brand(tmp_path: Path) -> None:
    brand = {"name": "ACME", "colour": "#ffcc00", "logo": "https://acme.example/l.png", "footer": "ACME Ltd"}
    put(tmp_path, organizations__acme__brand_dot_json=json.dumps(brand))
    theirs, other = (mail(tmp_path, organization_id=each, variables={"test_run_id": "1"}) for each in ("acme", "b"))
    assert b"\nFrom: ACME <noreply@mail.example.com>\r\n" in b"\n" + theirs.content
    assert b"\r\nReply-To: help@example.com\r\n" in theirs.content
    assert text_of(theirs).endswith("Best regards,\nThe ACME team\n\n--\nACME Ltd\n")
    assert "background-color:#8e7200" in html_of(theirs)  # as much darker as white text needs
    assert "https://acme.example/l.png" in links(html_of(theirs))
    assert "ACME" not in text_of(other)
    assert "#8e7200" not in html_of(other)


def test_an_address_with_a_domain_in_unicode_stands_in_the_headers_in_ascii(tmp_path: Path) -> None:
    put(tmp_path, organizations__acme__brand_dot_json='{"reply_to": "help@bücher.example"}')
    renderer = Renderer(RenderPolicy("noreply@müller.example"), tmp_path)
    content = renderer.task_mail(a_notification(organization_id="acme"), "ann@example.com", NOW).content
    assert content.isascii()
    assert b"\r\nReply-To: help@xn--bcher-kva.example\r\n" in content
    assert b"<noreply@xn--mller-kva.example>" in content


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{", "Expecting property name"),
        ("[]", "a JSON object is allowed"),
        ('{"color": "#fff"}', "'color' is no key; name, team, colour, logo, footer, reply_to are allowed"),
        ('{"colour": "red"}', "brand colour: six hexadecimal digits after # are allowed, not 'red'"),
        ('{"logo": "http://a.example/x.png"}', "brand logo: an https URL"),
        ('{"reply_to": "Ann <a@b.example>"}', "one address alone is allowed, without a name"),
        ('{"name": "A\\r\\nBcc: x"}', "brand name: one line of 1 to 500 printable characters is allowed"),
        ('{"name": ""}', "brand name: one line"),
        ('{"team": 7}', "team: a text is allowed"),
    ],
)
def test_a_wrong_brand_refuses_the_start_and_names_the_file(tmp_path: Path, source: str, reason: str) -> None:
    put(tmp_path, organizations__acme__brand_dot_json=source)
    with pytest.raises(ValueError, match=r"brand\.json: ") as refused:
        Renderer(POLICY, tmp_path)
    assert str(refused.value).startswith(str(tmp_path / "organizations" / "acme" / "brand.json"))
    assert reason in str(refused.value)
