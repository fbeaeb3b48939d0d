# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 as clients use it: keep-alive, pipelining, codings, chunks, HEAD, 100-continue."""
import gzip
import json
import time
import zlib

import pytest

from harness import SCALE, Conn, head, request

BODY = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1.5, 2.5]}]}
TEXT = json.dumps(BODY).encode()
PATH = "/v2/models/id-fp32/infer"


def right(reply):
    assert reply.status == 200, reply
    data = reply.json()["outputs"][0]["data"]
    return data in ([1.5, 2.5], [[1.5, 2.5]])


def chunked(body, sizes):
    out, at = b"", 0
    for n in sizes:
        part = body[at:at + n]
        at += n
        if part:
            out += b"%x\r\n%s\r\n" % (len(part), part)
    return out + b"0\r\n\r\n"


def test_connections_are_kept_alive(zoo):
    with zoo.connect() as c:
        for _ in range(50):
            c.send(request("POST", PATH, TEXT))
            r = c.reply()
            assert right(r) and r.header("Connection") in (None, "keep-alive")


def test_connection_close_is_kept(zoo):
    with zoo.connect() as c:
        c.send(request("POST", PATH, TEXT, {"Connection": "close"}))
        r = c.reply()
        assert right(r) and r.header("Connection") == "close"
        assert c.at_end()


def test_http_1_0_closes_unless_asked_to_keep_alive(zoo):
    with zoo.connect() as c:
        c.send(request("POST", PATH, TEXT, {"Host": None}, version="1.0"))
        r = c.reply()
        assert right(r) and r.header("Connection") == "close" and c.at_end()
    with zoo.connect() as c:
        for _ in range(2):
            c.send(request("POST", PATH, TEXT, {"Connection": "keep-alive"}, version="1.0"))
            r = c.reply()
            assert right(r) and r.header("Connection") == "keep-alive"


def test_two_hundred_pipelined_requests_are_answered_in_order(zoo):
    with zoo.connect() as c:
        bodies = [{**BODY, "id": str(i)} for i in range(200)]
        c.send(b"".join(request("POST", PATH, b) for b in bodies))
        assert [c.reply().json()["id"] for _ in bodies] == [str(i) for i in range(200)]


def test_pipelined_inferences_wait_for_nothing(zoo):
    """Each becomes a job when the answer before it goes out, at the end of a turn of the loop."""
    with zoo.connect() as c:
        c.send(request("POST", PATH, TEXT))
        c.reply()
        start = time.monotonic()
        c.send(request("POST", PATH, TEXT) * 30)
        for _ in range(30):
            assert right(c.reply())
        assert time.monotonic() - start < 1.5 * SCALE  # with a tick of the loop each: 3 s


def test_pipelined_requests_of_every_kind_keep_their_order(zoo):
    with zoo.connect() as c:
        c.send(request("GET", "/health/live") + request("HEAD", "/health/live") +
               request("POST", PATH, TEXT) + request("GET", "/nothing") +
               request("POST", "/v2/models/slow/infer",
                       {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "INT64",
                                    "data": [30]}]}) + request("POST", PATH, TEXT))
        assert c.reply().status == 200
        assert c.reply(head=True).status == 200
        assert right(c.reply())
        assert c.reply().status == 404
        assert c.reply().json()["model_name"] == "slow"
        assert right(c.reply())


def test_chunked_bodies_are_put_together(zoo):
    for sizes in ([1] * 200, [7, 100, 200], [200], [3, 0, 300]):
        with zoo.connect() as c:
            head = request("POST", PATH, b"", {"Transfer-Encoding": "chunked",
                                               "Content-Length": None})
            c.send(head + chunked(TEXT, sizes) + request("POST", PATH, TEXT))
            assert right(c.reply()) and right(c.reply())


def test_chunk_extensions_and_trailers_are_ignored(zoo):
    with zoo.connect() as c:
        c.send(request("POST", PATH, b"", {"Transfer-Encoding": "chunked", "Content-Length": None})
               + b"%X;name=value\r\n%s\r\n0\r\nX-Trailer: 1\r\n\r\n" % (len(TEXT), TEXT))
        assert right(c.reply())


