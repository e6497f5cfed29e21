"""The page about performance and its picture, made from the files of results and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks import parts
from benchmarks.contenders import (
    BY_FILES,
    DECLARED,
    DLT_INTO_POSTGRES,
    EMPTY,
    EXTRACT,
    FAST_BY_FILES,
    FAST_FROM_LINES,
    FAST_INTO_POSTGRES,
    FLAT,
    FROM_LINES,
    INTO_POSTGRES,
    LIMIT,
    LOADERS_ALONE,
    NESTED,
    NOTHING,
    PLAIN_COPY,
    RESOURCE,
    SAMPLED,
    STOCK,
    TAP,
    TO_LINES,
)
from benchmarks.measure import Result
from benchmarks.plot import LIMIT as LIMIT_BAR
from benchmarks.plot import OTHER, OURS, TIMES, Bar, Panel, draw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

NAME = "performance"
NONE = "\N{EN DASH}"
ALL = "all streams, max_in_flight 4"
PAGINGS = {"page": "by page number", "cursor": "by cursor"}

HEAD = """\
<!-- Made by `python -m benchmarks` from benchmarks/results; do not edit by hand. -->
# Performance

A tap's work is: bytes in, lines out. What is compared here reads the same API over the same loopback connection:
records made up beforehand, served by a process that does next to nothing. Times are those of the whole process,
start-up included; the output goes to `/dev/null`, unless a database is named. A number is the median of the runs that
were made, and the runs take turns, so that whatever else the machine does meets them all.
"""

REPEAT = """\
## How to repeat it

    make test                                  # or anything else that makes .venv
    .venv/bin/python -m benchmarks             # everything; writes this page
    .venv/bin/python -m benchmarks --quick     # one round of a tenth of the records; into .cache/benchmarks
    .venv/bin/python -m benchmarks --help      # the parts, and how long each takes

