"""Reads a state as `meltano state get` prints it, and fails where a stream has stood still for too long.

meltano state get prod:tap-analytics-to-target-postgres | python freshness.py --hours 36 --quiet-hours 96
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime, timedelta


def main() -> int:
    """Print a line for each stream that stands still, and return 1 where there is any, or no stream at all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=36, help="since a stream was last read to its end")
    parser.add_argument("--quiet-hours", type=float, help="since the newest change that the API has had")
    options = parser.parse_args()
    state = json.load(sys.stdin)
    bookmarks = state.get("singer_state", state).get("bookmarks", {})
    problems = [] if bookmarks else ["The state holds no stream."]
    problems += [f"{stream}: never read to its end" for stream, kept in bookmarks.items() if "last_sync" not in kept]
    for mark, hours in (("last_sync", options.hours), ("replication_key_value", options.quiet_hours)):
        for stream, bookmark in bookmarks.items():
            at = bookmark.get(mark)
            if hours is None or not isinstance(at, str):
                continue
            if datetime.fromisoformat(at) < datetime.now(UTC) - timedelta(hours=hours):
                problems.append(f"{stream}: {mark} stands at {at}")
    for problem in problems:
        print(problem)  # noqa: T201 - what it is for
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
