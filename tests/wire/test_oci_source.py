# SPDX-License-Identifier: Apache-2.0
"""Packages served from oci://, out of Debian's docker-registry: with nothing between, and over a relay that cuts, damages and
refuses what the registry answers."""
import base64
import http.client
import io
import json
import re
import signal
import tarfile
import threading

import pytest

import harness
import oci_files
import packages
from registry_server import PASSWORD, USER, DockerRegistry, Quiet, Running, needs_registry
from test_places import Drawn, on_a_terminal
from test_sources import cache, start  # noqa: F401 (fixtures)

pytestmark = needs_registry
MODEL = "application/vnd.cncf.model."
ROW = json.dumps({"features": {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}}).encode()


@pytest.fixture(scope="module")
def registry():
    with DockerRegistry() as r:
        yield r


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """No credentials but the test's own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)


def push(registry, package, reference, tmp_path, *args, **options):
    file = packages.pack(package, tmp_path / f"{reference.replace('/', '-').replace(':', '-')}.galley")
    done = harness.galley("push", file, f"{registry.host}/{reference}", *args, **options)
    assert done.returncode == 0, done.stderr
    return packages.digest(package)


def ask(server, name="iris"):
    return server.post(f"/v1/models/{name}/predict", ROW, {"Content-Type": "application/json"})


def blobs(registry):
    return [path for method, path, status in registry.settled() if method == "GET" and "/blobs/" in path and status < 300]


class Relay(Running):
    """Between galley and a registry. `fault(handler, status, headers, body)` may answer in the registry's place."""

    def __init__(self, registry):
        super().__init__(RelayHandler)
        self.upstream, self.fault, self.seen = registry.port, None, []


class RelayHandler(Quiet):
    def do_GET(self):
        relay = self.server.owner
        upstream = http.client.HTTPConnection("127.0.0.1", relay.upstream, timeout=30)
        upstream.request(self.command, self.path, headers=dict(self.headers))
        r = upstream.getresponse()
        headers, body = {k: v for k, v in r.getheaders() if k.lower() not in ("connection", "transfer-encoding", "date")}, r.read()
        upstream.close()
        relay.seen.append((self.command, self.path, r.status))
        if not (relay.fault and relay.fault(self, r.status, headers, body)):
            self.pass_on(r.status, headers, body)

    do_HEAD = do_GET

    def pass_on(self, status, headers, body):
        self.send_response(status)
        for k, v in headers.items():
            self.send_header(k, v)
        if not any(k.lower() == "content-length" for k in headers):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    @property
    def is_blob(self):
        return self.command == "GET" and "/blobs/" in self.path


@pytest.fixture
def relay(registry):
    with Relay(registry) as r:
        yield r


# --- the plain way ---

@pytest.mark.parametrize("tag", ["latest", "3", "2.1.0"])
def test_a_package_is_served_whatever_its_tag(start, registry, tmp_path, tag):
    """Also where the tag looks like a version's directory: the package, with its steps and cases, not its model file."""
    digest = push(registry, packages.EXAMPLES / "iris", f"plain/iris:{tag}", tmp_path)
    s = start(f"oci://{registry.host}/plain/iris:{tag}")
    r = ask(s)
    assert r.status == 200 and "species" in r.body.decode()
    assert r.header("X-Galley-Package") == digest
    assert s.post("/v1/models/iris/predict", b'{"features": {}}', {"Content-Type": "application/json"}).status == 422
    s.stop()
    before = blobs(registry)
    assert ask(start(f"oci://{registry.host}/plain/iris:{tag}")).status == 200
    assert blobs(registry) == before  # it lies in the cache: only the manifest was asked for


