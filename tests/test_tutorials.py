"""The tutorials, each followed from its first line to its last: every command is run, and shows what the page shows."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest
import requests

from demo.postgres import free_port
from demo.project import ROOT
from sandbox.world import GENERIC, RESOURCES
from tests.pages import Reader, blocks, loaded, versions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.pages import Block

PAGES = sorted((ROOT / "docs").glob("tutorial*.md"))

PATIENCE = 60
"""Seconds after which something that a page promises is not waited for any longer."""


@contextmanager
def second_terminal(person: Reader, block: Block) -> Iterator[str]:
    """Run a block for as long as the page is followed, and give its first line."""
    with person.start(block, stderr=subprocess.DEVNULL) as process:
        assert process.stdout
        try:
            yield process.stdout.readline()
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def interrupt(person: Reader, block: Block, url: str) -> None:
    """Run a block, and press Ctrl-C as soon as some pages of sessions have been read, but not all."""
    before = answered(url, "/v1/transactional/sessions")
    with person.start(block, stderr=subprocess.STDOUT) as process:
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None and answered(url, "/v1/transactional/sessions") < before + 5:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode in {128 + signal.SIGINT, -signal.SIGINT}, output
    assert "sessions_initial: stopped" in output


def answered(url: str, path: str) -> int:
    asked = requests.get(f"{url}/_sandbox/requests", timeout=PATIENCE).json()
    return sum(request["path"] == path and request["status"] is not None for request in asked)


def assert_shown(block: Block, text: str, output: str) -> None:
    """Compare what a page shows with the last output; an ellipsis stands for anything."""
    for line in text.splitlines():
        pattern = ".*".join(map(re.escape, line.strip().split("…")))
        assert re.search(rf"(?m)^\s*{pattern}\s*$", output), f"{block}: {line!r} is not in\n{output}"


def served(url: str) -> set[tuple[str, object]]:
    """Return every record that the shipped streams can read."""
    names = set(RESOURCES) - {GENERIC}
    lists = [requests.get(f"{url}/_sandbox/records/{name}", timeout=PATIENCE).json() for name in names]
    return {version for records in lists for version in versions(records)}


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def person(port: int, tmp_path: Path) -> Reader:
    """Return someone in a directory with the environment of a checkout, who need not wait as long as a person would."""
    (tmp_path / ".venv").symlink_to(sys.prefix)
    own = {
        "8765": str(port),
        '"seconds": 3': '"seconds": 0.4',
        "make setup": f"make --directory={shlex.quote(str(ROOT))} --assume-old=.venv/.installed setup",
    }
    return Reader(tmp_path, own, "style-bearer-token")


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("curl"), reason="the pages have their readers use curl")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_tutorial_can_be_followed(page: Path, person: Reader, port: int) -> None:
    home, url, output = person.directory, f"http://127.0.0.1:{port}", ""
    with ExitStack() as stack:
        for block in blocks(page):
            if block.language == "text":
                assert_shown(block, person.here(block.text), output)
            elif block.language != "sh":
                person.write(block)
            elif "python -m sandbox" in block.text:
                person.directory, folder = home, person.directory
                output = stack.enter_context(second_terminal(person, block))
                person.directory = folder
            elif "# Ctrl-C" in block.text:
                person.export(block)
                interrupt(person, block, url)
            else:
                person.export(block)
                output = person.run(block)
                for folder in re.findall(r"(?m)^cd (.+)$", block.text):
                    person.directory /= folder
        if page.name == "tutorial.md":
            assert loaded(person.directory / "output") >= served(url)
