"""The made-up data: what is in it, and what happens to it as time passes."""

import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from sandbox import World
from sandbox.world import DEFAULT_NOW, MASTER, RESOURCES, TRANSACTIONAL

FIELDS = {
    "client": {"id", "name", "updatedTimestamp"},
    "workers": {
        "id",
        "name",
        "workerCode",
        "workerGroupId",
        "externalId",
        "hourlyRate",
        "startTimestamp",
        "endTimestamp",
        "locationIds",
        "labelIds",
        "leftHanded",
        "notes",
        "isArchived",
        "createdTimestamp",
        "updatedTimestamp",
    },
    "registrations": {
        "id",
        "worker",
        "workerId",
        "workerGroup",
        "workerGroupId",
        "workerHourlyRate",
        "workerLabels",
        "task",
        "taskId",
        "taskType",
        "taskGroups",
        "taskGroupIds",
        "location",
        "locationId",
        "layoutId",
        "row",
        "rowId",
        "rowFloorArea",
        "rowLabels",
        "variety",
        "varietyId",
        "varietyLabels",
        "assetIds",
        "assetNumbers",
        "deviceNumber",
        "startTimestamp",
        "endTimestamp",
        "stepCounter",
        "laborCost",
        "isArchived",
        "updatedTimestamp",
    },
    "sessions": {
        "id",
        "worker",
        "workerId",
        "workerGroup",
        "workerGroupId",
        "workerHourlyRate",
        "workerLabels",
        "location",
        "locationId",
        "layout",
        "layoutId",
        "row",
        "rowId",
        "rowFloorArea",
        "rowLabels",
        "variety",
        "varietyId",
        "varietyLabels",
        "trolley",
        "deviceNumber",
        "startTimestampGross",
        "endTimestampGross",
        "startTimestampNet",
        "endTimestampNet",
        "count",
        "correctedCount",
        "countCorrected",
        "countCorrectedAtCreation",
        "performanceGross",
        "performanceNet",
        "laborCost",
        "workerPerformanceSlope",
        "workerPerformanceWeightedAvg",
        "varietyPerformanceWeightedAvg",
        "workerToGroupPerformance",
        "isArchived",
        "updatedTimestamp",
    },
}


def small_world(*, seed: int = 7, registrations: int = 500, sessions: int = 250, resources: int = 50) -> World:
    """Return a world with little history."""
    return World(seed=seed, days=20, registrations=registrations, sessions=sessions, resources=resources)


def everything(world: World) -> dict[str, list[bytes]]:
    """Return the raw records of all resources."""
    return {resource: world.select(resource) for resource in RESOURCES}


def by_id(world: World, resource: str) -> dict[str, Any]:
    """Return the records of a resource by their key."""
    return {record["id"]: record for record in world.records(resource)}


def test_the_seed_decides_all_data() -> None:
    assert everything(small_world()) == everything(small_world())
    assert small_world(seed=8).select("rows") != small_world().select("rows")


def test_more_of_one_resource_leaves_the_others_alone() -> None:
    fewer, usual = small_world(sessions=9), small_world()
    assert fewer.select("registrations") == usual.select("registrations")


@pytest.mark.parametrize("registrations", [0, 1, 3_000])
def test_a_history_holds_what_was_asked(registrations: int) -> None:
    world = World(registrations=registrations, sessions=77, resources=5, workers=9, rows=4)
    counts = {resource: len(world.select(resource)) for resource in RESOURCES}
    asked = {"registrations": registrations, "sessions": 77, "resource": 5, "workers": 9, "rows": 4}
    assert counts | asked == counts


@pytest.mark.parametrize("resource", FIELDS)
def test_fields_are_those_of_the_api(resource: str) -> None:
    seen = {name for record in small_world().records(resource) for name in record}
    assert seen == FIELDS[resource]


@pytest.mark.parametrize("resource", TRANSACTIONAL)
def test_values_are_null_or_missing_now_and_then(resource: str) -> None:
    records = small_world().records(resource)
    assert any(None in record.values() for record in records)
    assert any(record.keys() != FIELDS[resource] for record in records)
    assert all(record["id"] and record["updatedTimestamp"] for record in records)


