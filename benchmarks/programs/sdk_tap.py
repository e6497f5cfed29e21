"""The tap that a careful user of the SDK writes from its documentation; also one without streams."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from singer_sdk import RESTStream, SchemaDirectory, StreamSchema, Tap
from singer_sdk import typing as th
from singer_sdk.authenticators import APIKeyAuthenticator
from singer_sdk.contrib.msgspec import MsgSpecWriter
from singer_sdk.pagination import OffsetPaginator

if TYPE_CHECKING:
    import requests

LIMIT = 10_000
SCHEMAS = SchemaDirectory(Path(__file__).parents[2] / "tap_analytics" / "schemas")


class Pages(OffsetPaginator):
    """Goes on as long as pages hold something; the body is looked at rather than parsed once more."""

    def has_more(self, response: requests.Response) -> bool:
        """Tell whether a page held anything."""
        return not response.content.startswith(b'{"data":[]')


class Registrations(RESTStream[int]):
    """All stretches of work that were ever logged."""

    name = "registrations"
    path = "/v1/transactional/registrations"
    primary_keys = ("id",)
    records_jsonpath = "$.data[*]"
    schema = StreamSchema(SCHEMAS)

    @property
    def url_base(self) -> str:
        """The address that the path is relative to."""
        return str(self.config["base_url"])

    @property
    def authenticator(self) -> APIKeyAuthenticator:
        """What puts the key into each request."""
        return APIKeyAuthenticator(key="api_key", value=self.config["api_key"], location="header")

    def get_new_paginator(self) -> Pages:
        """Return a paginator for a sync."""
        return Pages(start_value=0, page_size=LIMIT)

    def get_url_params(self, context: Any, next_page_token: int | None) -> dict[str, Any]:  # noqa: ANN401
        """Return the parameters of a page."""
        del context
        return {"offset": next_page_token, "limit": LIMIT}


class StockTap(Tap):
    """A tap with one stream."""

    name = "tap-stock"
    config_jsonschema = th.PropertiesList(
        th.Property("base_url", th.StringType, required=True),
        th.Property("api_key", th.StringType, required=True, secret=True),
    ).to_dict()

    def discover_streams(self) -> list[RESTStream[int]]:
        """Return the streams."""
        return [Registrations(self)]


class MsgSpecTap(StockTap):
    """The same with the faster writer that the SDK has to offer."""

    message_writer_class = MsgSpecWriter


class EmptyTap(StockTap):
    """A tap without streams: what every tap of the SDK takes to start."""

    def discover_streams(self) -> list[RESTStream[int]]:
        """Return nothing."""
        return []


if __name__ == "__main__":
    {"stock": StockTap, "msgspec": MsgSpecTap, "empty": EmptyTap}[sys.argv.pop(1)].cli()
