# SPDX-License-Identifier: Apache-2.0
"""Registries for the tests: Debian's docker-registry on a free port, a token server for it, and one of
our own that knows the specification's finer points and misbehaves when it is told to."""
import base64
import hashlib
import json
import os
import re
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

import harness

BINARY = harness.SOURCE / "build" / "deps" / "docker-registry" / "docker-registry"
SKIPPED = harness.SOURCE / "build" / "deps" / "docker-registry-skipped"
needs_registry = pytest.mark.skipif(
    not BINARY.is_file(),
    reason=SKIPPED.read_text().strip() if SKIPPED.is_file() else
    "build/deps/docker-registry is missing; run: tools/setup test")
ORAS = harness.SOURCE / "build" / "tools" / "oras"
needs_oras = pytest.mark.skipif(not ORAS.is_file(), reason="build/tools/oras is missing; run: tools/setup test")

USER, PASSWORD = "tester", "geheim"
# bcrypt of the password, 32 rounds
HTPASSWD = f"{USER}:$2b$05$abcdefghijklmnopqrstuuVWu8RjbNovPZWAMRdd7iqaaG0mI53Uu\n"


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class DockerRegistry:
    """docker-registry with a folder of its own; ended by its process id."""

    def __init__(self, htpasswd=False, token=None, tls=None):
        self.port = harness.free_port()
        self.host = f"localhost:{self.port}"
        self.dir = tempfile.TemporaryDirectory(prefix="galley-registry-")
        self.scheme = "https" if tls else "http"
        config = {"version": "0.1", "log": {"level": "info", "accesslog": {"disabled": False}},
                  "storage": {"filesystem": {"rootdirectory": f"{self.dir.name}/data"},
                              "delete": {"enabled": True}},
                  "http": {"addr": f"127.0.0.1:{self.port}", "secret": "of the tests"}}
        if htpasswd:
            path = f"{self.dir.name}/htpasswd"
            with open(path, "w", encoding="utf-8") as f:
                f.write(HTPASSWD)
            config["auth"] = {"htpasswd": {"realm": "the tests", "path": path}}
        if token:
            config["auth"] = {"token": {"realm": token.url, "service": "the registry", "issuer": "the tests",
                                        "rootcertbundle": str(token.pair.cert)}}
        if tls:
            config["http"]["tls"] = {"certificate": str(tls.cert), "key": str(tls.key)}
        with open(f"{self.dir.name}/config.yml", "w", encoding="utf-8") as f:
            json.dump(config, f)  # JSON is YAML
        self.log = open(f"{self.dir.name}/log", "w+", encoding="utf-8")
        self.process = subprocess.Popen([BINARY, "serve", f"{self.dir.name}/config.yml"], stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log, cwd=self.dir.name,
                                        env=harness.child_env(OTEL_TRACES_EXPORTER="none"))

    def __enter__(self):
        def look():
            assert self.process.poll() is None, self.text()
            try:
                with __import__("socket").create_connection(("127.0.0.1", self.port), 1):
                    return True
            except OSError:
                return False
        harness.wait_until(look, 30, "docker-registry listens")
        return self

    def __exit__(self, *_):
        harness.end_process(self.process)
        self.log.close()
        self.dir.cleanup()

    def text(self):
        with open(f"{self.dir.name}/log", encoding="utf-8", errors="replace") as f:
            return f.read()

    def requests(self):
        """(method, path, status) of the access log, in order."""
        return [(m[0], m[1], int(m[2]))
                for m in re.findall(r'"([A-Z]+) (/v2/\S*) HTTP/[0-9.]+" (\d+)', self.text())]

    def settled(self):
        """The log's lines come behind the answers: all requests, once no more come."""
        seen = None
        while seen != (seen := self.requests()):
            time.sleep(0.4)
        return seen


class Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status, body=b"", **headers):
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))


class Running:
    """A server of Python's in a thread; `with` ends it."""

    def __init__(self, handler, tls=None):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.server.owner = self
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.host = f"localhost:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


# --- tokens --------------------------------------------------------------------------------------

def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class TokenServer(Running):
    """Gives tokens: pull to anybody for public/..., all to the user, by password or identity token."""

    identity = "the-identity-token"

    def __init__(self, pair):
        super().__init__(TokenHandler)
        self.pair, self.asked = pair, []
        self.url = f"http://localhost:{self.port}/token"

    def token(self, who, scopes):
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":")
            allowed = [a for a in actions.split(",") if who or (name.startswith("public/") and a == "pull")]
            access.append({"type": kind, "name": name, "actions": allowed})
        cert = self.pair.object.public_bytes(serialization.Encoding.DER)
        now = int(time.time())
        head = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(cert).decode()]}
        claims = {"iss": "the tests", "sub": who or "", "aud": "the registry", "exp": now + 300, "nbf": now - 10,
                  "iat": now, "jti": os.urandom(8).hex(), "access": access}
        text = b64(json.dumps(head).encode()) + "." + b64(json.dumps(claims).encode())
        signature = self.pair.key_object.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        return text + "." + b64(signature)


