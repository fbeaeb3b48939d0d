# SPDX-License-Identifier: Apache-2.0
"""Requests of many clients that run as one inference: each gets what it would have got alone.

`Burst` stops the process, writes to all connections and lets it go on: what it then reads belongs
to the same turn of its loop, so that requests meet as surely here as they do by chance under load.
"""
import json
import signal
import threading
import time

import numpy as np
import pytest

import harness
import models
import oip
from models import T, h

CONNECTIONS = 32
SPY = 4e-6  # what the spy adds for each row of the call: too little for the trial at load to see


def write_models(root):
    rng = np.random.default_rng(1)
    w = rng.normal(size=(8, 4)).astype(np.float32)
    models.write(root / "mlp" / "model.onnx",
                 [h.make_node("MatMul", ["a", "w"], ["aw"]), h.make_node("Add", ["aw", "b"], ["s"]),
                  h.make_node("Tanh", ["s"], ["y"]),
                  h.make_node("ArgMax", ["s"], ["label"], axis=1, keepdims=0)],
                 [("a", T.FLOAT, ("n", 8)), ("b", T.FLOAT, ("n", 1))],
                 [("y", T.FLOAT, ("n", 4)), ("label", T.INT64, ("n",))],
                 [h.make_tensor("w", T.FLOAT, w.shape, w.flatten())])
    models.write(root / "table" / "model.onnx", [h.make_node("Gather", ["t", "x"], ["y"], axis=0)],
                 [("x", T.INT64, ("n", 1))], [("y", T.FLOAT, ("n", 1))],
                 [h.make_tensor("t", T.FLOAT, [50], np.arange(50) / 4)])
    models.write(root / "share" / "model.onnx", [h.make_node("Softmax", ["x"], ["y"], axis=0)],
                 [("x", T.FLOAT, ("n", 3))], [("y", T.FLOAT, ("n", 3))])
    models.write(root / "spy" / "model.onnx",
                 [h.make_node("Shape", ["x"], ["rows"], start=0, end=1),
                  h.make_node("Cast", ["rows"], ["rows_f"], to=T.DOUBLE),
                  h.make_node("Mul", ["rows_f", "little"], ["more"]),
                  h.make_node("Add", ["x", "more"], ["y"])],
                 [("x", T.DOUBLE, ("n", 1))], [("y", T.DOUBLE, ("n", 1))],
                 [h.make_tensor("little", T.DOUBLE, [], [SPY])])
    return root


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp("batches"))


@pytest.fixture(scope="module")
def one_loop(root):
    """One loop, so that all requests of a burst meet; models inline however slow the machine."""
    with harness.Server("--threads", "1", "--schedule", "inline", "--access-log", "off",
                        paths=[root]) as s:
        yield s


@pytest.fixture(scope="module")
def pool(root):
    """Requests with the answers of a server that never puts any together."""
    rng = np.random.default_rng(2)
    with harness.Server("--schedule", "workers", "--access-log", "off",
                        paths=[harness.EXAMPLES / "digits", root]) as s:
        return [with_answer(s, draw(rng)) for _ in range(160)]


# --- requests and their answers ---

def draw(rng):
    """Path, body, headers of a random request to digits or mlp, in one of three forms."""
    rows = int(rng.choice([1, 1, 1, 2, 5]))
    name = str(rng.choice(["digits", "mlp"]))
    if name == "digits":
        arrays = {"pixels": rng.integers(0, 17, (rows, 64)).astype(np.float32)}
        outputs = [None, ["label"], ["probabilities"], ["probabilities", "label"]]
    else:
        arrays = {"a": rng.normal(size=(rows, 8)).astype(np.float32),
                  "b": rng.normal(size=(rows, 1)).astype(np.float32)}
        outputs = [None, ["y"], ["label", "y"]]
    form = rng.choice(["json", "binary", "native"])
    if form == "native" and name == "digits":
        return ("/v1/models/digits/predict", json.dumps(
            {"instances": arrays["pixels"].tolist()}).encode(), {})
    chosen = outputs[rng.integers(len(outputs))]
    extra = {} if chosen is None else {"outputs": [{"name": o} for o in chosen]}
    path = f"/v2/models/{name}/infer"
    if form == "binary":
        body, n = oip.binary(arrays, **extra)
        return path, body, {oip.LENGTH: n}
    return path, infer_body(arrays, **extra), {}


def infer_body(arrays, **extra):
    return json.dumps({"inputs": [
        {"name": n, "datatype": oip.NAMES[a.dtype], "shape": list(a.shape), "data": a.tolist()}
        for n, a in arrays.items()], **extra}).encode()


def plain(path, reply):
    """What an answer says, in arrays; without what differs from request to request."""
    assert reply.status == 200, reply
    if path.startswith("/v2"):
        return oip.tensors(reply)
    rows = reply.json()["predictions"]
    return {k: np.array([r[k] for r in rows]) for k in rows[0]}


def with_answer(server, req):
    path, body, headers = req
    return harness.request("POST", path, body, headers), path, \
        plain(path, server.post(path, body, headers))


