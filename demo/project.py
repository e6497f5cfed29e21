"""What the demo and the tests run: a sandbox, and a Meltano project between it and a Postgres."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from demo import keeper
from demo.postgres import last_lines
from tap_analytics.tap import SHIPPED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from demo.postgres import Server

ROOT = Path(__file__).parents[1]

PATHS = {name: stream.resource.requests.path or "" for name, stream in SHIPPED.items()}
"""Where in the API each stream is read."""

TABLES = {re.sub("_(initial|incremental)$", "", name): path.rpartition("/")[2] for name, path in PATHS.items()}
"""The tables that the project fills, and the sandbox's name for what each holds."""

PATIENCE = 30
"""Seconds that the sandbox has to start."""


class SandboxError(Exception):
    """The sandbox does not start; the message ends with what it said."""


@dataclass(frozen=True)
class Api:
    """Where the sandbox is, and the key that it knows."""

    url: str
    api_key: str


def without_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment from which everything is asked directly; nothing here leaves the machine."""
    return {name: value for name, value in environment.items() if not name.lower().endswith("_proxy")}


@contextmanager
def sandbox(log: Path, *options: str) -> Iterator[Api]:
    """Run the sandbox on a free port; give its address and key once it answers."""
    process = keeper.start([sys.executable, "-m", "sandbox", "--port", "0", *options], directory=ROOT, log=log)
    try:
        deadline = time.monotonic() + PATIENCE
        while not (
            announced := [line for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("{")]
        ):
            if process.poll() is not None or time.monotonic() > deadline:
                message = f"the sandbox does not start.\n{last_lines(log)}"
                raise SandboxError(message)
            time.sleep(0.05)
        yield Api(**json.loads(announced[0]))
    finally:
        keeper.stop(process)


@dataclass(frozen=True)
class Project:
    """A Meltano project of this checkout's meltano.yml, whose settings come from the environment."""

    directory: Path
    environment: dict[str, str]

    @classmethod
    def create(cls, directory: Path, *, api: Api, server: Server, schema: str) -> Project:
        """Make a project in `directory`, with a state of its own, from `api` to `schema` in `server`."""
        (directory / "home").mkdir(parents=True)
        shutil.copy(ROOT / "meltano.yml", directory)
        # Settings that were meant for another project would reach this one as well.
        foreign = ("MELTANO_", "TAP_ANALYTICS_", "TARGET_", "XDG_")
        kept = {name: value for name, value in without_proxies(os.environ).items() if not name.startswith(foreign)}
        ours = {
            # Plugins are found on the path, beside this interpreter.
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            "NO_COLOR": "1",
            # What Meltano keeps of a user, the project keeps.
            "HOME": str(directory / "home"),
            # Whatever the terminal's encoding is.
            "PYTHONUTF8": "1",
            "TAP_ANALYTICS_BASE_URL": api.url,
            "TAP_ANALYTICS_API_KEY": api.api_key,
            "TARGET_POSTGRES_HOST": server.host,
            "TARGET_POSTGRES_PORT": str(server.port),
            "TARGET_POSTGRES_USER": server.user,
            "TARGET_POSTGRES_PASSWORD": server.password,
            "TARGET_POSTGRES_DATABASE": server.database,
            "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": schema,
        }
        return cls(directory, kept | ours)

    def meltano(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run the `meltano` command, with `settings` as further environment variables; look at the exit code."""
        return subprocess.run(
            ["meltano", *arguments],  # noqa: S607  (found on the path, as on a command line)
            cwd=self.directory,
            env=self.environment | settings,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
