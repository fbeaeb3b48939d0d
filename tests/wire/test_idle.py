# SPDX-License-Identifier: Apache-2.0
"""Ten thousand connections that wait, and those who ask and never read: what they cost, and that others are served."""
import resource
import socket
import struct
import time

import numpy as np
import pytest

import h2_client
import harness
import models
import test_websocket
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
    request = over_http1(*infer_body(x))
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


def infer_body(x):
    head = (b'{"inputs":[{"name":"x","datatype":"FP32","shape":[%d,2],"parameters":{"binary_data_size":%d}}],'
            b'"parameters":{"binary_data_output":true}}' % (len(x), x.nbytes))
    return len(head), head + x.tobytes()


def over_http1(n, body):
    return harness.request("POST", "/v2/models/x/infer", body, {"Inference-Header-Content-Length": str(n),
                                                               "Content-Type": "application/octet-stream"})


def over_http2(n, body, window=b"\x7f\xff\xff\xff"):
    """Two streams side by side: while one's answer waits for room, the other's does not move at all."""
    path, field = b"/v2/models/x/infer", b"inference-header-content-length"
    head = (bytes([0x83, 0x04, len(path)]) + path + b"\x86\x01\x01h" +
            bytes([0, len(field)]) + field + bytes([len(str(n))]) + str(n).encode())
    out = h2_client.PREFACE + h2_client.frame(h2_client.SETTINGS, 0, 0, b"\0\4" + window)
    out += h2_client.frame(h2_client.WINDOW, 0, 0, b"\x7f\xff\0\0")
    for stream in (1, 3):
        out += h2_client.frame(h2_client.HEADERS, 4, stream, head)
        out += h2_client.frame(h2_client.DATA, 1, stream, body)
    return out


def over_grpc_stream(n, body):
    """One call whose message asks for the same; its request is gRPC's, not `body`."""
    path, kind = b"/inference.GRPCInferenceService/ModelStreamInfer", b"application/grpc"
    head = (bytes([0x83, 0x04, len(path)]) + path + b"\x86\x01\x01h" + bytes([0x0f, 0x10, len(kind)]) + kind)
    x = np.frombuffer(body[n:], np.float32).reshape(-1, 2)
    message = b"\x0a\x01x" + part(5, b"\x0a\x01x" + b"\x12\x04FP32" + part(3, bytes([len(x), 2]))) + part(7, x.tobytes())
    out = h2_client.PREFACE + h2_client.frame(h2_client.SETTINGS, 0, 0, b"\0\4\x7f\xff\xff\xff")
    out += h2_client.frame(h2_client.WINDOW, 0, 0, b"\x7f\xff\0\0") + h2_client.frame(h2_client.HEADERS, 4, 1, head)
    return out + h2_client.frame(h2_client.DATA, 1, 1, struct.pack(">BI", 0, len(message)) + message)


def part(field, content):
    """Of a protobuf message, less than 128 bytes."""
    return bytes([field << 3 | 2, len(content)]) + content


def over_websocket(n, body):
    shake = harness.head("GET", "/v2/models/x/ws", headers=test_websocket.HANDSHAKE)
    return shake + test_websocket.frame(test_websocket.BINARY, struct.pack("<I", n) + body)


@pytest.mark.parametrize("carrier, answers", [(over_http1, 1), (over_http2, 2), (over_grpc_stream, 1), (over_websocket, 1)],
                         ids=["http1", "http2", "grpc stream", "websocket"])
def test_who_reads_slowly_but_steadily_gets_all(serve, tmp_path, carrier, answers):
    """What the kernel holds empties in steps that take longer than a write_timeout each; what it has sent does not."""
    models.spread(tmp_path / "x" / "model.onnx", 1 << 20)
    s = serve("--write-timeout", "1500ms", paths=[tmp_path / "x"])
    with harness.Conn(s.port, timeout=30, rcvbuf=65536) as c:
        c.send(carrier(*infer_body(np.array([[1, 2]], np.float32))))
        got, start, last = 0, time.monotonic(), b""
        while got < answers * (8 << 20):
            part = c.sock.recv(65536)
            assert part, f"cut after {got} bytes and {time.monotonic() - start:.1f} s"
            got += len(part)
            last = (last + part)[-200000:]
            time.sleep(max(0.0, start + got / 0.67e6 - time.monotonic()))
    assert np.array([1, 2] * 1000, np.float32).tobytes() in last
    assert time.monotonic() - start > 4, "it was read slowly"


def test_a_stream_whose_window_is_shut_is_cut_beside_one_that_goes_on(serve, tmp_path):
    """The connection's write waits all the time, for the other stream: it is no reason to keep this one's answer."""
    models.spread(tmp_path / "x" / "model.onnx", 1 << 20)
    s = serve("--write-timeout", "1s", paths=[tmp_path / "x"])
    with harness.Conn(s.port, timeout=30, rcvbuf=65536) as c:
        c.send(over_http2(*infer_body(np.array([[1, 2]], np.float32)), window=b"\0\0\0\0"))
        c.send(h2_client.frame(h2_client.WINDOW, 0, 1, b"\x7f\xff\0\0"))
        got, start, cut_at, kinds, rest = 0, time.monotonic(), None, [], b""
        while got < 8 << 20:
            part = c.sock.recv(65536)
            assert part, "cut as a whole"
            got += len(part)
            rest += part
            while len(rest) >= 9 and len(rest) >= 9 + int.from_bytes(rest[:3], "big"):
                n, kind, stream = int.from_bytes(rest[:3], "big"), rest[3], int.from_bytes(rest[5:9], "big")
                if kind == h2_client.RST:
                    cut_at = got
                    kinds.append(stream)
                rest = rest[9 + n:]
            time.sleep(max(0.0, start + got / 1e6 - time.monotonic()))
    assert kinds == [3] and cut_at < 7 << 20, (kinds, cut_at)
