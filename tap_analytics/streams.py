"""The resources of the analytics API: one class each, of one value each."""

from __future__ import annotations

from typing import Any

from tap_analytics.config.words import Endpoint, Resource
from tap_analytics.rest.paginators import Offset, SinglePage
from tap_analytics.stream import RestStream
from tap_analytics.sync.replication import Backfill, FullTable, IncrementalByDay, Replication
from tap_analytics.sync.slices import DayFilter

LARGEST_PAGE = 10_000
"""Records that the API returns at most in one answer (its contract)."""

LONGEST_FILTER = 366
"""Days that `days_from_date` may be at most (the API's contract)."""

CREATED = DayFilter("date", "days_from_date", LONGEST_FILTER, {"filter_date_by": "CREATED"}, verb="created")
UPDATED = DayFilter("date", "days_from_date", LONGEST_FILTER, {"filter_date_by": "UPDATED"}, verb="updated")


def master(name: str, path: str) -> Resource:
    """Return master data: a single page, read whole in every sync."""
    return _resource(name, path, SinglePage())


def transactional(name: str, path: str, replication: Replication | None = None, *, schema: str = "") -> Resource:
    """Return what happens day by day: many pages, read whole unless a replication says otherwise."""
    # The records that were updated lately fit one answer, as a rule.
    paginator = SinglePage() if isinstance(replication, IncrementalByDay) else Offset(limit=LARGEST_PAGE)
    return _resource(name, path, paginator, replication=replication or FullTable(), schema_file=schema or name)


def _resource(name: str, path: str, paginator: Any, **facts: Any) -> Resource:  # noqa: ANN401 - of `Resource`
    endpoint = Endpoint(path=path, data_selector="data", paginator=paginator)
    return Resource(name=name, endpoint=endpoint, primary_key="id", **{"schema_file": name, **facts})


class Clients(RestStream):
    """The clients that the key belongs to."""

    resource = master("clients", "/v1/master/client")


class Locations(RestStream):
    """The greenhouses and other places of work."""

    resource = master("locations", "/v1/master/locations")


class Rows(RestStream):
    """The physical rows of plants."""

    resource = master("rows", "/v1/master/rows")


class Users(RestStream):
    """The people who can log in."""

    resource = master("users", "/v1/master/users")


class Workers(RestStream):
    """The people who do the work."""

    resource = master("workers", "/v1/master/workers")


class WorkerGroups(RestStream):
    """Groups of workers."""

    resource = master("worker_groups", "/v1/master/workergroups")


class Tasks(RestStream):
    """Kinds of work."""

    resource = master("tasks", "/v1/master/tasks")


class TaskGroups(RestStream):
    """Groups of tasks."""

    resource = master("task_groups", "/v1/master/taskgroups")


class Labels(RestStream):
    """Labels that mark workers, rows and varieties."""

    resource = master("labels", "/v1/master/labels")


class Varieties(RestStream):
    """Plant varieties."""

    resource = master("varieties", "/v1/master/varieties")


class RegistrationsInitial(RestStream):
    """All stretches of work that were ever logged."""

    resource = transactional(
        "registrations_initial",
        "/v1/transactional/registrations",
        Backfill(CREATED, cursor="updatedTimestamp"),
        schema="registrations",
    )


class RegistrationsIncremental(RestStream):
    """The stretches of work that were logged or changed lately."""

    resource = transactional(
        "registrations_incremental",
        "/v1/transactional/registrations",
        IncrementalByDay(UPDATED, cursor="updatedTimestamp", backfill="registrations_initial"),
        schema="registrations",
    )


class SessionsInitial(RestStream):
    """All passes through a row that were ever logged."""

    resource = transactional(
        "sessions_initial",
        "/v1/transactional/sessions",
        Backfill(CREATED, cursor="updatedTimestamp"),
        schema="sessions",
    )


class SessionsIncremental(RestStream):
    """The passes through a row that were logged or changed lately."""

    resource = transactional(
        "sessions_incremental",
        "/v1/transactional/sessions",
        IncrementalByDay(UPDATED, cursor="updatedTimestamp", backfill="sessions_initial"),
        schema="sessions",
    )
