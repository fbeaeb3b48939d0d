# SPDX-License-Identifier: Apache-2.0
"""`load: lazy`: ready without the model, which the first request loads, once for all; a load that fails is told and tried
again; nothing says that a model is there which is not."""
import gzip
import json
import shutil
import signal
import struct
import threading
import time

import grpc
import pytest
import websocket

import harness
import models
import packages
from object_server import Store

pytest.importorskip("tritonclient.grpc", reason="tritonclient is not installed")
from tritonclient.grpc import service_pb2 as pb  # noqa: E402
from tritonclient.grpc import service_pb2_grpc as rpc  # noqa: E402


def repository(tmp_path, *names):
    for i, name in enumerate(names):
        models.add(tmp_path / "models" / name / "1" / "model.onnx", i + 1)
    return tmp_path / "models"


@pytest.fixture
def lazy(serve):
    return lambda *args, **options: serve("--load", "lazy", *args, **options)


def ask(server, name="a", version=None, **options):
    path = f"/v2/models/{name}" + (f"/versions/{version}" if version else "") + "/infer"
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [1]}]}
    r = server.call("POST", path, json.dumps(body).encode(), **options)
    return r.status, (r.json()["outputs"][0]["data"][0] if r.status == 200 else r.json()["error"])


def index(server):
    return {(m["name"], m.get("version")): (m["state"], m.get("reason")) for m in
            server.post("/v2/repository/index", b"").json()}


# --- what is told ---

def test_ready_without_the_model_and_the_truth_of_it(lazy, tmp_path):
    s = lazy(paths=[repository(tmp_path, "a", "b")])
    assert s.lines("model_ready") == []
    assert "0 models ready" in s.wait_line("ready")["message"] and "2 to be loaded by the first request" in \
        s.lines("ready")[0]["message"]
    ready = s.get("/health/ready")
    assert ready.status == 200 and ready.json()["model_loaded"] is False
    assert [m["state"] for m in ready.json()["models"]] == ["NOT_LOADED", "NOT_LOADED"]
    assert s.get("/startup").status == 200 and s.get("/v2/health/ready").status == 200
    assert s.get("/v2/models/a/ready").json() == {"name": "a", "ready": True}  # it takes requests
    assert index(s)[("a", "1")] == ("UNAVAILABLE", "not loaded yet: its first request loads it")
    assert s.get("/v1/models/a").json()["model_version_status"][0]["state"] == "START"
    assert s.metric("galley_model_ready", model="a") == 0
    assert b"galley_model_load_duration_seconds{" not in s.get("/metrics").body

    assert ask(s) == (200, 2.0)
    assert s.get("/health/ready").json()["model_loaded"] is False  # b is not
    assert index(s)[("a", "1")][0] == "READY" and index(s)[("b", "1")][0] == "UNAVAILABLE"
    assert s.metric("galley_model_ready", model="a") == 1 and s.metric("galley_model_load_duration_seconds", model="a") > 0
    assert s.metric("galley_model_ready", model="b") == 0
    assert [(line["model"], line["version"]) for line in s.lines("load_demanded")] == [("a", "1")]
    assert ask(s, "b") == (200, 3.0)
    assert s.get("/health/ready").json()["model_loaded"] is True
    assert len(s.lines("model_ready")) == 2


def test_eager_is_what_is_when_nothing_is_said(serve, tmp_path):
    """Pre-warmed: the first request finds a model that has answered before."""
    s = serve(paths=[repository(tmp_path, "a")])
    assert len(s.lines("model_ready")) == 1 and index(s)[("a", "1")][0] == "READY"
    assert s.get("/health/ready").json()["model_loaded"] is True


def test_one_model_of_several_by_the_configuration_file(serve, tmp_path):
    folder = repository(tmp_path, "a", "b")
    (tmp_path / "galley.yaml").write_text(json.dumps({"models": [{"path": str(folder / "a"), "load": "lazy"},
                                                                 {"path": str(folder / "b")}]}))
    s = serve("--config", tmp_path / "galley.yaml")
    assert [line["model"] for line in s.lines("model_ready")] == ["b"]
    assert ask(s, "a") == (200, 2.0)


