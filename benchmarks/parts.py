"""What is measured: throughput, start-up, latency, BATCH files, and the whole way into Postgres."""

from __future__ import annotations

import gzip
import json
import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

from benchmarks.contenders import (
    CONTENDERS,
    EMPTY_TAP,
    ITERATE,
    LIMIT,
    MSGSPEC,
    NORMALIZE,
    NOTHING_SELECTED,
    REST,
    SCRIPTS,
    STOCK,
    TAP,
    Contender,
    bin_of,
    emptying,
    install,
    into_files,
    tap,
    write_json,
)
from benchmarks.measure import CACHE, Case, run, say, serving, side_by_side, write

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

SLOW = frozenset({REST, NORMALIZE, MSGSPEC})
"""Take long, and nothing is claimed of them that a few rounds cannot show."""

FEW = 3
LATENCY = 0.1
LARGE = 1_000_000
RECORDS = 200_000
"""Registrations of every part that does not ask for several numbers of them."""
AT_LARGE = (LIMIT, TAP, ITERATE, STOCK)
AT_SMALL = (LIMIT, TAP, STOCK)
STREAMS = 14

RECORDS_ONE = "tap-analytics, one record"
LIMIT_ONE = "limit for Python, one record"
STOCK_ONE = "SDK tap, one record"


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    records: Sequence[int]
    rounds: int
    results: Path


def _ready(contenders: Sequence[Contender]) -> tuple[list[Contender], list[Case]]:
    """Return those that read everything, and a case that says why for each that does not."""
    ready, out = [], []
    for contender in contenders:
        if problem := contender.check():
            say(f"    left out: {problem}")
            out.append(Case(contender.name, [], facts={"skipped": problem.splitlines()[0]}))
        else:
            ready.append(contender)
    return ready, out


def throughput(options: Options) -> None:
    """Measure the whole process at several numbers of records."""
    ready, cases = _ready(list(CONTENDERS.values()))
    for records in options.records:
        middle = records == _middle(options.records)
        with serving(records) as url:
            some = [
                contender.case(url, records, FEW if contender.name in SLOW else options.rounds)
                for contender in ready
                if middle or contender.name in (AT_LARGE if records >= LARGE else AT_SMALL)
            ]
            side_by_side(some, options.rounds)
        cases += some
        write(options.results, "throughput", cases, middle=_middle(options.records))


