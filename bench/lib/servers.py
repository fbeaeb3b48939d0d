# SPDX-License-Identifier: Apache-2.0
"""Servers: started on a core of their own, watched, stopped."""
import glob
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from lib import load, machine

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # for every server alike
READY_S, STOP_S = 180, 40


def answers(port, path):
    """True when GET path is answered 200; a bare socket, so that the probe itself is quick."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as s:
            s.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            return s.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def accepts(port):
    """True when somebody listens: for servers that speak no HTTP/1.1."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def tree(pid):
    """A process and all its descendants."""
    found = [pid]
    for p in found:
        for file in glob.glob(f"/proc/{p}/task/*/children"):  # each thread has its own
            try:
                with open(file, encoding="ascii") as f:
                    found += map(int, f.read().split())
            except OSError:
                pass  # it has ended meanwhile
    return found


def sum_over(pids, file, pattern):
    """The sum of a number in /proc/PID/FILE over those processes that are still there."""
    total = 0
    for p in pids:
        try:
            with open(f"/proc/{p}/{file}", encoding="ascii", errors="replace") as f:
                total += int(re.search(pattern, f.read()).group(1))
        except (OSError, AttributeError):
            pass
    return total


def born(pid):
    """When a process started, in ticks; None when there is none. Tells a process from a later one of its number."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rsplit(")", 1)[1].split()[19]
    except OSError:
        return None


class Server:
    def __init__(self, name, command, port, ready="/health/ready", env=None, cwd=None):
        self.name, self.port = name, port
        start = time.perf_counter()
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(["taskset", "-c", machine.SERVER_CORE, *command], stdout=self.log,
                                        stderr=self.log, cwd=cwd, env={**os.environ, **(env or {})})
        try:
            while not (ready(port) if callable(ready) else answers(port, ready)):
                if self.process.poll() is not None or time.perf_counter() - start > READY_S:
                    raise machine.Skip(f"{name} does not start ({self.last_words()}): {' '.join(command)}")
                time.sleep(0.0005)
        except BaseException:  # Ctrl-C too: nothing stays behind
            self.stop()
            raise
        self.ready_ms = (time.perf_counter() - start) * 1000

    def last_words(self):
        self.log.seek(0)
        lines = self.log.read().decode(errors="replace").strip().splitlines()
        return "; ".join(lines[-3:]) or "it says nothing"

    def memory_mb(self):
        """Resident memory, MiB."""
        return sum_over(tree(self.process.pid), "status", r"VmRSS:\s+(\d+)") / 1024

    def own_memory_mb(self):
        """The same with pages that several processes share counted once: fair to servers of many processes."""
        return sum_over(tree(self.process.pid), "smaps_rollup", r"Pss:\s+(\d+)") / 1024

    def threads(self):
        return sum_over(tree(self.process.pid), "status", r"Threads:\s+(\d+)")

    def idle_share(self, seconds=2):
        """What share of a core it uses while nobody asks anything."""
        before = self._ticks()
        time.sleep(seconds)
        return (self._ticks() - before) / os.sysconf("SC_CLK_TCK") / seconds

    def busy(self, measure):
        """What measure() returns, with "busy": the share of a core that the server used meanwhile."""
        start, ticks = time.perf_counter(), self._ticks()
        found = measure()
        used = (self._ticks() - ticks) / os.sysconf("SC_CLK_TCK")
        return {**found, "busy": used / (time.perf_counter() - start)}

    def _ticks(self):
        pids = tree(self.process.pid)
        return sum(sum_over(pids, "stat", rf"^\d+ \(.*\) \S+(?: \S+){{{n}}} (\d+)") for n in (10, 11))

    def get(self, path):
        return self.ask("GET", path)[0]

    def post(self, request):
        """Body and headers of the answer."""
        return self.ask("POST", request.path, request.body, request.headers)

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            data = answer.read()
            if answer.status != 200:
                raise machine.Failed(f"{self.name} answers {answer.status} to {method} {path}: {data[:200]!r}")
            return data, dict(answer.getheaders())
        finally:
            connection.close()

    def stop(self):
        """Asks it to end; what it leaves behind of its own processes is ended by their numbers."""
        left = {p: born(p) for p in tree(self.process.pid)}
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for p, since in left.items():
            if since is not None and born(p) == since:
                os.kill(p, signal.SIGKILL)
        self.log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def echo(folder):
    """bench/echo.c: reads a body, copies it once, answers with it."""
    port = machine.free_port()
    return Server("bare C server (echo)", [load.compile_tool("echo", folder), str(port)], port, ready=accepts)


def galley(paths, *options, name="galley"):
    """`paths`: a model, or several things that `galley serve` takes."""
    if not os.path.exists(machine.GALLEY):
        raise SystemExit(f"bench: {machine.GALLEY} is not built: make")
    if not isinstance(paths, (list, tuple)):
        options = ("--model-name", paths.name, *options)
        paths = [paths.file]
    port = machine.free_port()
    try:
        return Server(name, [machine.GALLEY, "serve", *paths, "--http-port", str(port), "--threads", "1",
                             "--access-log", "off", *options], port)
    except machine.Skip as why:  # others may be left out, galley not
        raise machine.Failed(str(why)) from None


def nginx_binary():
    unpacked = machine.path("build/deps/nginx/usr/sbin/nginx")
    found = shutil.which("nginx") or next((p for p in ("/usr/sbin/nginx", unpacked) if os.path.exists(p)), None)
    if not found:
        raise machine.Skip("nginx is not installed (tools/setup bench)")
    return found


def nginx(folder, answer, media="application/json"):
    """Answers every request with a constant."""
    binary = nginx_binary()
    port = machine.free_port()
    own = os.path.join(folder, f"nginx-{port}")
    os.makedirs(own)
    paths = " ".join(f"{kind}_temp_path {own}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    with open(os.path.join(own, "nginx.conf"), "w", encoding="ascii") as f:
        f.write(f"""worker_processes 1; daemon off; pid {own}/pid; error_log {own}/log;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 1000000000; {paths}
 server {{ listen 127.0.0.1:{port};
  location / {{ default_type {media}; return 200 '{answer}'; }} }} }}""")
    return Server("nginx (a constant)", [binary, "-p", own, "-e", os.path.join(own, "log"), "-c",
                                         os.path.join(own, "nginx.conf")], port)
