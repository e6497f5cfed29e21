"""The whole road as its users take it: the `meltano` command, between the sandbox and a real Postgres."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import jsonschema
import psycopg
import pytest
import requests
from psycopg import sql
from psycopg.rows import dict_row
from ruamel.yaml import YAML

from demo.postgres import Server, postgres
from demo.project import ROOT, TABLES, Api, Project, sandbox
from tests.clock import NOW, reach_plugins
from tests.conftest import shipped
from tests.singer import stream_names

if TYPE_CHECKING:
    from collections.abc import Iterator

Record = dict[str, Any]

RUN = ("run", "tap-analytics", "target-postgres")


@dataclass(frozen=True)
class Road:
    """A Meltano project, and what is at both its ends."""

    api: Api
    server: Server
    schema: str
    project: Project

    def meltano(self, *arguments: str, **settings: str) -> str:
        """Run a command that has to succeed, and return its standard output."""
        result = self.project.meltano(*arguments, **settings)
        assert result.returncode == 0, result.stdout + result.stderr
        assert self.api.api_key not in result.stdout + result.stderr
        return result.stdout

    def advance(self, days: int) -> None:
        requests.post(f"{self.api.url}/_sandbox/advance", json={"days": days}, timeout=30).raise_for_status()

    def served(self, table: str) -> dict[str, Record]:
        """Return the API's records by their key, numbers as they are written."""
        response = requests.get(f"{self.api.url}/_sandbox/records/{TABLES[table]}", timeout=30)
        records = json.loads(response.content, parse_float=Decimal)
        return {record["id"]: record for record in records}

    def tables(self) -> set[str]:
        with psycopg.connect(self.server.url) as connection:
            statement = "SELECT table_name FROM information_schema.tables WHERE table_schema = %s"
            return {name for (name,) in connection.execute(statement, [self.schema])}

    def loaded(self, table: str) -> dict[str, Record]:
        """Return the rows of a table by their key; fail where a key is there twice."""
        with psycopg.connect(self.server.url, row_factory=dict_row) as connection:
            statement = sql.SQL("SELECT * FROM {}").format(sql.Identifier(self.schema, table))
            rows = connection.execute(statement).fetchall()
        by_key = {row["id"]: row for row in rows}
        assert len(by_key) == len(rows)
        return by_key

    def assert_equal(self, table: str) -> None:
        """Compare a table with what the API has: the keys, and every value."""
        served, loaded = self.served(table), self.loaded(table)
        assert served.keys() == loaded.keys()
        for key, row in loaded.items():
            values = {name: value for name, value in row.items() if not name.startswith("_sdc_")}
            assert values == {name: like(served[key].get(name), value) for name, value in values.items()}


def like(served: object, loaded: object) -> object:
    """Return a value of the API as Postgres shows it; a timestamp column holds UTC."""
    if isinstance(served, str) and isinstance(loaded, datetime):
        return datetime.fromisoformat(served).astimezone(UTC).replace(tzinfo=None)
    return served


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres() as server:
        yield server


@pytest.fixture
def road(server: Server, tmp_path: Path) -> Iterator[Road]:
    """Lay a road whose API is some days behind, so that its clock can be moved without leaving the past."""
    now = NOW - timedelta(days=10)
    options = ["--now", now.isoformat(), "--days", "40", "--registrations", "2000", "--sessions", "1000"]
    schema = f"tap_analytics_{uuid4().hex}"
    with sandbox(tmp_path / "sandbox.log", *options) as api:
        project = Project.create(tmp_path / "project", api=api, server=server, schema=schema)
        # Nothing on this road may need the internet: this is a proxy that answers nobody.
        nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")
        reach_plugins(project.environment)
        project.environment.update(nowhere, NO_PROXY="127.0.0.1", no_proxy="127.0.0.1")
        yield Road(api, server, schema, project)
    with psycopg.connect(server.url) as connection:
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))


