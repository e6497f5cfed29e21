"""The command line: how a run begins, goes on past failures, and ends."""

from __future__ import annotations

import gc
import importlib
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from functools import partial
from typing import IO, TYPE_CHECKING, Any

import click
from singer_sdk.exceptions import ConfigValidationError, SingerSDKError
from singer_sdk.plugin_base import PluginBase
from singer_sdk.tap_base import CliTestOptionValue

import tap_analytics.about  # noqa: F401 - the SDK finds the formatter by its name
from tap_analytics import progress
from tap_analytics.files import read_catalog, read_settings, read_state
from tap_analytics.rest.errors import RestError
from tap_analytics.rest.threads import start_thread
from tap_analytics.sdk import INVALID, SdkTap, contexts_problem
from tap_analytics.singer.output import NullWriter, OutputError
from tap_analytics.stream import RestStream
from tap_analytics.sync.parents import ParentError

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

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
  tap-analytics --config c.json --plan      what would a run ask for?
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
    "test": "Show for each selected stream whether it can be read, and what to do where it cannot; nothing is emitted. "
    "--test=schema prints the SCHEMA messages only.",
    "preview": "Show five records of a stream as a table.",
    "plan": "Show for each selected stream its bookmark, and what a run would ask for. Nothing is sent.",
    "catalog": "File with a catalog, which selects streams and fields. Without it, everything is read.",
    "state": "File with the last STATE of an earlier run, to go on from there.",
}
"""What --help says of each option."""


_before_the_end: list[Callable[[], None]] = []
"""What is done before the process ends without an end of its own."""


class _Stopped(SystemExit):
    """A signal asked the tap to leave."""

    def __init__(self, signum: int) -> None:
        super().__init__(128 + signum)
        self.name = signal.Signals(signum).name


class ResilientTap(SdkTap):
    """A tap whose streams fail one by one, and that tells its user why."""

    client: Client

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - the SDK's own
        self.undiscovered: dict[str, str] = {}
        """Why which streams have no schema."""
        self._sampled: Sequence[str] | None = options.pop("sampled", None)
        """Of which streams records may be looked at for a schema; None stands for all of them."""
        super().__init__(**options)

    def in_order(self, streams: dict[str, Stream]) -> dict[str, Stream]:
        """Return streams in the order of their names, but parents before their children."""
        return parents_first(streams)

    def is_mapped(self, stream: Stream) -> bool:
        """Tell whether a stream needs a stream map: without a schema there is nothing to map."""
        is_known = self._may_be_sampled(stream.name) or bool(stream.schema.get("properties"))
        return super().is_mapped(stream) and is_known

    def _may_be_sampled(self, name: str) -> bool:
        return self._sampled is None or name in self._sampled

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
            stream.may_be_sampled = self._may_be_sampled(stream.name)
            try:
                if self.input_catalog is None:
                    _ = stream.schema
                usable.append(stream)
            except (RestError, SingerSDKError, ParentError) as error:
                self.undiscovered[stream.name] = f"no schema can be inferred: {error}"
            except Exception as error:  # noqa: BLE001 - the other streams may well be sound
                self.undiscovered[stream.name] = f"no schema can be inferred: {stream.unexpected(error)}"
        for name in self.undiscovered:
            if (parent := named[name].parent) is not None:
                parent.hold_back()
        return usable

    # The run

    @property
    def failures(self) -> dict[str, str]:
        """What ended which streams early."""
        failed = {stream.name: str(stream.failure) for stream in self._streams_of_ours if stream.failure}
        return self.undiscovered | failed

    @property
    def _streams_of_ours(self) -> list[RestStream]:
        return [stream for stream in self.streams.values() if isinstance(stream, RestStream)]

    @property
    def selected(self) -> list[RestStream]:
        """The streams that are selected, in their order."""
        return [stream for stream in self._streams_of_ours if stream.selected]

    def connect_children(self) -> None:
        """Tell parents which of their children are selected."""
        for stream in reversed(self._streams_of_ours):
            if stream.parent is not None and (stream.selected or stream.children):
                stream.parent.children.append(stream)

    @property
    def _all_stats(self) -> list[StreamStats]:
        """What the selected streams have done so far, in their order."""
        return [stream.stats for stream in self.selected]

    def _sum_up(self) -> None:
        """Log in one line a stream what has been done, and the total."""
        progress.sum_up(self._all_stats, self.logger)

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


