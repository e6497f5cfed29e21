"""Runs the tap as its users do, and checks whatever it says against what every Singer tap promises."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import jsonschema

from tests.clock import environment
from tests.warm import Forked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

Record = dict[str, Any]
State = dict[str, Any]

PREFIX = "TAP_ANALYTICS_"
"""What the names of the environment variables begin with that hold settings."""

COLD = (sys.executable, "-m", "tap_analytics")
"""The command that starts the tap from nothing."""

ROAD: dict[str, Any] = {}
"""Settings that every run is given beside its own: they choose the road by which records leave."""

_OTHER = ("--about", "--discover", "--help", "--plan", "--preview", "--version")
"""Options that have something else printed than Singer messages."""

_SHAPING = {"$schema", "type", "properties", "items", "required", "format", "description", "title"}
"""Keywords that judge a value by its shape alone, if texts of the right format have another than others."""

FORMATS = jsonschema.FormatChecker(["date", "email", "ipv4", "ipv6", "regex"])
"""What judges the formats of values, as a target with validation does."""

_RFC_3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ]((?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d)(\.\d+)?([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)", re.ASCII
)


@FORMATS.checks("date-time")
def is_timestamp(value: object) -> bool:
    """Tell whether a value, if it is text, is a date-time by RFC 3339, section 5.6; leap seconds aside."""
    match = _RFC_3339.fullmatch(value) if isinstance(value, str) else None
    return not isinstance(value, str) or (match is not None and FORMATS.conforms(match[1], "date"))


@dataclass(frozen=True)
class Run:
    """What one run of the tap left behind."""

    returncode: int
    stdout: str
    stderr: str
    messages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def records(self) -> dict[str, list[Record]]:
        """The records of each stream that has a schema, in order; numbers are exact."""
        result: dict[str, list[Record]] = {name: [] for name in self.schemas}
        for message in self.messages:
            if message["type"] == "RECORD":
                result[message["stream"]].append(message["record"])
        return result

    @property
    def schemas(self) -> dict[str, dict[str, Any]]:
        """The last SCHEMA message of each stream."""
        return {message["stream"]: message for message in self.messages if message["type"] == "SCHEMA"}

    @property
    def states(self) -> list[State]:
        """The values of the STATE messages, in order."""
        return [message["value"] for message in self.messages if message["type"] == "STATE"]

    @property
    def state(self) -> State:
        """The last of them; empty where there is none."""
        return self.states[-1] if self.states else {}

    @property
    def problems(self) -> list[str]:
        """The lines of the log that are warnings or worse."""
        return [line for line in self.stderr.splitlines() if "| WARNING" in line or "| ERROR" in line]

    def said(self, *words: str) -> bool:
        """Tell whether one line of the log holds all of some words."""
        return any(all(word in line for word in words) for line in self.stderr.splitlines())


class Started:
    """A run that is under way: of a command, or of the tap with its imports made already.

    It goes by the clock of the test, or by another one that it is given.
    """

    def __init__(  # noqa: PLR0913 - one for each thing that a user can give
        self,
        config: Mapping[str, Any] | None,
        *,
        state: object = None,
        catalog: object = None,
        args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        command: Sequence[str] | None = None,
        clock: datetime | None = None,
    ) -> None:
        settings = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)} | dict(env or {})
        if clock is not None:
            settings |= environment(clock)
        self._key = str((config or {}).get("api_key") or settings.get(f"{PREFIX}API_KEY") or "").strip()
        self._directory = tempfile.TemporaryDirectory(prefix="tap-analytics-")
        if config is not None and ROAD:
            config = {**ROAD, **config}
        words = list(args)
        self._speaks_singer = not any(word.startswith(_OTHER) for word in words)
        for option, value in (("config", config), ("state", state), ("catalog", catalog)):
            if value is not None:
                path = Path(self._directory.name) / f"{option}.json"
                path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
                words += [f"--{option}", str(path)]
        # Files, because nobody reads while the run is under way.
        self._stdout = Path(self._directory.name) / "stdout"
        self._stderr = Path(self._directory.name) / "stderr"
        with self._stdout.open("wb") as stdout, self._stderr.open("wb") as stderr:
            self.process: Forked | subprocess.Popen[bytes]
            if command is None and hasattr(os, "fork"):
                self.process = Forked(
                    words,
                    env=settings,
                    cwd=Path(self._directory.name),
                    stdout=self._stdout,
                    stderr=self._stderr,
                )
            else:
                self.process = subprocess.Popen(
                    [*(command or COLD), *words],
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stderr,
                    env=settings,
                    cwd=self._directory.name,
                )

    @property
    def lines(self) -> list[str]:
        """What has been written to standard output so far, whole lines only."""
        return self._stdout.read_bytes().decode().split("\n")[:-1]

    @property
    def log(self) -> str:
        """What has been written to standard error so far."""
        return self._stderr.read_text(encoding="utf-8", errors="replace")

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send the run a signal, if it has not ended."""
        self.process.send_signal(number)

    def finish(self, timeout: float = 60, *, aside: State | None = None) -> Run:
        """Wait for the end, and return what the run left behind, checked."""
        with self._directory:
            try:
                returncode = self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                message = f"the tap did not end within {timeout} s; it said last:\n{self.log[-2000:]}"
                raise AssertionError(message) from None
            stdout, stderr = self._stdout.read_bytes().decode(), self.log
        assert_secret(self._key, stdout=stdout, stderr=stderr)
        lines = list(io.StringIO(stdout, newline="\n"))
        if returncode == -signal.SIGKILL and lines and not lines[-1].endswith("\n"):
            lines.pop()  # nobody can finish a line after that
        return Run(returncode, stdout, stderr, check_messages(lines, aside=aside) if self._speaks_singer else [])


