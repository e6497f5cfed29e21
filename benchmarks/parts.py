"""What is measured: flat and nested records, start-up, latency, BATCH files, and the whole way into Postgres."""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

from benchmarks.contenders import (
    CONTENDERS,
    DECLARED,
    EMPTY_TAP,
    EXTRACT,
    FLAT,
    ITERATE,
    LIMIT,
    NESTED,
    NOTHING_SELECTED,
    ORDERS,
    REGISTRATIONS,
    STOCK,
    TAP,
    THRICE,
    Contender,
    Feed,
    bin_of,
    emptying,
    install,
    into_files,
    sdk,
    tap,
    version,
    write_json,
)
from benchmarks.measure import CACHE, Case, FailedError, Measured, Turns, run, say, serving, shape, side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

LATENCY = 0.1
STREAMS = 14
SMALL, LARGE = 0.5, 5
"""The other sizes, as multiples of the number of records."""
AT_SMALL = (LIMIT, TAP, DECLARED, STOCK)
AT_LARGE = (LIMIT, TAP, DECLARED, ITERATE, STOCK)

RECORDS_ONE = "tap-analytics, one record"
LIMIT_ONE = "limit for Python, one record"
STOCK_ONE = "SDK tap, one record"


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    records: int
    turns: Turns


def throughput(options: Options) -> Measured:
    """Measure flat records: registrations, by everybody, and at three sizes by some."""
    return _sizes(FLAT, REGISTRATIONS, options)


def nested(options: Options) -> Measured:
    """Measure nested records: orders with a customer, an address and three lines, likewise."""
    return _sizes(NESTED, ORDERS, options)


def encoder(_options: Options) -> Measured:
    """Measure what the tap's encoder takes for a record, flat and nested, with fields deselected."""
    output = CACHE / "output"
    case = Case("encoder", [sys.executable, "-m", "benchmarks.encoder"])
    run(case, output)
    return Measured([case], {"costs": json.loads(output.read_text()), "versions": [version(TAP)]})


def _sizes(contenders: Sequence[Contender], feed: Feed, options: Options) -> Measured:
    """Measure all contenders at the number of records that is asked for, and some with fewer and with more."""
    ready, cases = _ready(contenders, feed)
    middle = options.records
    sizes = {int(middle * SMALL): AT_SMALL, middle: None, middle * LARGE: AT_LARGE}
    for records, names in sizes.items():
        with ExitStack() as stack:
            urls: dict[int, str] = {}
            some = []
            for contender in ready:
                if names is not None and contender.name not in names:
                    continue
                read = records // contender.share
                if read not in urls:
                    urls[read] = stack.enter_context(serving(feed.stream, read))
                case = contender.case(urls[read], records, feed)
                if read != records:
                    case.facts["read"] = read
                if names is AT_LARGE:
                    case.least = 1  # what is slow takes minutes
                some.append(case)
            side_by_side(some, options.turns)
        cases += some
    facts = {"middle": middle, "page": feed.limit, "shape": shape(feed.stream, middle)}
    return Measured(cases, facts | {"versions": _versions(ready)})


def _ready(contenders: Iterable[Contender], feed: Feed) -> tuple[list[Contender], list[Case]]:
    """Return those that read everything, and a case that says why for each that does not."""
    ready, out = [], []
    for contender in contenders:
        if problem := contender.check(feed):
            say(f"    left out: {problem}")
            out.append(Case(contender.name, [], facts={"skipped": problem.splitlines()[0]}))
        else:
            ready.append(contender)
    return ready, out


def _versions(contenders: Iterable[Contender]) -> list[str]:
    """Return the versions of what is measured, each once."""
    return list(dict.fromkeys(version(contender.environment) for contender in contenders if contender.name != LIMIT))


def startup(options: Options) -> Measured:
    """Measure what a process takes that has nothing, or next to nothing, to do."""
    chosen = [EMPTY_TAP, NOTHING_SELECTED, CONTENDERS[TAP], CONTENDERS[STOCK], CONTENDERS[LIMIT]]
    names = [None, None, RECORDS_ONE, STOCK_ONE, LIMIT_ONE]
    for contender in chosen:
        install(contender.environment)
    with serving(REGISTRATIONS.stream, 1) as url:
        cases = [contender.case(url, 1, REGISTRATIONS, name) for contender, name in zip(chosen, names, strict=True)]
        for case in cases:
            run(case)  # what is compiled or read for the first time
        side_by_side(cases, replace(options.turns, rounds=options.turns.rounds * 3))
    return Measured(cases, {"versions": _versions(chosen)})


