# SPDX-License-Identifier: Apache-2.0
"""The trace and logging extensions: what clients read, change, and what follows from it."""
import json

import numpy as np
import pytest

import harness
import oip

triton = pytest.importorskip("tritonclient.http", reason="tritonclient is not installed")
InferenceServerException = pytest.importorskip("tritonclient.utils").InferenceServerException

X = {"x": ("FP32", [1, 2], [1, 2])}


def client(server):
    return triton.InferenceServerClient(f"127.0.0.1:{server.port}")


@pytest.fixture
def server(serve, zoo_dir, tmp_path):
    s = serve("--allow-client-settings", "on", "--trace-file", tmp_path / "trace", paths=[zoo_dir])
    s.trace = tmp_path / "trace"
    return s


def traces(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_only_where_it_is_allowed(zoo):
    with client(zoo) as c:
        assert c.get_log_settings()["log_info"] is True
        assert c.get_trace_settings()["trace_level"] == ["OFF"]
        for call in (lambda: c.update_log_settings({"log_info": False}),
                     lambda: c.update_trace_settings(settings={"trace_rate": "1"})):
            with pytest.raises(InferenceServerException, match="may not change settings"):
                call()


def test_the_log_follows(server):
    with client(server) as c:
        lines = lambda: len(server.lines("request"))
        assert c.get_log_settings() == {
            "log_file": "", "log_info": True, "log_warning": True, "log_error": True,
            "log_verbose_level": 0, "log_format": "json"}
        c.update_log_settings({"log_info": False})
        before = lines()
        server.get("/health")
        server.get("/health")
        assert lines() == before
        assert c.update_log_settings({"log_info": True, "log_verbose_level": 1})["log_verbose_level"] == 1
        server.get("/health")
        harness.wait_until(lambda: lines() > before, 10, "an access line")
        c.update_log_settings({"log_format": "console", "log_verbose_level": 0})
        server.get("/health")
        harness.wait_until(lambda: " request method=GET path=/health" in server.log(), 10,
                           "a console line")
        assert c.update_log_settings({"log_format": "default"})["log_format"] == "json"
        for bad, said in [({"log_file": "/tmp/x"}, "standard error"), ({"log_x": 1}, "log_x"),
                          ({"log_info": 1}, "true or false"), ({"log_verbose_level": "a"}, "number"),
                          ({"log_verbose_level": -1}, "number"), ({"log_format": "xml"}, "log_format"),
                          ({"log_error": False}, "ordered"), ({"log_info": None}, "true, false"),
                          ({"log_info": False, "log_verbose_level": 2}, "ordered")]:
            r = server.post("/v2/logging", bad)
            assert r.status == 400 and said in r.json()["error"], (bad, r)
        assert c.get_log_settings()["log_info"] is True  # nothing of a refused call is taken
        c.update_log_settings({"log_info": False, "log_warning": False, "log_error": False})
        assert server.get("/v2/logging").json()["log_error"] is False


def test_traces_are_written(server):
    with client(server) as c:
        assert c.get_trace_settings() == {
            "trace_file": str(server.trace), "trace_level": ["OFF"], "trace_rate": "1000",
            "trace_count": "-1", "log_frequency": "0", "trace_mode": "triton"}
        server.infer("id-fp32", X)
        assert traces(server.trace) == []
        got = c.update_trace_settings(settings={"trace_level": ["TIMESTAMPS"], "trace_rate": "2",
                                                "trace_count": "3"})
        assert got["trace_level"] == ["TIMESTAMPS"] and got["trace_rate"] == "2"
        for _ in range(10):
            server.infer("id-fp32", X)
        found = traces(server.trace)
        assert len(found) == 3 and [t["id"] for t in found] == [1, 2, 3]
        assert c.get_trace_settings()["trace_count"] == "0"
        for t in found:
            assert t["model_name"] == "id-fp32" and t["model_version"] == "1"
            names = [m["name"] for m in t["timestamps"]]
            assert names[:4] == ["HTTP_RECV_START", "HTTP_RECV_END", "REQUEST_START", "QUEUE_START"]
            assert {"COMPUTE_START", "COMPUTE_INPUT_END", "COMPUTE_OUTPUT_START", "COMPUTE_END",
                    "REQUEST_END"} <= set(names)
            at = {m["name"]: m["ns"] for m in t["timestamps"]}
            assert (at["HTTP_RECV_START"] <= at["REQUEST_START"] <= at["COMPUTE_START"]
                    <= at["COMPUTE_INPUT_END"] <= at["COMPUTE_OUTPUT_START"] <= at["COMPUTE_END"])
        assert c.update_trace_settings(settings={"trace_level": None, "trace_rate": None})[
            "trace_rate"] == "1000"


def test_tensors_are_traced_as_triton_writes_them(server):
    with client(server) as c:
        got = c.update_trace_settings(settings={"trace_level": ["TENSORS"], "trace_rate": "1"})
        assert got["trace_level"] == ["TENSORS"]
        nan, inf = float("nan"), float("inf")
        values = np.array([[1.5, nan], [-inf, 3e-9]], np.float32)
        body, n = oip.binary({"x": values})
        assert server.call("POST", "/v2/models/id-fp32/infer", body, {"Inference-Header-Content-Length": str(n)}).status == 200
        assert traces(server.trace) == [
            {"id": 1, "activity": activity, "tensor": {"name": name, "data": "1.5,NaN,-Infinity,3e-9", "shape": "2,2", "dtype": "FP32"}}
            for activity, name in (("TENSOR_QUEUE_INPUT", "x"), ("TENSOR_BACKEND_OUTPUT", "y"))]
        c.update_trace_settings(settings={"trace_level": ["TIMESTAMPS", "TENSORS"]})
        assert c.get_trace_settings()["trace_level"] == ["TIMESTAMPS", "TENSORS"]
        server.infer("id-bytes", {"x": ("BYTES", [1, 2], ['a "b"', "ä\n"])})
        server.infer("id-bool", {"x": ("BOOL", [1, 2], [True, False])})
        found = traces(server.trace)[2:]
        assert [t["id"] for t in found] == [2, 2, 2, 3, 3, 3] and all("timestamps" in t for t in found[::3])
        assert [t["tensor"]["data"] for t in found if "tensor" in t] == ['a "b",ä\n'] * 2 + ["true,false"] * 2
        big = np.arange(400000, dtype=np.float32).reshape(-1, 2)  # no line is cut
        body, n = oip.binary({"x": big})
        server.call("POST", "/v2/models/id-fp32/infer", body, {"Inference-Header-Content-Length": str(n)})
        told = traces(server.trace)[-1]["tensor"]
        assert told["shape"] == "200000,2" and np.array_equal(np.array(told["data"].split(","), np.float32), big.ravel())
        # Nothing of the answer where there was none.
        assert server.infer("failing", {"x": ("INT64", [1, 1], [5])}).status == 400
        assert [t.get("activity") for t in traces(server.trace)[-2:]] == [None, "TENSOR_QUEUE_INPUT"]


def test_a_model_has_settings_of_its_own(server):
    with client(server) as c:
        c.update_trace_settings("id-fp64", {"trace_level": ["TIMESTAMPS"], "trace_rate": "1"})
        assert c.get_trace_settings("id-fp64")["trace_rate"] == "1"
        assert c.get_trace_settings()["trace_level"] == ["OFF"]
        server.infer("id-fp32", X)
        server.infer("id-fp64", {"x": ("FP64", [1, 2], [1, 2])})
        assert [t["model_name"] for t in traces(server.trace)] == ["id-fp64"]
        c.update_trace_settings("id-fp64", {"trace_level": None})  # as for all models again
        assert c.get_trace_settings("id-fp64")["trace_level"] == ["OFF"]
        c.update_trace_settings("id-fp64", {"trace_level": "TIMESTAMPS", "log_frequency": "2"})
        for _ in range(4):
            server.infer("id-fp64", {"x": ("FP64", [1, 2], [1, 2])})
        files = sorted(p.name for p in server.trace.parent.glob("trace.*"))
        assert files == ["trace.0", "trace.1", "trace.2"], files
        with pytest.raises(InferenceServerException, match="unknown model"):
            c.get_trace_settings("nothing")
    for body, status, said in [({"trace_x": "1"}, 400, "trace_x"), ({"trace_rate": "0"}, 400, "trace_rate"),
                               ({"trace_rate": "a"}, 400, "trace_rate"), ({"trace_count": "-2"}, 400, "-1"),
                               ({"trace_level": ["MAX"]}, 400, "MAX"), ({"trace_level": []}, 400, "list"),
                               ({"trace_level": [1]}, 400, "text"), ({"trace_rate": {}}, 400, "text"),
                               ({"trace_file": "/etc/x"}, 501, "--trace-file"),
                               ({"trace_mode": "opentelemetry"}, 501, "trace_mode"),
                               ({"log_frequency": "-1"}, 400, "log_frequency"), ([], 400, "object")]:
        r = server.post("/v2/trace/setting", body)
        assert r.status == status and said in r.json()["error"], (body, r)
    assert server.get("/v2/trace/setting").json()["trace_rate"] == "1000"


def test_without_a_file_nothing_can_be_traced(serve, zoo_dir):
    s = serve("--allow-client-settings", "on", paths=[zoo_dir])
    r = s.post("/v2/trace/setting", {"trace_level": ["TIMESTAMPS"]})
    assert r.status == 400 and "--trace-file" in r.json()["error"]
    r = harness.galley("serve", zoo_dir, "--http-port", "0", "--trace-file", "/no/such/dir/file")
    assert r.returncode != 0 and "trace_file" in r.stderr + r.stdout
