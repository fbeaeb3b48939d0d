# SPDX-License-Identifier: Apache-2.0
"""Load: wrk (closed loop), bench/load.c (open loop), bench/bare.c (the engine alone): processes, each on one core."""
import array
import json
import os
import re
import subprocess
import sys

from lib import machine, stats

ENGINE = machine.path("build/deps/onnxruntime/lib/libonnxruntime.so.1")
GIVEN_UP, LOST, UNANSWERED = 0, 1, 2  # the outcomes of bench/load.c; all else is a status of HTTP


def compile_tool(name, folder, *flags):
    binary = os.path.join(folder, name)
    if not os.path.exists(binary):
        subprocess.run([os.environ.get("CC", "cc"), "-O2", "-D_GNU_SOURCE",
                        "-I", machine.path("build/deps/onnxruntime/include"),
                        machine.path("bench", f"{name}.c"), "-o", binary, *flags], check=True)
    return binary


def bare(folder, model, rows, seconds, threads=1):
    """The engine in a loop: rows per second, and one run's median."""
    binary = compile_tool("bare", folder, "-ldl")
    out = machine.output(["taskset", "-c", machine.SERVER_CORE, binary, ENGINE, model.file, str(model.columns),
                          str(rows), str(threads), str(seconds)])
    runs, median_us = map(float, out.split())
    return {"rps": runs * rows, "median_us": median_us}


def start_wrk(folder, port, request, seconds, connections, scheme="http"):
    body = os.path.join(folder, f"body-{port}-{connections}")
    with open(body, "wb") as f:
        f.write(request.body)
    headers = "\n".join(f"{k}: {v}" for k, v in request.headers.items())
    return subprocess.Popen(
        ["taskset", "-c", machine.CLIENT_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s",
         "--latency", "-s", machine.path("bench/post.lua"), f"{scheme}://127.0.0.1:{port}{request.path}"],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "BENCH_BODY": body, "BENCH_HEADERS": headers})


def end_wrk(process, refusals=False):
    """What start_wrk's process found. Failures stop the benchmark: figures with failures in them are none;
    `refusals`: answers other than 2xx and 3xx are counted instead."""
    out, _ = process.communicate()
    found = re.search(r"RESULT (.*)", out)
    if not found:
        raise machine.Failed(f"wrk failed: {out}")
    requests, us, p50, p99, errors, refused = map(int, found.group(1).split())
    if errors or (refused and not refusals):
        raise machine.Failed(f"of {requests} requests {errors} failed, {refused} were refused")
    return {"rps": requests / us * 1e6, "p50_us": p50, "p99_us": p99, "refused": refused}


def wrk(folder, port, request, seconds, connections, refusals=False, scheme="http"):
    """A closed loop: each connection asks again when it has its answer."""
    return end_wrk(start_wrk(folder, port, request, seconds, connections, scheme), refusals)


class Phase:
    """What became of the requests that were meant to start within [start_s, end_s)."""

    def __init__(self, rate, start_s, end_s):
        self.rate, self.start_s, self.end_s = rate, start_s, end_s
        self.seconds = end_s - start_s
        self.ok_us = []     # latencies of answers 200, from the intended start
        self.ok_start = []  # their intended starts, seconds; in the order of ok_us
        self.lag_us = []    # from the intended start to the sending: the client's own share
        self.outcomes = {}  # status or outcome -> how many

    def close(self):
        self.sorted_us = sorted(self.ok_us)
        self.lag_us.sort()
        self.offered = sum(self.outcomes.values())
        self.refused = self.offered - len(self.ok_us)
        self.broken = self.outcomes.get(LOST, 0) + self.outcomes.get(UNANSWERED, 0)

    def p(self, share):
        return stats.percentile(self.sorted_us, share)

    def within(self, us):
        return sum(1 for v in self.ok_us if v <= us)

    def windows(self, seconds):
        """The latencies of answers by time of intended start, a list a window."""
        lists = [[] for _ in range(int(self.seconds / seconds + 0.999))]
        for start, us in zip(self.ok_start, self.ok_us):
            lists[min(len(lists) - 1, int((start - self.start_s) / seconds))].append(us)
        return lists

    def summary(self):
        return {"rate": self.rate, "seconds": self.seconds, "offered": self.offered, "ok": len(self.ok_us),
                "refused": self.refused, "outcomes": {str(k): v for k, v in self.outcomes.items()},
                "p50_us": self.p(.5), "p90_us": self.p(.9), "p99_us": self.p(.99), "p999_us": self.p(.999),
                "client_lag_p99_us": stats.percentile(self.lag_us, .99)}


def read_phases(file, plan):
    phases, at = [], 0.0
    for rate, seconds in plan:
        phases.append(Phase(rate, at, at + seconds))
        at += seconds
    records = array.array("I")
    with open(file, "rb") as f:
        records.frombytes(f.read())
    if sys.byteorder == "big":
        records.byteswap()
    current = 0
    for i in range(0, len(records), 4):
        intended, sent, end, status = records[i:i + 4]
        while intended >= phases[current].end_s * 1e6 and current + 1 < len(phases):
            current += 1
        phase = phases[current]
        phase.outcomes[status] = phase.outcomes.get(status, 0) + 1
        if sent:
            phase.lag_us.append(sent - intended)
        if status == 200:
            phase.ok_us.append(end - intended)
            phase.ok_start.append(intended / 1e6)
    for phase in phases:
        phase.close()
    return phases


def open_loop(folder, port, request, plan, connections=256, give_up_ms=5000, seed=1):
    """Poisson arrivals: `plan` is a list of (requests per second, seconds), one behind the other. Returns a Phase each.
    A request that has found no free connection for give_up_ms is given up by the client."""
    binary = compile_tool("load", folder, "-lm")
    body, out = os.path.join(folder, f"request-{port}"), os.path.join(folder, f"records-{port}")
    with open(body, "wb") as f:
        f.write(request.bytes())
    ended = subprocess.run(["taskset", "-c", machine.CLIENT_CORE, binary, str(port), body, out, str(connections),
                            str(give_up_ms), str(seed), *(f"{rate:.3f}:{seconds:.3f}" for rate, seconds in plan)],
                           stderr=subprocess.PIPE, text=True)
    if ended.returncode != 0:
        raise machine.Failed(ended.stderr.strip())
    phases = read_phases(out, plan)
    os.remove(out)
    broken = sum(p.broken for p in phases)
    if broken:
        raise machine.Failed(f"{broken} requests were cut off or never answered")
    return phases


def galley_bench(port, model, protocol, seconds, *how):
    """galley's own load generator; `how` is a closed loop (-c N) or an open one (--rate R)."""
    ended = subprocess.run(
        [machine.GALLEY, "bench", f"http://127.0.0.1:{port}", "--model", model.name, "--protocol", protocol,
         "--duration", f"{seconds}s", "--warmup", "200ms", "--client-cores", machine.CLIENT_CORE, "--json",
         "--quiet", *how],
        capture_output=True, text=True)
    if ended.returncode != 0:
        raise machine.Failed(f"galley bench: {ended.stderr.strip()}")
    found = json.loads(ended.stdout)["steps"][0]["targets"][0]["median"]
    if found["failed"]:
        raise machine.Failed(f"galley bench: {found['failed']} of {found['offered']} requests failed")
    return {"rps": found["requests_per_s"], "p50_us": found["latency_us"]["p50"], "p99_us": found["latency_us"]["p99"],
            "client_cores": found["client_cores"]}
