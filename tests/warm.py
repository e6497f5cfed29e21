"""Runs the tap's command line as a fork of a process that has made its imports already.

These take ten times as long as everything else that a small run does. A fork shares nothing else
with the other runs: it has an environment, a directory and open files of its own.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import runpy
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.cold import timeshift

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NAME = "tap-analytics"
_PAUSE = 0.004
_ROOT = Path(__file__).parents[1]


class Forked:
    """A run of the tap, used like a `subprocess.Popen`."""

    def __init__(
        self,
        words: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        stdout: Path,
        stderr: Path,
    ) -> None:
        answer = _ask(
            words=list(words),
            env=dict(env),
            cwd=str(cwd),
            stdout=str(stdout),
            stderr=str(stderr),
        )
        self.pid: int = answer["pid"]
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code; raise subprocess.TimeoutExpired where there is none within some seconds."""
        if self.returncode is None:
            self.returncode = _ask(pid=self.pid, timeout=timeout)["returncode"]
        if self.returncode is None:
            raise subprocess.TimeoutExpired(_NAME, timeout or 0)
        return self.returncode

    def poll(self) -> int | None:
        """Return the exit code, or None where the run has not ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the run is known to have ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End the run, whatever it does."""
        self.send_signal(signal.SIGKILL)


@cache
def _server() -> subprocess.Popen[str]:
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.warm"],
        cwd=_ROOT,
        # Only the runs have a clock of their own.
        env={name: value for name, value in os.environ.items() if name != timeshift.VARIABLE},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    # It ends at the end of its questions; whoever measures coverage waits for what it has to tell.
    atexit.register(server.communicate)
    return server


def _ask(**question: object) -> dict[str, Any]:
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    with contextlib.suppress(BrokenPipeError):
        server.stdin.write(json.dumps(question) + "\n")
        server.stdin.flush()
    line = server.stdout.readline()
    assert line, "the process that starts the tap has ended; what it said of that is in the output"
    answer: dict[str, Any] = json.loads(line)
    return answer


def _serve() -> None:
    """Answer questions until there are no more; in a child, run the command line and raise SystemExit."""
    import tap_analytics.tap  # noqa: F401, PLC0415 - this is what the process is for

    timeshift.library()  # each run has the clock of its test

    gc.freeze()
    for line in sys.stdin:
        question = json.loads(line)
        if "words" not in question:
            _answer(returncode=_wait(question["pid"], question["timeout"]))
        elif pid := os.fork():
            _answer(pid=pid)
        else:
            _become(question)
            runpy.run_module("tap_analytics", run_name="__main__", alter_sys=True)


def _answer(**answer: object) -> None:
    print(json.dumps(answer), flush=True)  # noqa: T201 - this is how the two processes speak


def _wait(pid: int, timeout: float | None) -> int | None:
    deadline = time.monotonic() + (float("inf") if timeout is None else timeout)
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= deadline:
            return None
        time.sleep(_PAUSE)


def _become(question: dict[str, Any]) -> None:
    for number, path in enumerate((os.devnull, question["stdout"], question["stderr"])):
        opened = os.open(path, os.O_WRONLY if number else os.O_RDONLY)
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(question["cwd"])
    os.environ.clear()
    os.environ.update(question["env"])
    sys.argv = [_NAME, *question["words"]]
    if timeshift.VARIABLE in os.environ:
        timeshift.go_by(os.environ[timeshift.VARIABLE])


if __name__ == "__main__":
    _serve()
