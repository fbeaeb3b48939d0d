# SPDX-License-Identifier: Apache-2.0
"""Bad input costs nothing: each row of bad_requests.py gets its answer, and the server stays as it
was. Slow clients, clients that go away and too many clients are cut."""
import json
import time

import pytest

import bad_heads
import bad_requests
import harness
from harness import Closed, request

RIGHT = request("POST", "/v2/models/id-fp32/infer", bad_heads.OK_BODY)
ZOO = ("id-*", "two", "fixed", "slow")


@pytest.fixture(scope="module")
def server(zoo_dir, tmp_path_factory):
    """The examples and some of the zoo in one server."""
    root = tmp_path_factory.mktemp("repository")
    for path in [p for pattern in ZOO for p in zoo_dir.glob(pattern)]:
        (root / path.name).symlink_to(path)
    with harness.Server(paths=[harness.EXAMPLES, root]) as s:
        yield s


def still_right(server):
    with server.connect() as c:
        c.send(RIGHT)
        r = c.reply()
        assert r.status == 200 and r.json()["outputs"][0]["data"] in ([1, 2], [[1, 2]])


def ask(server, data, status, words):
    """The answer's text, and that it is the last or leaves the connection usable."""
    with server.connect() as c:
        c.try_send(data)
        if words == bad_heads.END:
            c.half_close()
            assert c.at_end()
            return None
        reply = c.reply()
        assert reply.status == status, reply
        if reply.header("Connection") == "close":
            assert c.at_end(), "the server closes behind Connection: close"
        else:
            c.send(RIGHT)
            assert c.reply().status == 200, "the connection goes on"
        return reply


def test_there_are_at_least_150_rows_with_names_of_their_own():
    names = [row[0] for row in bad_requests.ROWS]
    assert len(names) >= 150 and len(set(names)) == len(names)


@pytest.mark.parametrize("data, status, words", [pytest.param(*row, id=name)
                                                 for name, *row in bad_requests.ROWS])
def test_malformed(server, data, status, words):
    reply = ask(server, data, status, words)
    if reply is None:
        return
    text = reply.json()  # every error is JSON of one of two forms
    assert ("error" in text) != ("detail" in text)
    assert words.lower() in json.dumps(text, ensure_ascii=False).lower(), text
    if "detail" in text:
        assert text["request_id"] == reply.header("X-Request-ID")


def test_after_all_of_them_it_serves_and_has_not_grown(server):
    """Further rounds: what the first one left behind is there already."""
    def round_of_all():
        for _, data, status, words in bad_requests.ROWS:
            try:
                ask(server, data, status, words)
            except Closed:  # already told by the row's own test
                pass
            except AssertionError:
                pass
        return server.rss()
    sizes = [round_of_all(), round_of_all()]
    # Heaps keep what they took once, and take it at different moments; what leaks grows in every round.
    while not harness.SANITIZE and sizes[-1] - sizes[-2] >= 4 << 20 and len(sizes) < 5:
        sizes.append(round_of_all())
    still_right(server)
    for name in ("iris", "digits", "fraud", "breast-cancer"):
        case = json.loads((harness.EXAMPLES / name / "example.json").read_text())
        assert server.post(f"/v1/models/{name}/predict", case).status == 200
    assert server.get("/health/ready").status == 200
    if not harness.SANITIZE:
        assert sizes[-1] - sizes[-2] < 4 << 20, f"grew: {sizes}"


@pytest.mark.parametrize("kind", ["reset", "close", "half_close"])
def test_clients_that_leave_at_any_byte_leave_nothing_behind(server, kind):
    for cut in range(1, len(RIGHT), 5):
        c = server.connect()
        c.send(RIGHT[:cut])
        getattr(c, kind)()
        c.close()
    for _ in range(20):  # and those that do not wait for the answer
        c = server.connect()
        c.send(RIGHT * 10)
        c.reset()
    still_right(server)
    harness.wait_until(lambda: server.metric("http_connections") <= 1, 10, "connections to end")


