# SPDX-License-Identifier: Apache-2.0
"""Models by URL: what is fetched is whole or not served, whatever the server does meanwhile."""
import hashlib
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto as T
from onnx import helper as h

import harness
import models
from object_server import Store

CHUNK = 8 << 20


def model(tmp_path, number, mib=0):
    """y = x + number, in a file of so many MiB."""
    path = models.add(tmp_path / f"{number}-{mib}.onnx", number)
    if mib:
        m = onnx.load(path)
        noise = np.random.default_rng(number).integers(0, 255, mib << 20, dtype=np.uint8)
        m.graph.initializer.append(h.make_tensor("noise", T.UINT8, [noise.size], noise.tobytes(), raw=True))
        path.write_bytes(m.SerializeToString())
    return path.read_bytes()


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def start(serve, cache):
    """galley serve SOURCE... with a cache of the test's own."""
    def begin(*sources, env=None, args=(), **options):
        return serve("--cache-dir", cache, *args, paths=sources,
                     env={"HOME": cache, "AWS_EC2_METADATA_DISABLED": "true", **(env or {})}, **options)
    return begin


def answer(server, name, x=1.0):
    r = server.infer(name, {"x": ("FP32", [1, 1], [x])})
    return r.status, (r.json()["outputs"][0]["data"][0] if r.status == 200 else None)


class Hammer:
    """Asks without pause while something is fetched: live is 200 throughout, and an answer is right or none."""

    def __init__(self, server, name, right):
        self.server, self.name, self.right = server, name, set(right)
        self.seen, self.wrong, self.stop = set(), [], threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(f,)) for f in (self.health, self.predict)]

    def run(self, f):
        while not self.stop.is_set():
            try:
                f()
            except (ConnectionError, harness.Closed, OSError):
                pass

    def health(self):
        live, ready = self.server.get("/health/live").status, self.server.get("/health/ready").status
        if live != 200:
            self.wrong.append(("live", live))
        self.seen.add(("ready", ready))

    def predict(self):
        status, y = answer(self.server, self.name)
        self.seen.add(("predict", status, y))
        if status == 200 and y not in self.right or status not in (200, 503, 404):
            self.wrong.append((status, y))

    def __enter__(self):
        self.server.port
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for t in self.threads:
            t.join()
        assert not self.wrong


def entries(cache):
    """Complete entries of the cache: their files below d/."""
    return [p for p in sorted(cache.glob("e/*/d/**/*")) if p.is_file() and ".part/" not in str(p)]


# --- the plain way ---

def test_a_model_by_url_is_fetched_once_and_served(start, cache, tmp_path):
    data = model(tmp_path, 1)
    with Store({"/models/plus/3/model.onnx": data}) as store:
        s = start(f"{store.url}/models/plus/3/model.onnx")
        assert answer(s, "plus") == (200, 2.0)
        assert s.get("/v2/models/plus/versions/3").status == 200
        s.stop()
        before = len(store.requests)
        s = start(f"{store.url}/models/plus/3/model.onnx")
        assert answer(s, "plus") == (200, 2.0)
        assert len(store.requests) - before == 1  # only whether it is still the same
    assert [p.read_bytes() for p in entries(cache)] == [data]


@pytest.mark.parametrize("how", [{}, {"ranges": False}, {"etag": False}, {"etag": "date"}, {"digest": True}])
def test_large_files_come_whole_from_any_server(start, cache, tmp_path, how):
    data = model(tmp_path, 2, 20)
    with Store({"/big.onnx": data}, **how) as store:
        s = start(f"{store.url}/big.onnx")
        assert answer(s, "big") == (200, 3.0)
        spans = [r[2]["Range"] for r in store.requests[1:] if "Range" in r[2]]
        if how.get("ranges", True) and how.get("etag", True):
            assert len(spans) == 3  # 20 MiB in parts of 8
    assert [p.read_bytes() for p in entries(cache)] == [data]


def test_while_it_is_fetched_the_server_lives_and_is_not_ready(start, tmp_path):
    gate = threading.Event()
    with Store({"/plus.onnx": model(tmp_path, 1)}) as store:
        store.fault = lambda h: gate.wait(60) and False
        s = start(f"{store.url}/plus.onnx", wait="/health/live")
        assert s.get("/health/ready").status == 503
        assert s.get("/startup").status == 503
        assert answer(s, "plus")[0] == 503
        gate.set()
        s.wait_for("ready")
        assert answer(s, "plus") == (200, 2.0)