def test_expect_100_continue_is_answered_before_the_body(zoo):
    with zoo.connect() as c:
        whole = request("POST", PATH, TEXT, {"Expect": "100-continue"})
        c.send(whole[:-len(TEXT)])
        assert c.reply().status == 100
        c.send(TEXT)
        assert right(c.reply())


def test_expect_100_continue_is_not_answered_when_the_body_is_there(zoo):
    with zoo.connect() as c:
        c.send(request("POST", PATH, TEXT, {"Expect": "100-continue"}))
        r = c.reply()
        assert right(c.reply() if r.status == 100 else r)


def test_a_body_too_large_is_refused_instead_of_continued(zoo):
    with zoo.connect() as c:
        c.send(request("POST", PATH, b"", {"Expect": "100-continue", "Content-Length": 10 ** 12}))
        assert c.reply().status == 413
        assert c.at_end()


@pytest.mark.parametrize("path", ["/", "/health", "/v2", "/v2/models/two", "/metrics", "/openapi.json",
                                  "/docs", "/v2/models/nobody", "/nothing"])
def test_head_has_the_headers_of_get_and_no_body(zoo, path):
    get = zoo.get(path)
    with zoo.connect() as c:
        c.send(request("HEAD", path) + request("GET", "/health/live"))
        head = c.reply(head=True)
        assert c.reply().status == 200  # no byte of a body came between
    assert head.status == get.status
    assert head.header("Content-Type") == get.header("Content-Type")
    if path not in ("/health", "/metrics") and get.status == 200:  # those change with time
        assert head.header("Content-Length") == get.header("Content-Length")


def test_every_answer_has_date_length_and_identity(zoo):
    for path in ("/health", "/nothing", "/metrics"):
        r = zoo.get(path)
        assert r.header("Date").endswith("GMT") and len(r.header("Date")) == 29
        assert int(r.header("Content-Length")) == len(r.body)
        assert r.header("X-Request-ID") and r.version == "HTTP/1.1"


# --- codings ---

def raw_deflate(data):
    c = zlib.compressobj(wbits=-15)
    return c.compress(data) + c.flush()


@pytest.mark.parametrize("coding, pack", [("gzip", gzip.compress), ("deflate", zlib.compress),
                                          ("deflate", raw_deflate), ("GZip", gzip.compress),
                                          ("x-gzip", gzip.compress), ("identity", bytes)])
def test_request_bodies_may_be_coded(zoo, coding, pack):
    assert right(zoo.post(PATH, pack(TEXT), {"Content-Encoding": coding}))


def test_the_coding_is_taken_off_before_binary_tensors_are_looked_for(zoo):
    head = json.dumps({"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32",
                                   "parameters": {"binary_data_size": 8}}]}).encode()
    r = zoo.post(PATH, gzip.compress(head + bytes(8)),
                 {"Content-Encoding": "gzip", "Inference-Header-Content-Length": len(head)})
    assert r.status == 200, r


LARGE = {"inputs": [{"name": "x", "shape": [2000, 2], "datatype": "FP32", "data": [0.5] * 4000}]}


@pytest.mark.parametrize("accept, coding", [
    ("gzip", "gzip"), ("deflate", "deflate"), ("gzip, deflate", "gzip"), ("deflate, gzip;q=0.5", "deflate"),
    ("*", "gzip"), ("br", None), ("identity", None), ("gzip;q=0", None), ("br, gzip;q=0.1", "gzip"),
    ("", None)])
def test_answers_are_coded_as_the_client_accepts(zoo, accept, coding):
    plain = zoo.post(PATH, LARGE)
    assert plain.header("Content-Encoding") is None
    r = zoo.post(PATH, LARGE, {"Accept-Encoding": accept})
    assert r.status == 200 and r.header("Content-Encoding") == coding
    body = {"gzip": gzip.decompress, "deflate": zlib.decompress, None: bytes}[coding](r.body)
    assert body == plain.body
    if coding:
        assert "accept-encoding" in r.header("Vary").lower()
        assert len(r.body) < len(plain.body) / 4