class RestTap(ResilientTap):
    """The command line of the tap."""

    @classmethod
    def get_singer_command(cls) -> click.Command:
        """Return the command line interface of the SDK, with help, and with errors in one line each."""
        command = super().get_singer_command()
        command.help, command.epilog = renamed(HELP, cls.name), renamed(EPILOG, cls.name)
        command.params += [click.Option(["--preview"], metavar="STREAM"), click.Option(["--plan"], is_flag=True)]
        for option in command.params:
            if isinstance(option, click.Option) and option.name in OPTIONS:
                option.help = OPTIONS[option.name]
            if option.name == "config":
                option.type = click.Path()  # a shell completes it
            if option.name in {"discover", "test"}:
                # Not in a callback while the line is parsed: there the SDK reports no mistake in
                # the settings, and knows no catalog.
                option.callback, option.expose_value = None, True
        return command

    @classmethod
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> _ConfigInput:
        """Read the configuration files; raise ClickException for one that is none."""
        settings = super().cb_config(ctx, param, tuple(name for name in value if name == "ENV"))
        for name in value:
            settings.config.update({} if name == "ENV" else read_settings(name))
        return settings

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
        preview: str | None = None,
        plan: bool = False,
    ) -> None:
        """Run what the command line asks for."""
        _set_up_process()
        PluginBase.invoke.__func__(cls, about=about, about_format=about_format)  # type: ignore[attr-defined]
        cls.print_version(print_fn=cls.logger.info)
        task = _task(discover=discover, test=test, preview=preview, plan=plan)
        tap = _made(
            cls,
            config=config.config if config else {},
            state=read_state(state),
            catalog=read_catalog(catalog),
            parse_env_config=bool(config and config.parse_env),
            validate_config=not discover,
            setup_mapper=not discover,
            message_writer=NullWriter() if task in {_test, _show_plan} or preview else None,
            sampled=() if plan else preview and (preview,),
        )
        tap.run_task(task)

    def run_task(self, task: Callable[[RestTap], object]) -> None:
        """Do what the command line asks for, and say why it ends where it ends early."""
        try:
            self.message_writer.check()
            task(self)
            self._conclude()
        except RestError as error:  # of no stream: no thread can be started for its connection test
            self.logger.error("%s", error)  # noqa: TRY400 - the text is for users
            sys.exit(1)
        except OutputError as error:
            self.message_writer.abandon()
            self._sum_up()
            self.logger.error("Standard output: %s. Nothing more is sent.", error)  # noqa: TRY400 - the text is for users
            sys.exit(1)
        except _Stopped as stopped:
            self._sum_up()
            self.logger.warning("Stopped by %s.", stopped.name)
            raise

    def sync(self) -> None:
        """Read all selected streams."""
        self.connect_children()
        with _progress_shown(self._all_stats, self.logger, wanted=self.config["progress"]):
            self.sync_all()
        self._sum_up()
        self.refuse_nothing()

    def write_schemas_of_selected(self) -> None:
        """Write the SCHEMA messages: the SDK would take every stream, and only those selected have a stream map."""
        for stream in self.selected:
            stream.write_schema()

    def refuse_nothing(self) -> None:
        """Leave with exit code 1 where no stream is selected."""
        if not self.selected and not self.failures:
            self.client.close()
            self.logger.error("Nothing is selected, so nothing was read. Select streams in the catalog.")
            sys.exit(1)


def _made(tap: type[RestTap], **options: Any) -> RestTap:  # noqa: ANN401 - the SDK's own
    """Return a tap; leave with exit code 1 where its settings are wrong, and say how."""
    try:
        _bound_the_end()
        return tap(**options)
    except ConfigValidationError as error:
        # The SDK would add a last line that says nothing.
        for line in error.errors or [str(error)]:
            tap.logger.error("%s", line)  # noqa: TRY400 - the text is for users
        sys.exit(1)
    except (SingerSDKError, RestError) as error:
        tap.logger.error("%s", error)  # noqa: TRY400 - the text is for users
        sys.exit(1)
    except _Stopped as stopped:
        tap.logger.warning("Stopped by %s.", stopped.name)
        raise


