# SPDX-License-Identifier: Apache-2.0
"""Streams of gRPC take no longer than they may: messages that do not arrive, answers that nobody takes, deadlines of the
call; and what a client may do as often as it likes."""
import signal
import time

import h2.events
import hpack
import numpy as np
import pytest

import harness
import models

pytest.importorskip("tritonclient.grpc", reason="tritonclient is not installed")
from tritonclient.grpc import service_pb2 as pb  # noqa: E402
from tritonclient.grpc import service_pb2_grpc as rpc  # noqa: E402
from test_grpc import GRPC, INFER, connect, framed, request, slow_request, slow_server, trailers  # noqa: E402
from h2_client import CALM, Client, DATA, GOAWAY, HEADERS, PING, PREFACE, RST, SETTINGS, WINDOW, Raw, frame  # noqa: E402

STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"
WATCH = "/grpc.health.v1.Health/Watch"
FIELDS = [(b":path", STREAM.encode()), (b"content-type", b"application/grpc")]
STREAM_HEAD = b"\x83\x86\x01\x01h" + b"".join(bytes([0, len(k)]) + k + bytes([len(v)]) + v for k, v in FIELDS)
DEADLINE_EXCEEDED = "4"
UNAVAILABLE = "14"


def answered(s, model):
    return s.get(f"/v2/models/{model}/stats").json()["model_stats"][0]["inference_stats"]["success"]["count"]


def ends(c, stream):
    """Waits for the stream's end: its trailers; "reset" when the server has cut it."""
    end = c.wait(lambda e: isinstance(e, (h2.events.StreamEnded, h2.events.StreamReset)) and e.stream_id == stream)
    assert end is not None, "the connection has gone"
    return trailers(c, stream) if isinstance(end, h2.events.StreamEnded) else "reset"


def open_stream(c, path=STREAM, headers=(), body=None):
    return c.ask("POST", path, body, GRPC + list(headers), end=False)


# --- messages that do not arrive ---

