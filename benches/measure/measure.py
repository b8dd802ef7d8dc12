#!/usr/bin/env python3
"""Measures the whole system and writes docs/performance.md.

    cargo build --release && cargo build --release -p interlock-benches --bin floor
    python3 benches/measure/measure.py [--rounds 5] [--seconds 8] [--only ROW ...] [--quick]

Each round has new processes and a new database; rows take turns (A B A B ...); figures are medians with their range. The
load's answers are checked, and after each round the three ledgers are compared. A run is kept in benches/results/.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

import heavy
import rows
from document import write
from machine import ROOT, Postgres

# name: (function, in which turn it is measured)
ROWS = {
    "closed-256": (rows.closed(256), "turns"),
    "closed-64": (rows.closed(64), "turns"),
    "open-10000": (rows.opened, "turns"),
    "single": (rows.single, "turns"),
    "sqlite-256": (rows.sqlite, "turns"),
    "floor-256": (rows.floor(256, True), "turns"),
    "floor-64": (rows.floor(64, True), "turns"),
    "floor-open-10000": (rows.floor_opened, "turns"),
    "floor-256-plain": (rows.floor(256, False), "turns"),
    "old-rows": (heavy.against_filled(9, 1), "turns"),
    "today-rows": (heavy.against_filled(0, 10), "turns"),
    "backlog": (heavy.backlog, "turns"),
    "codec": (rows.codec, "turns"),
    "other-256": (rows.closed_other, "turns"),
    "other-sqlite-256": (rows.sqlite_other, "turns"),
    "idle": (rows.idle, "once"),
    "overload": (heavy.overload, "once"),
    "soak": (rows.soak, "once"),
    "floor-soak": (rows.floor_soak, "once"),
}


class Context:
    def __init__(self, options):
        self.postgres = Postgres()
        self.seconds = options.seconds
        self.idle, self.overload, self.soak = options.idle, options.overload, options.soak
        self.soak_rate = options.soak_rate
        self.scale, self.other = options.scale, options.other
        self.databases = {}


def machine():
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "?")
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    return {"processor": model, "processors": os.cpu_count(), "memory GiB": round(memory), "kernel": platform.release(),
            "commit": commit, "date": time.strftime("%Y-%m-%d")}


def summed_up(rounds):
    """The median, least and greatest of each figure; of what is no number, the last."""
    figures = {}
    for name in dict.fromkeys(name for figures in rounds for name in figures):
        values = [figures[name] for figures in rounds if name in figures]
        numbers = [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
        if len(numbers) == len(values):
            figures[name] = {"median": statistics.median(numbers), "least": min(numbers), "greatest": max(numbers)}
        else:
            figures[name] = values[-1]
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=8, help="measured in a round, after 2 s of warm-up")
    parser.add_argument("--only", nargs="+", choices=ROWS, metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--scale", type=float, default=1.0, help="part of the rows and reversals that full databases have")
    parser.add_argument("--other", metavar="PATH", help="another build's `interlock`, for the rows other-...: before and after in one run")
    parser.add_argument("--idle", type=int, default=18_000)
    parser.add_argument("--overload", type=int, default=60, help="seconds")
    parser.add_argument("--soak", type=int, default=1_200, help="seconds")
    parser.add_argument("--soak-rate", type=float, default=15_000, help="requests a second: half of the capacity")
    parser.add_argument("--quick", action="store_true", help="everything small, to see that it works")
    parser.add_argument("--no-document", action="store_true", help="leave docs/performance.md as it is")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds, options.scale = 1, 2, 0.002
        options.idle, options.overload, options.soak, options.soak_rate = 400, 5, 10, 2_000
    chosen = options.only or [name for name in ROWS if options.other or not name.startswith("other-")]
    context = Context(options)
    rounds = {name: [] for name in chosen}
    try:
        for number in range(options.rounds):
            for name in chosen:
                function, when = ROWS[name]
                if when == "once" and number + 1 < options.rounds:
                    continue
                begun = time.monotonic()
                figures = function(context)
                rounds[name].append(figures)
                shown = "  ".join(f"{key} {value:.1f}" for key, value in figures.items() if isinstance(value, (int, float)))
                print(f"{name} ({number + 1}, {time.monotonic() - begun:.0f} s): {shown}", flush=True)
    finally:
        context.postgres.end()
    result = {"machine": machine(), "settings": Postgres.SETTINGS, "options": vars(options), "rounds": rounds,
              "figures": {name: summed_up(done) for name, done in rounds.items() if done}}
    if options.quick:
        return
    folder = os.path.join(ROOT, "benches", "results")
    os.makedirs(folder, exist_ok=True)
    kept = os.path.join(folder, f"{result['machine']['date']}-{result['machine']['commit']}.json")
    if os.path.exists(kept):
        # rows measured apart belong to one run of the same tree
        with open(kept) as file:
            former = json.load(file)
        for part in ("rounds", "figures"):
            result[part] = {**former[part], **result[part]}
    with open(kept, "w") as file:
        json.dump(result, file, indent=1)
        file.write("\n")
    print("kept in", os.path.relpath(kept, ROOT))
    if not options.no_document:
        write(result, os.path.join(ROOT, "docs", "performance.md"))


if __name__ == "__main__":
    main()
