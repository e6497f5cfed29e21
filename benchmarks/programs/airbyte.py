"""Airbyte's CDK with a declarative manifest, run as a connector."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from airbyte_cdk.entrypoint import AirbyteEntrypoint, launch  # type: ignore[import-not-found]
from airbyte_cdk.models import ConfiguredAirbyteCatalogSerializer  # type: ignore[import-not-found]
from airbyte_cdk.sources.declarative.concurrent_declarative_source import ConcurrentDeclarativeSource  # type: ignore[import-not-found]

HERE = Path(__file__).parent
SCHEMAS = {
    "registrations": HERE.parents[1] / "tap_analytics" / "schemas" / "registrations.json",
    "orders": HERE / "orders.json",
}


def manifest(stream: str, limit: int) -> dict[str, Any]:
    """Return the connector, as its builder writes one."""
    return {
        "version": "7.0.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": [stream]},
        "spec": {
            "type": "Spec",
            "connection_specification": {
                "type": "object",
                "properties": {
                    "base_url": {"type": "string"},
                    "api_key": {"type": "string"},
                    "limit": {"type": "integer"},
                },
            },
        },
        "streams": [
            {
                "type": "DeclarativeStream",
                "name": stream,
                "primary_key": ["id"],
                "schema_loader": {"type": "InlineSchemaLoader", "schema": json.loads(SCHEMAS[stream].read_text())},
                "retriever": {
                    "type": "SimpleRetriever",
                    "requester": {
                        "type": "HttpRequester",
                        "url_base": "{{ config['base_url'] }}",
                        "path": f"/v1/transactional/{stream}",
                        "http_method": "GET",
                        "authenticator": {
                            "type": "ApiKeyAuthenticator",
                            "api_token": "{{ config['api_key'] }}",
                            "inject_into": {
                                "type": "RequestOption",
                                "inject_into": "header",
                                "field_name": "api_key",
                            },
                        },
                    },
                    "record_selector": {
                        "type": "RecordSelector",
                        "extractor": {"type": "DpathExtractor", "field_path": ["data"]},
                    },
                    "paginator": {
                        "type": "DefaultPaginator",
                        "pagination_strategy": {
                            "type": "OffsetIncrement",
                            "page_size": limit,
                            "inject_on_first_request": True,
                        },
                        "page_token_option": {
                            "type": "RequestOption",
                            "inject_into": "request_parameter",
                            "field_name": "offset",
                        },
                        "page_size_option": {
                            "type": "RequestOption",
                            "inject_into": "request_parameter",
                            "field_name": "limit",
                        },
                    },
                },
            }
        ],
    }


def main(arguments: list[str]) -> None:
    """Run a command of the Airbyte protocol, as the run.py of a connector does."""
    config, catalog, state = (
        extract(arguments)
        for extract in (
            AirbyteEntrypoint.extract_config,
            AirbyteEntrypoint.extract_catalog,
            AirbyteEntrypoint.extract_state,
        )
    )
    settings, chosen = (json.loads(Path(file).read_text()) for file in (config, catalog))
    source = ConcurrentDeclarativeSource(
        source_config=manifest(chosen["streams"][0]["stream"]["name"], settings["limit"]),
        config=settings,
        catalog=ConfiguredAirbyteCatalogSerializer.load(chosen),
        state=state,
    )
    launch(source, arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