@pytest.mark.parametrize("path", [STREAM, WATCH, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"])
def test_a_message_that_does_not_arrive_ends_the_stream(serve, zoo_dir, path):
    s = serve("--body-timeout", "1s", paths=[zoo_dir / "id-fp32"])
    with Client(s.port) as c:
        part = open_stream(c, path, body=framed(request())[:-3])
        told = ends(c, part)
        assert told["grpc-status"] == DEADLINE_EXCEEDED and "did not arrive in time" in told["grpc-message"]
    assert s.metric("http_connections_refused_total", reason="timeout") == 1
    harness.wait_until(lambda: s.metric("http_requests_in_flight") == 1, 20, "the scrape to be alone")


def test_a_message_that_trickles_ends_too(serve, zoo_dir):
    """Each byte gives it another while, but not for ever: a whole one comes at 1 KiB a second at least."""
    s = serve("--body-timeout", "1s", paths=[zoo_dir / "id-fp32"])
    body, start = framed(request()), time.monotonic()
    with Client(s.port) as c:
        stream = open_stream(c, body=body[:1])
        c.sock.settimeout(0.3)
        told = None
        for i in range(1, len(body) - 1):
            assert time.monotonic() - start < 20 * harness.SCALE
            c.conn.send_data(stream, body[i:i + 1])
            c.flush()
            try:
                told = ends(c, stream)
                break
            except TimeoutError:
                pass
        assert told["grpc-status"] == DEADLINE_EXCEEDED


def test_memory_that_messages_have_begun_to_take_comes_back(serve, tmp_path):
    """Streams that hold a part of a message each have the memory for requests; others are served when they have ended."""
    models.identity(tmp_path / "x" / "model.onnx", shape=("n", 2))
    s = serve("--body-timeout", f"{2 * harness.SCALE}s", "--max-request-memory", "8MiB", paths=[tmp_path / "x"])
    x = np.zeros((1 << 17, 2), np.float32)  # 1 MiB

    def served():
        return s.infer("x", {"x": ("FP32", list(x.shape), [0.0] * x.size)}).status

    with Client(s.port) as c:
        begun = framed(request("x", x))
        c.wait(lambda e: isinstance(e, h2.events.WindowUpdated))
        for _ in range(12):
            stream = open_stream(c)
            for at in range(0, 900_000, 16384):
                c.conn.send_data(stream, begun[at:at + 16384])
            c.flush()
        assert served() == 503
        harness.wait_until(lambda: served() == 200, 20, "memory to be there again")


def test_a_stream_may_wait_between_messages(serve, zoo_dir):
    limit = f"{harness.SCALE}s"
    s = serve("--body-timeout", limit, "--idle-timeout", limit, "--write-timeout", limit, paths=[zoo_dir / "id-fp32"])
    with Client(s.port) as c:
        stream = open_stream(c, body=framed(request()))
        c.wait(lambda e: isinstance(e, h2.events.DataReceived) and e.stream_id == stream)
        time.sleep(3 * harness.SCALE)
        c.conn.send_data(stream, framed(request()), end_stream=True)
        c.flush()
        status, _, body = c.answer(stream)
        assert status == 200 and trailers(c, stream)["grpc-status"] == "0"
        assert len(body) > 2 * 5


def test_what_our_own_window_held_back_is_not_late(serve, zoo_dir):
    """More than the window lets in at once, to a model that takes long over it: the last message that has come in part waits
    for room, which is not its client's fault."""
    s = serve("--body-timeout", f"{500 * harness.SCALE}ms", "--schedule", "workers", "--workers", "1", "--batching", "off",
              paths=[zoo_dir / "slow"])
    with connect(s) as channel:
        start = time.monotonic()
        messages = [request("slow", np.array([[30]], np.int64)) for _ in range(250)]
        for i, m in enumerate(messages):
            m.id = str(i).zfill(8000)
        answers = list(rpc.GRPCInferenceServiceStub(channel).ModelStreamInfer(iter(messages)))
    assert [a.infer_response.id for a in answers] == [m.id for m in messages]
    assert time.monotonic() - start > 1, "too quick to have been held back"


# --- answers that nobody takes ---

@pytest.mark.parametrize("path", [STREAM, WATCH])
def test_answers_that_nobody_takes_end_the_stream(serve, zoo_dir, path):
    """The client's window is shut; beside it another stream goes on."""
    s = serve("--write-timeout", "1s", paths=[zoo_dir / "id-fp32"])
    with Client(s.port) as c:
        c.conn.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0})
        c.flush()
        start = time.monotonic()
        stream = open_stream(c, path, body=framed(request()) * 64 if path == STREAM else framed(pb.ServerLiveRequest()))
        assert ends(c, stream) == "reset"
        assert 0.9 < time.monotonic() - start < 5 * harness.SCALE
        open_stream(c, INFER)
    harness.wait_until(lambda: s.metric("http_requests_in_flight") == 1, 20, "the scrape to be alone")


# --- the call's deadline ---

@pytest.mark.parametrize("path, body", [(STREAM, None), (STREAM, framed(request())), (WATCH, None),
                                        (WATCH, framed(pb.ServerLiveRequest()))],
                         ids=["stream", "stream that was answered", "watch", "watch that was answered"])
def test_a_call_ends_at_its_deadline(zoo, path, body):
    with Client(zoo.port) as c:
        start = time.monotonic()
        told = ends(c, open_stream(c, path, [("grpc-timeout", "400m")], body))
        assert told["grpc-status"] == DEADLINE_EXCEEDED, told
        assert 0.35 < time.monotonic() - start < 5 * harness.SCALE


@pytest.mark.parametrize("path", [STREAM, WATCH])
def test_a_deadline_that_has_passed(zoo, path):
    with Client(zoo.port) as c:
        assert ends(c, open_stream(c, path, [("grpc-timeout", "0m")]))["grpc-status"] == DEADLINE_EXCEEDED


def test_a_deadline_ends_a_call_whose_message_runs(serve, zoo_dir):
    s = slow_server(serve, zoo_dir)
    with Client(s.port, timeout=60) as c:
        stream = open_stream(c, headers=[("grpc-timeout", "300m")], body=framed(slow_request(4000)) * 3)
        assert ends(c, stream)["grpc-status"] == DEADLINE_EXCEEDED
    harness.wait_until(lambda: s.metric("http_requests_in_flight") == 1, 60, "the scrape to be alone")


