"""Opens psql on what the last demo left; the server runs for as long."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys

from demo.postgres import VARIABLE, installation, postgres, programs
from demo.workplace import USUAL, lock


def main() -> int:
    """Read the command line, and give psql's exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--command", help="run these SQL statements, and end")
    arguments = parser.parse_args()
    named = bool(os.environ.get(VARIABLE))
    # Only one server can be started on a directory; one that runs takes any number of clients.
    with lock(shared=named) as free:
        if not (free or named):
            print("`make demo` is running, or another `make psql` is open: end that first.", file=sys.stderr)
            return 1
        if not (named or USUAL.postgres.exists()):
            print("There is nothing to look at yet; `make demo` comes first.", file=sys.stderr)
            return 1
        return look(arguments.command)


def look(command: str | None) -> int:
    """Run psql, for one command or until its user leaves, and give its exit code."""
    with postgres(USUAL.postgres) as server:
        environment = os.environ | {"PGPASSWORD": server.password, "PGOPTIONS": f"--search_path={USUAL.schema}"}
        address = ["--host", server.host, "--port", str(server.port), "--username", server.user, server.database]
        options = ["--command", command] if command else []
        # An interrupt is for psql, which cancels a statement by it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return subprocess.run(
            [programs(installation()) / "psql", "--no-psqlrc", *options, *address], env=environment, check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
