# SPDX-License-Identifier: Apache-2.0
"""What the process takes: time while nobody asks for anything, and memory."""
import os
import subprocess
import time

import numpy as np
import pytest
from onnx import TensorProto as T
from onnx import helper as h

import harness
import models
import oip

MIB = 1 << 20


def cpu_ms(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000 // os.sysconf("SC_CLK_TCK")


def wide(path):
    """y[n,1] by way of tensors of x's size."""
    nodes = [h.make_node("Sigmoid", ["x"], ["a"]), h.make_node("Tanh", ["a"], ["b"]),
             h.make_node("Add", ["a", "b"], ["c"]), h.make_node("ReduceSum", ["c", "axis"], ["y"])]
    return models.write(path, nodes, [("x", T.FLOAT, ("n", 1024))], [("y", T.FLOAT, ("n", 1))],
                        [h.make_tensor("axis", T.INT64, [1], [1])])


def ask(s, rows):
    return oip.post_binary(s, "wide", {"x": np.zeros((rows, 1024), np.float32)}, timeout=60)


def test_an_idle_server_uses_no_time(serve, tmp_path):
    models.slow(tmp_path / "slow" / "model.onnx")
    s = serve("--intra-op-threads", "2", "--threads", "2", "--workers", "2",
              paths=[harness.EXAMPLES, tmp_path / "slow"])
    assert s.infer("slow", {"x": ("INT64", [1, 1], [1])}).status == 200
    conns = [s.connect() for _ in range(4)]  # idle ones are looked after too
    time.sleep(0.3)
    before = cpu_ms(s.pid)
    time.sleep(1)
    # A sanitizer's own thread wakes too, and its time is the process's.
    assert cpu_ms(s.pid) - before <= (150 if harness.SANITIZE else 30)
    for c in conns:
        c.close()


@pytest.mark.skipif(harness.SANITIZE, reason="a sanitizer keeps freed memory")
def test_memory_of_a_burst_is_given_back(serve, tmp_path):
    wide(tmp_path / "wide" / "model.onnx")
    s = serve("--schedule", "workers", paths=[tmp_path / "wide"])
    assert ask(s, 1).status == 200
    before = s.rss()
    for _ in range(3):
        assert ask(s, 15000).status == 200  # 59 MiB, and as much a tensor of the model's own
    assert s.rss() > before + 64 * MIB
    harness.wait_until(lambda: s.rss() < before + 24 * MIB, 5, "memory to be given back", 0.1)
    assert ask(s, 1).status == 200


@pytest.mark.skipif(harness.SANITIZE, reason="a sanitizer keeps freed memory")
@pytest.mark.parametrize("schedule,goes_on", [("workers", True), ("inline", False), ("inline", True)])
def test_memory_of_a_burst_is_given_back_on_loops_and_while_others_ask(serve, tmp_path, schedule, goes_on):
    wide(tmp_path / "wide" / "model.onnx")
    s = serve("--schedule", schedule, "--threads", "2", paths=[tmp_path / "wide"])
    assert ask(s, 1).status == 200
    before = s.rss()
    for _ in range(3):
        assert ask(s, 15000).status == 200
    assert s.rss() > before + 64 * MIB

    def is_back():
        assert not goes_on or ask(s, 1).status == 200
        return s.rss() < before + 24 * MIB
    harness.wait_until(is_back, 20, "memory to be given back", 0.2)


def test_a_batch_beyond_the_models_memory_fails_alone(serve, tmp_path):
    wide(tmp_path / "wide" / "model.onnx")
    s = serve("--model-memory-limit", "32MiB", "--request-timeout", "60s", paths=[tmp_path / "wide"])
    for _ in range(2):
        assert ask(s, 1000).status == 200
        r = ask(s, 10000)
        assert r.status == 503, r
        assert "model_memory_limit" in r.json()["error"]
        assert r.header("Retry-After") is not None
    assert ask(s, 1000).status == 200


def test_a_model_that_its_memory_does_not_hold_is_not_ready(serve, tmp_path):
    weights = h.make_tensor("w", T.FLOAT, [1024, 1024], [0.0] * MIB)
    models.write(tmp_path / "big" / "model.onnx", [h.make_node("MatMul", ["x", "w"], ["y"])],
                 [("x", T.FLOAT, ("n", 1024))], [("y", T.FLOAT, ("n", 1024))], [weights])
    s = serve("--model-memory-limit", "1MiB", paths=[tmp_path / "big"], wait="live")
    line = s.wait_line("model_failed")
    assert "memory" in str(line)


# --- the memory of all requests ---

ROWS_32M = 8191  # rows of 1024 FP32 numbers: just under 32 MiB, and so is the buffer


def summing(folder):
    """A model that takes large inputs and gives small answers."""
    models.write(folder / "sum" / "model.onnx",
                 [h.make_node("ReduceSum", ["x", "axis"], ["y"])], [("x", T.FLOAT, ("n", 1024))],
                 [("y", T.FLOAT, ("n", 1))], [h.make_tensor("axis", T.INT64, [1], [1])])


@pytest.fixture
def bounded(serve, tmp_path):
    """128 MiB for all requests."""
    summing(tmp_path)
    return serve("--max-request-memory", "128MiB", "--threads", "2", "--access-log", "off",
                 "--schedule", "workers", paths=[tmp_path / "sum"])


def large(rows=ROWS_32M, headers=None):
    """Head and body of a request."""
    body, n = oip.binary({"x": np.ones((rows, 1024), np.float32)})
    head = harness.head("POST", "/v2/models/sum/infer", body,
                        {oip.LENGTH: n, "Content-Type": "application/octet-stream", **(headers or {})})
    return head, body


@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
def test_a_large_tensor_is_used_from_where_it_is_read(serve, tmp_path, version):
    """Wherever the heads before it end: there is no memory for a copy of it."""
    summing(tmp_path)
    s = serve("--max-request-memory", "48MiB", paths=[tmp_path / "sum"])
    for pad in range(1, 5):
        body, n = oip.binary({"x": np.ones((ROWS_32M, 1024), np.float32)}, id="i" * pad)
        (tmp_path / "body").write_bytes(body)
        out = subprocess.run(["curl", "-sS", version, "-o", tmp_path / "out", "-w", "%{http_code}",
                              "-H", f"{oip.LENGTH}: {n}", "-H", "Content-Type: application/octet-stream",
                              "--data-binary", f"@{tmp_path / 'body'}",
                              f"http://127.0.0.1:{s.port}/v2/models/sum/infer"],
                             capture_output=True, text=True, timeout=60 * harness.SCALE, check=True)
        assert out.stdout == "200", (tmp_path / "out").read_bytes()[:300]


def in_use(s):
    return s.metric("galley_request_memory_bytes")


def refused_for_memory(s):
    return s.metric("http_connections_refused_total", reason="memory")


def check_refused(r):
    assert r.status == 503, r
    assert "memory" in r.json()["error"]
    assert int(r.header("Retry-After")) >= 1
    assert r.header("Connection") == "close"


def hold(s, count):
    """Connections whose bodies are nearly there: more than half of 32 MiB each, so that a buffer of
    32 MiB is taken."""
    head, body = large()
    conns = []
    for _ in range(count):
        c = s.connect(timeout=60)
        c.send(head + body[:-1000])
        conns.append(c)
    harness.wait_until(lambda: in_use(s) >= count * 31 * MIB, 20, "bodies to arrive")
    return conns, body[-1000:]


def test_many_large_bodies_at_once_stay_within_the_bound(bounded):
    s = bounded
    head, body = large()
    assert s.infer("sum", {"x": ("FP32", [1, 1024], [1] * 1024)}).status == 200
    before, most = s.rss(), 0
    conns = [s.connect(timeout=60) for _ in range(12)]
    sent = [0] * len(conns)
    piece = 2 * MIB
    gone = set()
    while len(gone) < len(conns) and min(n for i, n in enumerate(sent) if i not in gone) < len(body):
        for i, c in enumerate(conns):  # all of them grow together
            if i in gone or sent[i] >= len(body):
                continue
            try:
                c.send(head if sent[i] == 0 else b"")
                c.send(body[sent[i]:sent[i] + piece])
                sent[i] += piece
            except (BrokenPipeError, ConnectionResetError):
                gone.add(i)
        most = max(most, s.rss())
    replies = []
    for i, c in enumerate(conns):
        try:
            replies.append(c.reply())
        except harness.Closed:
            assert i in gone  # it was still sending a second after its answer
        c.close()
    good = [r for r in replies if r.status == 200]
    assert len(good) >= 2
    assert len(good) < len(conns)
    for r in good:
        assert oip.tensors(r)["y"].shape == (ROWS_32M, 1)
    full = [r for r in replies if r.status == 429]  # two of them wait: half of the memory
    for r in full:
        assert b"queue is full: 67" in r.body, r
    for r in replies:
        if r.status not in (200, 429):
            check_refused(r)
    assert refused_for_memory(s) == len(conns) - len(good) - len(full)
    if not harness.SANITIZE:
        assert most < before + 200 * MIB
    harness.wait_until(lambda: in_use(s) < 8 * MIB, 10, "memory to be given back")
    if not harness.SANITIZE:
        harness.wait_until(lambda: s.rss() < before + 64 * MIB, 10, "resident memory to go", 0.1)
    c = s.connect(timeout=60)
    c.send(head + body)
    assert c.reply().status == 200
    c.close()


def test_a_body_that_has_no_room_is_refused_before_it_is_sent(bounded):
    s = bounded
    conns, rest = hold(s, 3)
    head, _ = large(2 * ROWS_32M)
    with s.connect() as c:  # its body never comes
        c.send(head)
        check_refused(c.reply())
        assert c.at_end()
    head, _ = large(2 * ROWS_32M, {"Expect": "100-continue"})
    with s.connect() as c:
        c.send(head)
        check_refused(c.reply())
    assert refused_for_memory(s) == 2
    assert s.infer("sum", {"x": ("FP32", [1, 1024], [1] * 1024)}).status == 200  # small ones go on
    for c in conns:
        c.send(rest)
        assert c.reply().status == 200
        c.close()
    head, body = large(2 * ROWS_32M - 100, {"Expect": "100-continue"})
    harness.wait_until(lambda: in_use(s) < 8 * MIB, 10, "memory to be given back")
    with s.connect(timeout=60) as c:
        c.send(head)
        assert c.reply().status == 100
        c.send(body)
        assert c.reply().status == 200


def test_a_body_without_a_length_is_refused_when_memory_is_out(bounded):
    s = bounded
    conns, rest = hold(s, 3)
    _, body = large(2 * ROWS_32M)
    with s.connect(timeout=60) as c:
        c.send(harness.head("POST", "/v2/models/sum/infer", b"",
                            {"Content-Length": None, "Transfer-Encoding": "chunked"}))
        for at in range(0, len(body), MIB):
            c.try_send(b"100000\r\n" + body[at:at + MIB].ljust(MIB, b"\0") + b"\r\n")
        try:
            check_refused(c.reply())
        except harness.Closed:  # it sent for more than a second behind its answer
            pass
    assert refused_for_memory(s) == 1
    for c in conns:
        c.send(rest)
        assert c.reply().status == 200
        c.close()


def test_a_body_that_unpacks_to_more_than_there_is_room_for_is_refused(bounded):
    import gzip
    s = bounded
    conns, rest = hold(s, 3)
    _, body = large(ROWS_32M + 1000)
    packed = gzip.compress(body, 1)
    assert len(packed) < 4 * MIB
    r = s.post("/v2/models/sum/infer", packed, {"Content-Encoding": "gzip"}, timeout=60)
    assert r.status == 503, r
    assert "memory" in r.json()["error"]
    for c in conns:
        c.send(rest)
        assert c.reply().status == 200
        c.close()


def test_a_body_that_is_larger_than_all_the_memory_is_too_large(serve, zoo_dir):
    s = serve("--max-request-memory", "1MiB", paths=[zoo_dir / "id-fp32"])
    with s.connect() as c:
        c.send(harness.head("POST", "/v2/models/id-fp32/infer", b"", {"Content-Length": 4 * MIB}))
        r = c.reply()
        assert r.status == 413
        assert "max_request_memory" in r.json()["error"]
