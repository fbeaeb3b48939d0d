# SPDX-License-Identifier: Apache-2.0
"""`galley predict`, `inspect` and `verify` of what URLs name: fetched into the cache of servers, once, or refused with where
and what to do."""
import contextlib
import hashlib
import json
import os
import pty
import shutil
import subprocess
import threading

import pytest

import harness
import models
import packages
from object_server import Store
from test_stores import s3, server  # noqa: F401 (fixtures)


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """The bytes of a package with golden cases."""
    return packages.pack(packages.EXAMPLES / "iris", tmp_path_factory.mktemp("packed") / "iris.galley").read_bytes()


@pytest.fixture
def run(tmp_path):
    """galley ARGS with a cache of the test's own; its exit code is checked."""
    def begin(*args, code=0, env=None, **options):
        done = harness.galley(*args, env={"XDG_CACHE_HOME": tmp_path / "cache", "AWS_EC2_METADATA_DISABLED": "true",
                                          **(env or {})}, **options)
        assert done.returncode == code, done.stdout + done.stderr
        return done
    return begin


ROW = {"features": {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}}


def test_a_package_by_url_is_fetched_once_for_all_three(run, packed):
    with Store({"/models/iris.galley": packed}) as store:
        url = f"{store.url}/models/iris.galley"
        told = json.loads(run("verify", "--json", url).stdout)["packages"][0]
        assert told["verified"] and told["digests"] and told["golden"]["failed"] == 0
        assert told["source"] == url and "/cache/galley/e/" in told["path"]
        moved = len(store.requests)
        told = json.loads(run("inspect", "--json", url).stdout)["models"][0]
        assert told["source"] == url and told["package"]["features"] and told["name"] == "iris"
        done = run("predict", url, "-d", json.dumps(ROW))
        assert json.loads(done.stdout) and done.stderr == ""  # no terminal: no progress
        assert len(store.requests) == moved + 2  # each asks whether it is still the same
        # and the text for people
        assert url in run("verify", url).stdout and url in run("inspect", url).stdout


def test_what_is_secret_in_a_url_is_shown_nowhere(run, packed, tmp_path):
    """Neither printed nor logged, nor a name in the cache; whether it is there or not."""
    def is_clean(done):
        return not any(secret in done.stdout + done.stderr for secret in ("alice", "pw-1", "sig-2"))

    with Store({"/iris.galley": packed}) as store:
        authority = store.url.removeprefix("http://")
        for name, code in (("iris.galley", 0), ("none.galley", 1)):
            url = f"http://alice:pw-1@{authority}/{name}?X-Amz-Signature=sig-2"
            for args in (["verify", url], ["verify", "--json", url], ["inspect", url]):
                assert is_clean(run(*args, code=code)), args
        started = run("serve", "-p", "0", url, code=1)
        assert is_clean(started) and "/none.galley" in started.stderr
    cached = [str(p) for p in tmp_path.rglob("*")]
    assert any("iris.galley" in p for p in cached) and not any("alice" in p or "sig-2" in p for p in cached)
    assert not any(b"pw-1" in p.read_bytes() for p in (tmp_path / "cache").rglob("*.json"))


def test_a_model_by_url_is_named_by_its_path(run, tmp_path):
    data = models.add(tmp_path / "plus.onnx", 2).read_bytes()
    with Store({"/fraud/3/model.onnx": data}) as store:
        url = f"{store.url}/fraud/3/model.onnx"
        told = json.loads(run("inspect", "--json", url, tmp_path / "plus.onnx").stdout)["models"]
        assert [(m["name"], m["version"], m.get("source")) for m in told] == \
            [("fraud", "3", url), ("plus", "1", None)]
        assert json.loads(run("predict", url, "-d", '{"instances": [[5]]}').stdout)["predictions"] == [7.0]


def test_objects_and_directories_of_s3(run, s3, tmp_path, packed):
    """A version's directory that is a package is that package, not the model file in it."""
    s3.put("cli/iris.galley", packed)
    assert json.loads(run("verify", "--json", "s3://models/cli/iris.galley", env=s3.env()).stdout)["verified"]
    for file in (packages.EXAMPLES / "iris").iterdir():
        s3.put(f"cli/iris/3/{file.name}", file.read_bytes())
    told = json.loads(run("verify", "--json", "s3://models/cli/iris/3/", env=s3.env()).stdout)["packages"][0]
    assert told["verified"] and told["golden"]["cases"] == 32
    done = run("predict", "s3://models/cli/iris/3/", "-d", json.dumps(ROW), env=s3.env())
    assert "species" in done.stdout  # the package's answer: the model alone has no such output
    told = json.loads(run("inspect", "--json", "s3://models/cli/iris/3/", env=s3.env()).stdout)["models"][0]
    assert told["package"]["features"] and told["source"].startswith("s3://models/cli/iris/3/")


def test_a_package_behind_a_url_that_does_not_prove_itself_fails(run, tmp_path):
    package = packages.nudge(packages.copy("fraud", tmp_path / "fraud" / "3"))
    url = package.as_uri()  # file://
    told = run("verify", "--json", url, code=1)
    assert not json.loads(told.stdout)["verified"] and "is not reproduced" in told.stderr and url in told.stderr
    done = run("predict", url, "-d", "{}", code=1)
    assert "is not reproduced" in done.stderr and url in done.stderr


