"""What the README says in numbers, from the results of the benchmarks and from what the tests go through."""

from __future__ import annotations

import json
import re
from textwrap import fill
from typing import TYPE_CHECKING

from benchmarks.contenders import (
    DLT_INTO_POSTGRES,
    EMPTY,
    EXTRACT,
    FAST_INTO_POSTGRES,
    INTO_POSTGRES,
    NOTHING,
    STOCK,
    TAP,
)
from benchmarks.measure import Result
from benchmarks.report import seconds, times

if TYPE_CHECKING:
    from pathlib import Path


COMPLETE = """\
Rows that move while pages are read, servers that cap pages, late updates, runs that are killed: made good, or an error
that says what to do. [The guarantees](docs/guarantees.md) list {faults} faults, each injected by a test."""

COMPATIBLE = """\
{configurations} `rest_api` configurations were read by dlt, and a test reads each with the tap: the result is the same,
or one of the [departures](docs/from-dlt.md), each with its reason."""


def bullets(root: Path) -> str:
    """Return why the tap is better than others, in four points."""
    results = root / "benchmarks" / "results"
    measured = "[Measured](docs/performance.md) side by side, and made again by one command."
    points = {
        "Fast": " ".join([*_speed(results), measured]),
        "Small": " ".join([*_size(results), "Memory hardly grows with what is read: by eight bytes a record."]),
        "Complete": COMPLETE.format(faults=_faults(root)),
        "Compatible": COMPATIBLE.format(configurations=_configurations(root)),
    }
    return "\n".join(
        fill(f"- **{name}.** {text}", 120, subsequent_indent="  ", break_on_hyphens=False)
        for name, text in points.items()
    )


def _speed(results: Path) -> list[str]:
    read, loaded = Result(results, "throughput"), Result(results, "warehouse")
    records = read.facts["middle"]
    ours = read.median(TAP, records)
    slower = {"a tap made with the Singer SDK": STOCK, "dlt's extraction": EXTRACT}
    than = [
        f"{ratio} as fast as {what}" for what, name in slower.items() if (ratio := _ratio(read, name, TAP, records))
    ]
    sentences = [f"{records:,} records in {seconds(ours)}, {', '.join(than)}."] if ours and than else []
    for loader, name in (("target-postgres-fast", FAST_INTO_POSTGRES), ("target-postgres", INTO_POSTGRES)):
        if ratio := _ratio(loaded, DLT_INTO_POSTGRES, name):
            return [*sentences, f"From the API into PostgreSQL, with `{loader}`, {ratio} as fast as a dlt pipeline."]
    return sentences


def _ratio(result: Result, slow: str, fast: str, records: int | None = None) -> str | None:
    pair = result.median(slow, records), result.median(fast, records)
    return times(*pair) if all(pair) else None


def _size(results: Path) -> list[str]:
    read, startup = Result(results, "throughput"), Result(results, "startup")
    largest = max(case["records"] for case in read.cases if case["name"] == TAP and case["runs"])
    memory, start, empty = read.median(TAP, largest, "memory"), startup.median(NOTHING), startup.median(EMPTY)
    sentences = [f"{memory:.0f} MB of memory for {largest:,} records."] if memory else []
    if start and empty:
        sentences.append(f"Starts in {seconds(start)}, an empty tap of the SDK in {seconds(empty)}.")
    return sentences


def _faults(root: Path) -> int:
    page = (root / "docs" / "guarantees.md").read_text(encoding="utf-8")
    tables = re.findall(r"(?m)^\| what goes wrong .*\n\|.*\n((?:\|.*\n)+)", page)
    return sum(rows.count("\n") for rows in tables)


def _configurations(root: Path) -> int:
    return len(json.loads((root / "tests" / "parity" / "expected.json").read_text(encoding="utf-8"))["cases"])
