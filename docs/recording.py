"""The terminal that the README shows: real commands against the sandbox, and what was on the screen in the end."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.text import Text

from sandbox import Sandbox

COLUMNS, LINES = 84, 40

STREAMS = ("workers", "rows", "tasks", "registrations_initial", "registrations_incremental")

COMMANDS = (
    "tap-analytics --config config.json --test",
    "tap-analytics --config config.json > messages.jsonl",
    "grep -c RECORD messages.jsonl",
)


def recording(old: str) -> str:
    """Return the terminal as SVG; the old one where it differs only in numbers, which are never twice the same."""
    new = record()
    return old if unmeasured(old) == unmeasured(new) else new


def unmeasured(text: str) -> str:
    """Return a text without its numbers, and without the space that they take."""
    return re.sub(r"&#160;|[\d.,\s]+", "", text)


def record() -> str:
    """Run the commands, and return as SVG what the terminal shows."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    with (
        tempfile.TemporaryDirectory() as directory,
        Sandbox(now=datetime(2026, 6, 17, tzinfo=UTC), days=300) as sandbox,
    ):
        api = {"base_url": sandbox.url, "api_key": sandbox.api_key}
        resources = [{"name": name, "extends": True} for name in STREAMS]
        span = {"start_date": "2026-01-01", "end_date": "2026-06-01"}
        # The display of progress disappears when the run ends.
        config = api | span | {"resources": resources, "progress": False}
        Path(directory, "config.json").write_text(json.dumps(config), encoding="utf-8")
        for command in COMMANDS:
            console.print(Text.assemble(("$ ", "green"), (command, "bold")))
            if written := run(command, directory):
                console.print(Text.from_ansi(written))
    svg = console.export_svg(title="tap-analytics", unique_id="terminal")
    # The fonts would come from another host.
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


def run(command: str, directory: str) -> str:
    """Run a command in a terminal, without the lines of its log, and return all that it wrote there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = kept | {"PATH": path, "TERM": "xterm-256color", "TAP_ANALYTICS_LOGLEVEL": "WARNING"}
    process = subprocess.Popen(  # noqa: S602 - a command as readers type it
        command, shell=True, cwd=directory, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    written = b""
    try:
        while more := os.read(ours, 1 << 16):
            written += more
    except OSError:
        pass  # Linux says so that the other end is closed
    os.close(ours)
    process.wait()
    return written.decode().replace("\r\n", "\n").rstrip()
