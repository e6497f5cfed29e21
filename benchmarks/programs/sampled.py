"""Runs target-postgres in this process, and writes where its time goes: samples of its stack, by what it does."""

from __future__ import annotations

import json
import runpy
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

EVERY = 0.005
"""Seconds between two samples."""

ACTIVITIES = {
    "waiting for PostgreSQL": {"wait"},
    "parsing lines of JSON": {"deserialize_json"},
    "parsing timestamps": {"_parse_timestamps_in_record"},
    "binding rows to INSERT": {"_execute_context"},
    "gathering the rows of a batch": {"bulk_insert_records"},
    "other work on a record": {"_process_record_message"},
}
"""Functions of psycopg, the SDK and the target, by name; the first activity that has one on the stack counts."""


def main(result: str, program: str, *arguments: str) -> None:
    """Run a program with arguments, and write the number of samples of each activity into a file of JSON."""
    samples: Counter[str] = Counter()

    def look(_signal: int, frame: FrameType | None) -> None:
        running = set()
        while frame is not None:
            running.add(frame.f_code.co_name)
            frame = frame.f_back
        known = (name for name, functions in ACTIVITIES.items() if running & functions)
        samples[next(known, "start-up, and the rest")] += 1

    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, EVERY, EVERY)
    sys.argv = [program, *arguments]
    try:
        runpy.run_path(program, run_name="__main__")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        Path(result).write_text(json.dumps(samples))


if __name__ == "__main__":
    main(*sys.argv[1:])
