"""Plays a history: the real tap, in this process, against the server of the seed; and judges what came out."""

from __future__ import annotations

import json
import logging
import random
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from unittest import mock

from singer_sdk.exceptions import ConfigValidationError

from tap_analytics.rest import positions
from tap_analytics.singer.output import LineWriter
from tap_analytics.tap import TapAnalytics
from tests.simulation.clock import Clock
from tests.simulation.history import DAY, INITIAL, TAIL, History, Step
from tests.simulation.network import Network
from tests.simulation.pool import InlinePool
from tests.simulation.server import Server
from tests.simulation.table import Table, cursor_of
from tests.simulation.target import ALIASES, Target, committed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.faults.api import Asked
    from tests.simulation.network import Answer

KILLED = -9
BUSY = 8
"""Changes in a run; a list that changes at every request has no end."""
ENDLESS = 1_500
"""Requests that no run needs."""

PROMISED = (
    "that rows came in among those that had been read",
    "where servers usually limit the offset",
    "its pages are read without overlap",
)
"""Warnings that say that rows which moved meanwhile may be missing."""


class Killed(BaseException):
    """The process is gone."""


class _Writer(LineWriter):
    """Keeps the lines of a run, up to the one after which it is killed."""

    def __init__(self, dies_at: int) -> None:
        super().__init__()
        self.lines: list[bytes] = []
        self._dies_at = dies_at

    def write_lines(self, lines: bytes) -> None:
        for line in lines.splitlines(keepends=True):
            if self._dies_at and len(self.lines) >= self._dies_at:
                raise Killed
            self.lines.append(line)


