"""``python -m benchmarks [latency|mails|checks|digests|publishing|celery|read_model|throughput|state]``: else all."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import celery, checks, digests, latency, mails, publishing, read_model, state, throughput
from benchmarks.children import BenchmarkFailed
from benchmarks.report import Report
from benchmarks.stage import Stage
from streamnotify.errors import StreamnotifyError

ROOT = Path(__file__).parents[1]
QUICK = 20  # --quick measures a twentieth
# The light ones first: after the others the broker is busy compacting for minutes.
BENCHMARKS: dict[str, Callable[[Stage, int, Report], None]] = {
    "latency": latency.run,
    "mails": mails.run,
    "checks": checks.run,
    "digests": digests.run,
    "publishing": publishing.run,
    "celery": celery.run,
    "read_model": read_model.run,
    "throughput": throughput.run,
    "state": state.run,
}
EVENTS = {
    "latency": latency.EVENTS,
    "mails": mails.EVENTS,
    "checks": checks.EVENTS,
    "digests": digests.EVENTS,
    "publishing": publishing.EVENTS,
    "celery": celery.EVENTS,
    "read_model": read_model.EVENTS,
    "throughput": throughput.EVENTS,
    "state": state.EVENTS,
}


def parser() -> argparse.ArgumentParser:
    """What the command line may say."""
    made = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    made.add_argument("benchmark", nargs="?", choices=sorted(BENCHMARKS), help="which one; all of them by default")
    defaults = ", ".join(f"{name} {events:,}" for name, events in EVENTS.items())
    made.add_argument("--events", type=_positive, metavar="N", help=f"how many events or runs ({defaults})")
    made.add_argument("--quick", action="store_true", help=f"measure 1/{QUICK} of that: to see that it works")
    made.add_argument(
        "--quix-python",
        type=Path,
        metavar="PATH",
        default=ROOT / ".venv-quix" / "bin" / "python",
        help="a Python with Quix Streams (default: that of .venv-quix, which `make bench` makes)",
    )
    return made


def events_of(name: str, arguments: argparse.Namespace) -> int:
    """How many events a benchmark is to take."""
    asked: int = arguments.events or EVENTS[name]
    return max(asked // QUICK, 1) if arguments.quick else asked


def main(argv: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; 0, or 1 if a measurement failed, whatever its figures are."""
    arguments = parser().parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: everything we started is stopped
    report = Report()
    try:
        with Stage(arguments.quix_python, report) as stage:
            for name in [arguments.benchmark] if arguments.benchmark else BENCHMARKS:
                BENCHMARKS[name](stage, events_of(name, arguments), report)
    except KeyboardInterrupt:
        report.say("interrupted")
        return 130
    except (BenchmarkFailed, StreamnotifyError) as failure:
        report.say(f"Error: {failure}")
        return 1
    return 0


def _positive(text: str) -> int:
    number = int(text.replace("_", "").replace(",", ""))
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1 is allowed")
    return number


if __name__ == "__main__":
    sys.exit(main())
