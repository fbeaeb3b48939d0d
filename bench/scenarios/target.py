# SPDX-License-Identifier: Apache-2.0
"""latency_target: p99 of answers held within it, from 10 % to 90 % of capacity, open loop"""
from lib import load, machine, models, report, servers, stats

TARGETS_MS = (20, 2)


def capacity_of(context, model, request):
    with servers.galley(model) as server:
        server.post(request)
        return stats.Spread(load.wrk(context.folder, server.port, request, context.seconds, 64)["rps"]
                            for _ in range(3)).median


def hold(context, model, request, target_ms, capacity):
    """A phase a step of the load."""
    steps = context.pick((10, 20, 30, 40, 50, 60, 70, 80, 90), (10, 50, 90))
    with servers.galley(model, "--latency-target", f"{target_ms}ms") as server:
        load.wrk(context.folder, server.port, request, 1, 64, refusals=True)  # from here on the costs are known
        found = []
        for step in steps:
            phase, = load.open_loop(context.folder, server.port, request, [(capacity * step / 100, context.seconds)])
            context.say(f"{target_ms} ms at {step} %: p99 {phase.p(.99) / 1000:.2f} ms, {phase.refused} of "
                        f"{phase.offered} turned away")
            found.append((step, phase))
    return found


def run(context):
    machine.needs_option("--latency-target")
    result = report.Result("target", __doc__.strip())
    model = models.BATCHED.need()
    request = models.oip_binary(model)
    capacity = capacity_of(context, model, request)
    rows = []
    for target_ms in TARGETS_MS:
        found = hold(context, model, request, target_ms, capacity)
        worst = max(p.p(.99) for _, p in found)
        shed = max(p.refused / p.offered for _, p in found)
        rows += [[f"{target_ms} ms", f"{step} %", f"{p.rate:,.0f}", f"{p.p(.5) / 1000:.2f}", f"{p.p(.99) / 1000:.2f}",
                  f"{p.p(.999) / 1000:.2f}", f"{p.refused / p.offered:.2%}"] for step, p in found]
        result.target(f"p99 within {target_ms} ms from 10 % to 90 % of {capacity:,.0f}/s",
                      f"at most {worst / 1000:.2f} ms", worst <= target_ms * 1000)
        result.target(f"with {target_ms} ms at most 1 % turned away at any of these loads", f"{shed:.2%}", shed <= .01)
        result.data[f"{target_ms}ms"] = [{"share": step, **p.summary()} for step, p in found]
    result.table(f"{model.name}, one row a request, OIP binary", ["target", "load", "requests/s", "p50 ms", "p99 ms",
                                                                 "p99.9 ms", "turned away"], rows)
    result.data["capacity"] = capacity
    return result