def run_tap(  # noqa: PLR0913 - one for each thing that a user can give
    config: Mapping[str, Any] | None,
    *,
    state: object = None,
    catalog: object = None,
    args: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    command: Sequence[str] | None = None,
    timeout: float = 60,
    starts_over: bool = False,
) -> Run:
    """Run the command line to its end, and return what it left behind, checked.

    Only a run that starts over may go back behind the state that it is given.
    """
    started = Started(config, state=state, catalog=catalog, args=args, env=env, command=command)
    return started.finish(timeout, aside=state if starts_over and isinstance(state, dict) else None)


@cache
def _discovered() -> str:
    return run_tap(None, args=["--discover"]).stdout


def stream_names() -> list[str]:
    """Return the names of the shipped streams, in the order of the catalog."""
    return [stream["tap_stream_id"] for stream in json.loads(_discovered())["streams"]]


def catalog_of(*streams: str, without: Mapping[str, Iterable[str]] | None = None) -> dict[str, Any]:
    """Return the catalog of the shipped streams in which only some are selected, without some fields."""
    result: dict[str, Any] = json.loads(_discovered())
    for stream in result["streams"]:
        name = stream["tap_stream_id"]
        for entry in stream["metadata"]:
            match entry["breadcrumb"]:
                case []:
                    entry["metadata"]["selected"] = name in streams
                case ["properties", field]:
                    entry["metadata"]["selected"] = field not in (without or {}).get(name, ())
    return result


def check_messages(lines: Iterable[str], *, key: str | None = None, aside: State | None = None) -> list[dict[str, Any]]:
    """Return the messages of a run's standard output; AssertionError where they break a promise.

    Lines hold Singer messages and nothing else, each whole; a record comes after its schema and
    is valid under it; no bookmark goes back, unless from the state that is to be left aside; and
    the key is nowhere.
    """
    messages: list[dict[str, Any]] = []
    given = list(_values(aside or {}))
    validators: dict[str, _Validator] = {}
    bookmarks: dict[tuple[str, str], datetime | date] = {}
    for number, line in enumerate(lines, 1):
        assert_secret(key, stdout=line)
        message = _parse(line, number)
        match message["type"]:
            case "SCHEMA":
                validators[message["stream"]] = _Validator(message["schema"])
                assert set(message["key_properties"]) <= message["schema"]["properties"].keys(), line
            case "RECORD":
                assert message["stream"] in validators, f"line {number}: a record before its schema: {line}"
                validators[message["stream"]].check(message["record"], number)
            case "BATCH" | "ACTIVATE_VERSION":
                assert message["stream"] in validators, f"line {number}: a message before its schema: {line}"
            case "STATE":
                _check_bookmarks(message["value"], given, bookmarks, number)
            case other:
                raise AssertionError(f"line {number}: no Singer message has the type {other!r}: {line}")  # noqa: EM102, TRY003
        messages.append(message)
    return messages


