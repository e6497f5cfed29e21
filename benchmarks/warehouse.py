"""The whole way into Postgres: by Meltano, by dlt, and the halves of Meltano's way alone."""

from __future__ import annotations

import json
import shutil
import sys
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from benchmarks.contenders import (
    BY_FILES,
    DLT_INTO_POSTGRES,
    FAST_BY_FILES,
    FAST_FROM_LINES,
    FAST_INTO_POSTGRES,
    FROM_LINES,
    INTO_POSTGRES,
    LARGE_BATCHES,
    PLAIN_COPY,
    REGISTRATIONS,
    ROUNDED,
    SAMPLED,
    SCRIPTS,
    TAP,
    TO_LINES,
    VALIDATED,
    dlt,
    emptying,
    install,
    into_files,
    tap,
    version,
    write_json,
)
from benchmarks.measure import CACHE, Case, FailedError, environment, run
from demo.postgres import postgres
from demo.project import Api, Project

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo.postgres import Server

SCHEMA = "tap_analytics_benchmark"
DLT_SCHEMA = f"{SCHEMA}_dlt"
"""What dlt_rest.py names it; a schema for staging comes beside it."""

TWICE = 2
"""Runs of those whose ratio is claimed, however long they take."""

UTC = {"PGTZ": "UTC"}
"""As meltano.yml has it."""

PROGRAMS = Path(sys.executable).parent
"""Where Meltano and the target are: in the environment that this runs in."""


@contextmanager
def ready(url: str, records: int) -> Iterator[tuple[list[Case], list[str]]]:
    """Start a server, and give what is to be measured with it, and its versions."""
    workplace = CACHE / "warehouse"
    emptying(workplace)()
    install(TAP)
    install("dlt_rest")
    for program in ("meltano", "target-postgres", "target-postgres-fast"):
        # What is compiled for the first time would be measured too.
        run(Case(program, [str(PROGRAMS / program), "--version"]))
    with postgres() as server:
        warehouse = _Warehouse(server, workplace)
        cases = [
            *_by_meltano(url, server, workplace),
            _by_dlt(url, server, workplace),
            *_halves(url, server, workplace),
        ]
        for case in cases:
            case.records = records
            if case.name == TO_LINES:
                continue
            case.before = warehouse.clear
            if case.after is None:
                schema = DLT_SCHEMA if case.name == DLT_INTO_POSTGRES else SCHEMA
                case.after = lambda schema=schema: warehouse.count(schema, records)
        yield cases, [*_versions(), warehouse.version()]
        warehouse.clear()
    shutil.rmtree(workplace, ignore_errors=True)