class TokenHandler(Quiet):
    def do_GET(self):
        server = self.server.owner
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        given, who = self.headers.get("Authorization"), None
        server.asked.append(("GET", query, given))
        if given:
            if base64.b64decode(given.split()[1]).decode() != f"{USER}:{PASSWORD}":
                return self.reply(401, {"errors": [{"code": "UNAUTHORIZED", "message": "wrong"}]})
            who = USER
        return self.reply(200, {"token": server.token(who, query.get("scope", []))})

    def do_POST(self):
        server = self.server.owner
        form = urllib.parse.parse_qs(self.body().decode())
        server.asked.append(("POST", form, None))
        if form.get("refresh_token") != [server.identity] or form.get("grant_type") != ["refresh_token"]:
            return self.reply(400, {"error": "invalid_grant"})
        scopes = form.get("scope", [""])[0].split()
        return self.reply(200, {"access_token": server.token(USER, scopes), "expires_in": 300})


# --- one of our own ------------------------------------------------------------------------------

class FakeRegistry(Running):
    """A registry by the specification, in memory, with faults:

    cut_uploads, cut_downloads  so many bodies are cut in the middle
    lie                         bytes of blobs are changed
    lie_manifest                bytes of manifests are changed
    lie_name                    a manifest is served under a digest header that is not its own
    request_max                 larger requests are refused with 413
    page                        tags a page
    referrers                   it has the referrers API
    cdn                         blobs are redirected to this other server's port
    """

    def __init__(self, tls=None, **faults):
        super().__init__(FakeHandler, tls)
        self.blobs, self.manifests, self.types, self.uploads, self.seen = {}, {}, {}, {}, []
        self.lock = threading.Lock()
        self.faults = {"cut_uploads": 0, "cut_downloads": 0, "lie": False, "lie_manifest": False, "lie_name": False,
                       "request_max": None, "page": 1000, "referrers": True, "cdn": None, **faults}

    def take(self, fault):
        """One of the faults that are left."""
        with self.lock:
            left = self.faults[fault]
            self.faults[fault] = max(0, left - 1)
            return left > 0

    def moved(self, method, part):
        return [s for s in self.seen if s[0] == method and part in s[1]]


