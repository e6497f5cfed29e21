"""The examples of the guide, as they stand there, against a server that speaks as they expect."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from sandbox import Sandbox
from tests.conftest import settings
from tests.singer import check_messages, exact, instant, run_tap
from tests.test_resources import PATHS, example

Words = dict[str, Any]

ROOT = Path(__file__).parents[1]
GUIDE = "".join((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("from-dlt.md", "other-apis.md"))
MASTER = [name for name, path in PATHS.items() if path.startswith("master")]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


GENERIC = [text for text in blocks("json") if '"/v1/resource"' in text]
"""The configurations that read the one resource which the sandbox has for such examples."""


def wild(**options: Any) -> Sandbox:  # noqa: ANN401 - the sandbox's own
    """Return a server of the public dialect, a few days behind, so that its clock can be moved."""
    now = datetime.now(UTC) - timedelta(days=5)
    return Sandbox(dialect="wild", now=now, days=40, registrations=400, sessions=200, workers=12, rows=15, **options)


def served(sandbox: Sandbox, stream: str) -> list[Any]:
    return sandbox.world.records(PATHS[stream].split("/")[1])


def by_key(records: list[Words]) -> dict[str, object]:
    return {record["id"]: exact(record) for record in records}


def test_every_record_of_the_public_api_arrives() -> None:
    with wild() as sandbox:
        config = example("opuswatch") | settings(sandbox)
        first = run_tap(config)
        assert first.returncode == 0, first.stderr
        assert not first.problems
        assert {request.status for request in sandbox.requests} == {200}
        for stream in MASTER[1:]:
            assert exact(first.records[stream]) == exact(served(sandbox, stream)), stream
        (client,) = first.records["clients"]
        assert exact({"id": served(sandbox, "clients")[0]["id"], **client}) == exact(served(sandbox, "clients")[0])
        assert first.schemas["clients"]["key_properties"] == ["name"]
        for stream in ("registrations_initial", "sessions_initial"):
            assert exact(first.records[stream]) == exact(served(sandbox, stream)), stream
            assert any(record["isArchived"] for record in first.records[stream])

        known = {stream: by_key(served(sandbox, stream)) for stream in PATHS}
        sandbox.advance(days=2)
        second = run_tap(config, state=first.state)
        assert second.returncode == 0, second.stderr
        for stream in ("registrations_incremental", "sessions_incremental"):
            loaded = known[stream] | by_key(second.records[stream])
            assert loaded == by_key(served(sandbox, stream))
            assert len(second.records[stream]) < len(loaded)
            since = instant(first.state["bookmarks"][stream.replace("incremental", "initial")]["backfill_began"])
            earliest = since - timedelta(days=1, hours=1)
            assert all(instant(record["updatedTimestamp"]) >= earliest for record in second.records[stream])
        assert "registrations_initial" not in second.records


def test_the_meltano_form_says_the_same_as_the_file() -> None:
    (text,) = blocks("yaml")
    (tap,) = YAML(typ="safe").load(text)["plugins"]["extractors"]
    assert tap["config"] == example("opuswatch")


@pytest.mark.parametrize("text", GENERIC, ids=range(len(GENERIC)))
def test_each_configuration_of_the_guide_runs(text: str) -> None:
    config = json.loads(text)
    client = config.get("client", {})
    location = client.get("auth", {}).get("location", config.get("auth_location", "header"))
    with Sandbox(resources=130, auth_location=location) as sandbox:
        if client:
            client["base_url"] = sandbox.url
        run = run_tap(config | settings(sandbox))
        assert run.returncode == 0, run.stderr
        assert not run.problems
        for records in run.records.values():
            assert exact(records) == exact(sandbox.world.records("resource"))


def test_the_parameters_that_the_guide_names() -> None:
    (config,) = [json.loads(text) for text in blocks("json") if "all_readings" in text]
    with Sandbox(resources=30) as sandbox:
        run = run_tap(config | settings(sandbox))
        asked = {tuple(sorted(request.params.items() - {("offset", "0")})) for request in sandbox.requests}
        asked = {tuple(pair for pair in params if pair[0] != "offset") for params in asked}
        limit = ("limit", "50")
        assert asked == {
            (limit, ("tenant", "north"), ("verbose", "true")),
            (("full", "true"), limit, ("tenant", "north")),
        }
        assert "bookmark_properties" not in run.schemas["all_readings"]


@pytest.mark.slow
def test_the_meltano_command_runs_the_form_of_the_guide(tmp_path: Path) -> None:
    yaml = YAML()
    project = yaml.load(ROOT / "meltano.yml")
    (declared,) = yaml.load(blocks("yaml")[0])["plugins"]["extractors"]
    with wild() as sandbox:
        (tap,) = project["plugins"]["extractors"]
        tap["config"] = declared["config"] | {"base_url": sandbox.url}
        yaml.dump(project, tmp_path / "meltano.yml")
        foreign = ("MELTANO_", "TAP_ANALYTICS_", "TARGET_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        result = subprocess.run(
            ["meltano", "invoke", "tap-analytics"],  # noqa: S607 - found on the path, as on a command line
            cwd=tmp_path,
            env=environment
            | {
                "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
                "TAP_ANALYTICS_API_KEY": sandbox.api_key,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert result.returncode == 0, result.stderr
        messages = check_messages(result.stdout.splitlines(keepends=True), key=sandbox.api_key)
        records = [message for message in messages if message["type"] == "RECORD"]
        for stream in [*MASTER[1:], "registrations_initial", "sessions_initial"]:
            came = [message["record"] for message in records if message["stream"] == stream]
            assert exact(came) == exact(served(sandbox, stream)), stream
