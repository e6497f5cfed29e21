"""Runs the whole road once: a made-up API, `meltano run`, Postgres, and a look at what arrived."""

from __future__ import annotations

import os
import re
import sys
import time
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from demo.compare import control, failures, incomplete, loaded, served
from demo.postgres import VARIABLE, PostgresError, postgres
from demo.project import PATHS, ROOT, Project, SandboxError, sandbox
from demo.workplace import workplace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from decimal import Decimal

    from demo.compare import Connection, Records
    from demo.project import Api
    from demo.workplace import Workplace

LOADING = ("run", "tap-analytics", "target-postgres-fast")
"""What Meltano does, twice."""

FAULT = {"kind": "status", "status": HTTPStatus.SERVICE_UNAVAILABLE, "path": PATHS["registrations_incremental"]}
"""What goes wrong, once, in the second run."""

DAYS = 7
"""How much later that is."""

LINES = 10
"""Lines of a log that are shown at the most."""

BAR = 12
"""Characters of the longest bar, beside which the figures fit into 80 columns."""

EIGHTHS = " ▏▎▍▌▋▊▉"

NEXT = """\
To try next:
  make test    what the tap promises, shown by tests
  make docs    the way to your own API: tutorials, settings, streams
"""

PSQL = """\
  make psql    these tables, with SQL of your own
"""

IN_USE = """\
  Another demo is running, or `make psql` is open. This demo leaves the tables
  of that alone, and removes its own in the end.
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
    print("The whole road once, on this machine:\n")
    with ExitStack() as stack:
        workspace = stack.enter_context(workplace())
        if not workspace.stays:
            print(IN_USE)
        with step("starting the sandbox: the API of a made-up greenhouse"):
            # Behind, so that time can pass; by a week, in which there is always work.
            now = (datetime.now(UTC) - timedelta(days=DAYS)).isoformat(timespec="seconds")
            api = stack.enter_context(sandbox(workspace.directory / "sandbox.log", "--now", now))
        named = os.environ.get(VARIABLE)
        with step("connecting to the Postgres that the environment names" if named else "starting Postgres, embedded"):
            server = stack.enter_context(postgres(workspace.postgres))
            connection = stack.enter_context(psycopg.connect(server.url, autocommit=True))
            drop(connection, workspace)
        if not workspace.stays:
            stack.callback(drop, connection, workspace)
        project = Project.create(workspace.directory / "project", api=api, server=server, schema=workspace.schema)
        connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(workspace.schema)))
        load(project, workspace)
        records = served(api)
        print_tables(connection, records)
        a_week_later(connection, api, project, workspace)
        print_labour_cost(connection)
    print(NEXT + (PSQL if workspace.stays else ""))


def drop(connection: Connection, workspace: Workplace) -> None:
    """Remove all tables of the demo."""
    connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(workspace.schema)))


def load(project: Project, workspace: Workplace, again: str = "", **settings: str) -> None:
    """Have Meltano load what is new; raise DemoError where it fails."""
    with step(" ".join(["meltano", *LOADING]) + again):
        result = project.meltano(*LOADING, **settings)
        log = workspace.directory / "meltano.log"
        with log.open("a", encoding="utf-8") as file:
            file.write(result.stdout + result.stderr)
    if result.returncode:
        message = f"Meltano failed; of its log, {log}:\n{causes(result.stderr)}"
        raise DemoError(message)


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


def verify(connection: Connection, records: Records) -> None:
    """Compare the tables with the API; raise DemoError where they differ."""
    if different := incomplete(connection, records):
        message = f"not everything arrived in {', '.join(different)}"
        raise DemoError(message)


def print_tables(connection: Connection, records: Records) -> None:
    """Print what is in each table beside what the API has; raise DemoError where they differ."""
    print(f"\n  {'table':<16}{'rows':>8}{'in the API':>14}")
    for table, expected in records.items():
        print(f"  {table:<16}{len(loaded(connection, table)):>8,}{len(expected):>14,}")
    verify(connection, records)
    print("\n  Each table has each record of the API, as it is there.\n")


def a_week_later(connection: Connection, api: Api, project: Project, workspace: Workplace) -> None:
    """Let a week pass, load what it brought past a fault, and say in three lines what happened."""
    before = served(api)
    control(api, "advance", {"days": DAYS})
    control(api, "misbehave", [FAULT])
    after = served(api)
    new = sum(len(after[table].keys() - records.keys()) for table, records in before.items())
    changed = sum(after[table][key] != record for table, records in before.items() for key, record in records.items())
    print(f"  A week later: {new} new records, {changed} changed, and one request will get a 503.")
    begun = datetime.now(UTC)
    load(project, workspace, ", again", TAP_ANALYTICS_BACKOFF_FACTOR="0.2")
    verify(connection, after)
    rows = sum(len(loaded(connection, table, since=begun)) for table in after)
    total = sum(map(len, after.values()))
    print(f"  {rows:,} of {total:,} records loaded, {failures(api)} request repeated: every table is complete.")


def print_labour_cost(connection: Connection) -> None:
    """Print the answer to labour_cost.sql, a line a task, with a bar for its total."""
    rows = connection.execute((ROOT / "demo" / "labour_cost.sql").read_bytes()).fetchall()
    weeks = sorted({week for _task, week, _cost in rows})
    tasks = {task: {week: cost for _task, week, cost in cells} for task, cells in groupby(rows, key=itemgetter(0))}
    totals = {task: sum(costs.values()) for task, costs in tasks.items()}
    greatest = max(totals.values(), default=1)

    width = max(map(len, [*tasks, "all tasks"]))
    print("\n  What did labour cost, by task and week, in euros? (demo/labour_cost.sql)\n")
    print(f"  {'week of':<{width}}" + "".join(f"{week:%d %b}".rjust(7) for week in weeks) + f"{'total':>9}")
    for task, costs in tasks.items():
        print(f"  {task:<{width}}{cells(costs, weeks)}{totals[task]:>9,.0f}  {bar(totals[task] / greatest)}")
    everything = {week: sum(costs.get(week, 0) for costs in tasks.values()) for week in weeks}
    print(f"  {'all tasks':<{width}}{cells(everything, weeks)}{sum(totals.values()):>9,.0f}\n")


def bar(share: Decimal) -> str:
    """Return a bar of a length between 0 and 1, in eighths of a character."""
    full, eighths = divmod(round(8 * BAR * share), 8)
    return "█" * full + EIGHTHS[eighths].strip()


def cells(costs: dict[date, Decimal], weeks: list[date]) -> str:
    """Return the costs of some weeks as the cells of a line."""
    return "".join(f"{costs.get(week, 0):>7,.0f}" for week in weeks)


if __name__ == "__main__":
    sys.exit(main())
