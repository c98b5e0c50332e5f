"""What an e-mail address is. Without pydantic, which `streamnotify run` has no time to import."""

from __future__ import annotations

import re
from functools import lru_cache

from email_validator import validate_email

# Domains that exist beside one's own relay only. email-validator refuses them, so it is shown a longer one.
_LOCAL_DOMAIN = re.compile(r"[@.](local|localhost)$", re.IGNORECASE)
_STAND_IN = ".example.com"


@lru_cache(maxsize=65536)
def ascii_address(email: str) -> str:
    """``email`` normalised, its domain in ASCII; no DNS is asked.

    Raises:
        EmailNotValidError: if it is no address one could write to.
    """
    local_suffix = _STAND_IN if _LOCAL_DOMAIN.search(email) else ""
    valid = validate_email(email + local_suffix, check_deliverability=False, test_environment=True)
    return (valid.ascii_email or f"{valid.local_part}@{valid.ascii_domain}").removesuffix(local_suffix)
