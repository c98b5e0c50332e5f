"""``python -m streamnotify`` is the ``streamnotify`` command."""

from __future__ import annotations

from streamnotify.cli.main import main

if __name__ == "__main__":
    main(prog_name="streamnotify")
