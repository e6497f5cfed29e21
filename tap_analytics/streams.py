"""The resources of the analytics API: one class each, facts only."""

from __future__ import annotations

from importlib import resources

from singer_sdk import SchemaDirectory, StreamSchema

from tap_analytics.rest.endpoint import LARGEST_PAGE, Offset, Paginator, SinglePage
from tap_analytics.stream import AnalyticsStream
from tap_analytics.sync.replication import Backfill, Tail

SCHEMAS = SchemaDirectory(resources.files(__package__) / "schemas")


class MasterStream(AnalyticsStream):
    """Master data: a single page, read whole in every sync."""

    schema = StreamSchema(SCHEMAS)


class TransactionalStream(AnalyticsStream):
    """What happens day by day: many pages, read whole unless `replication` says otherwise."""

    schema = StreamSchema(SCHEMAS)
    paginator: Paginator = Offset(limit=LARGEST_PAGE)


class Clients(MasterStream):
    """The clients that the key belongs to."""

    name = "clients"
    path = "/v1/master/client"


class Locations(MasterStream):
    """The greenhouses and other places of work."""

    name = "locations"
    path = "/v1/master/locations"


class Rows(MasterStream):
    """The physical rows of plants."""

    name = "rows"
    path = "/v1/master/rows"


class Users(MasterStream):
    """The people who can log in."""

    name = "users"
    path = "/v1/master/users"


class Workers(MasterStream):
    """The people who do the work."""

    name = "workers"
    path = "/v1/master/workers"


class WorkerGroups(MasterStream):
    """Groups of workers."""

    name = "worker_groups"
    path = "/v1/master/workergroups"


class Tasks(MasterStream):
    """Kinds of work."""

    name = "tasks"
    path = "/v1/master/tasks"


class TaskGroups(MasterStream):
    """Groups of tasks."""

    name = "task_groups"
    path = "/v1/master/taskgroups"


class Labels(MasterStream):
    """Labels that mark workers, rows and varieties."""

    name = "labels"
    path = "/v1/master/labels"


class Varieties(MasterStream):
    """Plant varieties."""

    name = "varieties"
    path = "/v1/master/varieties"


class RegistrationsInitial(TransactionalStream):
    """All stretches of work that were ever logged."""

    name = "registrations_initial"
    path = "/v1/transactional/registrations"
    replication = Backfill()
    schema = StreamSchema(SCHEMAS, key="registrations")


class RegistrationsIncremental(TransactionalStream):
    """The stretches of work that were logged or changed lately."""

    name = "registrations_incremental"
    path = "/v1/transactional/registrations"
    paginator = SinglePage()
    replication = Tail(backfill="registrations_initial")
    replication_key = "updatedTimestamp"
    schema = StreamSchema(SCHEMAS, key="registrations")


class SessionsInitial(TransactionalStream):
    """All passes through a row that were ever logged."""

    name = "sessions_initial"
    path = "/v1/transactional/sessions"
    replication = Backfill()
    schema = StreamSchema(SCHEMAS, key="sessions")


class SessionsIncremental(TransactionalStream):
    """The passes through a row that were logged or changed lately."""

    name = "sessions_incremental"
    path = "/v1/transactional/sessions"
    paginator = SinglePage()
    replication = Tail(backfill="sessions_initial")
    replication_key = "updatedTimestamp"
    schema = StreamSchema(SCHEMAS, key="sessions")
