# SPDX-License-Identifier: Apache-2.0
"""Two models in one server on one core: the fast one's p99 alone, and beside a slow one under load"""
from lib import load, models, report, servers, stats

FAST_RATE, SLOW_CONNECTIONS = 1000, 16


def fast(context, server, request, seed):
    phase, = load.open_loop(context.folder, server.port, request, [(FAST_RATE, context.seconds)], 64, seed=seed)
    if phase.refused:
        context.say(f"{phase.refused} requests of the fast model were refused")
    return {"rps": phase.offered / phase.seconds, **phase.summary()}


def beside(context, server, request, slow_request, seed):
    """The slow model's clients begin before the fast one's and end behind them."""
    process = load.start_wrk(context.folder, server.port, slow_request, context.seconds + 2, SLOW_CONNECTIONS)
    try:
        return fast(context, server, request, seed)
    finally:
        context.say(f"the slow model meanwhile: {load.end_wrk(process)['rps']:,.0f}/s")


def run(context):
    result = report.Result("neighbours", __doc__.strip())
    quick, slow = models.SMALL, models.SLOW.need()
    request, slow_request = models.oip_json(quick), models.oip_binary(slow)
    seeds = iter(range(1, 1000))
    with servers.galley([quick.folder, slow.folder]) as server:
        for r in (request, slow_request):
            server.post(r)
        found = context.measure({
            "alone": lambda: fast(context, server, request, next(seeds)),
            "beside": lambda: beside(context, server, request, slow_request, next(seeds))})
    growth = stats.paired(found["beside"], found["alone"], "p99_us")
    rows = [[name, stats.of(r, "p50_us").text(), stats.of(r, "p99_us").text(), stats.of(r, "p999_us").text()]
            for name, r in found.items()]
    result.table(f"{quick.name} at {FAST_RATE:,}/s, us", ["", "p50", "p99", "p99.9"], rows)
    result.target("the fast model's p99 grows at most 2 times", growth.text("{:.2f}") + " times", growth.median <= 2)
    refused = sum(r["refused"] for rounds in found.values() for r in rounds)
    result.target("no request of the fast model is refused", str(refused), refused == 0)
    result.data = found
    return result
