"""The standard suite of the SDK, and the inside of the SDK that the tap leans on."""

from __future__ import annotations

import ast
import inspect
import re
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from singer_sdk import Stream, Tap
from singer_sdk.singerlib.encoding import GenericSingerWriter
from singer_sdk.testing import SuiteConfig, get_tap_test_class

import tap_analytics
from sandbox import Sandbox
from tap_analytics.sdk import SdkStream, SdkTap
from tap_analytics.singer.output import LineWriter
from tap_analytics.tap import TapAnalytics
from tests.conftest import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

SANDBOX = Sandbox(days=20, registrations=120, sessions=60, workers=12, rows=15)
# The suite wants an address when it is made; the server keeps it until it is needed.
SANDBOX.start()
SANDBOX.stop()


@pytest.fixture(scope="module", autouse=True)
def _server() -> Iterator[None]:
    with SANDBOX:
        yield


TestStandardSuite = get_tap_test_class(
    TapAnalytics,
    config=settings(SANDBOX),
    suite_config=SuiteConfig(
        # Beside a backfill that begins with it, a tail has nothing to bring.
        ignore_no_records_for_streams=["registrations_incremental", "sessions_incremental"],
    ),
)


# The inside of the SDK: names that a new version may move without a word

BASES: dict[type, tuple[type, ...]] = {
    SdkTap: (Tap,),
    SdkStream: (Stream,),
    LineWriter: (GenericSingerWriter,),
}
OVERRIDDEN: dict[type, set[str]] = {
    SdkTap: {
        "_env_var_config",
        "_handle_termination",
        "_validate_config",
        "load_state",
        "message_writer_class",
        "run_discovery",
        "setup_mapper",
        "streams",
    },
    SdkStream: {
        "TYPE_CONFORMANCE_LEVEL",
        "_sync_batches",
        "_sync_records",
        "_write_schema_message",
        "emit_activate_version_messages",
        "get_replication_key_signpost",
    },
    LineWriter: {"serialize_message", "write_message"},
}


def names_of(kind: type) -> set[str]:
    """Return what instances of a class of the SDK have, as its source tells."""
    names = set(dir(kind))
    for base in kind.__mro__:
        if base.__module__.startswith("singer_sdk"):
            names |= set(re.findall(r"\bself\.(\w+)\b", inspect.getsource(base)))
    return names


def private_names() -> set[str]:
    """Return the private names that the tap uses and does not define."""
    used, defined = set(), {"_exit", "_replace"}  # of the module `os`, and of named tuples
    for path in Path(tap_analytics.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Attribute(attr=name, ctx=ast.Load()) if re.match(r"_[a-z]", name):
                    used.add(name)
                case ast.Attribute(attr=name) | ast.FunctionDef(name=name) | ast.AnnAssign(target=ast.Name(id=name)):
                    defined.add(name)
                case ast.Assign(targets=[ast.Name(id=name)]):
                    defined.add(name)
                case _:
                    pass
    return used - defined


def test_private_names_that_the_tap_uses_are_still_in_the_sdk() -> None:
    there = set().union(*(names_of(base) for bases in BASES.values() for base in bases))
    used = private_names()
    assert "_write_state_message" in used, "nothing private is used any more, or this test does not see it"
    assert used <= there, f"singer-sdk {version('singer-sdk')} has moved {', '.join(sorted(used - there))}"


@pytest.mark.parametrize("ours", BASES, ids=lambda kind: kind.__name__)
def test_what_the_tap_overrides_is_still_called_so_in_the_sdk(ours: type) -> None:
    there = set().union(*map(names_of, BASES[ours]))
    gone = OVERRIDDEN[ours] - there
    assert not gone, f"singer-sdk {version('singer-sdk')} has moved {', '.join(sorted(gone))}"
    own = {name for kind in ours.__mro__ if kind.__module__.startswith("tap_analytics") for name in vars(kind)}
    now = {name for name in own & there if not name.startswith(("__", "_abc_"))}
    assert now == OVERRIDDEN[ours], "name here what the tap overrides, so that it is missed when the SDK moves it"