def test_a_digest_pins_it_and_a_tag_that_moves_is_found_by_a_reload(start, registry, tmp_path):
    old = packages.copy("iris", tmp_path / "old")
    new = packages.edit(packages.copy("iris", tmp_path / "new"), "version: 1.0.0", "version: 1.1.0")
    first = push(registry, old, "moving/iris:stable", tmp_path)
    s = start(f"oci://{registry.host}/moving/iris:stable", f"oci://{registry.host}/moving/iris@{first}",
              wait=None, exit_code=1)
    assert s.wait_exit() == 1 and "twice" in s.log()  # both are iris 1.0.0
    s = start(f"oci://{registry.host}/moving/iris:stable")
    pinned = start(f"oci://{registry.host}/moving/iris@{first}")
    second = push(registry, new, "moving/iris:stable", tmp_path)
    assert first != second
    for server, right in ((s, second), (pinned, first)):
        server.signal(signal.SIGHUP)
        server.wait_line("ready", after=1)
        assert ask(server).header("X-Galley-Package") == right
    assert s.get("/v2/models/iris/versions/1.1.0").status == 200


def test_a_package_that_does_not_prove_itself_is_never_served(start, registry, tmp_path):
    package = packages.copy("fraud", tmp_path / "fraud")
    file = tmp_path / "fraud.galley"
    packages.nudge(package)
    done = harness.galley("pack", package, "-o", file, "--no-verify")
    assert done.returncode == 0, done.stderr
    assert harness.galley("push", file, f"{registry.host}/bad/fraud:3").returncode == 0
    s = start(f"oci://{registry.host}/bad/fraud:3", wait="/health/live")
    s.wait_line("not_ready")
    r = s.get("/health/ready")
    assert r.status == 503 and "is not reproduced" in r.json()["detail"] and "recorded as" in r.json()["detail"]
    done = harness.galley("verify", f"oci://{registry.host}/bad/fraud:3")
    assert done.returncode == 1 and "is not reproduced" in done.stderr


def test_credentials_are_those_of_docker_login(start, tmp_path):
    with DockerRegistry(htpasswd=True) as r:
        (tmp_path / "docker").mkdir()
        auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        (tmp_path / "docker" / "config.json").write_text(json.dumps({"auths": {r.host: {"auth": auth}}}))
        env = {"DOCKER_CONFIG": tmp_path / "docker"}
        push(r, packages.EXAMPLES / "iris", "own/iris:1", tmp_path, env=env)
        assert ask(start(f"oci://{r.host}/own/iris:1", env=env)).status == 200
        s = start(f"oci://{r.host}/own/iris:1", wait=None, exit_code=1)
        assert s.wait_exit() == 1 and "galley login" in s.log()


def large(tmp_path, name, megabytes):
    """A package whose model has that many megabytes of weights."""
    return packages.linear(tmp_path / name, [1.0] * (megabytes << 18))


def held(cache):
    return sum(f.stat().st_size for f in cache.rglob("*") if f.is_file() and not f.is_symlink())


def test_the_cache_keeps_its_bound_with_packages_too(start, registry, tmp_path, cache):
    """Blobs and files lie there together: a package of 4 MiB needs 8."""
    for name in ("one", "two"):
        push(registry, large(tmp_path, name, 4), f"bound/{name}:1", tmp_path)
    start(f"oci://{registry.host}/bound/one:1", args=["--cache-size", "10MiB"]).stop()
    assert len(list(cache.glob("e/*/d"))) == 1 and held(cache) < 5 << 20
    before = len(blobs(registry))
    start(f"oci://{registry.host}/bound/two:1", args=["--cache-size", "10MiB"]).stop()  # the first makes way
    assert [p.name for p in cache.glob("e/*/d/*")] == ["two"] and len(blobs(registry)) > before
    used = start(f"oci://{registry.host}/bound/two:1", args=["--cache-size", "10MiB"])
    s = start(f"oci://{registry.host}/bound/one:1", args=["--cache-size", "10MiB"], wait=None, exit_code=1)
    assert s.wait_exit() == 1 and "in use" in s.log() and "cache_size" in s.log()
    assert int(re.search(r"(\d+) bytes do not fit into the cache", s.log()).group(1)) > 8 << 20
    assert used.get("/health/ready").status == 200


