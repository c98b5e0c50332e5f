"""deploy/Dockerfile, as its instructions."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from tests.deploy.deployment_files import ROOT

DOCKERFILE = ROOT / "deploy" / "Dockerfile"


@dataclass(frozen=True, slots=True)
class Instruction:
    """A line, or several joined by backslashes."""

    word: str
    rest: str


def instructions() -> list[Instruction]:
    """All of them, in order, without comments."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if line and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines()
    return [Instruction(*line.split(maxsplit=1)) for line in joined]


def final_stage() -> list[Instruction]:
    """What makes the image that runs."""
    every = instructions()
    start = max(at for at, each in enumerate(every) if each.word == "FROM")
    return every[start:]


def last(word: str) -> str:
    """What follows the word in the final stage, where it stands last."""
    return [each.rest for each in final_stage() if each.word == word][-1]


def environment() -> dict[str, str]:
    """The variables that the image sets."""
    pairs = [pair for each in final_stage() if each.word == "ENV" for pair in each.rest.split()]
    return dict(pair.split("=", 1) for pair in pairs)


def entry_point() -> list[str]:
    """The command that a container's arguments are added to."""
    words: list[str] = json.loads(last("ENTRYPOINT"))
    return words