def test_compression_can_be_turned_off(serve, zoo_dir):
    s = serve("--compress", "off", paths=[zoo_dir / "id-fp32"])
    r = s.post("/v2/models/id-fp32/infer", LARGE, {"Accept-Encoding": "gzip"})
    assert r.status == 200 and r.header("Content-Encoding") is None


# --- slowly, in pieces ---

def test_a_request_may_come_byte_by_byte(zoo):
    with zoo.connect() as c:
        for i in request("POST", PATH, TEXT):
            c.send(bytes([i]))
        assert right(c.reply())


def test_a_request_may_come_cut_anywhere(zoo):
    whole = request("POST", PATH, b"", {"Transfer-Encoding": "chunked", "Content-Length": None}) \
        + chunked(TEXT, [40, 200])
    for cut in range(1, len(whole), 7):
        with zoo.connect() as c:
            c.send(whole[:cut])
            c.send(whole[cut:])
            assert right(c.reply())


def test_a_client_that_half_closes_still_gets_its_answer(zoo):
    with zoo.connect() as c:
        c.send(request("POST", PATH, TEXT))
        c.half_close()
        assert right(c.reply())
        assert c.at_end()


def test_an_answer_larger_than_the_sockets_buffers_arrives_whole(zoo):
    n = 300000
    body = {"inputs": [{"name": "x", "shape": [n, 2], "datatype": "FP32", "data": [0.25] * 2 * n}]}
    with Conn(zoo.port, rcvbuf=8192) as c:
        c.send(request("POST", PATH, body))
        c.send(request("GET", "/health/live"))
        r = c.reply()
        assert r.status == 200 and r.body.count(b"0.25") == 2 * n
        assert c.reply().status == 200


def test_a_chunked_body_of_the_limit_comes_in_small_chunks(serve, zoo_dir):
    s = serve("--max-body-bytes", "1MiB", paths=[zoo_dir / "id-fp32"])
    text = TEXT + b" " * ((1 << 20) - len(TEXT))
    with s.connect() as c:
        c.send(request("POST", PATH, b"", {"Transfer-Encoding": "chunked", "Content-Length": None})
               + chunked(text, [64] * (len(text) // 64)))
        assert right(c.reply())


# --- clients that go away ---

SLOW = "/v2/models/slow/infer"


def slow_request(size, least=4000 * SCALE):
    """A request of so many bytes, head and all."""
    text = json.dumps({"inputs": [{"name": "x", "shape": [1, 1], "datatype": "INT64",
                                   "data": [least]}]}).encode()
    room = size - len(head("POST", SLOW, b" " * (size - 100)))
    return request("POST", SLOW, text + b" " * (room - len(text)))


@pytest.mark.parametrize("size", [32767, 32768])
def test_a_client_that_leaves_is_seen_however_its_request_fills_the_buffer(serve, zoo_dir, size):
    """Its request waits behind another one: it ends at once, not when its turn comes."""
    s = serve("--threads", 1, "--workers", 1, paths=[zoo_dir / "slow"])
    with s.connect() as first, s.connect() as second:
        first.send(slow_request(1000))
        s.wait_running()
        second.send(slow_request(size))
        time.sleep(0.1)
        second.close()
        assert s.wait_line("request", status=499)["bytes_in"] > 0
        assert not [x for x in s.lines("request") if x["status"] == 200 and x.get("model")]


def test_the_access_line_of_a_client_that_left_names_it(serve, zoo_dir):
    """And not the client that has the connection's memory by then."""
    s = serve("--threads", 1, "--schedule", "workers", paths=[zoo_dir / "slow"])
    gone = s.connect()
    peer = "127.0.0.1:%d" % gone.sock.getsockname()[1]
    gone.send(slow_request(1000))
    time.sleep(0.1)
    gone.reset()
    time.sleep(0.1)
    with s.connect() as c:
        c.send(request("GET", "/health/live"))
        assert c.reply().status == 200
        assert s.wait_line("request", status=499)["peer"] == peer
