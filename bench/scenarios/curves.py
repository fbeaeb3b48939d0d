# SPDX-License-Identifier: Apache-2.0
"""Latency, throughput and batch size over the load, batching on and off: the figures of docs/batching.md's plots"""
import json

from lib import load, machine, models, report, servers

CONNECTIONS = (1, 2, 4, 8, 16, 32, 64, 128)
SHARES = (5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95)


def calls(server, model):
    """Rows and calls of the engine so far, as GET /v2/models/M/stats tells."""
    found = json.loads(server.get(f"/v2/models/{model.name}/stats"))["model_stats"][0]
    return found["inference_count"], found["execution_count"]


def with_batch(server, model, step):
    """What step finds, and the mean number of rows a call meanwhile."""
    before = calls(server, model)
    found = step()
    rows, runs = (b - a for a, b in zip(before, calls(server, model)))
    return {**found, "batch": rows / runs if runs else 0}


def closed(context, server, model, request):
    for connections in context.pick(CONNECTIONS, CONNECTIONS[::3]):
        found = with_batch(server, model, lambda: load.wrk(context.folder, server.port, request, context.seconds,
                                                           connections))
        context.say(f"{server.name}, {connections} connections: {found['rps']:,.0f}/s, "
                    f"{found['batch']:.1f} rows a call")
        yield {"connections": connections, **found}


def opened(context, server, model, request, capacity, most):
    """Rates are shares of the capacity with batching, for both; without it they end where that server's own ends."""
    for share in context.pick(SHARES, SHARES[::4]):
        rate = capacity * share / 100
        if rate > most:
            return
        found = with_batch(server, model, lambda: load.open_loop(
            context.folder, server.port, request, [(rate, context.seconds)])[0].summary())
        context.say(f"{server.name}, {rate:,.0f}/s: p99 {found['p99_us']:,} us, {found['batch']:.1f} rows a call")
        yield found


def run(context):
    machine.needs_option("--batching")
    result = report.Result("curves", __doc__.strip())
    model = models.BATCHED.need()
    request = models.oip_binary(model)
    capacity = None
    for name, options in (("on", ()), ("off", ("--batching", "off"))):
        with servers.galley(model, *options, name=f"batching {name}") as server:
            load.wrk(context.folder, server.port, request, 1, 64)
            by_connections = list(closed(context, server, model, request))
            own = max(c["rps"] for c in by_connections)
            capacity = capacity or own
            by_rate = list(opened(context, server, model, request, capacity, own * .97))
        result.data[name] = {"closed": by_connections, "open": by_rate}
    result.data["bare"] = [{"rows": rows, **load.bare(context.folder, model, rows, 1)}
                           for rows in context.pick((1, 2, 4, 8, 16, 32, 64, 128), (1, 8, 64))]
    for name in ("on", "off"):
        d = result.data[name]
        result.table(f"Batching {name}, closed loop", ["connections", "requests/s", "p50 us", "p99 us", "rows a call"],
                     [[c["connections"], f"{c['rps']:,.0f}", c["p50_us"], c["p99_us"], f"{c['batch']:.1f}"]
                      for c in d["closed"]])
        result.table(f"Batching {name}, open loop", ["requests/s", "p50 us", "p99 us", "rows a call"],
                     [[f"{o['rate']:,.0f}", o["p50_us"], o["p99_us"], f"{o['batch']:.1f}"] for o in d["open"]])
    result.table("Bare engine, one thread", ["rows", "rows/s", "us a call"],
                 [[b["rows"], f"{b['rps']:,.0f}", f"{b['median_us']:.0f}"] for b in result.data["bare"]])
    return result
