# SPDX-License-Identifier: Apache-2.0
"""`galley cache ls`, `rm` and `prune` beside servers and fetches that go on."""
import hashlib
import json
import os
import re
import subprocess
import threading
import time

import pytest

import harness
from object_server import Store
from test_sources import answer, cache, entries, model, start  # noqa: F401 (fixtures)


@pytest.fixture
def run(cache):
    def begin(*args, code=0):
        done = harness.galley("cache", *args, "--cache-dir", cache)
        assert done.returncode == code, done.stdout + done.stderr
        return done
    return begin


@pytest.fixture
def ls(run):
    """Entries by their source's last part."""
    return lambda *args: {(e["source"] or "-").rsplit("/", 1)[-1]: e for e in
                          json.loads(run("ls", "--json", *args).stdout)["entries"]}


@pytest.fixture
def three(start, tmp_path):
    """a.onnx is served, b.onnx and c.onnx lie in the cache, used 40 and 20 days ago."""
    with Store({f"/{n}.onnx": model(tmp_path, i, i) for i, n in enumerate("abc")}) as store:
        for n in "bc":
            start(f"{store.url}/{n}.onnx").stop()
        yield start(f"{store.url}/a.onnx"), store


def aged(cache, entry, days):
    then = time.time() - days * 86400
    os.utime(cache / "e" / f"{entry['key']}.lock", (then, then))


def test_what_is_there_with_source_digest_size_and_use(three, run, ls, cache, tmp_path):
    server, store = three
    there = ls()
    assert set(there) == {"a.onnx", "b.onnx", "c.onnx"}
    assert [(there[n]["in_use"], there[n]["complete"]) for n in sorted(there)] == [(True, True), (False, True), (False, True)]
    assert there["c.onnx"]["source"] == f"{store.url}/c.onnx"
    assert there["c.onnx"]["bytes"] >= len(store.files["/c.onnx"]) and there["c.onnx"]["digest"] is None
    assert abs(time.time() - time.mktime(time.strptime(there["a.onnx"]["last_used"][:19], "%Y-%m-%dT%H:%M:%S")) +
               time.timezone) < 600
    for name, entry in ls("--digests").items():
        assert entry["digest"] == "sha256:" + hashlib.sha256(store.files["/" + name]).hexdigest()
    aged(cache, there["b.onnx"], 40)
    lines = run("ls").stdout.splitlines()
    assert lines[0].split() == ["KEY", "SIZE", "LAST", "USED", "STATE", "SHA256", "SOURCE"]
    assert re.fullmatch(rf"{there['a.onnx']['key'][:12]} +[\d.]+ (bytes|KiB) +\d+ s ago +in use +- +{store.url}/a.onnx", lines[1])
    assert lines[3].startswith(there["b.onnx"]["key"][:12]) and "40 d ago" in lines[3]  # the oldest comes last
    assert lines[4].startswith("3 entries, ") and str(cache) in lines[4]
    assert there["a.onnx"]["key"] in run("ls", "--no-trunc").stdout


def test_an_empty_cache_is_none(run, cache):
    assert json.loads(run("ls", "--json").stdout)["entries"] == []
    assert run("ls").stdout.startswith("0 entries")
    assert "removed 0 of 0" in run("prune", "--all").stdout
    assert not (cache / "e").exists()  # and looking makes nothing


def test_what_is_served_is_never_removed(three, run, ls, cache):
    server, store = three
    done = run("rm", f"{store.url}/a.onnx", code=1)
    assert "is in use" in done.stderr and "it can go when that has ended" in done.stderr
    told = json.loads(run("prune", "--all", "--json").stdout)
    assert {e["source"].rsplit("/", 1)[-1] for e in told["removed"]} == {"b.onnx", "c.onnx"}
    assert [(e["source"].rsplit("/", 1)[-1], e["reason"]) for e in told["kept"]] == [("a.onnx", "in use")]
    assert told["bytes"] == sum(e["bytes"] for e in told["removed"]) > 3 << 20
    assert set(ls()) == {"a.onnx"} and [p.name for p in entries(cache)] == ["a.onnx"]
    assert answer(server, "a") == (200, 1.0)
    server.stop()
    run("rm", f"{store.url}/a.onnx")
    assert ls() == {} and list((cache / "e").iterdir()) == []


