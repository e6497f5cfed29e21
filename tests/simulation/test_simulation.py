"""Whatever server, calendar and row of runs a seed makes: what came out is what the server had, or the run said so."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from http.client import HTTPResponse
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tap_analytics.reading import ReadingStream
from tap_analytics.rest import evidence
from tap_analytics.rest.deadline import _Watched
from tap_analytics.rest.pool import RequestPool
from tap_analytics.sync.slices import Slice
from tests.simulation.history import history
from tests.simulation.play import play

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_analytics.rest.pages import Page

SEEDS = range(200)
ENOUGH = range(400)
"""Seeds within which a loss is found."""

# A run that is killed closes nothing.
pytestmark = pytest.mark.filterwarnings("ignore:Unclosed file:ResourceWarning")


@pytest.fixture(autouse=True)
def _few_collections() -> Iterator[None]:
    """Look for garbage as seldom as the command line does."""
    before = gc.get_threshold()
    gc.set_threshold(10_000, 50, 100)
    yield
    gc.set_threshold(*before)
    gc.collect()


@pytest.mark.parametrize("share", range(3))
def test_what_came_out_is_what_the_server_had(share: int) -> None:
    for seed in SEEDS[share::3]:
        assert not play(history(seed)).problems, f"make simulate SEED={seed}"


def test_a_seed_makes_the_same_history_in_every_process() -> None:
    seeds = (1, 6, 7, 11)
    script = "from tests.simulation.history import history; from tests.simulation.play import play\n"
    script += f"for seed in {seeds}: print(*play(history(seed)).log, sep='\\n')"
    other = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert other.stdout.splitlines() == [line for seed in seeds for line in play(history(seed)).log]


# What the tap does against a loss, taken out: the simulation must find the loss.


def without_interim_answers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_Watched, "response_class", HTTPResponse)


def without_errors_in_answers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(evidence, "_error_name", lambda _root: "")


def without_fewer_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(RequestPool, "slow_down", lambda _pool, _seconds: None)


def with_bookmarks_before_their_records(patch: pytest.MonkeyPatch) -> None:
    pages = ReadingStream.pages

    def hasty(stream: ReadingStream) -> Iterator[Page]:
        for page in pages(stream):
            if not stream.plan().has_checkpoints:
                stream._keep(stream.plan().state_after(Slice(), limit=stream._limit))  # noqa: SLF001 - of the one before
            yield page

    patch.setattr(ReadingStream, "pages", hasty)


@pytest.mark.parametrize(
    ("take_out", "kind"),
    [
        (without_interim_answers, "list"),
        (without_errors_in_answers, "feed"),
        (without_fewer_at_once, "registrations"),
        (with_bookmarks_before_their_records, "feed"),
    ],
)
def test_a_loss_is_found(
    take_out: Callable[[pytest.MonkeyPatch], None], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_out(monkeypatch)
    histories = (made for made in map(history, ENOUGH) if made.kind == kind)
    assert any(play(made).problems for made in histories)
