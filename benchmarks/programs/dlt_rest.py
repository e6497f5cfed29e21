"""dlt's REST API source: its rows only iterated, extracted, extracted and normalized, or loaded into Postgres."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dlt  # type: ignore[import-not-found] # it has an environment of its own
from dlt.sources.rest_api import rest_api_source  # type: ignore[import-not-found]

if TYPE_CHECKING:
    from collections.abc import Callable


def source(config: str) -> Any:  # noqa: ANN401
    """Return the source of a file with its configuration."""
    return rest_api_source(json.loads(Path(config).read_text()))


def iterate(config: str, workplace: str, stream: str) -> None:
    """Look at every row, and keep none."""
    del workplace, stream
    count = 0
    for _ in source(config):
        count += 1
    print(count)


def extract(config: str, workplace: str, stream: str) -> None:
    """Write the rows into dlt's own files."""
    pipeline = _pipeline(stream, workplace, "dummy")
    pipeline.extract(source(config))
    print(_rows(pipeline.last_trace.last_extract_info, stream))


def normalize(config: str, workplace: str, stream: str) -> None:
    """Write the rows into the files that a destination would load."""
    pipeline = _pipeline(stream, workplace, "dummy")
    pipeline.extract(source(config))
    pipeline.normalize()
    print(pipeline.last_trace.last_normalize_info.row_counts[stream])


def postgres(config: str, workplace: str, stream: str) -> None:
    """Load the rows into the Postgres of the environment's credentials."""
    pipeline = _pipeline(stream, workplace, "postgres")
    pipeline.run(source(config))
    print(pipeline.last_trace.last_normalize_info.row_counts[stream])


def _pipeline(stream: str, workplace: str, destination: str) -> Any:  # noqa: ANN401
    return dlt.pipeline(
        stream, pipelines_dir=workplace, destination=destination, dataset_name="tap_analytics_benchmark_dlt"
    )


def _rows(info: Any, stream: str) -> int:  # noqa: ANN401
    metrics = [metric for metrics in info.metrics.values() for metric in metrics]
    tables = [metric["table_metrics"].get(stream) for metric in metrics]
    return sum(table.items_count for table in tables if table)


WAYS: dict[str, Callable[[str, str, str], None]] = {
    step.__name__: step for step in (iterate, extract, normalize, postgres)
}

if __name__ == "__main__":
    WAYS[sys.argv[1]](*sys.argv[2:])