def test_by_key_by_source_and_what_is_not_there(three, run, ls):
    server, store = three
    key = ls()["b.onnx"]["key"]
    assert f"would remove  {key[:12]}" in run("rm", "-n", key[:8]).stdout and "b.onnx" in ls()
    done = run("rm", key[:8], "feedbeef", f"{store.url}/c.onnx", code=1)
    assert "feedbeef: there is no such entry" in done.stderr and "galley cache ls" in done.stderr
    assert set(ls()) == {"a.onnx"}  # the others went
    assert "no such entry" in run("rm", key[:3], code=1).stderr  # too short to be a key
    assert "no such entry" in run("rm", f"{store.url}/a.on", code=1).stderr  # half a name is none


def test_prune_by_age_and_by_size(three, run, ls, cache):
    there = ls()
    aged(cache, there["b.onnx"], 40)
    aged(cache, there["c.onnx"], 20)
    run("prune", "--older-than", "60d")
    assert len(ls()) == 3
    run("prune", "--older-than", "30d", "--dry-run")
    assert len(ls()) == 3
    run("prune", "--to", "100MiB", "--older-than", "1d")  # it fits already
    assert len(ls()) == 3
    run("prune", "--to", "2500KiB")  # b, 1 MiB, goes first, as it is the oldest: that is enough
    assert set(ls()) == {"a.onnx", "c.onnx"}
    run("prune", "--older-than", "10d")
    assert set(ls()) == {"a.onnx"}
    for args, words in [([], "what may go?"), (["--older-than", "x"], "--older-than"), (["--to", "many"], "--to")]:
        assert words in run("prune", *args, code=2).stderr


def test_a_fetch_under_way_is_left_alone_and_its_rest_can_go(start, run, ls, cache, tmp_path):
    gate = threading.Event()
    with Store({"/big.onnx": model(tmp_path, 9, 20)}) as store:
        store.fault = lambda hnd: hnd.headers.get("Range", "").startswith(f"bytes={16 << 20}") and gate.wait(60) and False
        s = start(f"{store.url}/big.onnx", wait=None)
        harness.wait_until(lambda: ls().get("big.onnx", {}).get("bytes", 0) > 16 << 20, 30, "most of it")
        assert ls()["big.onnx"]["in_use"] and not ls()["big.onnx"]["complete"]
        assert "fetching" in run("ls").stdout
        told = json.loads(run("prune", "--partial", "--json").stdout)
        assert told["removed"] == [] and len(told["kept"]) == 1
        s.kill()
        gate.set()
        assert "partial" in run("ls").stdout
        run("prune", "--partial", "--older-than", "1h")  # it may still be gone on with
        assert set(ls()) == {"big.onnx"}
        run("prune", "--partial")
        assert ls() == {} and list((cache / "e").iterdir()) == []


def test_removing_beside_starts_breaks_none(start, run, cache, tmp_path):
    """Whoever wins: a server has its model whole, or fetches it anew."""
    with Store({"/plus.onnx": model(tmp_path, 1)}) as store:
        stop = threading.Event()
        left = []

        def remove():
            while not stop.is_set():
                done = subprocess.run([harness.BIN, "cache", "prune", "--all", "--cache-dir", cache],
                                      capture_output=True, text=True, env=harness.child_env())
                left.append((done.returncode, done.stderr))
        threads = [threading.Thread(target=remove) for _ in range(2)]
        for t in threads:
            t.start()
        try:
            for _ in range(12):
                s = start(f"{store.url}/plus.onnx")
                assert answer(s, "plus") == (200, 2.0)
                s.stop()
        finally:
            stop.set()
            for t in threads:
                t.join()
    assert len(left) > 4 and set(left) == {(0, "")}
