"""The requests in flight: as many as the API takes, on threads of their own, answered in any order."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tap_analytics.rest.errors import RestError
from tap_analytics.rest.threads import start_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

POLL = 0.25
"""Seconds after which a wait is begun anew, so that a signal that came just before it is seen."""


class Pending(Future[T], Generic[T]):
    """A result that is in flight; nobody waits for it any more once it is abandoned."""

    abandoned = False
    interrupt: Callable[[], None] | None = None
    """Ends the work on the result early, where something can."""

    def abandon(self) -> None:
        """Say that nobody waits for the result."""
        self.abandoned = True
        self.cancel()
        if self.interrupt is not None:
            self.interrupt()

    def result(self, timeout: float | None = None) -> T:
        """Return the result; a signal ends the wait, whenever it comes."""
        if timeout is not None:
            return super().result(timeout)
        while True:
            try:
                return super().result(POLL)
            except TimeoutError:
                if self.done():
                    raise


class Slot:
    """The permission to send one request."""

    def __init__(self, *, alone: bool) -> None:
        self.alone = alone
        """Whether no other request has been in flight beside this one."""


class RequestPool:
    """Runs calls on threads in the order they came; sends fewer at once where the API asks for it.

    How many requests may be in flight grows by one for each full round that was answered, and halves when the API
    limits the rate (additive increase, multiplicative decrease, as in TCP: RFC 5681).
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._queue: SimpleQueue[tuple[Pending[Any], Callable[[Pending[Any]], Any]] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._changed = threading.Condition()
        self._limit = float(size)
        self._running: list[Slot] = []
        self._not_before = 0.0

    def submit(self, call: Callable[[Pending[T]], T]) -> Pending[T]:
        """Make a call as soon as a thread is free; it is given its own pending result.

        Raises RestError where the system lets the process start no thread.
        """
        pending: Pending[T] = Pending()
        if len(self._threads) < self._size:
            try:
                self._threads.append(start_thread(self._work, "request"))
            except RestError:
                if not self._threads:
                    raise
        self._queue.put((pending, call))
        return pending

    @contextmanager
    def slot(self, pending: Pending[Any]) -> Iterator[Slot]:
        """Wait until a request may be sent, and count it as in flight until it is answered."""
        with self._changed:
            while not pending.abandoned:
                seconds = self._not_before - time.monotonic()
                if seconds <= 0 and len(self._running) < int(self._limit):
                    break
                self._changed.wait(min(seconds, POLL) if seconds > 0 else POLL)
            slot = Slot(alone=not self._running)
            for other in self._running:
                other.alone = False
            self._running.append(slot)
        try:
            yield slot
        finally:
            with self._changed:
                self._running.remove(slot)
                self._changed.notify_all()

    def speed_up(self) -> None:
        """Let a little more be in flight: a request was answered."""
        with self._changed:
            self._limit = min(self._limit + 1 / self._limit, float(self._size))

    def slow_down(self, seconds: float) -> None:
        """Let half as much be in flight, and nothing for some seconds: the API limits the rate."""
        with self._changed:
            now = time.monotonic()
            if now >= self._not_before:  # those refused together count as one
                self._limit = max(self._limit / 2, 1.0)
            self._not_before = max(self._not_before, now + seconds)

    def close(self) -> None:
        """Let every thread end once it has finished what it does."""
        for _ in self._threads:
            self._queue.put(None)
        self._threads.clear()

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            pending, call = job
            if pending.set_running_or_notify_cancel():
                try:
                    pending.set_result(call(pending))
                except BaseException as error:  # noqa: BLE001 - whatever it was, it is the reader's
                    pending.set_exception(error)
            del job, pending, call  # or the last page would stay in memory until the next one
