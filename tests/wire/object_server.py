# SPDX-License-Identifier: Apache-2.0
"""An HTTP server of files with ranges, whose faults a test chooses: each request is looked at by `fault`, which may
answer itself, and is noted in `requests`."""
import email.utils
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 0

    def log_message(self, *_):
        pass

    def cut(self, data, headers, status=200):
        """Tells a length, sends less, and hangs up."""
        self.send_response(status)
        for k, v in headers.items():
            self.send_header(k, v)
        self.end_headers()
        self.wfile.write(data)
        self.close_connection = True

    def whole(self, status, body=b"", **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for k, v in headers.items():
            self.send_header(k.replace("_", "-"), v)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        store, path = self.server.store, self.path.split("?")[0]
        with store.lock:
            store.requests.append((self.command, self.path, dict(self.headers)))
            number = len(store.requests)
            fault = store.fault
        self.number = number
        if fault and fault(self):
            return
        if path not in store.files:
            self.whole(404, b"no such thing")
            return
        self.serve(store, path)

    def serve(self, store, path):
        data, headers = store.files[path], store.head(path)
        span = self.headers.get("Range")
        if not span or not store.ranges:
            self.whole(200, data, **headers)
            return
        wanted = self.headers.get("If-Range")
        if wanted and wanted not in headers.values():
            self.whole(200, data, **headers)
            return
        first, last = span.removeprefix("bytes=").split("-")
        first, last = int(first), min(int(last or len(data)), len(data) - 1)
        if first >= len(data):
            self.whole(416, b"", Content_Range=f"bytes */{len(data)}", **headers)
            return
        self.whole(206, data[first:last + 1], Content_Range=f"bytes {first}-{last}/{len(data)}", **headers)


class Store:
    """Use as a context; `url` ends without a slash."""

    def __init__(self, files=None, ranges=True, etag=True, digest=False):
        self.files, self.ranges, self.etag, self.digest = dict(files or {}), ranges, etag, digest
        self.requests, self.fault, self.lock = [], None, threading.Lock()

    def head(self, path):
        data, headers = self.files[path], {"Content_Type": "application/octet-stream"}
        if self.etag:
            headers["ETag"] = '"' + hashlib.sha256(data).hexdigest()[:20] + '"'
        if self.etag == "date":
            headers["ETag"] = None
            headers["Last_Modified"] = email.utils.formatdate(len(data), usegmt=True)
        if self.digest:
            import base64
            sum_ = base64.b64encode(hashlib.sha256(data).digest()).decode()
            headers["Repr_Digest"] = f"sha-256=:{sum_}:"
        return {k: v for k, v in headers.items() if v}

    def gets(self, path=None):
        return [r for r in self.requests if path is None or r[1].split("?")[0] == path]

    def __enter__(self):
        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request, client_address):
                pass  # galley hangs up when it has seen enough

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.store = self
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
