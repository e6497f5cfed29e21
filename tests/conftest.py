"""What the tests share: a server of the API, and settings that reach it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pytest

from sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest.register_assert_rewrite("tests.singer")


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
