"""The benchmark: its API serves everything, and its page says what the results hold and nothing else."""

from __future__ import annotations

import re
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from benchmarks import report
from benchmarks.api import Api
from benchmarks.contenders import (
    DLT_INTO_POSTGRES,
    EXTRACT,
    FAST_BY_FILES,
    FAST_INTO_POSTGRES,
    ORDERS,
    REGISTRATIONS,
    SLING,
    STOCK,
    TAP,
    Feed,
    declared,
)
from benchmarks.measure import CACHE, Case, FailedError, Measured, Run, Turns, side_by_side, write
from benchmarks.plot import TIMES
from benchmarks.records import Records
from tests.singer import run_tap

if TYPE_CHECKING:
    from pathlib import Path

COUNT = 25


@pytest.mark.parametrize(
    "feed", [REGISTRATIONS, ORDERS, replace(ORDERS, paging="page"), replace(ORDERS, paging="cursor")], ids=str
)
def test_its_api_gives_the_tap_every_record(tmp_path: Path, feed: Feed) -> None:
    server = Api(Records(tmp_path, feed.stream, COUNT), latency=0.0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        run = run_tap(declared(f"http://127.0.0.1:{server.server_port}", replace(feed, limit=10)))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert run.returncode == 0
    assert len({record["id"] for record in run.records[feed.stream]}) == COUNT


def measured(part: str, seconds: dict[str, float], **facts: Any) -> Measured:  # noqa: ANN401
    """Return results of 200,000 records, with a peak of memory of 100 MB."""
    cases = [Case(name, [], 200_000, runs=[Run(wall, wall, 100.0)]) for name, wall in seconds.items()]
    return Measured(cases, {"middle": 200_000, "page": 10_000, "versions": [f"{part} 1.2.3"], **facts})


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Give a folder with results of three parts."""
    folder = tmp_path / "results"
    flat = measured("flat", {TAP: 2.0, STOCK: 40.0, EXTRACT: 12.0, SLING: 10.0})
    flat.cases[-1].facts["read"] = 20_000
    write(folder, "throughput", 60, flat)
    nested = measured("nested", {TAP: 2.0, STOCK: 32.0})
    skipped = Case(EXTRACT, [], facts={"skipped": f"{EXTRACT} read 7 of 12000 orders"})
    write(folder, "nested", 120, replace(nested, cases=[*nested.cases, skipped]))
    return folder


def test_its_page_has_the_ratios_of_what_was_measured(tmp_path: Path, results: Path) -> None:
    page = report.write(results, tmp_path).read_text()
    assert re.findall(r"^\| (\w+) records \| (.+?) / tap-analytics \| ([\d.]+)", page, flags=re.MULTILINE) == [
        ("flat", STOCK, "20.0"),
        ("flat", EXTRACT, "6.0"),
        ("nested", STOCK, "16.0"),
    ]
    assert "- sling has read 20,000 of them; its times are multiplied by 10." in page
    assert f"| sling | 100.0 s | 100.0 s | 100 MB | 50.0 {TIMES}" in page
    assert f"- left out: {EXTRACT} read 7 of 12000 orders" in page
    assert "flat 1.2.3, nested 1.2.3" in page
    absent = ("Start-up", "Latency", "BATCH files", "Into Postgres", "What nesting costs")
    assert not [title for title in absent if f"## {title}" in page]


def test_its_picture_has_loading_beside_reading(tmp_path: Path, results: Path) -> None:
    seconds_by_case = {FAST_BY_FILES: 10.0, FAST_INTO_POSTGRES: 12.0, DLT_INTO_POSTGRES: 60.0}
    write(results, "warehouse", 60, measured("postgres", seconds_by_case))
    report.write(results, tmp_path)
    picture = ET.parse(tmp_path / "performance.svg").getroot()  # noqa: S314 - it is our own
    texts = [text.text or "" for text in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert {"Reading 200,000 records", "Loading 200,000 records into Postgres"} <= {*texts}
    assert f"60.0 s  (6.0 {TIMES})" in texts
    foot = "".join(texts[-2:])
    assert "flat\N{NO-BREAK SPACE}1.2.3, postgres\N{NO-BREAK SPACE}1.2.3" in foot
    assert re.search(r"cores, .* Python \d.* measured \d{4}-\d\d-\d\d\.", foot)


def test_what_takes_long_has_fewer_rounds_and_what_delivers_too_little_is_left_out() -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    nothing = [sys.executable, "-S", "-c", ""]

    def incomplete() -> dict[str, Any]:
        raise FailedError("1 of 2 rows")  # noqa: EM101, TRY003 - what the benchmark would say

    quick, long, claimed, bad = (
        Case("quick", nothing),
        Case("long", nothing, runs=[Run(50.0, 50.0, 1.0)]),
        Case("claimed", nothing, runs=[Run(50.0, 50.0, 1.0)], least=2),
        Case("bad", nothing, after=incomplete),
    )
    side_by_side([quick, long, claimed, bad], Turns(3, patience=30))
    assert [len(case.runs) for case in (quick, long, claimed, bad)] == [3, 1, 2, 0]
    assert bad.facts == {"skipped": "1 of 2 rows"}
