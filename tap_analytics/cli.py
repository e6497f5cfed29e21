"""The command line: how a run begins, goes on past failures, and ends."""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import click
from singer_sdk.exceptions import ConfigValidationError, SingerSDKError
from singer_sdk.plugin_base import PluginBase
from singer_sdk.tap_base import CliTestOptionValue

from tap_analytics.rest.errors import RestError
from tap_analytics.sdk import INVALID, SdkTap, contexts_problem
from tap_analytics.singer.output import LineWriter, OutputError
from tap_analytics.stream import RestStream
from tap_analytics.sync.parents import ParentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from singer_sdk import Stream
    from singer_sdk.plugin_base import _ConfigInput

    from tap_analytics.progress import StreamStats
    from tap_analytics.rest.client import Client

GRACE = 1.5
"""Seconds after a signal in which the tap leaves in good order."""


HELP = """\
Read a REST analytics API, or any REST API that you declare, as Singer messages on standard output.

\b
  tap-analytics --discover                  which streams and fields there are
  tap-analytics --config c.json --test      does each of them work?
  tap-analytics --config c.json | target    read everything, and load it
  tap-analytics --config ENV | target       with settings from the environment
"""

EPILOG = """\
Settings: base_url and api_key, or client; --about describes all of them. Each is an environment variable, too, such as
TAP_ANALYTICS_API_KEY; --config ENV reads those.

Exit codes: 0, all went well; 1, a setting is wrong or a stream failed (the others went on, and their state is kept);
2, an option is wrong; 130 and 143, stopped by an interrupt or by SIGTERM.

\b
Completion in bash, or with zsh_source or fish_source in those:
  eval "$(_TAP_ANALYTICS_COMPLETE=bash_source tap-analytics)"
"""

OPTIONS = {
    "version": "Print the version.",
    "about": "Describe the tap: its settings, their types and defaults, and what it is capable of.",
    "about_format": "How --about describes it; without this, as plain text.",
    "config": "File with settings, in JSON, or ENV for the environment. May be given more than once.",
    "discover": "Print the catalog: streams, fields, keys. Works without settings.",
    "test": "Report for each selected stream whether it can be read; --test=schema only prints the SCHEMA messages.",
    "catalog": "File with a catalog, which selects streams and fields. Without it, everything is read.",
    "state": "File with the last STATE of an earlier run, to go on from there.",
}
"""What --help says of each option."""


class _Stopped(SystemExit):
    """A signal asked the tap to leave."""

    def __init__(self, signum: int) -> None:
        super().__init__(128 + signum)
        self.name = signal.Signals(signum).name