def _middle(records: Sequence[int]) -> int:
    """Return the number of records at which everybody is measured."""
    return RECORDS if RECORDS in records else sorted(records)[len(records) // 2]


def startup(options: Options) -> None:
    """Measure what a process takes that has nothing, or next to nothing, to do."""
    chosen = [EMPTY_TAP, NOTHING_SELECTED, CONTENDERS[TAP], CONTENDERS[STOCK], CONTENDERS[LIMIT]]
    names = [None, None, RECORDS_ONE, STOCK_ONE, LIMIT_ONE]
    for contender in chosen:
        install(contender.environment)
    rounds = options.rounds * 3
    with serving(1) as url:
        cases = [contender.case(url, 1, rounds, name) for contender, name in zip(chosen, names, strict=True)]
        for case in cases:
            run(case)  # what is compiled or read for the first time
        side_by_side(cases, rounds)
    write(options.results, "startup", cases)


def latency(options: Options) -> None:
    """Measure what 100 ms a request add, to twenty pages and to a sync of all streams while they are small."""
    records = RECORDS
    one = Contender(f"{TAP}, max_in_flight 1", TAP, tap("registrations_initial", max_in_flight=1))
    chosen = [CONTENDERS[TAP], one, CONTENDERS[LIMIT], CONTENDERS[STOCK]]
    for contender in chosen:
        install(contender.environment)
    cases = []
    with ExitStack() as stack:
        for seconds in (0.0, LATENCY):
            url = stack.enter_context(serving(records, seconds))
            for contender in chosen:
                case = contender.case(url, records, 1 if contender.name == STOCK else options.rounds)
                case.facts["latency"] = seconds
                case.before, case.after = _both(case.before, _counting(url)), _counting(url)
                cases.append(case)
            cases += _small_streams(options, stack, seconds)
        side_by_side(cases, options.rounds)
    write(options.results, "latency", cases, seconds=LATENCY)


def _both(one: Callable[[], object] | None, other: Callable[[], object]) -> Callable[[], object]:
    def call() -> None:
        if one:
            one()
        other()

    return call


def _counting(url: str) -> Callable[[], Mapping[str, Any]]:
    def count() -> dict[str, Any]:
        with urlopen(f"{url}/counted") as answer:  # noqa: S310 - the address is ours
            found: dict[str, Any] = json.load(answer)
        return found

    return count


def _small_streams(options: Options, stack: ExitStack, latency: float) -> list[Case]:
    """Return a full sync of all streams of the sandbox, with and without requests ahead."""
    from demo.project import sandbox  # noqa: PLC0415 - brings in what would count as memory of a child

    log = CACHE / f"sandbox-{latency}.log"
    log.unlink(missing_ok=True)  # its first line is the address
    now = datetime.now(UTC).isoformat(timespec="seconds")
    api = stack.enter_context(sandbox(log, "--now", now, "--latency", str(latency)))
    cases = []
    for in_flight in (4, 1):
        config = write_json(
            CACHE / f"all-{latency}-{in_flight}.json",
            {"base_url": api.url, "api_key": api.api_key, "max_in_flight": in_flight},
        )
        case = Case(
            f"all streams, max_in_flight {in_flight}",
            [str(bin_of(TAP) / TAP), "--config", config],
            rounds=options.rounds,
            facts={"latency": latency},
        )
        case.before, case.after = _watching(api.url)
        cases.append(case)
    return cases


def _watching(url: str) -> tuple[Callable[[], object], Callable[[], Mapping[str, Any]]]:
    """Return what to call before and after a run to learn what it asked of the sandbox."""
    seen = 0

    def before() -> None:
        nonlocal seen
        seen = len(_asked(url))

    def after() -> dict[str, Any]:
        asked = _asked(url)[seen:]
        return {"requests": len(asked), "most_in_flight": max(request["in_flight"] for request in asked)}

    return before, after


def _asked(url: str) -> list[dict[str, Any]]:
    with urlopen(f"{url}/_sandbox/requests") as answer:  # noqa: S310 - the address is ours
        found: list[dict[str, Any]] = json.load(answer)
    return found


def batch(options: Options) -> None:
    """Measure the writing of BATCH files."""
    records = RECORDS
    cases = []
    install(TAP)
    install("sdk")
    with serving(records) as url:
        for name in (TAP, STOCK):
            place = CACHE / "batches" / name.replace(" ", "-")
            settings = {"batch_config": into_files(place)}
            keep = CACHE / "work" / f"batch-{name.replace(' ', '-')}"
            keep.mkdir(parents=True, exist_ok=True)
            if name == TAP:
                command = tap("registrations_initial", **settings)(url, keep)
            else:
                config = write_json(keep / "config.json", {"base_url": url, "api_key": "key"} | settings)
                command = [str(bin_of("sdk") / "python"), str(SCRIPTS / "sdk_tap.py"), "stock", "--config", config]
            cases.append(Case(name, command, records, options.rounds, before=emptying(place), after=_weighing(place)))
        side_by_side(cases, options.rounds)
    write(options.results, "batch", cases)
    shutil.rmtree(CACHE / "batches", ignore_errors=True)


def _weighing(place: Path) -> Callable[[], Mapping[str, Any]]:
    def weigh() -> dict[str, Any]:
        files = [path for path in place.iterdir() if path.is_file()]
        lines = 0
        for path in files:
            with gzip.open(path) as file:
                lines += sum(1 for _ in file)
        return {"files": len(files), "bytes": sum(path.stat().st_size for path in files), "read_back": lines}

    return weigh


def warehouse(options: Options) -> None:
    """Measure the whole way into Postgres, and its two halves alone."""
    from benchmarks.warehouse import ready  # noqa: PLC0415 - brings in what would count as memory of a child

    rounds = min(options.rounds, FEW)
    with serving(RECORDS) as url, ready(url, RECORDS) as cases:
        side_by_side(cases, rounds)
        write(options.results, "warehouse", cases)


PARTS: Mapping[str, Callable[[Options], None]] = {
    part.__name__: part for part in (throughput, startup, latency, batch, warehouse)
}
