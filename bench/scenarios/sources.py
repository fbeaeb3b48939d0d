# SPDX-License-Identifier: Apache-2.0
"""A model of 256 MiB by URL and by s3://, from a server of ranges on this machine: galley's rate beside curl's, in pairs"""
import http.server
import os
import subprocess
import threading
import time

from lib import machine, report, stats

MIB = 256
ROUNDS = 5


class Ranges(http.server.BaseHTTPRequestHandler):
    """Files of one folder by sendfile, whole or in parts."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = self.server.file
        size, span = os.path.getsize(path), self.headers.get("Range")
        first, last = (span.removeprefix("bytes=").split("-") if span else ("0", ""))
        first, last = int(first), int(last or size - 1)
        self.send_response(206 if span else 200)
        self.send_header("Content-Length", str(last - first + 1))
        self.send_header("ETag", f'"{self.server.tag}"')
        if span:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.end_headers()
        with open(path, "rb") as f:
            while first <= last:
                first += os.sendfile(self.connection.fileno(), f.fileno(), first, last - first + 1)


    def do_HEAD(self):
        """S3's HeadObject: what is signed is not looked at."""
        self.send_response(200)
        self.send_header("Content-Length", str(os.path.getsize(self.server.file)))
        self.send_header("ETag", f'"{self.server.tag}"')
        self.end_headers()


def galley_s(binary, url, cache, url_of_store):
    """Seconds from the start until the log says that the source is in place."""
    env = {**os.environ, "HOME": cache, "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench",
           "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": url_of_store}
    began = time.monotonic()
    p = subprocess.Popen([binary, "serve", url, "-p", "0", "--cache-dir", cache, "--log-format", "json"],
                         stderr=subprocess.PIPE, text=True, env=env)
    took = None
    for line in p.stderr:
        if '"source_ready"' in line:
            took = time.monotonic() - began
            break
    p.kill()
    p.wait()
    return took


def run(context):
    machine.needs_program("curl")
    result = report.Result("sources", __doc__.strip())
    path = os.path.join(context.folder, "big.onnx")
    with open(path, "wb") as f:
        for _ in range(MIB):
            f.write(os.urandom(1 << 20))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ranges)
    server.file = path
    threading.Thread(target=server.serve_forever, daemon=True).start()
    store = f"http://127.0.0.1:{server.server_address[1]}"
    url, rows, found = store + "/big.onnx", [], {}
    for i in range(ROUNDS):
        for name, source in (("http://", url), ("s3://", "s3://bench/big.onnx")):
            server.tag = f"round-{i}-{name[:2]}"  # another version each time: nothing is cached
            began = time.monotonic()
            subprocess.run(["curl", "-sf", "-o", os.path.join(context.folder, "curl.out"), url], check=True)
            curl = time.monotonic() - began
            took = galley_s(machine.GALLEY, source, os.path.join(context.folder, "cache"), store)
            if took is None:
                raise machine.Failed(f"galley did not fetch {source}")
            found.setdefault(name, []).append(curl / took)
            rows.append([name, f"{MIB * 1.048576 / curl:.0f}", f"{MIB * 1.048576 / took:.0f}", f"{curl / took:.2f}"])
    server.shutdown()
    result.table("Each round", ["source", "curl MB/s", "galley MB/s", "ratio"], rows)
    for name, ratios in found.items():
        ratio = stats.Spread(ratios)
        result.target(f"{name}: at least 70 % of curl's rate", ratio.text("{:.2f}"), ratio.median >= .7)
    result.note("galley starts, asks, fetches in four parts at once, and has the file on the disk (fsync) and renamed; curl writes it")
    result.data = found
    return result
