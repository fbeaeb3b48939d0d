# SPDX-License-Identifier: Apache-2.0
"""Starts and stops the real galley, and speaks HTTP/1.1 to it byte by byte.

The client is our own so that a test decides what is sent and sees what came back; clients that
others wrote are in test_clients.py.
"""
import json
import os
import random
import re
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote  # noqa: F401 (for the tests)

SOURCE = Path(os.environ.get("GALLEY_SOURCE") or Path(__file__).resolve().parents[2])
BIN = os.environ.get("GALLEY_BIN") or str(SOURCE / "build" / "galley")
SANITIZE = os.environ.get("GALLEY_SANITIZE", "").lower() not in ("", "off", "none", "0")
SCALE = 6 if SANITIZE else 1  # sanitized builds are that much slower: times in tests are multiplied
EXAMPLES = SOURCE / "examples" / "models"
METRICS = "".join(p.read_text() for p in (SOURCE / "src" / "watch").glob("*.[cd]*"))


def child_env(**extra):
    """The environment without settings of galley's, but for the way to ONNX Runtime."""
    env = {k: v for k, v in os.environ.items()
           if not k.startswith("GALLEY_") or k == "GALLEY_ONNXRUNTIME"}
    env.pop("INFERENCE_SERVICE_NAME", None)
    env.update({k: str(v) for k, v in extra.items()})
    return env


def galley(*args, stdin=None, env=None, timeout=60, cwd=None):
    """Runs a command to its end; output as text."""
    return subprocess.run([BIN, *map(str, args)], input=stdin, env=child_env(**(env or {})),
                          capture_output=True, text=True, timeout=timeout * SCALE, cwd=cwd,
                          errors="replace", check=False)


def free_port():
    """A port that nobody has at this moment, for a server that may take a while to start: below those that the system
    gives to clients, one of which would else be there first."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as f:
        below = int(f.read().split()[0])
    for _ in range(100):
        port = random.randrange(max(1024, below - 16384), below) if below > 2048 else 0
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return s.getsockname()[1]
            except OSError:
                continue
    raise AssertionError("no port is free")


class Reply:
    def __init__(self, status, version, headers, body):
        self.status, self.version, self.headers, self.body = status, version, headers, body

    def json(self):
        return json.loads(self.body)

    def header(self, name):
        """The value, None when absent; twice is an error."""
        found = [v for k, v in self.headers if k.lower() == name.lower()]
        assert len(found) <= 1, f"{name} sent {len(found)} times"
        return found[0] if found else None

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:600]!r}>"


class Closed(Exception):
    """The server closed the connection where an answer was expected."""


class Conn:
    """One connection. Replies are read one by one, so pipelining is sends followed by reads."""

    def __init__(self, port, timeout=20, rcvbuf=None):
        self.sock = socket.socket()
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(timeout * SCALE)
        self.sock.connect(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def reset(self):
        """Closes with RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def send(self, data):
        self.sock.sendall(data)

    def try_send(self, data):
        """A server may answer and close before it has read everything: that is no error here."""
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def _more(self):
        try:
            data = self.sock.recv(262144)
        except ConnectionResetError as e:
            raise Closed("reset") from e
        if not data:
            raise Closed(f"closed after {self.buffer[:200]!r}")
        self.buffer += data

    def reply(self, head=False):
        while b"\r\n\r\n" not in self.buffer:
            self._more()
        text, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        line, *rest = text.decode("latin-1").split("\r\n")
        version, status, _ = line.split(" ", 2)
        headers = [tuple(h.split(": ", 1)) for h in rest]
        r = Reply(int(status), version, headers, b"")
        if r.status >= 200 and r.status not in (204, 304) and not head:
            length = int(r.header("Content-Length"))
            while len(self.buffer) < length:
                self._more()
            r.body, self.buffer = self.buffer[:length], self.buffer[length:]
        return r

    def metric(self, name, **labels):
        """By a scrape on this connection, which is the only one: that before it has ended."""
        self.send(request("GET", "/metrics"))
        return metric(self.reply(), name, **labels)

    def at_end(self):
        """True when the server has closed and sent nothing more. Waits for it."""
        if self.buffer:
            return False
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True


def head(method, path, body=b"", headers=None, version="1.1"):
    """Bytes of a request's head, Content-Length included where there is a body."""
    fields = {"Host": "localhost"}
    if body or method in ("POST", "PUT"):
        fields["Content-Length"] = str(len(body))
    fields.update(headers or {})
    lines = [f"{method} {path} HTTP/{version}"] + [f"{k}: {v}" for k, v in fields.items()
                                                   if v is not None]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def request(method, path, body=b"", headers=None, version="1.1"):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return head(method, path, body, headers, version) + body


