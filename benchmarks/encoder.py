"""What nested records, deselected fields and timestamps cost the encoder, beside flat records of the same bytes.

`python -m benchmarks.encoder` prints, as JSON, the microseconds of CPU time a record: their ratios can be compared on a
machine that has other things to do.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from benchmarks.records import order
from tap_analytics.singer.inference import infer
from tap_analytics.singer.records import CHUNK, RecordEncoder

if TYPE_CHECKING:
    from collections.abc import Sequence

RECORDS = 20_000
ROUNDS = 9

Words = dict[str, Any]

DECLARED: Words = json.loads((Path(__file__).parent / "programs" / "orders.json").read_text())


def flat(record: Words, prefix: str = "") -> Words:
    """Return a nested record with all its values at the top, and so with about as many bytes."""
    flattened: Words = {}
    for name, value in record.items():
        members = {f"{n}": item for n, item in enumerate(value)} if isinstance(value, list) else value
        if isinstance(members, dict):
            flattened |= flat(members, f"{prefix}{name}_")
        else:
            flattened[f"{prefix}{name}"] = value
    return flattened


def cost(encoder: RecordEncoder, records: Sequence[Raw]) -> float:
    """Return the seconds of user CPU time that some records take, from their bytes to those that leave."""
    start = time.process_time()
    for first in range(0, len(records), CHUNK):
        for encoded in encoder.process(records[first : first + CHUNK]):
            b"".join(encoded)  # type: ignore[arg-type] # this schema does not change
    return time.process_time() - start


def cases() -> dict[str, tuple[RecordEncoder, list[Raw]]]:
    """Return what is measured: an encoder, and the records that it encodes."""
    orders = [order(number) for number in range(RECORDS)]
    nested = [Raw(msgspec.json.encode(one)) for one in orders]
    at_the_top = [flat(one) for one in orders]
    level = [Raw(msgspec.json.encode(one)) for one in at_the_top]
    offsets = [Raw(bytes(one).replace(b":05:07Z", b":05:07+02:00")) for one in nested]
    shown, shown_flat = infer(orders[:1000], keys=["id"]), infer(at_the_top[:1000], keys=["id"])

    def an_encoder(schema: Words, *without: tuple[str, ...]) -> RecordEncoder:
        return RecordEncoder(schema, selected=lambda path: path not in without, keys=["id"], cursor=None, warn=print)

    return {
        "flat": (an_encoder(shown_flat), level),
        "nested, inferred schema": (an_encoder(shown), nested),
        "nested, declared schema": (an_encoder(DECLARED), nested),
        "flat, a field deselected": (an_encoder(shown_flat, ("note",)), level),
        "nested, a field deselected": (an_encoder(DECLARED, ("note",)), nested),
        "nested, a field of a field deselected": (an_encoder(DECLARED, ("customer", "address", "zip")), nested),
        "nested, timestamps with an offset": (an_encoder(DECLARED), offsets),
    }


def main() -> None:
    """Measure all cases in turn, several times, and print the bytes and the median of each."""
    measured: dict[str, list[float]] = {}
    every = cases()
    for _ in range(ROUNDS):
        for name, (encoder, records) in every.items():
            measured.setdefault(name, []).append(cost(encoder, records) * 1e6 / RECORDS)
    costs = {
        name: {"bytes": sum(map(len, map(bytes, every[name][1]))) // RECORDS, "us": round(median(each), 3)}
        for name, each in measured.items()
    }
    print(json.dumps(costs))


if __name__ == "__main__":
    main()
