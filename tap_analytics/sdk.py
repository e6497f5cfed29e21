"""What singer-sdk (0.54.9) leaves open: the only module that uses its private names, each with its reason.

Each reason is also what a request to the SDK would say: with a public name for it, the code here could go.
"""

from __future__ import annotations

import warnings
from contextlib import suppress
from inspect import getattr_static
from os import environ
from typing import TYPE_CHECKING, Any

from singer_sdk import Stream, Tap
from singer_sdk.configuration._dict_config import parse_environment_config
from singer_sdk.exceptions import ConfigValidationError, MapExpressionError
from singer_sdk.helpers._classproperty import classproperty
from singer_sdk.helpers._compat import SingerSDKPythonEOLWarning
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.plugin_base import PluginBase
from singer_sdk.singerlib import SchemaMessage

from tap_analytics.singer.output import LineWriter

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from types import FrameType

    from singer_sdk.helpers._batch import BatchConfig
    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.singerlib import RecordMessage

INVALID = "The configuration is not valid"

CONTEXTS = ("parent_stream_type", "get_child_context", "generate_child_contexts", "partitions")
"""Members by which the SDK would read a stream once for each of several contexts."""


class SdkStream(Stream):
    """A stream that emits its records itself; the SDK still validates, maps, selects and counts."""

    # The SDK would drop nested fields that the schema lacks, and make true of what is not a boolean.
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    @property
    def emit_activate_version_messages(self) -> bool:
        """No: the SDK sends the version before the rows, and a target may delete at once."""
        return False

    def get_replication_key_signpost(self, context: Context | None = None) -> None:
        """Return none: what a bookmark may not pass is known where it is kept."""
        del context

    # The SDK offers no hook between a page and its messages: it decodes, conforms and encodes each record by itself.

    def _sync_records(
        self, context: Context | None = None, *, write_messages: bool = True
    ) -> Generator[Record, None, None]:
        del context
        yield from self.emit(write_messages=write_messages)

    def _sync_batches(self, batch_config: BatchConfig, context: Context | None = None) -> None:
        del context
        self.emit_batches(batch_config)

    def emit(self, *, write_messages: bool) -> Generator[Record, None, None]:
        """Write the records of the stream, or yield them where the caller is to write them."""
        raise NotImplementedError

    def emit_batches(self, batch_config: BatchConfig) -> None:
        """Write the records of the stream as BATCH files."""
        super()._sync_batches(batch_config)

    # What a stream that emits its records needs of the SDK, and what has no public name there.

    @property
    def tap(self) -> SdkTap:
        """The tap that the stream belongs to."""
        return self._tap  # type: ignore[return-value] # it is one

    @property
    def catalog_schema(self) -> dict[str, Any] | None:
        """The schema that the user's catalog has for the stream."""
        return self._input_schema

    @property
    def version(self) -> int | None:
        """The version of the table that the records belong to."""
        return self._stream_version

    def begin_version(self) -> None:
        """Have the records belong to a new version of the table."""
        self._stream_version = self._tap.initialized_at // 1000

    def write_version(self) -> None:
        """Tell that the records of a new version are complete, if there is one."""
        if self._stream_version is not None:
            self._write_activate_version_message(self._stream_version)

    # The SDK writes the schema that was discovered, has no word for one that grows, and one even where nothing follows.
    def _write_schema_message(self) -> None:
        """Write nothing yet: what reads the stream writes its schema, where there is something to read."""

    def write_schema(self) -> None:
        """Write the SCHEMA message, or the messages where stream maps make several streams."""
        for message in self._generate_schema_messages():
            self._write_new_schema(message)

    def write_own_schema(self, schema: dict[str, Any]) -> None:
        """Write a SCHEMA message with a schema of the stream's own, under its alias."""
        stream_map, key = self.stream_maps[0], self.replication_key
        message = SchemaMessage(stream_map.stream_alias, schema, list(self.primary_keys or ()), [key] if key else None)
        self._write_new_schema(message)

    def _write_new_schema(self, message: SchemaMessage) -> None:
        """Write a SCHEMA message, unless the last one for its table said the same: some loaders begin anew at each."""
        said = (message.schema, tuple(message.key_properties or ()))
        if self.tap.announced.get(message.stream) != said:
            self.tap.announced[message.stream] = said
            self._tap.write_message(message)

    def write_record(self, record: Record) -> None:
        """Write the RECORD messages of a record, mapped; raises MapExpressionError as `mapped` does."""
        for message in self._messages(record):
            self._tap.write_message(message)
        self.state_manager.is_flushed = False

    def mapped(self, record: Record) -> list[Record]:
        """Return what stream maps make of a record, in whose expressions a field that it lacks is null.

        Raises MapExpressionError, without any value of the record.
        """
        return [message.record for message in self._messages(record)]

    # The SDK knows no name in an expression that a record lacks, and quotes values where an expression fails.
    def _messages(self, record: Record) -> list[RecordMessage]:
        try:
            return list(self._generate_record_messages(_WithNulls(record, self.effective_schema["properties"])))
        except Exception as error:  # noqa: BLE001 - an expression may raise anything
            cause = error.__cause__ or error
            name = type(cause).__name__
            reason = str(cause) if name == "NameNotDefined" else name
            text = f"{error} {reason}" if isinstance(error, MapExpressionError) else reason
            msg = f"a stream map of it fails: {text}"
            raise MapExpressionError(msg) from None

    def write_state(self) -> None:
        """Write a STATE message, if the state has changed."""
        self._write_state_message()

    def check_limit(self, index: int) -> None:
        """End the sync where a dry run has seen enough records."""
        self._check_max_record_limit(index)