class RestTap(SdkTap):
    """A tap whose streams fail one by one, and that tells its user why."""

    message_writer_class = LineWriter
    message_writer: LineWriter
    client: Client

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - the SDK's own
        self._undiscovered: dict[str, str] = {}
        super().__init__(**options)

    def in_order(self, streams: dict[str, Stream]) -> dict[str, Stream]:
        """Return streams in the order of their names, but parents before their children."""
        return parents_first(streams)

    def discovered(self, streams: Iterable[RestStream]) -> list[RestStream]:
        """Return the streams that have a schema; why another has none is a failure.

        Raises ConfigValidationError for one whose class would have the SDK read it again and again.
        """
        usable, named = [], {stream.name: stream for stream in streams}
        for stream in named.values():
            if problem := contexts_problem(stream):
                raise ConfigValidationError(INVALID, errors=[problem])
            link = stream.resource.parent
            stream.parent = named.get(link.name) if link else None
        for stream in named.values():
            try:
                if self.input_catalog is None:
                    _ = stream.schema
                usable.append(stream)
            except (RestError, SingerSDKError, ParentError) as error:
                self._undiscovered[stream.name] = f"no schema can be inferred: {error}"
            except Exception as error:  # noqa: BLE001 - the other streams may well be sound
                self._undiscovered[stream.name] = f"no schema can be inferred: {stream.unexpected(error)}"
        return usable

    # The run

    @property
    def failures(self) -> dict[str, str]:
        """What ended which streams early."""
        failed = {stream.name: str(stream.failure) for stream in self._streams_of_ours if stream.failure}
        return self._undiscovered | failed

    @property
    def _streams_of_ours(self) -> list[RestStream]:
        return [stream for stream in self.streams.values() if isinstance(stream, RestStream)]

    @property
    def _selected(self) -> list[RestStream]:
        """The streams that are selected, in their order."""
        return [stream for stream in self._streams_of_ours if stream.selected]

    def _connect_children(self) -> None:
        """Tell parents which of their children are selected."""
        for stream in reversed(self._streams_of_ours):
            if stream.parent is not None and (stream.selected or stream.children):
                stream.parent.children.append(stream)

    @property
    def _all_stats(self) -> list[StreamStats]:
        """What the selected streams have done so far, in their order."""
        return [stream.stats for stream in self._selected]

    def _sum_up(self) -> None:
        """Log in one line a stream what has been done."""
        for stats in self._all_stats:
            if stats.began is not None:
                stats.end("stopped")
                self.logger.info("%s", stats, extra=stats.facts)

    def _conclude(self) -> None:
        """Close the client; leave with exit code 1 where a stream failed, and say which."""
        self.client.close()
        failures = self.failures
        if not failures:
            return
        for line in failure_lines(failures, self.streams):
            self.logger.error("%s", line)
        sys.exit(1)

    def terminate(self, signum: int) -> None:
        """Leave with the exit code that the signal asks for, all lines whole.

        The last STATE covers what it should: nothing is kept before it has been emitted.
        """
        # Another signal changes nothing. While Python ends it would kill the process, with an exit code of its own.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)

        def leave() -> None:
            raise _Stopped(signum)

        writer = getattr(self, "message_writer", None)
        if writer is None:  # while the tap is being made
            leave()
        else:
            writer.stop(leave)

    # The command line

    @classmethod
    def get_singer_command(cls) -> click.Command:
        """Return the command line interface of the SDK, with help, and with errors in one line each."""
        command = super().get_singer_command()
        command.help, command.epilog = HELP, EPILOG
        for option in command.params:
            if isinstance(option, click.Option) and option.name in OPTIONS:
                option.help = OPTIONS[option.name]
            if option.name in {"discover", "test"}:
                # Not in a callback while the line is parsed: there the SDK reports no mistake in
                # the settings, and knows no catalog.
                option.callback, option.expose_value = None, True
        return command

    @classmethod
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> _ConfigInput:
        """Read the configuration files; raise ClickException for one that is none."""
        try:
            return super().cb_config(ctx, param, value)
        except (OSError, TypeError, ValueError) as error:
            msg = f"--config: {', '.join(value)} cannot be read: {error}"
            raise click.ClickException(msg) from None

    @classmethod
    def invoke(  # type: ignore[override] # noqa: PLR0913 - one for each option of the command line
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: _ConfigInput | None = None,
        state: IO[str] | None = None,
        catalog: IO[str] | None = None,
        discover: bool = False,
        test: str = CliTestOptionValue.Disabled.value,
    ) -> None:
        """Run what the command line asks for."""
        # What has been imported stays, and records leave no cycles behind: looking for garbage as often as
        # Python does by default would take a fifth of a small run, and a tenth of a large one.
        gc.freeze()
        gc.set_threshold(10_000, 50, 100)
        _bound_the_end()
        PluginBase.invoke.__func__(cls, about=about, about_format=about_format)  # type: ignore[attr-defined]
        cls.print_version(print_fn=cls.logger.info)
        try:
            tap = cls(
                config=config.config if config else {},
                state=_read(state, "--state"),
                catalog=_read_catalog(catalog),
                parse_env_config=bool(config and config.parse_env),
                validate_config=not discover,
                setup_mapper=not discover,
            )
        except ConfigValidationError as error:
            # The SDK would add a last line that says nothing.
            for line in error.errors or [str(error)]:
                cls.logger.error("%s", line)  # noqa: TRY400 - the text is for users
            sys.exit(1)
        except SingerSDKError as error:
            cls.logger.error("%s", error)  # noqa: TRY400 - the text is for users
            sys.exit(1)
        except _Stopped as stopped:
            cls.logger.warning("Stopped by %s.", stopped.name)
            raise
        tap._run(discover=discover, test=test)

    def _run(self, *, discover: bool, test: str) -> None:
        """Do what the command line asks for, and say why it ends where it ends early."""
        try:
            if discover:
                self.run_discovery()
            elif test == CliTestOptionValue.Disabled.value:
                self._connect_children()
                with _progress_shown(self._all_stats, wanted=self.config["progress"]):
                    self.sync_all()
                self._sum_up()
                if not self._selected and not self.failures:
                    self.client.close()
                    self.logger.error("Nothing is selected, so nothing was read. Select streams in the catalog.")
                    sys.exit(1)
            elif test == CliTestOptionValue.Schema.value:
                for stream in self._selected:
                    stream.write_schema()
            else:
                # The SDK would take every stream, and only those selected have a stream map.
                working, count = test_streams(self._selected), len(self._selected) + len(self._undiscovered)
                self.logger.info("%d of %d streams work.", working, count)
            self._conclude()
        except OutputError as error:
            self.message_writer.abandon()
            self.logger.error("Standard output: %s. Nothing more is sent.", error)  # noqa: TRY400 - the text is for users
            self._sum_up()
            sys.exit(1)
        except _Stopped as stopped:
            self.logger.warning("Stopped by %s.", stopped.name)
            self._sum_up()
            raise


