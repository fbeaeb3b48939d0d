# SPDX-License-Identifier: Apache-2.0
"""The small MLP over JSON, 32 connections, one row a request: beside the bare engine, nginx and FastAPI"""
import re

from lib import load, machine, models, report, rivals, servers, stats

CONNECTIONS = 32
FASTAPI = rivals.ALL[0]


def allocations(server):
    return int(float(re.search(rb"^galley_allocations_total (\S+)", server.get("/metrics"), re.M).group(1)))


def count_allocations(context, server, request):
    """What a longer run allocates more than a shorter one: opening connections and the scrape that reads the counter
    are in both, so this is what requests themselves take. Returns it and the requests that differ."""
    calls, sent = [], []
    for length in (1, 1, context.seconds + 1):  # the first warms up
        before = allocations(server)
        sent.append(load.wrk(context.folder, server.port, request, length, CONNECTIONS)["rps"] * length)
        calls.append(allocations(server) - before)
    return calls[2] - calls[1], int(sent[2] - sent[1])


def ready_ms(times):
    found = []
    for _ in range(times):
        with servers.galley(models.SMALL) as s:
            found.append(s.ready_ms)
    return stats.Spread(found)


def start_others(context, result, running, answer):
    """nginx and FastAPI; what is not there is named."""
    for start in (lambda: servers.nginx(context.folder, answer),
                  lambda: FASTAPI.start(models.SMALL, context.folder, 1)):
        try:
            running.append(start())
        except machine.Skip as why:
            result.note(f"left out: {why}")


def table(result, running, found, ready):
    rows = [["bare ONNX Runtime loop", stats.of(found["bare"], "rps").text(), "",
             f"{stats.of(found['bare'], 'median_us').median:.1f}", "", "", ""]]
    for s in running:
        r = found[s.name]
        rows.append([s.name, stats.of(r, "rps").text(),
                     "" if s is running[0] else stats.paired(found["galley"], r).text("{:.2f}") + "x",
                     stats.of(r, "p50_us").text(), stats.of(r, "p99_us").text(), f"{stats.of(r, 'rss').median:.1f}",
                     f"{ready.median if s is running[0] else s.ready_ms:.0f}"])
    result.table("Median (least..greatest) of the rounds",
                 ["", "requests/s", "galley is", "p50 us", "p99 us", "RSS MiB", "ready ms"], rows)


def judge(result, found, ready, allocated, sent):
    g = found["galley"]
    rps, p99, rss = (stats.of(g, key) for key in ("rps", "p99_us", "rss"))
    result.target("requests/s on one core >= 130,000", rps.text(), rps.median >= 130_000)
    if FASTAPI.title in found:
        ratio = stats.paired(g, found[FASTAPI.title])
        result.target("at least 12 times FastAPI", ratio.text("{:.1f}"), ratio.median >= 12)
    result.target("p99 under 2 ms", f"{p99.median / 1000:.2f} ms", p99.median < 2000)
    result.target("resident memory under 60 MB", f"{rss.median * 1.048576:.1f} MB", rss.median * 1.048576 < 60)
    result.target("ready within 100 ms", ready.text("{:.1f}") + " ms", ready.median < 100)
    result.target("no allocation of galley's in steady state", f"{allocated} in {sent:,} requests", allocated == 0)


def run(context):
    result = report.Result("first", __doc__.strip())
    request = models.oip_json(models.SMALL)
    running = [servers.galley(models.SMALL)]
    try:
        answer = running[0].post(request)[0].decode()
        start_others(context, result, running, answer)

        def step(server):
            return lambda: {**load.wrk(context.folder, server.port, request, context.seconds, CONNECTIONS),
                            "rss": server.memory_mb()}

        steps = {s.name: step(s) for s in running}
        steps["bare"] = lambda: load.bare(context.folder, models.SMALL, 1, 1)
        found = context.measure(steps)
        allocated, sent = count_allocations(context, running[0], request)
        ready = ready_ms(context.pick(9, 3))
    finally:
        for s in running:
            s.stop()
    table(result, running, found, ready)
    judge(result, found, ready, allocated, sent)
    result.data = {"rounds": found, "ready_ms": ready.values, "allocations": allocated, "requests": sent}
    return result
