# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 on HTTP/1.1's port: curl, h2load, h2spec and the h2 package as clients; floods; drains."""
import json
import os
import shutil
import signal
import subprocess
import time

import h2.events
import hpack
import numpy as np
import pytest

import harness
import oip
from h2_client import (CALM, CONTINUATION, DATA, GOAWAY, HEADERS, PING, PREFACE, PRIORITY, RST, SETTINGS,
                       WINDOW, Client, Raw, frame, get_head, h2spec_failures)
from harness import SCALE

PATH = "/v2/models/id-fp32/infer"
BODY = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1.5, 2.5]}]}
SLOW = "/v2/models/slow/infer"


def slow_body(trips):
    return json.dumps({"inputs": [{"name": "x", "datatype": "INT64", "shape": [1, 1],
                                   "data": [trips]}]}).encode()


def curl(*args, timeout=30):
    done = subprocess.run(["curl", "-sS", *args], capture_output=True, timeout=timeout * SCALE,
                          check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def cpu_s(server):
    with open(f"/proc/{server.pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- clients that others wrote ---
def test_curl_with_prior_knowledge(zoo):
    url = f"http://127.0.0.1:{zoo.port}"
    out = curl("--http2-prior-knowledge", "-w", "\n%{http_version} %{http_code}", "-d",
               json.dumps(BODY), "-H", "content-type: application/json", url + PATH)
    body, info = out.rsplit(b"\n", 1)
    assert info == b"2 200"
    assert json.loads(body)["outputs"][0]["data"] == [1.5, 2.5]
    head = curl("--http2-prior-knowledge", "-I", url + "/health/live").decode()
    assert head.startswith("HTTP/2 200") and "content-length: " in head


def test_an_upgrade_is_answered_by_http_1_1(zoo):
    out = curl("--http2", "-w", "\n%{http_version} %{http_code}",
               f"http://127.0.0.1:{zoo.port}/health/live")
    assert out.endswith(b"\n1.1 200")


def test_a_large_body_comes_whole(zoo):
    """4 MiB each way: larger than a stream's window."""
    n = 1 << 19
    data = [float(i % 1000) for i in range(2 * n)]
    text = json.dumps({"inputs": [{"name": "x", "shape": [n, 2], "datatype": "FP32", "data": data}]})
    with Client(zoo.port, timeout=60) as c:
        stream = c.ask("POST", PATH, end=False)
        body = text.encode()
        while body:
            room = c.conn.local_flow_control_window(stream)
            if room == 0:
                c.events.clear()
                c.wait(lambda e: isinstance(e, h2.events.WindowUpdated))
                continue
            piece, body = body[:min(room, 16384)], body[min(room, 16384):]
            c.conn.send_data(stream, piece, end_stream=not body)
            c.flush()
        status, _, answer = c.answer(stream)
        assert status == 200
        assert json.loads(answer)["outputs"][0]["data"] == data


def test_a_binary_tensor_is_the_same_wherever_its_head_ends(zoo):
    array = np.arange(8000, dtype=np.float32).reshape(-1, 2)
    with Client(zoo.port) as c:
        for length in range(1, 19):
            body, n = oip.binary({"x": array}, id="i" * length)
            stream = c.ask("POST", PATH, end=False, headers=[(oip.LENGTH.lower(), str(n)),
                                                             ("content-type", "application/octet-stream")])
            cuts = (0, 5000 + length, 21000, len(body))  # the first piece tells where it is to begin
            for a, b in zip(cuts, cuts[1:]):
                c.conn.send_data(stream, body[a:b], end_stream=b == len(body))
                c.flush()
            status, headers, answer = c.answer(stream)
            assert status == 200, answer
            assert answer[int(headers[oip.LENGTH.lower()]):] == array.tobytes()


def test_h2load_gets_every_answer(zoo, tmp_path):
    if shutil.which("h2load") is None:
        pytest.skip("h2load is not installed; run: tools/setup test")
    post = tmp_path / "body"
    post.write_text(json.dumps(BODY))
    url = f"http://127.0.0.1:{zoo.port}"
    for streams, extra in ((32, ["-d", str(post), url + PATH]), (100, [url + "/health/live"])):
        done = subprocess.run(["h2load", "-c4", f"-m{streams}", "-n10000", *extra],
                              capture_output=True, text=True, timeout=120 * SCALE, check=False)
        assert "10000 succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout, done.stdout
        assert "status codes: 10000 2xx" in done.stdout, done.stdout


# A port that speaks both cannot tell a wrong preface from a wrong request of HTTP/1.1: it says 400
# and closes, where h2spec looks for a close alone.
H2SPEC_KNOWN = {"Sends invalid connection preface"}


def test_h2spec_finds_nothing(serve, zoo_dir, tmp_path):
    """On the port of HTTP/2 alone: no failure at all."""
    s = serve("--grpc-port", "0", paths=[zoo_dir / "id-fp32"])
    assert h2spec_failures(s.port_of("grpc"), tmp_path / "report.xml") == []


def test_h2spec_finds_nothing_else_on_a_shared_port(zoo, tmp_path):
    failed = h2spec_failures(zoo.port, tmp_path / "report.xml")
    assert {name for _, name, _ in failed} == H2SPEC_KNOWN, failed


# --- streams ---
def test_answers_overtake_slow_ones(serve, zoo_dir):
    s = serve("--schedule", "workers", paths=[zoo_dir / "slow", zoo_dir / "id-fp32"])
    with Client(s.port) as c:
        slow = c.ask("POST", SLOW, slow_body(3000 * SCALE))
        quick = [c.ask("POST", PATH, json.dumps(BODY).encode()) for _ in range(20)]
        for stream in quick:
            assert c.answer(stream)[0] == 200
        assert not any(isinstance(e, h2.events.StreamEnded) and e.stream_id == slow
                       for e in c.events)
        assert c.answer(slow)[0] == 200


def test_a_reset_stream_cancels_its_job(serve, zoo_dir):
    """Jobs behind a long one are taken out of the queue when their streams end."""
    s = serve("--schedule", "workers", "--workers", "1", "--batching", "off",
              paths=[zoo_dir / "slow"])
    with Client(s.port, timeout=60) as c:
        first = c.ask("POST", SLOW, slow_body(6000 * SCALE))
        behind = [c.ask("POST", SLOW, slow_body(1)) for _ in range(10)]
        harness.wait_until(lambda: s.metric("inference_requests_in_flight") >= 11, 20, "11 requests")
        for stream in behind:
            c.reset(stream)
        assert c.answer(first)[0] == 200
        assert c.answer(c.ask("POST", SLOW, slow_body(1)))[0] == 200

    def look():
        return sorted(x["status"] for x in s.lines("request") if x["path"] == SLOW)
    harness.wait_until(lambda: len(look()) == 12, 20, "the log's lines")
    assert look() == [200, 200] + 10 * [499]


def test_deadlines_are_each_streams_own(serve, zoo_dir):
    s = serve("--schedule", "workers", "--workers", "1", "--batching", "off",
              paths=[zoo_dir / "slow"])
    with Client(s.port, timeout=60) as c:
        first = c.ask("POST", SLOW, slow_body(4000 * SCALE))
        late = c.ask("POST", SLOW, slow_body(1), headers=[("x-request-timeout-ms", "50")])
        status, _, body = c.answer(late)
        assert status == 504, body
        assert c.answer(first)[0] == 200


def test_times_of_a_connection(serve, zoo_dir):
    s = serve("--head-timeout", "500ms", "--body-timeout", "300ms", "--idle-timeout", "1s",
              paths=[zoo_dir / "id-fp32"])
    with Client(s.port) as c:  # a body that stops
        stream = c.ask("POST", PATH, b"{", end=False)
        assert c.answer(stream)[0] == 408
        assert c.answer(c.ask("GET", "/health/live"))[0] == 200
    with Raw(s.port) as c:  # a head that stops
        c.sock.sendall(frame(HEADERS, 1, 1, get_head()))
        assert c.goaway() == 0
    with Raw(s.port) as c:  # nothing
        assert c.goaway() == 0
    assert s.metric("http_connections_refused_total", reason="timeout") == 2


def test_requests_are_refused_as_over_http_1_1(serve, zoo_dir):
    s = serve("--max-body-bytes", "2KiB", "--max-head-bytes", "1KiB", paths=[zoo_dir / "id-fp32"])
    with Client(s.port) as c:
        status, _, body = c.answer(c.ask("POST", PATH, b"x" * 3000))
        assert status == 413 and b"2048" in body
        big = [("x-large", "y" * 2000)]
        assert c.answer(c.ask("GET", "/health/live", headers=big))[0] == 431
        assert c.answer(c.ask("GET", "/nowhere"))[0] == 404
        assert c.answer(c.ask("PUT", PATH, b"x"))[0] == 405
        status, headers, _ = c.answer(c.ask("GET", "/health/live",
                                            headers=[("x-request-id", "mine")]))
        assert status == 200 and headers["x-request-id"] == "mine"


def test_memory_for_requests_is_bounded(serve, zoo_dir):
    s = serve("--max-request-memory", "2MiB", paths=[zoo_dir / "id-fp32"])
    with Client(s.port) as c:
        stream = c.ask("POST", PATH, end=False, headers=[("content-length", str(8 << 20))])
        status, _, body = c.answer(stream)
        assert status == 413 and b"2097152 bytes for all requests" in body
        assert c.answer(c.ask("POST", PATH, json.dumps(BODY).encode()))[0] == 200


def test_who_neither_reads_nor_ends_its_headers_is_cut(serve, zoo_dir):
    s = serve("--head-timeout", "300ms", "--write-timeout", f"{3 * SCALE}s", "--access-log", "off", paths=[zoo_dir / "id-fp32"])
    fields = get_head()[:1] + b"\x04\x0d/openapi.json" + b"\x86\x01\x01h"
    with harness.Conn(s.port, timeout=60, rcvbuf=4096) as c:
        c.send(PREFACE + frame(SETTINGS, 0, 0, b"\0\4\x7f\xff\xff\xff") + frame(WINDOW, 0, 0, b"\x7f\xff\0\0") +
               b"".join(frame(HEADERS, 5, 1 + 2 * i, fields) for i in range(90)))
        harness.wait_until(lambda: s.metric("http_connections") == 2, 20, "the connection")
        time.sleep(0.3)  # its answers fill what the kernel takes
        c.send(frame(HEADERS, 1, 181, fields))
        harness.wait_until(lambda: s.metric("http_connections") == 1, 30, "its end")
    assert s.metric("http_connections_refused_total", reason="timeout") == 1


# --- the end of a process ---
def test_a_drain_lets_streams_end(serve, zoo_dir, tmp_path):
    s = serve("--schedule", "workers", "--grace", "600s", paths=[zoo_dir / "slow"])
    body = tmp_path / "body"
    body.write_bytes(slow_body(6000 * SCALE))
    with subprocess.Popen(["curl", "-sSv", "--http2-prior-knowledge", "-d", f"@{body}", "-w",
                           "\n%{http_code}", f"http://127.0.0.1:{s.port}{SLOW}"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
        harness.wait_until(lambda: s.metric("inference_requests_in_flight") == 1, 20, "the request")
        s.signal(signal.SIGTERM)
        out, said = client.communicate(timeout=60 * SCALE)
    assert out.endswith(b"\n200"), said
    assert s.wait_exit() == 0


def test_what_is_arriving_is_read_to_its_end_and_answered(serve, zoo_dir):
    """Though nothing else keeps the server: who sends for long is told, not cut."""
    s = serve("--grace", "600s", paths=[zoo_dir / "id-fp32"])
    encoder, decoder, told = hpack.Encoder(), hpack.Decoder(), {1: {}, 3: {}, 5: {}}
    body, message = json.dumps(BODY).encode(), b"\0\0\0\0\x09\x0a\x07id-fp32"

    def head(stream, method, path, *fields, flags=4):
        fields = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "h"), *fields]
        return frame(HEADERS, flags, stream, encoder.encode(fields))
    with Raw(s.port, timeout=60) as c:
        c.sock.sendall(head(1, "POST", PATH) + frame(DATA, 0, 1, body[:9]) +
                       head(3, "POST", "/inference.GRPCInferenceService/ModelInfer", ("content-type", "application/grpc"),
                            ("te", "trailers")) + frame(DATA, 0, 3, message[:7]) + head(5, "GET", "/health/live", flags=5))
        for kind, _, stream, payload in c.frames():
            if kind == HEADERS:
                told[stream].update(decoder.decode(payload))
                if stream == 5:  # what was sent before it has come
                    s.signal(signal.SIGTERM)
            elif kind == GOAWAY:
                time.sleep(0.3)
                assert s.process.poll() is None
                c.sock.sendall(frame(DATA, 1, 1, body[9:]) + frame(DATA, 1, 3, message[7:]))
    assert told[1][":status"] == "503" and told[5][":status"] == "200"
    assert told[3][":status"] == "200" and told[3]["grpc-status"] == "14", told[3]
    assert s.wait_exit() == 0


@pytest.mark.parametrize("path", ["ModelInfer", "ModelStreamInfer"])
def test_whose_head_is_arriving_is_answered_too(serve, zoo_dir, path):
    """Also a stream: it is told of the drain that it has not heard of."""
    s = serve("--grace", "600s", "--threads", "1", paths=[zoo_dir / "id-fp32"])
    decoder, told = hpack.Decoder(), {}
    fields = [(":method", "POST"), (":scheme", "http"), (":path", f"/inference.GRPCInferenceService/{path}"),
              (":authority", "h"), ("content-type", "application/grpc"), ("te", "trailers")]
    block, message = hpack.Encoder().encode(fields), b"\0\0\0\0\x09\x0a\x07id-fp32"
    with Raw(s.port, timeout=60) as c:
        c.sock.sendall(frame(HEADERS, 0, 1, block[:9]))
        assert s.get("/health").status == 200  # by the one loop: what was sent before has come
        s.signal(signal.SIGTERM)
        for kind, _, stream, payload in c.frames():
            if kind == HEADERS:
                told.update(decoder.decode(payload))
            elif kind == GOAWAY:
                c.sock.sendall(frame(CONTINUATION, 4, 1, block[9:]))
                time.sleep(0.3)
                if path == "ModelInfer":
                    assert s.process.poll() is None
                    c.sock.sendall(frame(DATA, 1, 1, message))
    assert told["grpc-status"] == "14", told
    assert s.wait_exit() == 0


def test_whose_preface_is_arriving_is_told_of_the_drain(serve, zoo_dir):
    s = serve("--grace", "600s", "--threads", "1", paths=[zoo_dir / "id-fp32"])
    with harness.Conn(s.port, timeout=60) as c:
        c.send(PREFACE[:10])
        assert s.get("/health").status == 200  # by the one loop: what was sent before has come
        s.signal(signal.SIGTERM)
        s.wait_line("draining")
        time.sleep(0.3)
        c.send(PREFACE[10:] + frame(SETTINGS, 0, 0))
        kinds = []
        while True:
            try:
                c._more()
            except harness.Closed:
                break
        while c.buffer:
            kinds.append(c.buffer[3])
            c.buffer = c.buffer[9 + int.from_bytes(c.buffer[:3], "big"):]
    assert GOAWAY in kinds, kinds
    assert s.wait_exit() == 0


def test_an_idle_connection_is_told_of_a_drain(serve, zoo_dir):
    s = serve(paths=[zoo_dir / "id-fp32"])
    with Raw(s.port) as c:
        c.sock.sendall(frame(HEADERS, 5, 1, get_head()))
        assert any(f[0] == HEADERS for f in iter_until(c, HEADERS))
        s.signal(signal.SIGTERM)
        assert c.goaway() == 0
    assert s.wait_exit() == 0


# --- peers that only cost ---
FLOODS = {
    "ping": frame(PING, 0, 0, b"12345678"),
    "settings": frame(SETTINGS, 0, 0, b"\0\4\0\0\xff\xff"),
    "priority": frame(PRIORITY, 0, 1, b"\0\0\0\0\1"),
    "window": frame(WINDOW, 0, 0, b"\0\0\0\1"),
    "unknown": frame(0xee, 0, 0),
}


def check_flood(server, first, again):
    """The connection is ended with GOAWAY soon, at little cost, and counted. What is sent behind
    that is thrown away for at most a second."""
    refused = {"name": "http_connections_refused_total", "reason": "abuse"}
    before, cpu, rss, begun = server.metric(**refused), cpu_s(server), server.rss(), time.monotonic()
    with Raw(server.port) as c:
        c.sock.sendall(first)
        c.flood(again, 1 << 40)
        assert c.goaway() in (CALM, None)  # None: the kernel's reset overtook it
    assert time.monotonic() - begun < 5 * SCALE
    assert server.metric(**refused) == before + 1
    assert cpu_s(server) - cpu < 1.5 * SCALE
    assert server.rss() - rss < 32 << 20
    assert server.get("/health/live").status == 200


def test_an_abuser_is_told(zoo):
    with Raw(zoo.port) as c:
        c.sock.sendall(FLOODS["ping"] * 6000)
        assert c.goaway() == CALM


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_of_frames(zoo, kind):
    check_flood(zoo, b"", FLOODS[kind] * 500)


def test_a_flood_of_empty_data(zoo):
    check_flood(zoo, frame(HEADERS, 4, 1, get_head(3)), frame(DATA, 0, 1) * 1000)


def test_a_flood_of_continuations(zoo):
    check_flood(zoo, frame(HEADERS, 0, 1, get_head()), frame(CONTINUATION, 0, 1, b"\x00\x01a\x01b") * 100)


def test_a_bomb_of_headers(zoo):
    bomb = get_head() + b"\x40\x01x\x7f\xa1\x1e" + b"y" * 4000 + b"\xbe" * 12000
    check_flood(zoo, b"", b"".join(frame(HEADERS, 5, i, bomb) for i in range(1, 41, 2)))


def test_rapid_resets(zoo):
    """HEADERS and RST_STREAM in turn, as fast as can be."""
    frames = b"".join(frame(HEADERS, 5, i, get_head(3)) + frame(RST, 0, i, b"\0\0\0\x08")
                      for i in range(1, 20001, 2))
    check_flood(zoo, b"", frames)


def test_a_client_that_reads_nothing(serve, zoo_dir):
    """Answers that nobody takes are bounded by streams, and their connection by time."""
    s = serve("--write-timeout", "1s", paths=[zoo_dir / "id-fp32"])
    rss = s.rss()
    ask = b"".join(frame(HEADERS, 5, i, b"\x82\x04\x0d/openapi.json\x86\x01\x01h")
                   for i in range(1, 20001, 2))
    with Raw(s.port) as c:
        c.sock.sendall(frame(SETTINGS, 0, 0, b"\0\4\x7f\xff\xff\xff") + frame(WINDOW, 0, 0, b"\x7f\xff\0\0"))
        c.flood(ask, len(ask))
        harness.wait_until(lambda: s.metric("http_connections") == 1, 30, "the end of the connection")
    assert s.rss() - rss < (64 if not harness.SANITIZE else 192) << 20


def test_a_wrong_preface_is_a_wrong_request(zoo):
    for n in (1, 3, 10, 23):
        with zoo.connect() as c:
            c.send(PREFACE[:n])
            time.sleep(0.01)
            c.send(b"x" * 100 + b"\r\n\r\n")
            assert c.reply().status in (400, 405, 501, 505)
    with zoo.connect() as c:  # a preface behind a request is none
        c.send(harness.request("GET", "/health/live") + PREFACE)
        assert c.reply().status == 200
        assert c.reply().status in (400, 505)


def test_a_preface_in_pieces(zoo):
    with Raw(zoo.port) as c:
        c.sock.sendall(frame(HEADERS, 5, 1, get_head()))
        assert any(kind == HEADERS and stream == 1 for kind, _, stream, _ in
                   (f for f in iter_until(c, HEADERS)))
    s = harness.socket.create_connection(("127.0.0.1", zoo.port), 20 * SCALE)
    with s:
        for i in range(len(PREFACE)):
            s.sendall(PREFACE[i:i + 1])
            time.sleep(0.001)
        s.sendall(frame(SETTINGS, 0, 0))
        assert s.recv(9)[3] == SETTINGS


def iter_until(raw, kind):
    for f in raw.frames():
        yield f
        if f[0] == kind:
            return
