"""What stands at the root, where no link leads: for who looks whether it runs."""

from __future__ import annotations

import pytest

from tests.web.browsing import Site


@pytest.mark.parametrize(
    ("path_of_url", "root"), [("", "/"), ("", ""), ("/mails", "/"), ("/mails", "/mails"), ("/mails", "/mails/")]
)
def test_the_root_says_that_it_runs_and_how_its_pages_are_reached(path_of_url: str, root: str) -> None:
    site = Site(f"https://notify.example.com{path_of_url}")
    page = site.get(f"https://notify.example.com{root}")
    assert page.status_code == 200
    assert "<h1>streamnotify web is running</h1>" in page.text
    assert "reached by the links in mails" in page.text
    # It is a page like the others: alone with its style.
    assert page.headers["Content-Security-Policy"] == site.get(site.link()).headers["Content-Security-Policy"]
    assert site.request("HEAD", f"https://notify.example.com{root}").status_code == 200


def test_nothing_can_be_posted_there_and_other_paths_are_none() -> None:
    site = Site("https://notify.example.com/mails")
    assert site.post("https://notify.example.com/").status_code == 405
    for path in ("/mail", "/mails/other", "/running"):
        assert site.get(f"https://notify.example.com{path}").status_code == 404
