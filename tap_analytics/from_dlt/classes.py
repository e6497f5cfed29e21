"""The classes of dlt whose objects have words: `HeaderLinkPaginator()` is `{"type": "header_link"}`.

The positional parameters are those of dlt 1.31 (`sources/helpers/rest_client/paginators.py` and `auth.py`,
`extract/incremental/__init__.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from tap_analytics.from_dlt.values import Instance, Value


class Words(NamedTuple):
    """The words of a class."""

    type: str
    positional: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


_NEXT_URL: Final = Words("json_link", ("next_url_path",))
_INCREMENTAL: Final = Words(
    "incremental",
    (
        "cursor_path",
        "initial_value",
        "last_value_func",
        "primary_key",
        "end_value",
        "row_order",
        "allow_external_schedulers",
        "on_cursor_value_missing",
        "lag",
        "range_start",
        "range_end",
    ),
)

PAGINATORS: Final = {
    "SinglePagePaginator": Words("single_page"),
    "HeaderLinkPaginator": Words("header_link", ("links_next_key",)),
    "HeaderCursorPaginator": Words("header_cursor", ("cursor_key", "cursor_param")),
    "JSONLinkPaginator": _NEXT_URL,
    "JSONResponsePaginator": _NEXT_URL,
    "JSONResponseCursorPaginator": Words(
        "cursor",
        ("cursor_path", "cursor_param", "cursor_body_path"),
        ("stop_after_empty_page", "has_more_path"),
    ),
    "OffsetPaginator": Words(
        "offset",
        ("limit", "offset", "offset_param", "limit_param", "total_path", "maximum_offset", "stop_after_empty_page"),
        ("has_more_path", "offset_body_path", "limit_body_path"),
    ),
    "PageNumberPaginator": Words(
        "page_number",
        ("base_page", "page", "page_param", "total_path", "maximum_page", "stop_after_empty_page"),
        ("has_more_path", "page_body_path"),
    ),
}
AUTHS: Final = {
    "BearerTokenAuth": Words("bearer", ("token",)),
    "APIKeyAuth": Words("api_key", ("name", "api_key", "location")),
    "HttpBasicAuth": Words("http_basic", ("username", "password")),
    "OAuth2ClientCredentials": Words(
        "oauth2_client_credentials",
        (
            "access_token",
            "access_token_url",
            "client_id",
            "client_secret",
            "access_token_request_data",
            "default_token_expiration",
            "session",
        ),
    ),
}
INCREMENTALS: Final = {"incremental": _INCREMENTAL, "Incremental": _INCREMENTAL}
KNOWN: Final = PAGINATORS | AUTHS | INCREMENTALS


def words(instance: Instance) -> dict[str, Value] | None:
    """Return the words of an object without its type, or None where its class has none."""
    known = KNOWN.get(instance.name)
    if known is None or len(instance.arguments) > len(known.positional):
        return None
    return dict(zip(known.positional, instance.arguments, strict=False)) | dict(instance.keywords)
