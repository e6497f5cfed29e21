"""The requests under way: at most some at once for the whole tap, on threads of their own."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, wait
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

WAKE = 0.25
"""Seconds that a thread waits at a time: a signal that came just before is seen only after the wait."""


class Ticket(Future[T], Generic[T]):
    """A result that is under way; nobody waits for it any more once it is abandoned."""

    abandoned = False
    interrupt: Callable[[], None] | None = None
    """What ends the work on the result early, where something can."""

    def result(self, timeout: float | None = None) -> T:
        """Return the result, or raise what the work on it raised; wait in steps that let signals in."""
        while timeout is None and not self.done():
            wait((self,), WAKE)
        return super().result(timeout)

    def abandon(self) -> None:
        """Say that nobody waits for the result."""
        self.abandoned = True
        self.cancel()
        if self.interrupt is not None:
            self.interrupt()


class Flight:
    """Runs calls on threads, in the order they came, and holds them all back when told to.

    The threads are daemons: one that waits for a silent server must not keep the process alive.
    """

    def __init__(self, seats: int) -> None:
        self._seats = seats
        self._queue: SimpleQueue[tuple[Ticket[Any], Callable[[Ticket[Any]], Any]] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._not_before = 0.0

    def submit(self, call: Callable[[Ticket[T]], T]) -> Ticket[T]:
        """Have a call made as soon as a thread is free; it is given its own ticket."""
        ticket: Ticket[T] = Ticket()
        self._queue.put((ticket, call))
        if len(self._threads) < self._seats:
            thread = threading.Thread(target=self._work, name="tap-analytics-request", daemon=True)
            self._threads.append(thread)
            thread.start()
        return ticket

    def hold_back(self, seconds: float) -> None:
        """Let no request begin for some seconds."""
        self._not_before = max(self._not_before, time.monotonic() + seconds)

    def await_turn(self) -> None:
        """Wait as long as requests are held back."""
        while (seconds := self._not_before - time.monotonic()) > 0:
            time.sleep(seconds)

    def close(self) -> None:
        """Let every thread end once it has finished what it does."""
        for _ in self._threads:
            self._queue.put(None)
        self._threads.clear()

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            ticket, call = job
            if not ticket.set_running_or_notify_cancel():
                continue
            try:
                ticket.set_result(call(ticket))
            except BaseException as error:  # noqa: BLE001 - whatever it was, it is the reader's
                ticket.set_exception(error)
            del job, ticket, call  # or the last page would stay in memory until the next one
