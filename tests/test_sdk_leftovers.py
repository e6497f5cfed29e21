"""What of the SDK must not reach the tap's users, or must not be dead without a word."""

from __future__ import annotations

import sys
import warnings
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.helpers import _compat
from singer_sdk.plugin_base import warn_python_eol

from tap_analytics.tap import TapAnalytics

if TYPE_CHECKING:
    from sandbox import Sandbox


def test_that_a_python_comes_to_its_end_of_life_is_no_news_for_users(
    sandbox: Sandbox, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(_compat._PYTHON_EOL_DATES, sys.version_info[:2], date(2001, 1, 1))  # noqa: SLF001 - of the SDK
    with pytest.warns(_compat.SingerSDKPythonEOLWarning):
        warn_python_eol()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        TapAnalytics(config=config).connection.close()
    assert not said
    assert not sandbox.requests
