"""A tap of one's own: what can be imported for it, and the one of the page."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import tap_analytics
from demo.project import ROOT
from tap_analytics import Endpoint, Resource, RestStream, TapAnalytics

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox import Sandbox

PAGE = (ROOT / "docs" / "your-own-tap.md").read_text(encoding="utf-8")


def test_the_page_lists_what_can_be_imported() -> None:
    rows = re.findall(r"(?m)^\| (`.*?) \|", PAGE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == tap_analytics.__all__
    assert all(isinstance(getattr(tap_analytics, name), type) for name in tap_analytics.__all__)
    with pytest.raises(AttributeError, match="Walk"):
        _ = tap_analytics.Walk


def test_importing_the_package_imports_nothing_else() -> None:
    code = "import sys, tap_analytics; sys.exit('singer_sdk' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


class Workers(RestStream):
    """Workers, by a class."""

    resource = Resource(name="workers", primary_key="id", endpoint=Endpoint(path="/v1/master/workers"))


class TapOfBoth(TapAnalytics):
    """A tap of a class and a value."""

    name = "tap-of-both"
    defaults = {"start_date": "2026-01-01"}  # noqa: RUF012 - as the page has it
    shipped = (Workers, Resource(name="users", primary_key="id", endpoint=Endpoint(path="/v1/master/users")))


def test_streams_are_classes_or_values_and_settings_extend_both(config: dict[str, Any]) -> None:
    tap = TapOfBoth(config=config | {"start_date": None})
    assert {name: type(stream) for name, stream in tap.streams.items()} == {"workers": Workers, "users": RestStream}
    assert tap.config["start_date"] == "2026-01-01"
    words = {"resources": [{"name": "people", "extends": "users"}], "start_date": "2026-02-02"}
    tap = TapOfBoth(config=config | words)
    assert list(tap.streams) == ["people"]
    assert tap.config["start_date"] == "2026-02-02"


@pytest.mark.slow
def test_the_tap_of_the_page_reads_and_goes_on(sandbox: Sandbox, tmp_path: Path) -> None:
    (code,) = re.findall(r"(?s)```python\n(.*?)```", PAGE)
    assert len([line for line in code.splitlines() if line]) <= 20
    (tmp_path / "tap_readings.py").write_text(code.replace("https://api.example.com", sandbox.url), encoding="utf-8")

    def run(*options: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "tap_readings.py", "--config", "ENV", *options]
        env = os.environ | variables
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, encoding="utf-8", check=False)

    refused = run("--test")
    assert refused.returncode == 1
    assert "TAP_READINGS_API_KEY" in refused.stderr.splitlines()[-1]
    whole = run(TAP_READINGS_API_KEY=sandbox.api_key)
    assert whole.returncode == 0, whole.stderr
    messages = [json.loads(line) for line in whole.stdout.splitlines()]
    read = [message["stream"] for message in messages if message["type"] == "RECORD"]
    assert read.count("readings") == len(sandbox.world.records("resource"))
    assert read.count("workers") == len(sandbox.world.records("workers"))

    (tmp_path / "state.json").write_text(json.dumps(messages[-1]["value"]), encoding="utf-8")
    again = run("--state", "state.json", TAP_READINGS_API_KEY=sandbox.api_key)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count('"RECORD","stream":"readings"') < read.count("readings")
