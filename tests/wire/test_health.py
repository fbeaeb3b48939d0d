# SPDX-License-Identifier: Apache-2.0
"""Ready means ready, live means that the process runs (requirements HLT-01 to HLT-11)."""
import shutil
import signal
import time

import pytest

import harness
import models

LIVE = ["/health", "/health/live", "/live"]
READY = ["/health/ready", "/ready"]
STARTUP = ["/health/startup", "/startup"]




@pytest.mark.parametrize("path", LIVE)
def test_liveness(examples, path):
    reply = examples.get(path)
    assert reply.status == 200 and reply.json()["status"] in ("healthy", "ok", "alive")
    assert reply.header("Content-Type") == "application/json"


def test_health_tells_the_time(examples):
    assert "timestamp" in examples.get("/health").json()


@pytest.mark.parametrize("path", READY)
def test_readiness(examples, path):
    reply = examples.get(path)
    body = reply.json()
    assert reply.status == 200 and body["status"] == "ready" and body["model_loaded"] is True
    assert body["uptime_seconds"] >= 0 and body["gpu_available"] is False


@pytest.mark.parametrize("path", STARTUP)
def test_startup(examples, path):
    reply = examples.get(path)
    assert reply.status == 200 and reply.json() == {"status": "started"}


def test_readiness_of_one_model_names_its_version(serve, zoo_dir):
    s = serve(paths=[zoo_dir / "versions" / "2" / "model.onnx"])
    assert s.get("/ready").json()["model_version"] == "2"


def test_deep_health_runs_the_model(serve, zoo_dir):
    s = serve(paths=[zoo_dir / "id-fp32"])
    body = s.get("/health?deep=1").json()
    assert body["status"] == "healthy" and body["model_loaded"] is True
    assert body["output_shape"] == [1, 2] and body["device"] == "cpu"