def test_sigterm_ends_a_server_that_still_fetches(start, tmp_path):
    gate = threading.Event()
    with Store({"/plus.onnx": model(tmp_path, 1)}) as store:
        store.fault = lambda h: gate.wait(60) and False
        s = start(f"{store.url}/plus.onnx", wait="/health/live")
        began = time.monotonic()
        s.stop()
        assert time.monotonic() - began < 20 * harness.SCALE
        gate.set()


# --- faults: each ends well, and nothing partial is served meanwhile ---

def cut_some(times):
    """The first so many requests for parts lose their connection in the middle."""
    left = [times]

    def fault(hnd):
        store, path = hnd.server.store, hnd.path
        if hnd.headers.get("Range", "bytes=0-0") == "bytes=0-0" or left[0] == 0:
            return False
        left[0] -= 1
        first, last = map(int, hnd.headers["Range"].removeprefix("bytes=").split("-"))
        data = store.files[path][first:last + 1]
        hnd.cut(data[:len(data) // 2], {"Content-Length": str(len(data)), **{k.replace("_", "-"): v for k, v in
                store.head(path).items()}, "Content-Range": f"bytes {first}-{last}/{len(store.files[path])}"}, 206)
        return True
    return fault


def unavailable(times):
    left = [times]

    def fault(hnd):
        if left[0] == 0:
            return False
        left[0] -= 1
        hnd.whole(503, b"later", Retry_After="1")
        return True
    return fault


@pytest.mark.parametrize("fault", [cut_some(4), unavailable(2)], ids=["cut", "503"])
def test_what_breaks_off_is_gone_on_with(start, cache, tmp_path, fault):
    data = model(tmp_path, 3, 20)
    with Store({"/big.onnx": data}) as store:
        store.fault = fault
        s = start(f"{store.url}/big.onnx", wait=None)
        with Hammer(s, "big", [4.0]) as hammer:
            s.wait_for("ready")
            harness.wait_until(lambda: ("predict", 200, 4.0) in hammer.seen, 20, "a right answer")
        assert ("ready", 503) in hammer.seen
    assert [p.read_bytes() for p in entries(cache)] == [data]


def test_a_file_that_changes_between_its_parts_is_never_mixed(start, cache, tmp_path):
    old, new = model(tmp_path, 4, 20), model(tmp_path, 5, 20)
    with Store({"/big.onnx": old}) as store:
        def fault(hnd):
            if hnd.number == 3:
                store.files["/big.onnx"] = new
            return False
        store.fault = fault
        s = start(f"{store.url}/big.onnx", wait=None)
        with Hammer(s, "big", [6.0]):
            s.wait_for("ready")
        assert answer(s, "big") == (200, 6.0)
    assert new in [p.read_bytes() for p in entries(cache)]
    assert all(p.read_bytes() in (old, new) for p in entries(cache))


@pytest.mark.parametrize("ranges", [True, False])
def test_a_length_that_is_not_kept_is_a_failed_start(start, cache, tmp_path, ranges):
    data = model(tmp_path, 6)
    with Store({"/plus.onnx": data}, ranges=ranges) as store:
        def fault(hnd):
            if hnd.headers.get("Range") == "bytes=0-0" and ranges:
                return False
            hnd.cut(data[:-7], {"Content-Length": str(len(data)), "ETag": store.head("/plus.onnx")["ETag"]})
            return True
        store.fault = fault
        s = start(f"{store.url}/plus.onnx", wait=None, exit_code=1)
        with Hammer(s, "plus", []) as hammer:
            assert s.wait_exit(60) == 1
        assert ("ready", 200) not in hammer.seen
    assert entries(cache) == []
    # requests of the hammer may be logged behind it
    assert any("plus.onnx" in line and ('"level":"error"' in line or line.startswith("galley: serve:"))
               for line in s.log().splitlines()), s.log()


