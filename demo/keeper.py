"""Runs a command for no longer than the process that started it lives.

The command is told to stop when standard input closes, which also happens when the starter is killed. Only the
standard library is used, so that the file runs by its path, wherever it is started from.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

PATIENCE = 20
"""Seconds that the command has to stop by itself, before it is killed."""


def start(  # noqa: PLR0913  (each is one property of the process to start)
    command: list[str],
    *,
    directory: Path,
    log: Path,
    user: int | None = None,
    group: int | None = None,
    environment: dict[str, str] | None = None,
    remove: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start `command` under a keeper; close the standard input of what is returned to stop it.

    Its own session keeps an interrupt typed at the terminal from stopping the command before those who use it.
    """
    options = ["--directory", str(directory)]
    for name, value in (("--user", user), ("--group", group), ("--remove", remove)):
        if value is not None:
            options += [name, str(value)]
    with log.open("ab") as output:
        return subprocess.Popen(
            # Without the packages: their paths may need another locale than the command.
            [sys.executable, "-I", "-S", __file__, *options, *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )


def stop(keeper: subprocess.Popen[bytes]) -> None:
    """Stop the command and wait until it, and what it left behind, is gone."""
    if keeper.stdin is not None:
        keeper.stdin.close()
    keeper.wait()


def keep(command: list[str], *, directory: str, user: int | None, group: int | None) -> int:
    """Run `command` until it ends or standard input does, and return its exit code."""
    # A shell that starts something in the background has it, and all that it starts, ignore interrupts.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        cwd=directory,
        user=user,
        group=group,
        extra_groups=None if user is None else [],
        umask=0o077,
    )

    stopping = threading.Event()

    def watch() -> None:
        # Unbuffered, since a thread that waits in a buffered read keeps the interpreter from ending.
        while os.read(0, 1024):
            pass
        stopping.set()

    def end() -> None:
        stopping.wait()
        # What Postgres and Python servers take as: finish now, and cleanly.
        child.send_signal(signal.SIGINT)
        try:
            child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            child.kill()

    signal.signal(signal.SIGTERM, lambda _signal, _frame: stopping.set())
    for work in (watch, end):
        threading.Thread(target=work, daemon=True).start()
    return child.wait()


def main() -> int:
    """Read the command line, and keep the command that it names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", required=True, help="where the command runs")
    parser.add_argument("--user", type=int, help="number of the user that the command runs as")
    parser.add_argument("--group", type=int, help="number of the group that the command runs as")
    parser.add_argument("--remove", type=Path, help="directory to remove when the command has ended")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    try:
        return keep(arguments.command, directory=arguments.directory, user=arguments.user, group=arguments.group)
    finally:
        if arguments.remove:
            shutil.rmtree(arguments.remove, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