def check(path, reply, expected):
    got = plain(path, reply)
    assert list(got) == list(expected)
    for name, want in expected.items():
        assert got[name].shape == want.shape
        if want.dtype.kind == "f":
            np.testing.assert_allclose(got[name], want, rtol=1e-5, atol=1e-5)
        else:
            np.testing.assert_array_equal(got[name], want)


class Burst:
    """Connections of which each sends its requests while the process stands still."""

    def __init__(self, server, count=CONNECTIONS):
        self.server = server
        self.conns = [server.connect() for _ in range(count)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for c in self.conns:
            c.close()

    def send(self, requests, then=None):
        self.server.signal(signal.SIGSTOP)
        try:
            for c, r in zip(self.conns, requests):
                c.send(r)
            if then:
                then()
        finally:
            self.server.signal(signal.SIGCONT)

    def replies(self):
        return [c.reply() for c in self.conns]


# --- they meet, and none notices ---

def spy_rows(replies):
    """How many rows the calls had that these answers came from."""
    return [round((oip.tensors(r)["y"][0, 0] - i) / SPY) for i, r in enumerate(replies)]


def spies(count):
    return [harness.request("POST", "/v2/models/spy/infer", infer_body(
        {"x": np.array([[i]], np.float64)})) for i in range(count)]


def test_requests_of_one_turn_run_together(one_loop):
    with Burst(one_loop) as b:
        most = 0
        for _ in range(20):
            b.send(spies(CONNECTIONS))
            rows = spy_rows(b.replies())
            assert all(1 <= n <= CONNECTIONS for n in rows)
            most = max(most, *rows)
        assert most > CONNECTIONS / 4, most


@pytest.mark.parametrize("options", [("--batching", "off", "--schedule", "inline"),
                                     ("--batching", "off", "--schedule", "workers")])
def test_they_run_alone_where_they_are_told_to(serve, root, options):
    with Burst(serve("--threads", "1", *options, paths=[root / "spy"])) as b:
        for _ in range(5):
            b.send(spies(CONNECTIONS))
            assert spy_rows(b.replies()) == [1] * CONNECTIONS


def test_bursts_of_different_requests_get_their_own_answers(serve, root, pool):
    rng = np.random.default_rng(3)
    s = serve("--threads", "1", "--schedule", "inline", "--access-log", "off",
              paths=[harness.EXAMPLES / "digits", root])
    with Burst(s) as b:
        for _ in range(60):
            chosen = [pool[i] for i in rng.integers(len(pool), size=CONNECTIONS)]
            b.send([c[0] for c in chosen])
            for (_, path, expected), reply in zip(chosen, b.replies()):
                check(path, reply, expected)


def test_pipelined_requests_of_many_connections_get_their_own_answers(one_loop, pool):
    rng = np.random.default_rng(4)
    pool = [p for p in pool if "mlp" in p[1]]
    with Burst(one_loop) as b:
        for _ in range(15):
            chosen = [[pool[i] for i in rng.integers(len(pool), size=1 + k % 5)]
                      for k in range(CONNECTIONS)]
            start = time.monotonic()
            b.send([b"".join(c[0] for c in line) for line in chosen])
            for c, line in zip(b.conns, chosen):
                for _, path, expected in line:
                    check(path, c.reply(), expected)
            assert time.monotonic() - start < 2 * harness.SCALE  # none waits for a tick of a clock


@pytest.mark.parametrize("options", [(), ("--schedule", "inline", "--threads", "2")])
def test_answers_under_load_are_those_of_one_at_a_time(serve, root, pool, options):
    s = serve("--access-log", "off", *options, paths=[harness.EXAMPLES / "digits", root])
    end = time.monotonic() + 3
    failures, counts = [], []

    def client(seed):
        rng = np.random.default_rng(seed)
        conns = [s.connect() for _ in range(CONNECTIONS // 4)]
        n = 0
        try:
            while time.monotonic() < end and not failures:
                chosen = [pool[i] for i in rng.integers(len(pool), size=len(conns))]
                for c, x in zip(conns, chosen):
                    c.send(x[0])
                for c, (_, path, expected) in zip(conns, chosen):
                    check(path, c.reply(), expected)
                n += len(conns)
        except (AssertionError, OSError, harness.Closed) as e:
            failures.append(e)
        finally:
            counts.append(n)
            for c in conns:
                c.close()

    threads = [threading.Thread(target=client, args=(10 + i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures, failures[0]
    assert sum(counts) > 8 * CONNECTIONS


# --- what must not touch the others ---

def test_a_bad_request_fails_alone(one_loop):
    def body(x):
        return harness.request("POST", "/v2/models/table/infer",
                               infer_body({"x": np.array([[x]], np.int64)}))
    with Burst(one_loop) as b:
        for turn in range(10):
            values = [(7 * i + turn) % 50 for i in range(CONNECTIONS)]
            bad = {turn, 31 - turn, 16}
            b.send([body(99 if i in bad else x) for i, x in enumerate(values)])
            for i, (x, r) in enumerate(zip(values, b.replies())):
                if i in bad:
                    assert r.status in (400, 422, 500) and "out of data bounds" in r.json()["error"]
                else:
                    assert oip.tensors(r)["y"].tolist() == [[x / 4]]


def test_a_refused_request_does_not_touch_the_others(one_loop):
    """Refused before it is a job: a wrong shape, a missing input, no JSON."""
    good = {"a": np.ones((1, 8), np.float32), "b": np.ones((1, 1), np.float32)}
    wrong = [infer_body({**good, "a": np.ones((1, 7), np.float32)}),
             infer_body({"a": good["a"]}), b"{"]
    with Burst(one_loop) as b:
        b.send([harness.request("POST", "/v2/models/mlp/infer",
                                wrong[i // 4 % 3] if i % 4 == 0 else infer_body(good))
                for i in range(CONNECTIONS)])
        assert [r.status for r in b.replies()] == [400 if i % 4 == 0 else 200
                                                   for i in range(CONNECTIONS)]


def test_rows_that_differ_between_inputs_are_not_mixed(one_loop):
    """b has one row for all rows of a: the model allows it, and such a request runs by itself."""
    rng = np.random.default_rng(5)
    a = rng.normal(size=(CONNECTIONS, 2, 8)).astype(np.float32)
    b_rows = rng.normal(size=(CONNECTIONS, 2, 1)).astype(np.float32)
    requests = [harness.request("POST", "/v2/models/mlp/infer", infer_body(
        {"a": a[i], "b": b_rows[i][:1 + i % 2]})) for i in range(CONNECTIONS)]
    alone = []
    for r in requests:
        with one_loop.connect() as c:
            c.send(r)
            alone.append(oip.tensors(c.reply()))
    with Burst(one_loop) as b:
        for _ in range(5):
            b.send(requests)
            for want, reply in zip(alone, b.replies()):
                np.testing.assert_allclose(oip.tensors(reply)["y"], want["y"], rtol=1e-5, atol=1e-5)


def test_a_model_whose_rows_are_not_apart_never_mixes_requests(one_loop):
    rng = np.random.default_rng(6)
    with Burst(one_loop) as b:
        for _ in range(10):
            xs = [rng.normal(size=(1 + i % 3, 3)).astype(np.float32) for i in range(CONNECTIONS)]
            b.send([harness.request("POST", "/v2/models/share/infer", infer_body({"x": x}))
                    for x in xs])
            for x, r in zip(xs, b.replies()):
                e = np.exp(x.astype(np.float64))
                np.testing.assert_allclose(oip.tensors(r)["y"], e / e.sum(axis=0), atol=1e-5)


def test_clients_that_leave_do_not_take_others_with_them(one_loop, pool):
    pool = [p for p in pool if "mlp" in p[1]][:CONNECTIONS // 2]
    for how in ("close", "reset"):
        with Burst(one_loop, len(pool) * 2) as b:
            gone = b.conns[1::2]
            b.send([p[0] for p in pool for _ in range(2)],
                   then=lambda gone=gone, how=how: [getattr(c, how)() for c in gone])
            for c, (_, path, expected) in zip(b.conns[::2], pool):
                check(path, c.reply(), expected)
    harness.wait_until(lambda: one_loop.metric("http_requests_in_flight") == 1, 10,
                       "the requests to end")


def test_a_server_that_is_told_to_stop_answers_the_burst(serve, root, pool):
    pool = [p for p in pool if "mlp" in p[1]][:CONNECTIONS]
    s = serve("--threads", "1", "--schedule", "inline", "--drain-delay", f"{harness.SCALE}s",
              paths=[root / "mlp"])
    with Burst(s, len(pool)) as b:
        b.send([p[0] for p in pool])
        s.signal(signal.SIGTERM)
        for c, (_, path, expected) in zip(b.conns, pool):
            check(path, c.reply(), expected)
    assert s.wait_exit() == 0


# --- memory ---

def allocations(server):
    return server.metric("galley_allocations_total")


@pytest.mark.parametrize("connections", [1, CONNECTIONS])
def test_a_steady_state_allocates_nothing(serve, root, pool, connections):
    s = serve("--threads", "1", "--schedule", "inline", "--access-log", "off",
              paths=[harness.EXAMPLES / "digits", root])
    chosen = [p[0] for p in pool[:CONNECTIONS]]
    with Burst(s, connections) as b:
        def ask(count):
            for i in range(0, count, connections):
                b.send([chosen[(i + k) % CONNECTIONS] for k in range(connections)])
                assert all(r.status == 200 for r in b.replies())
        for r in chosen:  # what serves a connection has then seen the largest
            b.send([r] * connections)
            b.replies()
        grown, page = [], []
        for _ in range(5):
            before = allocations(s)
            page.append(allocations(s) - before)  # what a page of metrics takes by itself
            ask(2000)
            grown.append(allocations(s) - before - 2 * page[-1])
        # The slot that a page falls into may be new to it. An allocation a burst would be 62.
        assert min(grown) <= 12, f"{grown} allocations in 2000 requests, {page} in a page"
