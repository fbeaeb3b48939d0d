# SPDX-License-Identifier: Apache-2.0
"""Models loaded and unloaded by request: tritonclient's calls, and what it would not send."""
import base64
import json
import os
import signal
import threading

import numpy as np
import pytest

import harness
import models
from test_cases import CASES, same_bits

triton = pytest.importorskip("tritonclient.http", reason="tritonclient is not installed")
InferenceServerException = pytest.importorskip("tritonclient.utils").InferenceServerException

EXPLICIT = ["--model-control", "explicit"]


@pytest.fixture
def root(tmp_path):
    """a, b and c add 1, 2 and 3."""
    for i, name in enumerate("abc"):
        models.add(tmp_path / "models" / name / "1" / "model.onnx", i + 1)
    return tmp_path / "models"


def client(server):
    return triton.InferenceServerClient(f"127.0.0.1:{server.port}", network_timeout=60,
                                        connection_timeout=60)


def ask(server, name, value=1.0):
    """What the model makes of the value; None when it is not served."""
    r = server.infer(name, {"x": ("FP32", [1, 1], [value])})
    if r.status == 404:
        return None
    assert r.status == 200, r
    return r.json()["outputs"][0]["data"][0]


def index(server, **body):
    return {(m["name"], m.get("version")): (m.get("state"), m.get("reason"))
            for m in server.post("/v2/repository/index", body if body else b"").json()}


def load(server, name, config=None, files=None):
    params = {"config": config if isinstance(config, str) or config is None
              else json.dumps(config)}
    for path, content in (files or {}).items():
        params[f"file:{path}"] = base64.b64encode(content).decode()
    return server.post(f"/v2/repository/models/{name}/load",
                       {"parameters": {k: v for k, v in params.items() if v is not None}})


def temp_dirs(tmp):
    return [p for p in os.listdir(tmp) if p.startswith("galley-load-")]


def test_without_control_models_stay(examples):
    for verb in ("load", "unload"):
        r = examples.post(f"/v2/repository/models/iris/{verb}")
        assert r.status == 503 and "explicit model load / unload is not allowed" in r.json()["error"]
    assert index(examples)["iris", "1"] == ("READY", None)
    names = examples.get("/v2").json()["extensions"]
    assert "model_repository" not in names and "system_shared_memory" not in names
    assert {"classification", "trace", "logging", "statistics"} <= set(names)


def test_load_and_unload_with_tritonclient(serve, root):
    s = serve(*EXPLICIT, "--load-models", "a,b", paths=[root])
    with client(s) as c:
        assert "model_repository" in c.get_server_metadata()["extensions"]
        assert {m["name"]: m.get("state") for m in c.get_model_repository_index()} == {
            "a": "READY", "b": "READY", "c": None}
        assert ask(s, "a") == 2 and ask(s, "c") is None
        c.load_model("c")
        assert c.is_model_ready("c") and ask(s, "c") == 4
        c.unload_model("a", unload_dependents=True)
        assert ask(s, "a") is None and c.is_server_ready()
        assert index(s)["a", "1"] == ("UNAVAILABLE", "unloaded")
        c.unload_model("a")  # once more changes nothing
        assert set(index(s, ready=True)) == {("b", "1"), ("c", "1")}
        with pytest.raises(InferenceServerException, match="no such model"):
            c.load_model("nothing")
        with pytest.raises(InferenceServerException, match="no such model"):
            c.unload_model("nothing")
        for name in "bc":
            c.unload_model(name)
        assert c.is_server_ready()  # all were unloaded on purpose
        c.load_model("a")
        assert ask(s, "a") == 2


