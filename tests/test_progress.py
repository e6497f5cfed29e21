"""What a run shows of itself: live on a terminal, and in one line a stream everywhere."""

from __future__ import annotations

import json
import logging
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import pyte
import pytest

from sandbox import Sandbox
from sandbox.faults import Fault
from tap_analytics import progress
from tap_analytics.progress import StreamStats
from tap_analytics.terminal import table
from tests.conftest import settings, shipped
from tests.singer import COLD, Run, Started, assert_secret, catalog_of, check_messages, run_tap, stream_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

BACKFILL = {"start_date": "2026-05-10", "end_date": "2026-06-05", "window_days": 5}

OTHERS = ("NO_COLOR", "COLUMNS", "LINES")
"""What the environment may say of another terminal than the one a run is given."""

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

pytestmark = pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are no pseudo-terminals here")


class Terminal:
    """A run of the tap whose standard error is a terminal."""

    def __init__(  # noqa: PLR0913 - one for each thing that differs between terminals
        self,
        config: dict[str, Any],
        directory: Path,
        *,
        output: bool = True,
        kind: str = "xterm-256color",
        size: tuple[int, int] = (40, 120),
        command: Sequence[str] = COLD,
    ) -> None:
        self._key: str = config["api_key"]
        self._output = directory / "stdout"
        settings_file = directory / "config.json"
        settings_file.write_text(json.dumps(config), encoding="utf-8")
        self._terminal, end = pty.openpty()
        termios.tcsetwinsize(end, size)
        self.screen = pyte.HistoryScreen(columns=size[1], lines=size[0], history=10_000, ratio=1)
        self._stream = pyte.ByteStream(self.screen)
        self._changed = threading.Condition()
        self.loader = os.dup(end)
        """The terminal, for another process."""
        with self._output.open("wb") as file:
            self.process = subprocess.Popen(
                [*command, "--config", str(settings_file)],
                stdin=subprocess.DEVNULL,
                stdout=file if output else end,
                stderr=end,
                env={name: value for name, value in os.environ.items() if name not in OTHERS} | {"TERM": kind},
                cwd=directory,
            )
        os.close(end)
        self._seen = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        try:
            while piece := os.read(self._terminal, 65_536):
                with self._changed:
                    self._seen += piece
                    self._stream.feed(piece)
                    self._changed.notify_all()
        except OSError:
            pass  # the other end is closed

    @property
    def rows(self) -> list[str]:
        """What can be seen on the terminal."""
        return [row.rstrip() for row in self.screen.display]

    @property
    def scrolled(self) -> list[str]:
        """What has scrolled out at the top."""
        rows = self.screen.history.top
        return ["".join(row[column].data for column in sorted(row)).rstrip() for row in rows]

    def wait_for(self, pattern: str) -> list[str]:
        """Wait until a row of the terminal matches a pattern, and return all rows."""
        with self._changed:
            assert self._changed.wait_for(lambda: any(re.search(pattern, row) for row in self.rows), 30), self.rows
            return self.rows

    def resize(self, lines: int, columns: int) -> None:
        """Change the size of the terminal, and wait until the run has seen it."""
        with self._changed:
            above = max(self.screen.lines - lines, 0)
            row, start = self.screen.cursor.y, len(self._seen)
            self.screen.resize(lines, columns)
            self.screen.cursor.y = min(max(row - above, 0), lines - 1)  # it stays where it was in the text
            termios.tcsetwinsize(self._terminal, (lines, columns))
            assert self._changed.wait_for(lambda: re.search(rb"\x1b\[r.*\x1b8$", self._seen[start:], re.DOTALL), 30)

    def finish(self) -> tuple[int, str]:
        """Return the exit code, and what the terminal was told."""
        returncode = self.process.wait(60)
        os.close(self.loader)
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


def assert_taken_away(terminal: Terminal) -> None:
    """Fail where something of the display is left, or something of the terminal is as it was not before."""
    assert terminal.screen.margins is None
    assert not any(re.search(r"pages +records|\d+ of \d+ streams  ", row) for row in terminal.rows), terminal.rows
    assert re.search(r"streams done: |Stopped by|Failed: ", "".join(terminal.rows))


def summary(run: Run) -> dict[str, str]:
    """Return the last line of each stream, without how long it took."""
    lines = re.findall(r"\| (\w+): ((?:done|failed|stopped), .*)", run.stderr)
    return {name: re.sub(r", [\d.]+ s(, [\d,]+ records/s)?", "", closing) for name, closing in lines}


