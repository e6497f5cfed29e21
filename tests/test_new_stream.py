"""A stream more costs no test: the steps of CONTRIBUTING, in a copy of this checkout, and the quick tests there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from demo.project import ROOT
from tests.clock import of_the_machine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MADE = (".git", ".venv", ".tools", ".cache", ".meltano", "*_cache", "__pycache__", "dist", "output", ".coverage*")
"""What commands leave in a checkout."""

FIELDS = {
    "id": {"type": "string", "description": "Key of the shift."},
    "worker": {"type": ["string", "null"], "description": "Name of the worker."},
    "updatedTimestamp": {"type": ["string", "null"], "format": "date-time", "description": "When it was last changed."},
}


def edit(path: Path, change: Callable[[str], str]) -> None:
    before = path.read_text(encoding="utf-8")
    after = change(before)
    assert after != before, f"the step changes nothing in {path}"
    path.write_text(after, encoding="utf-8")


@pytest.mark.slow
def test_the_steps_of_contributing_leave_the_quick_tests_green(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    shutil.copytree(ROOT, checkout, ignore=shutil.ignore_patterns(*MADE), symlinks=True)
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## A new stream")[2]
    code = dedent(guide.partition("```python\n")[2].partition("```")[0])
    (kind,) = re.findall(r"class (\w+)\(", code)
    ((name, resource),) = re.findall(r'"(\w+)", "/.*/(\w+)"', code)

    edit(checkout / "tap_analytics" / "streams.py", lambda text: f"{text}\n\n{code}")
    listed = re.compile(r"(STREAMS\b.*?= \(\n.*?)\n\)", re.DOTALL)
    edit(checkout / "tap_analytics" / "tap.py", lambda text: listed.sub(rf"\1\n    streams.{kind},\n)", text, count=1))
    schema = {"type": "object", "properties": FIELDS, "required": ["id"]}
    (checkout / "tap_analytics" / "schemas" / f"{name}.json").write_text(json.dumps(schema, indent=2), encoding="utf-8")
    plain = re.compile(r"(?m)^(PLAIN\b.* = )\(\)$")
    edit(checkout / "sandbox" / "world.py", lambda text: plain.sub(rf'\1("{resource}",)', text))

    def python(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=checkout,
            # Before the packages, among which the tap of this checkout is.
            env=of_the_machine() | {"PYTHONPATH": str(checkout)},
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=900,
        )

    assert python("docs.generate").returncode == 0
    catalog = json.loads(python("tap_analytics", "--discover").stdout)
    assert name in {stream["tap_stream_id"] for stream in catalog["streams"]}
    done = python("pytest", "-q", "-n2", "--dist=loadfile", "-m", "not slow", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
