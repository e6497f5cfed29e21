"""Pages as their readers use them: the files that a page shows are written, and its commands are run."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

BIN = Path(sys.executable).parent


class Block(NamedTuple):
    """A block of code on a page."""

    page: str
    line: int
    language: str
    text: str
    # The last file that was named before it; a page shows what is in a file after its name.
    file: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """Yield the blocks of code of a page; what is inside of one is never taken for the page's text."""
    fence, language, file, start, lines = "", "", "config.json", 0, list[str]()
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        match = re.fullmatch(r"\s*(```+)(\w*)", line)
        if not fence and match:
            fence, language, start, lines = match[1], match[2], number, []
        elif fence and line.strip() == fence:
            yield Block(page.name, start, language, textwrap.dedent("\n".join(lines)) + "\n", file)
            fence = ""
        elif fence:
            lines.append(line)
        else:
            file = [file, *re.findall(r"`([\w-]+\.(?:json|py))`", line)][-1]
    assert not fence, f"{page.name}:{start} has no end"


def clean(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment with the commands of this one, and without settings that were meant for others."""
    foreign = ("MELTANO_", "TAP_", "TARGET_")
    kept = {name: value for name, value in environment.items() if not name.startswith(foreign)}
    return kept | {"PATH": os.pathsep.join([str(BIN), environment.get("PATH", os.defpath)]), "NO_COLOR": "1"}


Version = tuple[str, datetime]


def versions(records: Iterable[Mapping[str, str]]) -> set[Version]:
    """Return which records there are, and of when; every record of the sandbox has one of two timestamps."""
    return {
        (record["id"], datetime.fromisoformat(record.get("updatedTimestamp") or record["timestamp"]))
        for record in records
    }


def loaded(directory: Path) -> set[Version]:
    """Return what is in the CSV files of a directory."""
    rows: set[Version] = set()
    for path in directory.glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            rows |= versions(csv.DictReader(file))
    return rows


@dataclass
class Reader:
    """Does what pages say, in a directory; a variable that one block exports is there in the next."""

    directory: Path
    # What stands on the pages for something of the reader's own, and what it is here.
    own: dict[str, str]
    # What no command may write.
    secret: str
    environment: dict[str, str] = field(default_factory=lambda: clean(os.environ))
    exported: list[str] = field(default_factory=list)

    def follow(self, page: Path, *, only: str = "") -> None:
        """Write the files of a page, and run those of its blocks of commands that match."""
        for block in blocks(page):
            if block.language == "sh":
                self.export(block)
                if re.search(only, block.text):
                    self.run(block)
            elif block.language in {"json", "python"}:
                self.write(block)

    def write(self, block: Block) -> None:
        """Write the file that a block shows."""
        (self.directory / block.file).write_text(self.here(block.text), encoding="utf-8")

    def here(self, text: str) -> str:
        """Return a text of a page as its reader would have it."""
        for shown, meant in self.own.items():
            text = text.replace(shown, meant)
        return text

    def export(self, block: Block) -> None:
        """Remember what a block exports; where the warehouse is, the environment says."""
        self.exported += re.findall(r"(?m)^export (?!TARGET_POSTGRES_).*", self.here(block.text))

    def command(self, block: Block) -> list[str]:
        """Return the command that runs a block."""
        text = "\n".join(line for line in self.here(block.text).splitlines() if not line.startswith("export "))
        return ["bash", "-euo", "pipefail", "-c", "\n".join([*self.exported, text])]

    def start(self, block: Block, *, stderr: int) -> subprocess.Popen[str]:
        """Start a block in a session of its own, which signals reach without reaching ours."""
        return subprocess.Popen(
            self.command(block),
            cwd=self.directory,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=stderr,
            encoding="utf-8",
            start_new_session=True,
        )

    def run(self, block: Block) -> str:
        """Run a block, all of whose commands have to succeed, and return what it writes to standard output."""
        result = subprocess.run(
            self.command(block),
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert result.returncode == 0, f"{block}: {result.stdout}{result.stderr}"
        assert self.secret not in result.stdout + result.stderr, block
        return result.stdout
