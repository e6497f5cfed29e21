"""Where the demo works, and the lock that keeps everything else from there meanwhile."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from demo.project import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

CACHE = ROOT / ".cache"


@dataclass(frozen=True)
class Workplace:
    """A directory for everything that a demo makes, and a database schema for its tables."""

    directory: Path = CACHE / "demo"
    # One that nothing else uses, also where the server is used for more.
    schema: str = "tap_analytics_demo"
    # Whether the next demo finds it, and `make psql` until then.
    stays: bool = True

    @property
    def postgres(self) -> Path:
        """The directory of the embedded server."""
        return self.directory / "postgres"


USUAL = Workplace()


@contextmanager
def lock(*, shared: bool = False) -> Iterator[bool]:
    """Tell whether the usual workplace is free; then it is taken, and one that is shared can be shared again."""
    CACHE.mkdir(exist_ok=True)
    # Not within the workplace, which each demo makes anew.
    with (CACHE / "demo.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_NB | (fcntl.LOCK_SH if shared else fcntl.LOCK_EX))
        except BlockingIOError:
            yield False
        else:
            yield True


@contextmanager
def workplace() -> Iterator[Workplace]:
    """Give the usual workplace, empty; while that is in use, another one, which is removed in the end."""
    with lock() as free:
        if free:
            if USUAL.directory.exists():
                shutil.rmtree(USUAL.directory)
            USUAL.directory.mkdir()
            yield USUAL
        else:
            with tempfile.TemporaryDirectory(prefix="demo-", dir=CACHE, ignore_cleanup_errors=True) as name:
                directory = Path(name)
                yield Workplace(directory, f"{USUAL.schema}_{directory.name.removeprefix('demo-')}", stays=False)
