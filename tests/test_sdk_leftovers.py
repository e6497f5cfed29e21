"""What of the SDK must not reach the tap's users, or must not be dead without a word."""

from __future__ import annotations

import sys
import warnings
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers import _compat

from tap_analytics.stream import RestStream
from tap_analytics.streams import Labels, Workers, transactional
from tap_analytics.tap import TapAnalytics

if TYPE_CHECKING:
    from sandbox import Sandbox


def test_that_a_python_comes_to_its_end_of_life_is_no_news_for_users(
    sandbox: Sandbox, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(_compat._PYTHON_EOL_DATES, sys.version_info[:2], date(2001, 1, 1))  # noqa: SLF001 - of the SDK
    with pytest.warns(_compat.SingerSDKPythonEOLWarning):
        _compat.warn_python_eol()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        TapAnalytics(config=config).client.close()
    assert not said
    assert not sandbox.requests


class Parent(Workers):
    """A stream that hands a context on to its children, as the SDK has it."""

    def get_child_context(self, record: Any, context: Any) -> dict[str, Any]:  # noqa: ANN401 - of the SDK
        del context
        return {"worker": record["id"]}


class Child(Labels):
    """A stream that is read once for each worker, as the SDK has it."""

    parent_stream_type = Workers


class Partitioned(RestStream):
    """A stream that is read once for each of some contexts, as the SDK has it."""

    resource = transactional("sessions", "/v1/transactional/sessions")

    @property
    def partitions(self) -> list[dict[str, Any]]:
        return [{"row": "1"}, {"row": "2"}]


@pytest.mark.parametrize(
    ("kind", "attribute"),
    [(Parent, "get_child_context"), (Child, "parent_stream_type"), (Partitioned, "partitions")],
)
@pytest.mark.parametrize("validated", [True, False], ids=["sync", "discovery"])
def test_what_the_sdk_would_read_by_contexts_is_refused_at_the_start(  # noqa: PLR0913 - fixtures, too
    sandbox: Sandbox,
    config: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    kind: type[RestStream],
    attribute: str,
    *,
    validated: bool,
) -> None:
    monkeypatch.setattr(TapAnalytics, "shipped", [kind])
    with pytest.raises(ConfigValidationError) as refused:
        TapAnalytics(config=config, validate_config=validated).discover_streams()
    (message,) = refused.value.errors
    assert message.startswith(f"stream {kind.resource.name}: ")
    assert attribute in message
    assert not sandbox.requests
