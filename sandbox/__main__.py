"""Run the sandbox in the foreground."""

import argparse
import inspect
import json
import logging
import signal
import sys
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from types import UnionType
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from sandbox.server import Sandbox


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _seconds(text: str) -> timedelta:
    return timedelta(seconds=float(text))


_READERS: Final[dict[object, Callable[[str], Any]]] = {
    datetime: _instant,
    timedelta: _seconds,
    int: int,
    float: float,
    str: str,
}


def _parser() -> argparse.ArgumentParser:
    """Return a parser with one option for each of the sandbox's own, which explain themselves."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="Serve the sandbox; prints one line of JSON with url and api_key when ready.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    hints = get_type_hints(Sandbox.__init__, include_extras=True)
    for name, parameter in inspect.signature(Sandbox).parameters.items():
        kind, explanation = get_args(hints[name])
        option = f"--{name.replace('_', '-')}"
        if isinstance(kind, UnionType):
            kind = get_args(kind)[0]
        if kind is bool:
            parser.add_argument(option, action="store_true", help=explanation)
        elif get_origin(kind) is Literal:
            parser.add_argument(option, choices=get_args(kind), default=parameter.default, help=explanation)
        else:
            parser.add_argument(option, type=_READERS[kind], default=parameter.default, help=explanation)
    return parser


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    options = vars(_parser().parse_args())
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with Sandbox(**options) as sandbox:
        ready = {"url": sandbox.url, "api_key": sandbox.api_key}
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        stop.wait()


if __name__ == "__main__":
    main()
