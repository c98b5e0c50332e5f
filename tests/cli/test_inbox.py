"""``streamnotify inbox`` as a process: with a real SMTP client and a real HTTP client."""

from __future__ import annotations

import json
import os
import re
import signal
import smtplib
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def running(*ports: str) -> Iterator[subprocess.Popen[str]]:
    """The process; it is gone after the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "streamnotify", "inbox", *ports],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str]) -> tuple[str, dict[str, str]]:
    """The address of its page, and the settings that it tells."""
    assert process.stdout is not None
    lines = [process.stdout.readline().rstrip() for _ in range(6)]
    address = re.search(r"http://127\.0\.0\.1:\d+/", lines[0])
    assert address is not None, lines
    return address[0], dict(line.split("=") for line in lines[2:])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_mail_sent_with_the_settings_it_prints_is_on_its_page_until_it_is_told_to_stop(number: int) -> None:
    with running("--smtp-port", "0", "--http-port", "0") as process:
        page, settings = said(process)
        assert list(settings) == ["SMTP_HOST", "SMTP_PORT", "SMTP_TLS", "SMTP_FROM"]
        assert (settings["SMTP_HOST"], settings["SMTP_TLS"]) == ("127.0.0.1", "none")
        with smtplib.SMTP(settings["SMTP_HOST"], int(settings["SMTP_PORT"]), timeout=60) as relay:
            relay.sendmail(settings["SMTP_FROM"], ["ann@example.com"], "Subject: It works\n\nHello Ann\n")
        [mail] = json.load(urllib.request.urlopen(f"{page}api/mails", timeout=60))
        assert (mail["subject"], mail["to"], mail["from"]) == ("It works", ["ann@example.com"], settings["SMTP_FROM"])
        assert b"<html" in urllib.request.urlopen(page, timeout=60).read()
        process.send_signal(number)
        assert process.communicate(timeout=60) == ("", "")
        assert process.returncode == 0


@pytest.mark.parametrize(("taken", "free"), [("--smtp-port", "--http-port"), ("--http-port", "--smtp-port")])
def test_a_port_in_use_is_one_line(taken: str, free: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with running(taken, str(port), free, "0") as process:
            stdout, stderr = process.communicate(timeout=60)
            assert stdout == ""
            why = f"Port {port} of 127.0.0.1 cannot be used: Address already in use"
            assert stderr == f"Error: {why}; --smtp-port and --http-port name others\n"
            assert process.returncode == 1


def test_the_module_says_what_the_command_is() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "streamnotify.devtools.inbox"], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (1, "The command is: streamnotify inbox\n")
