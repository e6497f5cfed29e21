"""What a stream owes others: its state, its records to its children, and why it failed."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk.exceptions import FatalSyncError, SingerSDKError, SyncLifecycleSignal

from tap_analytics.progress import StreamStats
from tap_analytics.rest.client import EXCERPT, Client
from tap_analytics.rest.errors import RestError
from tap_analytics.sdk import SdkStream
from tap_analytics.sync.parents import ParentRecords
from tap_analytics.sync.replication import BOOKMARK, State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from singer_sdk import Tap

    from tap_analytics.config.words import Resource
    from tap_analytics.rest.pages import Page


class FamilyStream(SdkStream):
    """Keeps state and failures; a parent's state waits for its children."""

    resource: ClassVar[Resource]

    def __init__(self, tap: Tap, client: Client, resource: Resource | None) -> None:
        if resource is not None:
            self.resource = resource  # type: ignore[misc] # of a class where the tap ships it, of an instance else
        self.client = client
        self.stats = StreamStats(self.resource.name)
        self.children: list[FamilyStream] = []
        """The selected streams that are read for each of this stream's records."""
        self.parent: FamilyStream | None = None
        self.failure: Exception | None = None
        """What ended the stream early."""
        self.is_quiet = False
        """Whether somebody else tells why it ended early."""
        self._uncommitted: State = {}
        """What will be true of what was emitted once the file that is being written, and all children, are complete."""
        self._parent_records: ParentRecords | None = None
        self._is_read = False
        self._is_tried = False
        self._has_failed_children = False
        super().__init__(tap, name=self.resource.name)

    def pages(self) -> Iterator[Page]:
        """Yield all pages of this sync."""
        raise NotImplementedError

    def close(self) -> None:
        """Give up what is still in flight."""

    @property
    def path(self) -> str:
        """How messages name the resource of the requests."""
        raise NotImplementedError

    # State

    def _keep(self, state: State) -> None:
        """Write what is now known to have been emitted, once all that depends on it has been, too."""
        if BOOKMARK in state:
            state = {"replication_key": self.replication_key, **state}
        self._uncommitted |= state
        if not self.children:
            self._commit()

    def _commit(self) -> None:
        """Take into the state what is now known to have been emitted, and write it."""
        self._settle()
        self.write_state()

    def _settle(self) -> None:
        if self._has_failed_children:
            self._uncommitted.clear()  # the next run reads the same parents for the child that failed
        if self._uncommitted:
            self.stream_state.update(self._uncommitted)
            self._uncommitted.clear()
            self.state_manager.is_flushed = False

    # Parents

    def records_for_children(self) -> Iterator[Mapping[str, Any]]:
        """Yield the records of this stream, as far as its children need them, reading it first if need be.

        Raises RestError where it could not be read.
        """
        if not self._is_read and not self.selected and not self._is_tried:
            self._is_tried = True
            for page in self.pages():
                self.look_at(page)
        if not self._is_read:
            msg = f"its parent {self.name} could not be read"
            raise RestError(msg)
        return iter(self._parent_records or ())

    def look_at(self, page: Page) -> None:
        """Keep what children need of a page that is not emitted."""
        self.keep_for_children(page.records)

    def keep_for_children(self, records: Sequence[Any]) -> None:
        """Keep what children need of some records, given as their bytes."""
        if not self.children:
            return
        if self._parent_records is None:
            wanted = [child.resource.parent.wanted for child in self.children if child.resource.parent]
            self._parent_records = ParentRecords(frozenset().union(*wanted) if all(wanted) else frozenset())
        self._parent_records.add(records)

    def child_done(self, child: FamilyStream, *, failed: bool) -> None:
        """Commit what this stream knows once all its children have been read, and theirs."""
        self.children = [one for one in self.children if one is not child]
        self._has_failed_children |= failed
        if self.children:
            return
        if self._parent_records is not None:
            self._parent_records.close()
        self._commit()
        self._report()

    def hold_back(self) -> None:
        """Keep the bookmarks of this stream and its parents: a child cannot be read in this run."""
        self._has_failed_children = True
        if self.parent is not None:
            self.parent.hold_back()

    def _report(self) -> None:
        """Tell the parent that this stream and all that are read for its records have been read, or have failed."""
        if self.parent is not None:
            self.parent.child_done(self, failed=self._has_failed_children or self.failure is not None)

    # Failures

    @contextmanager
    def keeping_failure(self) -> Iterator[None]:
        """Keep what ends the stream early, and give up what is still in flight for it."""
        self.stats.begin()
        try:
            yield
        except SyncLifecycleSignal:
            raise  # a dry run has seen enough
        except Exception as error:  # noqa: BLE001 - the streams after this one may well be sound
            self._fail(error)
        finally:
            self.close()
        self.stats.end("failed" if self.failure else "done")
        if not self.children:
            self._report()

    def _fail(self, error: Exception) -> None:
        """Keep why the stream ended early, and log it in one line."""
        if not isinstance(error, SingerSDKError | RestError):
            error = self.unexpected(error)
        self.failure = error
        if self.is_quiet:
            return
        if self.client.is_new_reason(self.reason):
            self.logger.error("%s: %s", self.name, error)
        else:
            self.logger.info("%s failed for the same reason as an earlier stream.", self.name)

    def unexpected(self, error: Exception) -> FatalSyncError:
        """Return in one line an error that nobody foresaw; its traceback is logged at DEBUG."""
        self.logger.debug("%s: unexpected error.", self.name, exc_info=error)
        text = self.client.secrets.excerpt(f"{type(error).__name__}: {error}", EXCERPT)
        return FatalSyncError(f"unexpected error: {text}")

    @property
    def reason(self) -> str:
        """What ended the stream early, without the request: streams may have it in common."""
        request = rf"(GET|POST) {re.escape(self.path)}( \([^)]*\))?"
        return re.sub(request, "every request", str(self.failure))
