"""A Singer tap for a REST analytics API and for REST APIs that its user declares.

Whatever a tap of one's own is made of can be imported from here; see docs/your-own-tap.md.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tap_analytics.config.words import Endpoint, Resource
    from tap_analytics.rest.auth import ApiKeyAuth, BearerAuth, HttpBasicAuth, OAuth2ClientCredentials
    from tap_analytics.rest.errors import ErrorHandler, ResponseAction
    from tap_analytics.rest.paginators import (
        Auto,
        Cursor,
        HeaderCursor,
        HeaderLink,
        JsonLink,
        Offset,
        PageNumber,
        SinglePage,
    )
    from tap_analytics.stream import RestStream
    from tap_analytics.sync.incremental import Incremental
    from tap_analytics.sync.replication import Backfill, FullTable, IncrementalByDay
    from tap_analytics.sync.slices import DayFilter
    from tap_analytics.tap import TapAnalytics

__all__ = [
    "ApiKeyAuth",
    "Auto",
    "Backfill",
    "BearerAuth",
    "Cursor",
    "DayFilter",
    "Endpoint",
    "ErrorHandler",
    "FullTable",
    "HeaderCursor",
    "HeaderLink",
    "HttpBasicAuth",
    "Incremental",
    "IncrementalByDay",
    "JsonLink",
    "OAuth2ClientCredentials",
    "Offset",
    "PageNumber",
    "Resource",
    "ResponseAction",
    "RestStream",
    "SinglePage",
    "TapAnalytics",
]

_MODULES = (
    *("tap", "stream", "config.words", "rest.auth", "rest.errors", "rest.paginators"),
    *("sync.incremental", "sync.replication", "sync.slices"),
)


def __getattr__(name: str) -> object:
    """Import a name when it is first asked for: what imports a part of the package does not wait for the whole."""
    if name in __all__:
        for module in map(import_module, (f"{__name__}.{below}" for below in _MODULES)):
            if name in vars(module):
                return vars(module)[name]
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