# --- one load for all, by every road ---

def big(path, number, mib=48):
    import numpy as np
    import onnx
    from onnx import TensorProto as T
    from onnx import helper as h
    models.add(path, number)
    m = onnx.load(path)
    noise = np.random.default_rng(number).integers(0, 255, mib << 20, dtype=np.uint8)
    m.graph.initializer.append(h.make_tensor("noise", T.UINT8, [noise.size], noise.tobytes(), raw=True))
    path.write_bytes(m.SerializeToString())
    return path


def test_requests_that_come_together_share_one_load(lazy, tmp_path):
    big(tmp_path / "models" / "a" / "1" / "model.onnx", 1)
    s = lazy("--threads", "3", paths=[tmp_path / "models"])
    answers, states, watched = [], set(), threading.Event()

    def watch():
        while len(answers) < 24:
            states.add(index(s)[("a", "1")][0])
            assert s.get("/health/ready").status == 200
            watched.set()
    threads = [threading.Thread(target=watch)] + \
        [threading.Thread(target=lambda: answers.append(ask(s))) for _ in range(24)]
    for t in threads:
        t.start()
        assert watched.wait(20 * harness.SCALE)
    for t in threads:
        t.join()
    assert answers == [(200, 2.0)] * 24
    assert len(s.lines("model_ready")) == 1 and len(s.lines("load_demanded")) == 1
    assert states <= {"UNAVAILABLE", "LOADING", "READY"} and "LOADING" in states


@pytest.mark.parametrize("path,body,words", [
    ("/v1/models/a/predict", {"instances": [[1]]}, '"predictions":[2'),
    ("/predict", {"instances": [[1]]}, '"predictions":[2'),
    ("/v1/models/a:predict", {"instances": [[1]]}, '"predictions"'),
    ("/v1/models/a/labels/latest:predict", {"instances": [[1]]}, '"predictions"'),
    ("/v1/models/a/labels/stable:predict", {"instances": [[1]]}, '"predictions"'),
    ("/invocations", {"inputs": [[1]]}, "2"),
    ("/v2/models/a", None, '"name":"x"'), ("/v2/models/a/versions/1/config", None, '"name":"a"'),
    ("/v1/models/a/metadata", None, '"x"'),
], ids=lambda v: v if isinstance(v, str) and v.startswith("/") else "")
def test_every_road_loads_it(lazy, tmp_path, path, body, words):
    s = lazy("--version-labels", "stable=1", paths=[repository(tmp_path, "a")])
    r = s.get(path) if body is None else s.post(path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    assert r.status == 200, r
    assert words in r.body.decode().replace(" ", "").replace("2.0", "2")
    assert len(s.lines("model_ready")) == 1


def test_what_a_request_brings_is_answered_once(lazy, tmp_path):
    """Handled twice, told once: headers that are given back, a CloudEvent's attributes, a compressed body."""
    s = lazy("--invocations", "sagemaker", paths=[repository(tmp_path, "a", "b", "c")])
    told = {"Content-Type": "application/json", "X-Amzn-SageMaker-Custom-Attributes": "trace=1"}
    r = s.post("/models/a/invoke", b'{"instances": [[1]]}', told)
    assert r.status == 200 and r.header("X-Amzn-SageMaker-Custom-Attributes") == "trace=1"
    event = {"Content-Type": "application/json", "ce-specversion": "1.0", "ce-id": "7", "ce-type": "t", "ce-source": "/s"}
    r = s.post("/v1/models/b:predict", b'{"instances": [[1]]}', event)
    assert r.status == 200 and r.json()["predictions"] == [[3.0]] and r.header("ce-type") and r.header("ce-id")
    r = s.post("/v1/models/c/predict", gzip.compress(b'{"instances": [[1]]}'),
               {"Content-Type": "application/json", "Content-Encoding": "gzip"})
    assert r.status == 200 and r.json()["predictions"] == [4.0]
    assert len(s.lines("model_ready")) == 3


def test_grpc_loads_it_by_calls_and_by_streams(lazy, tmp_path):
    s = lazy(paths=[repository(tmp_path, "a", "b")])

    def request(name):
        r = pb.ModelInferRequest(model_name=name)
        r.inputs.add(name="x", datatype="FP32", shape=[1, 1]).contents.fp32_contents.append(1)
        return r

    def floats(answer):
        return struct.unpack("<f", answer.raw_output_contents[0])[0] if answer.raw_output_contents else \
            answer.outputs[0].contents.fp32_contents[0]
    with grpc.insecure_channel(f"127.0.0.1:{s.port}") as channel:
        stub = rpc.GRPCInferenceServiceStub(channel)
        assert stub.ServerReady(pb.ServerReadyRequest()).ready and stub.ModelReady(pb.ModelReadyRequest(name="a")).ready
        assert s.lines("model_ready") == []
        assert floats(stub.ModelInfer(request("a"))) == 2.0
        answers = list(stub.ModelStreamInfer(iter([request("b"), request("a"), request("b")])))
        assert sorted(floats(a.infer_response) for a in answers) == [2.0, 3.0, 3.0]
    assert [line["model"] for line in s.lines("model_ready")] == ["a", "b"]


def test_a_websocket_loads_it_with_its_handshake(lazy, tmp_path):
    s = lazy(paths=[repository(tmp_path, "a")])
    ws = websocket.create_connection(f"ws://127.0.0.1:{s.port}/v2/models/a/ws", timeout=20)
    try:
        ws.send(json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [1]}]}))
        assert json.loads(ws.recv())["outputs"][0]["data"] == [2.0]
    finally:
        ws.close()
    assert len(s.lines("model_ready")) == 1


