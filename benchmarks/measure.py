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
    rounds: int = 1000
    """How often it is run at most."""
    least: int = 1
    """How often it is run however long that takes."""
    exit_code: int = 0
    """With which it ends."""
    label: Sequence[str] = ()
    """What tells it from others of its name."""
    environment: Mapping[str, str] = field(default_factory=dict)
    stdin: Path | None = None
    directory: Path = ROOT
    before: Callable[[], object] | None = None
    """Called before each run, unmeasured."""
    after: Callable[[], Mapping[str, Any]] | None = None
    """Called after each run, unmeasured; gives further facts."""
    runs: list[Run] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    """What else there is to know of it. `read` is how many of its records it reads, where it does not read all."""

    def measure(self) -> None:
        """Run the command once more; raise FailedError where it fails, or `after` finds that it did."""
        if self.before:
            self.before()
        done = run(self)
        if self.after:
            self.facts |= self.after()
        self.runs.append(done)


@dataclass(frozen=True)
class Measured:
    """What a part of the benchmark has measured."""

    cases: Sequence[Case]
    facts: Mapping[str, Any] = field(default_factory=dict)


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
    if process.returncode != case.exit_code:
        said = log.read_text(errors="replace").strip().splitlines()[-6:]
        raise FailedError("\n".join([f"{case.name} ended with {process.returncode}:", *said]))
    # Linux counts the peak in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return Run(round(wall, 3), round(usage.ru_utime + usage.ru_stime, 3), round(usage.ru_maxrss * unit / 1e6, 1))


@dataclass(frozen=True)
class Turns:
    """How often cases are run: so many rounds, fewer of those that have taken so many seconds by then."""

    rounds: int
    patience: float

    def wants(self, case: Case) -> bool:
        """Tell whether a case is to be run once more."""
        done = len(case.runs)
        taken = sum(run.wall for run in case.runs)
        return done < min(case.rounds, self.rounds) and (done < case.least or taken < self.patience)


def side_by_side(cases: Sequence[Case], turns: Turns) -> None:
    """Measure some cases in turn, so that what else happens on the machine meets them all.

    A case that fails is said, keeps what it has, and is left alone from then on.
    """
    cases = list(cases)
    while cases := [case for case in cases if turns.wants(case)]:
        for case in list(cases):
            try:
                case.measure()
            except FailedError as error:
                case.facts["skipped"] = str(error).splitlines()[0]
                cases.remove(case)
                say(f"    {error}")
                continue
            last = case.runs[-1]
            what = ", ".join([case.name, *([f"{case.records:,}"] if case.records else []), *case.label])
            say(f"    {what:<58}{last.wall:7.2f} s {last.cpu:7.2f} s CPU {last.memory:5.0f} MB")


def say(text: str) -> None:
    """Tell whoever waits."""
    print(text, flush=True)


@contextmanager
def serving(stream: str, records: int, latency: float = 0.0) -> Iterator[str]:
    """Run the API of precomputed pages, and give its address."""
    options = {"directory": CACHE, "stream": stream, "records": records, "latency": latency}
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.api", *words],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
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


def shape(stream: str, records: int) -> dict[str, int]:
    """Return what the records are like that an API has served: their bytes, and the members of one."""
    with (CACHE / f"{stream}-{records}.json").open(encoding="utf-8") as file:
        first, _ = json.JSONDecoder().raw_decode(file.read(10_000))
        size = os.fstat(file.fileno()).st_size
    return {"bytes": size // records, "members": len(first)}


def write(directory: Path, part: str, seconds: float, measured: Measured) -> None:
    """Write what was measured into a file of results."""
    directory.mkdir(parents=True, exist_ok=True)
    result = {
        "part": part,
        "measured": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "took": round(seconds),
        "machine": machine(),
        "load": round(os.getloadavg()[0], 2),
        **measured.facts,
        "cases": [
            {"name": case.name, "records": case.records, **case.facts, "runs": [asdict(run) for run in case.runs]}
            for case in measured.cases
        ],
    }
    (directory / f"{part}.json").write_text(json.dumps(result, indent=1) + "\n")


class Result:
    """A file of results, read back: medians by case."""

    def __init__(self, directory: Path, part: str) -> None:
        self.facts: dict[str, Any] = json.loads((directory / f"{part}.json").read_text())
        self.cases: list[dict[str, Any]] = self.facts["cases"]

    def find(self, name: str, records: int | None = None, **facts: Any) -> dict[str, Any] | None:  # noqa: ANN401
        """Return a case that has been measured, by its name, its records and other facts."""
        for case in self.cases:
            same = all(case.get(fact) == value for fact, value in facts.items())
            if case["name"] == name and records in (None, case["records"]) and same and case["runs"]:
                return case
        return None

    def median(
        self,
        name: str,
        records: int | None = None,
        of: str = "wall",
        **facts: Any,  # noqa: ANN401
    ) -> float | None:
        """Return the median of a measure over the runs of a case, if it was measured.

        Times are those of all of its records, also where it has read only some of them.
        """
        case = self.find(name, records, **facts)
        if case is None:
            return None
        middle: float = median(run[of] for run in case["runs"])
        return middle if of == "memory" or "read" not in case else middle * case["records"] / case["read"]
