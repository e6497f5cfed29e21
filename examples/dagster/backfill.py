"""A backfill in shards and the tail that takes over, each step one `meltano` command.

Nothing here knows Dagster: another scheduler can call the same functions.
"""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, date, datetime
from typing import Any

BACKFILL = ("registrations_initial", "sessions_initial")
"""The streams that are read in shards; the other ones are small, and belong to the tail."""

ROAD = ("tap-analytics", "target-postgres")


class StepError(Exception):
    """A command failed; what it said stands in the log."""


def create_tables() -> None:
    """Have the loader make the tables, empty, so that no two shards make the same one at once."""
    extractor, loader = ROAD
    # One after the other: two at once would both make the database of a new Meltano project.
    schemas = _run("meltano", "invoke", extractor, "--test=schema", stdout=subprocess.PIPE)
    _run("meltano", "invoke", loader, input=schemas)


def load_shard(start: date, end: date, *, began: date) -> None:
    """Load what was created from one day up to, and without, another; go on where an earlier try stopped.

    The tail starts at the day `began`, which must have ended, by any clock, before the first shard is read.
    """
    if began >= datetime.now(UTC).date():
        message = f"the backfill cannot begin before {began} is over: what changes meanwhile would be nobody's"
        raise StepError(message)
    _meltano(
        "el",
        *ROAD,
        # A state of its own: the main job's is never touched.
        f"--state-id=backfill-{start}-{end}",
        select=[f"{stream}.*" for stream in BACKFILL],
        start_date=start,
        end_date=end,
    )


def load_tail(*, began: date) -> None:
    """Load what was created or changed since the backfill began, or since the last time."""
    _meltano("run", *ROAD, select=["*.*", *(f"!{stream}.*" for stream in BACKFILL)], start_date=began)


def _meltano(*words: str, select: list[str], start_date: date, end_date: date | None = None) -> None:
    settings = {"TAP_ANALYTICS__SELECT": json.dumps(select), "TAP_ANALYTICS_START_DATE": start_date.isoformat()}
    if end_date is not None:
        settings["TAP_ANALYTICS_END_DATE"] = end_date.isoformat()
    _run("meltano", *words, env=os.environ | settings)


def _run(*command: str, **options: Any) -> bytes:  # noqa: ANN401 - those of subprocess.run
    done = subprocess.run(command, check=False, **options)
    if done.returncode:
        message = f"{' '.join(command)} ended with exit code {done.returncode}"
        raise StepError(message)
    return bytes(done.stdout or b"")