def test_streams(streams: Sequence[RestStream]) -> int:
    """Report for each stream whether it can be read; return how many can."""
    for look in [stream.probe() for stream in streams]:
        look()
    return sum(stream.failure is None for stream in streams)


def parents_first(streams: dict[str, Stream]) -> dict[str, Stream]:
    """Return streams in their order, but parents before their children."""
    ordered: dict[str, Stream] = {}

    def add(stream: Stream) -> None:
        if isinstance(stream, RestStream) and stream.parent is not None and stream.parent.name in streams:
            add(stream.parent)
        ordered[stream.name] = stream

    for stream in streams.values():
        add(stream)
    return ordered


def failure_lines(failures: Mapping[str, str], streams: Mapping[str, Stream]) -> Iterator[str]:
    """Yield why streams failed; a reason that several have in common once."""
    together: dict[str, list[str]] = {}
    for name, message in failures.items():
        stream = streams.get(name)
        reason = stream.reason if isinstance(stream, RestStream) and stream.failure else message
        together.setdefault(reason, []).append(name)
    for reason, names in together.items():
        yield f"Failed: {', '.join(names)}: {reason if len(names) > 1 else failures[names[0]]}"


def _bound_the_end() -> None:
    """Have the process end soon after a signal, whatever holds up the end, or the handling of the signal.

    That runs in the main thread, which may wait for a target or a log that nobody reads. The
    signal itself wakes this thread.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)

    def watch() -> None:
        while True:
            for number in os.read(woken, 1):
                if number in {signal.SIGINT, signal.SIGTERM}:
                    time.sleep(GRACE)
                    os._exit(128 + number)

    threading.Thread(target=watch, name="tap-analytics-end", daemon=True).start()


@contextmanager
def _progress_shown(all_stats: Sequence[StreamStats], *, wanted: bool) -> Iterator[None]:
    """Show live how far the streams are, if it is wanted and somebody looks at a terminal."""
    if not wanted or not sys.stderr.isatty() or sys.stdout.isatty():  # messages would come between
        yield
        return
    # Importing rich takes a tenth of a second, which only those pay who see it.
    terminal = importlib.import_module("tap_analytics.terminal")
    with terminal.display(all_stats):
        yield


def _read_catalog(file: IO[str] | None) -> dict[str, Any] | None:
    """Return the catalog that a file holds; raise ClickException where it is not one."""
    catalog = _read(file, "--catalog")
    if catalog is None:
        return None
    entries = catalog.get("streams")
    if not isinstance(entries, list) or not entries:
        msg = "--catalog: the file is not a catalog; it must have a list of streams, as --discover prints it."
        raise click.ClickException(msg)
    for index, entry in enumerate(entries):
        for name, kind in (("tap_stream_id", str), ("schema", dict)):
            if not isinstance(entry, dict) or not isinstance(entry.get(name), kind):
                msg = f"--catalog: streams[{index}].{name}: is missing; write the entry as --discover prints it."
                raise click.ClickException(msg)
        entry.setdefault("key_properties", [])
        entry.setdefault("metadata", [])
    return catalog


def _read(file: IO[str] | None, option: str) -> dict[str, Any] | None:
    """Return what a JSON file holds; raise ClickException where it holds none."""
    if file is None:
        return None
    try:
        content = json.load(file)
    except ValueError as error:
        msg = f"{option}: {file.name} is not JSON: {error}"
        raise click.ClickException(msg) from None
    if not isinstance(content, dict):
        msg = f"{option}: {file.name} does not contain a JSON object."
        raise click.ClickException(msg)
    return content
