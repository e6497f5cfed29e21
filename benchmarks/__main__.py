"""The one command that measures everything and writes the page."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from benchmarks import report
from benchmarks.measure import CACHE, ROOT, FailedError, say
from benchmarks.parts import LARGE, PARTS, Options

RESULTS = Path(__file__).parent / "results"
QUICK = CACHE / "results"


def main() -> int:
    """Read the command line, measure, and write the page; give the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure tap-analytics beside others, and write docs/performance.md from what was measured.",
    )
    parser.add_argument("--records", type=int, nargs="+", default=[100_000, 200_000, 1_000_000], metavar="N")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="how often each is run (5)")
    parser.add_argument("--only", nargs="+", choices=[*PARTS, "page"], metavar="PART", help=", ".join([*PARTS, "page"]))
    parser.add_argument(
        "--quick", action="store_true", help="one round and no million; into .cache/benchmarks, not into the page"
    )
    asked = parser.parse_args()
    if asked.quick:
        options = Options([records for records in asked.records if records < LARGE], 1, QUICK)
    else:
        options = Options(asked.records, asked.rounds, RESULTS)
    CACHE.mkdir(parents=True, exist_ok=True)
    failed = False
    for name in asked.only or PARTS:
        if name == "page":
            continue
        start = time.monotonic()
        say(f"{name}: {PARTS[name].__doc__}")
        try:
            PARTS[name](options)
        except FailedError as error:
            failed = True
            say(f"  {name} stops here: {error}")
        say(f"  {time.monotonic() - start:.0f} s")
    docs = QUICK if asked.quick else ROOT / "docs"
    docs.mkdir(exist_ok=True)
    page = report.write(options.results, docs)
    say(f"Written: {page.relative_to(ROOT)}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