class _Warehouse:
    """The schemas that are filled."""

    def __init__(self, server: Server, workplace: Path) -> None:
        self._url = server.url
        self._workplace = workplace

    def clear(self) -> None:
        """Remove what a run has left."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            for schema in (SCHEMA, DLT_SCHEMA, f"{DLT_SCHEMA}_staging"):
                connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))
        for name in ("work", "batches"):
            emptying(self._workplace / name)()

    def version(self) -> str:
        """Return the version of the server."""
        with psycopg.connect(self._url) as connection:
            return f"PostgreSQL {connection.info.parameter_status('server_version')}"

    def count(self, schema: str, records: int) -> dict[str, Any]:
        """Return how many rows have arrived; raise FailedError where they are not the records."""
        statement = sql.SQL("SELECT count(*), count(DISTINCT id) FROM {}.registrations").format(sql.Identifier(schema))
        with psycopg.connect(self._url) as connection:
            rows, keys = connection.execute(statement).fetchall()[0]
        if (rows, keys) != (records, records):
            msg = f"{rows} rows and {keys} keys have arrived of {records} records"
            raise FailedError(msg)
        return {"rows": rows}


def _by_meltano(url: str, server: Server, workplace: Path) -> list[Case]:
    project = Project.create(workplace / "project", api=Api(url, "key"), server=server, schema=SCHEMA)
    settings = {name: value for name, value in project.environment.items() if not name.startswith("PYTHON")}
    settings["TAP_ANALYTICS__SELECT"] = '["registrations_initial.*"]'
    by_files = settings | {"TAP_ANALYTICS_BATCH_CONFIG": json.dumps(into_files(workplace / "batches"))}
    plain, fast = (
        [str(PROGRAMS / "meltano"), "run", "--full-refresh", "tap-analytics", loader]
        for loader in ("target-postgres", "target-postgres-fast")
    )
    return [
        Case(name, command, least=TWICE, environment=chosen, directory=project.directory)
        for name, command, chosen in (
            (INTO_POSTGRES, plain, settings),
            (BY_FILES, plain, by_files),
            (FAST_INTO_POSTGRES, fast, settings),
            (FAST_BY_FILES, fast, by_files),
        )
    ]


def _versions() -> list[str]:
    installed = ("meltano", "meltanolabs-target-postgres", "target-postgres-fast")
    return [version(TAP), version("dlt_rest"), *(f"{name} {metadata.version(name)}" for name in installed)]


def _by_dlt(url: str, server: Server, workplace: Path) -> Case:
    keep = workplace / "dlt"
    keep.mkdir()
    settings = {"DESTINATION__POSTGRES__CREDENTIALS": server.url, "RUNTIME__DLTHUB_TELEMETRY": "false"}
    return Case(
        DLT_INTO_POSTGRES,
        dlt("postgres")(url, keep, REGISTRATIONS),
        least=TWICE,
        environment=environment() | settings,
    )


def _halves(url: str, server: Server, workplace: Path) -> list[Case]:
    keep = workplace / "tap"
    keep.mkdir()
    maps = {"registrations_initial": {"__alias__": "registrations"}}
    alone = Case(TO_LINES, tap("registrations_initial", stream_maps=maps)(url, keep, REGISTRATIONS))
    lines = workplace / "lines"
    run(alone, lines)
    loader = _Loader(server, workplace, lines)
    samples = workplace / "samples.json"
    sampling = [sys.executable, str(SCRIPTS / "sampled.py"), str(samples), *loader.command("target-postgres")]
    sampled = Case(SAMPLED, sampling, stdin=lines, rounds=1, after=lambda: {"samples": json.loads(samples.read_text())})
    limit = [sys.executable, str(SCRIPTS / "plain_copy.py"), server.url, f"{SCHEMA}.registrations"]
    return [
        alone,
        loader.case(FROM_LINES, "target-postgres"),
        loader.case(LARGE_BATCHES, "target-postgres", batch_size_rows=50_000),
        loader.case(VALIDATED, "target-postgres", validate_records=True),
        loader.case(ROUNDED, "target-postgres", use_copy=True),
        loader.case(FAST_FROM_LINES, "target-postgres-fast"),
        Case(PLAIN_COPY, limit, stdin=lines),
        sampled,
    ]


class _Loader:
    """Starts loaders on a file of lines, with the settings that meltano.yml has."""

    def __init__(self, server: Server, workplace: Path, lines: Path) -> None:
        self._server = server
        self._workplace = workplace
        self._lines = lines

    def case(self, name: str, program: str, **settings: Any) -> Case:  # noqa: ANN401
        return Case(name, self.command(program, **settings), stdin=self._lines, environment=environment() | UTC)

    def command(self, program: str, **settings: Any) -> list[str]:  # noqa: ANN401
        config = {
            "host": self._server.host,
            "port": self._server.port,
            "user": self._server.user,
            "password": self._server.password,
            "database": self._server.database,
            "default_target_schema": SCHEMA,
            "validate_records": False,
            "sanitize_null_text_characters": True,
        } | settings
        name = "-".join([program, *settings])
        return [str(PROGRAMS / program), "--config", write_json(self._workplace / f"{name}.json", config)]
