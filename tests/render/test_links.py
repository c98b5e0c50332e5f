"""What may be a link in a mail."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnotify.render.links import is_safe_url, without_unsafe_links
from tests.render.reading import links

SAFE = [
    "https://app.example.com",
    "HTTPS://app.example.com/a?b=c#d",
    "https://app.example.com:8443/é",
    "http://localhost:3000/x",
    "http://127.0.0.1",
    "http://[::1]:80/",
]
UNSAFE = [
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    " javascript:alert(1)",
    "java\nscript:alert(1)",
    "data:text/html,x",
    "//evil.example",
    "/path",
    "http://evil.example",
    "http://localhost.evil.example",
    "https://",
    "https:evil.example",
    "https://a b",
    "https://app.example.com/\nx",
    "https://app.example.com/\r\nBcc: x",
    "https://app.example.com/\x00",
    "https://app.example.com/\u2028x",
    "https://app.example.com/\u202egnp.exe",
    "https://app.example.com@evil.example",
    'https://app.example.com/"onclick=x',
    "https://[::1",
    "https://a.example:port",
    "https://a.example/" + "x" * 3000,
    "ftp://a.example",
    "vbscript:x",
    "",
    None,
    7,
    ["https://a.example"],
]


@pytest.mark.parametrize("url", SAFE)
def test_https_and_http_to_this_machine_are_safe(url: str) -> None:
    assert is_safe_url(url)
    assert without_unsafe_links(f'<a href="{url}">x</a>') == f'<a href="{url}">x</a>'


@pytest.mark.parametrize("url", UNSAFE, ids=ascii)
def test_nothing_else_is(url: object) -> None:
    assert not is_safe_url(url)


@pytest.mark.parametrize("quote", ['"', "'", ""])
@pytest.mark.parametrize("attribute", ["href", "HREF", "src", "background", "formaction", "xlink:href"])
@pytest.mark.parametrize("url", ["javascript:alert(1)", "java&#115;cript:alert(1)", "//evil.example", "data:x"])
def test_an_unsafe_link_loses_its_target(attribute: str, quote: str, url: str) -> None:
    assert without_unsafe_links(f"<a class='x' {attribute} = {quote}{url}{quote} id='y'>z</a>") == (
        "<a class='x' id='y'>z</a>"
    )


def test_text_that_only_looks_like_a_link_stays() -> None:
    html = '<p title="a b">href="javascript:x" &lt;a href=javascript:y&gt;</p><a href="mailto:a@b.example">m</a>'
    assert without_unsafe_links(html) == html


@given(st.text(alphabet="abc:/<>\"'= \n\tjavscriptdhef&#;", max_size=60))
def test_no_text_makes_an_unsafe_link(text: str) -> None:
    for html in (f'<a href="{text}">x</a>', f"<a href='{text}'>x</a>", f"<a href={text}>x</a>"):
        for url in links(without_unsafe_links(html)):
            assert not url.replace("\n", "").replace("\t", "").strip().lower().startswith(("javascript:", "data:"))