class _Log(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@dataclass
class Outcome:
    """What became of a history."""

    history: History
    problems: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    """What happened, line by line."""
    requests: int = 0


def play(history: History) -> Outcome:
    """Play a history, and return what became of it."""
    with ExitStack() as stack:
        clock = stack.enter_context(Clock(history.start, history.zone))
        player = _Player(history, clock)
        network = stack.enter_context(Network(clock, player.answer))
        player.network = network
        stack.enter_context(_quiet(player.warnings))
        stack.enter_context(mock.patch("tap_analytics.rest.client.RequestPool", player.pool))
        # A list is short here, and so is a result window.
        windows = frozenset([history.character.window]) - {0}
        stack.enter_context(mock.patch.object(positions, "RESULT_WINDOWS", windows))
        stack.enter_context(mock.patch.object(TapAnalytics, "_setup_signal_handlers"))
        stack.enter_context(_seeded(history.seed))
        for number, step in enumerate(history.steps, 1):
            player.step(number, step)
            if player.outcome.problems:
                break
        return player.outcome


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Give the process's own chance, by which waits differ, a seed."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


@contextmanager
def _quiet(handler: logging.Handler) -> Iterator[None]:
    """Keep warnings instead of writing them."""
    root, make = logging.getLogger(), logging.getLogRecordFactory()
    handlers, disabled = root.handlers[:], root.manager.disable
    root.handlers[:] = [handler]
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        logging.disable(disabled)
        logging.setLogRecordFactory(make)


class _Player:
    network: Network

    def __init__(self, history: History, clock: Clock) -> None:
        self.history = history
        self.clock = clock
        self.chance = random.Random(f"{history.seed}, as it goes on")
        self.outcome = Outcome(history)
        self.warnings = _Log()
        self.target = Target()
        self._pool: InlinePool
        self._step = Step()
        tables = {
            name: Table(name, self.chance, "Z" if name == "workers" else history.character.form)
            for name in history.tables
        }
        self.server = Server(tables, history.character, self.chance, clock)
        self.server.beside = lambda: self._pool.beside
        self.server.log = self.outcome.log
        self._forgiven: set[tuple[str, str, int]] = set()
        """Rows that a warning said may be missing."""
        self._is_clean = True
        self._fill()

    def _fill(self) -> None:
        for table in self.server.tables.values():
            if table.name == "parts":
                for owner in [*self.server.tables["items"].rows]:
                    for _ in range(self.chance.choice([0, 1, 4])):
                        table.create(self.server.now(), owner=owner, age=timedelta(days=self.chance.uniform(0, 50)))
                continue
            for _ in range(self.history.rows):
                table.create(self.server.now(), age=timedelta(seconds=int(self.chance.uniform(0, 50 * DAY))))

    # What the tap is given

    def pool(self, size: int) -> InlinePool:
        self._pool = InlinePool(size, chance=self.chance, clock=self.clock, pace=self._step.seconds)
        return self._pool

    def answer(self, asked: Asked) -> Answer:
        step = self._step
        if step.dies_at_request and self.server.asked + 1 >= step.dies_at_request:
            raise Killed
        if self.server.asked > ENDLESS:
            self._problem(f"more than {ENDLESS} requests")
            raise Killed
        if self.server.asked > BUSY:
            self.server.pace = 0.0
        self.network.is_down = any(
            one.kind == "refused" and one.at <= self.server.asked + 1 < one.at + one.times for one in step.faults
        )
        return self.server.answer(asked)

    def config(self, step: Step) -> dict[str, Any]:
        settings = dict(step.settings)
        if "start_date" in settings:
            settings["start_date"] = str((self.history.start - timedelta(days=settings["start_date"])).date())
        resources = [
            one for one in self.history.resources if self.history.kind != "registrations" or one["name"] in step.streams
        ]
        return {
            "base_url": "http://api.example",
            "api_key": "the-key-of-the-api",
            "progress": False,
            **settings,
            "resources": json.loads(json.dumps(resources)),
        }

    # A run

    def step(self, number: int, step: Step) -> None:
        """Let a run happen, and judge it."""
        self._step, server = step, self.server
        self.clock.advance(step.pause)
        # The server's clock is right, so it never goes back; ours may be set to another time from run to run.
        self.clock.set(server.now() - step.ahead)
        server.ahead, server.faults, server.events, server.pace, server.asked = (
            step.ahead,
            tuple(one for one in step.faults if one.kind != "refused"),
            self.history.events,
            step.pace,
            0,
        )
        self.outcome.log.append(
            f"run {number}, {self.clock.now()} by our clock, {server.now()} by the server's: {step}"
        )
        for _ in range(step.changes):
            server.change(("create", "update", "delete"))
        before = {name: dict(table.rows) for name, table in server.tables.items()}
        self._gone = {name: {key for key, _ in table.ever} - table.rows.keys() for name, table in server.tables.items()}
        changes = sum(table.changes for table in server.tables.values())
        self.warnings.messages.clear()
        code, lines = self._run(step)
        self.outcome.requests += server.asked
        self.outcome.log += [f"    log: {message}" for message in self.warnings.messages]
        self.outcome.log.append(f"  exit code {code}, {len(lines)} lines")
        self.outcome.log += [f"    {line.decode().rstrip()[:300]}" for line in lines]
        self.target.take(committed(lines, self.chance) if code == KILLED else lines)
        self._is_clean &= code == 0 and step.is_peaceful
        has_changed = changes != sum(table.changes for table in server.tables.values())
        has_changed |= server.character.reorders or server.character.window > 0
        self._judge(step, code, before, has_changed=has_changed)

    def _run(self, step: Step) -> tuple[int, list[bytes]]:
        writer = _Writer(step.dies_at_line)
        try:
            tap = TapAnalytics(
                config=self.config(step),
                state=json.loads(json.dumps(self.target.state or {})),
                setup_mapper=True,
                message_writer=writer,
            )
            tap.run_task(TapAnalytics.sync)
        except Killed:
            return KILLED, writer.lines
        except SystemExit as end:
            return int(str(end.code)), writer.lines
        except ConfigValidationError as error:
            self._problem(f"the settings are refused: {error.errors}")
            return 1, writer.lines
        return 0, writer.lines

    # Judgement

    def _problem(self, text: str) -> None:
        self.outcome.problems.append(text)
        self.outcome.log.append(f"  PROBLEM: {text}")

    def _judge(self, step: Step, code: int, before: Mapping[str, Mapping[str, Any]], *, has_changed: bool) -> None:
        for text in self.target.problems:
            self._problem(text)
        for message in self.warnings.messages:
            if "unexpected error" in message:
                self._problem(message)
        self._judge_inventions()
        if code == 0:
            is_warned = has_changed and any(words in text for words in PROMISED for text in self.warnings.messages)
            for name, key, version in self._missing(step, before):
                if is_warned:
                    self._forgiven.add((name, key, version))
                elif (name, key, version) not in self._forgiven:
                    has = self.target.versions(name).get(key)
                    self._problem(f"{name} {key} has version {version} on the server, and {has} in the target")
            self._judge_leftovers()
        elif step is self.history.steps[-1] and self.history.character.is_sound:
            self._problem(f"the last run failed, and nothing was wrong with the server: {self.warnings.messages[-1:]}")
        if self._is_clean:
            self._judge_repetitions()

    def _judge_inventions(self) -> None:
        for stream, rows in self.target.rows.items():
            table = self.server.tables.get(ALIASES.get(stream, stream))
            for row in rows:
                if table is None or row not in table.ever:
                    self._problem(f"{stream} brought {row}, which the server never had")
                    return

    def _missing(self, step: Step, before: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str, int]]:
        """Yield the rows that were on the server during a whole run, and are not in the target."""
        for name, table in self.server.tables.items():
            if not self._covers(step, name):
                continue
            loaded = self.target.versions(name)
            appends = any(one.get("write_disposition") == "append" for one in self.history.resources)
            for key, row in table.rows.items():
                if before[name].get(key) != row or not self._is_wanted(step, name, row):
                    continue
                is_there = appends and (name, key, cursor_of(table.record(row))) in self.target.known
                if loaded.get(key) != row.version and not is_there:
                    yield name, key, row.version

    def _covers(self, step: Step, name: str) -> bool:
        """Tell whether a run reads all of a table."""
        if self.history.kind == "registrations":
            return {INITIAL, TAIL} <= set(step.streams)
        return all(one.get("selected", True) for one in self.history.resources if one["name"] == name)

    def _is_wanted(self, step: Step, name: str, row: Any) -> bool:  # noqa: ANN401 - a row
        if self.history.kind == "registrations" and "start_date" in step.settings:
            return bool(row.created.date() >= (self.history.start - timedelta(days=step.settings["start_date"])).date())
        for one in self.history.resources:
            initial = one.get("endpoint", {}).get("incremental", {}).get("initial_value")
            if one["name"] == name and initial:
                return bool(row.updated.strftime("%Y-%m-%d") >= initial[:10])
        return True

    def _judge_leftovers(self) -> None:
        """Say where a table that is replaced keeps rows that were gone before the run."""
        for one in self.history.resources:
            name = one["name"]
            # The SCHEMA of a list that is empty when it is discovered may lack the type of its key: it is not written.
            is_known = "schema" in one or "extends" in one or bool(self.server.tables[name].rows)
            if one.get("write_disposition") == "replace" and is_known:
                left = self._gone[name] & self.target.tables.get(name, {}).keys()
                if left:
                    self._problem(f"{name} keeps {sorted(left)}, which were gone before the run")

    def _judge_repetitions(self) -> None:
        """Say where a stream that appends brings a row twice, although no run was disturbed."""
        if self.history.kind == "feed" and self.history.resources[0]["write_disposition"] == "append":
            rows = self.target.rows.get("items", [])
            if twice := {row for row in rows if rows.count(row) > 1}:
                self._problem(f"items brought {sorted(twice)[:3]} twice")
