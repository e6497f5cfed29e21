"""BATCH files: the records of a stream as compressed lines of JSON, in storage that a target reads."""

from __future__ import annotations

import gzip
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from msgspec import Raw
    from singer_sdk.helpers._batch import BatchConfig

LEVEL = 1
"""The level of gzip: 1 takes a fifth of the time of 9; the files are a third larger."""


class BatchFiles:
    """Writes records to a sequence of files, `batch_size` records each."""

    def __init__(self, config: BatchConfig, name: str) -> None:
        self._config = config
        self._name = f"{config.storage.prefix or ''}{name}-{uuid4()}"
        self._number = 0
        self._open = ExitStack()
        self._file: IO[bytes] | None = None
        self._remaining = 0

    def write(self, records: Sequence[Raw | bytes]) -> Iterator[list[str]]:
        """Write encoded records; yield the manifest of each file that they complete."""
        while records:
            file = self._file or self._begin()
            chunk, records = records[: self._remaining], records[self._remaining :]
            file.write(b"\n".join(chunk) + b"\n")
            self._remaining -= len(chunk)
            if self._remaining == 0:
                yield from self.end()

    def end(self) -> Iterator[list[str]]:
        """Close the current file, if there is one, and yield its manifest; the next record begins a new file."""
        if self._file is not None:
            self._open.close()
            self._file = None
            yield [self._config.storage.get_url(self._filename)]

    def _begin(self) -> IO[bytes]:
        self._number += 1
        compressed = self._config.encoding.compression == "gzip"
        self._filename = f"{self._name}-{self._number}.json{'.gz' if compressed else ''}"
        self._remaining = self._config.batch_size
        file: Any = self._open.enter_context(self._config.storage.open(self._filename, "wb"))
        if compressed:
            file = self._open.enter_context(gzip.GzipFile(fileobj=file, mode="wb", compresslevel=LEVEL))
        self._file = file
        return self._file