def test_a_client_that_leaves_during_its_inference_is_forgotten(server):
    body = {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "INT64", "data": [3000]}]}
    for _ in range(8):
        c = server.connect()
        c.send(request("POST", "/v2/models/slow/infer", body))
        time.sleep(0.01)
        c.reset()
    still_right(server)
    harness.wait_until(lambda: server.metric("http_requests_in_flight") <= 1, 20, "requests to end")


def test_every_cut_of_a_request_gets_the_same_answer(server):
    """The server's view of a request does not depend on how it is cut into packets."""
    for name in ("types: no inputs", "http: chunk size that is a word", "http: folded value"):
        rows = [r for r in bad_requests.ROWS if r[0].startswith(name)] or []
        for _, data, status, _ in rows:
            for cut in range(1, len(data), 11):
                with server.connect() as c:
                    c.send(data[:cut])
                    time.sleep(0.0005)
                    c.try_send(data[cut:])
                    assert c.reply().status == status


# --- limits of time and number ---

def timed(connect, first, rest=b"", pause=0.05):
    """Sends `first`, then dribbles `rest`; the answer and the seconds it took."""
    start = time.monotonic()
    with connect(timeout=30) as c:
        c.send(first)
        c.sock.settimeout(pause)
        for i in range(1200):
            if rest:
                c.try_send(rest[i % len(rest):i % len(rest) + 1])
            try:
                reply = c.reply()
                break
            except TimeoutError:
                continue
        c.sock.settimeout(10)
        assert c.at_end()
    return reply, time.monotonic() - start


def test_slow_heads_and_bodies_are_cut_with_408(serve, zoo_dir):
    s = serve("--head-timeout", "500ms", "--body-timeout", "300ms", "--idle-timeout", "1s",
              paths=[zoo_dir / "id-fp32"])
    reply, seconds = timed(s.connect, b"GET / HTTP/1.1\r\n", b"A: b\r\n")
    assert reply.status == 408 and 0.4 < seconds < 5 * harness.SCALE
    reply, seconds = timed(s.connect, RIGHT[:-20])
    assert reply.status == 408 and 0.2 < seconds < 5 * harness.SCALE
    # a body that flows is no idle one, but one that trickles for ever is cut
    head = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n"
    reply, seconds = timed(s.connect, head, b" ")
    assert reply.status == 408 and 0.3 < seconds < 5 * harness.SCALE
    with s.connect() as c:
        c.send(RIGHT[:-8])
        for i in RIGHT[-8:]:
            time.sleep(0.05)
            c.send(bytes([i]))
        assert c.reply().status == 200
        start = time.monotonic()
        assert c.at_end()
        assert 0.8 < time.monotonic() - start < 6 * harness.SCALE
    assert s.get("/health").status == 200
    assert 'http_connections_refused_total{reason="timeout"} 3' in s.get("/metrics").body.decode()


def test_connections_beyond_the_limit_are_closed_at_once(serve, zoo_dir):
    s = serve("--max-connections", "10", paths=[zoo_dir / "id-fp32"])
    time.sleep(0.2)  # the connections of the start have ended
    held = [s.connect() for _ in range(10)]
    for c in held:
        c.send(request("GET", "/health"))
        assert c.reply().status == 200
    for _ in range(20):
        with s.connect() as c:
            c.try_send(request("GET", "/health"))
            with pytest.raises(Closed):
                c.reply()
    held[0].send(RIGHT)
    assert held[0].reply().status == 200
    for c in held:
        c.close()
    harness.wait_until(lambda: can_ask(s), 10, "room for a connection")


def can_ask(s):
    try:
        return s.get("/health").status == 200
    except (Closed, ConnectionError):
        return False


