"""Opens psql on what the last demo left; the server runs for as long."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys

from demo.__main__ import POSTGRES, SCHEMA
from demo.postgres import VARIABLE, installation, postgres, programs


def main() -> int:
    """Read the command line, and give psql's exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--command", help="run these SQL statements, and end")
    arguments = parser.parse_args()
    if not (POSTGRES.exists() or os.environ.get(VARIABLE)):
        print("There is nothing to look at yet; `make demo` comes first.", file=sys.stderr)
        return 1
    with postgres(POSTGRES) as server:
        environment = os.environ | {"PGPASSWORD": server.password, "PGOPTIONS": f"--search_path={SCHEMA}"}
        address = ["--host", server.host, "--port", str(server.port), "--username", server.user, server.database]
        options = ["--command", arguments.command] if arguments.command else []
        # An interrupt is for psql, which cancels a statement by it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return subprocess.run(
            [programs(installation()) / "psql", "--no-psqlrc", *options, *address], env=environment, check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
