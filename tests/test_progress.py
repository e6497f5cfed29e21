"""What a run shows of itself: live on a terminal, and in one line a stream everywhere."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Sandbox
from sandbox.faults import Fault
from tests.conftest import settings, shipped
from tests.singer import COLD, Run, Started, assert_secret, catalog_of, check_messages, run_tap, stream_names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BACKFILL = {"start_date": "2026-05-10", "end_date": "2026-06-05", "window_days": 5}

OTHERS = ("NO_COLOR", "COLUMNS", "LINES")
"""What the environment may say of another terminal than the one a run is given."""

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

pytestmark = pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are no pseudo-terminals here")


class Terminal:
    """A run of the tap whose standard error is a terminal."""

    def __init__(
        self, config: dict[str, Any], directory: Path, *, output: bool = True, kind: str = "xterm-256color"
    ) -> None:
        self._key: str = config["api_key"]
        self._output = directory / "stdout"
        settings_file = directory / "config.json"
        settings_file.write_text(json.dumps(config), encoding="utf-8")
        self._terminal, end = pty.openpty()
        termios.tcsetwinsize(end, (40, 120))
        with self._output.open("wb") as file:
            self.process = subprocess.Popen(
                [*COLD, "--config", str(settings_file)],
                stdin=subprocess.DEVNULL,
                stdout=file if output else end,
                stderr=end,
                env={name: value for name, value in os.environ.items() if name not in OTHERS} | {"TERM": kind},
                cwd=directory,
            )
        os.close(end)
        self._seen = b""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        try:
            while piece := os.read(self._terminal, 65_536):
                self._seen += piece
        except OSError:
            pass  # the other end is closed

    def finish(self) -> tuple[int, str]:
        """Return the exit code, and what the terminal was told."""
        returncode = self.process.wait(60)
        self._reader.join()
        os.close(self._terminal)
        text = self._seen.decode().replace("\r\n", "\n")
        output = self._output.read_text(encoding="utf-8")
        assert_secret(self._key, terminal=text, stdout=output)
        check_messages(output.splitlines(keepends=True))
        return returncode, text


@contextmanager
def slow_sandbox(**others: Any) -> Iterator[Sandbox]:  # noqa: ANN401 - what the sandbox takes
    """Serve slowly enough that something can be seen."""
    with Sandbox(days=20, registrations=300, sessions=60, workers=5, rows=5, latency=0.25, **others) as sandbox:
        yield sandbox


def summary(run: Run) -> dict[str, str]:
    """Return the last line of each stream, without how long it took."""
    lines = re.findall(r"\| (\w+): ((?:done|failed|stopped), .*)", run.stderr)
    return {name: re.sub(r", [\d.]+ s(, [\d,]+ records/s)?", "", told) for name, told in lines}


def test_a_terminal_shows_how_far_the_run_is(tmp_path: Path) -> None:
    with slow_sandbox(page_cap=50) as sandbox:
        sandbox.misbehave(Fault("status", status=503, path="*/registrations", times=2))
        returncode, text = Terminal(settings(sandbox, **BACKFILL), tmp_path).finish()
    assert returncode == 0, text
    plain = ESCAPE.sub("", text)
    assert "stream" in plain
    assert re.search(r"registrations_initial +\d of 6 +[━╸╺]+ +\d+ +\d+", plain)
    assert re.search(r"clients +done +1 +1 ", plain)
    count = len(stream_names())
    assert re.search(rf"\d+ of {count} streams", plain)
    assert "Try 2 of 4" in plain  # what goes wrong is still said, above
    assert "METRIC" not in plain
    assert "registrations_initial: done, 300 records in" in plain
    # It is taken away at the end, and the cursor is there.
    last = text.rindex(f"{count} of {count} streams")
    assert text.rindex("\x1b[2K") > last
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


@pytest.mark.parametrize("off", ["setting", "dumb", "messages on the same terminal"])
def test_it_is_off_where_nobody_wants_it_or_it_would_be_in_the_way(tmp_path: Path, off: str) -> None:
    with Sandbox(days=2, registrations=5, sessions=5, workers=2, rows=2) as sandbox:
        config = settings(sandbox, resources=[shipped("clients"), shipped("users")], progress=off != "setting")
        terminal = Terminal(
            config,
            tmp_path,
            output=off != "messages on the same terminal",
            kind="dumb" if off == "dumb" else "xterm-256color",
        )
        _returncode, text = terminal.finish()
    assert "of 2 streams" not in text
    assert "METRIC" in text
    assert "users: done, 5 records in 1 page" in text


def test_a_signal_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    with slow_sandbox(page_cap=10) as sandbox:
        asked = threading.Event()
        sandbox.on_request(lambda _request: asked.set() if len(sandbox.requests) > 8 else None)
        terminal = Terminal(settings(sandbox, **BACKFILL), tmp_path)
        assert asked.wait(30)
        terminal.process.send_signal(signal.SIGINT)
        returncode, text = terminal.finish()
    assert returncode == 130
    assert "Stopped by SIGINT." in text
    assert ": stopped, " in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


def test_elsewhere_there_are_plain_lines_and_metrics(config: dict[str, Any], sandbox: Sandbox) -> None:
    run = run_tap(config | BACKFILL)
    assert "\x1b" not in run.stderr
    assert "METRIC" in run.stderr
    found = summary(run)
    assert found.keys() == set(stream_names())
    assert found["clients"] == "done, 1 record in 1 page"
    count = len(sandbox.world.records("registrations"))
    windows = re.fullmatch(rf"done, {count} records in (\d+) pages, window (\d+) of \2", found["registrations_initial"])
    assert windows, found


def test_rich_is_loaded_only_for_a_terminal(config: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config | {"resources": [shipped("users")]}), encoding="utf-8")
    program = (
        "import sys, atexit; from tap_analytics.tap import TapAnalytics; "
        "atexit.register(lambda: print('rich' in sys.modules, file=sys.stderr)); TapAnalytics.cli()"
    )
    command = [sys.executable, "-c", program, "--config", str(file)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    assert done.stderr.splitlines()[-1] == "False"


def test_the_summary_tells_failures_and_retries(sandbox: Sandbox, config: dict[str, Any]) -> None:
    sandbox.misbehave(
        Fault("status", status=403, path="/v1/master/users", times=None),
        Fault("status", status=503, path="/v1/master/tasks", times=2),
    )
    run = run_tap(config, catalog=catalog_of("users", "tasks", "labels"))
    found = summary(run)
    assert found["users"] == "failed, 0 records in 0 pages"
    assert found["tasks"].endswith("in 1 page, 2 retries")
    assert found["labels"].startswith("done, ")


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="as they came"),
        pytest.param({"stream_maps": {"rows": {"rowNumber": "rowNumber or ''"}}}, id="mapped"),
        pytest.param({"flattening_enabled": True, "flattening_max_depth": 1}, id="flattened"),
    ],
)
def test_each_road_counts_every_record(sandbox: Sandbox, config: dict[str, Any], changes: dict[str, Any]) -> None:
    run = run_tap(config | changes, catalog=catalog_of("rows"))
    assert summary(run) == {"rows": f"done, {len(sandbox.world.records('rows'))} records in 1 page"}


def test_batches_count_every_record(sandbox: Sandbox, config: dict[str, Any], tmp_path: Path) -> None:
    encoding = {"format": "jsonl", "compression": "gzip"}
    batches = {"encoding": encoding, "storage": {"root": tmp_path.as_uri()}, "batch_size": 4}
    count = len(sandbox.world.records("rows"))
    for maps in ({}, {"stream_maps": {"rows": {"rowNumber": "rowNumber or ''"}}}):
        run = run_tap(config | {"batch_config": batches} | maps, catalog=catalog_of("rows"))
        assert summary(run) == {"rows": f"done, {count} records in 1 page"}


def test_a_stopped_run_is_summed_up(sandbox: Sandbox, config: dict[str, Any]) -> None:
    sandbox.misbehave(Fault("silence", path="/v1/master/users", times=None))
    asked = threading.Event()
    sandbox.on_request(lambda request: asked.set() if request.path == "/v1/master/users" else None)
    started = Started(config | {"max_in_flight": 1}, catalog=catalog_of("labels", "users"))
    assert asked.wait(20)
    started.kill(signal.SIGTERM)
    run = started.finish()
    assert run.returncode == 143
    assert summary(run)["users"] == "stopped, 0 records in 0 pages"


def test_a_log_for_programs_holds_the_same_facts(sandbox: Sandbox, config: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "logging.yml"
    formatter = {"()": "singer_sdk.logging.StructuredFormatter"}
    handler = {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}
    logging = {"version": 1, "disable_existing_loggers": False, "formatters": {"json": formatter}}
    logging |= {"handlers": {"console": handler}, "root": {"level": "INFO", "handlers": ["console"]}}
    file.write_text(json.dumps(logging), encoding="utf-8")  # which is YAML, too
    run = run_tap(config, catalog=catalog_of("rows"), env={"SINGER_SDK_LOG_CONFIG": str(file)}, command=COLD)
    lines = [json.loads(line) for line in run.stderr.splitlines() if line.startswith("{")]
    (told,) = [line for line in lines if line["extra"].get("status")]
    assert told["stream_name"] == "rows"
    assert told["extra"]["records"] == len(sandbox.world.records("rows"))
    assert told["extra"] | {"status": "done", "pages": 1, "retries": 0} == told["extra"]
