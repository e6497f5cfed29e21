"""Writes what dlt itself makes of the cases: `python -m tests.parity.expect`, in an environment that has dlt.

    python3 -m venv .cache/dlt
    .cache/dlt/bin/pip install dlt==1.31.0 aiohttp msgspec
    .cache/dlt/bin/python -m tests.parity.expect

Names after the command are parts of the names of cases: only those are run, and printed instead of written.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox import Fault, Sandbox
from tests.parity.table import CASES

if TYPE_CHECKING:
    from tests.parity.case import Case, Words

FILE = Path(__file__).parent / "expected.json"

_ENOUGH = 200
"""Requests after which a run counts as endless."""

_SETTINGS = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "CRITICAL",
    "RUNTIME__REQUEST_MAX_ATTEMPTS": "1",
    # The order in which records of one resource come then is that in which they are asked for.
    "EXTRACT__NEXT_ITEM_MODE": "fifo",
}


def main(names: list[str]) -> int:
    """Write the file, or print what comes of some cases."""
    # It reads its settings when it is imported.
    os.environ.update(_SETTINGS)
    dlt = import_module("dlt")
    chosen = [case for case in CASES if not names or any(name in case.name for name in names)]
    results = {case.name: _extracted(case) for case in chosen}
    lines = ",\n".join(f"    {json.dumps(name)}: {json.dumps(result)}" for name, result in results.items())
    text = f'{{\n  "dlt": {json.dumps(dlt.__version__)},\n  "cases": {{\n{lines}\n  }}\n}}\n'
    if names:
        sys.stdout.write(text)
    else:
        FILE.write_text(text, encoding="utf-8")
    return 0


def _extracted(case: Case) -> Words:
    """Return what the last run of a case brings, or the class of what stops it."""
    dlt, rest_api = import_module("dlt"), import_module("dlt.sources.rest_api")
    with Sandbox(days=1, registrations=0, sessions=0, resources=0) as sandbox, tempfile.TemporaryDirectory() as folder:
        sandbox.misbehave(Fault("status", status=400, after=_ENOUGH, times=None))
        pipeline = dlt.pipeline("parity", pipelines_dir=folder, destination="filesystem")
        result: Words = {}
        for size in case.sizes:
            config = case.config_for(f"{sandbox.url}/styles", size)
            try:
                source = rest_api.rest_api_source(config)
                result = {"records": _records(case, pipeline.extract(source))}
            except Exception as problem:  # noqa: BLE001 - whatever dlt raises is what is asked
                endless = len(sandbox.requests) > _ENOUGH
                return {"error": "endless" if endless else type(_cause(problem)).__name__}
        return result


def _records(case: Case, info: Any) -> Words:  # noqa: ANN401 - dlt is not there when types are checked
    """Return what the records of each stream are recognised by, in the files that dlt has written."""
    records: dict[str, list[Any]] = {stream: [] for stream in case.streams}
    for package in info.load_packages:
        for job in package.jobs["new_jobs"]:
            name = job.job_file_info.table_name
            if not name.startswith("_dlt"):
                content = gzip.decompress(Path(job.file_path).read_bytes())
                for line in content.splitlines():
                    records.setdefault(name, []).extend(json.loads(line))
    return {stream: case.ids(stream, rows) for stream, rows in records.items()}


def _cause(problem: BaseException) -> BaseException:
    """Return the exception that an exception comes from."""
    while problem.__cause__ is not None:
        problem = problem.__cause__
    return problem


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
