# SPDX-License-Identifier: Apache-2.0
"""gRPC at the limit of a message, 1 GiB: what fits comes back whole, what does not is refused, and memory stays bounded.
curl and h2 carry the bytes, so that no client's own limits are met."""
import re
import struct
import subprocess

import h2.events
import pytest

import harness
import models
from h2_client import Client

INFER = "/inference.GRPCInferenceService/ModelInfer"
GIB, MIB = 1 << 30, 1 << 20
FREE_MIN = 6 * GIB


def free_bytes():
    with open("/proc/meminfo", encoding="ascii") as f:
        return int(re.search(r"MemAvailable:\s+(\d+) kB", f.read()).group(1)) * 1024


pytestmark = [
    pytest.mark.skipif(harness.SANITIZE, reason="a sanitizer multiplies memory"),
    pytest.mark.skipif(free_bytes() < FREE_MIN, reason=f"less than {FREE_MIN // GIB} GiB of memory are free"),
]


def varint(n):
    out = b""
    while n >= 0x80:
        out += bytes([n & 0x7f | 0x80])
        n >>= 7
    return out + bytes([n])


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def head_of(raw_bytes):
    """A framed ModelInferRequest for the identity, up to its raw contents."""
    tensor = field(1, b"x") + field(2, b"FP32") + field(3, varint(raw_bytes // 8) + varint(2))
    message = field(1, b"id") + field(5, tensor) + varint(7 << 3 | 2) + varint(raw_bytes)
    return struct.pack(">BI", 0, len(message) + raw_bytes) + message


def peak(s):
    with open(f"/proc/{s.pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmHWM:\s+(\d+) kB", f.read()).group(1)) * 1024


@pytest.fixture
def server(serve, tmp_path):
    models.identity(tmp_path / "id" / "model.onnx")
    return serve("--schedule", "workers", "--max-body-bytes", "1GiB", "--max-request-memory", "4GiB", "--request-timeout", "120s",
                 "--body-timeout", "120s", "--write-timeout", "120s", paths=[tmp_path / "id"])


def start(s, told, body):
    """curl; its head and trailers go to `told`, the answer to the pipe."""
    return subprocess.Popen(["curl", "-sS", "--http2-prior-knowledge", "-X", "POST", "--max-time", "240", "-D", told,
                             "-H", "content-type: application/grpc", "-H", "te: trailers", "-H", "expect:", "-T", body,
                             f"http://127.0.0.1:{s.port}{INFER}"], stdout=subprocess.PIPE)


def status(told):
    return re.search(r"^grpc-status: (\d+)", told.read_text(), re.M).group(1)


def test_a_message_of_nearly_1_gib_comes_back_whole(server, tmp_path):
    raw, block = GIB - 4096, bytes(range(256)) * 256
    body, told, before = tmp_path / "body", tmp_path / "told", server.rss()
    head = head_of(raw)
    marks = {0: block, raw // 3 // 8 * 8: block[1:], raw - len(block): block[::-1]}
    with open(body, "wb") as f:  # zeros that take no room, but for three places
        f.write(head)
        for at, bytes_of in marks.items():
            f.seek(len(head) + at)
            f.write(bytes_of)
    size = answer = 0
    with start(server, told, body) as curl, open(body, "rb") as want:
        want.seek(len(head))
        first = curl.stdout.read(1024)  # the answer's fields before its raw contents
        answer = struct.unpack(">I", first[1:5])[0] + 5
        skip = answer - raw
        assert 0 < skip < 256 and first[skip:] == want.read(len(first) - skip)
        size = len(first)
        while chunk := curl.stdout.read(4 * MIB):
            size += len(chunk)
            assert chunk == want.read(len(chunk))
    assert curl.returncode == 0 and size == answer and status(told) == "0"
    # The message, the tensor where it must be aligned, the model's output; and the answer is the output.
    assert peak(server) - before < 3 * GIB + 256 * MIB
    # What a slow client still held when the worker tidied up goes back after the next request.
    assert server.infer("id", {"x": ("FP32", [1, 2], [1, 2])}).status == 200
    harness.wait_until(lambda: server.rss() < before + 256 * MIB, 10, "memory to be given back", 0.1)


def ask(client, *headers):
    return client.ask("POST", INFER, headers=[("content-type", "application/grpc"), ("te", "trailers"), *headers], end=False)


def is_end(event):
    return isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset))


def is_refused(client, stream):
    """Trailers alone: the status and the limit."""
    assert client.wait(lambda e: is_end(e) and e.stream_id == stream)
    told = dict(next(e for e in client.events if isinstance(e, h2.events.ResponseReceived)).headers)
    return told[b"grpc-status"] == b"8" and b"1073741824" in told[b"grpc-message"]  # RESOURCE_EXHAUSTED


def test_a_message_that_tells_more_than_1_gib_is_refused_at_its_head(server):
    before = peak(server)
    with Client(server.port) as c:
        assert is_refused(c, ask(c, ("content-length", str(GIB + 1))))
    assert peak(server) - before < 32 * MIB


def test_a_message_that_grows_beyond_1_gib_is_refused_there(server):
    before, head = server.rss(), head_of(GIB)
    with Client(server.port, timeout=60) as c:
        stream, block, sent = ask(c), bytes(16384), len(head)
        c.conn.send_data(stream, head)
        while sent <= GIB + MIB and not any(map(is_end, c.events)):
            window = min(c.conn.local_flow_control_window(stream), GIB + 2 * MIB - sent)
            for _ in range(window // len(block)):
                c.conn.send_data(stream, block)
            sent += window // len(block) * len(block)
            c.events.clear()
            c.flush()
            if c.conn.local_flow_control_window(stream) < len(block):
                c.wait(lambda e: isinstance(e, h2.events.WindowUpdated) or is_end(e))
        assert sent > GIB and is_refused(c, stream)
    assert peak(server) - before < GIB + 128 * MIB
    harness.wait_until(lambda: server.rss() < before + 128 * MIB, 10, "memory to be given back", 0.1)
    assert server.get("/health/ready").status == 200