def test_a_terminal_shows_how_far_the_run_is(tmp_path: Path) -> None:
    with slow_sandbox(page_cap=50) as sandbox:
        sandbox.misbehave(Fault("status", status=503, path="*/registrations", times=2))
        terminal = Terminal(settings(sandbox, **BACKFILL), tmp_path)
        returncode, text = terminal.finish()
    assert returncode == 0, text
    plain = ESCAPE.sub("", text)
    assert "stream" in plain
    assert re.search(r"registrations_initial +\d of 6 +[━╸─]+ +\d+ +\d+", plain)
    assert re.search(r"clients +done +1 +1 ", plain)
    count = len(stream_names())
    assert re.search(rf"\d+ of {count} streams", plain)
    assert "Try 2 of 4" in plain  # what goes wrong is still said, above
    assert "METRIC" not in plain
    assert "registrations_initial: done, 300 records in" in plain
    assert_taken_away(terminal)


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
    assert not ESCAPE.search(text)
    assert "METRIC" in text
    assert "users: done, 5 records in 1 page" in text


def test_a_signal_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    with slow_sandbox(page_cap=10) as sandbox:
        asked = threading.Event()
        sandbox.on_request(lambda _request: asked.set() if len(sandbox.requests) > 8 else None)
        terminal = Terminal(settings(sandbox, **BACKFILL), tmp_path)
        assert asked.wait(30)
        terminal.wait_for("pages +records")
        terminal.process.send_signal(signal.SIGINT)
        returncode, text = terminal.finish()
    assert returncode == 130
    assert "Stopped by SIGINT." in text
    assert ": stopped, " in text
    assert_taken_away(terminal)


DEAF = (
    "from tap_analytics import cli; cli.GRACE = 0.1; cli.RestTap.terminate = lambda *_: None; "
    "from tap_analytics.tap import TapAnalytics; TapAnalytics.cli()"
)
"""A tap that does not leave by itself."""


def test_a_process_that_has_to_be_ended_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    with slow_sandbox(page_cap=10) as sandbox:
        terminal = Terminal(settings(sandbox, **BACKFILL), tmp_path, command=(sys.executable, "-c", DEAF))
        terminal.wait_for("pages +records")
        terminal.process.send_signal(signal.SIGINT)
        returncode, _text = terminal.finish()
    assert returncode == 130
    assert terminal.screen.margins is None
    assert not any("pages  " in row for row in terminal.rows)


def test_another_process_writes_to_the_same_terminal(tmp_path: Path) -> None:
    lines = [f"loader: {number} " + "x" * (1 + number * 7 % 60) for number in range(120)]
    with slow_sandbox(page_cap=50) as sandbox:
        terminal = Terminal(settings(sandbox, **BACKFILL), tmp_path, size=(24, 80))
        terminal.wait_for("pages +records")
        for number, line in enumerate(lines):
            os.write(terminal.loader, f"{line}\n".encode())
            if number % 40 == 0:
                rows = terminal.wait_for(line)
                assert sum("pages  " in row for row in rows) == 1, "the display is there once, and whole"
                assert re.fullmatch(r"\d+ of 14 streams( +[\d,:]+)+", rows[-1]), rows
        terminal.process.send_signal(signal.SIGINT)
        returncode, _text = terminal.finish()
    assert returncode == 130
    assert_taken_away(terminal)
    everything = [*terminal.scrolled, *terminal.rows]
    assert [row for row in everything if row.startswith("loader")] == lines


def test_a_resize_leaves_nothing_behind(tmp_path: Path) -> None:
    with slow_sandbox(page_cap=10) as sandbox:
        terminal = Terminal(settings(sandbox, **BACKFILL), tmp_path, size=(24, 100))
        # A terminal that is resized lets go of the rows: what is logged just then may get among them.
        terminal.wait_for(r"registrations_initial .* of .* [1-9][0-9]+ ")
        for lines, columns in ((24, 60), (18, 60), (40, 60), (24, 140)):
            terminal.resize(lines, columns)
            assert [number for number, row in enumerate(terminal.rows, 1) if " of 14 streams  " in row] == [lines]
            assert sum(bool(re.search("pages +records ", row)) for row in terminal.rows) == 1, terminal.rows
        terminal.process.send_signal(signal.SIGINT)
        returncode, _text = terminal.finish()
    assert returncode == 130
    assert_taken_away(terminal)


