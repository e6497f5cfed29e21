"""The Postgres of the demo and the tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from demo import postgres
from demo.postgres import EmbeddedPostgres, PostgresError, Server

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]

ENDLESS = """
import sys, time
from pathlib import Path
from demo.postgres import EmbeddedPostgres
with EmbeddedPostgres(Path(sys.argv[1])) as server:
    print(server.url, flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def temporary_directory(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Have the launcher put its temporary files where a test can count them."""
    # pytest looks up its own place for them when it is first asked.
    tmp_path_factory.getbasetemp()
    monkeypatch.delenv(postgres.VARIABLE, raising=False)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o711)
        monkeypatch.setenv("TMPDIR", name)
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield directory


@pytest.fixture
def data_directory(tmp_path: Path) -> Path:
    """Give a directory that only its owner can reach."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    return closed / "postgres"


def run(server: Server, statement: bytes) -> list[tuple[object, ...]]:
    with psycopg.connect(server.url) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def is_up(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def wait_until_down(url: str, *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while is_up(url):
        assert time.monotonic() < deadline, f"{url} still answers"
        time.sleep(0.05)


def wait_until_empty(directory: Path, *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while list(directory.iterdir()):
        assert time.monotonic() < deadline, f"{directory} still holds {list(directory.iterdir())}"
        time.sleep(0.05)


def test_keeps_its_data_from_one_start_to_the_next(data_directory: Path, temporary_directory: Path) -> None:
    with EmbeddedPostgres(data_directory) as server:
        run(server, b"CREATE TABLE kept (value numeric)")
        run(server, b"INSERT INTO kept VALUES (12345678901234567890.123456789)")
    assert not is_up(server.url)
    assert list(temporary_directory.iterdir()) == []

    with EmbeddedPostgres(data_directory) as server:
        assert run(server, b"SELECT value::text FROM kept") == [("12345678901234567890.123456789",)]


def test_speaks_utf8_and_utc_whatever_the_environment_says(
    data_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("LANG", "xx_XX.ISO-8859-1"), ("LC_ALL", "xx_XX"), ("TZ", "Asia/Tokyo"), ("PGPORT", "1")):
        monkeypatch.setenv(name, value)
    with EmbeddedPostgres(data_directory) as server:
        assert run(server, b"SHOW server_encoding") == [("UTF8",)]
        assert run(server, b"SHOW timezone") == [("UTC",)]


def test_lets_nobody_in_without_the_password(data_directory: Path) -> None:
    with EmbeddedPostgres(data_directory) as server:
        address = f"postgresql://{server.user}:guessed@{server.host}:{server.port}/{server.database}"
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(address)


def test_starts_again_where_making_the_data_directory_was_cut_short(data_directory: Path) -> None:
    half_made = data_directory / "data"
    half_made.mkdir(parents=True)
    (half_made / "PG_VERSION").write_text("18\n", encoding="utf-8")
    with EmbeddedPostgres(data_directory) as server:
        assert is_up(server.url)


def test_says_why_it_does_not_start(
    data_directory: Path, temporary_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "ATTEMPTS", 1)
    with EmbeddedPostgres(data_directory):
        pass
    (data_directory / "data" / "global" / "pg_control").unlink()
    with pytest.raises(PostgresError, match="pg_control"), EmbeddedPostgres(data_directory):
        pass
    assert list(temporary_directory.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_ends_with_the_process_that_started_it(
    number: signal.Signals, data_directory: Path, temporary_directory: Path
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", ENDLESS, data_directory],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    )
    assert process.stdout
    with process:
        url = process.stdout.readline().strip()
        assert is_up(url)
        process.send_signal(number)
    wait_until_down(url)
    wait_until_empty(temporary_directory)
    with EmbeddedPostgres(data_directory) as server:
        assert is_up(server.url)


def test_two_run_side_by_side(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "one") as one, EmbeddedPostgres(tmp_path / "two") as two:
        assert one.port != two.port
        assert is_up(one.url)
        assert is_up(two.url)


def test_root_opens_nothing_to_other_users(data_directory: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root hands the server to another user")
    with EmbeddedPostgres(data_directory) as server:
        assert run(server, b"SHOW data_directory_mode") == [("0700",)]
    assert data_directory.parent.stat().st_mode & 0o777 == 0o700
    assert (data_directory / "password").stat().st_mode & 0o777 == 0o600


def test_uses_the_server_that_the_environment_names(data_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with EmbeddedPostgres(data_directory) as running:
        monkeypatch.setenv(postgres.VARIABLE, running.url)
        with postgres.postgres() as server:
            assert server == running
        assert is_up(running.url)


def test_brings_its_own_server_where_none_is_named(temporary_directory: Path) -> None:
    with postgres.postgres() as server:
        assert is_up(server.url)
    assert not is_up(server.url)
    assert list(temporary_directory.iterdir()) == []


def test_a_server_is_equal_to_what_its_url_says() -> None:
    server = Server(host="::1", port=5433, user="a/b", password="c:d@e", database="f g")
    assert Server.from_url(server.url) == server


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mysql://user:password@host:1/database",
        "postgresql://host:1/database",
        "postgresql://user@host:1/database",
        "postgresql://user:password@host:port/database",
        "postgresql://user:password@host:1",
    ],
)
def test_refuses_an_incomplete_url(url: str) -> None:
    with pytest.raises(ValueError, match=postgres.VARIABLE):
        Server.from_url(url)
