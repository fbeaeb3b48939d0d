# SPDX-License-Identifier: Apache-2.0
"""Malformed HTTP: rows of (name, bytes, status, words of the answer).

A status of None says that the connection ends without an answer. The client sends all bytes, then
closes its half of the connection when END stands at the end of the row.
"""
import json

END = "then the client stops"
OK_BODY = json.dumps({"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32",
                                  "data": [1, 2]}]}).encode()
TARGET = "/v2/models/id-fp32/infer"


def lines(*text, body=b""):
    """A head of these lines, a blank line, a body."""
    return b"\r\n".join(t if isinstance(t, bytes) else t.encode("latin-1") for t in text) \
        + b"\r\n\r\n" + body


def get(target="/health/live", *headers, version="HTTP/1.1"):
    return lines(f"GET {target} {version}", "Host: x", *headers)


def post(*headers, body=OK_BODY, length=True):
    own = (f"Content-Length: {len(body)}",) if length else ()
    return lines(f"POST {TARGET} HTTP/1.1", "Host: x", *own, *headers, body=body)


def chunks(text, *headers):
    return post("Transfer-Encoding: chunked", *headers, body=text, length=False)


LINE = [
    ("not HTTP at all", b"hello there\r\n\r\n", 400, "method"),
    ("binary noise", bytes(range(256)), 400, "method"),
    ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64), 400, "TLS"),
    ("almost an HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSN\r\n\r\n", 505, "HTTP/1.1"),
    ("only NULs", bytes(64), 400, "method"),
    ("lower-case method", b"get / HTTP/1.1\r\nHost: x\r\n\r\n", 400, "method"),
    ("unknown method", b"FROB / HTTP/1.1\r\nHost: x\r\n\r\n", 501, "method"),
    ("endless method", b"A" * 9000, 501, "method"),
    ("method of another protocol", b"DESCRIBE / HTTP/1.1\r\nHost: x\r\n\r\n", 501, "method"),
    ("no method", b" / HTTP/1.1\r\nHost: x\r\n\r\n", 400, ""),
    ("no target", b"GET  HTTP/1.1\r\nHost: x\r\n\r\n", 400, ""),
    ("no version", b"GET /\r\nHost: x\r\n\r\n", 505, "HTTP/1.1"),
    ("version 0.9", b"GET / HTTP/0.9\r\nHost: x\r\n\r\n", 505, "HTTP/1.1"),
    ("version 2.0", b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505, "HTTP/1.1"),
    ("version 3.7", b"GET / HTTP/3.7\r\nHost: x\r\n\r\n", 505, "HTTP/1.1"),
    ("version 1.2", b"GET / HTTP/1.2\r\nHost: x\r\n\r\n", 505, "HTTP/1.1"),
    ("version without a number", b"GET / HTTP/x.y\r\nHost: x\r\n\r\n", 400, "HTTP/1.1"),
    ("version of a name in lower case", b"GET / http/1.1\r\nHost: x\r\n\r\n", 400, "HTTP/1.1"),
    ("another protocol's name", b"GET / ICY/1.1\r\nHost: x\r\n\r\n", 400, "HTTP"),
    ("words behind the version", b"GET / HTTP/1.1 please\r\nHost: x\r\n\r\n", 400, "HTTP/1.1"),
    ("two spaces before the target", b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400, "space"),
    ("two spaces before the version", b"GET /  HTTP/1.1\r\nHost: x\r\n\r\n", 400, "space"),
    ("a tab as separator", b"GET\t/\tHTTP/1.1\r\nHost: x\r\n\r\n", 400, ""),
    ("a space in the target", b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", 400, "HTTP/1.1"),
    ("line feeds alone", b"GET / HTTP/1.1\nHost: x\n\n", 400, ""),
    ("carriage returns alone", b"GET / HTTP/1.1\rHost: x\r\r", 400, ""),
    ("NUL in the target", b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n", 400, "target"),
    ("8-bit byte in the target", b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400, "target"),
    ("fragment in the target", get("/health#here"), 400, "target"),
    ("relative target", get("health"), 400, "target"),
    ("asterisk for GET", get("*"), 400, "OPTIONS"),
    ("authority for GET", get("localhost:80"), 400, "target"),
    ("CONNECT", b"CONNECT a.b:443 HTTP/1.1\r\nHost: x\r\n\r\n", 405, "CONNECT"),
    ("another scheme's address", get("ftp://x/health"), 400, "target"),
    ("a target of 9000 bytes", get("/" + "a" * 9000), 414, "8192"),
    ("a query of 9000 bytes", get("/health?" + "a" * 9000), 414, "8192"),
    ("a target that never ends", b"GET /" + b"a" * 40000, 414, "8192"),
    ("percent sign without digits", get("/v2/models/%zz"), 400, "percent"),
    ("percent sign at the end", get("/v2/models/a%2"), 400, "percent"),
    ("percent-encoded NUL", get("/v2/models/a%00b"), 400, "%00"),
    ("a way out of the root", get("/../../etc/passwd"), 404, "Not Found"),
    ("an encoded way out", get("/v2/models/..%2f..%2fetc"), 404, "unknown model"),
    ("an asset outside of the assets", get("/docs/..%2f..%2fetc%2fpasswd"), 404, ""),
    ("a model's name of 300 bytes", get("/v2/models/" + "m" * 300), 404, "unknown model"),
    ("unknown path", get("/nowhere"), 404, "Not Found"),
    ("doubled slash", get("//v2"), 404, "Not Found"),
    ("TRACE", b"TRACE /health HTTP/1.1\r\nHost: x\r\n\r\n", 405, "this method is not"),
    ("DELETE of a model", b"DELETE /v2/models/iris HTTP/1.1\r\nHost: x\r\n\r\n", 405, "not allowed"),
    ("PUT to infer", b"PUT /v2/models/iris/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
     405, "POST"),
    ("GET on infer", get("/v2/models/iris/infer"), 405, "POST"),
    ("POST to health", b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 405, "GET"),
    ("PATCH of the root", b"PATCH / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 405, "GET"),
]

FIELDS = [
    ("no Host", lines("GET /health HTTP/1.1"), 400, "Host"),
    ("two Hosts", get("/health", "Host: y"), 400, "Host"),
    ("a Host with a path", lines("GET /health HTTP/1.1", "Host: x/y"), 400, "Host"),
    ("a Host with a user", lines("GET /health HTTP/1.1", "Host: me@x"), 400, "Host"),
    ("a Host list", lines("GET /health HTTP/1.1", "Host: a, b"), 400, "Host"),
    ("space before the colon", get("/health", "X-A : 1"), 400, "name"),
    ("space in a name", get("/health", "X A: 1"), 400, "name"),
    ("no name", get("/health", ": 1"), 400, "name"),
    ("no colon", get("/health", "nothing"), 400, "name"),
    ("NUL in a name", get("/health", "X\0A: 1"), 400, "name"),
    ("8-bit byte in a name", get("/health", "X\xe9: 1"), 400, "name"),
    ("NUL in a value", get("/health", "X-A: a\0b"), 400, "X-A"),
    ("DEL in a value", get("/health", "X-A: a\x7fb"), 400, "X-A"),
    ("escape in a value", get("/health", "X-A: \x1b[31m"), 400, "X-A"),
    ("a bare CR in a value", get("/health", "X-A: a\rb"), 400, ""),
    ("a folded value", get("/health", "X-A: a", " b"), 400, "folded"),
    ("a folded first line", lines("GET /health HTTP/1.1", " Host: x"), 400, ""),
    ("a line feed alone behind a header", b"GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", 400, ""),
    ("101 headers", get("/health", *[f"X-{i}: {i}" for i in range(100)]), 431, "100"),
    ("a flood of short headers", get("/health", *["a:"] * 3000), 431, ""),
    ("a header of 20 KB", get("/health", "X-A: " + "a" * 20000), 431, "16384"),
    ("a name of 20 KB", get("/health", "a" * 20000 + ": 1"), 431, "16384"),
    ("a head that never ends", b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 90 + b"C: "
     + b"c" * 40000, 431, "16384"),
    ("an unknown expectation", post("Expect: a miracle"), 417, "100-continue"),
]

FRAMING = [
    ("no length for POST", lines(f"POST {TARGET} HTTP/1.1", "Host: x"), 400, ""),
    ("length that is a word", post("Content-Length: many", length=False), 400, "Content-Length"),
    ("negative length", post("Content-Length: -1", length=False), 400, "Content-Length"),
    ("length with a sign", post("Content-Length: +5", length=False), 400, "Content-Length"),
    ("length in hexadecimal", post("Content-Length: 0x10", length=False), 400, "Content-Length"),
    ("length with a fraction", post("Content-Length: 1.5", length=False), 400, "Content-Length"),
    ("empty length", post("Content-Length:", length=False), 400, "Content-Length"),
    ("length list", post("Content-Length: 5, 5", length=False), 400, "Content-Length"),
    ("two equal lengths", post("Content-Length: 75", "Content-Length: 75", length=False), 400,
     "Content-Length"),
    ("two different lengths", post("Content-Length: 5", "Content-Length: 6", length=False), 400,
     "Content-Length"),
    ("length beyond 64 bits", post("Content-Length: 99999999999999999999", length=False), 413, ""),
    ("length of 2^64-1", post("Content-Length: 18446744073709551615", length=False), 413, ""),
    ("length of a terabyte", post("Content-Length: 1000000000000", length=False), 413, ""),
    ("both framings", post("Transfer-Encoding: chunked"), 400, "both"),
    ("both framings, the other way round", chunks(b"0\r\n\r\n", "Content-Length: 5"), 400, "both"),
    ("unknown transfer coding", post("Transfer-Encoding: gzip", length=False), 501,
     "Transfer-Encoding"),
    ("two transfer codings", post("Transfer-Encoding: gzip, chunked", length=False), 501,
     "Transfer-Encoding"),
    ("chunked twice", post("Transfer-Encoding: chunked, chunked", length=False), 400,
     "Transfer-Encoding"),
    ("chunked, not last", post("Transfer-Encoding: chunked, gzip", length=False), 400,
     "Transfer-Encoding"),
    ("two Transfer-Encodings", chunks(b"0\r\n\r\n", "Transfer-Encoding: identity"), 400, ""),
    ("transfer coding that hides", post("Transfer-Encoding: xchunked", length=False), 501,
     "Transfer-Encoding"),
    ("chunked in HTTP/1.0", lines(f"POST {TARGET} HTTP/1.0", "Transfer-Encoding: chunked",
                                  body=b"0\r\n\r\n"), 400, "HTTP/1.0"),
    ("chunk size that is a word", chunks(b"many\r\n\r\n"), 400, "hexadecimal"),
    ("negative chunk size", chunks(b"-5\r\nhello\r\n"), 400, "hexadecimal"),
    ("chunk size with 0x", chunks(b"0x5\r\nhello\r\n0\r\n\r\n"), 400, "hexadecimal"),
    ("no chunk size", chunks(b"\r\nhello\r\n"), 400, "hexadecimal"),
    ("chunk size beyond 64 bits", chunks(b"ffffffffffffffffff\r\n"), 413, ""),
    ("chunk of a terabyte", chunks(b"ffffffffff\r\n"), 413, ""),
    ("chunk longer than it says", chunks(b"3\r\nhello\r\n0\r\n\r\n"), 400, ""),
    ("line feed alone behind the size", chunks(b"5\nhello\r\n0\r\n\r\n"), 400, ""),
    ("line feed alone behind the chunk", chunks(b"5\r\nhello\n0\r\n\r\n"), 400, ""),
    ("a space behind the size", chunks(b"5 \r\nhello\r\n0\r\n\r\n"), 400, ""),
    ("an extension of a megabyte", chunks(b"5;" + b"a" * 2000000 + b"\r\nhello\r\n"), 413, ""),
    ("trailers of a megabyte", chunks(b"0\r\n" + b"A: b\r\n" * 200000), 413, ""),
    ("a folded trailer", chunks(b"0\r\nA: b\r\n c\r\n\r\n"), 400, "trailer"),
    ("one byte chunks with long extensions", chunks((b"1;" + b"x" * 500 + b"\r\na\r\n") * 2000), 413,
     ""),
    ("body cut off", lines(f"POST {TARGET} HTTP/1.1", "Host: x", "Content-Length: 100",
                           body=b"short"), None, END),
    ("head cut off", b"GET / HTTP/1.1\r\nHos", None, END),
    ("one byte", b"G", None, END),
    ("nothing", b"", None, END),
    ("only line ends", b"\r\n\r\n\r\n", None, END),
    ("chunk cut off", chunks(b"5\r\nhel"), None, END),
    ("last chunk missing", chunks(b"5\r\nhello\r\n"), None, END),
]

ROWS = LINE + FIELDS + FRAMING
