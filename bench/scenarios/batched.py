# SPDX-License-Identifier: Apache-2.0
"""The 512-1024-1024-10 MLP, OIP binary, 64 connections, one row a request: batching on and off, and the bare engine"""
from lib import load, machine, models, report, servers, stats

CONNECTIONS = 64


def half_load(context, server, request, capacity, rounds):
    """p99 of an open loop at half the capacity, a figure a round."""
    found = []
    for i in range(rounds):
        plan = [(capacity / 2, context.seconds)]
        phase, = load.open_loop(context.folder, server.port, request, plan, seed=i + 1)
        context.say(f"half load: {phase.rate:,.0f}/s, p50 {phase.p(.5):,} us, p99 {phase.p(.99):,} us, "
                    f"{phase.refused} refused")
        found.append(phase.summary())
    return found


def measure(context):
    model = models.BATCHED.need()
    request = models.oip_binary(model)
    with servers.galley(model) as on, servers.galley(model, "--batching", "off") as off:
        for s in (on, off):
            s.post(request)
        found = context.measure({
            "batching on": lambda: load.wrk(context.folder, on.port, request, context.seconds, CONNECTIONS),
            "batching off": lambda: load.wrk(context.folder, off.port, request, context.seconds, CONNECTIONS),
            "bare, 32 rows": lambda: load.bare(context.folder, model, 32, max(1, context.seconds // 2)),
            "bare, 1 row": lambda: load.bare(context.folder, model, 1, 1)})
        half = half_load(context, on, request, stats.of(found["batching on"], "rps").median, context.rounds)
    return found, half


def run(context):
    machine.needs_option("--batching")
    result = report.Result("batched", __doc__.strip())
    found, half = measure(context)
    rows = []
    for name, r in found.items():
        us = (f"{stats.of(r, 'median_us').median:.0f}", "") if name.startswith("bare") else (
            stats.of(r, "p50_us").text(), stats.of(r, "p99_us").text())
        rows.append([name, stats.of(r, "rps").text(), *us])
    rows.append(["batching on, half of that load (open loop)",
                 *(stats.of(half, key).text() for key in ("rate", "p50_us", "p99_us"))])
    result.table("Rows per second on one core", ["", "rows/s", "p50 us", "p99 us"], rows)
    engine = stats.paired(found["batching on"], found["bare, 32 rows"])
    gain = stats.paired(found["batching on"], found["batching off"])
    single = stats.of(found["bare, 1 row"], "median_us").median
    p99 = stats.of(half, "p99_us")
    result.target("at least 85 % of the bare engine's rows/s at 32 rows", engine.text("{:.1%}"), engine.median >= .85)
    result.target("at least 8 times the same server with batching off", gain.text("{:.2f}"), gain.median >= 8)
    result.target("p99 at half of that load at most 3 times one unbatched inference",
                  f"{p99.text()} us, {p99.median / single:.2f} times {single:.0f} us", p99.median <= 3 * single)
    result.data = {"rounds": found, "half": half}
    return result
