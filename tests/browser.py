"""A headless Chromium, spoken to by its DevTools protocol over a pair of pipes."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE = 60
"""Seconds without a word after which the browser is given up."""

OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic"),
    "--remote-debugging-pipe",
)


def chromium() -> str | None:
    """Return the Chromium of this machine."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Browser:
    """One tab, and what its pages complained about."""

    def __init__(self, orders: int, answers: int) -> None:
        self._orders, self._answers = orders, answers
        self._number, self._rest = 0, b""
        self._session: dict[str, str] = {}
        self.loads = 0
        self.complaints: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: object) -> dict[str, Any]:
        """Give an order, and return the answer."""
        self._number += 1
        order = {"id": self._number, "method": method, "params": params, **self._session}
        os.write(self._orders, json.dumps(order).encode() + b"\0")
        while (message := self._message()).get("id") != self._number:
            pass
        assert "error" not in message, f"{method}: {message['error']}"
        result: dict[str, Any] = message["result"]
        return result

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            assert select.select([self._answers], [], [], PATIENCE)[0], "the browser says nothing"
            more = os.read(self._answers, 1 << 20)
            assert more, "the browser ended"
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        self._note(message.get("method"), message.get("params", {}))
        return message

    def _note(self, event: str | None, facts: dict[str, Any]) -> None:
        match event:
            case "Page.loadEventFired":
                self.loads += 1
            case "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(facts["exceptionDetails"])[:500])
            case "Runtime.consoleAPICalled" if facts["type"] in {"error", "warning", "assert"}:
                self.complaints.append(json.dumps(facts["args"])[:500])
            case "Log.entryAdded" if facts["entry"]["level"] in {"error", "warning"}:
                self.complaints.append(f"{facts['entry']['text']} {facts['entry'].get('url', '')}")

    def size(self, width: int, height: int = 900) -> None:
        """Have the window so many pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def prefer(self, scheme: str) -> None:
        """Have the system prefer `light` or `dark`."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, address: str) -> None:
        """Show a page, and wait until it is loaded."""
        before = self.loads
        self.call("Page.navigate", url=address)
        while self.loads == before:
            self._message()

    def evaluate(self, script: str) -> Any:  # noqa: ANN401 - whatever JavaScript has
        """Return the value of an expression, or what its promise is resolved with."""
        evaluated = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in evaluated, evaluated
        return evaluated["result"].get("value")

    def screenshot(self, path: Path) -> None:
        """Write what the window shows."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


@contextmanager
def browser(executable: str, profile: Path) -> Iterator[Browser]:
    """Run a browser, and end it."""
    pipes = [*os.pipe(), *os.pipe()]
    # High numbers, so that 3 and 4, which the browser takes, overwrite none of them.
    theirs_in, ours_out, ours_in, theirs_out = (fcntl.fcntl(pipe, fcntl.F_DUPFD_CLOEXEC, 10) for pipe in pipes)
    silent = os.open(os.devnull, os.O_RDWR)
    actions = [(os.POSIX_SPAWN_DUP2, *pair) for pair in ((silent, 1), (silent, 2), (theirs_in, 3), (theirs_out, 4))]
    command = [executable, *OPTIONS, f"--user-data-dir={profile}"]
    process = os.posix_spawn(executable, command, {**os.environ, "HOME": str(profile)}, file_actions=actions)
    for pipe in (*pipes, theirs_in, theirs_out, silent):
        os.close(pipe)
    try:
        yield Browser(ours_out, ours_in)
    finally:
        os.kill(process, signal.SIGTERM)
        os.waitpid(process, 0)
        os.close(ours_out)
        os.close(ours_in)