def test_numbers_are_never_cut_and_names_are() -> None:
    stats = [StreamStats("short", state="done", began=1.0, ended=2.0)]
    stats += [
        StreamStats(name, 123, 4567, 1_234_567, 987_654_321, 1_234, state="running", began=time.monotonic() - 4000)
        for name in ("a_very_long_name_of_a_stream_that_no_terminal_has_room_for", "広いストリームの名前です" * 4)
    ]
    for columns in range(30, 200):
        lines = table(stats, columns, 24)
        assert all(sum(pyte.screens.wcwidth(character) for character in line) <= columns for line in lines), lines
        assert len(lines) == len(stats) + 2
        heading = lines[0].split()
        for line in lines[2:4]:
            assert "…" in line or any(one.stream in line for one in stats)
            assert "987,654,321" in line
            assert ("123 of 4567" in line) == ("window" in heading)
            assert ("1:06:40" in line) == ("time" in heading)
    assert {"window", "pages", "records", "rec/s", "time", "retries"} <= {*table(stats, 80, 24)[0].split()}


def test_a_running_stream_is_logged_every_half_minute(caplog: pytest.LogCaptureFixture) -> None:
    class Clock(threading.Event):
        asked: ClassVar[list[float | None]] = []
        over = threading.Event()

        def wait(self, timeout: float | None = None) -> bool:
            self.asked.append(timeout)
            if len(self.asked) > 3:
                self.over.set()
            return self.over.is_set()

    waiting, running, done = StreamStats("waiting"), StreamStats("running"), StreamStats("done")
    running.begin()
    done.begin()
    done.end("done")
    clock = Clock()
    with (
        caplog.at_level(logging.INFO),
        progress.lines([waiting, running, done], logging.getLogger("tap-analytics"), clock=clock),
    ):
        assert clock.over.wait(10)
    assert clock.asked == [30.0] * 4
    assert [record.getMessage().partition(",")[0] for record in caplog.records] == ["running: running"] * 3
    assert clock.is_set()


SHORTENED = "from tap_analytics import progress; progress.INTERVAL = 0.02; from tap_analytics.tap import TapAnalytics; "
"""The beginning of a program with a clock on which half a minute is soon over."""


@pytest.mark.parametrize("wanted", [True, False])
def test_without_a_terminal_lines_tell_how_far_a_run_is(wanted: bool) -> None:  # noqa: FBT001 - a parameter
    with slow_sandbox(page_cap=50) as sandbox:
        sandbox.misbehave(Fault("status", status=503, path="*/registrations", times=1))
        command = (sys.executable, "-c", f"{SHORTENED}TapAnalytics.cli()")
        config = settings(sandbox, **BACKFILL | {"window_days": 15}, progress=wanted)
        run = run_tap(config, catalog=catalog_of("registrations_initial", "users"), command=command)
    assert run.returncode == 0, run.stderr
    line = r"registrations_initial: running, [\d,]+ records in \d+ pages?, window \d of 2, [\d.]+ s.*, 1 retry"
    assert bool(re.search(line, run.stderr)) == wanted
    last = run.stderr.splitlines()[-1]
    assert re.search(r"\| 2 of 2 streams done: 305 records in \d+ pages, [\d.]+ s, [\d,]+ records/s, 1 retry$", last)


def test_requests_are_summed_up_by_stream(sandbox: Sandbox, config: dict[str, Any]) -> None:
    sandbox.misbehave(Fault("status", status=503, path="/v1/master/users", times=2))
    run = run_tap(config, catalog=catalog_of("users", "rows"))
    points = [json.loads(line.partition("METRIC: ")[2]) for line in run.stderr.splitlines() if "METRIC" in line]
    tags = {point["tags"]["stream"]: point for point in points if point["metric"] == "http_request_duration"}
    assert tags.keys() == {"users", "rows"}
    assert tags["users"]["tags"]["count"] == 3
    assert tags["rows"]["tags"]["count"] == sum(request.path.endswith("/rows") for request in sandbox.requests)
    for point in tags.values():
        assert 0 < point["tags"]["median"] <= point["tags"]["p95"] <= point["value"] * 1.1