@pytest.mark.slow
def test_the_daily_job_brings_everything_and_then_what_is_new(road: Road) -> None:
    road.meltano(*RUN)
    assert road.tables() == set(TABLES)
    for table in TABLES:
        road.assert_equal(table)
    before = {table: road.served(table) for table in ("registrations", "sessions")}
    loaded = {table: road.loaded(table) for table in before}

    road.advance(days=7)  # a week: there are days on which no known session changes
    road.meltano("run", "daily")

    for table in TABLES:
        road.assert_equal(table)
    for table, known in before.items():
        served = road.served(table)
        changed = {key for key, record in served.items() if record != known.get(key)}
        written = {
            key
            for key, row in road.loaded(table).items()
            if key not in loaded[table] or row["_sdc_received_at"] != loaded[table][key]["_sdc_received_at"]
        }
        assert changed - known.keys()
        assert changed & known.keys()
        assert changed <= written
        bookmark = max(instant(record["updatedTimestamp"]) for record in known.values() if record["updatedTimestamp"])
        # The default lookback, and an hour for clocks that differ.
        earliest = bookmark - timedelta(days=1, hours=1)
        again = [served[key]["updatedTimestamp"] for key in written - changed]
        assert all(instant(updated) >= earliest for updated in again if updated)

    # All of it has gone by the clock of the test.
    received = {row["_sdc_received_at"] for row in road.loaded("workers").values()}
    assert NOW <= min(received).replace(tzinfo=UTC) <= NOW + timedelta(minutes=10)

    unchanged = (road.project.directory / "meltano.yml").read_text(encoding="utf-8")
    assert unchanged == (ROOT / "meltano.yml").read_text(encoding="utf-8")


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.slow
def test_a_full_refresh_brings_back_what_the_warehouse_lost(road: Road) -> None:
    road.meltano(*RUN)
    with psycopg.connect(road.server.url) as connection:
        connection.execute(sql.SQL("TRUNCATE {}").format(sql.Identifier(road.schema, "registrations")))
    road.meltano("run", "--full-refresh", *RUN[1:])
    for table in TABLES:
        road.assert_equal(table)


@pytest.mark.slow
@pytest.mark.parametrize("stream", ["registrations_initial", "registrations_incremental"])
def test_one_stream_of_a_pair_can_be_selected_alone(stream: str, road: Road) -> None:
    road.meltano("select", "tap-analytics", stream, "*")
    road.meltano(*RUN)
    assert road.tables() == {"registrations"}
    road.assert_equal("registrations")


@pytest.mark.slow
def test_records_can_go_to_the_loader_by_files(road: Road, tmp_path: Path) -> None:
    folder = tmp_path / "batches"
    folder.mkdir()
    batches = json.dumps(
        {
            "encoding": {"format": "jsonl", "compression": "gzip"},
            "storage": {"root": folder.as_uri(), "prefix": "daily-"},
        }
    )
    road.meltano(*RUN, TAP_ANALYTICS_BATCH_CONFIG=batches)
    road.advance(days=2)
    road.meltano(*RUN, TAP_ANALYTICS_BATCH_CONFIG=batches)
    for table in TABLES:
        road.assert_equal(table)
        # The loader fills these in for records that come by lines.
        assert all(row["_sdc_received_at"] is None for row in road.loaded(table).values())
    # Nobody removes them.
    assert all(file.name.startswith("daily-tap-analytics--") for file in folder.iterdir())
    assert len(list(folder.iterdir())) > len(TABLES)


@pytest.mark.slow
def test_discover_shows_the_catalog(road: Road) -> None:
    catalog = json.loads(road.meltano("invoke", "tap-analytics", "--discover"))
    assert [stream["tap_stream_id"] for stream in catalog["streams"]] == stream_names()


@pytest.mark.slow
def test_resources_can_be_declared_in_the_environment(road: Road) -> None:
    declared = json.dumps(
        [shipped("workers"), {"name": "readings", "endpoint": {"path": "/v1/resource"}, "primary_key": "id"}]
    )
    catalog = json.loads(road.meltano("invoke", "tap-analytics", "--discover", TAP_ANALYTICS_RESOURCES=declared))
    assert {stream["tap_stream_id"] for stream in catalog["streams"]} == {"workers", "readings"}


