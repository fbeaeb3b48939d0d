# SPDX-License-Identifier: Apache-2.0
"""latency_target: p99 of answers held within it, from 10 % to 90 % of capacity, open loop"""
from lib import load, machine, models, report, servers

TARGETS_MS = (20, 2)


def hold(context, model, request, target_ms):
    """A phase a step of the load, whose capacity was measured right before: the machine's speed changes."""
    steps = context.pick((10, 20, 30, 40, 50, 60, 70, 80, 90), (10, 50, 90))
    found = []
    with servers.galley(model) as free, servers.galley(model, "--latency-target", f"{target_ms}ms") as server:
        load.wrk(context.folder, server.port, request, 1, 64, refusals=True)  # from here on the costs are known
        for step in steps:
            capacity = load.wrk(context.folder, free.port, request, max(1, context.seconds // 2), 64)["rps"]
            phase, = load.open_loop(context.folder, server.port, request, [(capacity * step / 100, context.seconds)])
            context.say(f"{target_ms} ms at {step} % of {capacity:,.0f}/s: p99 {phase.p(.99) / 1000:.2f} ms, "
                        f"{phase.refused} of {phase.offered} turned away")
            found.append((step, phase))
    return found


def run(context):
    machine.needs_option("--latency-target")
    result = report.Result("target", __doc__.strip())
    model = models.BATCHED.need()
    request = models.oip_binary(model)
    rows = []
    for target_ms in TARGETS_MS:
        found = hold(context, model, request, target_ms)
        worst = max(p.p(.99) for _, p in found)
        shed = max(p.refused / p.offered for _, p in found)
        rows += [[f"{target_ms} ms", f"{step} %", f"{p.rate:,.0f}", f"{p.p(.5) / 1000:.2f}", f"{p.p(.99) / 1000:.2f}",
                  f"{p.p(.999) / 1000:.2f}", f"{p.refused / p.offered:.2%}"] for step, p in found]
        result.target(f"p99 within {target_ms} ms from 10 % to 90 % of the capacity",
                      f"at most {worst / 1000:.2f} ms", worst <= target_ms * 1000)
        result.target(f"with {target_ms} ms at most 1 % turned away at any of these loads", f"{shed:.2%}", shed <= .01)
        result.data[f"{target_ms}ms"] = [{"share": step, **p.summary()} for step, p in found]
    result.table(f"{model.name}, one row a request, OIP binary", ["target", "load", "requests/s", "p50 ms", "p99 ms",
                                                                 "p99.9 ms", "turned away"], rows)
    return result
