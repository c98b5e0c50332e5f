"""Each worker locks its own directory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from streamnotify.errors import SettingsError
from streamnotify.stream.data_dir import locked_data_dir


def test_each_holder_gets_the_first_free_directory(tmp_path: Path) -> None:
    root = tmp_path / "not" / "yet" / "there"
    with locked_data_dir(root) as first, locked_data_dir(root) as second:
        assert (first, second) == (root / "worker-0", root / "worker-1")
        assert first.is_dir()
        assert second.is_dir()
    with locked_data_dir(root) as again:
        assert again == first


def test_a_killed_process_frees_its_directory_and_a_living_one_keeps_it(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from streamnotify.stream.data_dir import locked_data_dir\n"
        "with locked_data_dir(Path(sys.argv[1])) as path: print(path.name, flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    try:
        assert holder.stdout
        assert holder.stdout.readline() == "worker-0\n"
        with locked_data_dir(tmp_path) as path:
            assert path.name == "worker-1"
    finally:
        holder.kill()
        holder.communicate()
    with locked_data_dir(tmp_path) as path:
        assert path.name == "worker-0"


def test_a_deleted_directory_stays_locked(tmp_path: Path) -> None:
    with locked_data_dir(tmp_path) as first:
        first.rmdir()
        with locked_data_dir(tmp_path) as second:
            assert second.name == "worker-1"


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_place_that_cannot_be_a_directory_is_refused_by_the_name_of_the_setting(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(SettingsError, match=r"^STREAMNOTIFY_DATA_DIR is '.*file.*': a directory that can be made"),
        locked_data_dir(tmp_path / place),
    ):
        pass


def test_an_error_of_the_holder_is_not_taken_for_one_of_the_directory(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), locked_data_dir(tmp_path):
        (tmp_path / "nothing").read_text()
