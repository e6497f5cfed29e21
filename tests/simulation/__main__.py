"""Plays histories: `python -m tests.simulation --seeds 10000`, or one of them, `--seed 123`, which it prints."""

from __future__ import annotations

import argparse
import gc
import sys
import time

from tests.simulation.history import history
from tests.simulation.play import play


def main() -> int:
    """Play the histories that the command line names; return 1 where one is not as promised."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10_000, help="how many histories are played")
    parser.add_argument("--first", type=int, default=0, help="the seed to begin with")
    parser.add_argument("--seed", type=int, help="the one history that is played and printed")
    options = parser.parse_args()
    if options.seed is not None:
        outcome = play(history(options.seed))
        print(outcome.history, *outcome.log, sep="\n")
        return bool(outcome.problems)
    gc.freeze()
    gc.set_threshold(10_000, 50, 100)
    began, bad, requests = time.perf_counter(), 0, 0
    for seed in range(options.first, options.first + options.seeds):
        outcome = play(history(seed))
        requests += outcome.requests
        if outcome.problems:
            bad += 1
            print(f"seed {seed} ({outcome.history.kind}): {outcome.problems[0]}", flush=True)
    seconds = time.perf_counter() - began
    rate = f"{seconds:.0f} s, {options.seeds / seconds * 60:.0f} a minute"
    print(f"{options.seeds} histories, {requests} requests ({rate}); {bad} are not as promised")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
