# SPDX-License-Identifier: Apache-2.0
"""More is offered than the server can do: what it refuses costs it little, and passes quickly."""
import json
import time

import pytest

import harness
import models

BUSY = 8000 + 8000 * harness.SCALE  # multiplications: the one worker has some seconds to do


@pytest.fixture
def full(serve, tmp_path):
    """A server with one worker that is busy, and one place in the queue, which is taken."""
    models.slow(tmp_path / "slow" / "model.onnx")
    s = serve("--max-queue-size", "1", "--workers", "1", "--threads", "1", "--schedule", "workers",
              "--access-log", "off", "--request-timeout", "600s", "--grace", "600s", paths=[tmp_path / "slow"])
    holders = [s.connect(timeout=120) for _ in range(2)]
    holders[0].send(infer(BUSY))
    s.wait_running()
    holders[1].send(infer(0))
    harness.wait_until(lambda: s.metric("inference_queue_requests") == 1, 20, "the queue to be full")
    yield s, holders
    s.kill()
    for c in holders:
        c.close()


def infer(trips, spaces=0):
    """`spaces`: so many bytes more to be read for nothing."""
    body = json.dumps({"inputs": [{"name": "x", "datatype": "INT64", "shape": [1, 1], "data": [trips]}]})
    return harness.request("POST", "/v2/models/slow/infer", body.encode() + b" " * spaces)


def refused(conns, count, spaces=0):
    """Sends count requests at once on each connection; all are refused. Seconds until they were."""
    start = time.monotonic()
    for c in conns:
        c.send(infer(0, spaces) * count)
    for c in conns:
        for _ in range(count):
            r = c.reply()
            assert r.status == 429, r
            assert int(r.header("Retry-After")) >= 1
            assert r.header("Connection") is None
    return time.monotonic() - start


PAUSES = "http_connection_pauses_total"


def use_up_credit(s):
    """A burst of refusals is free. From here on who is refused rests. A MiB that is read for nothing counts as 1 ms,
    however quick the machine is, and 25 ms are free. How many pauses there were."""
    before = s.metric(PAUSES)
    with s.connect(timeout=60) as c:
        for _ in range(40):
            refused([c], 1, spaces=1 << 20)
            now = s.metric(PAUSES)
            if now > before:
                return now
    raise AssertionError("who is refused does not rest")


def test_who_ignores_retry_after_does_not_eat_the_loop(full):
    s, _ = full
    conns = [s.connect(timeout=60) for _ in range(4)]
    count = 30 // harness.SCALE
    for _ in range(3):  # a machine that halts us behind the first line lets new credit come
        before = use_up_credit(s)
        took = refused(conns, count, spaces=64 << 10)
        pauses = s.metric(PAUSES) - before
        # 64 us at least a refusal, of which 5 % of the time may consist.
        if took > 4 * count * 64e-6 * 20 * 0.8 and pauses > 20 / harness.SCALE:
            break
    else:
        raise AssertionError(f"{4 * count} refusals in {took} s, {pauses} pauses")
    for c in conns:
        c.close()


def test_a_refused_connection_is_heard_again_at_once_when_the_rush_is_over(full):
    s, holders = full
    use_up_credit(s)
    c = s.connect(timeout=60)
    refused([c], 300 // harness.SCALE)
    for h in holders:
        assert h.reply().status == 200
    c.send(infer(0))
    start = time.monotonic()
    assert c.reply().status == 200
    assert time.monotonic() - start < 0.3 * harness.SCALE
    c.close()


def costs_no_pause(s, act):
    """The time of a machine that halts the server within a refusal is the refusal's: then once more, with new credit."""
    for _ in range(3):
        before = s.metric(PAUSES)
        act()
        if s.metric(PAUSES) == before:
            return
        time.sleep(0.6)
    raise AssertionError("it rests each time")


def test_a_single_refusal_costs_no_pause(full):
    s, _ = full

    def act():
        for _ in range(5):
            with s.connect() as c:
                refused([c], 1)
            time.sleep(0.05)
    costs_no_pause(s, act)


def test_a_burst_of_refusals_costs_no_pause(full):
    s, _ = full

    def act():
        with s.connect(timeout=60) as c:
            refused([c], 120 // harness.SCALE)
    costs_no_pause(s, act)


def test_other_connections_do_not_wait_for_those_that_rest(full):
    s, _ = full
    use_up_credit(s)
    c = s.connect(timeout=60)
    count = 400 // harness.SCALE
    c.send(infer(0) * count)
    took = []
    for _ in range(50):
        start = time.monotonic()
        assert s.get("/health/live").status == 200
        took.append(time.monotonic() - start)
    assert sorted(took)[45] < 0.25 * harness.SCALE, took
    for _ in range(count):
        assert c.reply().status == 429
    c.close()


def test_a_connection_that_goes_while_it_rests_leaves_nothing(full):
    s, _ = full
    use_up_credit(s)
    for i in range(20):
        c = s.connect()
        c.send(infer(0) * (200 // harness.SCALE))
        c.reply()
        if i % 2:
            c.reset()
        else:
            c.close()
    harness.wait_until(lambda: s.metric("http_connections") == 3, 20, "connections to be gone")


def test_a_drain_ends_pauses(full):
    s, holders = full
    use_up_credit(s)
    c = s.connect(timeout=60)
    c.send(infer(0) * (300 // harness.SCALE))
    c.reply()
    s.signal(harness.signal.SIGTERM)
    for h in holders:
        assert h.reply().status == 200
    assert s.wait_exit() == 0
    c.close()
