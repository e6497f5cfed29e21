"""The contenders: what each needs, how it is started, and how it tells that it has read everything."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from benchmarks.measure import CACHE, ROOT, Case, FailedError, run, say, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
class Contender:
    """One of those that are measured."""

    name: str
    environment: str
    command: Callable[[str, Path], Sequence[str]]
    """Makes the command line from the address of the API and a directory of its own."""
    prints_count: bool = False
    """Whether it ends its output with the number of records, instead of writing a line for each."""

    def case(self, url: str, records: int, rounds: int = 5, name: str | None = None) -> Case:
        """Return what is to be measured."""
        workplace = CACHE / "work" / hashlib.sha256(f"{self.name} {url}".encode()).hexdigest()[:12]
        keep = workplace / "keep"

        def before() -> None:
            # A run must find nothing that an earlier one left behind.
            shutil.rmtree(workplace / "work", ignore_errors=True)

        keep.mkdir(parents=True, exist_ok=True)
        return Case(name or self.name, self.command(url, keep), records, rounds, before=before)

    def check(self) -> str | None:
        """Have some records read, and return what is wrong with that, if anything."""
        try:
            install(self.environment)
            with serving(CHECKED) as url:
                case = self.case(url, CHECKED)
                output = CACHE / "output"
                run(case, output)
                count = self._count(output)
        except FailedError as error:
            return str(error)
        return None if count == CHECKED else f"{self.name} read {count} of {CHECKED} records"

    def _count(self, output: Path) -> int:
        # Line by line: what this process once held would be taken for the peak of those that it starts.
        count, last = 0, b""
        with output.open("rb") as lines:
            for last in lines:
                count += b'"RECORD"' in last[:80]
        return int(last) if self.prints_count else count


def write_json(path: Path, value: Any) -> str:  # noqa: ANN401
    """Write a file of JSON, and return its name."""
    path.write_text(json.dumps(value))
    return str(path)


def into_files(place: Path) -> dict[str, Any]:
    """Return the `batch_config` that writes into a directory."""
    return {
        "encoding": {"format": "jsonl", "compression": "gzip"},
        "storage": {"root": f"file://{quote(str(place))}", "prefix": "batch-"},
    }


def emptying(place: Path) -> Callable[[], None]:
    """Return what makes a directory that is there, and empty."""

    def empty() -> None:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)

    return empty


def _script(environment: str, script: str, *arguments: str) -> list[str]:
    return [str(bin_of(environment) / "python"), str(SCRIPTS / script), *arguments]


def _sdk(kind: str) -> Callable[[str, Path], Sequence[str]]:
    def command(url: str, workplace: Path) -> Sequence[str]:
        config = write_json(workplace / "config.json", {"base_url": url, "api_key": "key"})
        return _script("sdk", "sdk_tap.py", kind, "--config", config)

    return command


def _dlt(way: str) -> Callable[[str, Path], Sequence[str]]:
    return lambda url, workplace: _script("dlt_rest", "dlt_rest.py", way, url, str(workplace.parent / "work"))


def catalog(workplace: Path, *selected: str) -> str:
    """Return the file of a catalog of the tap with some streams selected."""
    path = workplace / "catalog.json"
    run(Case("discovery", [str(bin_of(TAP) / TAP), "--discover"]), path)
    found = json.loads(path.read_text())
    for stream in found["streams"]:
        for entry in stream["metadata"]:
            if not entry["breadcrumb"]:
                entry["metadata"]["selected"] = stream["tap_stream_id"] in selected
    return write_json(path, found)


def tap(*selected: str, **settings: Any) -> Callable[[str, Path], Sequence[str]]:  # noqa: ANN401
    """Return what starts the tap with some streams selected and some settings."""

    def command(url: str, workplace: Path) -> Sequence[str]:
        config = write_json(workplace / "config.json", {"base_url": url, "api_key": "key"} | settings)
        return [str(bin_of(TAP) / TAP), "--config", config, "--catalog", catalog(workplace, *selected)]

    return command


def _rest(url: str, workplace: Path) -> Sequence[str]:
    config = {
        "api_url": url,
        "auth_method": "api_key",
        "api_keys": {"api_key": "key"},
        "pagination_request_style": "simple_offset_paginator",
        "pagination_response_style": "offset",
        "pagination_initial_offset": 0,
        "pagination_page_size": 10_000,
        "offset_records_jsonpath": "$.data",
        "streams": [
            {
                "name": "registrations",
                "path": "/v1/transactional/registrations",
                "primary_keys": ["id"],
                "records_path": "$.data[*]",
            }
        ],
    }
    program = bin_of("tap_rest_api_msdk") / "tap-rest-api-msdk"
    return [str(program), "--config", write_json(workplace / "config.json", config)]


def _airbyte(url: str, workplace: Path) -> Sequence[str]:
    stream = {"name": "registrations", "json_schema": {}, "supported_sync_modes": ["full_refresh"]}
    chosen = {"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}
    return _script(
        "airbyte",
        "airbyte.py",
        "read",
        "--config",
        write_json(workplace / "config.json", {"base_url": url, "api_key": "key"}),
        "--catalog",
        write_json(workplace / "catalog.json", {"streams": [chosen]}),
    )


def _limit(url: str, workplace: Path) -> Sequence[str]:
    del workplace
    return _script("limit", "limit.py", url)


CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender(LIMIT, "limit", _limit),
        Contender(TAP, TAP, tap("registrations_initial")),
        Contender(ITERATE, "dlt_rest", _dlt("iterate"), prints_count=True),
        Contender(EXTRACT, "dlt_rest", _dlt("extract"), prints_count=True),
        Contender(MSGSPEC, "sdk", _sdk("msgspec")),
        Contender(STOCK, "sdk", _sdk("stock")),
        Contender(AIRBYTE, "airbyte", _airbyte),
        Contender(REST, "tap_rest_api_msdk", _rest),
        Contender(NORMALIZE, "dlt_rest", _dlt("normalize"), prints_count=True),
    )
}

EMPTY_TAP = Contender(EMPTY, "sdk", _sdk("empty"))
NOTHING_SELECTED = Contender(NOTHING, TAP, tap())