def test_quantiles_are_right_to_two_digits() -> None:
    durations = progress.Durations()
    assert durations.quantile(0.95) == 0
    for milliseconds in range(1, 1001):
        durations.add(milliseconds / 1000)
    assert durations.count == 1000
    assert durations.total == pytest.approx(500.5)
    assert durations.quantile(0.5) == pytest.approx(0.5, rel=0.05)
    assert durations.quantile(0.95) == pytest.approx(0.95, rel=0.05)


def test_a_bar_is_shown_only_where_there_is_something_to_divide() -> None:
    one = StreamStats("one", 1, 1, 5, 500, state="running", began=time.monotonic() - 100)
    many = StreamStats("many", 5, 9, 5, 500, state="running", began=time.monotonic() - 100)
    assert not re.search("[━╸─]", "".join(table([one], 80, 24)))
    _heading, first, second, _total = table([one, many], 80, 24)
    assert not re.search("[━╸─]", first)
    (bar,) = re.findall("[━╸─]+", second)
    assert abs(bar.count("─") - len(bar) / 2) <= 1


def test_elsewhere_there_are_plain_lines_and_metrics(config: dict[str, Any], sandbox: Sandbox) -> None:
    run = run_tap(config | BACKFILL)
    assert "\x1b" not in run.stderr
    assert "METRIC" in run.stderr
    summed = summary(run)
    assert summed.keys() == set(stream_names())
    assert summed["clients"] == "done, 1 record in 1 page"
    count = len(sandbox.world.records("registrations"))
    windows = re.fullmatch(
        rf"done, {count} records in (\d+) pages, window (\d+) of \2", summed["registrations_initial"]
    )
    assert windows, summed


def test_what_draws_is_loaded_only_for_a_terminal(config: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config | {"resources": [shipped("users")]}), encoding="utf-8")
    program = (
        "import sys, atexit; from tap_analytics.tap import TapAnalytics; "
        "atexit.register(lambda: print('tap_analytics.terminal' in sys.modules, file=sys.stderr)); TapAnalytics.cli()"
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
    summed = summary(run)
    assert summed["users"] == "failed, 0 records in 0 pages"
    assert summed["tasks"].endswith("in 1 page, 2 retries")
    assert summed["labels"].startswith("done, ")


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
    assert run.stderr.splitlines()[-1].endswith("Stopped by SIGTERM.")


@pytest.mark.parametrize("road", ["as they came", "through the SDK", "in batches"])
def test_the_metric_of_a_stream_says_whether_it_failed(
    sandbox: Sandbox, config: dict[str, Any], tmp_path: Path, road: str
) -> None:
    batches = {"encoding": {"format": "jsonl"}, "storage": {"root": tmp_path.as_uri()}}
    maps = {"users": {"__filter__": "True"}}
    changes = {"through the SDK": {"stream_maps": maps}, "in batches": {"batch_config": batches}}.get(road, {})
    sandbox.misbehave(Fault("status", status=403, path="/v1/master/users", times=None))
    run = run_tap(config | changes, catalog=catalog_of("users", "labels"))
    points = [json.loads(line.partition("METRIC: ")[2]) for line in run.stderr.splitlines() if "METRIC" in line]
    states = {one["tags"]["stream"]: one["tags"]["status"] for one in points if one["metric"] == "sync_duration"}
    assert states == {"users": "failed", "labels": "succeeded"}


def test_a_log_for_programs_holds_the_same_facts(sandbox: Sandbox, config: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "logging.yml"
    formatter = {"()": "singer_sdk.logging.StructuredFormatter"}
    handler = {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}
    logging = {"version": 1, "disable_existing_loggers": False, "formatters": {"json": formatter}}
    logging |= {"handlers": {"console": handler}, "root": {"level": "INFO", "handlers": ["console"]}}
    file.write_text(json.dumps(logging), encoding="utf-8")  # which is YAML, too
    run = run_tap(config, catalog=catalog_of("rows"), env={"SINGER_SDK_LOG_CONFIG": str(file)}, command=COLD)
    lines = [json.loads(line) for line in run.stderr.splitlines() if line.startswith("{")]
    (closing,) = [line for line in lines if line["extra"].get("status")]
    assert closing["stream_name"] == "rows"
    assert closing["extra"]["records"] == len(sandbox.world.records("rows"))
    assert closing["extra"] | {"status": "done", "pages": 1, "retries": 0} == closing["extra"]