def test_names_are_unicode_and_numbers_are_exact() -> None:
    world = small_world()
    names = "".join(record["name"] for record in world.records("workers"))
    assert not names.isascii()
    assert any(isinstance(record["hourlyRate"], Decimal) for record in world.records("workers"))


def test_keys_are_unique() -> None:
    world = small_world()
    for resource in RESOURCES:
        assert len(by_id(world, resource)) == len(world.records(resource))


def test_days_bring_new_records_and_late_updates() -> None:
    world = small_world()
    before = {resource: by_id(world, resource) for resource in RESOURCES}
    then = world.now
    world.advance(days=3)
    assert (world.now - then).days == 3
    for resource in TRANSACTIONAL:
        after = by_id(world, resource)
        fresh = [after[key] for key in after.keys() - before[resource].keys()]
        changed = [new for key, new in after.items() if before[resource].get(key, new) != new]
        assert len(fresh) > 30
        assert changed
        for record in fresh + changed:
            updated = datetime.fromisoformat(record["updatedTimestamp"])
            assert then < updated <= world.now


def test_weekends_are_quiet() -> None:
    world = World(registrations=5_000, days=70)
    days = [0] * 7
    for record in world.records("registrations"):
        days[datetime.fromisoformat(record["updatedTimestamp"]).weekday()] += 1
    assert max(days[5:]) < min(days[:5]) / 2


def test_masters_change_now_and_then() -> None:
    world = small_world()
    before = everything(world)
    world.advance(days=30)
    after = everything(world)
    assert any(before[resource] != after[resource] for resource in MASTER)


def test_small_steps_lead_where_a_big_one_does() -> None:
    small, big = small_world(), small_world()
    for _ in range(5):
        small.advance(days=0.4)
    big.advance(days=2)
    assert everything(small) == everything(big)


def test_time_does_not_run_back() -> None:
    with pytest.raises(ValueError, match="forward"):
        small_world().advance(days=-1)


@pytest.mark.parametrize("options", [{"now": DEFAULT_NOW.replace(tzinfo=None)}, {"days": 0}])
def test_impossible_worlds_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|needs"):
        World(**options)


def test_put_appends_or_replaces_and_keeps_every_digit() -> None:
    world = small_world()
    raw = b'{"id":"x","value":0.1000000000000000000000000001,"big":123456789012345678901234567890}'
    world.put("resource", raw)
    world.put("resource", {"id": "y", "value": Decimal("1.10")})
    assert world.select("resource")[-2:] == [raw, b'{"id":"y","value":1.10}']
    assert world.records("resource")[-2]["value"] == Decimal("0.1000000000000000000000000001")
    world.put("resource", {"id": "x"})
    assert world.records("resource")[-2] == {"id": "x"}


def test_insert_delete_and_clear() -> None:
    world = small_world(resources=2)
    first, second = world.records("resource")
    world.insert("resource", 1, {"id": "between"})
    assert world.records("resource") == [first, {"id": "between"}, second]
    world.delete("resource", first["id"])
    world.put("resource", {"id": "between", "note": "moved"})
    assert world.records("resource") == [{"id": "between", "note": "moved"}, second]
    world.clear("resource")
    assert world.records("resource") == []


def test_what_is_not_there_is_an_error() -> None:
    world = small_world()
    with pytest.raises(KeyError, match="in workers"):
        world.delete("workers", "nobody")
    with pytest.raises(KeyError, match="there are client"):
        world.records("no such resource")


def test_growth_goes_on_around_records_that_were_put_and_deleted() -> None:
    world = small_world()
    for record in world.records("registrations")[::2]:
        world.delete("registrations", record["id"])
    world.put("registrations", {"id": "mine"}, created=datetime(2026, 5, 30, tzinfo=UTC))
    world.advance(days=10)
    assert by_id(world, "registrations")["mine"] == {"id": "mine"}


def test_a_history_of_ten_times_the_length_takes_ten_times_the_steps() -> None:
    def steps(registrations: int) -> int:
        count = 0

        def see(*_event: object) -> None:
            nonlocal count
            count += 1

        sys.setprofile(see)
        try:
            World(days=10, registrations=registrations, sessions=1, resources=1)
        finally:
            sys.setprofile(None)
        return count

    assert steps(10_000) < 15 * steps(1_000)
