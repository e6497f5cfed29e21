"""The steps of the backfill as Dagster's assets: a month is a partition, and a partition is a shard."""

import os
from datetime import date

import backfill
import dagster as dg

BEGAN = date.fromisoformat(os.environ["BACKFILL_BEGAN"])
"""The day before the first shard is read; the tail starts there. It never changes again."""

MONTHS = dg.MonthlyPartitionsDefinition(
    start_date=date.fromisoformat(os.environ["BACKFILL_FROM"]).replace(day=1).isoformat(),
    end_offset=1,  # the month that has not ended is read up to now
)


@dg.asset
def tables() -> None:
    """The tables, empty."""
    backfill.create_tables()


@dg.asset(
    deps=[tables],
    partitions_def=MONTHS,
    retry_policy=dg.RetryPolicy(max_retries=2, delay=float(os.environ.get("BACKFILL_RETRY_DELAY", "60"))),
    pool="shards",
)
def history(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """What was created in each month."""
    month = context.partition_time_window
    return materialized(backfill.load_shard(month.start.date(), month.end.date(), began=BEGAN))


@dg.asset(deps=[history])
def tail() -> dg.MaterializeResult[None]:
    """What was created or changed since the backfill began, and the master data."""
    return materialized(backfill.load_tail(began=BEGAN))


def materialized(loaded: backfill.Loaded) -> dg.MaterializeResult[None]:
    """Say of a partition what was loaded, and where its state is; Dagster draws the numbers over the partitions."""
    state = dg.MetadataValue.url(loaded.state) if "://" in loaded.state else dg.MetadataValue.text(loaded.state)
    numbers = {"dagster/row_count": sum(loaded.records.values()), "seconds": loaded.seconds, **loaded.records}
    return dg.MaterializeResult(metadata={**numbers, "state": state})


defs = dg.Definitions(
    assets=[tables, history, tail],
    schedules=[dg.ScheduleDefinition(name="daily", target=[tail], cron_schedule="0 5 * * *")],
    executor=dg.in_process_executor,
)
