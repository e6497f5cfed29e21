"""dlt's REST API source: its rows only iterated, extracted, extracted and normalized, or loaded into Postgres."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import dlt  # type: ignore[import-not-found] # it has an environment of its own
from dlt.sources.rest_api import rest_api_source  # type: ignore[import-not-found]

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 10_000


def source(base_url: str) -> Any:  # noqa: ANN401
    """Return the source, as its documentation has one write it."""
    return rest_api_source(
        {
            "client": {
                "base_url": base_url,
                "auth": {"type": "api_key", "name": "api_key", "api_key": "key", "location": "header"},
            },
            "resources": [
                {
                    "name": "registrations",
                    "primary_key": "id",
                    "write_disposition": "merge",
                    "endpoint": {
                        "path": "v1/transactional/registrations",
                        "data_selector": "data",
                        "paginator": {
                            "type": "offset",
                            "limit": LIMIT,
                            "offset_param": "offset",
                            "limit_param": "limit",
                            "total_path": None,
                        },
                    },
                }
            ],
        }
    )


def iterate(base_url: str, workplace: str) -> None:
    """Look at every row, and keep none."""
    del workplace
    count = 0
    for _ in source(base_url):
        count += 1
    print(count)


def extract(base_url: str, workplace: str) -> None:
    """Write the rows into dlt's own files."""
    pipeline = _pipeline(workplace, "dummy")
    pipeline.extract(source(base_url))
    print(_rows(pipeline.last_trace.last_extract_info))


def normalize(base_url: str, workplace: str) -> None:
    """Write the rows into the files that a destination would load."""
    pipeline = _pipeline(workplace, "dummy")
    pipeline.extract(source(base_url))
    pipeline.normalize()
    print(pipeline.last_trace.last_normalize_info.row_counts["registrations"])


def postgres(base_url: str, workplace: str) -> None:
    """Load the rows into the Postgres of the environment's credentials."""
    pipeline = _pipeline(workplace, "postgres")
    pipeline.run(source(base_url))
    print(pipeline.last_trace.last_normalize_info.row_counts["registrations"])


def _pipeline(workplace: str, destination: str) -> Any:  # noqa: ANN401
    return dlt.pipeline(
        "registrations", pipelines_dir=workplace, destination=destination, dataset_name="tap_analytics_benchmark_dlt"
    )


def _rows(info: Any) -> int:  # noqa: ANN401
    metrics = [metric for metrics in info.metrics.values() for metric in metrics]
    tables = [metric["table_metrics"].get("registrations") for metric in metrics]
    return sum(table.items_count for table in tables if table)


WAYS: dict[str, Callable[[str, str], None]] = {way.__name__: way for way in (iterate, extract, normalize, postgres)}

if __name__ == "__main__":
    WAYS[sys.argv[1]](*sys.argv[2:])
