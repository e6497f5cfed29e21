"""The requests in flight, without threads: a seed decides which of them is answered first."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tap_analytics.rest.pool import Pending, RequestPool, Slot

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    from tests.simulation.clock import Clock


class Awaited(Pending[Any]):
    """A result that is worked on once somebody waits for it."""

    def __init__(self, pool: InlinePool) -> None:
        super().__init__()
        self._pool = pool

    def result(self, timeout: float | None = None) -> Any:  # noqa: ANN401 - of any call
        self._pool.work_until(self)
        return super().result(timeout)


class InlinePool(RequestPool):
    """Makes calls one by one, in an order that threads might have made them in.

    The limits of the real pool hold: beside a call there are as many others in flight as it would have let be.
    """

    def __init__(self, size: int, *, chance: random.Random, clock: Clock, pace: float) -> None:
        super().__init__(size)
        self.beside = 0
        """Requests that are in flight beside the one that is sent."""
        self._chance = chance
        self._clock = clock
        self._pace = pace
        self._waiting: list[tuple[Awaited, Callable[[Pending[Any]], Any]]] = []

    def submit(self, call: Callable[[Pending[Any]], Any]) -> Pending[Any]:
        pending = Awaited(self)
        self._waiting.append((pending, call))
        if self._chance.random() < 0.25:  # the server is quicker than the reader
            self._work()
        return pending

    def work_until(self, pending: Awaited) -> None:
        while not pending.done():
            self._work()

    def _work(self) -> None:
        self._waiting = [(pending, call) for pending, call in self._waiting if not pending.done()]
        if not self._waiting:
            return
        at = self._chance.randrange(min(len(self._waiting), self._size))
        pending, call = self._waiting.pop(at)
        self._clock.advance(self._pace)
        pending.set_running_or_notify_cancel()
        try:
            pending.set_result(call(pending))
        except BaseException as error:  # noqa: BLE001 - as the real pool
            pending.set_exception(error)

    @contextmanager
    def slot(self, pending: Pending[Any]) -> Iterator[Slot]:
        self._clock.advance(self._not_before - time.monotonic())
        self.beside = min(int(self._limit), len(self._waiting) + 1) - 1
        others = [Slot(alone=False) for _ in range(self.beside)]
        self._running.extend(others)
        try:
            with super().slot(pending) as slot:
                yield slot
        finally:
            for other in others:
                self._running.remove(other)