@pytest.mark.slow
def test_select_lists_what_is_selected(road: Road) -> None:
    listed = road.meltano("select", "tap-analytics", "--list", "--all")
    assert "registrations_initial.laborCost" in listed
    assert "[automatic" in listed


@pytest.mark.slow
def test_the_connection_test_passes_with_numbers_from_the_environment(road: Road) -> None:
    numbers = {"TAP_ANALYTICS_BACKOFF_FACTOR": "0.5", "TAP_ANALYTICS_REQUEST_TIMEOUT": "2.5"}
    road.meltano("config", "test", "tap-analytics", **numbers)


@pytest.mark.slow
def test_the_connection_test_fails_with_a_wrong_key(road: Road) -> None:
    result = road.project.meltano("config", "test", "tap-analytics", TAP_ANALYTICS_API_KEY="not-the-key-at-all")
    assert result.returncode != 0
    assert "not-the-key-at-all" not in result.stdout + result.stderr
    # Of the tap, Meltano shows the last line only.
    shown = result.stderr.partition("Plugin configuration is invalid\n")[2].splitlines()[0]
    assert "401 Unauthorized" in shown
    assert "Check the credentials" in shown


@pytest.mark.slow
def test_install_has_nothing_to_fetch(road: Road) -> None:
    road.meltano("install")
    assert list((road.project.directory / ".meltano").glob("*/*/venv")) == []


@pytest.fixture(scope="module")
def project_file() -> Record:
    loaded: Record = YAML(typ="safe").load(ROOT / "meltano.yml")
    return loaded


@pytest.fixture(scope="module")
def tap(project_file: Record) -> Record:
    (tap,) = project_file["plugins"]["extractors"]
    return dict(tap)


@pytest.fixture(scope="module")
def about() -> Record:
    command = [str(Path(sys.executable).with_name("tap-analytics")), "--about", "--format=json"]
    described: Record = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return described


def test_the_project_file_is_valid(project_file: Record) -> None:
    schema = json.loads((files("meltano") / "schemas" / "meltano.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(project_file, schema)


def test_no_plugin_is_looked_up_or_fetched(project_file: Record) -> None:
    plugins = [plugin for kind in project_file["plugins"].values() for plugin in kind]
    ours = {plugin["name"] for plugin in plugins if "inherit_from" not in plugin}
    for plugin in plugins:
        assert plugin["namespace"]
        assert plugin["executable"]
        assert not plugin.keys() & {"variant", "pip_url"}
        # Meltano looks up what inherits from a plugin that is not in the file.
        assert plugin.get("inherit_from", "target-postgres") in ours


def test_the_project_file_knows_the_tap_as_it_is(tap: Record, about: Record) -> None:
    assert sorted(tap["capabilities"]) == sorted(about["capabilities"])
    properties = about["settings"]["properties"]
    known = {setting["name"]: setting for setting in tap["settings"]}
    assert known.keys() == properties.keys()
    for name, setting in known.items():
        described = properties[name]
        assert setting["label"] == described["title"], name
        assert setting["description"] == described["description"], name
        assert setting.get("value") == described.get("default"), name
        assert setting.get("sensitive", False) is described.get("secret", False), name
        assert setting["kind"] in kinds(name, described), name
        assert [option["value"] for option in setting.get("options", [])] == described.get("enum", []), name
    assert {name for group in tap["settings_group_validation"] for name in group} <= properties.keys()


def kinds(name: str, described: Record) -> set[str]:
    """Return the kinds that Meltano may know a setting of the tap by."""
    if "enum" in described:
        return {"options"}
    if name.endswith("_date"):
        return {"date_iso8601"}
    (kind,) = set(described["type"]) - {"null"}
    # Meltano cannot hand on a decimal that comes from the environment.
    return {"string" if kind == "number" else kind}