def _task(*, discover: bool, test: str, preview: str | None, plan: bool) -> Callable[[RestTap], object]:
    """Return what does what the command line asks for."""
    if discover:
        return RestTap.run_discovery
    if plan:
        return _show_plan
    if preview is not None:
        return partial(_show_preview, name=preview)
    if test == CliTestOptionValue.Disabled.value:
        return RestTap.sync
    return RestTap.write_schemas_of_selected if test == CliTestOptionValue.Schema.value else _test


# What is shown to people. The modules are imported when they are needed: that takes a tenth of a second.


def _test(tap: RestTap) -> None:
    """Show which streams can be read; leave with exit code 1 where one cannot. The last line says it all."""
    tap.refuse_nothing()
    tables = importlib.import_module("tap_analytics.tables")
    tables.show_test(tap.selected, tap.undiscovered, tap.client.secrets)
    tap.client.close()
    failures, count = tap.failures, len(tap.selected) + len(tap.undiscovered)
    reasons = [line.removeprefix("Failed: ") for line in failure_lines(failures, tap.streams)]
    why = f" Failed: {reasons[0]}" if reasons else ""
    if len(reasons) > 1:
        why = f" Failed: {', '.join(failures)}; the first: {reasons[0]}"
    click.echo(tap.client.secrets.redact(f"{count - len(failures)} of {count} streams work.{why}"), err=True)
    if failures:
        sys.exit(1)


def _show_preview(tap: RestTap, name: str) -> None:
    """Show some records of a stream; raises UsageError where there is no such stream."""
    stream = tap.streams.get(name)
    if not isinstance(stream, RestStream):
        if name not in tap.undiscovered:
            tap.client.close()
            msg = f"--preview: there is no stream {name!r}; there are {', '.join(tap.streams)}."
            raise click.UsageError(msg)
        return
    importlib.import_module("tap_analytics.tables").show_preview(stream, tap.client.secrets)


def _show_plan(tap: RestTap) -> None:
    """Show what a run would do."""
    tap.refuse_nothing()
    tap.connect_children()
    importlib.import_module("tap_analytics.plan").show(tap.streams.values(), tap.client.secrets)


def renamed(text: str, name: str) -> str:
    """Return a text with another name of the tap: as its command, and in its environment variables."""
    variables = f"{name.replace('-', '_').upper()}_"
    return text.replace("tap-analytics", name).replace("TAP_ANALYTICS_", variables)


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


def _set_up_process() -> None:
    """Look for garbage more rarely, and write to nowhere what would go to a standard error that is closed."""
    # What has been imported stays, and records leave no cycles behind: looking for garbage as often as
    # Python does by default would take a fifth of a small run, and a tenth of a large one.
    gc.freeze()
    gc.set_threshold(10_000, 50, 100)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - until the process ends


def _bound_the_end() -> None:
    """Have the process end soon after a signal, whatever holds up the end, or the handling of the signal.

    That runs in the main thread, which may wait for a target or a log that nobody reads. The
    signal itself wakes this thread.

    Raises RestError where the system lets the process start no thread.
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
                    for function in _before_the_end:
                        function()
                    os._exit(128 + number)

    start_thread(watch, "end")


@contextmanager
def _progress_shown(all_stats: Sequence[StreamStats], logger: logging.Logger, *, wanted: bool) -> Iterator[None]:
    """Show how far the streams are, if it is wanted: live on a terminal, and in a line now and then elsewhere."""
    if not wanted:
        yield
    # On one terminal, messages would come between.
    elif sys.stderr.isatty() and not sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        terminal = importlib.import_module("tap_analytics.terminal")
        with terminal.display(all_stats) as take_away:
            _before_the_end.append(take_away)
            yield
    else:
        with progress.lines(all_stats, logger):
            yield
