"""Which TCP ports a process listens on."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

LISTENING = "0A"


def listening_ports(pid: int) -> set[tuple[str, int]]:
    """Addresses and ports, from /proc; skips the test where there is none."""
    if not Path("/proc/net/tcp").exists():
        pytest.skip("open ports can only be told from /proc")
    sockets = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            sockets.add(str(fd.readlink()))
        except FileNotFoundError:
            continue  # closed meanwhile
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING and f"socket:[{fields[9]}]" in sockets:
                address, _, port = fields[1].partition(":")
                found.add((_address(address), int(port, 16)))
    return found


def _address(hexadecimal: str) -> str:
    """As the kernel prints it: in words of four bytes, each in the machine's order."""
    words = [bytes.fromhex(hexadecimal[at : at + 8])[::-1] for at in range(0, len(hexadecimal), 8)]
    return str(ipaddress.ip_address(b"".join(words)))
