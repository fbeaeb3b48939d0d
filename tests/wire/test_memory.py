# SPDX-License-Identifier: Apache-2.0
"""What the process takes: time while nobody asks for anything, and memory."""
import os
import time

import numpy as np
import pytest
from onnx import TensorProto as T
from onnx import helper as h

import harness
import models
import oip

MIB = 1 << 20


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wide(path):
    """y[n,1] by way of tensors of x's size."""
    nodes = [h.make_node("Sigmoid", ["x"], ["a"]), h.make_node("Tanh", ["a"], ["b"]),
             h.make_node("Add", ["a", "b"], ["c"]), h.make_node("ReduceSum", ["c", "axis"], ["y"])]
    return models.write(path, nodes, [("x", T.FLOAT, ("n", 1024))], [("y", T.FLOAT, ("n", 1))],
                        [h.make_tensor("axis", T.INT64, [1], [1])])


def ask(s, rows):
    return oip.post_binary(s, "wide", {"x": np.zeros((rows, 1024), np.float32)}, timeout=60)


def test_an_idle_server_uses_no_time(serve, tmp_path):
    models.slow(tmp_path / "slow" / "model.onnx")
    s = serve("--intra-op-threads", "2", "--threads", "2", "--workers", "2",
              paths=[harness.EXAMPLES, tmp_path / "slow"])
    assert s.infer("slow", {"x": ("INT64", [1, 1], [1])}).status == 200
    conns = [s.connect() for _ in range(4)]  # idle ones are looked after too
    time.sleep(0.3)
    before = cpu_seconds(s.pid)
    time.sleep(1)
    assert cpu_seconds(s.pid) - before <= 0.03
    for c in conns:
        c.close()


@pytest.mark.skipif(harness.SANITIZE, reason="a sanitizer keeps freed memory")
def test_memory_of_a_burst_is_given_back(serve, tmp_path):
    wide(tmp_path / "wide" / "model.onnx")
    s = serve("--schedule", "workers", paths=[tmp_path / "wide"])
    assert ask(s, 1).status == 200
    before = s.rss()
    for _ in range(3):
        assert ask(s, 15000).status == 200  # 59 MiB, and as much a tensor of the model's own
    assert s.rss() > before + 64 * MIB
    harness.wait_until(lambda: s.rss() < before + 24 * MIB, 5, "memory to be given back", 0.1)
    assert ask(s, 1).status == 200


def test_a_batch_beyond_the_models_memory_fails_alone(serve, tmp_path):
    wide(tmp_path / "wide" / "model.onnx")
    s = serve("--model-memory-limit", "32MiB", "--request-timeout", "60s", paths=[tmp_path / "wide"])
    for _ in range(2):
        assert ask(s, 1000).status == 200
        r = ask(s, 10000)
        assert r.status == 503, r
        assert "model_memory_limit" in r.json()["error"]
        assert r.header("Retry-After") is not None
    assert ask(s, 1000).status == 200


def test_a_model_that_its_memory_does_not_hold_is_not_ready(serve, tmp_path):
    weights = h.make_tensor("w", T.FLOAT, [1024, 1024], [0.0] * MIB)
    models.write(tmp_path / "big" / "model.onnx", [h.make_node("MatMul", ["x", "w"], ["y"])],
                 [("x", T.FLOAT, ("n", 1024))], [("y", T.FLOAT, ("n", 1024))], [weights])
    s = serve("--model-memory-limit", "1MiB", paths=[tmp_path / "big"], wait="live")
    line = s.wait_line("model_failed")
    assert "memory" in str(line)