`python -m benchmarks nested latency` measures these parts and leaves the other results as they are; `page` only writes
the page anew. Each contender gets an environment of its own in `.cache/benchmarks`, at the versions of the lists in
`benchmarks/programs`, its files compiled. What cannot be installed is left out, and so is what does not deliver every
record: each reads 12,000 beforehand, and the lines of files and the rows of tables are counted after each run. The page
says who is left out. What takes long has fewer rounds. Memory is the peak of the largest process, as the system counts
it. The limit for Python is `benchmarks/programs/limit.py`: fetch with `requests`, split with `msgspec` into records
that stay as they came, write; nothing is checked or remembered.
"""


def write(results: Path, docs: Path) -> Path:
    """Write the page of the results that there are, and its picture; return the page."""
    outcomes = {part: Result(results, part) for part in parts.PARTS if (results / f"{part}.json").exists()}
    sections = [HEAD]
    if panels := _panels(outcomes):
        (docs / f"{NAME}.svg").write_text(draw(panels, _foot(outcomes)))
        sections.append(f"![{'; '.join(panel.title for panel in panels)}]({NAME}.svg)\n")
    sections += filter(None, [_ratios(outcomes)])
    for part, section in SECTIONS.items():
        if part in outcomes:
            sections += filter(None, [section(outcomes), _left_out(outcomes[part])])
    if outcomes:
        sections.append(_machine(outcomes.values()))
    sections.append(REPEAT)
    page = docs / f"{NAME}.md"
    page.write_text("\n".join(sections))
    return page


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown, its numbers to the right."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, rule, *rows))


def seconds(value: float | None) -> str:
    """Return a time as a table shows it."""
    return NONE if value is None else f"{value:.2f} s" if value < 10 else f"{value:.1f} s"  # noqa: PLR2004 - three digits


def times(slow: float | None, fast: float | None) -> str:
    """Return how many times longer one takes than the other."""
    return NONE if not slow or not fast else f"{slow / fast:.1f} {TIMES}"


@dataclass(frozen=True)
class Claim:
    """Two that are compared, and what their ratio is meant to be."""

    part: str
    what: str
    slow: str
    fast: str
    goal: str = NONE
    times: int = 1
    """The number of records, as a multiple of the usual one."""
    facts: Mapping[str, Any] = field(default_factory=dict)

    def row(self, result: Result) -> list[str] | None:
        """Return the row of a table, if both were measured."""
        records = (result.facts.get("middle") or 0) * self.times or None
        slow, fast = (
            [result.median(name, records, of, **self.facts) for of in ("wall", "cpu")]
            for name in (self.slow, self.fast)
        )
        if not (slow[0] and fast[0]):
            return None
        ratios = [times(one, other) for one, other in zip(slow, fast, strict=True)]
        what = f"{records:,} {self.what}" if records and self.times > 1 else self.what
        return [what, f"{self.slow} / {self.fast}", *ratios, self.goal]


_LATER = f"{parts.LATENCY * 1000:.0f} ms late"
CLAIMS = (
    Claim("throughput", "flat records", STOCK, TAP),
    Claim("throughput", "flat records", STOCK, TAP, times=parts.LARGE),
    Claim("throughput", "flat records", EXTRACT, TAP),
    Claim("nested", "nested records", STOCK, TAP, f"at least 15 {TIMES}"),
    Claim("nested", "nested records", STOCK, TAP, f"at least 15 {TIMES}", times=parts.LARGE),
    Claim("nested", "nested records", EXTRACT, TAP, f"at least 5 {TIMES}"),
    *(
        Claim("latency", f"nested, {how}, {_LATER}", slow, TAP, facts={"latency": parts.LATENCY, "paging": paging})
        for paging, how in PAGINGS.items()
        for slow in (STOCK, EXTRACT)
    ),
    Claim("warehouse", "API to Postgres, by lines", DLT_INTO_POSTGRES, FAST_INTO_POSTGRES, f"at least 4 {TIMES}"),
    Claim("warehouse", "API to Postgres, by files", DLT_INTO_POSTGRES, FAST_BY_FILES, f"at least 6 {TIMES}"),
    Claim("warehouse", "lines to Postgres", FAST_FROM_LINES, PLAIN_COPY, f"at most 3 {TIMES}"),
)


def _ratios(outcomes: dict[str, Result]) -> str:
    rows = [row for claim in CLAIMS if claim.part in outcomes and (row := claim.row(outcomes[claim.part]))]
    if not rows:
        return ""
    text = [
        "## In ratios\n",
        "How many times the seconds of the second the first takes, in runs that took turns, and the project's goal:\n",
        table(["", "first / second", "wall", "CPU", "goal"], rows),
    ]
    text += filter(None, [_memory(outcomes[part]) for part in ("throughput", "nested") if part in outcomes])
    return "\n".join(text)


def _memory(result: Result) -> str:
    peaks = {size: peak for size in _sizes(result) if (peak := result.median(TAP, size, "memory"))}
    if len(peaks) < 2:  # noqa: PLR2004 - it is about growth
        return ""
    stream = "flat" if result.facts["part"] == "throughput" else "nested"
    each = ", ".join(f"{peak:.0f} MB for {size:,}" for size, peak in peaks.items())
    return f"Peak memory of {TAP}, {stream} records: {each}.\n"


def _sizes(result: Result) -> list[int]:
    return sorted({case["records"] for case in result.cases if case["runs"]})


def _throughput(outcomes: dict[str, Result]) -> str:
    result = outcomes["throughput"]
    text = _read(result, "registrations", [contender.name for contender in FLAT])
    if "startup" in outcomes:
        text.append(_past_startup(result, outcomes["startup"]))
    return "\n".join(filter(None, text))


def _nested(outcomes: dict[str, Result]) -> str:
    what = (
        "Each order has a customer with an address, and three lines. tap-analytics reads a declared resource "
        "and infers its schema; one row has the schema declared, too.\n"
    )
    text = _read(outcomes["nested"], "orders", [contender.name for contender in NESTED])
    return "\n".join(filter(None, [text[0], what, *text[1:]]))


def _read(result: Result, stream: str, names: Sequence[str]) -> list[str]:
    middle = result.facts["middle"]
    fast = result.median(TAP, middle)
    rows = [
        [
            f"**{name}**" if name == TAP else name,
            seconds(result.median(name, middle)),
            seconds(result.median(name, middle, "cpu")),
            f"{result.median(name, middle, 'memory'):.0f} MB",
            NONE if name == TAP else times(result.median(name, middle), fast),
            str(len(case["runs"])),
        ]
        for name in _by_time(result, names, middle)
        if (case := result.find(name, middle))
    ]
    return [
        f"## {middle:,} {stream}\n",
        _shape(result),
        table(["", "wall", "CPU", "peak memory", "tap-analytics is faster by", "runs"], rows),
        _partly(result, middle),
        _growth(result, names),
    ]


def _shape(result: Result) -> str:
    if not (shape := result.facts.get("shape")):
        return ""
    return f"{shape['bytes']} bytes and {shape['members']} fields each, in pages of {result.facts['page']:,}.\n"


def _by_time(result: Result, names: Iterable[str], records: int) -> list[str]:
    known = [name for name in names if result.median(name, records) is not None]
    return sorted(known, key=lambda name: result.median(name, records) or 0.0)


def _partly(result: Result, middle: int) -> str:
    return "".join(
        f"- {case['name']} has read {case['read']:,} of them; its times are multiplied by {middle / case['read']:g}.\n"
        for case in result.cases
        if "read" in case and case["records"] == middle and case["runs"]
    )


def _left_out(result: Result) -> str:
    lines = [f"- left out: {case['skipped']}\n" for case in result.cases if "skipped" in case]
    return "".join(dict.fromkeys(lines))


def _growth(result: Result, names: Iterable[str]) -> str:
    sizes = _sizes(result)
    names = [name for name in names if sum(result.median(name, size) is not None for size in sizes) > 1]
    fast = {size: result.median(TAP, size) for size in sizes}
    rows = []
    for name in names:
        cells = [f"**{name}**" if name == TAP else name]
        for size in sizes:
            wall = result.median(name, size)
            memory = result.median(name, size, "memory")
            ratio = f", {times(wall, fast[size])}" if wall and name != TAP else ""
            cells.append(f"{seconds(wall)}{ratio}, {memory:.0f} MB" if wall else NONE)
        rows.append(cells)
    if not rows:
        return ""
    return "\n".join(
        [
            "Wall time, how many times that of tap-analytics it is, and peak memory, as the number of records grows:\n",
            table(["", *[f"{size:,}" for size in sizes]], rows),
        ]
    )


def _past_startup(result: Result, startup: Result) -> str:
    middle = result.facts["middle"]
    whole, start = result.median(TAP, middle), startup.median(parts.RECORDS_ONE)
    limit, limit_start = result.median(LIMIT, middle), startup.median(parts.LIMIT_ONE)
    if not (whole and start and limit and limit_start):
        return ""
    past, limit_past = whole - start, limit - limit_start
    if min(past, limit_past) <= 0:
        return ""
    return (
        f"Past start-up, tap-analytics takes {past:.2f} s for {middle:,} records, {middle / past:,.0f} a second: "
        f"{past / limit:.1f} times the whole process of the limit for Python, "
        f"{past / limit_past:.1f} times what that takes past its own start-up.\n"
    )


def _encoder(outcomes: dict[str, Result]) -> str:
    costs = outcomes["encoder"].facts["costs"]
    base = next(iter(costs.values()))["us"]
    rows = [
        [name, f"{cost['bytes']}", f"{cost['us']:.2f} µs", f"{cost['us'] / base:.2f} {TIMES}"]
        for name, cost in costs.items()
    ]
    return "\n".join(
        [
            "## What nesting costs\n",
            "CPU time of the tap's encoder, which checks records and keeps of them what is selected:\n",
            table(["", "bytes a record", "CPU a record", f"{TIMES} the first"], rows),
        ]
    )


def _startup(outcomes: dict[str, Result]) -> str:
    result = outcomes["startup"]
    base = result.median(EMPTY)
    rows = [
        [
            case["name"],
            seconds(result.median(case["name"])),
            seconds(result.median(case["name"], of="cpu")),
            f"{(result.median(case['name']) or 0) / base - 1:+.0%}" if base else NONE,
        ]
        for case in result.cases
        if case["runs"]
    ]
    return "\n".join(
        [
            "## Start-up\n",
            "What a process takes that has next to nothing to do:\n",
            table(["", "wall", "CPU", f"against the {EMPTY}"], rows),
        ]
    )


def _latency(outcomes: dict[str, Result]) -> str:
    result = outcomes["latency"]
    late = result.facts["seconds"]
    most = max(case["records"] for case in result.cases)
    names = [case["name"] for case in result.cases if "paging" not in case]
    text = [
        "## Latency\n",
        (
            f"The API answers {late * 1000:.0f} ms late: {most:,} registrations by offset, "
            f"and a full sync of all {parts.STREAMS} streams of the sandbox, which holds a few thousand records.\n"
        ),
        _delays(result, {name: (name, {}) for name in names}),
    ]
    full, start = (
        result.median(ALL, latency=late),
        outcomes["startup"].median(NOTHING) if "startup" in outcomes else None,
    )
    if full and start and (case := result.find(ALL, latency=late)):
        past = full - start
        text.append(
            f"The full sync at that latency takes {past:.2f} s past start-up, for {case['requests']} requests.\n"
        )
    return "\n".join([*text, *_paginators(result)])


def _delays(result: Result, rows: Mapping[str, tuple[str, Mapping[str, Any]]]) -> str:
    """Return a table of cases, by the text of their rows; where one was not measured at once, that stays open."""
    cells = []
    for label, (name, facts) in rows.items():
        at_once, late = (result.median(name, latency=at, **facts) for at in (0.0, result.facts["seconds"]))
        case = result.find(name, latency=result.facts["seconds"], **facts)
        if not case or late is None:
            continue
        adds = f"{late - at_once:+.2f} s" if at_once else NONE
        cells.append([label, seconds(at_once), seconds(late), adds, f"{case['requests']}", f"{case['most_in_flight']}"])
    return table(["", "at once", "late", "adds", "requests", "most in flight"], cells)


def _paginators(result: Result) -> list[str]:
    cases = [case for case in result.cases if "paging" in case and case["runs"]]
    if not cases:
        return []
    rows = {f"{case['name']}, {PAGINGS[case['paging']]}": (case["name"], {"paging": case["paging"]}) for case in cases}
    return [
        (
            f"{cases[0]['records']:,} orders by the number of the page, and by a cursor that the page before has, "
            f"in pages of {result.facts['orders_page']:,}:\n"
        ),
        _delays(result, rows),
    ]


def _batch(outcomes: dict[str, Result]) -> str:
    result = outcomes["batch"]
    fast = result.median(TAP)
    rows = [
        [
            case["name"],
            seconds(result.median(case["name"])),
            seconds(result.median(case["name"], of="cpu")),
            f"{case['files']}",
            f"{case['bytes'] / 1e6:.1f} MB",
            f"{case['read_back']:,}",
            NONE if case["name"] == TAP else times(result.median(case["name"]), fast),
        ]
        for case in result.cases
        if case["runs"]
    ]
    return "\n".join(
        [
            "## BATCH files\n",
            f"{_sizes(result)[-1]:,} registrations as `jsonl` files (`batch_config`), and how many records those hold.",
            "The SDK packs them at gzip's highest level, tap-analytics at its lowest:\n",
            table(["", "wall", "CPU", "files", "size", "records in them", "tap-analytics is faster by"], rows),
        ]
    )


def _warehouse(outcomes: dict[str, Result]) -> str:
    result = outcomes["warehouse"]
    whole = result.median(INTO_POSTGRES)
    names = [case["name"] for case in result.cases if case["runs"] and case["name"] != SAMPLED]
    alone = [name for name in LOADERS_ALONE if name in names]
    text = [
        "## Into Postgres\n",
        f"{_sizes(result)[-1]:,} registrations into the same server on the same machine, each time into a new schema;",
        "CPU is that of all but PostgreSQL:\n",
        _loaded(result, [name for name in names if name not in alone], INTO_POSTGRES),
        "The loaders alone, from the same file of lines:\n",
        _loaded(result, alone, FROM_LINES),
    ]
    tap, target = result.median(TO_LINES), result.median(FROM_LINES)
    if whole and tap and target:
        text.append(
            f"With target-postgres, the loader sets the pace: alone, from a file, it takes {target / whole:.0%} of the "
            f"whole; the tap alone takes {tap / whole:.0%}, and works while the loader does.\n"
        )
    sampled = result.find(SAMPLED)
    if sampled:
        counts = sorted(sampled["samples"].items(), key=lambda item: -item[1])
        total = sum(sampled["samples"].values())
        text += [
            "Where the time of target-postgres goes, by samples of its stack:\n",
            table(["", "share"], [[activity, f"{count / total:.0%}"] for activity, count in counts]),
        ]
    return "\n".join(text)


def _loaded(result: Result, names: Sequence[str], first: str) -> str:
    rows = [
        [
            name,
            seconds(result.median(name)),
            seconds(result.median(name, of="cpu")),
            f"{case['rows']:,}" if "rows" in case else NONE,
            _share(result.median(name, of="cpu"), result.median(first, of="cpu")),
            str(len(case["runs"])),
        ]
        for name in names
        if (case := result.find(name))
    ]
    return table(["", "wall", "CPU", "rows", f"CPU, {TIMES} the first", "runs"], rows)


def _share(cpu: float | None, first: float | None) -> str:
    return f"{cpu / first:.2f} {TIMES}" if cpu and first else NONE


SECTIONS: dict[str, Callable[[dict[str, Result]], str]] = {
    "throughput": _throughput,
    "nested": _nested,
    "encoder": _encoder,
    "startup": _startup,
    "latency": _latency,
    "batch": _batch,
    "warehouse": _warehouse,
}


def _machine(results: Iterable[Result]) -> str:
    lines: dict[str, list[str]] = {}
    for result in results:
        lines.setdefault(_processor(result), []).append(f"{result.facts['part']} ({_measured(result)})")
    text = "".join(f"- {machine}: {', '.join(measured)}\n" for machine, measured in lines.items())
    names = _versions(results)
    versions = f"- Versions: {', '.join(names)}\n" if names else ""
    return f"## The machine\n\n{text}{versions}\nServer, tap and whatever it is piped into share the cores.\n"


def _processor(result: Result) -> str:
    machine = result.facts["machine"]
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory']} of memory, "
        f"{machine['system']}, Python {machine['python']}"
    )


def _measured(result: Result) -> str:
    took = f", {result.facts['took']} s" if "took" in result.facts else ""
    return f"{result.facts['measured']}{took}"


def _versions(results: Iterable[Result]) -> list[str]:
    return list(dict.fromkeys(name for result in results for name in result.facts.get("versions", ())))


WAYS = {
    FAST_BY_FILES: "tap-analytics, BATCH files, target-postgres-fast",
    FAST_INTO_POSTGRES: "tap-analytics, target-postgres-fast",
    BY_FILES: "tap-analytics, BATCH files, target-postgres",
    INTO_POSTGRES: "tap-analytics, target-postgres",
    DLT_INTO_POSTGRES: "dlt",
}
"""The ways from the API to a table, as the picture names them."""


def _panels(outcomes: dict[str, Result]) -> list[Panel]:
    panels = []
    if result := outcomes.get("throughput"):
        middle = result.facts["middle"]
        names = [contender.name for contender in FLAT if contender.name not in (RESOURCE, DECLARED)]
        bars = _bars(result, {name: name for name in names}, TAP, middle)
        panels.append(Panel(f"Reading {middle:,} records", "seconds of the whole process, to /dev/null", bars))
    if result := outcomes.get("warehouse"):
        best = next((name for name in WAYS if result.find(name)), TAP)
        rows = _sizes(result)[-1]
        below = "seconds from the API to a table, Meltano or dlt"
        panels.append(Panel(f"Loading {rows:,} records into Postgres", below, _bars(result, WAYS, best, rows)))
    return [panel for panel in panels if panel.bars]


def _bars(result: Result, labels: Mapping[str, str], base: str, records: int) -> list[Bar]:
    fast = result.median(base, records)
    bars = []
    for name in _by_time(result, labels, records):
        wall = result.median(name, records) or 0.0
        kind = OURS if labels[name].startswith(TAP) else LIMIT_BAR if name == LIMIT else OTHER
        bars.append(Bar(labels[name], wall, None if name in (base, LIMIT) or not fast else wall / fast, kind))
    return bars


def _foot(outcomes: dict[str, Result]) -> list[str]:
    shown = [outcomes[part] for part in ("throughput", "warehouse") if part in outcomes]
    days = sorted({result.facts["measured"].split()[0] for result in shown})
    machines = dict.fromkeys(f"{_processor(result)}; measured {' and '.join(days)}." for result in shown)
    # A name and its number stay on one line.
    names = [name.replace(" ", "\N{NO-BREAK SPACE}") for name in _versions(shown)]
    return [*machines, *([", ".join(names)] if names else [])]
