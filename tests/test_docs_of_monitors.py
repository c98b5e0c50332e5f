"""docs/monitors.md shows monitors that can be published as they stand, and commands that there are."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from streamnotify.cli.main import main
from streamnotify.cli.monitor_files import check_files
from streamnotify.domain.status import Status
from streamnotify.wire.monitor_config import MonitorConfig, parse
from streamnotify.wire.monitor_tasks import TaskParameters

PAGE = (Path(__file__).parents[1] / "docs" / "monitors.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    """The page's blocks in a language, without their indentation."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", PAGE, re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in found]


@pytest.mark.parametrize("block", blocks("json"))
def test_every_json_block_is_a_monitor_without_a_warning(block: str) -> None:
    parsed = parse(block.encode(), None)
    assert parsed.monitor.tasks
    assert parsed.warnings == []


def test_the_sources_examples_are_all_there() -> None:
    parsed = [parse(block.encode(), None).monitor for block in blocks("json")]
    crontabs = {name: monitor.schedule.crontab for monitor in parsed for name in monitor.tasks}
    assert crontabs["hourly_data_sync"] == "5 * * * *"
    assert crontabs["data_collection"] == crontabs["data_export"] == "*/30 * * * *"
    assert crontabs["daily_report_generation"] == crontabs["daily_cleanup"] == "5 9 * * *"
    assert crontabs["ingestor_session"] == "5 */2 * * *"
    assert crontabs["generate_daily_report"] == "35 8 * * *"


def test_the_yaml_file_can_be_applied(tmp_path: Path) -> None:
    [block] = blocks("yaml")
    (tmp_path / "m.yaml").write_text(block)
    checked = check_files([str(tmp_path / "m.yaml")])
    assert (checked.errors, checked.warnings) == ([], [])
    assert [*checked.records] == ["Monitor Hourly Data Sync", "Monitor Data Export"]


def test_every_parameter_and_status_has_its_row() -> None:
    rows = re.findall(r"^\| (`\w+`(?:(?:,| or) `\w+`)*) \|", PAGE, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert {*TaskParameters.model_fields, *MonitorConfig.model_fields, *Status} <= named


def test_the_synopsis_has_every_command_with_its_options() -> None:
    context = click.Context(main)
    monitor = main.get_command(context, "monitor")
    runs = main.get_command(context, "runs")
    assert isinstance(monitor, click.Group)
    assert runs is not None
    commands = {f"monitor {name}": command for name, command in monitor.commands.items()} | {"runs": runs}
    for name, command in commands.items():
        [line] = re.findall(rf"^streamnotify {name} [A-Z].*$|^streamnotify {name} \[.*$", PAGE, re.MULTILINE)
        options = {option for each in command.params for option in each.opts if option.startswith("--")}
        assert set(re.findall(r"--[\w-]+", line)) == options


def test_the_commands_on_the_page_can_be_called_so() -> None:
    calls = re.findall(
        r"^\s*(?:.*\| )?streamnotify (monitor \w+|runs)\b(.*?)(?:#.*)?$", "\n".join(blocks("sh")), re.MULTILINE
    )
    assert len(calls) > 8
    used = {option for _, rest in calls for option in re.findall(r"--[\w-]+", rest)}
    assert used <= {"--lookback", "--limit", "--json", "--dry-run", "--prune", "--strict", "--notify"}