def test_a_pipeline_keeps_its_order(lazy, tmp_path):
    """Over one connection: answers come in the order of requests, the first of which waits for the load."""
    s = lazy(paths=[repository(tmp_path, "a", "b")])
    with s.connect() as c:
        for name in "abab":
            body = json.dumps({"instances": [[1]]}).encode()
            c.send(harness.request("POST", f"/v1/models/{name}/predict", body, {"Content-Type": "application/json"}))
        assert [c.reply().json()["predictions"] for _ in range(4)] == [[2.0], [3.0], [2.0], [3.0]]


def test_the_newest_version_is_asked_for_also_when_an_older_one_is_loaded(lazy, tmp_path):
    models.add(tmp_path / "models" / "a" / "1" / "model.onnx", 1)
    models.add(tmp_path / "models" / "a" / "2" / "model.onnx", 2)
    s = lazy(paths=[tmp_path / "models"])
    assert ask(s, version="1") == (200, 2.0)
    assert index(s)[("a", "2")][0] == "UNAVAILABLE"  # nobody has asked for it
    assert ask(s) == (200, 3.0)
    assert ask(s, version="1") == (200, 2.0) and len(s.lines("model_ready")) == 2
    assert ask(s, version="3")[0] == 404


# --- what fails ---

RETRY_S = 1  # a load that failed is tried again, by who asks then



def test_a_package_that_does_not_prove_itself_is_503_with_the_difference_until_it_does(lazy, tmp_path):
    package = packages.copy("fraud", tmp_path / "fraud")
    packages.nudge(package)
    s = lazy(paths=[package])
    row, began = b'{"features": {}}', time.monotonic()
    r = s.post("/v1/models/fraud/predict", row, {"Content-Type": "application/json"})
    assert r.status == 503 and r.header("Retry-After") == "1"
    assert "is not reproduced" in r.json()["detail"] and "recorded as" in r.json()["detail"]
    assert s.get("/health/ready").status == 200  # what could come to be well is asked for again
    assert s.get("/health/ready").json()["models"][0]["state"] == "FAILED"
    assert s.get("/v2/models/fraud/ready").status == 503
    (name, state), = index(s).items()
    assert state[0] == "UNAVAILABLE" and "is not reproduced" in state[1]
    assert s.metric("galley_model_ready", model="fraud") == 0
    # at once: the same reason, without another load; later: another load
    assert "is not reproduced" in s.post("/v1/models/fraud/predict", row, {"Content-Type": "application/json"}).json()["detail"]
    failed = len(s.lines("model_failed"))
    assert 1 <= failed <= 1 + (time.monotonic() - began) // RETRY_S
    (package / "model.onnx").write_bytes((packages.EXAMPLES / "fraud" / "model.onnx").read_bytes())
    harness.wait_until(lambda: s.post("/v1/models/fraud/predict", row, {"Content-Type": "application/json"}).status != 503,
                       20, "another try", 0.2)
    assert s.get("/v2/models/fraud/ready").status == 200 and len(s.lines("model_failed")) == failed


