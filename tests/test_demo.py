"""What `make demo` shows, and what `make psql` then opens."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from demo.postgres import VARIABLE, postgres
from demo.project import ROOT
from demo.workplace import CACHE, USUAL, lock
from tests import clock
from tests.pages import BIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def run(*command: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=ROOT,
        # The server of the demo has the clock of the machine.
        env={**clock.of_the_machine(), **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def make(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run("make", f"BIN={BIN}", "--assume-old=.venv/.installed", *words, environment=environment)


@pytest.fixture
def in_use() -> Iterator[None]:
    """Be what another demo, or an open `make psql`, would be; what the last demo of this checkout left stays."""
    with lock(shared=True):
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("in_use")
def test_the_demo_beside_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    USUAL.directory.mkdir(exist_ok=True)
    kept = {path: path.stat().st_mtime_ns for path in USUAL.directory.iterdir()}
    result = run(str(BIN / "python"), "-m", "demo", environment={"PYTHONUTF8": "1"})
    assert result.returncode == 0, result.stdout + result.stderr
    assert "This demo leaves the tables" in result.stdout
    assert "make psql   " not in result.stdout
    assert {path: path.stat().st_mtime_ns for path in USUAL.directory.iterdir()} == kept
    assert [path.name for path in CACHE.glob("demo-*")] == []

    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    later = next(number for number, line in enumerate(lines) if "A week later" in line)
    new, changed = re.findall(r"\d+", lines[later])[:2]
    assert min(int(new), int(changed)) > 0
    assert ", again" in lines[later + 1]
    rows, total, repeated = (int(number.replace(",", "")) for number in re.findall(r"[\d,]*\d", lines[later + 2]))
    assert int(new) + int(changed) <= rows < total
    assert repeated == 1
    bars = re.findall("█.*", result.stdout)
    assert len(set(bars)) > len(bars) / 2


@pytest.mark.usefixtures("in_use")
def test_psql_is_refused_while_something_else_has_the_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    result = run(str(BIN / "python"), "-m", "demo.psql")
    assert result.returncode == 1
    (line,) = (result.stdout + result.stderr).splitlines()
    assert "another `make psql` is open" in line


@pytest.mark.slow
def test_psql_takes_statements_as_they_are_written() -> None:
    statement = """select 'it''s $5' as "workerId", $$`a` "b" \\c #$$ as other"""
    with postgres() as server:
        result = make("psql", f"SQL={statement}", **{VARIABLE: server.url, "PAGER": "cat"})
    assert result.returncode == 0, result.stderr
    assert re.search(r"(?m)^ *workerId +\| +other *$", result.stdout)
    assert """it's $5  | `a` "b" \\c #""" in result.stdout


def test_sql_reaches_make_from_the_environment_as_well() -> None:
    result = make("--dry-run", "psql", SQL="""select "a" """)
    assert '--command "$SQL"' in result.stdout
