# SPDX-License-Identifier: Apache-2.0
"""WebSocket: the clients that others wrote (websockets, websocket-client), and frames written here byte by byte
where a client would not send them."""
import asyncio
import json
import signal
import struct
import time

import numpy as np
import pytest
import websocket
import websockets

import certificates
import harness
import models
import oip
from test_cases import DOCUMENTS
from test_tls import TlsServer, client as tls_client

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
MASK = b"\x37\xfa\x21\x3d"
HANDSHAKE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
             "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}


def frame(op, payload=b"", fin=True, rsv=0, mask=MASK):
    head = bytes([(0x80 if fin else 0) | rsv | op])
    n, bit = len(payload), 0x80 if mask else 0
    head += bytes([bit | n]) if n < 126 else bytes([bit | 126]) + struct.pack(">H", n) if n < 65536 \
        else bytes([bit | 127]) + struct.pack(">Q", n)
    if not mask:
        return head + payload
    pad = np.frombuffer((mask * (n // 4 + 1))[:n], np.uint8)
    return head + mask + (np.frombuffer(payload, np.uint8) ^ pad).tobytes()


class Raw:
    """A connection whose frames the test writes; use as a context."""

    def __init__(self, server, path="/v2/models/iris/ws", headers=None, early=b"", **options):
        self.c = server.connect(**options)
        self.c.send(harness.head("GET", path, headers={**HANDSHAKE, **(headers or {})}) + early)
        self.reply = self.c.reply()
        self.send = self.c.send

    def __enter__(self):
        assert self.reply.status == 101, self.reply
        return self

    def __exit__(self, *_):
        self.c.close()

    def take(self, n):
        while len(self.c.buffer) < n:
            self.c._more()
        taken, self.c.buffer = self.c.buffer[:n], self.c.buffer[n:]
        return taken

    def read(self):
        """(opcode, payload) of one frame; a server's is whole and not masked."""
        first, n = self.take(2)
        assert first & 0xf0 == 0x80 and n < 128, (first, n)
        if n == 126:
            (n,) = struct.unpack(">H", self.take(2))
        elif n == 127:
            (n,) = struct.unpack(">Q", self.take(8))
        return first & 15, self.take(n)

    def close_code(self):
        """Reads up to the server's Close and the end behind it; its code, None when it has none."""
        while True:
            op, payload = self.read()
            if op == CLOSE:
                break
        self.c.try_send(frame(CLOSE, payload[:2]))
        assert self.c.at_end()
        return struct.unpack(">H", payload[:2])[0] if payload else None


def example(name, i=0, **extra):
    return json.dumps({**DOCUMENTS[name]["cases"][i]["oip"], **extra})


def binary_message(case, **extra):
    arrays = {t["name"]: np.array(t["data"], oip.NUMPY[t["datatype"]]).reshape(t["shape"])
              for t in case["oip"]["inputs"]}
    body, n = oip.binary(arrays, **extra)
    return struct.pack("<I", n) + body


def row(*values, **extra):
    return json.dumps({"inputs": [{"name": "x", "shape": [1, len(values)], "datatype": "FP32", "data": values}],
                       **extra})


@pytest.fixture
def connect(examples):
    """connect(model) is a connection of websocket-client's."""
    opened = []

    def start(model, server=examples, query="", **options):
        opened.append(websocket.create_connection(f"ws://127.0.0.1:{server.port}/v2/models/{model}/ws{query}",
                                                  timeout=20 * harness.SCALE, **options))
        return opened[-1]
    yield start
    for ws in opened:
        ws.close()


# --- answers ---

@pytest.mark.parametrize("name", DOCUMENTS)
def test_all_cases_of_an_example_are_answered_bit_by_bit_as_rest_answers_them(examples, connect, name):
    ws = connect(name)
    for case in DOCUMENTS[name]["cases"]:
        ws.send(json.dumps(case["oip"]))
        op, answer = ws.recv_data()
        assert (op, answer) == (TEXT, examples.post(f"/v2/models/{name}/infer", case["oip"]).body)
        message = binary_message(case)
        ws.send_binary(message)
        op, answer = ws.recv_data()
        (n,) = struct.unpack("<I", message[:4])
        reply = examples.post(f"/v2/models/{name}/infer", message[4:], {oip.LENGTH: n})
        assert op == BINARY
        assert answer == struct.pack("<I", int(reply.header(oip.LENGTH))) + reply.body


def test_a_raw_message_has_no_json(zoo, connect):
    ws = connect("id-fp32", server=zoo)
    ws.send_binary(struct.pack("<I2f", 0, 1.5, -2))
    op, answer = ws.recv_data()
    assert op == BINARY and answer.endswith(struct.pack("<2f", 1.5, -2))


def test_one_version_and_the_subprotocol(examples):
    async def run():
        url = f"ws://127.0.0.1:{examples.port}/v2/models/iris/versions/1/ws"
        async with websockets.connect(url, subprotocols=["other", "galley.v1"]) as ws:
            assert ws.subprotocol == "galley.v1"
            await ws.send(example("iris", id="a b"))
            answer = json.loads(await ws.recv())
            assert answer["id"] == "a b" and answer["model_version"] == "1"
            await (await ws.ping(b"how are you"))
        assert ws.close_code == 1000
    asyncio.run(run())


def test_over_tls(tmp_path):
    pair = certificates.server_pair(tmp_path)

    async def run(port):
        async with websockets.connect(f"wss://localhost:{port}/v2/models/iris/ws", ssl=tls_client(pair)) as ws:
            for i in range(100):
                await ws.send(example("iris", id=str(i)))
            assert {json.loads(await ws.recv())["id"] for _ in range(100)} == {str(i) for i in range(100)}
    with TlsServer(pair, paths=[harness.EXAMPLES / "iris"]) as s:
        asyncio.run(run(s.https_port))


def test_many_requests_of_many_connections_at_once(examples):
    """Each answer has the id of its request, and is that request's; its last bits may depend on who shared its call."""
    cases = DOCUMENTS["iris"]["cases"]

    def scores(answer):
        return answer["outputs"][0]["data"], pytest.approx(answer["outputs"][1]["data"], rel=1e-4)
    expected = [scores(examples.post("/v2/models/iris/infer", c["oip"]).json()) for c in cases]

    async def client(url):
        async with websockets.connect(url) as ws:
            async def send():
                for i in range(300):
                    await ws.send(example("iris", i % len(cases), id=str(i)))
            sender = asyncio.create_task(send())
            seen = set()
            for _ in range(300):
                answer = json.loads(await ws.recv())
                assert (answer["outputs"][0]["data"], answer["outputs"][1]["data"]) == \
                    expected[int(answer["id"]) % len(cases)]
                seen.add(answer["id"])
            assert len(seen) == 300
            await sender

    async def run():
        url = f"ws://127.0.0.1:{examples.port}/v2/models/iris/ws"
        await asyncio.gather(*(client(url) for _ in range(8)))
    asyncio.run(run())


def test_frames_in_one_packet_in_many_and_in_fragments(examples):
    message = example("iris").encode()
    want = examples.post("/v2/models/iris/infer", DOCUMENTS["iris"]["cases"][0]["oip"]).body
    with Raw(examples, early=frame(TEXT, message)) as ws:  # behind the handshake, unasked
        assert ws.read() == (TEXT, want)
        ws.send(frame(TEXT, message) * 200)  # more than may be under way at once
        for _ in range(200):
            assert ws.read() == (TEXT, want)
        for b in frame(TEXT, message):
            ws.send(bytes([b]))
        assert ws.read() == (TEXT, want)
        ws.send(frame(TEXT, message[:5], fin=False) + frame(PING, b"in between") + frame(0, b"", fin=False))
        assert ws.read() == (PONG, b"in between")
        ws.send(frame(0, message[5:9], fin=False) + frame(0, message[9:]))
        assert ws.read() == (TEXT, want)


def test_large_messages_go_both_ways(zoo):
    values = np.random.default_rng(7).random((1 << 20, 2), np.float32)
    body, n = oip.binary({"x": values}, id="large")
    with Raw(zoo, "/v2/models/id-fp32/ws") as ws:
        for _ in range(3):
            ws.send(frame(BINARY, struct.pack("<I", n) + body) + frame(TEXT, row(3.5, 3.5, id="small").encode()))
            answers = dict((json.loads(a[4:4 + struct.unpack("<I", a[:4])[0]] if op == BINARY else a)["id"], a)
                           for op, a in (ws.read(), ws.read()))
            assert answers["large"].endswith(values.tobytes())
            assert json.loads(answers["small"])["outputs"][0]["data"] == [3.5, 3.5]


def slow_request(rounds, name):
    return json.dumps({"id": name, "inputs": [{"name": "x", "shape": [1, 1], "datatype": "INT64", "data": [rounds]}]})


@pytest.mark.parametrize("query, order", [("", ["quick", "slow"]), ("?ordered=true", ["slow", "quick"]),
                                          ("?ordered=false", ["quick", "slow"])])
def test_answers_come_when_they_are_ready_or_in_order(serve, zoo_dir, query, order):
    s = serve("--schedule", "workers", "--workers", "2", "--max-batch-size", "1", paths=[zoo_dir / "slow"])
    ws = websocket.create_connection(f"ws://127.0.0.1:{s.port}/v2/models/slow/ws{query}", timeout=30 * harness.SCALE)
    ws.send(slow_request(3000 * harness.SCALE, "slow"))
    ws.send(slow_request(0, "quick"))
    assert [json.loads(ws.recv())["id"] for _ in range(2)] == order
    ws.close()


# --- errors ---

def test_errors_carry_the_id_and_leave_the_connection(connect):
    ws = connect("iris")
    good = example("iris", id="good")
    for message, status, name in [("{", 400, None), ("[]", 400, None), ('{"inputs": [], "id": "x"}', 400, "x"),
                                  (json.dumps({"id": "y", "inputs": [{"name": "z", "shape": [1], "datatype": "FP32",
                                                                     "data": [1]}]}), 400, "y")]:
        ws.send(message)
        error = json.loads(ws.recv())
        assert error.pop("error")
        assert error == ({"status": status, "id": name} if name else {"status": status})
        ws.send(good)
        assert json.loads(ws.recv())["id"] == "good"
    for message in [b"", b"\1\0\0", struct.pack("<I", 100) + b"{}", b"\xff\xff\xff\xff{}"]:
        ws.send_binary(message)
        error = json.loads(ws.recv())
        assert error["status"] == 400 and "4" in error["error"]


def test_a_model_that_has_gone_is_an_error_with_the_id(serve, tmp_path):
    models.add(tmp_path / "one" / "model.onnx", 1)
    models.add(tmp_path / "two" / "model.onnx", 2)
    s = serve("--threads", "1", paths=[tmp_path])  # what HTTP's loop has heard of, the WebSocket's has

    def rest():
        return s.post("/v2/models/one/infer", row(1).encode())
    with Raw(s, "/v2/models/one/ws") as ws:
        ws.send(frame(TEXT, row(1, id="before").encode()))
        assert json.loads(ws.read()[1])["outputs"][0]["data"] == [2]
        models.add(tmp_path / "one" / "model.onnx", 5)  # another version of the file: served from the next message on
        s.signal(signal.SIGHUP)
        harness.wait_until(lambda: rest().json()["outputs"][0]["data"] == [6], 20, "the new file's answer")
        ws.send(frame(TEXT, row(1, id="changed").encode()))
        assert json.loads(ws.read()[1])["outputs"][0]["data"] == [6]
        (tmp_path / "one" / "model.onnx").unlink()
        (tmp_path / "one").rmdir()
        s.signal(signal.SIGHUP)
        harness.wait_until(lambda: rest().status == 404, 20, "the model's end")
        ws.send(frame(TEXT, row(1, id="gone").encode()))
        error = json.loads(ws.read()[1])
        assert error["status"] == 404 and error["id"] == "gone"


# --- the handshake ---

@pytest.mark.parametrize("headers, status", [
    ({"Upgrade": None}, 426), ({"Connection": None}, 426), ({"Upgrade": "h2c"}, 426),
    ({"Sec-WebSocket-Version": "8"}, 426), ({"Sec-WebSocket-Version": None}, 426),
    ({"Sec-WebSocket-Key": None}, 400), ({"Sec-WebSocket-Key": "c2hvcnQ="}, 400)])
def test_what_is_no_handshake_is_refused_in_http(examples, headers, status):
    ws = Raw(examples, headers=headers)
    assert ws.reply.status == status and ws.reply.json()["error"]
    if status == 426:
        assert ws.reply.header("Upgrade") == "websocket" and ws.reply.header("Connection") == "Upgrade"
        assert ws.reply.header("Sec-WebSocket-Version") == "13"
    ws.send(harness.request("GET", "/health/live"))  # and HTTP goes on
    assert ws.c.reply().status == 200
    ws.c.close()


@pytest.mark.parametrize("path, status", [("/v2/models/nobody/ws", 404), ("/v2/models/iris/versions/7/ws", 404),
                                          ("/v2/models/iris/ws?ordered=maybe", 400)])
def test_a_handshake_for_what_is_not_there(examples, path, status):
    ws = Raw(examples, path)
    assert ws.reply.status == status and ws.reply.json()["error"]
    ws.c.close()


def test_the_handshake_is_the_rfcs(examples):
    with Raw(examples) as ws:
        assert ws.reply.header("Sec-WebSocket-Accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert ws.reply.header("Sec-WebSocket-Extensions") is None
        assert ws.reply.header("Sec-WebSocket-Protocol") is None


# --- violations, each ends its own connection with its code ---

@pytest.mark.parametrize("data, code", [
    (frame(TEXT, b"hello", mask=None), 1002),
    (frame(TEXT, b"hello", rsv=0x40), 1002),
    (frame(3, b"hello"), 1002),
    (frame(PING, b"x", fin=False), 1002),
    (frame(PING, b"x" * 126), 1002),
    (frame(0, b"x"), 1002),
    (frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), 1002),
    (frame(TEXT, b"\xc3\x28"), 1007),
    (frame(TEXT, b"\xc3", fin=False) + frame(0, b"\x28"), 1007),
    (frame(CLOSE, b"\x03"), 1002),
    (frame(CLOSE, struct.pack(">H", 1005)), 1002),
    (frame(CLOSE, struct.pack(">H", 1000) + b"\xff"), 1007),
    (frame(CLOSE, struct.pack(">H", 1000) + b"bye"), 1000),
    (frame(CLOSE, struct.pack(">H", 4321)), 4321),
    (frame(CLOSE), None),
], ids=lambda v: repr(v)[:40])
def test_how_a_connection_ends(examples, data, code):
    with Raw(examples) as ws:
        ws.send(data)
        assert ws.close_code() == code
    assert examples.get("/health/live").status == 200


def test_a_message_has_the_bound_of_a_body(serve):
    s = serve("--max-body-bytes", "100000", paths=[harness.EXAMPLES])
    padded = example("iris").encode()
    padded += b" " * (100000 - len(padded))
    with Raw(s) as ws:
        ws.send(frame(TEXT, padded))
        assert "outputs" in json.loads(ws.read()[1])
        ws.send(frame(TEXT, padded + b" ")[:20])  # the head tells
        assert ws.close_code() == 1009
    with Raw(s) as ws:
        ws.send(frame(TEXT, padded, fin=False) + frame(0, b" "))
        assert ws.close_code() == 1009


def test_a_message_that_finds_no_memory_is_to_come_again(serve):
    s = serve("--max-request-memory", "1MiB", paths=[harness.EXAMPLES / "iris"])
    with Raw(s) as ws:
        ws.c.try_send(frame(TEXT, b" " * (3 << 20)))
        assert ws.close_code() == 1013
    with Raw(s) as ws:
        ws.send(frame(TEXT, example("iris").encode()))
        assert "outputs" in json.loads(ws.read()[1])


def test_who_is_refused_is_told_so_and_stays(serve, zoo_dir):
    s = serve("--schedule", "workers", "--workers", "1", "--max-batch-size", "1", "--max-queue-size", "2",
              paths=[zoo_dir / "slow"])
    with Raw(s, "/v2/models/slow/ws") as ws:
        ws.send(b"".join(frame(TEXT, slow_request(500, str(i)).encode()) for i in range(60)))
        found = [json.loads(ws.read()[1]) for _ in range(60)]
        assert {f["id"] for f in found} == {str(i) for i in range(60)}
        refused = [f for f in found if "error" in f]
        assert {f["status"] for f in refused} == {429} and len(refused) < 60
        ws.send(frame(TEXT, slow_request(0, "again").encode()))
        assert json.loads(ws.read()[1])["id"] == "again"
    harness.wait_until(lambda: s.metric("http_requests_in_flight") == 1, 20, "nothing is left")


def test_pings_are_bounded(examples):
    before = examples.rss()
    with Raw(examples) as ws:
        ws.send(frame(PING, b"x" * 125) * 1000)
        pongs = 0
        ws.send(frame(TEXT, b"{"))
        while ws.read()[0] == PONG:
            pongs += 1
        assert 1 <= pongs <= 1000
        ws.c.try_send(frame(PING) * 100000)
        assert ws.close_code() == 1008
    if not harness.SANITIZE:
        assert examples.rss() - before < 30 << 20


# --- time ---

def test_an_idle_peer_is_pinged_and_one_that_does_not_answer_is_left(serve):
    s = serve("--idle-timeout", "300ms", paths=[harness.EXAMPLES / "iris"])
    with Raw(s) as ws:
        for _ in range(3):
            assert ws.read() == (PING, b"")
            ws.send(frame(PONG))
        assert ws.read() == (PING, b"")
        assert ws.close_code() == 1001


def test_a_message_that_does_not_come_ends_the_connection(serve):
    s = serve("--body-timeout", f"{300 * harness.SCALE}ms", paths=[harness.EXAMPLES / "iris"])
    with Raw(s) as ws:
        ws.send(frame(TEXT, example("iris").encode())[:-1])
        assert ws.close_code() == 1008


def test_a_request_has_its_deadline(serve, zoo_dir):
    s = serve("--schedule", "workers", "--workers", "1", "--max-batch-size", "1", paths=[zoo_dir / "slow"])
    with Raw(s, "/v2/models/slow/ws", headers={"X-Request-Timeout-Ms": "200"}) as ws:
        for name in ("first", "second", "third"):
            ws.send(frame(TEXT, slow_request(5000 * harness.SCALE, name).encode()))
        found = [json.loads(ws.read()[1]) for _ in range(3)]
        assert {f["status"] for f in found if "error" in f} == {504}
        assert len([f for f in found if "error" in f]) >= 2


def test_who_goes_takes_waiting_requests_along(serve, zoo_dir):
    s = serve("--schedule", "workers", "--workers", "1", "--max-batch-size", "1", paths=[zoo_dir / "slow"])
    with Raw(s, "/v2/models/slow/ws") as ws:
        for i in range(20):
            ws.send(frame(TEXT, slow_request(1 if i else 6000 * harness.SCALE, str(i)).encode()))
        harness.wait_until(lambda: s.metric("inference_requests_in_flight") == 20, 20, "all are there")
        ws.c.reset()
        harness.wait_until(lambda: s.metric("websocket_connections") == 0, 20, "the connection has gone")
        harness.wait_until(lambda: s.metric("http_requests_in_flight") <= 1, 20, "its requests have gone")
    assert len(s.lines("request")) >= 20
    assert sum(line["status"] == 499 for line in s.lines("request")) >= 15


# --- the process ---

def test_a_drain_answers_what_is_under_way_and_says_going_away(serve, zoo_dir):
    s = serve("--schedule", "workers", "--grace", "600s", paths=[zoo_dir / "slow"])
    with Raw(s, "/v2/models/slow/ws") as idle, Raw(s, "/v2/models/slow/ws") as ws:
        ws.send(frame(TEXT, slow_request(4000 * harness.SCALE, "last").encode()))
        harness.wait_until(lambda: s.metric("inference_requests_in_flight") >= 1, 20, "it is there")
        s.signal(signal.SIGTERM)
        op, answer = ws.read()
        assert op == TEXT and json.loads(answer)["id"] == "last"
        assert ws.close_code() == 1001
        assert idle.close_code() == 1001
    assert s.wait_exit() == 0


def test_what_is_counted_and_logged(serve):
    s = serve(paths=[harness.EXAMPLES / "iris"])
    with Raw(s, headers={"X-Request-ID": "hello"}) as ws:
        # Another loop may answer before the one that sent the 101 has counted it.
        harness.wait_until(lambda: s.metric("websocket_connections") == 1, 20, "it to be counted")
        ws.send(frame(TEXT, example("iris").encode()) * 3 + frame(BINARY, binary_message(DOCUMENTS["iris"]["cases"][0])))
        for _ in range(4):
            ws.read()
        ws.send(frame(CLOSE, struct.pack(">H", 1000)))
        assert ws.close_code() == 1000
    page = s.get("/metrics").body
    assert b'websocket_messages_total{direction="in",type="text"} 3' in page
    assert b'websocket_messages_total{direction="in",type="binary"} 1' in page
    assert b'websocket_messages_total{direction="out",type="binary"} 1' in page
    assert b'http_requests_total{method="GET",path="/v2/models/{model}/ws",status="101"} 1' in page
    assert b'http_requests_total{method="GET",path="/v2/models/{model}/ws",status="200"} 4' in page
    harness.wait_until(lambda: b'websocket_closes_total{code="1000"} 1' in s.get("/metrics").body, 20, "the end")
    lines = [x for x in s.lines("request") if x["path"] == "/v2/models/iris/ws"]
    assert [x["status"] for x in lines] == [101, 200, 200, 200, 200]
    assert all(x["correlation_id"] == "hello" and x["model"] == "iris" for x in lines)
    assert all(x["rows"] == 1 and x["bytes_in"] > 0 for x in lines[1:])


def test_messages_in_steady_state_allocate_nothing(serve):
    s = serve("--access-log", "off", "--threads", "1", paths=[harness.EXAMPLES / "iris"])
    text, binary = frame(TEXT, example("iris").encode()), frame(BINARY, binary_message(DOCUMENTS["iris"]["cases"][1]))
    grown = []
    with Raw(s) as ws:
        for _ in range(6):
            before = s.metric("galley_allocations_total")
            page = s.metric("galley_allocations_total") - before
            for _ in range(25):
                ws.send((text + binary) * 20)
                for _ in range(40):
                    ws.read()
            grown.append(s.metric("galley_allocations_total") - before - 2 * page)
    assert min(grown) <= 12, f"{grown} allocations in 1000 messages each"


def test_a_slow_reader_is_not_read_from(serve):
    """Who does not take its answers is not listened to: memory stays as it is."""
    s = serve("--threads", "1", "--access-log", "off", paths=[harness.EXAMPLES / "iris"])
    message = frame(TEXT, example("iris").encode())
    with Raw(s, rcvbuf=4096) as ws:
        ws.c.sock.settimeout(1)
        before, sent = s.rss(), 0
        with pytest.raises(TimeoutError):
            while sent < 64 << 20:
                sent += ws.c.sock.send(message * 100)
        assert sent < 64 << 20
        if not harness.SANITIZE:  # whose allocator keeps what was freed
            assert s.rss() - before < 40 << 20
        start = time.monotonic()
        assert s.get("/health/live").status == 200 and time.monotonic() - start < 5 * harness.SCALE
