"""Settings that would give a password away are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streamnotify.smtp.policy import SmtpPolicy, Tls


def test_a_password_never_goes_over_an_open_line() -> None:
    with pytest.raises(ValueError, match="SMTP_TLS=none"):
        SmtpPolicy("smtp.example.com", "a@example.com", user="u", password="secret", tls=Tls.NONE)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_a_password_may_go_to_the_machine_itself(host: str) -> None:
    SmtpPolicy(host, "a@example.com", user="u", password="secret", tls=Tls.NONE)


def test_half_of_the_credentials_is_refused() -> None:
    with pytest.raises(ValueError, match="SMTP_PASSWORD"):
        SmtpPolicy("smtp.example.com", "a@example.com", user="u")


def test_a_token_is_a_password() -> None:
    token: dict[str, Any] = {"user": "u", "token_file": Path("token")}
    SmtpPolicy("smtp.example.com", "a@example.com", **token)
    with pytest.raises(ValueError, match="SMTP_TLS=none"):
        SmtpPolicy("smtp.example.com", "a@example.com", tls=Tls.NONE, **token)
    with pytest.raises(ValueError, match="SMTP_PASSWORD and SMTP_TOKEN_FILE"):
        SmtpPolicy("smtp.example.com", "a@example.com", password="secret", **token)
    with pytest.raises(ValueError, match="SMTP_USER"):
        SmtpPolicy("smtp.example.com", "a@example.com", token_file=Path("token"))


def test_the_password_does_not_show() -> None:
    assert "secret" not in repr(SmtpPolicy("smtp.example.com", "a@example.com", user="u", password="secret"))
