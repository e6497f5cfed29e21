"""The tap that a careful user of the SDK writes from its documentation; also one without streams."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from singer_sdk import RESTStream, SchemaDirectory, StreamSchema, Tap
from singer_sdk import typing as th
from singer_sdk.authenticators import APIKeyAuthenticator
from singer_sdk.contrib.msgspec import MsgSpecWriter
from singer_sdk.pagination import BaseAPIPaginator, BasePageNumberPaginator, OffsetPaginator

if TYPE_CHECKING:
    import requests

HERE = Path(__file__).parent
NEXT = re.compile(rb'"next":"([^"]+)"')


class _UntilEmpty:
    """Goes on as long as pages hold something; the body is looked at rather than parsed once more."""

    def has_more(self, response: requests.Response) -> bool:
        """Tell whether a page held anything."""
        return not response.content.startswith(b'{"data":[]')


class Offsets(_UntilEmpty, OffsetPaginator):
    """Pages by offset."""


class PageNumbers(_UntilEmpty, BasePageNumberPaginator):
    """Pages by number."""


class Cursors(BaseAPIPaginator[Any]):
    """Pages by the cursor at the end of the page before, which is looked for there rather than parsed once more."""

    def get_next(self, response: requests.Response) -> str | None:
        """Return the next cursor."""
        match = NEXT.search(response.content[-200:])
        return match[1].decode() if match else None


class Records(RESTStream[Any]):
    """What all streams have in common."""

    primary_keys = ("id",)
    records_jsonpath = "$.data[*]"

    @property
    def url_base(self) -> str:
        """The address that the path is relative to."""
        return str(self.config["base_url"])

    @property
    def authenticator(self) -> APIKeyAuthenticator:
        """What puts the key into each request."""
        return APIKeyAuthenticator(key="api_key", value=self.config["api_key"], location="header")

    def get_new_paginator(self) -> BaseAPIPaginator[Any]:
        """Return a paginator for a sync."""
        if self.config["paging"] == "cursor":
            return Cursors(None)
        return PageNumbers(1) if self.config["paging"] == "page" else Offsets(0, self.config["limit"])

    def get_url_params(self, context: Any, next_page_token: int | str | None) -> dict[str, Any]:  # noqa: ANN401
        """Return the parameters of a page."""
        del context
        return {self.config["paging"]: next_page_token, "limit": self.config["limit"]}


class Registrations(Records):
    """All stretches of work that were ever logged."""

    name = "registrations"
    path = "/v1/transactional/registrations"
    schema = StreamSchema(SchemaDirectory(HERE.parents[1] / "tap_analytics" / "schemas"))


class Orders(Records):
    """Orders with their customers and lines."""

    name = "orders"
    path = "/v1/transactional/orders"
    schema = StreamSchema(SchemaDirectory(HERE))


class StockTap(Tap):
    """A tap with one stream."""

    name = "tap-stock"
    config_jsonschema = th.PropertiesList(
        th.Property("base_url", th.StringType, required=True),
        th.Property("api_key", th.StringType, required=True, secret=True),
        th.Property("stream", th.StringType, required=True),
        th.Property("paging", th.StringType, required=True),
        th.Property("limit", th.IntegerType, required=True),
    ).to_dict()

    def discover_streams(self) -> list[Records]:
        """Return the streams."""
        return [{"registrations": Registrations, "orders": Orders}[self.config["stream"]](self)]


class MsgSpecTap(StockTap):
    """The same with the faster writer that the SDK has to offer."""

    message_writer_class = MsgSpecWriter


class EmptyTap(StockTap):
    """A tap without streams: what every tap of the SDK takes to start."""

    def discover_streams(self) -> list[Records]:
        """Return nothing."""
        return []


if __name__ == "__main__":
    {"stock": StockTap, "msgspec": MsgSpecTap, "empty": EmptyTap}[sys.argv.pop(1)].cli()
