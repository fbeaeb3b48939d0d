# SPDX-License-Identifier: Apache-2.0
"""Tools of others for images: skopeo reads and copies, umoci unpacks, runc runs."""
import io
import json
import os
import shutil
import subprocess
import tarfile
import urllib.error
import urllib.request

import pytest

import harness

TOOLS = ("skopeo", "umoci", "runc")
MISSING = [t for t in TOOLS if not shutil.which(t)]
needs_tools = pytest.mark.skipif(bool(MISSING), reason=f"{', '.join(MISSING)} missing; run: tools/setup test")


def run(*args, **options):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=300, check=False,
                          stdin=subprocess.DEVNULL, **options)
    assert done.returncode == 0, f"{' '.join(map(str, args))}\n{done.stdout}{done.stderr}"
    return done.stdout


def inspect(image, *options):
    return json.loads(run("skopeo", "inspect", *options, image))


class Layout:
    """A layout's directory or archive, read by Python alone."""

    def __init__(self, path):
        self.path = path
        self.tar = None if path.is_dir() else tarfile.open(path)
        self.index = json.loads(self.read("index.json"))
        self.manifest = json.loads(self.blob(self.index["manifests"][0]))

    def read(self, name):
        return (self.path / name).read_bytes() if self.path.is_dir() else self.tar.extractfile(name).read()

    def blob(self, descriptor):
        return self.read("blobs/sha256/" + descriptor["digest"].split(":")[1])

    def files(self, first=0):
        """{path: (tar member, bytes)} of the layers from `first` on, as they lie on each other; gzip or none."""
        found = {}
        for layer in self.manifest["layers"][first:]:
            with tarfile.open(fileobj=io.BytesIO(self.blob(layer))) as tar:
                for m in tar:
                    found[m.name] = (m, tar.extractfile(m).read() if m.isfile() else b"")
        return found


class Container:
    """A bundle of umoci's, run by runc: the image's user and command, a read-only root, the host's network;
    no limits, which the machine of a test may not be allowed to set. volumes: (outside, inside), read-only."""

    def __init__(self, layout, name, dir, env=(), args=None, volumes=()):
        self.dir, self.id, self.port = dir, f"galley-test-{os.getpid()}-{dir.name}", harness.free_port()
        self.state, self.log = dir / "state", open(dir / "log", "w+", encoding="utf-8")
        run("umoci", "unpack", "--image", f"{layout}:{name}", dir / "bundle")
        config = json.loads((dir / "bundle" / "config.json").read_text())
        process = config["process"]
        process["terminal"] = False
        process["rlimits"] = []
        process["env"] = [e for e in process["env"] if not e.startswith("GALLEY_HTTP_PORT=")]
        process["env"] += [f"GALLEY_HTTP_PORT={self.port}", *env]
        if args:
            process["args"] = args
        self.user, self.args = process["user"], process["args"]
        config["root"]["readonly"] = True
        config["mounts"] = [m for m in config["mounts"] if m["type"] not in ("cgroup", "sysfs")]
        config["mounts"] += [{"destination": inside, "source": str(outside), "type": "bind", "options": ["rbind", "ro"]}
                             for outside, inside in volumes]
        config["linux"]["namespaces"] = [n for n in config["linux"]["namespaces"]
                                         if n["type"] not in ("network", "cgroup")]
        for key in ("resources", "cgroupsPath"):
            config["linux"].pop(key, None)
        (dir / "bundle" / "config.json").write_text(json.dumps(config))
        self.process = None

    def runc(self, *args):
        return ["runc", "--root", str(self.state), *map(str, args)]

    def start(self):
        self.process = subprocess.Popen(self.runc("run", "-b", self.dir / "bundle", self.id), stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log)
        return self

    def text(self):
        self.log.seek(0)
        return self.log.read()

    def wait_ready(self):
        def look():
            assert self.process.poll() is None, self.text()
            try:
                return self.get("/health/ready")[0] == 200
            except (urllib.error.URLError, ConnectionError):
                return False
        harness.wait_until(look, 60, "the container is ready", pause=0.05)

    def get(self, path, body=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=body)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as e:
            return e.code, e.read()

    def exec(self, *args):
        return subprocess.run(self.runc("exec", self.id, *args), capture_output=True, text=True, timeout=60, check=False,
                              stdin=subprocess.DEVNULL)

    def stop(self):
        """SIGTERM to its first process; the exit code."""
        if self.process and self.process.poll() is None:
            subprocess.run(self.runc("kill", self.id, "TERM"), capture_output=True, check=False, timeout=30)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                subprocess.run(self.runc("kill", self.id, "KILL"), capture_output=True, check=False, timeout=30)
                self.process.wait(30)
        self.log.close()
        return self.process.returncode if self.process else None
