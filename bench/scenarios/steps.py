# SPDX-License-Identifier: Apache-2.0
"""What the steps around a model cost a row, for the features of the fraud example: processor time, without the model"""
import subprocess

from lib import machine, report, stats

PACKAGE = machine.path("examples/packages/fraud")
PROGRAMS = ("taskset", "cmake")  # nothing is asked over a network
ROWS = (1, 4, 32, 256)
TARGETS = {1: "a row alone", 32: "a row of a batch of 32"}
LIMIT_NS = 1000


def build():
    """bench/steps.c, linked with galley's own part; an incremental build of the release."""
    done = subprocess.run([machine.path("tools/build"), "release", "steps"], capture_output=True, text=True)
    if done.returncode != 0:
        raise machine.Failed(f"tools/build release steps: {done.stdout[-400:]}{done.stderr[-400:]}")
    return machine.path("build/release/steps")


def ask(binary, rows):
    """Nanoseconds a row: before the model, behind it."""
    done = subprocess.run(["taskset", "-c", machine.SERVER_CORE, binary, PACKAGE, str(rows)], capture_output=True, text=True)
    if done.returncode != 0:
        raise machine.Failed(done.stderr.strip())
    return tuple(map(float, done.stdout.split()))


def run(context):
    result = report.Result("steps", __doc__.strip())
    binary, table = build(), []
    for rows in ROWS:
        rounds = [ask(binary, rows) for _ in range(context.rounds)]
        before, after, both = (stats.Spread(v) for v in (*zip(*rounds), [b + a for b, a in rounds]))
        table.append([rows, before.text("{:.0f}"), after.text("{:.0f}"), both.text("{:.0f}")])
        result.data[rows] = rounds
        if rows in TARGETS:
            result.target(f"{TARGETS[rows]}, all six steps: under {LIMIT_NS / 1000:g} us", both.text("{:.0f}") + " ns",
                          both.median < LIMIT_NS)
    result.table("Nanoseconds a row", ["rows a batch", "scale, one_hot, assemble", "pick, threshold, bands", "all six"], table)
    return result