def test_a_package_larger_than_the_cache_is_refused_before_it_is_fetched(start, registry, tmp_path, cache):
    push(registry, large(tmp_path, "big", 4), "large/big:1", tmp_path)
    before = len(blobs(registry))
    s = start(f"oci://{registry.host}/large/big:1", args=["--cache-size", "7MiB"], wait=None, exit_code=1)
    assert s.wait_exit() == 1 and "more than the cache may hold" in s.log() and "raise cache_size" in s.log()
    assert len(blobs(registry)) == before and held(cache) < 1 << 20


def test_what_a_compressed_layer_unpacks_to_is_counted_when_it_has_come(start, registry, tmp_path, cache):
    """As other tools write ModelPacks: a tar of all files, compressed."""
    package, blobs_of, tar = large(tmp_path, "flat", 4), {}, io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w:gz") as t:
        for name in ("galley.yaml", "model.onnx"):
            t.add(package / name, name)
    layer, config = tar.getvalue(), b"{}"
    text = oci_files.encode({"schemaVersion": 2, "mediaType": oci_files.MANIFEST, "artifactType": MODEL + "manifest.v1+json",
                             "config": oci_files.describe(MODEL + "config.v1+json", config),
                             "layers": [oci_files.describe(MODEL + "weight.v1.tar+gzip", layer)]})
    blobs_of.update({oci_files.digest_of(b): b for b in (layer, config, text)})
    file = oci_files.write_tar(tmp_path / "flat.tar", blobs_of, [oci_files.describe(oci_files.MANIFEST, text)])
    done = harness.galley("push", file, f"{registry.host}/squeezed/flat:1")
    assert done.returncode == 0 and len(layer) < 1 << 20, done.stderr
    s = start(f"oci://{registry.host}/squeezed/flat:1", args=["--cache-size", "3MiB"], wait=None, exit_code=1)
    assert s.wait_exit() == 1 and "more than the cache may hold" in s.log()
    assert held(cache) < 1 << 20  # nor does what was unpacked to be looked at stay
    start(f"oci://{registry.host}/squeezed/flat:1", args=["--cache-size", "6MiB"]).stop()


def test_what_the_manifests_of_an_index_share_is_counted_once(start, registry, tmp_path):
    """As it is fetched: 4 MiB that two platforms have need 8, like those of one."""
    package, tar = large(tmp_path, "shared", 4), io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as t:
        for name in ("galley.yaml", "model.onnx"):
            t.add(package / name, name)
    layer, config = tar.getvalue(), b"{}"
    blobs_of, tops = {oci_files.digest_of(b): b for b in (layer, config)}, []
    for architecture in ("amd64", "arm64"):
        text = oci_files.encode({"schemaVersion": 2, "mediaType": oci_files.MANIFEST, "artifactType": MODEL + "manifest.v1+json",
                                 "config": oci_files.describe(MODEL + "config.v1+json", config),
                                 "layers": [oci_files.describe(MODEL + "weight.v1.tar", layer)],
                                 "annotations": {"for": architecture}})
        blobs_of[oci_files.digest_of(text)] = text
        tops.append(oci_files.describe(oci_files.MANIFEST, text, platform={"os": "linux", "architecture": architecture}))
    file = oci_files.write_tar(tmp_path / "shared.tar", blobs_of, [oci_files.index(blobs_of, tops)])
    done = harness.galley("push", file, f"{registry.host}/shared/index:1")
    assert done.returncode == 0, done.stderr
    before = len(blobs(registry))
    start(f"oci://{registry.host}/shared/index:1", args=["--cache-size", "10MiB"]).stop()
    assert len(blobs(registry)) == before + 2  # the layer and the configuration


# --- faults in between ---

