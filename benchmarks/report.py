"""The page about performance and its plot, made from the files of results and nothing else."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from benchmarks import parts
from benchmarks.contenders import (
    CONTENDERS,
    EMPTY,
    FROM_LINES,
    INTO_POSTGRES,
    LIMIT,
    LOADERS_ALONE,
    NOTHING,
    SAMPLED,
    TAP,
    TO_LINES,
)
from benchmarks.measure import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

NAME = "performance"
NONE = "\N{EN DASH}"
TIMES = "\N{MULTIPLICATION SIGN}"
ALL = "all streams, max_in_flight 4"

HEAD = """\
<!-- Made by `python -m benchmarks` from benchmarks/results; do not edit by hand. -->
# Performance

A tap's work is: bytes in, lines out. What is compared here reads the same API over the same loopback connection: one
stream of registrations, about 900 bytes and 31 fields each, in pages of 10,000, made up beforehand and served by a
process that does next to nothing. Times are those of the whole process, start-up included; the output goes to
`/dev/null`. A number is the median of the runs that the table names, and the runs take turns, so that whatever else
the machine does meets them all.
"""

REPEAT = """\
## How to repeat it

    make test                       # or anything else that makes .venv
    .venv/bin/python -m benchmarks --quick     # one round, about ten minutes; into .cache/benchmarks
    .venv/bin/python -m benchmarks             # everything, less than an hour; writes this page

