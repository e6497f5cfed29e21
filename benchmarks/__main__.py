"""The one command that measures everything and writes the page."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from benchmarks import report
from benchmarks.measure import CACHE, ROOT, FailedError, Turns, say, write
from benchmarks.parts import PARTS, Options

RESULTS = Path(__file__).parent / "results"
QUICK = CACHE / "results"
RECORDS, ROUNDS, PATIENCE = 200_000, 5, 30.0
FEWER = 10
"""What `--quick` divides the records by."""

MINUTES = {"throughput": 12, "nested": 7, "encoder": 1, "startup": 1, "latency": 5, "batch": 2, "warehouse": 12}
"""How long each part takes on two cores that do nothing else, the installation of the others, once, apart."""


def main() -> int:
    """Read the command line, measure, and write the page; give the exit code."""
    parser = _parser()
    asked = parser.parse_args()
    if unknown := {*asked.parts} - {*PARTS, "page"}:
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)} and page")
    records = asked.records // FEWER if asked.quick else asked.records
    results, docs = (RESULTS, ROOT / "docs") if records == RECORDS else (QUICK, QUICK)
    options = Options(records, Turns(1 if asked.quick else asked.rounds, asked.patience))
    CACHE.mkdir(parents=True, exist_ok=True)
    failed = False
    for name in asked.parts or PARTS:
        if name == "page":
            continue
        start = time.monotonic()
        say(f"{name}: {PARTS[name].__doc__}")
        try:
            measured = PARTS[name](options)
        except FailedError as error:
            failed = True
            say(f"  {name} stops here: {error}")
        else:
            failed |= any("skipped" in case.facts for case in measured.cases)
            write(results, name, time.monotonic() - start, measured)
        say(f"  {time.monotonic() - start:.0f} s")
    docs.mkdir(exist_ok=True)
    page = report.write(results, docs)
    say(f"Written: {page.relative_to(ROOT)}")
    return int(failed)


def _parser() -> argparse.ArgumentParser:
    documented = {name: (part.__doc__ or "").removeprefix("Measure ") for name, part in PARTS.items()}
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure tap-analytics beside others, and write docs/performance.md from what was measured.",
        epilog="\n".join(
            [
                f"parts, with the minutes of each on two quiet cores ({sum(MINUTES.values())} in all):",
                *(f"  {name:<12}{MINUTES[name]:>3}  {text}" for name, text in documented.items()),
                f"  {'page':<12}  0  Only write the page anew.",
            ]
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help="what is measured (all parts, in their order)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help=f"how often each is run ({ROUNDS})")
    parser.add_argument(
        "--patience",
        type=float,
        default=PATIENCE,
        metavar="SECONDS",
        help=f"after so long, a case has no more rounds than a claim about it needs ({PATIENCE:.0f})",
    )
    parser.add_argument(
        "--records",
        type=int,
        default=RECORDS,
        metavar="N",
        help=f"how many are read ({RECORDS:,}); the results of other numbers go into .cache/benchmarks",
    )
    parser.add_argument(
        "--quick", action="store_true", help=f"one round of a {FEWER}th of the records, in a few minutes, likewise"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