def test_blobs_that_break_off_are_gone_on_with(start, registry, relay, tmp_path, cache):
    digest = push(registry, packages.EXAMPLES / "iris", "cut/iris:3", tmp_path)
    left, lock, parts = [4], threading.Lock(), []

    def fault(h, status, headers, body):
        if not h.is_blob or len(body) < 1000:
            return False
        parts.append(h.headers.get("Range"))
        with lock:
            if left[0] == 0:
                return False
            left[0] -= 1
        h.pass_on(status, {**headers, "Content-Length": str(len(body))}, body[:len(body) // 2])
        h.close_connection = True
        return True
    relay.fault = fault
    s = start(f"oci://localhost:{relay.port}/cut/iris:3")
    assert ask(s).header("X-Galley-Package") == digest
    assert left == [0] and any(parts)  # what had come was not asked for again
    assert not list(cache.glob("e/*.part"))


def test_a_registry_that_is_busy_is_asked_again(start, registry, relay, tmp_path):
    push(registry, packages.EXAMPLES / "iris", "busy/iris:3", tmp_path)
    left = [2]

    def fault(h, *_):
        if left[0] == 0 or not h.is_blob:
            return False
        left[0] -= 1
        h.reply(503, b"later", Retry_After="1")
        return True
    relay.fault = fault
    assert ask(start(f"oci://localhost:{relay.port}/busy/iris:3")).status == 200


@pytest.mark.parametrize("what", ["blob", "manifest"])
def test_bytes_that_differ_are_refused_and_nothing_of_them_is_kept(start, registry, relay, tmp_path, cache, what):
    digest = push(registry, packages.EXAMPLES / "iris", f"wrong-{what}/iris:3", tmp_path)

    def fault(h, status, headers, body):
        wanted = h.is_blob and len(body) > 1000 if what == "blob" else h.command == "GET" and "/manifests/sha256:" in h.path
        if not wanted:
            return False
        h.pass_on(status, headers, body[:-2] + bytes([body[-2] ^ 1]) + body[-1:])
        return True
    relay.fault = fault
    s = start(f"oci://localhost:{relay.port}/wrong-{what}/iris:3", wait=None, exit_code=1)
    assert s.wait_exit(60) == 1
    assert "sha256" in s.log().lower() and f"localhost:{relay.port}" in s.log()
    assert not list(cache.glob("e/*/d"))  # nothing that could be served
    relay.fault = None
    assert ask(start(f"oci://localhost:{relay.port}/wrong-{what}/iris:3")).header("X-Galley-Package") == digest


def test_a_terminal_shows_the_files_that_come(registry, relay, tmp_path):
    push(registry, packages.EXAMPLES / "iris", "drawn/iris:3", tmp_path)

    def fault(h, status, headers, body):
        if not h.is_blob or len(body) < 1000:
            return False
        h.pass_on(status, headers, body[:1000])
        has_drawn.wait_for_more()
        h.wfile.write(body[1000:])
        return True
    relay.fault, has_drawn = fault, Drawn()
    code, out, drawn = on_a_terminal("verify", f"oci://localhost:{relay.port}/drawn/iris:3", has_drawn=has_drawn,
                                     XDG_CACHE_HOME=tmp_path / "cache")
    assert code == 0 and b"verified" in out
    assert re.search(r"model\.onnx .* of [\d.]+ KiB", drawn)


def test_while_it_comes_the_server_lives_and_a_stop_ends_it(start, registry, relay, tmp_path):
    push(registry, packages.EXAMPLES / "iris", "slow/iris:3", tmp_path)
    gate = threading.Event()
    relay.fault = lambda h, *_: h.is_blob and gate.wait(60) and False
    s = start(f"oci://localhost:{relay.port}/slow/iris:3", wait="/health/live")
    assert s.get("/health/ready").status == 503 and ask(s).status == 503
    gate.set()
    s.wait_for("ready")
    assert ask(s).status == 200
