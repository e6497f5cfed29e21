"""Sling's program with a specification of the API: what it reads goes to standard output, as CSV."""

from __future__ import annotations

import json
import os
import sys
import sysconfig
from pathlib import Path
from typing import Any


def specification(base_url: str, stream: str, limit: int) -> dict[str, Any]:
    """Return the specification of an API, as Sling's documentation has one write it."""
    return {
        "name": "benchmark",
        "defaults": {
            "state": {"base_url": base_url},
            "request": {"headers": {"Accept": "application/json", "api_key": "key"}, "rate": 1000, "concurrency": 4},
        },
        "endpoints": {
            stream: {
                "state": {"offset": 0, "limit": limit},
                "request": {
                    "url": f"${{state.base_url}}/v1/transactional/{stream}",
                    "parameters": {"offset": "${state.offset}", "limit": "${state.limit}"},
                },
                "pagination": {
                    "next_state": {"offset": "${state.offset + state.limit}"},
                    "stop_condition": "length(response.records) < state.limit",
                },
                "response": {"records": {"jmespath": "data[]", "primary_key": ["id"]}},
            }
        },
    }


def main(base_url: str, stream: str, limit: str, workplace: str) -> None:
    """Become the program."""
    home = Path(workplace)
    # JSON is YAML.
    (home / "specification.yaml").write_text(json.dumps(specification(base_url, stream, int(limit))))
    connections = {"benchmark": {"type": "api", "spec": f"file://{home / 'specification.yaml'}"}}
    (home / "env.yaml").write_text(json.dumps({"connections": connections}))
    (program,) = (Path(sysconfig.get_path("purelib")) / "sling_linux_amd64" / "bin").glob("sling-*")
    settings = {"SLING_HOME_DIR": workplace, "SLING_DISABLE_TELEMETRY": "true"}
    words = ["run", "--src-conn", "benchmark", "--src-stream", stream, "--stdout"]
    os.execve(program, [str(program), *words], os.environ | settings)  # noqa: S606 - it is measured without a shell


if __name__ == "__main__":
    main(*sys.argv[1:])
