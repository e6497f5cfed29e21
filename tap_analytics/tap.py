"""The tap: its settings, and its streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import typing as th

from tap_analytics import streams
from tap_analytics.cli import RestTap, renamed
from tap_analytics.config import resources, settings, stream_maps
from tap_analytics.config.words import Resource
from tap_analytics.rest.client import Client
from tap_analytics.rest.secrets import Secrets, redact_logs
from tap_analytics.stream import RestStream
from tap_analytics.sync.replication import LONGEST_WINDOW

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

STREAMS: tuple[type[RestStream], ...] = (
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

SHIPPED: Mapping[str, type[RestStream]] = {stream.resource.name: stream for stream in STREAMS}


class TapAnalytics(RestTap):
    """Singer tap for a REST analytics API, and for REST APIs that you declare."""

    name = "tap-analytics"
    shipped: ClassVar[Sequence[type[RestStream] | Resource]] = STREAMS
    """What is read where the settings list no resources."""
    defaults: ClassVar[Mapping[str, Any]] = {}
    """Settings that stand where the user's leave them out."""
    config_jsonschema = th.PropertiesList(
        th.Property(
            "base_url",
            th.URIType(min_length=1),
            title="Base URL",
            description="Address of the API, http or https; may have a path. Required unless client states it.",
        ),
        th.Property(
            "api_key",
            th.StringType(min_length=1),
            secret=True,
            title="API key",
            description="The key of the API; required for the shipped streams.",
        ),
        th.Property(
            "auth_location",
            th.StringType,
            default="header",
            allowed_values=["header", "query"],
            title="Location of the key",
            description="Whether the key is sent in a request header or in the query string.",
        ),
        th.Property(
            "auth_name",
            th.StringType(min_length=1),
            default="api_key",
            title="Name of the key",
            description="Name of the header or query parameter that carries the key.",
        ),
        th.Property(
            "token",
            th.StringType(min_length=1),
            secret=True,
            title="Bearer token",
            description="Token for client.auth of the type bearer, where that leaves it out.",
        ),
        th.Property(
            "username",
            th.StringType(min_length=1),
            title="User name",
            description="User name for client.auth of the type http_basic, where that leaves it out.",
        ),
        th.Property(
            "password",
            th.StringType(min_length=1),
            secret=True,
            title="Password",
            description="Password for client.auth of the type http_basic, where that leaves it out.",
        ),
        th.Property(
            "client_id",
            th.StringType(min_length=1),
            title="OAuth client",
            description="Client for client.auth of the type oauth2_client_credentials, where that leaves it out.",
        ),
        th.Property(
            "client_secret",
            th.StringType(min_length=1),
            secret=True,
            title="OAuth client secret",
            description="Secret for client.auth of the type oauth2_client_credentials, where that leaves it out.",
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
            description="Days before their bookmark that incremental streams read again, for late updates.",
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
            description="How often a request is sent again after a transient error.",
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
            description="Seconds that a request may take, from connecting to the last byte of its answer.",
        ),
        th.Property(
            "max_in_flight",
            th.IntegerType(minimum=1),
            default=4,
            title="Requests in flight",
            description="How many requests may be in flight at once; 1 sends them one after the other.",
        ),
        th.Property(
            "progress",
            th.BooleanType,
            default=True,
            title="Progress",
            description="Whether a terminal shows the progress of the run; elsewhere, lines tell it every 30 seconds.",
        ),
        th.Property(
            "client",
            th.ObjectType(additional_properties=True),
            title="Client",
            description="The API in the words of dlt's rest_api source: base_url, headers, auth, paginator.",
        ),
        th.Property(
            "resource_defaults",
            th.ObjectType(additional_properties=True),
            title="Resource defaults",
            description="Defaults merged into every resource, in the words of dlt's rest_api source.",
        ),
        th.Property(
            "resources",
            th.ArrayType(th.CustomType({"type": ["object", "string"]})),
            title="Resources",
            description="Resources in the words of dlt's rest_api source; without it, all shipped streams.",
        ),
    ).to_dict()

    @classmethod
    def shipped_resources(cls) -> dict[str, Resource]:
        """Return what is read where the settings list no resources, by name."""
        every = (one if isinstance(one, Resource) else one.resource for one in cls.shipped)
        return {resource.name: resource for resource in every}

    def settings(self, config: dict[str, Any], *, complete: bool) -> Iterator[str]:
        """Bring settings into their final form, and yield a line for each mistake."""
        config |= {name: value for name, value in self.defaults.items() if config.get(name) is None}
        self.secrets = Secrets()
        redact_logs(self.secrets)
        self.secrets.add(*settings.secrets(config))
        shipped, described = self.shipped_resources(), self.config_jsonschema
        for note in [*settings.prepare(config), *settings.unknown(config, described)]:
            self.logger.warning(note)
        for setting, variable in self.unknown_variables.items():
            self.logger.warning(settings.without_effect(variable, setting, described))
        mistakes = list(settings.check(config, described, shipped, complete=complete, variables=lambda: self.variables))
        yield from (renamed(line, self.name) for line in mistakes)
        for note in resources.notes(config):
            self.logger.info(note)
        if not mistakes:
            for warning in [*resources.warnings(config, shipped), *stream_maps.warnings(config, shipped)]:
                self.logger.warning(warning)
            if maps := resources.with_aliases(config, shipped):
                config["stream_maps"] = maps

    def discover_streams(self) -> list[RestStream]:
        """Return the streams that the settings ask for; they share one client."""
        config = self.config
        self.client = Client(
            timeout=float(config["request_timeout"]),
            max_in_flight=config["max_in_flight"],
            secrets=self.secrets,
        )
        api = resources.api(config)
        own = self.shipped if config.get("resources") is None else ()
        kinds = {kind.resource.name: kind for kind in own if not isinstance(kind, Resource)}
        return self.discovered(
            kinds.get(resource.name, RestStream)(self, self.client, api, resource)
            for resource in resources.resources(config, self.shipped_resources())
        )
