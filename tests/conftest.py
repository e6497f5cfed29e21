"""What the tests share: a server of the API, and settings that reach it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

import pytest

from sandbox import Sandbox

# Before its first import, or its assertions would say nothing.
pytest.register_assert_rewrite("tests.singer")

from tests import clock, singer  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

ON_BOTH_ROADS = (
    "test_sync",
    "test_state",
    "test_no_gap",
    "test_retries",
    "test_shape",
    "faults.test_paging",
    "test_lifecycle",
)
"""The modules whose promises must hold whichever road records leave by."""

ROADS: dict[str, dict[str, Any]] = {
    "as they came": {},
    # A stream map that changes nothing, but that only the SDK can apply.
    "through the SDK": {"stream_maps": {"*": {"__filter__": "True"}}},
}


LONG = (
    "/faults/",
    "/test_postgres.py",
    "/test_preview.py",
    "/test_progress.py",
    "/test_resources",
    "/test_dialect.py",
    "/test_evolution.py",
    "/test_loader.py",
    "/test_parity.py",
    "/parity/test_examples.py",
    "/test_from_dlt.py",
    "/simulation/",
)
"""The modules whose tests are short, but so many that the quick part would take more than a minute with them."""


CALENDAR = (
    "/test_clock.py",
    "/test_connection_test.py",
    "/test_dialect.py",
    "/test_future.py",
    "/test_meltano.py",
    "/test_no_gap.py",
    "/test_postgres.py",
    "/test_production.py",
    "/test_resources_incremental.py",
    "/test_retries.py",
    "/test_shards.py",
    "/test_state.py",
    "/faults/test_status.py",
    "/faults/test_streams.py",
)
"""The modules whose tests have to do with time, which `make calendar` runs at many instants."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put whole modules into the slow part, and into the calendar."""
    for item in items:
        if any(name in item.path.as_posix() for name in LONG):
            item.add_marker(pytest.mark.slow)
        if any(name in item.path.as_posix() for name in CALENDAR):
            item.add_marker(pytest.mark.calendar)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run some modules once for each road, the second time in the slow part."""
    if any(name in f"tests.{metafunc.module.__name__}" for name in ON_BOTH_ROADS):
        first, *others = ROADS
        marked = [pytest.param(name, marks=pytest.mark.slow) for name in others]
        metafunc.parametrize("way_out", [first, *marked], indirect=True, scope="module")


def pytest_configure(config: pytest.Config) -> None:
    """Give the process the clock of its tests; one that only has others run tests keeps the machine's."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]  # nothing that a test asks for is anywhere but here
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        clock.start()


@pytest.fixture(autouse=True)
def _clock() -> None:
    """Have each test begin at the same instant."""
    clock.start()


def pytest_unconfigure() -> None:
    """Give the machine its own time back."""
    clock.stop()


@pytest.fixture(scope="module", autouse=True)
def way_out(request: pytest.FixtureRequest) -> Iterator[str]:
    """Have the runs of a test take one of the roads, unless they have stream maps of their own; tell which."""
    name: str = getattr(request, "param", next(iter(ROADS)))
    singer.ROAD.update(ROADS[name])
    yield name
    singer.ROAD.clear()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Return a running sandbox with little history."""
    with Sandbox(days=20, registrations=120, sessions=60, resources=30, workers=12, rows=15) as running:
        yield running


@pytest.fixture
def config(sandbox: Sandbox) -> dict[str, Any]:
    """Return settings that reach the sandbox, and do not wait before they try again."""
    return settings(sandbox)


@pytest.fixture(params=["header", "query"])
def auth_location(request: pytest.FixtureRequest) -> Literal["header", "query"]:
    """Run a test for each place where the key may travel."""
    location: Literal["header", "query"] = request.param
    return location


def settings(sandbox: Sandbox, **others: object) -> dict[str, Any]:
    """Return settings that reach a sandbox, and do not wait before they try again."""
    return {"base_url": sandbox.url, "api_key": sandbox.api_key, "backoff_factor": 0, **others}


def shipped(name: str, **words: object) -> dict[str, Any]:
    """Return the declaration of a shipped stream, with what it says otherwise."""
    return {"name": name, "extends": True, **words}
