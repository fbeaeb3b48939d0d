# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 frame by frame: the `h2` package's connection where a client behaves, bytes where not; and h2spec."""
import re
import socket
import struct
import subprocess

import h2.config
import h2.connection
import h2.events
import pytest

from harness import SCALE, SOURCE

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
CALM = 11  # ENHANCE_YOUR_CALM


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def get_head(method=2):
    """HPACK without a table: GET (2) or POST (3) of /, scheme http, authority h."""
    return bytes([0x80 | method]) + b"\x84\x86\x01\x01h"


class Raw:
    """A socket that sends what a test wants, and reads frames until the server closes."""

    def __init__(self, port, timeout=20):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout * SCALE)
        self.sock.sendall(PREFACE + frame(SETTINGS, 0, 0))
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def flood(self, data, total):
        """Sends until the server has closed or `total` bytes have gone; how many went."""
        sent = 0
        try:
            while sent < total:
                sent += self.sock.send(data)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return sent

    def frames(self):
        """What comes, until the connection ends: (type, flags, stream, payload)."""
        while True:
            while len(self.buffer) >= 9:
                n = int.from_bytes(self.buffer[:3], "big")
                if len(self.buffer) < 9 + n:
                    break
                kind, flags = self.buffer[3], self.buffer[4]
                stream = int.from_bytes(self.buffer[5:9], "big")
                payload, self.buffer = self.buffer[9:9 + n], self.buffer[9 + n:]
                yield kind, flags, stream, payload
            try:
                more = self.sock.recv(262144)
            except ConnectionResetError:
                return
            if not more:
                return
            self.buffer += more

    def goaway(self):
        """The code of the GOAWAY frame before the end; None when there was none."""
        code = None
        for kind, _, _, payload in self.frames():
            if kind == GOAWAY:
                code = int.from_bytes(payload[4:8], "big")
        return code


class Client:
    """A client that behaves; streams by number."""

    def __init__(self, port, timeout=20):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout * SCALE)
        self.conn = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.conn.initiate_connection()
        self.events = []
        self.closed = False
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def flush(self):
        self.sock.sendall(self.conn.data_to_send())

    def ask(self, method, path, body=None, headers=(), end=True):
        stream = self.conn.get_next_available_stream_id()
        self.conn.send_headers(stream, [(":method", method), (":path", path), (":scheme", "http"),
                                        (":authority", "localhost"), *headers],
                               end_stream=end and body is None)
        if body is not None:
            self.conn.send_data(stream, body, end_stream=end)
        self.flush()
        return stream

    def reset(self, stream):
        self.conn.reset_stream(stream, 8)
        self.flush()

    def wait(self, done):
        """Reads until done(event) is true of one that came, now or before; returns it. None: the
        server has closed."""
        at = 0
        while True:
            for event in self.events[at:]:
                at += 1
                if done(event):
                    return event
            if self.closed:
                return None
            data = self.sock.recv(262144)
            self.closed = not data
            for event in self.conn.receive_data(data) if data else ():
                if isinstance(event, h2.events.DataReceived):
                    self.conn.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                self.events.append(event)
            self.flush()

    def answer(self, stream):
        """(status, headers, body) of a stream, waited for."""
        end = self.wait(lambda e: isinstance(e, (h2.events.StreamEnded, h2.events.StreamReset))
                        and e.stream_id == stream)
        assert isinstance(end, h2.events.StreamEnded), end
        mine = [e for e in self.events if getattr(e, "stream_id", None) == stream]
        headers = dict(next(e for e in mine if isinstance(e, h2.events.ResponseReceived)).headers)
        headers = {k.decode(): v.decode() for k, v in headers.items()}
        body = b"".join(e.data for e in mine if isinstance(e, h2.events.DataReceived))
        return int(headers[":status"]), headers, body


def h2spec_failures(port, report, *options):
    """Package, name and text of the cases that failed."""
    spec = SOURCE / "build" / "tools" / "h2spec"
    if not spec.is_file():
        pytest.skip("h2spec is not built (it takes Go); run: tools/setup test")
    subprocess.run([spec, "-h", "127.0.0.1", "-p", str(port), "-P", "/health/live", "-o", "5",
                    "-j", report, *options], capture_output=True, timeout=300 * SCALE, check=False)
    cases = re.findall(r"<testcase package=\"([^\"]*)\" classname=\"([^\"]*)\"[^>]*?(/>|>(.*?)</testcase>)",
                       report.read_text(), re.S)
    assert len(cases) >= 140
    return [(package, name, text) for package, name, _, text in cases
            if "<failure" in text or "<error" in text]
