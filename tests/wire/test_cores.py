# SPDX-License-Identifier: Apache-2.0
"""Threads untold: as many loops and workers as the process may use processors, and no threads inside an inference."""
import os
import re
import time
from pathlib import Path

import pytest

import harness
import models

CPUS = sorted(os.sched_getaffinity(0))
SLOW = {"inputs": [{"name": "x", "datatype": "INT64", "shape": [1, 1], "data": [300]}]}


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    root = tmp_path_factory.mktemp("cores")
    models.slow(root / "slow" / "model.onnx")
    return root / "slow"


def taskset(cpus):
    return ["taskset", "-c", ",".join(map(str, cpus))]


def tasks(s):
    """The process's threads by name. The engine's own have the name of the one that made them."""
    names = []
    for task in Path(f"/proc/{s.pid}/task").iterdir():
        try:
            names.append((task / "comm").read_text().strip())
        except OSError:
            pass  # it has ended meanwhile
    if harness.SANITIZE:  # a sanitizer has a thread of its own
        names = ["galley"] + [n for n in names if n != "galley"]
    return sorted(names)


def busy_tasks(s, requests):
    """The threads once so many requests have been under way at once."""
    conns = [s.connect(timeout=60) for _ in range(requests)]
    for c in conns:
        c.send(harness.request("POST", "/v2/models/slow/infer", SLOW))
    for c in conns:
        assert c.reply().status == 200
        c.close()
    return tasks(s)


def check(s, loops, workers):
    page = s.get("/metrics").body.decode()
    assert float(re.search(r'^inference_workers\{[^}]*\} (\S+)$', page, re.MULTILINE).group(1)) == workers
    config = s.get("/v2/models/slow/config").json()
    assert config["instance_group"][0]["count"] == workers
    want = ["galley"] + [f"galley-loop-{i}" for i in range(loops)] + ["galley-worker"] * workers
    found = busy_tasks(s, 8)
    for _ in range(50):
        if found == want:
            return
        time.sleep(0.1)  # a thread of the load may still be ending
        found = busy_tasks(s, 8)
    assert found == want


def test_on_one_core_there_is_one_loop_and_one_worker(serve, slow):
    check(serve("--schedule", "workers", paths=[slow], before=taskset(CPUS[:1])), 1, 1)


@pytest.mark.skipif(len(CPUS) < 2, reason="there is one processor")
def test_on_two_cores_there_are_two(serve, slow):
    check(serve("--schedule", "workers", paths=[slow], before=taskset(CPUS[:2])), 2, 2)


def test_what_is_told_stands_above_the_cores(serve, slow):
    s = serve("--schedule", "workers", "--threads", "3", "--workers", "2", paths=[slow], before=taskset(CPUS[:1]))
    check(s, 3, 2)


@pytest.mark.skipif(harness.SANITIZE, reason="threads of the main thread's name are not counted")
def test_threads_inside_an_inference_are_there_when_they_are_told(serve, slow):
    s = serve("--schedule", "workers", "--intra-op-threads", "3", paths=[slow], before=taskset(CPUS[:1]))
    assert len(busy_tasks(s, 8)) >= 5  # two that the engine has made, beside main thread, loop and worker


# --- a quota ---

@pytest.fixture
def one_cpu_of_quota():
    """Words that put a command into a group that may use one processor's time."""
    for top, limits in ((Path("/sys/fs/cgroup/cpu"), {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "100000"}),
                        (Path("/sys/fs/cgroup"), {"cpu.max": "100000 100000"})):
        group = top / f"galley-test-{os.getpid()}"
        if not (top / "cgroup.procs").exists():
            continue
        try:
            group.mkdir()
            for name, value in limits.items():
                with open(group / name, "r+") as f:
                    f.write(value)
        except OSError:
            if group.exists():
                group.rmdir()
            continue
        try:
            yield ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(group / "cgroup.procs")]
        finally:
            harness.wait_until(lambda: not (group / "cgroup.procs").read_text(), 20, "the group to be empty")
            group.rmdir()
        return
    pytest.skip("no control group can be made here")


@pytest.mark.skipif(len(CPUS) < 2, reason="there is one processor")
def test_under_a_quota_of_one_core_there_is_one_loop_and_one_worker(slow, one_cpu_of_quota):
    with harness.Server("--schedule", "workers", paths=[slow], before=one_cpu_of_quota) as s:
        check(s, 1, 1)
