"""The benchmarks' own parts that need no broker: what is asked for, the events, and how figures are made."""

from __future__ import annotations

import asyncio
import math
import os
import sys
from pathlib import Path

import msgspec
import pytest

from benchmarks import counting_engine, smtp_sink
from benchmarks.__main__ import BENCHMARKS, EVENTS, QUICK, events_of, main, parser
from benchmarks.children import BenchmarkFailed, Children, disk_bytes
from benchmarks.events import SIZE, STEPS, events, mailing
from benchmarks.rates import Rate, Sample, percentile, rate
from streamnotify.wire.task_event_fast import parse_fast


@pytest.mark.parametrize("argv", [["--help"], ["throughput", "--help"]])
def test_help_names_every_benchmark_and_option(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(argv)
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert all(word in shown for word in [*BENCHMARKS, "--events", "--quick", "--quix-python"])


@pytest.mark.parametrize("argv", [["speed"], ["state", "--events", "0"], ["state", "--events", "many"]])
def test_what_cannot_be_measured_is_refused_before_anything_starts(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 2


def test_quick_measures_a_part_of_what_would_be_measured() -> None:
    assert events_of("state", parser().parse_args([])) == EVENTS["state"]
    assert events_of("state", parser().parse_args(["--quick"])) == EVENTS["state"] // QUICK
    assert events_of("state", parser().parse_args(["--quick", "--events", "100_000"])) == 100_000 // QUICK


def test_every_event_has_the_same_size_and_takes_the_fast_way() -> None:
    task_id = "mailing-0123456"
    asking = [mailing(task_id, email, 10**5) for email in (None, f"{task_id}@example.com")]
    values = [event.value for event in events(40)] + [event.value for event in events(4, per_run=1)] + asking
    assert [len(value) for value in values] == [SIZE] * len(values)
    assert all(parse_fast(value) is not None for value in values)


def test_the_events_of_a_run_are_its_steps_one_after_another() -> None:
    made = [(event.task_id, msgspec.json.decode(event.value)["status"]) for event in events(8)]
    assert [status for _, status in made] == [*STEPS, *STEPS]
    assert len({task_id for task_id, _ in made}) == 2


def test_distinct_runs_have_one_event_each_that_ends_them() -> None:
    made = list(events(50, per_run=1))
    assert len({event.task_id for event in made}) == 50
    assert {msgspec.json.decode(event.value)["status"] for event in made} == {"Completed"}


def test_a_rate_counts_from_the_end_of_the_warm_up_to_the_last_event() -> None:
    samples = [Sample(0.0, 0), Sample(1.0, 200, 5.0), Sample(2.0, 700, 6.0), Sample(3.0, 1000, 7.0), Sample(9.0, 1000)]
    measured = rate(samples, 1000)
    assert measured == Rate(events=800, seconds=2.0, cpu=2.0)
    assert (measured.per_second, measured.cpu_per_event) == (400.0, 2500.0)


def test_a_rate_that_ran_out_of_time_says_so() -> None:
    assert rate([Sample(0.0, 100), Sample(5.0, 600)], 1000) == Rate(events=500, seconds=5.0, complete=False)


@pytest.mark.parametrize("samples", [[], [Sample(0.0, 0), Sample(9.0, 50)], [Sample(0.0, 1000)]])
def test_no_rate_is_made_up_where_nothing_was_seen_after_the_warm_up(samples: list[Sample]) -> None:
    with pytest.raises(ValueError, match="of 1000 events"):
        rate(samples, 1000)


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1), (0.5, 50), (0.99, 99), (0.991, 100), (1, 100)])
def test_a_percentile_is_a_value_that_was_measured(share: float, expected: int) -> None:
    assert percentile(list(range(100, 0, -1)), share) == expected


def test_a_percentile_of_nothing_is_no_number() -> None:
    assert math.isnan(percentile([], 0.5))


def test_the_counting_station_reads_the_one_field_it_counts() -> None:
    event = next(iter(events(1)))
    assert counting_engine._decode(event.value).task_name == event.task_name


def test_a_child_that_ended_is_reported_with_its_last_words(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        child = children.start("brief", [sys.executable, "-c", "print('no more'); raise SystemExit(3)"])
        child.process.wait(30)
        with pytest.raises(BenchmarkFailed, match=r"(?s)brief ended with exit code 3.*no more"):
            child.require_alive()


def test_a_child_counts_where_its_count_is_read_and_ends_with_the_block(tmp_path: Path) -> None:
    script = "import pathlib, sys, time\npathlib.Path(sys.argv[1]).write_text('042')\nprint(flush=True)\ntime.sleep(60)"
    with Children(tmp_path) as children:
        child = children.start("counting", [sys.executable, "-c", script, "{count}"])
        assert child.count() in {0, 42}
        while not child.log.read_bytes():
            child.require_alive()
        assert child.count() == 42
    assert child.process.poll() is not None


def test_children_do_not_inherit_settings_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_HOST", "mail.example.com")
    monkeypatch.setenv("STREAMNOTIFY_PARTITIONS", "12")
    with Children(tmp_path) as children:
        child = children.start("env", [sys.executable, "-c", "import os; print(*os.environ)"], {"SMTP_PORT": "25"})
        child.process.wait(30)
        names = child.log.read_text().split()
    assert "SMTP_PORT" in names
    assert not {"SMTP_HOST", "STREAMNOTIFY_PARTITIONS"} & set(names)


def test_disk_bytes_counts_all_files_below(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(os.urandom(50_000))
    assert 50_000 <= disk_bytes(tmp_path) < 100_000


def test_the_sink_notes_each_mail_for_its_recipient_however_its_bytes_arrive() -> None:
    accepted, answers = asyncio.run(_two_mails())
    assert [line.split()[1] for line in accepted] == ["ann@example.com", "bob@example.com"]
    assert answers.count(b"354") == 2
    assert answers.startswith(b"220 ")
    assert answers.endswith(b"221 bye\r\n")


async def _two_mails() -> tuple[list[str], bytes]:
    accepted: list[str] = []
    server = await asyncio.get_running_loop().create_server(lambda: smtp_sink.Sink(accepted), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        said = b"EHLO me\r\n"
        for name in (b"ann", b"bob"):
            said += (
                b"MAIL FROM:<a@b.c>\r\nRCPT TO:<" + name + b"@example.com>\r\nDATA\r\nRCPT TO:<x@y.z>\r\n..\r\n.\r\n"
            )
        for byte in said + b"QUIT\r\n":
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        answers = await reader.read()
        writer.close()
    return accepted, answers