def test_what_is_loaded_at_the_start(serve, root, tmp_path):
    s = serve(*EXPLICIT, "--load-models", "none", paths=[root])
    assert set(index(s)) == {("a", None), ("b", None), ("c", None)}
    assert index(s, ready=True) == {}
    empty = tmp_path / "empty"
    empty.mkdir()
    assert index(serve(*EXPLICIT, paths=[empty])) == {}
    for args, said in ((["--load-models", "a,x"] + EXPLICIT, "'x'"),
                       (["--load-models", "a"], "no effect"),
                       (["--model-control", "poll"], "SIGHUP"),
                       (["--model-control", "some"], "none or explicit")):
        r = harness.galley("serve", root, "--http-port", "0", *args)
        assert r.returncode != 0 and said in r.stderr + r.stdout, r


def test_a_load_takes_what_the_directory_holds_now(serve, root):
    s = serve(*EXPLICIT, paths=[root])
    models.add(root / "a" / "2" / "model.onnx", 20)
    models.add(root / "new" / "1" / "model.onnx", 7)
    assert ask(s, "a") == 2 and ask(s, "new") is None
    assert load(s, "a").status == 200 and ask(s, "a") == 21
    assert load(s, "new").status == 200 and ask(s, "new") == 8
    (root / "a" / "3").mkdir()
    (root / "a" / "3" / "model.onnx").write_bytes(b"no model")
    r = load(s, "a")
    assert r.status == 500 and "failed to load 'a' version 3" in r.json()["error"]
    assert ask(s, "a") == 21 and index(s)["a", "2"] == ("READY", None)  # the old serves on
    assert s.get("/v2/health/ready").status == 200
    (root / "bad" / "1").mkdir(parents=True)
    (root / "bad" / "1" / "model.onnx").write_bytes(b"no model")
    assert load(s, "bad").status == 500
    state, reason = index(s)["bad", None]
    assert state == "UNAVAILABLE" and "failed to load" in reason


def test_a_configuration_comes_with_the_load(serve, root):
    s = serve(*EXPLICIT, paths=[root])
    with client(s) as c:
        config = c.get_model_config("a")
        c.load_model("a", config=json.dumps(config))  # what galley shows it takes
        assert ask(s, "a") == 2
        c.load_model("a", config=json.dumps({
            "maxBatchSize": 4, "dynamicBatching": {"maxQueueDelayMicroseconds": "100"},
            "parameters": {"intra_op_thread_count": {"string_value": "2"}},
            "input": [{"name": "x", "dataType": "TYPE_FP32", "dims": [1]}]}))
        now = c.get_model_config("a")
        assert now["max_batch_size"] == 4
        assert now["dynamic_batching"]["max_queue_delay_microseconds"] == 100
        assert ask(s, "a") == 2
        c.load_model("a")  # without one the directory counts again
        assert c.get_model_config("a")["max_batch_size"] == config["max_batch_size"]


@pytest.mark.parametrize("config, place, said", [
    ("{", "parameters.config:1:", "invalid JSON"),
    ("[]", "parameters.config", "object"),
    ({"max_batch_sise": 1}, "parameters.config.max_batch_sise", "max_batch_size"),
    ({"input": [{"name": "x", "data_type": "TYPE_FP32", "dims": [1, 0]}]},
     "parameters.config.input[0].dims[1]", "no size"),
    ({"input": [{"name": "x", "data_type": "FLOAT", "dims": [1]}]},
     "parameters.config.input[0].data_type", "TYPE_FP32"),
    ({"max_batch_size": "many"}, "parameters.config.max_batch_size", "whole number"),
    ({"parameters": {"a": 1}}, "parameters.config.parameters.a", "message"),
    ({"parameters": [1]}, "parameters.config.parameters", "object"),
    ({"max_batch_size": 1, "maxBatchSize": 2}, "parameters.config.maxBatchSize", "twice"),
    ({"version_policy": {"specific": {"versions": [-1]}}},
     "parameters.config.version_policy.specific.versions[0]", "no version"),
])
def test_a_wrong_configuration_is_told_with_its_path(serve, root, config, place, said):
    s = serve(*EXPLICIT, paths=[root])
    r = load(s, "a", config=config)
    assert r.status == 400 and place in r.json()["error"] and said in r.json()["error"], r
    assert ask(s, "a") == 2


