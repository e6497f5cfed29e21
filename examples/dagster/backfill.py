"""A backfill in shards and the tail that takes over, each step one `meltano` command.

Nothing here knows Dagster: another scheduler can call the same functions.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

BACKFILL = ("registrations_initial", "sessions_initial")
"""The streams that are read in shards; the other ones are small, and belong to the tail."""

ROAD = ("tap-analytics", "target-postgres")


class StepError(Exception):
    """A command failed; what it said stands in the log."""


@dataclass(frozen=True)
class Loaded:
    """What a step has loaded."""

    records: dict[str, int]
    """How many of each stream."""
    seconds: float
    state_id: str

    @property
    def state(self) -> str:
        """The address of the state in the state backend; for Meltano's own database, the command that prints it."""
        backend = os.environ.get("MELTANO_STATE_BACKEND_URI", "systemdb")
        command = f"meltano state get {self.state_id}"
        return command if backend == "systemdb" else f"{backend.rstrip('/')}/{self.state_id}/state.json"


def create_tables() -> None:
    """Have the loader make the tables, empty, so that no two shards make the same one at once."""
    extractor, loader = ROAD
    # One after the other: two at once would both make the database of a new Meltano project.
    schemas = _checked("meltano", "invoke", extractor, "--test=schema", stdout=subprocess.PIPE)
    _checked("meltano", "invoke", loader, input=schemas)


def load_shard(start: date, end: date, *, began: date) -> Loaded:
    """Load what was created from one day up to, and without, another; go on where an earlier try stopped.

    The tail starts at the day `began`, which must have ended, by any clock, before the first shard is read.
    """
    if began >= datetime.now(UTC).date():
        message = f"the backfill cannot begin before {began} is over: what changes meanwhile would be nobody's"
        raise StepError(message)
    # A state of its own: the main job's is never touched.
    state_id = f"backfill-{start}-{end}"
    select = [f"{stream}.*" for stream in BACKFILL]
    return _load(
        "el", *ROAD, f"--state-id={state_id}", state_id=state_id, select=select, start_date=start, end_date=end
    )


def load_tail(*, began: date) -> Loaded:
    """Load what was created or changed since the backfill began, or since the last time."""
    state_id = f"{os.environ.get('MELTANO_ENVIRONMENT', 'dev')}:{ROAD[0]}-to-{ROAD[1]}"
    return _load(
        "run", *ROAD, state_id=state_id, select=["*.*", *(f"!{stream}.*" for stream in BACKFILL)], start_date=began
    )


def _load(*words: str, state_id: str, select: list[str], start_date: date, end_date: date | None = None) -> Loaded:
    settings = {"TAP_ANALYTICS__SELECT": json.dumps(select), "TAP_ANALYTICS_START_DATE": start_date.isoformat()}
    if end_date is not None:
        settings["TAP_ANALYTICS_END_DATE"] = end_date.isoformat()
    began, records = time.monotonic(), Counter[str]()
    command = ["meltano", "--log-format=json", *words]
    with subprocess.Popen(command, env=os.environ | settings, stderr=subprocess.PIPE, encoding="utf-8") as process:
        for line in process.stderr or ():
            entry = json.loads(line) if line.startswith("{") else {"event": line.rstrip()}
            metric = entry.get("metric_info", {})
            if metric.get("metric") == "record_count" and entry.get("name") == ROAD[0]:
                records[metric["tags"]["stream"]] += metric["value"]
            elif not metric:
                sys.stderr.write(f"{entry['event']}\n")
    if process.returncode:
        raise _failed(command, process.returncode)
    return Loaded(dict(records), round(time.monotonic() - began, 1), state_id)


def _checked(*command: str, **options: Any) -> bytes:  # noqa: ANN401 - those of subprocess.run
    done = subprocess.run(command, check=False, **options)
    if done.returncode:
        raise _failed(command, done.returncode)
    return bytes(done.stdout or b"")


def _failed(command: Sequence[str], code: int) -> StepError:
    return StepError(f"{' '.join(command)} ended with exit code {code}")
