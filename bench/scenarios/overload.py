# SPDX-License-Identifier: Apache-2.0
"""Three times what the server can do, open loop, each request with a deadline: goodput, lateness, memory, recovery"""
import threading

from lib import load, models, report, servers, stats

CONNECTIONS = 512  # clients that ask at the same time; each waits for its answer
GIVE_UP_SHARE = 0.25  # of the deadline: an arrival that finds all of them waiting is given up then, unsent
WAY_SHARE = 0.05  # of it: for the way to the server and back
WINDOW_S = 0.05


class MemoryWatch(threading.Thread):
    """Resident memory, four times a second, as (seconds from the start, MiB)."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.samples, self.ended = server, [], threading.Event()

    def run(self):
        at = 0.0
        while not self.ended.wait(0.25):
            at += 0.25
            self.samples.append((at, self.server.memory_mb()))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()

    def greatest(self, start_s, end_s):
        return max((mb for at, mb in self.samples if start_s <= at < end_s), default=0.0)


def window_p99s(phase):
    """p99 of each window's answers; None where there was none."""
    return [stats.percentile(sorted(w), .99) if w else None for w in phase.windows(WINDOW_S)]


def recovery_s(before, after):
    """From the drop of the load to the first window whose p99 is no worse than the worst before the overload."""
    bound = max(p for p in window_p99s(before) if p is not None)
    for i, p99 in enumerate(window_p99s(after)):
        if p99 is not None and p99 <= bound:
            return i * WINDOW_S
    return float("inf")


def overload(context, model, deadline_ms):
    # The server has what the client leaves of the deadline: it is told so, as a client tells it that has waited itself.
    told_us = int(deadline_ms * 1000 * (1 - GIVE_UP_SHARE - WAY_SHARE))
    request, patient = models.oip_binary(model, timeout_us=told_us), models.oip_binary(model)
    calm, full = context.pick(5, 2), context.pick(60, 5)
    with servers.galley(model) as server:
        capacity = stats.Spread(load.wrk(context.folder, server.port, patient, context.seconds, 64)["rps"]
                                for _ in range(3)).median
        context.say(f"{model.name}: capacity {capacity:,.0f}/s; offering {capacity * 3:,.0f}/s for {full} s, "
                    f"deadline {deadline_ms} ms")
        plan = [(capacity / 2, calm), (capacity * 3, full), (capacity / 2, calm)]
        with MemoryWatch(server) as memory:
            phases = load.open_loop(context.folder, server.port, request, plan, CONNECTIONS, give_up_ms=int(deadline_ms * GIVE_UP_SHARE))
        after = load.wrk(context.folder, server.port, patient, context.seconds, 64)["rps"]
    return capacity, after, phases, memory


def judge(result, model, deadline_ms, capacity, after, phases, memory):
    before, full, calm = phases
    good = full.within(deadline_ms * 1000)
    mean = (capacity + after) / 2
    goodput, late = good / full.seconds / mean, len(full.ok_us) - good
    half = full.start_s + full.seconds / 2
    first, second = memory.greatest(full.start_s, half), memory.greatest(half, full.end_s)
    back = recovery_s(before, calm)
    unsent = full.outcomes.get(load.GIVEN_UP, 0)
    who = model.name
    result.target(f"{who}: goodput at least 95 % of capacity", f"{goodput:.1%} of {mean:,.0f}/s", goodput >= .95)
    result.target(f"{who}: accepted requests keep their deadline (at most 1 % behind it)",
                  f"{late} of {len(full.ok_us):,} behind {deadline_ms} ms", late <= len(full.ok_us) * .01)
    result.target(f"{who}: memory bounded (no growth by 10 % in the second half)",
                  f"{first:.0f} MiB, then {second:.0f} MiB", 0 < second <= first * 1.1)
    result.target(f"{who}: p99 is back within 1 s", f"{back:.2f} s", back <= 1)
    result.note(f"{who}: answers by status (0: given up by the client before sending): "
                + ", ".join(f"{k}: {v:,}" for k, v in sorted(full.outcomes.items())))
    if unsent > full.offered * .01:
        result.note(f"{who}: {unsent / full.offered:.0%} of the arrivals found no free connection of {CONNECTIONS} "
                    f"before their deadline: the server saw less than was offered")
    rates = (capacity, after, full.offered / full.seconds, good / full.seconds)
    times_us = (full.p(.5), full.p(.99), before.p(.99), calm.p(.99))
    return [who, *(f"{r:,.0f}" for r in rates), *(f"{us / 1000:.2f}" for us in times_us)]


def run(context):
    result = report.Result("overload", __doc__.strip())
    rows = []
    for model, deadline_ms in ((models.BATCHED.need(), 100), (models.SLOW.need(), 500)):
        capacity, after, phases, memory = overload(context, model, deadline_ms)
        rows.append(judge(result, model, deadline_ms, capacity, after, phases, memory))
        result.data[model.name] = {"capacity": capacity, "after": after, "deadline_ms": deadline_ms,
                                   "phases": [p.summary() for p in phases], "rss_mb": memory.samples,
                                   "window_s": WINDOW_S, "window_p99_us": [window_p99s(p) for p in phases]}
    result.table("Requests per second, and times in ms",
                 ["", "capacity before", "after", "offered", "goodput", "p50", "p99", "p99 half load before",
                  "and after"], rows)
    result.note("refusing costs too: on one core what the cheap model's refusals take is missing from its goodput")
    return result