def test_all_who_wait_for_a_load_that_fails_are_told_and_it_is_tried_once(lazy, tmp_path):
    path = big(tmp_path / "models" / "a" / "1" / "model.onnx", 1)
    data = path.read_bytes()
    path.write_bytes(data[:-1000])  # cut: the engine cannot read it
    s = lazy("--threads", "2", paths=[tmp_path / "models"])
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(ask(s))) for _ in range(12)]
    began = time.monotonic()
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert {a[0] for a in answers} == {503} and all("failed" in a[1] for a in answers)
    assert 1 <= len(s.lines("model_failed")) <= 1 + (time.monotonic() - began) // RETRY_S
    path.write_bytes(data)
    harness.wait_until(lambda: ask(s) == (200, 2.0), 20, "another try", 0.2)


def test_a_file_that_is_gone_is_told(lazy, tmp_path):
    folder = repository(tmp_path, "a", "b")
    s = lazy(paths=[folder])
    (folder / "a" / "1" / "model.onnx").unlink()
    (folder / "a" / "1").rmdir()
    (folder / "a").rmdir()
    began = time.monotonic()
    status, text = ask(s)
    assert status == 503 and "is gone" in text
    shutil.rmtree(folder / "b")
    assert "is gone" in ask(s, "b")[1]
    # One look for all requests of a second, also where several models are gone.
    assert all(ask(s) == (status, text) and ask(s, "b")[0] == 503 for _ in range(5))
    assert 2 <= len(s.lines("load_failed")) <= 2 + 2 * ((time.monotonic() - began) // RETRY_S)
    models.add(folder / "a" / "1" / "model.onnx", 1)
    harness.wait_until(lambda: ask(s) == (200, 2.0), 20, "another try", 0.2)


def test_a_newer_version_is_not_taken_up_by_a_request(lazy, tmp_path):
    folder = repository(tmp_path, "a")
    (folder / "a" / "config.pbtxt").write_text("version_policy: { latest { num_versions: 1 } }")
    s = lazy(paths=[folder])
    models.add(folder / "a" / "2" / "model.onnx", 2)
    status, text = ask(s)
    assert status == 503 and "is not what" in text and "that is version 2" in text and "SIGHUP" in text
    s.signal(signal.SIGHUP)
    harness.wait_until(lambda: ask(s) == (200, 3.0), 20, "the reload")


def test_what_other_paths_have_come_to_does_not_matter(lazy, tmp_path):
    folder = repository(tmp_path, "a", "b", "c")
    s = lazy("--model-name", "b", paths=[folder / "a", folder / "b" / "1" / "model.onnx", f"{folder}/c/"])
    shutil.rmtree(folder / "a")
    assert ask(s, "b") == (200, 3.0) and ask(s, "c") == (200, 4.0)
    assert s.post("/predict", b'{"instances": [[1]]}', {"Content-Type": "application/json"}).json()["predictions"] == [3.0]
    status, text = ask(s, "a")
    assert status == 503 and str(folder / "a") in text
    s = lazy("--model-name", "only", paths=[folder / "b"])
    assert ask(s, "only") == (200, 3.0)  # called otherwise than its directory


def test_a_deadline_and_a_client_that_goes_end_the_wait_alone(lazy, tmp_path):
    big(tmp_path / "models" / "a" / "1" / "model.onnx", 1, 96)
    s = lazy(paths=[tmp_path / "models"])
    status, text = ask(s, headers={"X-Request-Timeout-Ms": "1"})  # a hundredth of the load at most
    assert status == 504 and "being loaded" in text, (status, text)
    with s.connect() as c:
        c.send(harness.request("POST", "/v1/models/a/predict", b'{"instances": [[1]]}', {"Content-Type": "application/json"}))
        c.reset()
    harness.wait_until(lambda: ask(s) == (200, 2.0), 30, "the load's end")
    assert len(s.lines("model_ready")) == 1


def test_a_stop_while_it_is_loaded_answers_and_ends(lazy, tmp_path):
    big(tmp_path / "models" / "a" / "1" / "model.onnx", 1, 96)
    s = lazy(paths=[tmp_path / "models"])
    got = []
    t = threading.Thread(target=lambda: got.append(ask(s)))
    t.start()
    s.wait_line("load_demanded")
    s.stop()  # exit code 0 is checked
    t.join()
    assert got[0][0] in (200, 503)


# --- beside reloads and control ---

def test_a_reload_keeps_what_is_loaded_warm(lazy, tmp_path):
    folder = repository(tmp_path, "a", "b")
    s = lazy(paths=[folder])
    assert ask(s, "a") == (200, 2.0)
    s.signal(signal.SIGHUP)  # nothing has changed
    s.wait_line("ready", after=1)
    assert index(s)[("a", "1")][0] == "READY" and len(s.lines("model_ready")) == 1
    models.add(folder / "a" / "1" / "model.onnx", 10)
    models.add(folder / "b" / "1" / "model.onnx", 20)
    s.signal(signal.SIGHUP)
    s.wait_line("ready", after=2)
    assert len(s.lines("model_ready")) == 2  # a, which was loaded, is loaded anew; b still waits for its first
    assert index(s)[("b", "1")][0] == "UNAVAILABLE"
    assert ask(s, "a") == (200, 11.0) and ask(s, "b") == (200, 21.0)


def test_a_load_by_request_is_a_load(lazy, tmp_path):
    s = lazy("--model-control", "explicit", paths=[repository(tmp_path, "a", "b")])
    assert s.post("/v2/repository/models/a/load", b"").status == 200
    assert index(s)[("a", "1")][0] == "READY" and len(s.lines("model_ready")) == 1
    assert s.post("/v2/repository/models/b/unload", b"").status == 200
    assert ask(s, "b")[0] == 404 and ask(s, "a") == (200, 2.0)


def test_a_source_is_fetched_before_and_loaded_after(serve, tmp_path):
    data = models.add(tmp_path / "plus.onnx", 4).read_bytes()
    with Store({"/plus.onnx": data}) as store:
        s = serve("--load", "lazy", "--cache-dir", tmp_path / "cache", paths=[f"{store.url}/plus.onnx"])
        assert len(s.lines("source_ready")) == 1 and s.lines("model_ready") == []
        assert ask(s, "plus") == (200, 5.0)


def test_requests_beside_reloads_are_all_right(lazy, tmp_path):
    """Loads on demand, reloads and requests in any order: every answer is of a model that was there."""
    folder = repository(tmp_path, "a", "b", "c")
    s = lazy("--threads", "2", paths=[folder])
    wrong, stop = [], threading.Event()

    def hammer(name, right):
        while not stop.is_set():
            got = ask(s, name)
            if got != (200, right):
                wrong.append((name, got))
    threads = [threading.Thread(target=hammer, args=(n, r)) for n, r in (("a", 2.0), ("b", 3.0), ("c", 4.0)) for _ in range(2)]
    for t in threads:
        t.start()
    for i in range(6):
        s.signal(signal.SIGHUP)
        s.wait_line("ready", after=i + 1)
    stop.set()
    for t in threads:
        t.join()
    assert not wrong
