"""Load a made-up issue tracker, and a catalogue of parts: the shape that `dlt init rest_api` gives a new pipeline."""

from typing import Any, Optional

import dlt
from dlt.common.pendulum import pendulum
from dlt.sources.rest_api import RESTAPIConfig, check_connection, rest_api_resources, rest_api_source


@dlt.source(name="tracker")
def tracker_source(access_token: Optional[str] = dlt.secrets.value) -> Any:
    config: RESTAPIConfig = {
        "client": {
            "base_url": "https://tracker.example.com/projects/1/",
            # Public projects can be read without a token.
            "auth": (
                {
                    "type": "bearer",
                    "token": access_token,
                }
                if access_token
                else None
            ),
        },
        "resource_defaults": {
            "primary_key": "id",
            "write_disposition": "merge",
            "endpoint": {"params": {"per_page": 50}},
        },
        "resources": [
            {
                "name": "tickets",
                "endpoint": {
                    "path": "tickets",
                    "params": {
                        "order": "changed",
                        "changed_after": "{incremental.start_value}",
                    },
                    "incremental": {
                        "cursor_path": "changed_at",
                        "initial_value": pendulum.today().subtract(days=14).to_iso8601_string(),
                    },
                },
            },
            {
                "name": "ticket_notes",
                "endpoint": {"path": "tickets/{resources.tickets.number}/notes"},
                "include_from_parent": ["id"],
            },
        ],
    }

    yield from rest_api_resources(config)


def load_tracker() -> None:
    pipeline = dlt.pipeline(pipeline_name="tracker", destination="duckdb", dataset_name="tracker")
    print(pipeline.run(tracker_source()))


def load_parts(base_url: str = "https://parts.example.com/api/") -> None:
    pipeline = dlt.pipeline(pipeline_name="parts", destination="duckdb", dataset_name="parts")
    parts = rest_api_source(
        {
            "client": {"base_url": base_url},
            "resource_defaults": {"endpoint": {"params": {"limit": 500}}},
            "resources": ["screws", "nuts", "washers"],
        },
        name="parts_catalogue",
    )

    def check() -> None:
        reachable, error = check_connection(parts, "gaskets")
        if not reachable:
            print(error)

    check()
    print(pipeline.run(parts.add_limit(10)))


if __name__ == "__main__":
    load_tracker()
    load_parts()
