"""Has a process believe that it is another time; what measures spans goes on as it did."""

from __future__ import annotations

import importlib
import sys
import time
from typing import Any

VARIABLE = "TEST_CLOCK_AHEAD"
"""Environment variable that tells how many seconds later it is."""


def library() -> Any:  # noqa: ANN401 - a module
    """Return the library without what it has for tests and for texts, which takes five times as long to import."""
    spared = [name for name in ("pytest", "dateutil", "dateutil.parser") if name not in sys.modules]
    nothing: Any = dict.fromkeys(spared)
    sys.modules.update(nothing)
    try:
        return importlib.import_module("time_machine")
    finally:
        for name in spared:
            del sys.modules[name]


def go_by(ahead: str) -> None:
    """Move the clock some seconds ahead."""
    library().travel(time.time() + float(ahead), tick=True).start()
