"""The lint of mails: the shipped templates pass, and each rule sees its fault."""

from __future__ import annotations

import pytest

from streamnotify.devtools.mail_lint import faults
from streamnotify.devtools.samples import NOW, RECIPIENT, sample, sample_mail, samples_of
from streamnotify.render.policy import Brand, RenderPolicy
from streamnotify.render.renderer import Renderer
from tests.render.reading import html_of, text_of

PLAIN = RenderPolicy("noreply@example.com", frontend_url="https://app.example.com")
RICH = RenderPolicy(
    "noreply@example.com",
    Brand("ACME", "The crew", "#ffcc00", "https://acme.example/logo.png", "ACME Ltd"),
    "https://app.example.com",
    unsubscribe_mailto="stop@example.com",
)
GOOD = Renderer(RICH).task_mail(sample("failure", "test_execution_summary"), RECIPIENT, NOW)


@pytest.mark.parametrize("policy", [PLAIN, RICH], ids=["plain", "rich"])
@pytest.mark.parametrize(
    ("template", "name"),
    [(template, name) for template in Renderer(PLAIN).library.names() for name in samples_of(template)],
)
def test_the_shipped_templates_have_no_faults(name: str, template: str, policy: RenderPolicy) -> None:
    mail = sample_mail(Renderer(policy), name, template)
    assert faults(html_of(mail), text_of(mail)) == []


@pytest.mark.parametrize("colour", ["#000000", "#ffffff", "#777777", "#1a73e8", "#ffcc00", "#757575", "#00ff00"])
def test_the_text_of_buttons_can_be_read_whatever_the_brands_colour(colour: str) -> None:
    policy = RenderPolicy("noreply@example.com", Brand(colour=colour), "https://app.example.com")
    mail = Renderer(policy).task_mail(sample("success", "task_completion"), RECIPIENT, NOW)
    assert policy.brand.button in html_of(mail)
    assert faults(html_of(mail), text_of(mail)) == []


FAULTS = {
    "unsafe link": ('href="https://chat', 'href="http://chat', "only https is allowed"),
    "script link": ('href="https://app', 'href="javascript:app', "only https is allowed"),
    "empty link": (">View Results</a>", "></a>", "does not say where it leads"),
    "vague link": (">View Results</a>", ">Click here</a>", "does not say where it leads"),
    "low link": ("padding:14px 32px", "padding:4px 32px", "less than 44 px high"),
    "inline link": ("display:inline-block;padding:12px", "display:inline;padding:12px", "less than 44 px high"),
    "no bgcolor": (' bgcolor="#ffffff"', "", "lacks the bgcolor attribute"),
    "padding": ('<p dir="auto" class="ink" style="', '<p style="padding:4px;', "which Outlook ignores"),
    "no ghost table": ("[if mso]", "[if ie]", "for Outlook"),
    "flex": ("display:block", "display:flex", "'display:flex' is not known"),
    "var": ("color:#111827", "color:var(--ink)", "'var(' is not known"),
    "url": ("margin:0 auto", "background:url(x)", "'url(' is not known"),
    "negative margin": ("margin:0 auto", "margin:0 -4px", "is not known"),
    "import": ("<style>\n:root", "<style>@import 'x';:root", "'@import' is not known"),
    "script": ("</h1>", "</h1><script>1</script>", "<script> is not allowed"),
    "svg": ("</h1>", "</h1><svg></svg>", "<svg> is not allowed"),
    "embedded image": ("https://acme.example/logo.png", "data:image/png;base64,xx", "only https is allowed"),
    "style in body": ("</h1>", "</h1><style>p{}</style>", "<style> in the body"),
    "no scheme": ('name="color-scheme"', 'name="x"', "no <meta name=color-scheme>"),
    "no dark": ("prefers-color-scheme: dark", "prefers-contrast", "no colours for dark mode"),
    "no outlook dark": ("[data-ogsb]", "[x]", "no colours for dark mode ([data-ogsb])"),
    "weak media rule": ("color: #f3f4f6 !important", "color: #f3f4f6", "lacks !important"),
    "faint in light": ("color:#111827", "color:#c0c0c0", "#c0c0c0 on #ffffff (light)"),
    "faint in dark": (".ink { color: #f3f4f6", ".ink { color: #333333", "#333333 on #182235 (dark)"),
    "faint and short": ("color:#111827", "color:#ccc", "#cccccc on #ffffff (light)"),
    "no dark class": ('class="ink"', 'class=""', "#111827 on #182235 (dark)"),
    "no lang": ('<html lang="en"', "<html", "lang and dir are needed"),
    "no wrapper": ('<div lang="en"', "<div", "lang and dir are needed"),
    "no title": (f"<title>{GOOD.subject}", "<title>", "the title is empty"),
    "two h1": ("<h2", "<h1", "<h1>; one is needed"),
    "no role": (' role="presentation"', "", "a table needs"),
    "no scope": (' scope="row"', "", "a table needs"),
    "no alt": (' alt="ACME"', "", "an image has no alt"),
    "short preheader": ("0 of 340 tests passed, 12 failed. Ended", "", "padded"),
    "large": ("</h1>", "x" * 90_000 + "</h1>", "Gmail hides its end"),
    "large style": ("<style>\n:root", "<style>" + ".a{}" * 5000 + ":root", "Gmail drops it"),
    "not in the text": (">KeyError", ">NameError", 'the text part lacks "NameError'),
    "link not in the text": ("/test-runs/", "/test-run/", "the text part lacks the link https://app.example.com"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_of_the_html_is_seen(name: str) -> None:
    before, after, said = FAULTS[name]
    html = html_of(GOOD)
    if name == "short preheader":
        start = html.index("0 of 340")
        html, before = html[:start] + html[html.index("</div>", start) :], ""
    assert before in html
    found = faults(html.replace(before, after) if before else html, text_of(GOOD))
    assert any(said in fault for fault in found), found


def test_a_property_that_few_programs_know_is_better_said_once_for_all() -> None:
    html = html_of(GOOD).replace("line-height:", "overflow-wrap:anywhere;line-height:")
    [fault] = faults(html, text_of(GOOD))
    assert fault.startswith("mail programs know 56.4 %")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the text part is empty"),
        ("word " * 20, "over 78"),
        ("x" * 79, "over 78"),
        ("no\xa0break", "no-break space"),
    ],
)
def test_each_fault_of_the_text_is_seen(text: str, said: str) -> None:
    assert any(said in fault for fault in faults(html_of(GOOD), text))


def test_urls_may_make_a_line_long() -> None:
    url = "https://app.example.com/" + "x" * 200
    assert faults(html_of(GOOD), f"{text_of(GOOD)}\n{url}\n") == []