def latency(options: Options) -> Measured:
    """Measure what 100 ms a request add: by offset, page number and cursor, and to a sync of all streams."""
    one = Contender(f"{TAP}, max_in_flight 1", TAP, tap("registrations_initial", max_in_flight=1))
    chosen = [CONTENDERS[TAP], one, CONTENDERS[LIMIT], CONTENDERS[STOCK]]
    for contender in chosen:
        install(contender.environment)
    cases: list[Case] = []
    with ExitStack() as stack:
        for seconds in (0.0, LATENCY):
            url = stack.enter_context(serving(REGISTRATIONS.stream, options.records, seconds))
            cases += [
                _counted(contender, url, options.records, REGISTRATIONS, {"latency": seconds}) for contender in chosen
            ]
            cases[-1].rounds = 1  # it takes long, and is not what this is about
            cases += _small_streams(stack, seconds)
        paginated, out = _paginated(stack, options)
        side_by_side(cases + paginated, options.turns)
    facts = {"seconds": LATENCY, "records": options.records, "page": REGISTRATIONS.limit}
    orders = {"orders": int(options.records * SMALL), "orders_page": ORDERS.limit}
    return Measured(cases + paginated + out, facts | orders | {"versions": _versions(chosen)})


def _paginated(stack: ExitStack, options: Options) -> tuple[list[Case], list[Case]]:
    """Return cases of orders by page number and by cursor, late; of the tap at once, too; and those left out."""
    records = int(options.records * SMALL)
    urls = {late: stack.enter_context(serving(ORDERS.stream, records, late)) for late in (0.0, LATENCY)}
    cases, out = [], []
    for paging in ("page", "cursor"):
        feed = replace(ORDERS, paging=paging)
        ready, unready = _ready((one for one in NESTED if one.name in (TAP, EXTRACT, STOCK)), feed)
        out += unready
        for contender in ready:
            cases += [
                _counted(contender, url, records, feed, {"latency": late, "paging": paging})
                for late, url in urls.items()
                if late or contender.name == TAP
            ]
    return cases, out


def _counted(contender: Contender, url: str, records: int, feed: Feed, facts: Mapping[str, Any]) -> Case:
    """Return a case whose facts will say how many requests it sent, and how many at once."""
    case = contender.case(url, records, feed)
    case.facts |= facts
    case.label = [feed.paging, f"{facts['latency'] * 1000:.0f} ms late"]
    case.before, case.after = _both(case.before, _counting(url)), _counting(url)
    return case


def _both(one: Callable[[], object] | None, other: Callable[[], object]) -> Callable[[], object]:
    def call() -> None:
        if one:
            one()
        other()

    return call


def _counting(url: str) -> Callable[[], Mapping[str, Any]]:
    def count() -> dict[str, Any]:
        with urlopen(f"{url}/counted") as answer:  # noqa: S310 - the address is ours
            answered: dict[str, Any] = json.load(answer)
        return answered

    return count


def _small_streams(stack: ExitStack, latency: float) -> list[Case]:
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
        answered: list[dict[str, Any]] = json.load(answer)
    return answered


def batch(options: Options) -> Measured:
    """Measure the writing of BATCH files."""
    cases = []
    ours, theirs = (CACHE / "batches" / name for name in ("tap", "sdk"))
    chosen = {
        ours: Contender(TAP, TAP, tap("registrations_initial", batch_config=into_files(ours))),
        theirs: Contender(STOCK, "sdk", sdk("stock", batch_config=into_files(theirs)), least=THRICE),
    }
    with serving(REGISTRATIONS.stream, options.records) as url:
        for folder, contender in chosen.items():
            install(contender.environment)
            case = contender.case(url, options.records, REGISTRATIONS)
            case.before, case.after = emptying(folder), _weighing(folder, options.records)
            cases.append(case)
        side_by_side(cases, options.turns)
    shutil.rmtree(CACHE / "batches", ignore_errors=True)
    return Measured(cases, {"versions": _versions(chosen.values())})


def _weighing(folder: Path, records: int) -> Callable[[], Mapping[str, Any]]:
    def weigh() -> dict[str, Any]:
        files = [path for path in folder.iterdir() if path.is_file()]
        lines = 0
        for path in files:
            with gzip.open(path) as file:
                lines += sum(1 for _ in file)
        if lines != records:
            msg = f"the BATCH files hold {lines} of {records} records"
            raise FailedError(msg)
        return {"files": len(files), "bytes": sum(path.stat().st_size for path in files), "read_back": lines}

    return weigh


def warehouse(options: Options) -> Measured:
    """Measure the whole way into Postgres, its two halves alone, and a plain COPY."""
    from benchmarks.warehouse import ready  # noqa: PLC0415 - brings in what would count as memory of a child

    with serving(REGISTRATIONS.stream, options.records) as url, ready(url, options.records) as (cases, versions):
        side_by_side(cases, options.turns)
    return Measured(cases, {"versions": versions})


PARTS: Mapping[str, Callable[[Options], Measured]] = {
    part.__name__: part for part in (throughput, nested, encoder, startup, latency, batch, warehouse)
}
