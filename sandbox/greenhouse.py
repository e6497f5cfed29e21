"""What happens in a made-up greenhouse company, deterministic in its seed."""

import json
import random
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from sandbox.instants import DAY, HOUR, MINUTE, SECOND, stamp, working_instants

Record = dict[str, Any]

_NULL: Final = 0.04
_MISSING: Final = 0.02
_ARCHIVED: Final = 0.03
_LEFT_HANDED: Final = 0.1
_ON_TIME: Final = 0.9
_COST_OF_AN_HOUR: Final = 15.5
_LATE_SHARE: Final = 0.04
_MASTER_UPDATES_A_DAY: Final = 0.5
_NEVER_THINNED: Final = frozenset({"id", "name", "createdTimestamp", "updatedTimestamp"})

_FIRST_NAMES: Final = (
    "Sanne Daan Femke Joost Anouk Bram Lotte Thijs Noor Sjoerd Marijke Gijs Renée Łukasz Agnieszka "
    "Zoë André Ivana Françoise Jürgen Mária Piotr Ayşe Bogdan Chloë Dirk Eline Hanneke Kees Maud"
).split()
_LAST_NAMES: Final = (
    "de Vries|van den Berg|Bakker|Jansen|Visser|Smit|Meijer|de Boer|Mulder|de Groot|Bos|Vos|Peters|"
    "Hendriks|van Leeuwen|Dekker|Brouwer|de Wit|Dijkstra|Kowalski|Wójcik|Nowak|Ionescu|Öztürk|"
    "Koolen|van 't Hoff|Stoffels|Ruëll|Oosterlaken|Zwinkels"
).split("|")
_LOCATIONS: Final = ("Kas Noord", "Kas Zuid", "De Lier", "Maasdijk", "Bleiswijk", "Sirjansland")
_GROUPS: Final = (
    "Oogstploeg",
    "Bladploeg",
    "Vaste kern",
    "Uitzend Polen",
    "Vakantiekrachten",
    "Teeltploeg Noord",
    "Teeltploeg Zuid",
    "Sortering",
)
_TASKS: Final = (
    ("Harvesting", "Harvest"),
    ("Deleafing", "Crop work"),
    ("Clipping", "Crop work"),
    ("Lowering", "Crop work"),
    ("Twisting", "Crop work"),
    ("Pruning trusses", "Crop work"),
    ("Removing side shoots", "Crop work"),
    ("Sorting", "Packing"),
    ("Cleaning", "General"),
    ("Break", "General"),
)
_TASK_GROUPS: Final = ("Harvest", "Crop work", "Packing", "General")
_LABELS: Final = (
    "Ervaren",
    "Nieuw",
    "Bio",
    "Proefrij",
    "Zuidgevel",
    "EHBO",
    "Crème",
    "Ploeg A",
)
_VARIETIES: Final = ("Brioso", "Merlice", "Sweeterno", "Maranello", "Nagano RZ", "Ferrari (geel)")
_NOTES: Final = (
    "Starts at 06:30",
    "Prefers mornings 🌱",
    'Says "only peppers"',
    "Reïntegratie: half days\nuntil June",
    "C:\\export\\2026",
    "",
)


class Happening(NamedTuple):
    """One record as it is created at an instant (ms)."""

    at: int
    key: str
    raw: bytes
    archived: bool


class Update(NamedTuple):
    """A change at an instant (ms) to some record, picked by draws from 0 to 1."""

    at: int
    pick: float
    pick_again: float
    amount: float


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _members(record: Record) -> str:
    """Return a record's JSON without its braces and with a comma at the end.

    Transactional records are put together from such parts: they come in hundreds of thousands.
    """
    return _text(record)[1:-1] + ","


def _lateness(rng: random.Random) -> int:
    """Return how long (ms) work takes to come in: up to three days if its watch was offline."""
    return int(rng.random() * (2 * MINUTE if rng.random() < _ON_TIME else 3 * DAY))


def _cost(length: int) -> float:
    """Return what work of some ms costs, with four decimals."""
    return int(length / HOUR * _COST_OF_AN_HOUR * 10_000) / 10_000


