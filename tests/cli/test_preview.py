"""``streamnotify preview``."""

from __future__ import annotations

import os
import re
from pathlib import Path

from streamnotify.devtools.samples import samples_of
from tests.cli.running import streamnotify

TEMPLATES = (
    "task_completion",
    "test_execution_summary",
    "task_status_alert",
    "task_status_recovery",
    "service_health",
    "notification_digest",
)


def test_every_template_is_shown_with_every_sample(tmp_path: Path) -> None:
    shown = streamnotify("preview", "gallery", directory=tmp_path)
    gallery = tmp_path / "gallery"
    titles = [f"{template} · {name}" for template in TEMPLATES for name in samples_of(template)]
    assert (shown.exit_code, shown.stdout) == (0, f"{len(titles)} mails, 0 with faults: gallery/index.html\n")
    assert "FRONTEND_URL is not set" in shown.stderr
    page = (gallery / "index.html").read_text()
    for title in titles:
        assert f"<h2>{title}</h2>" in page
    linked = re.findall(r'(?:src|href)="([^"#]+)"', page)
    assert len(linked) >= len(titles) * 5
    assert all((gallery / name).is_file() for name in linked)
    assert page.count("Subject: ") == len(titles)
    assert "Hello John Doe," in page
    assert "✓ Lint: no faults" in page


def test_the_frames_show_light_dark_and_no_style_on_any_machine(tmp_path: Path) -> None:
    streamnotify("preview", directory=tmp_path)
    light, dark, stripped = (
        (tmp_path / "preview" / f"task_completion.success.{view}.html").read_text()
        for view in ("light", "dark", "no-style")
    )
    assert "prefers-color-scheme" not in light + dark
    assert "@media not all" in light
    assert "@media all" in dark
    assert "@media only screen" in light
    assert "prefers-color-scheme" not in stripped
    assert "<h1" in stripped


def test_own_templates_brands_and_organizations_are_shown(tmp_path: Path) -> None:
    own = tmp_path / "own"
    (own / "organizations" / "acme").mkdir(parents=True)
    (own / "organizations" / "acme" / "brand.json").write_text('{"name": "ACME"}')
    (own / "weekly.txt").write_text("weekly words")
    shown = streamnotify(
        "preview",
        directory=tmp_path,
        STREAMNOTIFY_TEMPLATE_DIR="own",
        STREAMNOTIFY_BRAND_TEAM="Crew",
        FRONTEND_URL="https://app.example.com",
    )
    page = (tmp_path / "preview" / "index.html").read_text()
    assert "<h2>weekly · success</h2>" in page
    assert "weekly words" in page
    assert "<h2>acme: task_completion · success</h2>" in page
    assert "The ACME team" in page
    assert "Crew" in page
    assert "FRONTEND_URL" not in shown.stderr


def test_a_faulty_template_is_named_and_ends_with_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "task_completion.html").write_text("<p>{{ nothing }}")
    (tmp_path / "own.html").write_text('<div style="display:flex"><img src="https://a.example/x.png"></div>')
    shown = streamnotify("preview", directory=tmp_path, STREAMNOTIFY_TEMPLATE_DIR=".")
    assert shown.exit_code == 1
    assert "task_completion · success: Template task_completion.html: 'nothing' is undefined" in shown.stderr
    assert "own · success: 'display:flex' is not known to all mail programs" in shown.stderr
    assert "own · success: an image has no alt" in shown.stderr


def test_a_wrong_brand_and_a_directory_that_cannot_be_written_end_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "organizations" / "acme").mkdir(parents=True)
    (tmp_path / "organizations" / "acme" / "brand.json").write_text('{"colour": "red"}')
    wrong = streamnotify("preview", directory=tmp_path, STREAMNOTIFY_TEMPLATE_DIR=".")
    assert wrong.exit_code == 1
    assert wrong.stderr.startswith("Error: organizations/acme/brand.json: brand colour: six hexadecimal digits")
    (tmp_path / "file").write_text("")
    full = streamnotify("preview", "file/gallery", directory=tmp_path)
    assert full.exit_code == 1
    assert "Error: file/gallery cannot be written" in full.stderr


def test_names_that_no_template_or_organization_can_have_are_not_shown(tmp_path: Path) -> None:
    own = tmp_path / "own"
    (own / "organizations" / os.fsdecode(b"\xff")).mkdir(parents=True)
    (own / "organizations" / os.fsdecode(b"\xff") / "brand.json").write_text('{"name": "X"}')
    (own / os.fsdecode(b"\xff.txt")).write_text("x")
    (own / ("a" * 100 + ".txt")).write_text("x")
    shown = streamnotify("preview", directory=tmp_path, STREAMNOTIFY_TEMPLATE_DIR="own")
    assert shown.exit_code == 0, shown.stderr
    assert "aaaa" not in (tmp_path / "preview" / "index.html").read_text()


def test_the_help_has_an_example(tmp_path: Path) -> None:
    assert "streamnotify preview mails" in streamnotify("preview", "--help", directory=tmp_path).output