def assert_secret(key: str | None, **outputs: str) -> None:
    """Fail where the key can be read in an output, as it is or as it travels."""
    if not key:
        return
    forms = {key, quote(key, safe=""), quote(key), quote_plus(key), json.dumps(key)[1:-1], repr(key)[1:-1]}
    for name, text in outputs.items():
        for form in forms:
            at = text.find(form)
            assert at < 0, f"the key is in {name}: {text[max(at - 200, 0) : at]}<KEY>{text[at + len(form) :][:200]}"


def exact(value: object) -> object:
    """Return a value in which two numbers are equal only if they were written alike.

    Python takes -0.0 for 0, and 1.0 for 1 and for True.
    """
    if isinstance(value, dict):
        return {name: exact(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [exact(inner) for inner in value]
    return f"{type(value).__name__} {value}" if isinstance(value, (int, float, Decimal)) else value


def instant(text: str) -> datetime:
    """Return an RFC 3339 text as a point in time."""
    result = datetime.fromisoformat(text)
    return result if result.tzinfo else result.replace(tzinfo=UTC)


class _Validator:
    """Validates records; where the schema judges by shape alone, each shape once."""

    def __init__(self, schema: dict[str, Any]) -> None:
        jsonschema.Draft7Validator.check_schema(schema)
        self._validator = jsonschema.Draft7Validator(schema, format_checker=FORMATS)
        self._schema = schema
        self._shapes: set[object] | None = set() if _judges_shape(schema) else None

    def check(self, record: Record, number: int) -> None:
        shape = _shape(record, self._schema)
        if self._shapes is None or shape not in self._shapes:
            errors = [f"{error.json_path}: {error.message}" for error in self._validator.iter_errors(record)]
            assert not errors, f"line {number}: a record that its schema does not allow: {errors}"
        if self._shapes is not None:
            self._shapes.add(shape)


def _judges_shape(schema: dict[str, Any]) -> bool:
    inner = [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]
    return schema.keys() <= _SHAPING and all(isinstance(one, dict) and _judges_shape(one) for one in inner)


def _shape(value: object, schema: dict[str, Any]) -> object:
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        return frozenset((name, _shape(inner, properties.get(name, {}))) for name, inner in value.items())
    if isinstance(value, list):
        return (list, frozenset(_shape(item, schema.get("items", {})) for item in value))
    if isinstance(value, str) and "format" in schema:
        return str, FORMATS.conforms(value, schema["format"])
    return type(value)


def _parse(line: str, number: int) -> dict[str, Any]:
    assert line.endswith("\n"), f"line {number} is not whole: {line!r}"
    try:
        message = json.loads(line, parse_float=Decimal, parse_constant=_refuse, object_pairs_hook=_unambiguous)
    except ValueError as error:
        raise AssertionError(f"line {number} is no message ({error}): {line!r}") from None  # noqa: EM102, TRY003
    assert isinstance(message, dict), f"line {number} is no message: {line!r}"
    assert "type" in message, f"line {number} is no message: {line!r}"
    return message


def _refuse(constant: str) -> object:
    message = f"{constant} is no JSON"
    raise ValueError(message)


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        message = f"a name twice in one object: {[name for name, _ in pairs]}"
        raise ValueError(message)
    return result


def _read(read: Callable[[str], object], value: object) -> object:
    if not isinstance(value, str):
        return value if isinstance(value, (int, Decimal)) else None
    try:
        return read(value)
    except ValueError:
        return None  # of a state that was given, and is no state of the tap's


def _values(state: State) -> Iterator[tuple[str, str, object]]:
    """Yield the bookmarks of a state, which need not be one of the tap's."""
    bookmarks = state.get("bookmarks")
    for stream, bookmark in bookmarks.items() if isinstance(bookmarks, dict) else ():
        for name, value in bookmark.items() if isinstance(bookmark, dict) else ():
            yield stream, name, value


def _check_bookmarks(
    state: State,
    aside: Sequence[tuple[str, str, object]],
    seen: dict[tuple[str, str], datetime | date],
    number: int,
) -> None:
    for stream, name, kept in _values(state):
        if name not in _ADVANCING or (stream, name, kept) in aside:
            continue
        value: Any = _read(_ADVANCING[name], kept)
        if value is not None:
            before: Any = seen.setdefault((stream, name), value)
            assert value >= before, f"line {number}: {name} of {stream} goes back from {before} to {value}"
            seen[stream, name] = value
    for stream, name in seen:
        assert name in state["bookmarks"].get(stream, {}), f"line {number}: the state of {stream} loses its {name}"


_ADVANCING: dict[str, Callable[[str], object]] = {
    "replication_key_value": instant,
    "backfill_until": date.fromisoformat,
}
