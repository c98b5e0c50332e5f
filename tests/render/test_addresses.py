"""Addresses as SMTP wants them."""

from __future__ import annotations

import pytest

from streamnotify.render.addresses import InvalidAddress, envelope_address


@pytest.mark.parametrize(
    ("email", "address"),
    [
        ("Ann.Lee+x@Example.com", "Ann.Lee+x@Example.com"),
        ("ann@exämple.com", "ann@xn--exmple-cua.com"),
        ("jörg@例え.jp", "jörg@xn--r8jz45g.jp"),
        ("root@localhost", "root@localhost"),
    ],
)
def test_the_domain_becomes_ascii_and_the_rest_stays(email: str, address: str) -> None:
    assert envelope_address(email) == address


@pytest.mark.parametrize(
    ("email", "why"),
    [
        ("ann", "there is no @ in it"),
        ("Ann Lee <ann@example.com>", "one address alone is allowed, without a name"),
        ("ann@example.com,bob@example.com", "one address alone is allowed, without a name"),
        (".ann@example.com", "the part before the @ is not valid"),
        ("ann@example..com", "the part after the @ is not valid"),
    ],
)
def test_the_refusal_says_what_is_wrong(email: str, why: str) -> None:
    with pytest.raises(InvalidAddress, match=why):
        envelope_address(email)


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ann",
        "@example.com",
        "ann@",
        "a b@example.com",
        "ann@example.com\r\nBcc: x@example.com",
        "ann@example.com\n",
        "ann\x00@example.com",
        "<ann>@example.com",
        "ann@exa mple.com",
        "ann@-example.com",
        "ann@example..com",
        ".ann@example.com",
        "ann@example.com>",
        "ann,bob@example.com",
        "ann@\u202eexample.com",
        "a" * 65 + "@example.com",
    ],
)
def test_what_could_break_out_of_a_header_or_command_is_refused(email: str) -> None:
    with pytest.raises(InvalidAddress):
        envelope_address(email)