def test_a_broken_model_keeps_readiness_down_and_nothing_else(serve, zoo_dir, tmp_path):
    """HLT-10: 503 with the reason, live stays 200, the others serve, and it recovers."""
    shutil.copytree(zoo_dir / "id-fp32", tmp_path / "good")
    whole = (zoo_dir / "versions" / "1" / "model.onnx").read_bytes()
    (tmp_path / "broken").mkdir()
    broken = tmp_path / "broken" / "model.onnx"
    broken.write_bytes(whole[:len(whole) // 2])
    s = serve(paths=[tmp_path], wait="live")
    s.wait_line("model_failed", model="broken")
    s.wait_line("model_ready", model="good")
    for path in READY:
        reply = s.get(path)
        assert reply.status == 503 and reply.json()["status"] == "not_ready"
        assert "broken" in reply.json()["detail"]
    assert s.get("/v2/health/ready").status == 503
    for path in LIVE + ["/v2/health/live"]:
        assert s.get(path).status == 200
    assert s.infer("good", {"x": ("FP32", [1, 2], [1, 2])}).status == 200
    assert s.get("/v2/models/good/ready").status == 200
    assert s.get("/v2/models/broken/ready").status == 503
    reply = s.infer("broken", {"x": ("FP32", [1, 1], [1])})
    assert reply.status == 503 and "broken" in reply.json()["error"]
    assert s.post("/v1/models/broken/predict", {"features": [1]}).status == 503
    broken.write_bytes(whole)
    s.signal(signal.SIGHUP)
    s.wait_line("ready")  # behind the word to all loops
    assert s.infer("broken", {"x": ("FP32", [1, 1], [1])}).json()["outputs"][0]["data"] == [2]


def test_files_that_are_no_models_fail_with_words(serve, tmp_path):
    for name, content in (("empty", b""), ("text", b"hello"), ("noise", bytes(range(256)) * 9)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.onnx").write_bytes(content)
    s = serve(paths=[tmp_path], wait="live")
    harness.wait_until(lambda: len(s.lines("model_failed")) == 3, 20, "three failures")
    assert all(line["error"] for line in s.lines("model_failed"))


def test_while_models_load_it_is_alive_and_not_ready(serve, zoo_dir, tmp_path):
    """The large warm-up of a slow model is the load's length."""
    models.slow(tmp_path / "late" / "model.onnx", least=3000)
    s = serve("--warmup", "6", paths=[tmp_path, zoo_dir / "id-fp32"], wait="live")
    reply = s.get("/ready")
    assert reply.status == 503 and reply.json()["status"] == "not_ready"
    assert "load" in reply.json()["detail"].lower()
    assert s.get("/startup").status == 503
    assert s.get("/v2/health/ready").status == 503
    assert s.get("/health").status == 200
    reply = s.infer("late", {"x": ("INT64", [1, 1], [0])})
    assert reply.status == 503 and "load" in reply.json()["error"]
    s.wait_for("ready")
    assert s.get("/startup").status == 200
    assert s.infer("late", {"x": ("INT64", [1, 1], [0])}).status == 200


def test_a_model_that_fails_its_warm_up_is_not_ready(serve, tmp_path):
    """Index 0 of an empty table: it loads, and fails when it runs."""
    from onnx import TensorProto as T
    from onnx import helper as h
    table = h.make_tensor("table", T.FLOAT, [0], [])
    models.write(tmp_path / "bad" / "model.onnx", [h.make_node("Gather", ["table", "x"], ["y"])],
                 [("x", T.INT64, ("n", 1))], [("y", T.FLOAT, ("n", 1))], [table])
    s = serve(paths=[tmp_path], wait="live")
    s.wait_line("model_failed", model="bad")
    assert s.get("/ready").status == 503
    assert "bad" in s.get("/ready").json()["detail"]


def test_the_first_request_is_as_fast_as_later_ones(serve):
    """HLT-09: what the first run of a session costs was paid before ready."""
    body = (harness.EXAMPLES / "breast-cancer" / "example.json").read_bytes()
    for _ in range(3):  # a machine may halt us within one
        s = serve(paths=[harness.EXAMPLES])
        took = []
        with s.connect() as c:
            for _ in range(200):
                start = time.perf_counter()
                c.send(harness.request("POST", "/v1/models/breast-cancer/predict", body))
                assert c.reply().status == 200
                took.append(time.perf_counter() - start)
        if took[0] < max(20 * sorted(took)[100], 0.02 * harness.SCALE):
            return
    raise AssertionError(took)


def test_health_stays_fast_while_inference_runs(serve, zoo_dir):
    """API-12: one loop, and a model that takes a second."""
    s = serve("--threads", "1", paths=[zoo_dir / "slow"])
    body = {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "INT64", "data": [8000 * harness.SCALE]}]}
    with s.connect(timeout=60) as c:
        c.send(harness.request("POST", "/v2/models/slow/infer", body))
        s.wait_running()
        took = []
        for _ in range(20):
            start = time.perf_counter()
            assert s.get("/health").status == 200
            took.append(time.perf_counter() - start)
        assert sorted(took)[14] < 0.25 * harness.SCALE, took
        c.sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            c.sock.recv(1)  # still under way
        c.sock.settimeout(60)
        assert c.reply().status == 200


def test_readiness_turns_503_as_the_drain_begins(serve, zoo_dir):
    s = serve("--drain-delay", f"{1500 * harness.SCALE}ms", paths=[zoo_dir / "id-fp32"])
    s.signal(signal.SIGTERM)
    s.wait_for("ready", status=503)
    for path in READY + ["/v2/health/ready"]:
        assert s.get(path).status == 503
    assert "shutting down" in s.get("/ready").body.decode().lower()
    assert s.get("/health").status == 200
    assert s.infer("id-fp32", {"x": ("FP32", [1, 2], [1, 2])}).status == 200
    assert s.wait_exit() == 0
