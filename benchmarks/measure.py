"""Runs processes, and takes down what each of them cost."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

ROOT = Path(__file__).parents[1]

CACHE = ROOT / ".cache" / "benchmarks"
"""Everything that the benchmark makes and that is not committed."""

LONGEST = 900
"""Seconds after which a process is ended."""


class FailedError(Exception):
    """A process failed; the message ends with what it said."""


@dataclass(frozen=True)
class Run:
    """What one process cost, with what it started: seconds, seconds, and the MB (10**6) of the largest at its peak."""

    wall: float
    cpu: float
    memory: float


@dataclass
class Case:
    """A command to measure, and what came out."""

    name: str
    command: Sequence[str]
    records: int = 0
    rounds: int = 5
    environment: Mapping[str, str] = field(default_factory=dict)
    stdin: Path | None = None
    directory: Path = ROOT
    before: Callable[[], object] | None = None
    """Called before each run, unmeasured."""
    after: Callable[[], Mapping[str, Any]] | None = None
    """Called after each run, unmeasured; gives further facts."""
    runs: list[Run] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def measure(self) -> None:
        """Run the command once more; raise FailedError where it fails."""
        if self.before:
            self.before()
        self.runs.append(run(self))
        if self.after:
            self.facts |= self.after()


def environment() -> dict[str, str]:
    """Return this process's environment without what changes how Python runs, or what Singer plugins read.

    Above all `PYTHONDONTWRITEBYTECODE` must not be there: everybody would be measured compiling.
    """
    foreign = ("PYTHON", "VIRTUAL_ENV", "MELTANO_", "TAP_", "TARGET_", "DLT_", "COVERAGE")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


def run(case: Case, stdout: Path = Path(os.devnull)) -> Run:
    """Run a command, its output to /dev/null or a file; raise FailedError where it fails."""
    log = CACHE / "stderr.log"
    with log.open("wb") as error, stdout.open("wb") as output, (case.stdin or Path(os.devnull)).open("rb") as source:
        start = time.perf_counter()
        process = subprocess.Popen(
            case.command,
            stdin=source,
            stdout=output,
            stderr=error,
            cwd=case.directory,
            env=case.environment or environment(),
        )
        guard = threading.Timer(LONGEST, process.kill)
        guard.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        guard.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        said = log.read_text(errors="replace").strip().splitlines()[-6:]
        raise FailedError("\n".join([f"{case.name} ended with {process.returncode}:", *said]))
    # Linux counts the peak in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return Run(round(wall, 3), round(usage.ru_utime + usage.ru_stime, 3), round(usage.ru_maxrss * unit / 1e6, 1))


def side_by_side(cases: Sequence[Case], rounds: int) -> None:
    """Measure some cases in turn, so that what else happens on the machine meets them all.

    A case that fails is said, keeps what it has, and is left alone from then on.
    """
    cases = list(cases)
    for number in range(max(min(case.rounds, rounds) for case in cases)):
        for case in list(cases):
            if number >= min(case.rounds, rounds):
                continue
            try:
                case.measure()
            except FailedError as error:
                case.facts["skipped"] = str(error).splitlines()[0]
                cases.remove(case)
                say(f"    {error}")
                continue
            last = case.runs[-1]
            what = f"{case.name}, {case.records:,}" if case.records else case.name
            say(f"    {what:<58}{last.wall:7.2f} s {last.cpu:7.2f} s CPU {last.memory:5.0f} MB")


def say(text: str) -> None:
    """Tell whoever waits."""
    print(text, flush=True)


@contextmanager
def serving(records: int, latency: float = 0.0) -> Iterator[str]:
    """Run the API of precomputed pages, and give its address."""
    command = [sys.executable, "-m", "benchmarks.api", "--directory", str(CACHE), "--records", str(records)]
    process = subprocess.Popen(
        [*command, "--latency", str(latency)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None  # noqa: S101 - it is a pipe
    assert process.stdout is not None  # noqa: S101
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait()


def machine() -> dict[str, Any]:
    """Return what the numbers hang on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def write(directory: Path, part: str, cases: Sequence[Case], **facts: Any) -> None:  # noqa: ANN401
    """Write what was measured into a file of results."""
    directory.mkdir(parents=True, exist_ok=True)
    result = {
        "part": part,
        "measured": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": machine(),
        "load": round(os.getloadavg()[0], 2),
        **facts,
        "cases": [
            {"name": case.name, "records": case.records, **case.facts, "runs": [asdict(run) for run in case.runs]}
            for case in cases
        ],
    }
    (directory / f"{part}.json").write_text(json.dumps(result, indent=1) + "\n")


class Result:
    """A file of results, read back: medians by case."""

    def __init__(self, directory: Path, part: str) -> None:
        self.facts: dict[str, Any] = json.loads((directory / f"{part}.json").read_text())
        self.cases: list[dict[str, Any]] = self.facts["cases"]

    def find(self, name: str, records: int | None = None) -> dict[str, Any] | None:
        """Return a case that has been measured."""
        for case in self.cases:
            if case["name"] == name and records in (None, case["records"]) and case["runs"]:
                return case
        return None

    def median(self, name: str, records: int | None = None, of: str = "wall") -> float | None:
        """Return the median of a measure over the runs of a case, if it was measured."""
        case = self.find(name, records)
        return median(run[of] for run in case["runs"]) if case else None