def test_messages_end_at_deadlines_of_their_own(serve, zoo_dir):
    """One runs, one waits; the loop goes on meanwhile, and so does the stream."""
    s = slow_server(serve, zoo_dir)
    with Client(s.port, timeout=60) as c:
        stream = open_stream(c, headers=[("x-request-timeout-ms", "300")],
                             body=framed(slow_request(4000)) + framed(slow_request(1)))
        for _ in range(10):
            time.sleep(0.1)
            assert s.get("/health/live", timeout=5 * harness.SCALE).status == 200
        c.conn.send_data(stream, framed(slow_request(1)), end_stream=True)
        c.flush()
        _, _, body = c.answer(stream)
        assert trailers(c, stream)["grpc-status"] == "0"
        told = []
        while body:
            n = int.from_bytes(body[1:5], "big")
            told.append(pb.ModelStreamInferResponse.FromString(body[5:5 + n]).error_message)
            body = body[5 + n:]
        assert len(told) == 3 and "deadline" in told[1], told
        assert told[2] == "" or "deadline" in told[2], "behind the first, when that is longer than its own"


def test_a_stream_that_is_reset_while_its_answer_is_written(serve, tmp_path):
    """The client takes nothing, so that the write of the first answer waits; it resets the stream, and the second ends."""
    models.spread(tmp_path / "x" / "model.onnx", 1 << 20)
    models.slow(tmp_path / "slow" / "model.onnx")
    s = serve("--schedule", "workers", paths=[tmp_path / "x", tmp_path / "slow"])
    messages = framed(request("x", np.array([[1, 2]], np.float32))) + framed(slow_request(4000))
    with harness.Conn(s.port, rcvbuf=4096) as c:
        c.send(PREFACE + frame(SETTINGS, 0, 0, b"\0\4\x7f\xff\xff\xff") + frame(WINDOW, 0, 0, b"\x7f\xff\0\0") +
               frame(HEADERS, 4, 1, STREAM_HEAD) + frame(DATA, 0, 1, messages))
        harness.wait_until(lambda: answered(s, "x") == 1, 20, "the first answer")
        c.send(frame(RST, 0, 1, b"\0\0\0\x08"))
        harness.wait_until(lambda: answered(s, "slow") == 1, 60, "the second to end")
        assert s.get("/health/live").status == 200
    harness.wait_until(lambda: s.metric("http_requests_in_flight") == 1, 20, "the scrape to be alone")


# --- clients that give up, ping, or vanish ---

def test_a_client_may_give_up_all_that_it_has_asked(serve, zoo_dir):
    """As many calls as the server lets it have, cancelled at once; and again, each time when it has waited a while."""
    s = slow_server(serve, zoo_dir)
    with Client(s.port, timeout=60) as c:
        for rest in (0, *[0.5 * harness.SCALE] * 3):
            streams = [c.ask("POST", INFER, framed(slow_request(50)), GRPC) for _ in range(100)]
            time.sleep(rest)
            for stream in streams:
                try:
                    c.conn.reset_stream(stream, 8)
                except h2.exceptions.StreamClosedError:
                    pass  # answered meanwhile
            c.flush()
        assert c.answer(c.ask("POST", INFER, framed(slow_request(1)), GRPC))[0] == 200
    assert s.metric("http_connections_refused_total", reason="abuse") == 0


def test_too_many_pings_end_the_connection_of_calls(serve, zoo_dir):
    """Also on gRPC's own port, and beside a stream that is open."""
    s = serve("--grpc-port", "0", paths=[zoo_dir / "id-fp32"])
    with Raw(s.port_of("grpc")) as c:
        c.sock.sendall(frame(PING, 0, 0, b"12345678") * 6000)
        assert c.goaway() == CALM


def test_tcp_asks_whether_a_silent_client_is_there(zoo):
    """Of the timers that /proc/net/tcp shows, 2 is that of keepalive."""
    with zoo.connect() as c:
        c.send(harness.request("GET", "/health/live"))
        assert c.reply().status == 200
        here, there = "%04X" % zoo.port, "%04X" % c.sock.getsockname()[1]

        def timer():
            rows = [line.split() for line in open("/proc/net/tcp", encoding="ascii")][1:]
            return [row[5][:2] for row in rows if row[1].endswith(":" + here) and row[2].endswith(":" + there)]
        harness.wait_until(lambda: timer() == ["02"], 20, "the keepalive timer to run")


# --- beside others, and at the end ---

