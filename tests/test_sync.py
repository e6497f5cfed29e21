from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.singer import exact, run_tap

if TYPE_CHECKING:
    from sandbox import Sandbox


def test_every_record_comes_out_once_and_equal(sandbox: Sandbox, config: dict[str, Any]) -> None:
    run = run_tap(config)
    assert run.returncode == 0, run.stderr
    assert exact(run.records["workers"]) == exact(sandbox.world.records("workers"))
    assert exact(run.records["registrations_initial"]) == exact(sandbox.world.records("registrations"))
