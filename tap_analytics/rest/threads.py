"""Threads of the tap's own: daemons, so that one which waits for a silent server does not keep the process alive."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tap_analytics.rest.errors import RestError

if TYPE_CHECKING:
    from collections.abc import Callable


def start_thread(target: Callable[[], None], name: str) -> threading.Thread:
    """Return a thread that has been started.

    Raises RestError where the system lets the process start none.
    """
    thread = threading.Thread(target=target, name=f"tap-analytics-{name}", daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        msg = f"no thread can be started ({error}). Raise the limit of processes, or that of memory."
        raise RestError(msg) from None
    return thread
