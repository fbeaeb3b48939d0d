# SPDX-License-Identifier: Apache-2.0
"""Two models in one process, a slow and a fast one: what one of them is asked for is not at the other's cost."""
import os
import select
import statistics
import threading
import time

import numpy as np
import pytest

import harness
import models
import oip

CPUS = sorted(os.sched_getaffinity(0))
CORES = [pytest.param([], id="all cores"), pytest.param(["taskset", "-c", str(CPUS[0])], id="one core")]
FAST = harness.request("POST", "/v2/models/fast/infer",
                       {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [1]}]})


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("neighbours")
    models.slow(root / "slow" / "model.onnx")
    models.add(root / "fast" / "model.onnx", 1)
    return root


def both(serve, root, before, *more):
    return serve("--workers", "1", "--threads", "1", "--access-log", "off", "--request-timeout", "0s",
                 *more, paths=[root / "slow", root / "fast"], before=before)


def slow_request(trips):
    return harness.request("POST", "/v2/models/slow/infer",
                           {"inputs": [{"name": "x", "datatype": "INT64", "shape": [1, 1], "data": [trips]}]})


def is_answered(conn):
    return bool(select.select([conn.sock], [], [], 0)[0])


def fill(s, trips, places):
    """Connections of a request that keeps the slow model's one worker, and of those that fill its queue."""
    conns = [s.connect(timeout=300) for _ in range(1 + places)]
    conns[0].send(slow_request(trips))
    harness.wait_until(lambda: s.metric("inference_calls_running", model="slow") == 1, 20, "the worker to be busy")
    for c in conns[1:]:
        c.send(slow_request(0))
    harness.wait_until(lambda: s.metric("inference_queue_requests", model="slow") == places, 20, "the queue to be full")
    return conns


@pytest.mark.parametrize("before", CORES)
def test_a_full_queue_of_a_slow_model_costs_the_fast_one_neither_places_nor_time(serve, root, before):
    s = both(serve, root, before, "--schedule", "workers", "--max-queue-size", "3")
    conns = fill(s, 40000 * harness.SCALE, 3)
    with s.connect(timeout=60) as c, s.connect() as refused:
        refused.send(slow_request(0))
        assert refused.reply().status == 429
        times = []
        for _ in range(300):
            start = time.monotonic()
            c.send(FAST)
            assert c.reply().status == 200
            times.append(time.monotonic() - start)
    assert statistics.median(times) < 0.01 * harness.SCALE, times
    assert not is_answered(conns[0])  # all within a part of the one inference that they had beside them
    s.kill()
    for c in conns:
        c.close()


class Flood:
    """Requests for the fast model, hundreds at once on each of some connections, until it is told to stop."""

    def __init__(self, s, conns=3, burst=200):
        self.stop, self.answers, self.errors = threading.Event(), 0, []
        self.threads = [threading.Thread(target=self.run, args=(s, burst)) for _ in range(conns)]
        for t in self.threads:
            t.start()

    def run(self, s, burst):
        try:
            with s.connect(timeout=60) as c:
                while not self.stop.is_set():
                    c.send(FAST * burst)
                    for _ in range(burst):
                        assert c.reply().status in (200, 429)
                    self.answers += burst
        except (AssertionError, OSError, harness.Closed) as e:
            self.errors.append(e)

    def __enter__(self):
        harness.wait_until(lambda: self.answers or self.errors, 20, "the flood")
        return self

    def __exit__(self, *_):
        self.stop.set()
        for t in self.threads:
            t.join()


@pytest.mark.parametrize("schedule", ["auto", "workers"])
@pytest.mark.parametrize("before", CORES)
def test_a_flood_for_the_fast_model_does_not_starve_the_slow_one(serve, root, before, schedule):
    s = both(serve, root, before, "--schedule", schedule)
    with Flood(s) as flood, s.connect(timeout=60) as c:
        for _ in range(3):
            seen = flood.answers
            c.send(slow_request(100))
            r = c.reply()
            assert r.status == 200 and r.json()["outputs"][0]["data"] == [100]
            harness.wait_until(lambda: flood.answers > seen or flood.errors, 20, "the flood to go on", 0.001)
    assert not flood.errors, flood.errors[0]


# --- memory ---

MIB = 1 << 20


def large(model, datatype):
    """A request of a MiB."""
    body, n = oip.binary({"x": np.zeros((MIB // np.dtype(datatype).itemsize, 1), datatype)})
    return harness.request("POST", f"/v2/models/{model}/infer", body, {oip.LENGTH: n})


def test_a_queue_of_large_requests_leaves_memory_for_another_model(serve, root):
    s = both(serve, root, [], "--schedule", "workers", "--max-request-memory", "64MiB")
    waiting, refused = fill(s, 40000 * harness.SCALE, 0), 0  # longer than the rest takes
    for _ in range(40):  # one by one: what is refused is not there when the next comes
        c = s.connect(timeout=300)
        c.send(large("slow", np.int64))
        harness.wait_until(lambda: is_answered(c) or s.metric("inference_queue_requests", model="slow") == len(waiting), 20,
                           "the request to wait or to be refused")
        if not is_answered(c):
            waiting.append(c)
            continue
        r = c.reply()
        assert r.status == 429, r
        assert "bytes of requests wait" in r.json()["error"]
        refused += 1
        c.close()
    assert len(waiting) > 10 and refused > 10
    assert 25 * MIB < s.metric("inference_queue_bytes", model="slow") <= 32 * MIB
    for _ in range(3):
        with s.connect(timeout=60) as c:
            c.send(large("fast", np.float32))
            assert c.reply().status == 200
    assert not is_answered(waiting[0])
    s.kill()
    for c in waiting:
        c.close()
