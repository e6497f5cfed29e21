"""The contenders: what each needs, how it is started, and how it tells that it has read everything."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks.measure import CACHE, ROOT, Case, FailedError, run, say, serving

SCRIPTS = Path(__file__).parent / "programs"
TAP = "tap-analytics"
LIMIT = "limit for Python"
STOCK = "SDK tap"
MSGSPEC = "SDK tap, msgspec writer"
EMPTY = "SDK tap without streams"
NOTHING = "tap-analytics, nothing selected"
ITERATE, EXTRACT, NORMALIZE = "dlt, iterating only", "dlt, extract", "dlt, extract and normalize"
AIRBYTE = "Airbyte CDK"
REST = "tap-rest-api-msdk"
SLING = "sling"
RESOURCE = "tap-analytics, declared resource"
DECLARED = "tap-analytics, declared schema"
INTO_POSTGRES = "meltano run tap-analytics target-postgres"
BY_FILES = "the same, by BATCH files"
FAST_INTO_POSTGRES = "meltano run tap-analytics target-postgres-fast"
FAST_BY_FILES = "target-postgres-fast, by BATCH files"
DLT_INTO_POSTGRES = "dlt pipeline, rest_api to postgres"
TO_LINES = "tap-analytics alone"
FROM_LINES = "target-postgres alone, from a file of lines"
LARGE_BATCHES = "the same, batch_size_rows 50000"
VALIDATED = "the same, validate_records on"
ROUNDED = "the same, use_copy on, which rounds"
FAST_FROM_LINES = "target-postgres-fast alone, from a file of lines"
PLAIN_COPY = "limit: COPY and merge, types unchecked"
SAMPLED = "target-postgres alone, looked at while it works"
LOADERS_ALONE = (FROM_LINES, LARGE_BATCHES, VALIDATED, ROUNDED, FAST_FROM_LINES, PLAIN_COPY)

THRICE = 3
"""Runs of those whose ratio to the tap is claimed, however long they take."""

CHECKED = 12_000
"""Records of the run that shows that a contender reads everything: more than a page."""


def bin_of(name: str) -> Path:
    """Return the programs of an environment."""
    return CACHE / "environments" / name / "bin"


def install(name: str) -> None:
    """Make the environment of a contender, unless it is there; raise FailedError where that fails."""
    directory = bin_of(name).parent
    requirements = ROOT / "constraints.txt" if name == TAP else SCRIPTS / f"{name}.txt"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    mark = directory / "installed"
    if mark.exists() and mark.read_text() == wanted:
        return
    say(f"  installing {name}")
    what = ["--constraints", str(requirements), "--editable", str(ROOT)] if name == TAP else ["-r", str(requirements)]
    shutil.rmtree(directory, ignore_errors=True)
    python = str(directory / "bin" / "python")
    # Everybody starts from compiled files, as after an installation by pip.
    if uv := _uv():
        commands = [
            [uv, "venv", "--quiet", "--python", sys.executable, str(directory)],
            [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python, *what],
        ]
    else:
        commands = [[sys.executable, "-m", "venv", str(directory)], [python, "-m", "pip", "install", "--quiet", *what]]
    for command in commands:
        done = subprocess.run(
            command,
            env=os.environ | {"UV_PYTHON_DOWNLOADS": "never"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines()
            msg = f"{name} cannot be installed: {lines[-1] if lines else done.returncode}"
            raise FailedError(msg)
    mark.write_text(wanted)


def _uv() -> str | None:
    ours = ROOT / ".tools" / "bin" / "uv"
    return str(ours) if ours.exists() else shutil.which("uv")


@dataclass(frozen=True)
class Feed:
    """What is read: a stream, by which parameter its pages follow each other, and how many records each holds."""

    stream: str
    paging: str
    limit: int

    @property
    def key(self) -> str:
        """A name for files."""
        return f"{self.stream}-{self.paging}-{self.limit}"


REGISTRATIONS = Feed("registrations", "offset", 10_000)
ORDERS = Feed("orders", "offset", 5_000)

Command = Callable[[str, Path, Feed], Sequence[str]]
"""Makes a command line from the address of the API, a directory to keep files in, and what is to be read."""


@dataclass(frozen=True)
class Contender:
    """One of those that are measured."""

    name: str
    environment: str
    command: Command
    output: str = "messages"
    """What it writes: messages with a line for each record, a table in CSV, or only the count of records."""
    share: int = 1
    """It reads this fraction of the records, because it takes long."""
    least: int = 1
    exit_code: int = 0

    def case(self, url: str, records: int, feed: Feed, name: str | None = None) -> Case:
        """Return what is to be measured."""
        workplace = CACHE / "work" / hashlib.sha256(f"{self.name} {url} {feed}".encode()).hexdigest()[:12]
        keep = workplace / "keep"

        def before() -> None:
            # A run must find nothing that an earlier one left behind.
            shutil.rmtree(workplace / "work", ignore_errors=True)

        keep.mkdir(parents=True, exist_ok=True)
        command = self.command(url, keep, feed)
        return Case(name or self.name, command, records, least=self.least, exit_code=self.exit_code, before=before)

    def check(self, feed: Feed) -> str | None:
        """Have some records read, and return what is wrong with that, if anything."""
        try:
            install(self.environment)
            with serving(feed.stream, CHECKED) as url:
                case = self.case(url, CHECKED, feed)
                output = CACHE / "output"
                if case.before:
                    case.before()
                run(case, output)
                count = self._count(output)
        except FailedError as error:
            return str(error)
        return None if count == CHECKED else f"{self.name} read {count} of {CHECKED} {feed.stream}"

    def _count(self, output: Path) -> int:
        # Line by line: what this process once held would be taken for the peak of those that it starts.
        messages, lines, last = 0, 0, b""
        with output.open("rb") as file:
            for last in file:
                lines += 1
                messages += b'"RECORD"' in last[:80]
        return {"messages": messages, "table": lines - 1, "count": int(last) if self.output == "count" else 0}[
            self.output
        ]


def version(name: str) -> str:
    """Return which version of what an environment has, as it is pinned there."""
    if name == TAP:
        about = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        asked = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607 - the one on the path
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        return " ".join([TAP, about["version"], *(f"({commit})" for commit in asked.stdout.split())])
    return re.sub(r"(\[.*\])?==", " ", (SCRIPTS / f"{name}.in").read_text().splitlines()[0])


def write_json(path: Path, value: Any) -> str:  # noqa: ANN401
    """Write a file of JSON, and return its name."""
    path.write_text(json.dumps(value))
    return str(path)


def into_files(folder: Path) -> dict[str, Any]:
    """Return the `batch_config` that writes into a directory."""
    return {
        "encoding": {"format": "jsonl", "compression": "gzip"},
        "storage": {"root": f"file://{quote(str(folder))}", "prefix": "batch-"},
    }


def emptying(folder: Path) -> Callable[[], None]:
    """Return what makes a directory that is there, and empty."""

    def empty() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    return empty


def _script(environment: str, script: str, *arguments: str) -> list[str]:
    return [str(bin_of(environment) / "python"), str(SCRIPTS / script), *arguments]


def sdk(kind: str, **settings: Any) -> Command:  # noqa: ANN401
    """Return what starts the tap made with the SDK, of one kind and with some settings."""

    def command(url: str, keep: Path, feed: Feed) -> Sequence[str]:
        config = {"base_url": url, "api_key": "key"} | asdict(feed)
        return _script("sdk", "sdk_tap.py", kind, "--config", write_json(keep / "config.json", config | settings))

    return command


def declared(url: str, feed: Feed) -> dict[str, Any]:
    """Return an API with one resource, in words that the tap and dlt share."""
    paginators: dict[str, dict[str, Any]] = {
        "offset": {"type": "offset", "limit": feed.limit, "total_path": "total" if feed.stream == "orders" else None},
        "page": {"type": "page_number", "base_page": 1, "total_path": "pages"},
        "cursor": {"type": "cursor", "cursor_path": "next", "cursor_param": "cursor"},
    }
    endpoint = {
        "path": f"v1/transactional/{feed.stream}",
        "data_selector": "data",
        "params": {} if feed.paging == "offset" else {"limit": feed.limit},
        "paginator": paginators[feed.paging],
    }
    resource = {"name": feed.stream, "primary_key": "id", "write_disposition": "merge", "endpoint": endpoint}
    auth = {"type": "api_key", "name": "api_key", "api_key": "key", "location": "header"}
    return {"client": {"base_url": url, "auth": auth}, "resources": [resource]}


def dlt(step: str) -> Command:
    """Return what starts dlt on a declared resource, as far as a step of its work."""

    def command(url: str, keep: Path, feed: Feed) -> Sequence[str]:
        config = write_json(keep / "config.json", declared(url, feed))
        return _script("dlt_rest", "dlt_rest.py", step, config, str(keep.parent / "work"), feed.stream)

    return command


def resource(schema: Path | None = None, **settings: Any) -> Command:  # noqa: ANN401
    """Return what starts the tap on a declared resource, with a schema of a file or an inferred one."""

    def command(url: str, keep: Path, feed: Feed) -> Sequence[str]:
        config = declared(url, feed)
        if schema:
            config["resources"][0]["schema"] = json.loads(schema.read_text())
        return [str(bin_of(TAP) / TAP), "--config", write_json(keep / "config.json", config | settings)]

    return command


def catalog(workplace: Path, *selected: str) -> str:
    """Return the file of a catalog of the tap with some streams selected."""
    path = workplace / "catalog.json"
    run(Case("discovery", [str(bin_of(TAP) / TAP), "--discover"]), path)
    discovered = json.loads(path.read_text())
    for stream in discovered["streams"]:
        for entry in stream["metadata"]:
            if not entry["breadcrumb"]:
                entry["metadata"]["selected"] = stream["tap_stream_id"] in selected
    return write_json(path, discovered)


def tap(*selected: str, **settings: Any) -> Command:  # noqa: ANN401
    """Return what starts the tap with some of its shipped streams selected and some settings."""

    def command(url: str, keep: Path, _feed: Feed) -> Sequence[str]:
        config = write_json(keep / "config.json", {"base_url": url, "api_key": "key"} | settings)
        return [str(bin_of(TAP) / TAP), "--config", config, "--catalog", catalog(keep, *selected)]

    return command


def _rest(url: str, keep: Path, feed: Feed) -> Sequence[str]:
    config = {
        "api_url": url,
        "auth_method": "api_key",
        "api_keys": {"api_key": "key"},
        "pagination_request_style": "simple_offset_paginator",
        "pagination_response_style": "offset",
        "pagination_initial_offset": 0,
        "pagination_page_size": feed.limit,
        "offset_records_jsonpath": "$.data",
        "streams": [
            {
                "name": feed.stream,
                "path": f"/v1/transactional/{feed.stream}",
                "primary_keys": ["id"],
                "records_path": "$.data[*]",
            }
        ],
    }
    program = bin_of("tap_rest_api_msdk") / "tap-rest-api-msdk"
    return [str(program), "--config", write_json(keep / "config.json", config)]


def _airbyte(url: str, keep: Path, feed: Feed) -> Sequence[str]:
    stream = {"name": feed.stream, "json_schema": {}, "supported_sync_modes": ["full_refresh"]}
    chosen = {"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}
    return _script(
        "airbyte",
        "airbyte.py",
        "read",
        "--config",
        write_json(keep / "config.json", {"base_url": url, "api_key": "key", "limit": feed.limit}),
        "--catalog",
        write_json(keep / "catalog.json", {"streams": [chosen]}),
    )


def _limit(url: str, _keep: Path, feed: Feed) -> Sequence[str]:
    return _script("limit", "limit.py", url, feed.stream, str(feed.limit))


def _sling(url: str, keep: Path, feed: Feed) -> Sequence[str]:
    return _script("sling", "sling.py", url, feed.stream, str(feed.limit), str(keep))


_OTHERS = (
    Contender(LIMIT, "limit", _limit),
    Contender(ITERATE, "dlt_rest", dlt("iterate"), output="count"),
    Contender(EXTRACT, "dlt_rest", dlt("extract"), output="count", least=THRICE),
    Contender(STOCK, "sdk", sdk("stock"), least=THRICE),
    Contender(AIRBYTE, "airbyte", _airbyte),
    Contender(REST, "tap_rest_api_msdk", _rest),
    Contender(NORMALIZE, "dlt_rest", dlt("normalize"), output="count"),
    Contender(SLING, "sling", _sling, output="table", share=5),
)

FLAT = (
    Contender(TAP, TAP, tap("registrations_initial"), least=THRICE),
    Contender(RESOURCE, TAP, resource()),
    *_OTHERS,
    Contender(MSGSPEC, "sdk", sdk("msgspec")),
)
NESTED = (
    Contender(TAP, TAP, resource(), least=THRICE),
    Contender(DECLARED, TAP, resource(SCRIPTS / "orders.json")),
    *_OTHERS,
)
"""The SDK's tap and Airbyte's CDK have a declared schema, and so has `DECLARED`; the others infer one."""
CONTENDERS = {contender.name: contender for contender in FLAT}

EMPTY_TAP = Contender(EMPTY, "sdk", sdk("empty"))
NOTHING_SELECTED = Contender(NOTHING, TAP, tap(), exit_code=1)
"""It refuses to run, once it has started."""
