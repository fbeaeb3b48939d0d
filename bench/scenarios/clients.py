# SPDX-License-Identifier: Apache-2.0
"""Are the load generators right? galley bench beside wrk (closed loop) and beside bench/load.c (open loop)"""
from lib import load, machine, models, report, servers, stats

CONNECTIONS = 32


def closed(context):
    model, request = models.SMALL, models.oip_json(models.SMALL)
    with servers.galley(model) as server:
        return context.measure({
            "wrk": lambda: load.wrk(context.folder, server.port, request, context.seconds, CONNECTIONS),
            "galley bench": lambda: load.galley_bench(server.port, model, "oip-json", context.seconds, "-c",
                                                      str(CONNECTIONS))})


def opened(context):
    model, request = models.BATCHED.need(), models.oip_binary(models.BATCHED)
    with servers.galley(model) as server:
        rate = load.wrk(context.folder, server.port, request, context.seconds, 64)["rps"] / 2

        def by_load():
            phase, = load.open_loop(context.folder, server.port, request, [(rate, context.seconds)])
            return {"rps": len(phase.ok_us) / phase.seconds, **phase.summary()}

        return context.measure({
            "bench/load.c": by_load,
            "galley bench": lambda: load.galley_bench(server.port, model, "oip-binary", context.seconds, "--rate",
                                                      f"{rate:.0f}")})


def run(context):
    machine.needs_command("bench")
    result = report.Result("clients", __doc__.strip())
    for title, found in ((f"Closed loop, {CONNECTIONS} connections, {models.SMALL.name}, JSON", closed(context)),
                         (f"Open loop at half of the capacity, {models.BATCHED.name}, OIP binary", opened(context))):
        rows = [[name, *(stats.of(r, key).text() for key in ("rps", "p50_us", "p99_us"))] for name, r in found.items()]
        result.table(title, ["", "requests/s", "p50 us", "p99 us"], rows)
        other, own = found.values()
        if "wrk" in found:
            ratio = stats.paired(own, other)
            result.target("galley bench gets at least 95 % of what wrk gets from the same server", ratio.text("{:.1%}"),
                          ratio.median >= .95)
        else:
            ratio = stats.paired(own, other, "p50_us")
            result.target("the median latencies of both open loops agree within 10 %", ratio.text("{:.2f}"),
                          .9 <= ratio.median <= 1.1)
        result.data[title] = found
    result.note("what galley bench sends differs a little: 64 made-up rows in turn, where the others repeat one")
    return result
