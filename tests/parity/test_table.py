"""The table and dlt's file speak of the same cases, and depart where they say so."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.parity.expect import FILE
from tests.parity.table import CASES, ENOUGH, PAGINATORS

GUIDE = (Path(__file__).parents[2] / "docs" / "from-dlt.md").read_text(encoding="utf-8")

RESULTS: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
EXPECTED: dict[str, Any] = RESULTS["cases"]
DLT: str = RESULTS["dlt"]


def test_every_case_has_a_name_of_its_own() -> None:
    assert [name for name, times in Counter(case.name for case in CASES).items() if times > 1] == []


def test_the_file_has_every_case_of_the_table_and_no_other() -> None:
    assert list(EXPECTED) == [case.name for case in CASES], "run `python -m tests.parity.expect` (see its docstring)"


@pytest.mark.parametrize("kind", PAGINATORS)
def test_every_paginator_has_enough_cases(kind: str) -> None:
    assert sum(case.about == kind for case in CASES) >= ENOUGH


def test_what_is_expected_of_the_tap_is_either_dlt_or_a_departure_that_is_stated() -> None:
    for case in CASES:
        of_dlt = EXPECTED[case.name]
        if case.departure is None:
            # Where dlt fails, the tap fails in words of its own.
            assert case.records is None, case.name
            assert (case.error is not None) == ("error" in of_dlt), case.name
        else:
            assert (case.records is None) == (case.error is not None), case.name


def test_a_departure_departs() -> None:
    for case in CASES:
        of_dlt = EXPECTED[case.name]
        if case.records is not None:
            assert case.records != of_dlt.get("records"), case.name
        elif case.departure is not None:
            # To fail where dlt would never end is a departure, too.
            assert "records" in of_dlt or of_dlt["error"] == "endless", case.name


def test_records_are_expected_of_the_streams_that_a_case_names() -> None:
    for case in CASES:
        for records in (case.records, EXPECTED[case.name].get("records")):
            assert records is None or records.keys() == set(case.streams), case.name


def test_the_guide_has_every_departure_and_no_other() -> None:
    section = GUIDE.partition("## Departures from dlt")[2].partition("Further differences")[0]
    named = re.findall(r"(?m)^\| [^|]+ \| ([^|]+)\. \| [^|]*\|$", section)
    stated = {case.departure for case in CASES if case.departure is not None}
    assert {text[0].lower() + text[1:] for text in named} == {text[0].lower() + text[1:] for text in stated}
    assert f"{len(CASES)} configurations with dlt {DLT.rpartition('.')[0]}" in " ".join(section.split())