class Server:
    """galley serve on a port of the system's choosing. Use as a context: its end is a SIGTERM and
    the exit code must be `exit_code`. before: words of a command that becomes galley."""

    alive = []  # for the report of a failed test

    def __init__(self, *args, paths=(), env=None, wait="ready", exit_code=0, port=0, before=()):
        self.args = ["serve", *map(str, paths), *map(str, args), "--http-port", str(port)]
        self.exit_code = exit_code
        self.log_file = tempfile.NamedTemporaryFile(prefix="galley-log-", mode="rb")
        with open(self.log_file.name, "wb") as out:
            self.process = subprocess.Popen([*before, BIN, *self.args], stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=out, env=child_env(**(env or {})))
        self.pid = self.process.pid
        self._port = port or None
        Server.alive.append(self)
        if wait:
            try:
                self.wait_for(wait, starting=True)
            except BaseException:
                self.kill()
                print(self.tail())
                raise

    # --- the process ---
    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.kill()
        else:
            self.stop()

    def signal(self, number):
        self.process.send_signal(number)

    def wait_exit(self, timeout=30):
        code = self.process.wait(timeout * SCALE)
        if self in Server.alive:
            Server.alive.remove(self)
        return code

    def stop(self):
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            code = self.wait_exit()
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        assert code == self.exit_code, f"exit code {code}, log:\n{self.log()}"

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.wait_exit()

    def wait_running(self):
        """Until an inference is in its model's hands, the only one."""
        wait_until(lambda: self.metric("inference_calls_running") == 1, 20, "an inference to run")

    def rss(self):
        with open(f"/proc/{self.pid}/statm") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    # --- the log ---
    def log(self):
        with open(self.log_file.name, "rb") as f:
            return f.read().decode("utf-8", "replace")

    def lines(self, event=None):
        """The log's JSON lines, those of one event when it is named. A line that is not JSON
        fails the test."""
        found = [json.loads(line) for line in self.log().splitlines(keepends=True)
                 if line.endswith("\n")]
        return [x for x in found if event is None or x["event"] == event]

    def tail(self):
        """For the report of a failed test: few of the many access lines."""
        kept, requests = [], 0
        for line in reversed(self.log().splitlines()[-400:]):
            requests += '"event":"request"' in line
            if requests <= 5 or '"event":"request"' not in line:
                kept.append(line[:1000])
        return "\n".join(reversed(kept[:40]))

    def wait_line(self, event, timeout=20, after=0, **fields):
        """The first line of this event with these fields, beyond the first `after` of the event."""
        def look():
            for line in self.lines(event)[after:]:
                if all(line.get(k) == v for k, v in fields.items()):
                    return line
            return None
        return wait_until(look, timeout, f"log line {event} {fields}")

    @property
    def port(self):
        if self._port is None:
            def look():
                has_ended = self.process.poll() is not None  # before the log is read, which then is whole
                found = re.search(r"\"listening\".*http://[^/:\s]+:(\d+)", self.log())
                assert found or not has_ended, f"galley ended:\n{self.log()}"
                return found and int(found.group(1))
            self._port = wait_until(look, 20, "the port in the log")
        return self._port

    def port_of(self, scheme):
        """Of a port beside HTTP's: "https" or "grpc"."""
        def look():
            found = re.search(rf"\"listening\".*\"{scheme}://[^/:\s]+:(\d+)", self.log())
            return found and int(found.group(1))
        return wait_until(look, 20, f"the port of {scheme} in the log")

    # --- requests, one connection each ---
    def connect(self, **options):
        return Conn(self.port, **options)

    def call(self, method, path, body=b"", headers=None, timeout=20):
        with self.connect(timeout=timeout) as c:
            c.send(request(method, path, body, headers))
            return c.reply(head=method == "HEAD")

    def get(self, path, headers=None, timeout=20):
        return self.call("GET", path, headers=headers, timeout=timeout)

    def post(self, path, body=b"", headers=None, timeout=20):
        return self.call("POST", path, body, headers, timeout)

    def infer(self, model, inputs, timeout=20, **extra):
        """JSON inference; inputs is {name: (datatype, shape, data)}."""
        tensors = [{"name": n, "datatype": d, "shape": s, "data": v}
                   for n, (d, s, v) in inputs.items()]
        return self.post(f"/v2/models/{model}/infer", {"inputs": tensors, **extra},
                         timeout=timeout)

    def metric(self, name, **labels):
        return metric(self.get("/metrics"), name, **labels)

    def wait_for(self, what="ready", status=200, timeout=60, starting=False):
        path = what if what.startswith("/") else f"/health/{what}"

        def look():
            assert self.process.poll() is None, f"galley ended:\n{self.log()}"
            if starting and what == "ready":
                assert '"event":"not_ready"' not in self.log(), "a model did not load"
            try:
                return self.get(path).status == status
            except (ConnectionError, Closed):
                return False
        wait_until(look, timeout, f"{path} is {status}")


def metric(reply, name, **labels):
    """The sum of a family's series that have these labels; it must be one that galley has."""
    assert f'"{name.removesuffix("_count")}"' in METRICS, f"no {name}"
    found = 0.0
    for series, value in re.findall(rf"^{name}(?:{{(.*)}})? (\S+)$", reply.body.decode(), re.M):
        if all(f'{k}="{v}"' in series for k, v in labels.items()):
            found += float(value)
    return found


def end_process(process, timeout=30):
    """Asks another's server to end; what does not is killed."""
    process.terminate()
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_until(look, timeout, what, pause=0.01):
    end = time.monotonic() + timeout * SCALE
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(pause)
    raise AssertionError(f"waited {timeout * SCALE} s in vain for {what}")
