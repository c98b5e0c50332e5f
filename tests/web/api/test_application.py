"""Where the interface is, beside the pages for recipients or without them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from streamnotify.render.policy import Brand
from streamnotify.render.recipient_links import RecipientLinks
from streamnotify.web.api.application import api_application
from streamnotify.web.api.token_file import TokenFile
from streamnotify.web.app import application
from streamnotify.web.read_model.queries import ReadModel
from tests.web.api.api_site import ApiSite
from tests.web.browsing import SECRET, Recorder, Site


def test_without_links_there_are_no_pages_and_the_interface_is_at_the_root(site: ApiSite) -> None:
    assert site.get("/api/status").status_code == 200
    assert site.get("/unsubscribe/x").status_code == 404
    assert site.get("/livez").text == "ok\n"
    assert site.request("GET", "/api/openapi.json").json()["servers"] == [{"url": "/"}]


def test_without_tokens_there_is_no_interface() -> None:
    site = Site()
    for path in ("/api", "/api/status", "/api/openapi.json"):
        assert site.get(f"https://notify.example.com{path}").status_code == 404


@pytest.mark.parametrize("path", ["", "/mails"])
def test_it_is_below_the_public_url(tmp_path: Path, path: str) -> None:
    url = f"https://notify.example.com{path}"
    (tmp_path / "tokens").write_text("")
    read_model = ReadModel(tmp_path / "none")
    site = ApiSite(tmp_path)
    api = api_application(TokenFile(tmp_path / "tokens"), site.topic, read_model, public_url=url)
    app = application(url, RecipientLinks(url, SECRET), Recorder(), Brand(name="Acme"), read_model, api=api)

    async def got(where: str) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            return await client.get(where)

    document = asyncio.run(got(f"{url}/api/openapi.json")).json()
    assert document["servers"] == [{"url": url}]
    assert "/api/task-events" in document["paths"]
    assert asyncio.run(got(f"{url}/api/status")).status_code == 401
    assert asyncio.run(got("https://notify.example.com/other/api/status")).status_code == 404
