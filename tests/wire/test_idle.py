# SPDX-License-Identifier: Apache-2.0
"""Ten thousand connections that wait, and those who ask and never read: what they cost, and that others are served."""
import resource
import socket
import time

import numpy as np
import pytest

import harness
import models
from test_memory import cpu_ms

MIB = 1 << 20
COUNT = 10_000
HARD = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
BIG = 4 << 20  # numbers of an answer: more than the system takes for a client


@pytest.fixture(name="many_files")
def as_many_files_as_there_may_be():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if HARD != resource.RLIM_INFINITY and HARD < COUNT + 300:
        pytest.skip(f"only {HARD} files may be open here: {COUNT} connections do not fit")
    # The server begins with few, as a shell gives it, and raises them itself.
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, HARD))
    yield lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (HARD, HARD))
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def open_all(port, count):
    found = []
    for _ in range(count):
        found.append(socket.create_connection(("127.0.0.1", port), timeout=30))
    return found


def served(s):
    return s.infer("x", {"x": ("FP32", [1, 2], [1, 2])}).json()["outputs"][0]["data"] == [1, 2]


def test_ten_thousand_connections_wait_for_little(many_files, serve, tmp_path):
    models.identity(tmp_path / "x" / "model.onnx")
    s = serve("--max-connections", str(COUNT + 100), "--idle-timeout", "600s", paths=[tmp_path / "x"])
    many_files()
    assert served(s)
    before = s.rss()
    waiting = open_all(s.port, COUNT)
    try:
        harness.wait_until(lambda: open_connections(s) >= COUNT, 30, "all to be open")
        assert served(s)
        grown = s.rss() - before
        if not harness.SANITIZE:
            assert grown < 100 * MIB, grown / MIB
        time.sleep(0.5)
        used = cpu_ms(s.pid)
        time.sleep(2)
        assert cpu_ms(s.pid) - used < 200 * harness.SCALE, "waiting takes no time"
        one = waiting[COUNT // 2]
        one.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert one.recv(1000).startswith(b"HTTP/1.1 200")
    finally:
        for c in waiting:
            c.close()
    harness.wait_until(lambda: open_connections(s) < 10, 30, "all to be gone")


def open_connections(s):
    for line in s.get("/metrics").body.decode().splitlines():
        if line.startswith("http_connections "):
            return float(line.split()[1])
    raise AssertionError("no gauge of connections")


def test_who_never_reads_costs_little_and_is_cut(serve, tmp_path):
    """Each asks for an answer of some megabytes and reads nothing of it."""
    models.identity(tmp_path / "x" / "model.onnx", shape=("n", 2))
    s = serve("--max-request-memory", "400MiB", "--write-timeout", "3s", paths=[tmp_path / "x"])
    x = np.zeros((BIG // 2, 2), np.float32)
    head = (b'{"inputs":[{"name":"x","datatype":"FP32","shape":[%d,2],"parameters":{"binary_data_size":%d}}],'
            b'"parameters":{"binary_data_output":true}}' % (BIG // 2, x.nbytes))
    request = harness.request("POST", "/v2/models/x/infer", head + x.tobytes(),
                              {"Inference-Header-Content-Length": str(len(head)), "Content-Type": "application/octet-stream"})
    before, used, conns = s.rss(), cpu_ms(s.pid), []
    for _ in range(8):
        c = harness.Conn(s.port, timeout=30, rcvbuf=4096)
        c.send(request)
        conns.append(c)
    start = time.monotonic()
    while time.monotonic() - start < 2:
        assert served(s)
        time.sleep(0.1)
    if not harness.SANITIZE:
        assert s.rss() - before < 450 * MIB, (s.rss() - before) / MIB
    assert cpu_ms(s.pid) - used < 3000 * harness.SCALE
    harness.wait_until(lambda: open_connections(s) < 5, 30, "those to be cut")
    for c in conns:
        c.close()
    assert served(s)
