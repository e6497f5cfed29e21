"""One row of the fault matrix: what goes wrong, and what must come of it."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pytest

from sandbox import Fault, Sandbox
from tests.conftest import settings, shipped
from tests.singer import Run, Started, exact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

HEALTHY = "labels"
"""A stream that nothing happens to, read by every run before the one that is in trouble."""

LOCATIONS = ("header", "query")

STREAM = "workers"
PATH = "/v1/master/workers"

SMALL: Mapping[str, Any] = {
    "days": 20,
    "registrations": 120,
    "sessions": 60,
    "resources": 30,
    "workers": 12,
    "rows": 15,
}

Records = Literal["all", "all, some twice", "none"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of the matrix: the stream is read while some faults happen to its requests."""

    what: str
    """What goes wrong, in words for users."""
    faults: tuple[Fault, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    sandbox: Mapping[str, Any] = field(default_factory=dict)
    prepare: Callable[[Sandbox], object] | None = None
    """What is done to the sandbox before the run."""
    stream: str = STREAM
    exit_code: int = 0
    """What the run ends with."""
    records: Records | int = "all"
    """Which records of the server come out: each once."""
    requests: int | None = None
    """Requests for the stream that the server sees."""
    says: tuple[str, ...] = ()
    """Words that stand in one line of the log."""
    why: str = ""
    """What the table says beside what it can tell from the other facts."""
    slow: bool = False


def params(rows: Iterable[Row]) -> list[Any]:
    """Return rows as the parameters of a test."""
    return [pytest.param(row, id=row.what, marks=[pytest.mark.slow] if row.slow else []) for row in rows]


def both(row: Row) -> list[Run]:
    """Run the tap for a row with the key in the header and in the query, at once; check what comes of each."""
    with ExitStack() as stack:
        runs = []
        for location in LOCATIONS:
            sandbox = stack.enter_context(Sandbox(**{**SMALL, **row.sandbox, "auth_location": location}))
            sandbox.misbehave(*row.faults)
            if row.prepare:
                row.prepare(sandbox)
            config = settings(
                sandbox, auth_location=location, resources=[shipped(HEALTHY), shipped(row.stream)]
            ) | dict(row.config)
            runs.append((sandbox, Started(config)))
        ended = [(started.finish(), sandbox) for sandbox, started in runs]
        return [verify(row, run, sandbox) for run, sandbox in ended]


def verify(row: Row, run: Run, sandbox: Sandbox) -> Run:
    """Check a run against its row."""
    assert run.returncode == row.exit_code, run.stderr
    assert "Traceback" not in run.stderr
    assert exact(run.records[HEALTHY]) == exact(sandbox.world.records(HEALTHY))
    emitted = run.records.get(row.stream, [])
    if isinstance(row.records, int):
        assert len(emitted) == row.records
    else:
        served = sandbox.world.records(resource_of(row.stream))
        if row.records == "all, some twice":
            assert sorted(map(str, served)) == sorted({str(record) for record in emitted})
        else:
            assert exact(emitted) == (exact(served) if row.records == "all" else [])
    if row.requests is not None:
        asked = Counter(request.path.rpartition("/")[2] for request in sandbox.requests)
        assert asked[resource_of(row.stream)] == row.requests, run.stderr
    if row.says:
        assert run.said(*row.says), run.stderr
    elif row.exit_code == 0:
        assert not run.problems
    if row.exit_code == 1:
        last = run.stderr.splitlines()[-1]
        assert "Failed: " in last, run.stderr
        assert row.stream in last, run.stderr
    return run


def resource_of(stream: str) -> str:
    """Return the last part of the path of a shipped stream."""
    return stream.replace("_groups", "groups").removesuffix("_initial").removesuffix("_incremental")


def text(row: Row) -> tuple[str, str, str, str]:
    """Return a row of the table: what goes wrong, what the tap does, the exit code, what the user reads."""
    named = {
        "all": "every record, once",
        "all, some twice": "every record, some twice",
        "none": "no record of the stream",
    }
    came = named.get(str(row.records), f"{row.records} records")
    asked = "" if row.requests is None else f"{row.requests} request{'s' * (row.requests != 1)}; "
    does = f"{asked}{came}" + (f"; {row.why}" if row.why else "")
    return row.what, does, str(row.exit_code), " … ".join(row.says) or "nothing"