`--only throughput startup latency batch warehouse` measures some parts and leaves the other results as they are;
`--only page` writes the page anew. Each contender gets an environment of its own in `.cache/benchmarks`, at the
versions of the lists in `benchmarks/programs`, its files compiled. Before it is measured, it has to show that it reads
all of 12,000 records. What cannot be installed is left out, and the table says so. Memory is the peak of the largest
process, as the system counts it. The limit for Python is `benchmarks/programs/limit.py`: fetch with `requests`, split
with `msgspec` into records that stay as they came, write; nothing is checked or remembered.
"""


def write(results: Path, docs: Path) -> Path:
    """Write the page of the results that there are, and its plot; return the page."""
    found = {part: Result(results, part) for part in parts.PARTS if (results / f"{part}.json").exists()}
    sections = [HEAD]
    for part, section in SECTIONS.items():
        if part in found:
            sections.append(section(found))
    if "throughput" in found:
        (docs / f"{NAME}.svg").write_text(plot(found["throughput"]))
    if found:
        sections.append(_machine(found.values()))
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


def _throughput(found: dict[str, Result]) -> str:
    result = found["throughput"]
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
        for name in _by_time(result, middle)
        if (case := result.find(name, middle))
    ]
    text = [
        f"![Seconds for {middle:,} records, by tool]({NAME}.svg)\n",
        f"## {middle:,} records\n",
        table(["", "wall", "CPU", "peak memory", "tap-analytics is faster by", "runs"], rows),
        _left_out(result),
        _growth(result),
    ]
    if "startup" in found:
        text.append(_past_startup(result, found["startup"], middle))
    return "\n".join(filter(None, text))


def _by_time(result: Result, records: int) -> list[str]:
    known = [name for name in CONTENDERS if result.median(name, records) is not None]
    return sorted(known, key=lambda name: result.median(name, records) or 0.0)


def _left_out(result: Result) -> str:
    lines = [f"- left out: {case['skipped']}\n" for case in result.cases if "skipped" in case]
    return "".join(dict.fromkeys(lines))


def _growth(result: Result) -> str:
    sizes = sorted({case["records"] for case in result.cases if case["runs"]})
    names = [name for name in CONTENDERS if sum(result.median(name, size) is not None for size in sizes) > 1]
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
    return "\n".join(
        [
            "## How time and memory grow\n",
            "Wall time, how many times that of tap-analytics it is, and peak memory:\n",
            table(["", *[f"{size:,}" for size in sizes]], rows),
        ]
    )


def _past_startup(result: Result, startup: Result, middle: int) -> str:
    whole, start = result.median(TAP, middle), startup.median(parts.RECORDS_ONE)
    limit, limit_start = result.median(LIMIT, middle), startup.median(parts.LIMIT_ONE)
    if not (whole and start and limit and limit_start):
        return ""
    past, limit_past = whole - start, limit - limit_start
    return (
        f"Past start-up, tap-analytics takes {past:.2f} s for {middle:,} records, {middle / past:,.0f} a second: "
        f"{past / limit:.1f} times the whole process of the limit for Python, "
        f"{past / limit_past:.1f} times what that takes past its own start-up.\n"
    )


def _startup(found: dict[str, Result]) -> str:
    result = found["startup"]
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


def _latency(found: dict[str, Result]) -> str:
    result = found["latency"]
    rows = []
    names = dict.fromkeys(case["name"] for case in result.cases)
    for name in names:
        at = {case["latency"]: case for case in result.cases if case["name"] == name and case["runs"]}
        if len(at) != 2:  # noqa: PLR2004 - without and with
            continue
        (_, without), (_, delayed) = sorted(at.items())
        fast, slow = (_median(case) for case in (without, delayed))
        rows.append([name, seconds(fast), seconds(slow), f"{slow - fast:+.2f} s", str(delayed["most_in_flight"])])
    text = [
        "## Latency\n",
        (
            f"The API answers {result.facts['seconds'] * 1000:.0f} ms late: 200,000 records in pages of 10,000, "
            f"and a full sync of all {parts.STREAMS} streams of the sandbox, which holds a few thousand records.\n"
        ),
        table(["", "at once", "late", "adds", "most in flight"], rows),
    ]
    full = next(
        (case for case in result.cases if case["name"] == ALL and case["latency"] and case["runs"]),
        None,
    )
    start = found["startup"].median(NOTHING) if "startup" in found else None
    if full and start:
        text.append(
            f"The full sync at that latency takes {_median(full) - start:.2f} s past start-up, "
            f"for {full['requests']} requests.\n"
        )
    return "\n".join(text)


def _median(case: dict[str, Any]) -> float:
    walls = sorted(run["wall"] for run in case["runs"])
    half = len(walls) // 2
    return float(walls[half] if len(walls) % 2 else (walls[half - 1] + walls[half]) / 2)


def _batch(found: dict[str, Result]) -> str:
    result = found["batch"]
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
            "200,000 records as `jsonl` files (`batch_config`), and how many those hold.",
            "The SDK packs them at gzip's highest level, tap-analytics at its lowest:\n",
            table(["", "wall", "CPU", "files", "size", "records in them", "tap-analytics is faster by"], rows),
        ]
    )


def _warehouse(found: dict[str, Result]) -> str:
    result = found["warehouse"]
    fast = result.median(INTO_POSTGRES)
    names = [case["name"] for case in result.cases if case["runs"] and case["name"] != SAMPLED]
    alone = [name for name in LOADERS_ALONE if name in names]
    text = [
        "## Into Postgres\n",
        "200,000 registrations into the same server on the same machine, each time into a new schema:\n",
        _loaded(result, [name for name in names if name not in alone], INTO_POSTGRES),
        "The loaders alone, from the same file of lines; CPU is that of all but PostgreSQL:\n",
        _loaded(result, alone, FROM_LINES),
    ]
    tap, target = result.median(TO_LINES), result.median(FROM_LINES)
    if fast and tap and target:
        text.append(
            f"The loader sets the pace: alone, from a file, it takes {target / fast:.0%} of the whole; "
            f"the tap alone takes {tap / fast:.0%}, and works while the loader does.\n"
        )
    sampled = result.find(SAMPLED)
    if sampled:
        counts = sorted(sampled["samples"].items(), key=lambda item: -item[1])
        total = sum(sampled["samples"].values())
        text += [
            "Where the loader's time goes, by samples of its stack:\n",
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
    "startup": _startup,
    "latency": _latency,
    "batch": _batch,
    "warehouse": _warehouse,
}


def _machine(results: Iterable[Result]) -> str:
    lines: dict[str, list[str]] = {}
    for result in results:
        machine = result.facts["machine"]
        told = (
            f"{machine['processor']}, {machine['cores']} cores, {machine['memory']} of memory, "
            f"{machine['system']}, Python {machine['python']}"
        )
        lines.setdefault(told, []).append(f"{result.facts['part']} ({result.facts['measured']})")
    text = "".join(f"- {told}: {', '.join(measured)}\n" for told, measured in lines.items())
    return f"## The machine\n\n{text}\nServer, tap and whatever it is piped into share the cores.\n"


STYLE = """\
.card { fill: #ffffff; stroke: #d0d7de } .ink { fill: #1f2328 } .dim { fill: #59636e }
.bar { fill: #8c959f } .ours { fill: #1a7f37 } .limit { fill: #c9d1d9 }
@media (prefers-color-scheme: dark) {
.card { fill: #0d1117; stroke: #3d444d } .ink { fill: #f0f6fc } .dim { fill: #9198a1 }
.bar { fill: #6e7681 } .ours { fill: #3fb950 } .limit { fill: #3d444d } }
text { font: 13px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif }
.end { text-anchor: end } .title { font-size: 15px } .title, .strong { font-weight: 600 }
"""


def plot(result: Result) -> str:
    """Return the seconds of everybody as bars, in SVG that is legible on light and on dark."""
    middle = result.facts["middle"]
    names = _by_time(result, middle)
    walls = [result.median(name, middle) or 0.0 for name in names]
    label, width, height, top = 190, 430, 30, 66
    scale = width / max(walls, default=1.0)
    total_width, total_height = label + width + 130, top + height * len(names) + 16
    fast = result.median(TAP, middle)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total_width}" height="{total_height}" role="img">',
        f"<title>Seconds for {middle:,} records, by tool</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="card" x="0.5" y="0.5" width="{total_width - 1}" height="{total_height - 1}" rx="8"/>',
        f'<text class="ink title" x="20" y="30">Seconds for {middle:,} records: whole process, to /dev/null</text>',
        '<text class="dim" x="20" y="49">shorter is better</text>',
    ]
    for number, (name, wall) in enumerate(zip(names, walls, strict=True)):
        y = top + height * number
        ink = "ink strong" if name == TAP else "ink"
        kind = {TAP: "ours", LIMIT: "limit"}.get(name, "bar")
        told = f"{wall:.1f} s"
        if fast and name not in (TAP, LIMIT):
            told += f"  ({wall / fast:.1f} {TIMES})"
        lines += [
            f'<text class="{ink} end" x="{label - 8}" y="{y + 17}">{escape(name)}</text>',
            f'<rect class="{kind}" x="{label}" y="{y + 3}" width="{max(wall * scale, 1):.1f}" height="20" rx="3"/>',
            f'<text class="ink" x="{label + wall * scale + 8:.1f}" y="{y + 17}">{told}</text>',
        ]
    return "\n".join([*lines, "</svg>"]) + "\n"
