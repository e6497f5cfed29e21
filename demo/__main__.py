"""Runs the whole road once: a made-up API, `meltano run`, Postgres, and a look at what arrived."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import psycopg
import requests
from psycopg import sql

from demo.postgres import VARIABLE, PostgresError, postgres
from demo.project import ROOT, TABLES, Project, SandboxError, sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from decimal import Decimal

    from demo.project import Api

    Connection = psycopg.Connection[tuple[Any, ...]]

WORKPLACE = ROOT / ".cache" / "demo"
"""Everything that the demo makes."""

POSTGRES = WORKPLACE / "postgres"

SCHEMA = "tap_analytics_demo"
"""A database schema that nothing else uses, also where the server is used for more."""

LINES = 10
"""Lines of a log that are shown at the most."""

BAR = 24
"""Characters of the longest bar."""

NEXT = """\
To try next:
  make psql    these tables, with SQL of your own
  make test    what the tap promises, shown by tests
  make docs    the way to your own API: first steps, settings, streams
"""


class DemoError(Exception):
    """A step of the demo failed; the message is for whoever started it."""


def main() -> int:
    """Run the demo and give its exit code."""
    # Where the terminal's encoding has no bars, the figures beside them are enough.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace", line_buffering=True)
    try:
        run()
    except (DemoError, SandboxError, PostgresError, psycopg.Error, OSError) as error:
        print(f"\nThe demo stops here: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    return 0


def run() -> None:
    """Take the steps, one after the other; raise DemoError at the first that fails."""
    if WORKPLACE.exists():
        shutil.rmtree(WORKPLACE)
    WORKPLACE.mkdir(parents=True)
    print("The whole road once, on this machine:\n")
    with ExitStack() as stack:
        with step("starting the sandbox: the API of a made-up greenhouse"):
            now = datetime.now(UTC).isoformat(timespec="seconds")
            api = stack.enter_context(sandbox(WORKPLACE / "sandbox.log", "--now", now))
        named = os.environ.get(VARIABLE)
        with step("connecting to the Postgres that the environment names" if named else "starting Postgres, embedded"):
            server = stack.enter_context(postgres(POSTGRES))
            connection = stack.enter_context(psycopg.connect(server.url, autocommit=True))
            connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(SCHEMA)))
        with step("meltano run tap-analytics target-postgres-fast"):
            project = Project.create(WORKPLACE / "project", api=api, server=server, schema=SCHEMA)
            result = project.meltano("run", "tap-analytics", "target-postgres-fast")
            (WORKPLACE / "meltano.log").write_text(result.stdout + result.stderr, encoding="utf-8")
        if result.returncode:
            message = f"Meltano failed; of its log, {WORKPLACE / 'meltano.log'}:\n{causes(result.stderr)}"
            raise DemoError(message)
        connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(SCHEMA)))
        print_tables(connection, api)
        print_labour_cost(connection)
    print(NEXT)


def causes(log: str) -> str:
    """Return the lines of Meltano's log that tell what went wrong, or the last ones where none does."""
    lines = [line for line in log.splitlines() if "METRIC" not in line]
    telling = [line for line in lines if re.search(r"\b(error|warning|critical)\b", line, re.IGNORECASE)]
    return "\n".join((telling or lines)[-LINES:])


@contextmanager
def step(name: str) -> Iterator[None]:
    """Say what is being done, and when it is done how long it took."""
    print(f"  {name:<58}", end="", flush=True)
    start = time.monotonic()
    yield
    print(f"{time.monotonic() - start:6.1f} s")


def print_tables(connection: Connection, api: Api) -> None:
    """Print what is in each table beside what the API has; raise DemoError where they differ."""
    print(f"\n  {'table':<16}{'rows':>8}{'in the API':>14}")
    different = []
    session = requests.Session()
    session.trust_env = False  # no proxy reaches this machine from without
    for table, resource in TABLES.items():
        statement = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
        rows = connection.execute(statement).fetchall()[0][0]
        expected = len(session.get(f"{api.url}/_sandbox/records/{resource}", timeout=30).json())
        print(f"  {table:<16}{rows:>8,}{expected:>14,}")
        if rows != expected:
            different.append(table)
    if different:
        message = f"not everything arrived in {', '.join(different)}"
        raise DemoError(message)
    print("\n  Each table has as many rows as the API has records.")


def print_labour_cost(connection: Connection) -> None:
    """Print the answer to labour_cost.sql, a line a task, with a bar for its total."""
    rows = connection.execute((ROOT / "demo" / "labour_cost.sql").read_bytes()).fetchall()
    weeks = sorted({week for _task, week, _cost in rows})
    tasks = {task: {week: cost for _task, week, cost in cells} for task, cells in groupby(rows, key=itemgetter(0))}
    totals = {task: sum(costs.values()) for task, costs in tasks.items()}
    greatest = max(totals.values(), default=1)

    width = max(map(len, [*tasks, "all tasks"]))
    print("\n  What did each task cost in labour, week by week? (demo/labour_cost.sql)\n")
    print(f"  {'week of':<{width}}" + "".join(f"{week:%d %b}".rjust(9) for week in weeks) + f"{'total':>10}")
    for task, costs in tasks.items():
        bar = "█" * round(BAR * float(totals[task] / greatest))
        print(f"  {task:<{width}}{cells(costs, weeks)}{totals[task]:>10,.0f}  {bar}")
    everything = {week: sum(costs.get(week, 0) for costs in tasks.values()) for week in weeks}
    print(f"  {'all tasks':<{width}}{cells(everything, weeks)}{sum(totals.values()):>10,.0f}\n")


def cells(costs: dict[date, Decimal], weeks: list[date]) -> str:
    """Return the costs of some weeks as the cells of a line."""
    return "".join(f"{costs.get(week, 0):>9,.0f}" for week in weeks)


if __name__ == "__main__":
    sys.exit(main())
