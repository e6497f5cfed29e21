"""The tap: its settings, and its streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from singer_sdk import typing as th

from tap_analytics import streams
from tap_analytics.cli import AnalyticsTap
from tap_analytics.config import resources
from tap_analytics.rest.endpoint import LONGEST_WINDOW
from tap_analytics.rest.transport import Connection

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tap_analytics.stream import AnalyticsStream

STREAMS: tuple[type[AnalyticsStream], ...] = (
    streams.Clients,
    streams.Locations,
    streams.Rows,
    streams.Users,
    streams.Workers,
    streams.WorkerGroups,
    streams.Tasks,
    streams.TaskGroups,
    streams.Labels,
    streams.Varieties,
    streams.RegistrationsInitial,
    streams.RegistrationsIncremental,
    streams.SessionsInitial,
    streams.SessionsIncremental,
)

SHIPPED: Mapping[str, type[AnalyticsStream]] = {
    stream.name: stream  # type: ignore[misc] # the SDK declares it for instances
    for stream in STREAMS
}


class TapAnalytics(AnalyticsTap):
    """Singer tap for a REST analytics API, and for REST APIs that you declare."""

    name = "tap-analytics"
    config_jsonschema = th.PropertiesList(
        th.Property(
            "base_url",
            th.URIType(min_length=1),
            required=True,
            title="Base URL",
            description="Address of the API, http or https; may carry a path.",
        ),
        th.Property(
            "api_key",
            th.StringType(min_length=1),
            required=True,
            secret=True,
            title="API key",
            description="The key that the API asks for.",
        ),
        th.Property(
            "auth_location",
            th.StringType,
            default="header",
            allowed_values=["header", "query"],
            title="Place of the key",
            description="Whether the key travels in a request header or in the query string.",
        ),
        th.Property(
            "auth_name",
            th.StringType(min_length=1),
            default="api_key",
            title="Name of the key",
            description="Name of the header or query parameter that carries the key.",
        ),
        th.Property(
            "start_date",
            th.StringType,
            title="Start date",
            description="Date or date-time from which on transactional data is read; without it, all of it.",
        ),
        th.Property(
            "end_date",
            th.StringType,
            title="End date",
            description="Date or date-time before whose day (UTC) the backfill ends; without it, it goes up to now.",
        ),
        th.Property(
            "lookback_days",
            th.IntegerType(minimum=0, maximum=36_500),
            default=1,
            title="Lookback",
            description="Days before their bookmark that incremental streams read again, for updates that arrive late.",
        ),
        th.Property(
            "window_days",
            th.IntegerType(minimum=1, maximum=LONGEST_WINDOW),
            default=30,
            title="Window",
            description=f"Days of the backfill between two checkpoints, from 1 to {LONGEST_WINDOW}.",
        ),
        th.Property(
            "max_retries",
            th.IntegerType(minimum=0),
            default=3,
            title="Retries",
            description="How often a request is sent again after trouble that may pass.",
        ),
        th.Property(
            "backoff_factor",
            th.NumberType(minimum=0),
            default=2,
            title="Backoff factor",
            description="Seconds before the first retry; before each further one twice as many.",
        ),
        th.Property(
            "retry_on_status_codes",
            th.ArrayType(th.IntegerType(minimum=400, maximum=599)),
            default=[429, 500, 502, 503, 504],
            title="Statuses to retry",
            description="HTTP statuses after which a request is sent again.",
        ),
        th.Property(
            "request_timeout",
            th.NumberType(exclusive_minimum=0, maximum=86_400),
            default=300,
            title="Request timeout",
            description="Seconds that a request may take, from the first byte sent to the last one received.",
        ),
        th.Property(
            "max_in_flight",
            th.IntegerType(minimum=1),
            default=4,
            title="Requests in flight",
            description="How many requests may be under way at once; 1 is strictly one after the other.",
        ),
        th.Property(
            "progress",
            th.BooleanType,
            default=True,
            title="Progress",
            description="Whether a terminal on standard error shows live how far the run is.",
        ),
        th.Property(
            "resource_defaults",
            th.ObjectType(additional_properties=True),
            title="Resource defaults",
            description="What the declared resources have in common, in the words of dlt's rest_api source.",
        ),
        th.Property(
            "resources",
            th.ArrayType(th.CustomType({"type": ["object", "string"]})),
            title="Resources",
            description="Names of shipped streams, and resources declared in the words of dlt's rest_api source; "
            "without it, all shipped streams.",
        ),
    ).to_dict()

    def check(self, config: Mapping[str, object]) -> Iterator[str]:
        """Yield a line for each mistake in the declared resources."""
        return resources.problems(config, SHIPPED)

    def discover_streams(self) -> list[AnalyticsStream]:
        """Return the streams that the settings ask for; they share one connection."""
        self.connection = Connection(self.config)
        return self.ready(stream(self, self.connection) for stream in resources.classes(self.config, SHIPPED))