def test_limits_of_head_and_body_are_settings(serve, zoo_dir):
    s = serve("--max-head-bytes", "1KiB", "--max-body-bytes", "2KiB", paths=[zoo_dir / "id-fp32"])
    assert s.get("/health", {"X-A": "a" * 1100}).status == 431
    assert s.post("/v2/models/id-fp32/infer", b" " * 2049).status == 413
    assert s.post("/v2/models/id-fp32/infer", b" " * (2048 - len(bad_heads.OK_BODY))
                  + bad_heads.OK_BODY).status == 200


def test_announced_bytes_take_no_memory_before_they_come(serve, zoo_dir):
    s = serve("--max-body-bytes", "1GiB", paths=[zoo_dir / "id-fp32"])
    before = s.rss()
    held = [s.connect() for _ in range(100)]
    for c in held:
        c.send(request("POST", "/v2/models/id-fp32/infer", b"", {"Content-Length": 1 << 30}) + b"{")
    time.sleep(0.3)
    assert s.rss() - before < (64 << 20) * harness.SCALE
    for c in held:
        c.close()


def test_a_reader_that_takes_nothing_is_cut(serve, zoo_dir):
    """The answer is larger than what sockets hold; the client reads none of it."""
    s = serve("--write-timeout", "300ms", "--max-body-bytes", "256MiB", paths=[zoo_dir / "id-fp32"])
    n = 3000000
    body = (b'{"parameters":{"binary_data_output":true},"inputs":[{"name":"x","datatype":"FP32",'
            b'"shape":[%d,2],"data":[' % n) + b"1," * (2 * n - 1) + b"1]}]}"
    with harness.Conn(s.port, rcvbuf=4096, timeout=5) as c:
        c.send(request("POST", "/v2/models/id-fp32/infer", body))
        # a second for each 64 KiB would be 6 minutes; a client that takes nothing gets less
        time.sleep(0.1)
        assert s.get("/health").status == 200


def test_requests_beyond_the_queue_are_refused_with_429(serve, zoo_dir):
    s = serve("--max-queue-size", "2", "--workers", "1", paths=[zoo_dir / "slow"])
    oip = request("POST", "/v2/models/slow/infer", {"inputs": [
        {"name": "x", "shape": [1, 1], "datatype": "INT64", "data": [3000]}]})
    native = request("POST", "/v1/predict", {"features": [3000]})
    held = [s.connect(timeout=60) for _ in range(10)]
    for i, c in enumerate(held):
        c.send(native if i % 2 else oip)
    replies = [c.reply() for c in held]
    assert {r.status for r in replies} == {200, 429}
    assert sum(r.status == 429 for r in replies) >= 5
    for i, r in enumerate(replies):
        if r.status == 429:
            assert r.header("Retry-After") and r.json()["detail" if i % 2 else "error"]
            assert i % 2 == 0 or r.json()["request_id"] == r.header("X-Request-ID")


def test_requests_past_their_deadline_are_504(serve, zoo_dir):
    s = serve("--request-timeout", "300ms", "--workers", "1", paths=[zoo_dir / "slow"])
    body = {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "INT64", "data": [8000]}]}
    first, second = s.connect(timeout=60), s.connect(timeout=60)
    first.send(request("POST", "/v2/models/slow/infer", body))
    time.sleep(0.05)
    second.send(request("POST", "/v2/models/slow/infer", body))
    assert second.reply().status == 504, "it waited behind the first until it was too late"
    first.reply()
    first.send(request("POST", "/v2/models/slow/infer", body))
    time.sleep(0.05)
    second.send(request("POST", "/v1/predict", {"features": [1]}))
    r = second.reply()
    assert r.status == 504 and r.json()["detail"] and r.json()["request_id"]
    first.reply()
    # the request's own timeout is in microseconds and can only be shorter
    short = {**body, "parameters": {"timeout": 1000}}
    first.send(request("POST", "/v2/models/slow/infer", body))
    time.sleep(0.05)
    second.send(request("POST", "/v2/models/slow/infer", short))
    assert second.reply().status == 504
    first.reply()
