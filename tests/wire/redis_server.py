# SPDX-License-Identifier: Apache-2.0
"""Starts and stops a real Redis, and speaks to it. Debian's redis-tools holds the server under another name, without
the service that redis-server would install: what it is called decides what it does."""
import shutil
import socket
import subprocess

import harness


def program():
    return shutil.which("redis-server") or shutil.which("redis-check-rdb")


class Redis:
    def __init__(self, *options, port=None):
        self.port = port or harness.free_port()
        self.options = options
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
             "--enable-debug-command", "yes", *self.options],
            executable=program(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)

        def look():
            assert self.process.poll() is None, "Redis ended"
            try:
                self.ask("PING")
                return True
            except ConnectionError:
                return False
        harness.wait_until(look, 20, "Redis to answer")

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def url(self, login="", db=0):
        return f"redis://{login}127.0.0.1:{self.port}/{db}"

    @staticmethod
    def _send(s, words):
        words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        s.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))

    def send_only(self, *words):
        """Sends a command and returns the socket, without waiting for the reply."""
        s = socket.create_connection(("127.0.0.1", self.port), timeout=20 * harness.SCALE)
        self._send(s, words)
        return s

    def ask(self, *words, login=None):
        """The reply: bytes, a number, a list; None when there is nothing; an error's text."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20 * harness.SCALE) as s, s.makefile("rb") as f:
            if login:
                self._send(s, ("AUTH", login))
                self._read(f)
            self._send(s, words)
            return self._read(f)

    def _read(self, f):
        line = f.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionResetError("Redis closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            return None if rest == b"-1" else f.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self._read(f) for _ in range(int(rest))]
        return int(rest) if kind == b":" else rest