@pytest.mark.parametrize("command", [["predict", "-d", "{}"], ["inspect"], ["verify"]], ids=lambda c: c[0])
@pytest.mark.parametrize("source,words", [
    ("{url}/no.galley", ["404", "is it spelt right"]),
    ("{url}/secret.galley", ["403", "credentials are the environment's"]),
    ("http://127.0.0.1:1/x.galley", ["127.0.0.1", "is the server up"]),
    ("{url}/text.txt", ["{url}/text.txt", ".galley"]),
    ("models:/iris/1", ["MLFLOW_TRACKING_URI is not set"]),
    ("gs://bucket", ["gs://bucket"]), ("oci://127.0.0.1:1/a/b:1", ["127.0.0.1:1", "is the server up"]),
    ("az://a", ["az://a"]), ("s4://b/c", ["s4://"])])
def test_what_cannot_be_had_says_where_and_what_to_do(run, command, source, words):
    with Store({"/text.txt": b"no model"}) as store:
        store.fault = lambda hnd: "secret" in hnd.path and (hnd.whole(403, b"no") or True)
        done = run(command[0], source.format(url=store.url), *command[1:], code=1,
                   env={"STORAGE_EMULATOR_HOST": "http://127.0.0.1:1"})
        for word in words:
            assert word.format(url=store.url) in done.stderr
        assert "/cache/galley/e/" not in done.stderr  # what the user typed, not where it lies
        assert done.stderr.startswith(f"galley: {command[0]}: ")


def test_bytes_that_differ_are_refused_and_not_kept(run, tmp_path, packed):
    right = hashlib.sha256(packed).hexdigest()
    with Store({"/iris.galley": packed[:-1] + bytes([packed[-1] ^ 1])}) as store:
        url = f"{store.url}/iris.galley#sha256=" + right
        assert right in run("verify", url, code=1).stderr
        store.files["/iris.galley"] = packed
        assert run("verify", url)


class Drawn(threading.Event):
    """Set each time when it is shown how much of something is there."""

    def wait_for_more(self):
        """What has come by now is shown."""
        for _ in range(2):  # what comes first may have been on its way
            self.clear()
            assert self.wait(20 * harness.SCALE), "nothing is drawn"


def on_a_terminal(*args, has_drawn, **env):
    """galley ARGS whose stderr is a terminal: exit code, output, what was drawn."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen([harness.BIN, *map(str, args)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs,
                             env=harness.child_env(TERM="xterm", **env))
    os.close(theirs)
    drawn = []

    def read():
        with contextlib.suppress(OSError):  # the other end is closed
            while part := os.read(ours, 65536):
                drawn.append(part)
                if b" of " in part:
                    has_drawn.set()
    reader = threading.Thread(target=read)
    reader.start()
    try:
        out = child.communicate(timeout=60 * harness.SCALE)[0]
    finally:
        child.kill()  # which ends the reader too
    reader.join()
    os.close(ours)
    return child.returncode, out, b"".join(drawn).decode(errors="replace")


def test_a_terminal_shows_a_bar_while_it_comes(tmp_path):
    data = models.add(tmp_path / "plus.onnx", 2).read_bytes()
    has_drawn = Drawn()
    with Store({"/plus.onnx": data}, ranges=False, etag=False) as store:
        def slowly(hnd):
            if hnd.command != "GET" or hnd.headers.get("Range") == "bytes=0-0":
                return False
            hnd.send_response(200)
            hnd.send_header("Content-Length", str(len(data)))
            hnd.end_headers()
            hnd.wfile.write(data[:100])
            has_drawn.wait_for_more()
            hnd.wfile.write(data[100:])
            return True
        store.fault = slowly
        code, out, drawn = on_a_terminal("predict", f"{store.url}/plus.onnx", "-d", '{"instances": [[1]]}',
                                         has_drawn=has_drawn, XDG_CACHE_HOME=tmp_path / "cache")
    assert code == 0 and json.loads(out)["predictions"] == [3.0]
    assert "plus.onnx" in drawn and f"of {len(data)} bytes" in drawn
    assert drawn.rstrip().endswith("\x1b[J")  # and it is gone when all is there


def test_what_broke_off_is_gone_on_with_by_the_next_command(run, tmp_path):
    data = os.urandom(20 << 20)  # no model: only its way here is of interest
    with Store({"/big.onnx": data}) as store:
        def parts():
            return sum(p.read_bytes().count(b"1", -6) for p in tmp_path.glob("cache/galley/e/*.part/journal"))

        def fault(hnd):  # the last part is refused when the others are there
            if not hnd.headers.get("Range", "").startswith(f"bytes={16 << 20}"):
                return False
            harness.wait_until(lambda: parts() >= 2, 30, "two parts")
            hnd.whole(403, b"no")
            return True
        store.fault = fault
        run("inspect", f"{store.url}/big.onnx", code=1)
        store.fault, before = None, len(store.requests)
        run("inspect", f"{store.url}/big.onnx", code=1)  # it is no model
        assert len(store.requests) - before <= 3
    entry, = (tmp_path / "cache" / "galley" / "e").glob("*/d/*/big.onnx")
    assert entry.read_bytes() == data
    shutil.rmtree(tmp_path / "cache")