class Greenhouse:
    """The company's master data, and the streams of what happens there from a midnight (ms) on."""

    def __init__(self, *, seed: int, start: int, workers: int, rows: int) -> None:
        self._seed = seed
        self._start = start
        self._rng = self._random("master")
        self.master: dict[str, list[Record]] = {}
        self._people(workers)
        self._glass(rows)
        self._work()
        full = {name: [dict(record) for record in made] for name, made in self.master.items()}
        for records in self.master.values():
            for record in records:
                self._thin(record)
        self._worker_parts = self._describe_workers(full)
        self._row_parts = self._describe_rows(full)
        self._task_parts = self._describe_tasks(full)

    def _random(self, purpose: str) -> random.Random:
        # A generator for each purpose: asking for more sessions leaves the registrations alone.
        return random.Random(f"{self._seed} {purpose}")

    def _key(self) -> str:
        return f"{self._rng.getrandbits(96):024x}"

    def _some(self, records: list[Record], most: int = 2) -> list[str]:
        picked = self._rng.sample(records, min(self._rng.randint(0, most), len(records)))
        return [record["id"] for record in picked]

    def _decimal(self, low: float, high: float) -> float:
        return round(self._rng.uniform(low, high), 4)

    def _life(self, *, archived: bool = True) -> Record:
        """Return the members that end most master records."""
        created = self._start - self._rng.randrange(30 * DAY, 900 * DAY)
        updated = self._rng.randrange(created, self._start)
        life: Record = {}
        if archived:
            life["isArchived"] = self._rng.random() < _ARCHIVED
        return life | {"createdTimestamp": stamp(created), "updatedTimestamp": stamp(updated)}

    def _thin(self, record: Record) -> None:
        """Take some values and some members away, as a real API does."""
        for name in [name for name in record if name not in _NEVER_THINNED]:
            draw = self._rng.random()
            if draw < _MISSING:
                del record[name]
            elif draw < _MISSING + _NULL:
                record[name] = None

    def _named(self, names: tuple[str, ...]) -> list[Record]:
        return [{"id": self._key(), "name": name, **self._life()} for name in names]

    def _people(self, workers: int) -> None:
        rng = self._rng
        self.master["client"] = [
            {
                "id": self._key(),
                "name": "Kwekerij De Zonnehoek",
                "updatedTimestamp": stamp(self._start - 40 * DAY),
            }
        ]
        self.master["locations"] = locations = [
            {
                "id": self._key(),
                "name": name,
                "externalId": f"LOC{number:03d}",
                "layoutIds": [self._key() for _ in range(rng.randint(1, 2))],
                **self._life(archived=False),
            }
            for number, name in enumerate(_LOCATIONS[: rng.randint(2, 3)], start=1)
        ]
        self.master["labels"] = labels = self._named(_LABELS)
        groups = _GROUPS[: max(2, min(len(_GROUPS), workers // 7 + 1))]
        self.master["workergroups"] = worker_groups = self._named(groups)
        self.master["workers"] = [
            {
                "id": self._key(),
                "name": f"{rng.choice(_FIRST_NAMES)} {rng.choice(_LAST_NAMES)}",
                "workerCode": f"{number:04d}",
                "workerGroupId": rng.choice(worker_groups)["id"],
                "externalId": f"P{rng.randint(10_000, 99_999)}",
                "hourlyRate": self._decimal(13.5, 22),
                "startTimestamp": stamp(self._start - rng.randrange(10 * DAY, 2_000 * DAY)),
                "endTimestamp": None,
                "locationIds": self._some(locations),
                "labelIds": self._some(labels),
                "leftHanded": rng.random() < _LEFT_HANDED,
                "notes": rng.choice(_NOTES),
                **self._life(),
            }
            for number in range(1, workers + 1)
        ]
        self.master["users"] = [
            {
                "id": self._key(),
                "name": f"{rng.choice(_FIRST_NAMES)} {rng.choice(_LAST_NAMES)}",
                "email": f"user{number}@zonnehoek.example",
                "role": rng.choice(("ADMIN", "MANAGER", "TEAM_LEADER")),
                "language": rng.choice(("nl", "en", "pl")),
                "notes": rng.choice(_NOTES),
                "associatedWorkerId": next(iter(self._some(self.master["workers"], 1)), None),
                **self._life(),
            }
            for number in range(1, 6)
        ]

    def _glass(self, rows: int) -> None:
        rng = self._rng
        locations, labels = self.master["locations"], self.master["labels"]
        self.master["varieties"] = varieties = [
            {
                "id": self._key(),
                "name": name,
                "externalId": f"VAR-{number}",
                "assignedLocationIds": self._some(locations),
                "labelIds": self._some(labels),
                **self._life(),
            }
            for number, name in enumerate(_VARIETIES, start=1)
        ]
        self.master["rows"] = made = []
        for number in range(1, rows + 1):
            location = rng.choice(locations)
            length, width = self._decimal(60, 120), rng.choice((1.6, 1.8, 2.0))
            made.append(
                {
                    "id": self._key(),
                    "name": f"Pad {number}",
                    "rowNumber": f"{number:03d}",
                    "rowLength": length,
                    "rowWidth": width,
                    "rowFloorArea": round(length * width, 4),
                    "locationId": location["id"],
                    "layoutId": rng.choice(location["layoutIds"]),
                    "varietyId": rng.choice(varieties)["id"],
                    "labelIds": self._some(labels),
                    "latestWorkerId": next(iter(self._some(self.master["workers"], 1)), None),
                    **self._life(),
                }
            )

    def _work(self) -> None:
        rng = self._rng
        self.master["taskgroups"] = groups = self._named(_TASK_GROUPS)
        by_name = {group["name"]: group["id"] for group in groups}
        self.master["tasks"] = [
            {
                "id": self._key(),
                "name": name,
                "externalId": f"T{number:02d}",
                "function": "BREAK" if name == "Break" else "WORK",
                "taskGroupIds": [by_name[group]],
                "locationIds": self._some(self.master["locations"]),
                "targetDevices": rng.choice((["WATCH"], ["WATCH", "TABLET"], [])),
                **self._life(),
            }
            for number, (name, group) in enumerate(_TASKS, start=1)
        ]

    def _describe_workers(self, full: dict[str, list[Record]]) -> list[str]:
        groups = {group["id"]: group["name"] for group in full["workergroups"]}
        labels = {label["id"]: label["name"] for label in full["labels"]}
        return [
            _members(
                {
                    "worker": worker["name"],
                    "workerId": worker["id"],
                    "workerGroup": groups[worker["workerGroupId"]],
                    "workerGroupId": worker["workerGroupId"],
                    "workerHourlyRate": worker["hourlyRate"],
                    "workerLabels": [labels[key] for key in worker["labelIds"]],
                }
            )
            for worker in full["workers"]
        ]

    def _describe_rows(self, full: dict[str, list[Record]]) -> list[tuple[str, str]]:
        """Return the members that place a registration, and a session, in each row."""
        locations = {location["id"]: location["name"] for location in full["locations"]}
        labels = {label["id"]: label["name"] for label in full["labels"]}
        varieties = {variety["id"]: variety for variety in full["varieties"]}
        parts = []
        for row in full["rows"]:
            variety = varieties[row["varietyId"]]
            here = {"location": locations[row["locationId"]], "locationId": row["locationId"]}
            layout = {"layoutId": row["layoutId"]}
            rest = {
                "row": row["name"],
                "rowId": row["id"],
                "rowFloorArea": row["rowFloorArea"],
                "rowLabels": [labels[key] for key in row["labelIds"]],
                "variety": variety["name"],
                "varietyId": variety["id"],
                "varietyLabels": [labels[key] for key in variety["labelIds"]],
            }
            if self._rng.random() < _NULL:
                rest = dict.fromkeys(rest)
            named = {"layout": f"Layout {row['layoutId'][:4]}"}
            parts.append((_members(here | layout | rest), _members(here | named | layout | rest)))
        return parts

    def _describe_tasks(self, full: dict[str, list[Record]]) -> list[str]:
        groups = {group["id"]: group["name"] for group in full["taskgroups"]}
        return [
            _members(
                {
                    "task": task["name"],
                    "taskId": task["id"],
                    "taskType": task["function"],
                    "taskGroups": [groups[key] for key in task["taskGroupIds"]],
                    "taskGroupIds": task["taskGroupIds"],
                }
            )
            for task in full["tasks"]
        ]

    def registrations(self, rate: float) -> Iterator[Happening]:
        """Yield registrations, `rate` of them a weekday; the first tasks are the most frequent."""
        rng = self._random("registrations")
        draw, bits = rng.random, rng.getrandbits
        workers, rows, tasks = self._worker_parts, self._row_parts, self._task_parts
        devices = [f'"deviceNumber":"{number:03d}",' for number in range(1, 30)]
        devices += ['"deviceNumber":null,', ""]
        assets = ['"assetIds":[],"assetNumbers":[],'] * 6 + ["", '"assetIds":null,']
        assets += [f'"assetIds":["{bits(96):024x}"],"assetNumbers":["{number}"],' for number in range(8)]
        for at in working_instants(rng, self._start, rate):
            key = f"{bits(96):024x}"
            length = int(draw() * 4 * HOUR) + MINUTE
            end = at - _lateness(rng)
            archived = draw() < _ARCHIVED
            steps = f'"stepCounter":{int(length / SECOND * draw())},' if draw() > _NULL else ""
            cost = f"{_cost(length)}" if draw() > _NULL else "null"
            raw = (
                f'{{"id":"{key}",{workers[int(draw() * len(workers))]}'
                f"{tasks[int(draw() ** 2 * len(tasks))]}{rows[int(draw() * len(rows))][0]}"
                f"{assets[int(draw() * len(assets))]}{devices[int(draw() * len(devices))]}"
                f'"startTimestamp":"{stamp(end - length)}","endTimestamp":"{stamp(end)}",'
                f'{steps}"laborCost":{cost},"isArchived":{"true" if archived else "false"},'
                f'"updatedTimestamp":"{stamp(at)}"}}'
            )
            yield Happening(at, key, raw.encode(), archived)

    def sessions(self, rate: float) -> Iterator[Happening]:
        """Yield sessions, `rate` of them a weekday."""
        rng = self._random("sessions")
        draw, bits = rng.random, rng.getrandbits
        workers, rows = self._worker_parts, self._row_parts
        trolleys = [f'"trolley":"K{number:02d}",' for number in range(1, 25)]
        trolleys += ['"trolley":null,', ""]
        devices = [f'"deviceNumber":"{number:03d}",' for number in range(1, 30)]
        for at in working_instants(rng, self._start, rate):
            key = f"{bits(96):024x}"
            gross = int(draw() * 90 * MINUTE) + 5 * MINUTE
            pause = int(draw() * 2 * MINUTE)
            end = at - _lateness(rng)
            pieces = int(draw() * 900)
            corrected = pieces + int(draw() * 20) - 10
            archived = draw() < _ARCHIVED
            slope = f"{int(draw() * 20_000 - 10_000) / 10_000}" if draw() > _NULL else "null"
            average = (
                f'"workerPerformanceWeightedAvg":{int(draw() * 90_000 + 10_000) / 10_000},' if draw() > _NULL else ""
            )
            raw = (
                f'{{"id":"{key}",{workers[int(draw() * len(workers))]}'
                f"{rows[int(draw() * len(rows))][1]}{trolleys[int(draw() * len(trolleys))]}"
                f"{devices[int(draw() * len(devices))]}"
                f'"startTimestampGross":"{stamp(end - gross)}","endTimestampGross":"{stamp(end)}",'
                f'"startTimestampNet":"{stamp(end - gross + pause)}",'
                f'"endTimestampNet":"{stamp(end)}","count":{pieces},"correctedCount":{corrected},'
                f'"countCorrected":{corrected},"countCorrectedAtCreation":{pieces},'
                f'"performanceGross":{pieces * HOUR * 100 // gross / 100},'
                f'"performanceNet":{pieces * HOUR * 100 // (gross - pause) / 100},'
                f'"laborCost":{_cost(gross)},'
                f'"workerPerformanceSlope":{slope},{average}'
                f'"varietyPerformanceWeightedAvg":{int(draw() * 90_000 + 10_000) / 10_000},'
                f'"workerToGroupPerformance":{int(draw() * 10_000 + 5_000) / 10_000},'
                f'"isArchived":{"true" if archived else "false"},'
                f'"updatedTimestamp":"{stamp(at)}"}}'
            )
            yield Happening(at, key, raw.encode(), archived)

    def generic(self, rate: float) -> Iterator[Happening]:
        """Yield records of the generic resource, `rate` of them a weekday."""
        rng = self._random("resource")
        for number, at in enumerate(working_instants(rng, self._start, rate), start=1):
            record: Record = {
                "id": f"r{number:07d}",
                "customer_id": f"c{rng.randint(1, 40):03d}",
                "timestamp": stamp(at),
                "value": round(rng.uniform(-100, 1_000), 4),
                "note": rng.choice((*_NOTES, None)),
            }
            yield Happening(at, record["id"], _text(record).encode(), archived=False)

    def plain(self, resource: str, rate: float) -> Iterator[Happening]:
        """Yield records of a resource that nothing is known of, `rate` of them a weekday."""
        rng = self._random(resource)
        for number, at in enumerate(working_instants(rng, self._start, rate), start=1):
            record: Record = {"id": f"{resource}-{number:07d}", "updatedTimestamp": stamp(at)}
            yield Happening(at, record["id"], _text(record).encode(), archived=False)

    def late_updates(self, resource: str, rate: float) -> Iterator[Update]:
        """Yield changes to recent records, for a resource that grows by `rate` a weekday."""
        rng = self._random(f"{resource} late")
        for at in working_instants(rng, self._start, rate * _LATE_SHARE):
            yield Update(at, rng.random(), rng.random(), rng.random())

    def master_updates(self) -> Iterator[Update]:
        """Yield changes to master data, now and then."""
        rng = self._random("master updates")
        for at in working_instants(rng, self._start, _MASTER_UPDATES_A_DAY):
            yield Update(at, rng.random(), rng.random(), rng.random())
