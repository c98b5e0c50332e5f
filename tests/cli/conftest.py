"""Fixtures of the SMTP tests that the commands' tests use too."""

from __future__ import annotations

from tests.smtp.conftest import certificates

__all__ = ["certificates"]
