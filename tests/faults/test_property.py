"""Whatever server, faults and moments of death: what came out over the runs is what the server had."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from sandbox import Fault, Sandbox
from tests.conftest import settings, shipped
from tests.singer import Started, exact

if TYPE_CHECKING:
    from sandbox import Request

STREAM = "registrations_initial"
PATH = "*/registrations"

PASSING = (
    "reset",
    "reset_in_body",
    "long_content_length",
    "cut_chunked",
    "cut_gzip",
    "empty_body",
    "invalid_json",
    "invalid_utf8",
    "html",
    "nan",
)
MISLEADING = ("stale_page", "empty_page")
"""What can be told from a true answer by the pages around it, so by none that is the first of its window."""


@dataclass(frozen=True)
class Death:
    """How a run ends, and at which of its requests."""

    number: signal.Signals
    request: int


FAULTS = st.one_of(
    st.builds(Fault, st.sampled_from(PASSING), st.just(PATH), after=st.integers(0, 12), times=st.integers(1, 3)),
    st.builds(
        Fault,
        st.just("status"),
        st.just(PATH),
        after=st.integers(0, 12),
        times=st.integers(1, 5),
        status=st.sampled_from([429, 500, 503]),
    ),
)
LIES = st.builds(Fault, st.sampled_from(MISLEADING), st.just(PATH), after=st.integers(1, 12), times=st.just(1))
DEATHS = st.builds(Death, st.sampled_from([signal.SIGKILL, signal.SIGTERM]), st.integers(1, 12))


@pytest.mark.slow
@examples(max_examples=40, deadline=None, derandomize=True)
@given(
    rows=st.integers(0, 150),
    cap=st.sampled_from([2, 5, 11, 40, 10_000]),
    windows=st.none() | st.integers(1, 20),
    in_flight=st.sampled_from([1, 2, 4]),
    location=st.sampled_from(["header", "query"]),
    faults=st.lists(FAULTS, max_size=4),
    lie=st.none() | LIES,
    deaths=st.lists(DEATHS, max_size=3),
)
def test_what_came_out_is_what_the_server_had(  # noqa: PLR0913, PLR0917 - so many things may be so or so
    rows: int,
    cap: int,
    windows: int | None,
    in_flight: int,
    location: Literal["header", "query"],
    faults: list[Fault],
    lie: Fault | None,
    deaths: list[Death],
) -> None:
    with Sandbox(
        days=12, registrations=rows, sessions=0, resources=0, workers=5, rows=5, auth_location=location, latency=0.001
    ) as sandbox:
        sandbox.misbehave(*faults, Fault("cap", PATH, times=None, limit=cap))
        if lie and windows is None:
            sandbox.misbehave(lie)
        span = {"start_date": "2026-05-15", "window_days": windows} if windows else {}
        config = settings(
            sandbox, auth_location=location, resources=[shipped(STREAM)], max_in_flight=in_flight, max_retries=1, **span
        )
        came: dict[str, object] = {}
        state: Any = None
        for death in [*deaths, None]:
            if death is None:
                sandbox.behave()
                sandbox.misbehave(Fault("cap", PATH, times=None, limit=cap))
            started = Started(config, state=state)
            asked = len(sandbox.requests)

            def die(
                request: Request, death: Death | None = death, started: Started = started, asked: int = asked
            ) -> None:
                del request
                if death and len(sandbox.requests) == asked + death.request:
                    started.kill(death.number)

            sandbox.on_request(die)
            run = started.finish()
            assert run.returncode in {0, 1, 143, -signal.SIGKILL}, run.stderr
            assert "Traceback" not in run.stderr
            state = run.state or state
            came |= {record["id"]: exact(record) for record in run.records.get(STREAM, [])}
        assert run.returncode == 0, run.stderr
        assert came == {record["id"]: exact(record) for record in sandbox.world.records("registrations")}