class FakeHandler(Quiet):
    def handle_one_request(self):
        try:
            super().handle_one_request()
        except (ConnectionError, ValueError):
            self.close_connection = True

    def start(self):
        self.owner = self.server.owner
        self.faults = self.owner.faults
        self.owner.seen.append((self.command, self.path, dict(self.headers)))
        self.url = urllib.parse.urlsplit(self.path)
        self.query = urllib.parse.parse_qs(self.url.query)
        return re.fullmatch(r"/v2/(?:(.+?)/(blobs/uploads|blobs|manifests|tags|referrers)/(.*))?", self.url.path)

    def wrong(self, status, code):
        self.reply(status, {"errors": [{"code": code, "message": code.lower().replace("_", " ")}]})

    def cut(self):
        self.close_connection = True
        self.connection.close()

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        found = self.start()
        if not found:
            return self.wrong(404, "NOT_THERE")
        name, kind, rest = found.groups()
        if kind is None:
            return self.reply(200, {})
        return getattr(self, "get_" + kind.replace("/", "_"))(name, rest)

    def get_tags(self, name, _):
        tags = sorted(t for n, t in self.owner.manifests if n == name and ":" not in t)
        if not tags:
            return self.wrong(404, "NAME_UNKNOWN")
        last, size = self.query.get("last", [""])[0], self.faults["page"]
        left = [t for t in tags if t > last]
        headers = {}
        if len(left) > size:
            headers["Link"] = f'</v2/{name}/tags/list?n={size}&last={left[size - 1]}>; rel="next"'
        return self.reply(200, {"name": name, "tags": left[:size]}, **headers)

    def get_manifests(self, name, ref):
        body = self.owner.manifests.get((name, ref))
        if body is None:
            return self.wrong(404, "MANIFEST_UNKNOWN")
        digest = sha256(body)
        headers = {"Content_Type": self.owner.types[digest], "Docker_Content_Digest": digest}
        if self.faults["lie_manifest"]:
            body = body.replace(b'"schemaVersion"', b' "schemaVersion"')
        if self.faults["lie_name"]:
            headers["Docker_Content_Digest"] = "sha256:" + 64 * "0"
        return self.reply(200, body, **headers)

    def get_referrers(self, name, digest):
        if not self.faults["referrers"]:
            return self.wrong(404, "NOT_THERE")
        found = [{"mediaType": self.owner.types[sha256(body)], "digest": sha256(body), "size": len(body)}
                 for (n, ref), body in self.owner.manifests.items()
                 if n == name and ":" in ref and json.loads(body).get("subject", {}).get("digest") == digest]
        return self.reply(200, {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
                                "manifests": found})

    def get_blobs(self, name, digest):
        data = self.owner.blobs.get(digest)
        if data is None:
            return self.wrong(404, "BLOB_UNKNOWN")
        if self.faults["cdn"] and self.command == "GET":
            return self.reply(307, Location=f"http://localhost:{self.faults['cdn']}/v2/{name}/blobs/{digest}")
        if self.faults["lie"]:
            data = bytes([data[0] ^ 1]) + data[1:]
        first = int((re.match(r"bytes=(\d+)-", self.headers.get("Range", "")) or [0, 0])[1])
        part = data[first:]
        headers = {"Content_Range": f"bytes {first}-{len(data) - 1}/{len(data)}"} if first else {}
        if self.command == "GET" and len(part) > 1000 and self.owner.take("cut_downloads"):
            self.reply(206 if first else 200, part[:len(part) // 2], Content_Length=str(len(part)), **headers)
            return self.cut()
        return self.reply(206 if first else 200, part, **headers)

    def get_blobs_uploads(self, _, upload):
        data = self.owner.uploads.get(upload)
        if data is None:
            return self.wrong(404, "BLOB_UPLOAD_UNKNOWN")
        return self.reply(204, Location=self.url.path, Range=f"0-{max(0, len(data) - 1)}")

    def do_POST(self):
        name, _, _ = self.start().groups()
        self.body()
        digest = self.query.get("mount", [None])[0]
        if digest in self.owner.blobs:
            return self.reply(201, Location=f"/v2/{name}/blobs/{digest}")
        upload = os.urandom(8).hex()
        self.owner.uploads[upload] = b""
        return self.reply(202, Location=f"/v2/{name}/blobs/uploads/{upload}", Range="0-0")

    def take_body(self, upload):
        """What came of the body goes to the upload; False: it was cut or refused."""
        size = int(self.headers.get("Content-Length") or 0)
        if self.faults["request_max"] and size > self.faults["request_max"]:
            self.close_connection = True
            self.wrong(413, "SIZE_INVALID")
            return False
        if size > 1000 and self.owner.take("cut_uploads"):
            self.owner.uploads[upload] += self.rfile.read(size // 2)
            self.cut()
            return False
        self.owner.uploads[upload] += self.rfile.read(size)
        return True

    def do_PATCH(self):
        _, _, upload = self.start().groups()
        if upload not in self.owner.uploads:
            return self.wrong(404, "BLOB_UPLOAD_UNKNOWN")
        first = int(self.headers.get("Content-Range", "0-").split("-")[0])
        if first != len(self.owner.uploads[upload]):
            return self.wrong(416, "RANGE_INVALID")
        if not self.take_body(upload):
            return None
        return self.reply(202, Location=self.url.path, Range=f"0-{len(self.owner.uploads[upload]) - 1}")

    def do_PUT(self):
        name, kind, rest = self.start().groups()
        if kind == "manifests":
            body = self.body()
            digest = sha256(body)
            self.owner.types[digest] = self.headers["Content-Type"]
            self.owner.manifests[name, rest] = self.owner.manifests[name, digest] = body
            headers = {"Docker_Content_Digest": digest}
            if self.faults["referrers"] and json.loads(body).get("subject"):
                headers["OCI_Subject"] = json.loads(body)["subject"]["digest"]
            return self.reply(201, **headers)
        if rest not in self.owner.uploads:
            return self.wrong(404, "BLOB_UPLOAD_UNKNOWN")
        if not self.take_body(rest):
            return None
        data, digest = self.owner.uploads.pop(rest), self.query["digest"][0]
        if sha256(data) != digest:
            return self.wrong(400, "DIGEST_INVALID")
        self.owner.blobs[digest] = data
        return self.reply(201, Location=f"/v2/{name}/blobs/{digest}")