def test_files_come_with_the_load(serve, root, tmp_path):
    tmp = tmp_path / "tmp"
    tmp.mkdir()
    s = serve(*EXPLICIT, paths=[root], env={"TMPDIR": tmp})
    ten = models.add(tmp_path / "ten.onnx", 10).read_bytes()
    twenty = models.add(tmp_path / "twenty.onnx", 20).read_bytes()
    with client(s) as c:
        c.load_model("a", config="{}", files={"file:1/model.onnx": ten, "file:2/model.onnx": twenty})
        assert ask(s, "a") == 21  # the latest, in the place of the directory's
        assert set(index(s)) == {("a", "2"), ("b", "1"), ("c", "1")}
        c.load_model("guest", config=json.dumps({"version_policy": {"all": {}}}),
                     files={"file:1/model.onnx": ten, "file:2/model.onnx": twenty})
        assert s.post("/v2/models/guest/versions/1/infer", {"inputs": [
            {"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [1]}]}).json()[
                "outputs"][0]["data"] == [11]
        assert len(temp_dirs(tmp)) == 2
        s.signal(signal.SIGHUP)
        s.wait_line("ready", after=1)
        assert ask(s, "a") == 21 and ask(s, "guest") == 21  # a reload leaves them as they are
        c.load_model("a")
        assert ask(s, "a") == 2
        c.unload_model("guest")
        harness.wait_until(lambda: not temp_dirs(tmp), 20, "the directories' end")
        c.load_model("a", config="{}", files={"file:1/model.onnx": ten})
        assert len(temp_dirs(tmp)) == 1
    s.stop()
    assert not temp_dirs(tmp)


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "1/../../x", "1//x", "", "1/", ".", "..",
                                  ".hidden", "1/.x", "a\\b", "a\nb", "x" * 300, "1/" * 300 + "x"])
def test_paths_that_lead_elsewhere_are_refused(serve, root, tmp_path, path):
    tmp = tmp_path / "tmp"
    tmp.mkdir()
    s = serve(*EXPLICIT, paths=[root], env={"TMPDIR": tmp})
    r = load(s, "a", config="{}", files={path: b"x", "1/model.onnx": b"x"})
    assert r.status == 400 and "path of a model's file" in r.json()["error"], r
    assert not temp_dirs(tmp) and ask(s, "a") == 2 and sorted(os.listdir(tmp_path)) == [
        "models", "tmp"]


def test_requests_that_cannot_be_understood(serve, root):
    s = serve(*EXPLICIT, paths=[root])
    post = lambda path, body: s.post("/v2/repository" + path, body)
    for path, body, status, said in [
            ("/index", b"[]", 400, "object"), ("/index", {"ready": 1}, 400, "ready"),
            ("/index", {"redy": True}, 400, "redy"),
            ("/models/a/load", b"{", 400, "JSON"),
            ("/models/a/load", {"parameters": []}, 400, "parameters"),
            ("/models/a/load", {"parameters": {"x": 1}}, 400, "'x'"),
            ("/models/a/load", {"config": "{}"}, 400, "'config'"),
            ("/models/a/load", {"parameters": {"config": {}}}, 400, "ModelConfig"),
            ("/models/a/load", {"parameters": {"file:1/m": "eA=="}}, 400, "need a configuration"),
            ("/models/a/load", {"parameters": {"config": "{}", "file:1/m": "e"}}, 400, "base64"),
            ("/models/a/load", {"parameters": {"config": "{}", "file:1/m": "e$=="}}, 400, "base64"),
            ("/models/a/load", {"parameters": {"config": "{}", "file:1/m": 1}}, 400, "base64"),
            ("/models/a/load", {"parameters": {"config": "{}", **{
                f"file:1/{i}": "" for i in range(300)}}}, 413, "256"),
            ("/models/a/unload", {"parameters": {"unload_dependents": "y"}}, 400, "true or false"),
            ("/models/a/unload", {"parameters": {"x": True}}, 400, "'x'"),
            ("/models/" + "a" * 300 + "/load", b"", 400, "256"),
            ("/models/a%00b/load", b"", 400, ""),
            ("/models/..%2fb/load", {"parameters": {"config": "{}", "file:1/m": ""}}, 400, "name"),
            ("/mine/index", b"", 501, "repository_name"),
            ("/mine/models/a/load", b"", 501, "repository_name"),
            ("/mine/models/a/unload", b"", 501, "repository_name")]:
        r = post(path, body)
        assert r.status == status and said in r.json()["error"], (path, body, r)
    assert [ask(s, name) for name in "abc"] == [2, 3, 4]


def test_no_request_is_dropped_while_models_come_and_go(serve, root):
    s = serve(*EXPLICIT, paths=[root])
    stop, bad = threading.Event(), []

    def run():
        with s.connect() as c:
            while not stop.is_set():
                c.send(harness.request("POST", "/v2/models/a/infer", {"inputs": [
                    {"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [1]}]}))
                r = c.reply()
                if r.status != 200 or r.json()["outputs"][0]["data"][0] not in (2, 31, 41):
                    bad.append(r)
    threads = [threading.Thread(target=run) for _ in range(3)]
    for t in threads:
        t.start()
    for i in range(6):
        models.add(root / "a" / "1" / "model.onnx", 30 + 10 * (i % 2))
        assert load(s, "a").status == 200
        assert s.post("/v2/repository/models/b/unload").status == 200
        assert load(s, "b").status == 200
    stop.set()
    for t in threads:
        t.join()
    assert not bad, bad[:3]


def test_loads_and_unloads_at_once_end_in_their_order(serve, root):
    """All of one model and of others, sent together: each is answered, the last decides."""
    s = serve(*EXPLICIT, paths=[root])
    conns = [s.connect(timeout=60) for _ in range(12)]
    for i, c in enumerate(conns):
        verb = "unload" if i % 3 == 2 else "load"
        c.send(harness.request("POST", f"/v2/repository/models/{'ab'[i % 2]}/{verb}"))
    s.signal(signal.SIGHUP)
    assert [c.reply().status for c in conns] == [200] * 12
    for c in conns:
        c.close()
    assert s.post("/v2/repository/models/a/unload").status == 200
    assert load(s, "b").status == 200
    assert ask(s, "a") is None and ask(s, "b") == 3 and ask(s, "c") == 4


def test_a_reload_serves_what_is_loaded(serve, root):
    s = serve(*EXPLICIT, "--load-models", "a,b", paths=[root])
    assert s.post("/v2/repository/models/b/unload").status == 200
    models.add(root / "a" / "2" / "model.onnx", 50)
    models.add(root / "d" / "1" / "model.onnx", 4)
    s.signal(signal.SIGHUP)
    harness.wait_until(lambda: ask(s, "a") == 51, 30, "the new version")
    assert [ask(s, name) for name in "bcd"] == [None] * 3
    assert set(index(s)) == {("a", "2"), ("a", "1"), ("b", "1"), ("c", None), ("d", None)}


def test_a_reload_does_not_change_who_may_load(serve, root, tmp_path):
    config = tmp_path / "galley.yaml"
    for before, after in (("none", "explicit"), ("explicit", "none")):
        config.write_text(f"models: [{root}]\nmodel_control: {before}\n")
        s = serve("--config", config)
        config.write_text(f"models: [{root}]\nmodel_control: {after}\n")
        s.signal(signal.SIGHUP)
        assert "model_control" in s.wait_line("restart_needed")["message"]
        s.wait_line("ready", after=1)
        assert load(s, "a").status == (503 if before == "none" else 200)
        assert ask(s, "a") == 2


def test_a_stop_while_a_load_is_under_way(serve, root):
    s = serve(*EXPLICIT, "--warmup", "300", "--grace", "60s", paths=[root])
    models.slow(root / "slow" / "1" / "model.onnx", least=60)
    with s.connect(timeout=60) as first, s.connect(timeout=60) as second, s.connect() as look:
        first.send(harness.request("POST", "/v2/repository/models/slow/load"))
        harness.wait_until(lambda: index(s).get(("slow", None)) == ("LOADING", None), 30, "LOADING")
        second.send(harness.request("POST", "/v2/repository/models/b/unload"))
        assert ask(s, "a") == 2  # serves on meanwhile
        harness.wait_until(lambda: look.metric("http_requests_in_flight") == 3, 20, "both, and the scrape itself")
        s.signal(signal.SIGTERM)
        for c in (first, second):
            r = c.reply()
            assert r.status == 503 and "shutting down" in r.json()["error"]
    assert s.wait_exit(60) == 0


def test_a_client_that_leaves_does_not_end_its_load(serve, root):
    s = serve(*EXPLICIT, "--load-models", "a", paths=[root])
    with s.connect() as c:
        c.send(harness.request("POST", "/v2/repository/models/b/load"))
    harness.wait_until(lambda: ask(s, "b") == 3, 30, "the model")


# --- classification, generate ---

SCORES = """
max_batch_size: 4
input { name: "x" data_type: TYPE_FP32 dims: [ 3 ] }
output { name: "y" data_type: TYPE_FP32 dims: [ 3 ] label_filename: "labels.txt" }
"""


@pytest.fixture
def scores(serve, tmp_path):
    models.identity(tmp_path / "m" / "labelled" / "1" / "model.onnx", shape=("n", 3))
    (tmp_path / "m" / "labelled" / "config.pbtxt").write_text(SCORES)
    (tmp_path / "m" / "labelled" / "labels.txt").write_text("cat\r\ndog\n")
    models.identity(tmp_path / "m" / "plain" / "1" / "model.onnx", shape=("n", 3))
    models.identity(tmp_path / "m" / "whole" / "1" / "model.onnx", shape=(2, 3))
    models.identity(tmp_path / "m" / "ints" / "1" / "model.onnx", "INT64", shape=("n", 4))
    models.identity(tmp_path / "m" / "text" / "1" / "model.onnx", "BYTES", shape=("n", 1))
    return serve(paths=[tmp_path / "m"])


def test_classification_with_tritonclient(scores):
    with client(scores) as c:
        x = triton.InferInput("x", [2, 3], "FP32")
        x.set_data_from_numpy(np.array([[0.25, 0.5, 0.25], [3, 1, 2]], np.float32))
        for binary in (True, False):
            def classes(model, k, x=x):
                y = triton.InferRequestedOutput("y", binary_data=binary, class_count=k)
                return c.infer(model, [x], outputs=[y]).as_numpy("y").tolist()

            text = lambda rows: [[v if not binary else v.encode() for v in r] for r in rows]
            assert classes("labelled", 2) == text([["0.5:1:dog", "0.25:0:cat"],
                                                   ["3.0:0:cat", "2.0:2"]])
            assert classes("plain", 9) == text([["0.5:1", "0.25:0", "0.25:2"],
                                                ["3.0:0", "2.0:2", "1.0:1"]])
            assert classes("whole", 2) == text([["3.0:3", "2.0:5"]])[0]
        n = triton.InferInput("x", [1, 4], "INT64")
        n.set_data_from_numpy(np.array([[-5, 2**53 + 1, 2**53, -5]], np.int64))
        y = triton.InferRequestedOutput("y", class_count=4)
        assert c.infer("ints", [n], outputs=[y]).as_numpy("y").tolist() == [
            [b"9007199254740993:1", b"9007199254740992:2", b"-5:0", b"-5:3"]]
    with client(scores) as c:
        assert c.get_model_config("labelled")["output"][0]["label_filename"] == "labels.txt"


def test_classes_of_not_a_number_and_of_nothing(scores):
    r = scores.post("/v2/models/plain/infer", {
        "inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32",
                    "data": ["NaN", "-Infinity", "Infinity"]}],
        "outputs": [{"name": "y", "parameters": {"classification": 3}}]})
    assert r.json()["outputs"] == [{"name": "y", "datatype": "BYTES", "shape": [1, 3],
                                    "data": ["inf:2", "-inf:1", "nan:0"]}]
    r = scores.post("/v2/models/plain/infer", {
        "inputs": [{"name": "x", "shape": [0, 3], "datatype": "FP32", "data": []}],
        "outputs": [{"name": "y", "parameters": {"classification": 3}}]})
    assert r.status == 200 and r.json()["outputs"][0]["data"] == [], r


def test_labels_that_are_not_there_fail_the_load(serve, tmp_path):
    models.identity(tmp_path / "labelled" / "1" / "model.onnx", shape=("n", 3))
    (tmp_path / "labelled" / "config.pbtxt").write_text(SCORES)
    s = serve(paths=[tmp_path], wait="live")
    assert "labels.txt" in s.wait_line("model_failed")["place"]


@pytest.mark.parametrize("name, case", CASES)
def test_generate_answers_the_examples_cases(examples, name, case):
    reply = examples.post(f"/v2/models/{name}/generate", {t["name"]: t["data"] for t in case["oip"]["inputs"]})
    assert reply.status == 200, reply
    same_bits(examples, name, case, reply.json()["label"], reply.json()["probabilities"])


def test_generate(scores):
    post = lambda path, body: scores.post("/v2/models/" + path, body)
    r = post("text/generate", {"x": "hello", "id": "7", "parameters": {"priority": 1}, "other": 1.5})
    assert r.json() == {"id": "7", "model_name": "text", "model_version": "1", "y": "hello"}
    assert post("text/versions/1/generate", {"x": ["a", "b"]}).json()["y"] == ["a", "b"]
    assert post("plain/generate", {"x": [1, 2, 3.5]}).json()["y"] == [1, 2, 3.5]
    r = post("text/generate_stream", {"x": "ü\n"})
    assert r.header("Content-Type") == "text/event-stream; charset=utf-8"
    body = r.body.decode()
    assert body.startswith("data: {") and body.endswith("}\n\n") and body.count("\n") == 2
    assert json.loads(body[6:]) == {"model_name": "text", "model_version": "1", "y": "ü\n"}
    assert post("text/versions/1/generate_stream", {"x": "a"}).status == 200
    for path, body, status, said in [
            ("text/generate", {"x": "a", "timeout": "soon"}, 400, "timeout"),
            ("text/generate", b"", 400, "JSON"), ("text/generate", b"[1]", 400, "object"),
            ("text/generate", {}, 400, "missing"), ("text/generate", {"x": 1}, 400, "x"),
            ("text/generate", {"x": "a", "y": []}, 400, "y"),
            ("text/generate", {"x": "a", "id": 1}, 400, "id"),
            ("text/generate", {"x": "a", "sequence_id": 3}, 501, "no state"),
            ("text/generate", {"x": "a", "parameters": 1}, 400, "parameters"),
            ("plain/generate", {"x": [1, 2]}, 400, "2 values"),
            ("plain/generate", {"x": [[1, 2, 3]]}, 400, "values"),
            ("plain/generate", b'{"x":[1,2,3],"x":[1,2,3]}', 400, "twice"),
            ("none/generate", {"x": "a"}, 404, "none"),
            ("text/generate_stream", {"x": 1}, 400, "x")]:
        r = post(path, body)
        assert r.status == status and said in r.json()["error"], (path, body, r)


def test_generate_of_a_classifier(examples):
    iris = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
    r = examples.post("/v2/models/iris/generate", iris)
    assert r.json()["label"] == "setosa" and len(r.json()["probabilities"]) == 3, r