def test_a_stream_that_ends_while_others_have_answers_to_send(serve, zoo_dir):
    """All in one turn of the loop: answers of other connections wait when the stream's own is ready, which ends it."""
    s = serve("--schedule", "inline", "--inline-limit", "1s", "--threads", "1", "--request-timeout", "0",
              "--write-timeout", "1s", paths=[zoo_dir / "slow", zoo_dir / "id-fp32"])
    one = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}
    long = {"inputs": [{"name": "x", "datatype": "INT64", "shape": [1, 1], "data": [200]}]}
    others = [s.connect() for _ in range(4)]
    holder = s.connect()
    for _ in range(5):
        with Client(s.port) as c:
            stream = open_stream(c)
            holder.send(harness.request("POST", "/v2/models/slow/infer", long))
            time.sleep(0.02)  # the loop runs it; what follows is read when it has
            for other in others:
                other.send(harness.request("POST", "/v2/models/id-fp32/infer", one))
            c.conn.send_data(stream, framed(slow_request(10)), end_stream=True)
            c.flush()
            assert c.answer(stream)[0] == 200 and trailers(c, stream)["grpc-status"] == "0"
            assert [other.reply().status for other in [holder, *others]] == [200] * 5
    time.sleep(1.5)  # beyond the time that answers may take to be sent
    assert s.get("/health/live").status == 200
    for conn in [holder, *others]:
        conn.close()


def raw_stream(c, messages, flags=0):
    c.sock.sendall(frame(HEADERS, 4, 1, STREAM_HEAD) + frame(DATA, flags, 1, messages))


def rest_of(c, behind_goaway=b""):
    """How many messages of stream 1 were answered, and how many refused, and what its call ended with.
    What is given is sent once the connection has told that it drains: the log tells that earlier."""
    decoder, told, data = hpack.Decoder(), {}, b""
    for kind, _, stream, payload in c.frames():
        if kind == HEADERS:
            told.update(decoder.decode(payload))
        elif kind == GOAWAY:
            c.sock.sendall(behind_goaway)
        elif kind == DATA and stream == 1:
            data += payload
    answers = []
    while data:
        n = int.from_bytes(data[1:5], "big")
        answers.append(pb.ModelStreamInferResponse.FromString(data[5:5 + n]))
        data = data[5 + n:]
    good = sum(bool(a.infer_response.raw_output_contents) for a in answers)
    refused = sum(a.error_message == "Service shutting down" for a in answers)
    assert good + refused == len(answers)
    return good, refused, told["grpc-status"]


def test_a_drain_waits_for_the_message_that_runs_and_for_no_other(serve, zoo_dir):
    s = serve("--schedule", "workers", "--body-timeout", f"{1500 * harness.SCALE}ms", "--grace", "600s",
              paths=[zoo_dir / "slow"])
    with Raw(s.port, timeout=60) as c:
        raw_stream(c, framed(slow_request(9000 * harness.SCALE)) + framed(slow_request(1))[:-3])
        harness.wait_until(lambda: s.metric("inference_requests_in_flight") == 1, 20, "the first message")
        s.signal(signal.SIGTERM)
        assert rest_of(c) == (1, 0, UNAVAILABLE)
    assert s.wait_exit() == 0


def test_a_drain_leaves_no_message_of_an_ended_stream_unanswered(serve, zoo_dir):
    """Those beyond what a stream may have under way are refused, each."""
    s = serve("--schedule", "workers", "--grace", "600s", paths=[zoo_dir / "slow"])
    with Raw(s.port, timeout=60) as c:
        raw_stream(c, framed(slow_request(4000 * harness.SCALE)) + framed(slow_request(1)) * 99, flags=1)
        harness.wait_until(lambda: s.metric("inference_requests_in_flight") > 1, 20, "messages")
        s.signal(signal.SIGTERM)
        good, refused, status = rest_of(c)
        assert good >= 1 and good + refused == 100 and status == "0"
    assert s.wait_exit() == 0


def test_a_drain_says_what_it_leaves_unanswered(serve, zoo_dir):
    """A message that comes behind it, and the client's end behind that."""
    s = serve("--schedule", "workers", "--grace", "600s", paths=[zoo_dir / "slow"])
    with Raw(s.port, timeout=60) as c:
        raw_stream(c, framed(slow_request(4000 * harness.SCALE)))
        harness.wait_until(lambda: s.metric("inference_requests_in_flight") == 1, 20, "the first message")
        s.signal(signal.SIGTERM)
        assert rest_of(c, frame(DATA, 1, 1, framed(slow_request(1)))) == (1, 0, UNAVAILABLE)
    assert s.wait_exit() == 0
