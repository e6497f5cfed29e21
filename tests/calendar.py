"""Runs the tests that have to do with time at many instants, in several time zones: `python -m tests.calendar`.

No instant may be found where they fail, and the same ones are tried by everybody: the list is here.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from itertools import cycle, product
from pathlib import Path
from typing import TYPE_CHECKING

from tests.clock import VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[1]

INSTANTS = {
    "Monday, half a minute after midnight": "2026-06-15T00:00:30Z",
    "Tuesday, before work": "2026-06-16T06:59:00Z",
    "Wednesday afternoon": "2026-06-17T14:31:00Z",
    "Thursday morning": "2026-06-18T11:26:00Z",
    "Friday, as work begins": "2026-06-19T07:01:00Z",
    "Saturday noon": "2026-06-20T12:00:00Z",
    "Sunday, half a minute before midnight": "2026-06-21T23:59:30Z",
    "the end of a month": "2026-09-30T23:59:30Z",
    "autumn, as the clocks of Amsterdam go back": "2026-10-25T00:59:30Z",
    "the end of a year": "2026-12-31T23:59:30Z",
    "the first half minute of a year": "2027-01-01T00:00:30Z",
    "spring, as the clocks of St John's go forward": "2027-03-14T05:29:30Z",
    "spring, as the clocks of Amsterdam go forward": "2027-03-28T00:59:30Z",
    "a year after what the sandbox has": "2027-05-29T18:29:00Z",
    "a leap day": "2028-02-29T12:00:00Z",
    "the day after a leap day": "2028-03-01T00:00:30Z",
    "after the end of every Python": "2033-11-02T16:00:00Z",
}
ZONES = ("UTC", "America/St_Johns", "Pacific/Kiritimati")

FEW = (
    ("Sunday, half a minute before midnight", "Pacific/Kiritimati"),
    ("a leap day", "America/St_Johns"),
)
"""What `make test` adds to the instant at which it runs everything."""

QUICK, SLOW = "calendar and not slow", "calendar and slow"


def tried(occasions: Iterable[tuple[str, str]], tests: str) -> list[str]:
    """Run some tests on each occasion; return those where one failed, after its output."""
    failed = []
    for instant, zone in occasions:
        occasion = f"{instant} ({INSTANTS[instant]}), {zone}"
        print(f"  {occasion:<85}", end="", flush=True)  # noqa: T201 - a command speaks on standard output
        began = time.monotonic()
        command = [sys.executable, "-m", "pytest", "--quiet", "--numprocesses=auto", "--dist=loadfile", "-m", tests]
        environment = os.environ | {VARIABLE: INSTANTS[instant], "TZ": zone}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, encoding="utf-8", check=False)
        print(f"{'well' if done.returncode == 0 else 'BAD':>6}{time.monotonic() - began:7.1f} s")  # noqa: T201 - as above
        if done.returncode:
            failed.append(occasion)
            print(done.stdout, done.stderr, sep="\n")  # noqa: T201 - as above
    return failed


def main() -> int:
    """Run the few, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.calendar", description=__doc__)
    parser.add_argument("--few", action="store_true", help="the quick tests, on two occasions")
    if parser.parse_args().few:
        failed = tried(FEW, QUICK)
    else:
        failed = tried(product(INSTANTS, ZONES), QUICK)
        failed += tried(zip(INSTANTS, cycle(ZONES), strict=False), SLOW)
    for occasion in failed:
        print(f"failed: {occasion}", file=sys.stderr)  # noqa: T201 - as above
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
