# SPDX-License-Identifier: Apache-2.0
"""The same models behind galley, FastAPI, BentoML, Ray Serve, LitServe and MLServer: one core, the same client"""
import json

from lib import load, machine, models, report, rivals, servers, stats

BATCH = 32
CASES = ((models.SMALL, 32, 10), (models.BATCHED, 64, 3))  # model, connections, how many times the best rival


class Contender:
    """One row of the table: how to start it, what to send, what to read from the answer."""

    def __init__(self, title, batching, start, request, values):
        self.title, self.batching, self.start, self.request, self.values = title, batching, start, request, values
        self.rounds = []


def galley_values(answer):
    return json.loads(answer)["outputs"][0]["data"]


def contenders(context, model):
    yield Contender("galley", "as it is", lambda: servers.galley(model), models.oip_json(model), galley_values)
    for rival in rivals.ALL:
        yield Contender(rival.title, rival.batching, lambda r=rival: r.start(model, context.folder, BATCH),
                        rival.request(model), rival.values)
    yield Contender("galley, OIP binary", "as it is", lambda: servers.galley(model), models.oip_binary(model), None)


def flat(values):
    return [x for v in values for x in flat(v)] if isinstance(values, list) else [values]


def check(contender, server, expected):
    """The same model gives the same answer; who measures a wrong answer measures nothing."""
    answer = server.post(contender.request)[0]
    if contender.values is None:
        return expected
    found = flat(contender.values(answer))
    expected = expected or found
    if len(found) != len(expected) or any(abs(a - b) > 1e-4 for a, b in zip(found, expected)):
        raise machine.Failed(f"{contender.title} answers {found[:4]} where galley answers {expected[:4]}")
    return expected


def measure(context, contender, connections, expected):
    """One turn: fresh, alone on the machine, idle first, then warmed up, then loaded."""
    with contender.start() as server:
        expected = check(contender, server, expected)
        idle = {"threads": server.threads(), "idle_share": server.idle_share(context.pick(3, 1))}
        load.wrk(context.folder, server.port, contender.request, context.pick(5, 1), connections)
        found = load.wrk(context.folder, server.port, contender.request, context.seconds, connections)
        contender.rounds.append({**found, **idle, "memory_mb": server.own_memory_mb(), "ready_ms": server.ready_ms})
    return expected


def race(context, result, model, connections):
    """All of them in turns; who does not start or fails is left out, with the reason."""
    running, expected = list(contenders(context, model)), None
    for i in range(min(context.rounds, 3)):
        for c in list(running):
            try:
                expected = measure(context, c, connections, expected)
                context.say(f"round {i + 1}: {c.title} {c.rounds[-1]['rps']:,.0f}/s")
            except (machine.Skip, machine.Failed) as why:
                if c.title.startswith("galley"):
                    raise
                result.note(f"{c.title} is left out for {model.name}: {why}")
                running.remove(c)
    return running


def table(result, model, connections, running):
    galley, rows = running[0].rounds, []
    for c in running:
        ratio = "" if c is running[0] else stats.paired(galley, c.rounds).text("{:.1f}") + "x"
        rows.append([c.title, c.batching, stats.of(c.rounds, "rps").text(), ratio,
                     *(f"{stats.of(c.rounds, key).median / 1000:.2f}" for key in ("p50_us", "p99_us")),
                     f"{stats.of(c.rounds, 'memory_mb').median:.0f}", f"{stats.of(c.rounds, 'threads').median:.0f}",
                     f"{stats.of(c.rounds, 'idle_share').median:.1%}",
                     f"{stats.of(c.rounds, 'ready_ms').median / 1000:.2f}"])
    result.table(f"{model.name}, {connections} connections, JSON unless it says otherwise",
                 ["", "batching", "requests/s", "galley is", "p50 ms", "p99 ms", "memory MiB", "threads idle",
                  "core used idle", "ready s"], rows)


def judge(result, model, running, times):
    others = [c for c in running if not c.title.startswith("galley")]
    if not others:
        result.note(f"{model.name}: no other server could be measured, so there is no ratio")
        return
    best = max(others, key=lambda c: stats.of(c.rounds, "rps").median)
    ratio = stats.paired(running[0].rounds, best.rounds)
    result.target(f"{model.name}: at least {times} times the best of the others in throughput",
                  f"{ratio.text('{:.1f}')} times {best.title}", ratio.median >= times)


def run(context):
    result = report.Result("servers", __doc__.strip())
    for model, connections, times in CASES:
        running = race(context, result, model.need(), connections)
        table(result, model, connections, running)
        judge(result, model, running, times)
        result.data[model.name] = {c.title: c.rounds for c in running}
    versions = ", ".join(f"{r.title} {r.version()}" for r in rivals.ALL)
    result.note(f"{versions}; all with ONNX Runtime 1.29.0 and one thread inside an inference")
    result.note("memory is what the processes of a server hold, shared pages counted once (PSS), after the load")
    result.note("NVIDIA Triton Inference Server is not here: it comes as a container image, not as a package")
    return result