@pytest.mark.parametrize("told", ["repr-digest", "url"])
def test_damaged_bytes_are_a_failed_start_that_names_both_digests(start, cache, tmp_path, told):
    data = model(tmp_path, 7)
    right = hashlib.sha256(data).hexdigest()
    damaged = bytes([data[0] ^ 1]) + data[1:]
    with Store({"/plus.onnx": data}, digest=told == "repr-digest") as store:
        def fault(hnd):
            if hnd.headers.get("Range") == "bytes=0-0":
                return False
            hnd.whole(200, damaged, **store.head("/plus.onnx"))
            return True
        store.fault = fault
        s = start(f"{store.url}/plus.onnx" + (f"#sha256={right}" if told == "url" else ""), wait=None, exit_code=1)
        with Hammer(s, "plus", []) as hammer:
            assert s.wait_exit(60) == 1
        assert ("ready", 200) not in hammer.seen
        assert right in s.log() and hashlib.sha256(damaged).hexdigest() in s.log()
        store.fault = None  # and what was damaged is not kept
        s = start(f"{store.url}/plus.onnx#sha256={right}")
        assert answer(s, "plus") == (200, 8.0)


@pytest.mark.parametrize("source,words", [
    ("{url}/other.onnx", "404"), ("s4://bucket/key", "s4://"), ("http://127.0.0.1:1/m.onnx", "127.0.0.1:1"),
    ("{url}/plus.onnx#sha256=12", "64 hexadecimal"), ("file:///nowhere/m.onnx", "does not exist")])
def test_a_source_that_is_none_ends_the_start_with_1_and_the_reason(start, tmp_path, source, words):
    with Store({"/plus.onnx": model(tmp_path, 1)}) as store:
        s = start(source.format(url=store.url), wait=None, exit_code=1)
        assert s.wait_exit(60) == 1
    assert s.log().splitlines()[-1].startswith("galley: ") or s.log().splitlines()[-2].startswith("galley: ")
    assert words in s.log()


# --- reloads and polling ---

def test_a_reload_takes_what_has_changed_and_a_failed_one_changes_nothing(start, tmp_path):
    with Store({"/plus.onnx": model(tmp_path, 1)}) as store:
        s = start(f"{store.url}/plus.onnx")
        assert answer(s, "plus") == (200, 2.0)
        s.signal(signal.SIGHUP)  # the same: nothing is loaded
        s.wait_line("ready", after=1)
        assert len(s.lines("model_ready")) == 1
        store.files["/plus.onnx"] = model(tmp_path, 2)
        store.fault = lambda hnd: hnd.whole(403, b"no more") or True
        s.signal(signal.SIGHUP)
        assert "403" in s.wait_line("reload_failed")["error"]
        assert answer(s, "plus") == (200, 2.0) and s.get("/health/ready").status == 200
        store.fault = None
        with Hammer(s, "plus", [2.0, 3.0]):
            s.signal(signal.SIGHUP)
            harness.wait_until(lambda: answer(s, "plus") == (200, 3.0), 20, "the new model")
        assert s.get("/health/ready").status == 200


def test_polling_finds_a_change_by_itself(start, tmp_path):
    with Store({"/plus.onnx": model(tmp_path, 1)}) as store:
        s = start(f"{store.url}/plus.onnx", args=["--source-poll", "200ms"])
        harness.wait_until(lambda: len(store.requests) > 4, 20, "polls")
        assert s.lines("reload") == []
        store.files["/plus.onnx"] = model(tmp_path, 2)
        harness.wait_until(lambda: answer(s, "plus") == (200, 3.0), 20, "the new model")
        store.fault = lambda hnd: hnd.whole(404) or True
        s.wait_line("source_poll_failed")
        assert answer(s, "plus") == (200, 3.0)


# --- the cache ---

def test_two_processes_fetch_the_same_once(start, tmp_path):
    data = model(tmp_path, 8, 20)
    with Store({"/big.onnx": data}) as store:
        gate = threading.Event()
        store.fault = lambda hnd: hnd.headers.get("Range") != "bytes=0-0" and gate.wait(60) and False
        both = [start(f"{store.url}/big.onnx", wait=None) for _ in range(2)]
        harness.wait_until(lambda: len([r for r in store.requests if r[2].get("Range") == "bytes=0-0"]) == 2, 30, "both")
        gate.set()
        for s in both:
            s.wait_for("ready")
            assert answer(s, "big") == (200, 9.0)
        spans = [r[2].get("Range") for r in store.requests if r[2].get("Range") != "bytes=0-0"]
    assert len(spans) == len(set(spans)) == 3


