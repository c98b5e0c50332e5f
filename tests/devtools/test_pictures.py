"""README and its pictures: all it names is there, and small. `make pictures` takes them anew."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from streamnotify.devtools.pictures import MOST_BYTES

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PICTURES = ROOT / "docs" / "pictures"


def named_files() -> set[str]:
    """What README links to or shows, of this repository."""
    named = re.findall(r"\]\(([^)#\s]+)", README) + re.findall(r'src="([^"]+)"', README)
    return {each for each in named if "://" not in each}


def test_readme_names_only_files_that_there_are() -> None:
    assert not [each for each in named_files() if not (ROOT / each).exists()]


def test_readme_shows_every_picture_and_says_what_is_on_it() -> None:
    shown = dict(re.findall(r'<img src="docs/pictures/([^"]+)" [^>]*alt="([^"]+)">', README))
    assert shown.keys() == {path.name for path in PICTURES.iterdir()}
    assert min(map(len, shown.values())) > 30


@pytest.mark.parametrize("path", sorted(PICTURES.iterdir()), ids=lambda path: path.name)
def test_a_picture_is_a_small_webp(path: Path) -> None:
    content = path.read_bytes()
    assert (content[:4], content[8:12]) == (b"RIFF", b"WEBP")
    assert len(content) < MOST_BYTES
