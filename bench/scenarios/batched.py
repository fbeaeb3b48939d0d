# SPDX-License-Identifier: Apache-2.0
"""The 512-1024-1024-10 MLP, OIP binary, 64 connections, one row a request: batching on and off, and the bare engine"""
from lib import h2, load, machine, models, report, servers, stats

CONNECTIONS = 64
STREAMS = 8  # of HTTP/2, on each of CONNECTIONS / STREAMS connections


def half_load(context, galley, nginx, request, capacity):
    """p99 of an open loop at half the capacity, a figure a round; and nginx's with a constant, right behind: what the
    machine itself does to a server that hardly works."""
    found = {"galley": [], "nginx": []}
    for i in range(context.rounds):
        for name, server in (("galley", galley), ("nginx", nginx)):
            phase, = load.open_loop(context.folder, server.port, request, [(capacity / 2, context.seconds)], seed=i + 1)
            context.say(f"half load, {name}: {phase.rate:,.0f}/s, p50 {phase.p(.5):,} us, p99 {phase.p(.99):,} us, "
                        f"{phase.refused} refused")
            found[name].append(phase.summary())
    return found


def measure(context):
    model = models.BATCHED.need()
    request = models.oip_binary(model)
    with servers.galley(model) as on, servers.galley(model, "--batching", "off") as off:
        answers = [s.post(request) for s in (on, off)]
        found = context.measure({
            "batching on": lambda: load.wrk(context.folder, on.port, request, context.seconds, CONNECTIONS),
            "batching on, HTTP/2": lambda: h2.h2load(context.folder, on.port, request.path, context.seconds,
                                                     CONNECTIONS // STREAMS, STREAMS, request),
            "batching off": lambda: load.wrk(context.folder, off.port, request, context.seconds, CONNECTIONS),
            "bare, 32 rows": lambda: load.bare(context.folder, model, 32, max(1, context.seconds // 2)),
            "bare, 1 row": lambda: load.bare(context.folder, model, 1, 1)})
        answer, headers = answers[0]
        with servers.nginx(context.folder, "x" * len(answer), headers["Content-Type"]) as nginx:
            half = half_load(context, on, nginx, request, stats.of(found["batching on"], "rps").median)
    return found, half


def run(context):
    machine.needs_option("--batching")
    result = report.Result("batched", __doc__.strip())
    found, half = measure(context)
    rows = []
    for name, r in found.items():
        us = [stats.of(r, key).text("{:,.0f}") if key in r[0] else "" for key in ("p50_us", "p99_us")]
        if name.startswith("bare"):
            us = [f"{stats.of(r, 'median_us').median:.0f}", ""]
        rows.append([name, stats.of(r, "rps").text(), *us])
    for name in half:
        rows.append([f"{'batching on' if name == 'galley' else 'nginx, a constant'}, half of that load (open loop)",
                     *(stats.of(half[name], key).text() for key in ("rate", "p50_us", "p99_us"))])
    result.table("Rows per second on one core", ["", "rows/s", "p50 us", "p99 us"], rows)
    engine = stats.paired(found["batching on"], found["bare, 32 rows"])
    gain = stats.paired(found["batching on"], found["batching off"])
    single = stats.of(found["bare, 1 row"], "median_us").median
    p99 = stats.of(half["galley"], "p99_us")
    most = stats.paired(found["bare, 32 rows"], found["bare, 1 row"])
    framed = stats.paired(found["batching on, HTTP/2"], found["bare, 32 rows"])
    result.target("at least 85 % of the bare engine's rows/s at 32 rows", engine.text("{:.1%}"), engine.median >= .85)
    result.target("at least 8 times the same server with batching off", gain.text("{:.2f}"), gain.median >= 8)
    result.target("p99 at half of that load at most 3 times one unbatched inference",
                  f"{p99.text()} us, {p99.median / single:.2f} times {single:.0f} us", p99.median <= 3 * single)
    result.note(f"over HTTP/2, {CONNECTIONS // STREAMS} connections of {STREAMS} streams: {framed.text('{:.1%}')} of the bare engine's "
                "rows/s; over HTTP/1.1 what is missing is the kernel's: a read and a write a request")
    result.note(f"the bare engine itself does {most.text('{:.2f}')} times the rows/s with 32 rows a call as with one")
    result.note("nginx at half the load hardly works: its p99 is the machine's")
    result.data = {"rounds": found, "half": half}
    return result