def test_a_process_that_is_killed_leaves_what_the_next_goes_on_with(start, cache, tmp_path):
    data = model(tmp_path, 9, 40)
    with Store({"/big.onnx": data}) as store:
        gate = threading.Event()

        def fault(hnd):  # the last part does not come
            if hnd.headers.get("Range", "").startswith(f"bytes={4 * CHUNK}"):
                gate.wait(60)
            return False
        store.fault = fault
        s = start(f"{store.url}/big.onnx", wait=None)
        journals = lambda: list(cache.glob("e/*.part/journal"))
        harness.wait_until(lambda: journals() and journals()[0].read_bytes().count(b"1", -6) >= 4, 30, "four parts")
        s.kill()
        gate.set()
        store.fault, before = None, len(store.requests)
        s = start(f"{store.url}/big.onnx")
        assert answer(s, "big") == (200, 10.0)
        assert len(store.requests) - before <= 3  # whether it is the same, and what was missing
    assert [p.read_bytes() for p in entries(cache)] == [data]


def test_a_file_without_a_version_is_fetched_anew_when_asked_and_never_by_itself(start, tmp_path):
    with Store({"/m.onnx": model(tmp_path, 1)}, etag=False) as store:
        s = start(f"{store.url}/m.onnx", args=["--source-poll", "1s"])
        store.files["/m.onnx"] = model(tmp_path, 2)
        time.sleep(2.5)  # two polls
        assert answer(s, "m") == (200, 2.0)
        s.signal(signal.SIGHUP)
        s.wait_line("ready", after=1)
        assert answer(s, "m") == (200, 3.0)


def test_the_cache_keeps_its_bound_and_what_is_in_use(start, cache, tmp_path):
    files = {f"/m{i}.onnx": model(tmp_path, i, 3) for i in range(4)}
    with Store(files) as store:
        used = start(f"{store.url}/m0.onnx", args=["--cache-size", "10MiB"])
        for i in (1, 2, 3):
            start(f"{store.url}/m{i}.onnx", args=["--cache-size", "10MiB"]).stop()
        left = {p.name for p in entries(cache)}
        assert left == {"m0.onnx", "m2.onnx", "m3.onnx"}
        assert answer(used, "m0") == (200, 1.0)
        s = start(*(f"{store.url}/m{i}.onnx" for i in (1, 2, 3)), args=["--cache-size", "10MiB"], wait=None, exit_code=1)
        assert s.wait_exit() == 1
        assert "cache_size" in s.log()


# --- the environment ---

def test_model_path_and_its_kin(start, tmp_path, monkeypatch):
    lies = tmp_path / "volume" / "plus" / "2" / "model.onnx"
    lies.parent.mkdir(parents=True)
    lies.write_bytes(model(tmp_path, 1))
    s = start(env={"MODEL_SOURCE": "volume", "MODEL_NAME": "plus", "MODEL_VERSION": "2",
                   "MODEL_VOLUME_PATH": tmp_path / "volume"})
    assert answer(s, "plus") == (200, 2.0)
    assert s.get("/v2/models/plus/versions/2").status == 200
    with Store({"/x.onnx": model(tmp_path, 2)}) as store:
        s = start(env={"MODEL_PATH": f"{store.url}/x.onnx", "MODEL_NAME": "fraud"})
        assert answer(s, "fraud") == (200, 3.0)


@pytest.mark.parametrize("env,words", [
    ({"MODEL_SOURCE": "ftp"}, "Unknown MODEL_SOURCE: ftp"),
    ({"MODEL_SOURCE": "baked", "MODEL_NAME": "a", "MODEL_VERSION": "1"},
     "Baked model not found at ./models/a/1/model.onnx. Ensure the model was copied during docker build."),
    ({"MODEL_SOURCE": "volume", "MODEL_NAME": "a", "MODEL_VERSION": "1"},
     "Model not found in volume at /data/models/a/1/model.onnx. Ensure the volume is mounted and contains the model."),
    ({"MODEL_SOURCE": "s3", "MODEL_NAME": "a", "MODEL_VERSION": "1"}, "MODEL_S3_BUCKET is not set"),
])
def test_wrong_environments_say_so(cache, env, words):
    r = harness.galley("serve", env={"HOME": cache, **env})
    assert r.returncode == 1 and words in r.stderr


def test_galley_models_splits_urls_and_paths(start, tmp_path):
    (tmp_path / "local.onnx").write_bytes(model(tmp_path, 1))
    with Store({"/a.onnx": model(tmp_path, 2), "/b.onnx": model(tmp_path, 3)}) as store:
        s = start(env={"GALLEY_MODELS": f"{store.url}/a.onnx:{tmp_path}/local.onnx:{store.url}/b.onnx"})
        assert [answer(s, n) for n in ("a", "local", "b")] == [(200, 3.0), (200, 2.0), (200, 4.0)]