class _WithNulls(dict[str, Any]):
    """A record that gives null for a field which it lacks, and has no more fields than it has."""

    def __init__(self, record: Mapping[str, Any], fields: Mapping[str, Any]) -> None:
        super().__init__(record)
        self._fields = fields

    def __missing__(self, name: str) -> None:
        if name not in self._fields:
            raise KeyError(name)

    def copy(self) -> _WithNulls:
        return _WithNulls(self, self._fields)


class SdkTap(Tap):
    """A tap that refuses wrong settings in lines of its own, and reads any state."""

    message_writer_class = LineWriter
    message_writer: LineWriter

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - the SDK's own
        self._reads_environment = bool(options.get("parse_env_config"))
        self.announced: dict[str, tuple[Any, ...]] = {}
        """The schema and the keys that the last SCHEMA message for each table had."""
        with warnings.catch_warnings():
            # That a Python comes to its end of life is news for who runs the tap's tests, not for its users.
            warnings.simplefilter("ignore", SingerSDKPythonEOLWarning)
            super().__init__(**options)

    def settings(self, config: dict[str, Any], *, complete: bool) -> Iterator[str]:
        """Bring settings into their final form, and yield a line for each mistake."""
        raise NotImplementedError

    # The SDK says of a wrong value only what jsonschema says, and nothing of unknown settings.
    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        self.append_builtin_config(self.config_jsonschema)
        errors = list(self.settings(self._config, complete=raise_errors))
        if errors:
            raise ConfigValidationError(INVALID, errors=errors)
        return errors

    # The SDK syncs streams in the order of their names, and has no hook between finding and syncing them.
    @property
    def streams(self) -> dict[str, Stream]:
        """The streams by name, in the order in which they are synced."""
        if self._streams is None:
            self._streams = self.in_order(super().streams)
        return self._streams

    def in_order(self, streams: dict[str, Stream]) -> dict[str, Stream]:
        """Return streams in the order in which they are to be synced."""
        return streams

    # The SDK stops at the first environment variable that it cannot parse, with a traceback.
    @classproperty
    def _env_var_config(cls) -> dict[str, Any]:  # noqa: N805 - a property of the class
        """The settings in the environment; what cannot be read there is refused with the others."""
        cls.append_builtin_config(cls.config_jsonschema)
        config: dict[str, Any] = {}
        with suppress(ValueError):  # else one by one, each of which looks for a file .env anew
            return parse_environment_config(cls.config_jsonschema, cls._env_var_prefix)
        for name, definition in cls.config_jsonschema["properties"].items():
            try:
                config |= parse_environment_config({"properties": {name: definition}}, cls._env_var_prefix)
            except ValueError:
                config[name] = environ[f"{cls._env_var_prefix}{name.upper()}"]
        return config

    @property
    def unknown_variables(self) -> dict[str, str]:
        """The environment variables that are named like settings which do not exist, by the names of those."""
        prefix, known = self._env_var_prefix, {*self.config_jsonschema["properties"], "loglevel"}
        names = sorted(name.removeprefix(prefix) for name in environ if name.startswith(prefix))
        unknown = [name for name in names if name.lower() not in known and name[:1] != "_"]  # Meltano's have two
        return {name.lower(): f"{prefix}{name}" for name in unknown} if self._reads_environment else {}

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that hold settings and are not read, by the names of the settings."""
        unread = {} if self._reads_environment else self._env_var_config
        return {name: f"{self._env_var_prefix}{name.upper()}" for name, value in unread.items() if value}

    # The SDK takes any state for its own, and fails at the first stream where it is not.
    def load_state(self, state: dict[str, Any]) -> None:
        """Take over the state of an earlier run; an unusable state is ignored with a warning."""
        state = unwrapped(state)
        bookmarks = state.get("bookmarks", {}) if isinstance(state, dict) else None
        if not isinstance(bookmarks, dict):
            self.logger.warning("The state has no bookmarks by stream; it is ignored, and all streams start over.")
            return
        for stream, bookmark in list(bookmarks.items()):
            if not isinstance(bookmark, dict):
                self.logger.warning("The state of %s is not an object; it is ignored.", stream)
                del bookmarks[stream]
        super().load_state({"bookmarks": bookmarks})

    # The SDK makes the stream maps of all streams, and stumbles over the empty schema of one that is not selected.
    def setup_mapper(self) -> None:
        """Make the stream maps of the selected streams."""
        try:
            PluginBase.setup_mapper(self)
            for entry in self.catalog.streams:
                stream = self.streams.get(entry.tap_stream_id)
                if stream is not None and self.is_mapped(stream):
                    self.mapper.register_raw_streams_from_catalog(type(self.catalog)([(entry.tap_stream_id, entry)]))
        except ConfigValidationError:
            raise
        except Exception as error:
            # The SDK looks at the words of a map as it goes, so anything may come of wrong ones.
            raise ConfigValidationError(INVALID, errors=[f"stream_maps: they are not valid: {error}"]) from error

    def is_mapped(self, stream: Stream) -> bool:
        """Tell whether a stream needs a stream map."""
        return stream.selected

    # The SDK prints the catalog, with a traceback where nobody takes it.
    def run_discovery(self) -> str:
        """Write the catalog to standard output, and return it; raises OutputError where it cannot be written."""
        text = self.catalog_json_text
        self.message_writer.write_lines(text.encode() + b"\n")
        return text

    # The SDK exits with 0 at SIGTERM, in the middle of a line.
    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:
        del frame
        self.terminate(signum)

    def terminate(self, signum: int) -> None:
        """Leave after a signal."""
        raise NotImplementedError


def unwrapped(state: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a state without what is around it: a STATE message, `value` alone, or Meltano's `singer_state`."""
    for name in ("singer_state", "value"):
        if isinstance(state, dict) and isinstance(state.get(name), dict) and "bookmarks" not in state:
            state = state[name]
    return state


def contexts_problem(stream: Stream) -> str | None:
    """Return why a stream would be read once for each of several contexts by the SDK, which this tap does not do."""
    used = [name for name in CONTEXTS if getattr_static(stream, name) is not getattr_static(Stream, name)]
    if not used:
        return None
    return (
        f"stream {stream.name}: {', '.join(used)} cannot be used: the tap reads a stream as a whole, not once for each "
        "parent or partition. Remove it, and refer to the parent in the endpoint, as in {resources.users.id}."
    )
