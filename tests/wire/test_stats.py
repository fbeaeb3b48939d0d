# SPDX-License-Identifier: Apache-2.0
"""Statistics in the protocol's form, load gauges, and metrics by Triton's names."""
import re
import time

import jsonschema
import numpy as np
import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

import harness

triton = pytest.importorskip("tritonclient.http", reason="tritonclient is not installed")

SPANS = {"success", "fail", "queue", "compute_input", "compute_infer", "compute_output",
         "cache_hit", "cache_miss"}
NV_MODEL = {
    "nv_inference_request_success": "counter", "nv_inference_request_failure": "counter",
    "nv_inference_count": "counter", "nv_inference_exec_count": "counter",
    "nv_inference_request_duration_us": "counter", "nv_inference_queue_duration_us": "counter",
    "nv_inference_compute_input_duration_us": "counter",
    "nv_inference_compute_infer_duration_us": "counter",
    "nv_inference_compute_output_duration_us": "counter",
    "nv_inference_pending_request_count": "gauge", "nv_model_load_duration_secs": "gauge",
    "nv_cache_num_hits_per_model": "counter", "nv_cache_num_misses_per_model": "counter",
    "nv_cache_hit_duration_per_model": "counter", "nv_cache_miss_duration_per_model": "counter"}
NV_MACHINE = {"nv_cpu_utilization", "nv_cpu_memory_total_bytes", "nv_cpu_memory_used_bytes"}


def page(server, accept=None, parse=text_string_to_metric_families):
    reply = server.get("/metrics", {"Accept": accept} if accept else None)
    assert reply.status == 200
    return {f.name: f for f in parse(reply.body.decode())}


def value(families, sample, **labels):
    """The parser calls each sample of a counter ..._total."""
    if sample.startswith("nv_") and families[sample].type == "counter":
        sample += "_total"
    found = [s.value for f in families.values() for s in f.samples
             if s.name == sample and labels.items() <= s.labels.items()]
    assert found, f"no {sample} {labels}"
    return sum(found)


def rows(server, model, count):
    r = server.infer(model, {"x": ("FP32", [count, 2], [0.5] * 2 * count)})
    assert r.status == 200


def only(reply):
    assert reply.status == 200
    (stats,) = reply.json()["model_stats"]
    return stats


def check_sums(s):
    """What holds at rest, whatever was sent."""
    n = s["inference_stats"]
    assert set(n) == SPANS
    assert all(set(v) == {"count", "ns"} for v in n.values())
    assert sum(b["compute_infer"]["count"] for b in s["batch_stats"]) == s["execution_count"]
    assert sum(b["batch_size"] * b["compute_infer"]["count"] for b in s["batch_stats"]) \
        == s["inference_count"]
    sizes = [b["batch_size"] for b in s["batch_stats"]]
    assert sizes == sorted(set(sizes))
    for part in ("compute_input", "compute_infer", "compute_output"):
        assert n[part]["count"] == n["success"]["count"] - n["cache_hit"]["count"]
        for b in s["batch_stats"]:
            assert b[part]["count"] == b["compute_infer"]["count"]
    # A job is timed in whole microseconds from begin to end, a call in nanoseconds.
    assert n["compute_infer"]["ns"] <= n["success"]["ns"] + 1000 * n["success"]["count"]


# --- statistics ---

def test_what_was_asked_is_counted_exactly(serve, zoo_dir):
    s = serve(paths=[zoo_dir / "id-fp32"])
    fresh = only(s.get("/v2/models/id-fp32/stats"))
    assert (fresh["name"], fresh["version"]) == ("id-fp32", "1")
    assert fresh["inference_count"] == fresh["execution_count"] == fresh["last_inference"] == 0
    assert fresh["batch_stats"] == [] and fresh["response_stats"] == {}
    assert fresh["memory_usage"] == []
    before = time.time()
    for count in (1, 1, 1, 4, 4, 100, 2000):
        rows(s, "id-fp32", count)
    stats = only(s.get("/v2/models/id-fp32/stats"))
    check_sums({**stats, "inference_count": 3 + 8 + 100 + 1024})  # larger calls count as 1024
    assert stats["inference_count"] == 3 + 8 + 100 + 2000
    assert stats["execution_count"] == 7
    assert stats["inference_stats"]["success"]["count"] == 7
    assert stats["inference_stats"]["queue"]["count"] == 7
    assert stats["inference_stats"]["fail"] == {"count": 0, "ns": 0}
    assert [(b["batch_size"], b["compute_infer"]["count"]) for b in stats["batch_stats"]] \
        == [(1, 3), (4, 2), (100, 1), (1024, 1)]
    assert before - 1 < stats["last_inference"] / 1000 < time.time() + 1
    again = only(s.get("/v2/models/id-fp32/versions/1/stats"))
    assert again == stats


def test_requests_that_share_calls_are_counted_once_each(serve, zoo_dir):
    """Pipelined: what one turn of the loop reads may run as one call."""
    s = serve(paths=[zoo_dir / "id-fp32"])
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}
    request = harness.request("POST", "/v2/models/id-fp32/infer", body)
    with s.connect() as c:
        for _ in range(20):
            c.send(request * 25)
            assert all(c.reply().status == 200 for _ in range(25))
    stats = only(s.get("/v2/models/id-fp32/stats"))
    check_sums(stats)
    assert stats["inference_count"] == stats["inference_stats"]["success"]["count"] == 500
    assert 20 <= stats["execution_count"] <= 500
    families = page(s)
    assert value(families, "inference_batch_size_count") == stats["execution_count"]
    assert value(families, "inference_batch_size_sum") == 500
    assert value(families, "inference_compute_duration_seconds_count") == 500


def test_failures_have_their_time_and_no_rows(serve, zoo_dir):
    s = serve(paths=[zoo_dir / "failing"])
    assert s.infer("failing", {"x": ("INT64", [1, 1], [9])}).status >= 400
    assert s.infer("failing", {"x": ("INT64", [2, 1], [0, 0])}).status == 200
    stats = only(s.get("/v2/models/failing/stats"))
    check_sums(stats)
    assert stats["inference_stats"]["fail"]["count"] == 1
    assert stats["inference_stats"]["fail"]["ns"] > 0
    assert stats["inference_count"] == 2 and stats["execution_count"] == 1


def test_all_models_and_all_versions(zoo):
    everything = zoo.get("/v2/models/stats").json()["model_stats"]
    names = [(m["name"], m["version"]) for m in everything]
    assert len(names) == len(set(names))
    assert [v for n, v in names if n == "versions"] == ["10", "2", "1"]
    versions = zoo.get("/v2/models/versions/stats").json()["model_stats"]
    assert [m["version"] for m in versions] == ["10", "2", "1"]
    assert only(zoo.get("/v2/models/versions/versions/2/stats"))["version"] == "2"
    assert only(zoo.get("/v2/models/name%20with%20space/stats"))["name"] == "name with space"


@pytest.mark.parametrize("path", ["/v2/models/nobody/stats", "/v2/models/versions/versions/3/stats"])
def test_a_stranger_has_no_statistics(zoo, path):
    reply = zoo.get(path)
    assert reply.status == 404 and reply.json()["error"]
    assert zoo.post(path, {}).status == 405


def test_a_model_that_did_not_load_has_none(serve, zoo_dir, tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.onnx").write_bytes(b"nothing of the kind")
    s = serve(paths=[zoo_dir / "id-fp32", tmp_path / "broken"], wait=None)
    s.wait_line("not_ready")
    assert [m["name"] for m in s.get("/v2/models/stats").json()["model_stats"]] == ["id-fp32"]
    reply = s.get("/v2/models/broken/stats")
    assert reply.status == 503 and "broken" in reply.json()["error"]


def test_tritonclient_reads_them(serve, zoo_dir):
    s = serve(paths=[zoo_dir / "id-fp32", zoo_dir / "versions"])
    x = triton.InferInput("x", [3, 2], "FP32")
    x.set_data_from_numpy(np.ones((3, 2), np.float32))
    with triton.InferenceServerClient(f"127.0.0.1:{s.port}") as c:
        assert "statistics" in c.get_server_metadata()["extensions"]
        for _ in range(5):
            c.infer("id-fp32", [x])
        (stats,) = c.get_inference_statistics("id-fp32")["model_stats"]
        check_sums(stats)
        assert stats["inference_count"] == 15 and stats["execution_count"] == 5
        assert len(c.get_inference_statistics()["model_stats"]) == 4
        (one,) = c.get_inference_statistics("versions", "2")["model_stats"]
        assert one["version"] == "2" and one["inference_count"] == 0
        with pytest.raises(triton.InferenceServerException, match="nobody"):
            c.get_inference_statistics("nobody")


# --- gauges ---

def test_load_gauges_tell_of_each_version(serve, zoo_dir):
    s = serve("--workers", "3", paths=[zoo_dir / "slow"])
    labels = {"model": "slow", "model_version": "1"}
    with s.connect() as c:
        body = {"inputs": [{"name": "x", "datatype": "INT64", "shape": [1, 1], "data": [4000]}]}
        c.send(harness.request("POST", "/v2/models/slow/infer", body))

        def gauges():
            families = page(s)
            return [value(families, f"inference_{x}", **labels) for x in ("calls_running", "requests_in_flight")]
        harness.wait_until(lambda: gauges() == [1, 1], 20, "a call to run", 0.05)
        assert c.reply().status == 200
    families = page(s)
    assert value(families, "inference_requests_in_flight", **labels) == 0
    assert value(families, "inference_calls_running", **labels) == 0
    assert value(families, "inference_queue_requests", **labels) == 0
    assert value(families, "inference_queue_bytes", **labels) == 0
    assert value(families, "inference_workers", **labels) == 3
    took = value(families, "ml_prediction_duration_seconds_sum", **labels)
    assert took / 2 < value(families, "inference_p99_latency_seconds", **labels) < took * 1.2
    assert value(families, "inference_batch_rows_max", **labels) >= 0
    assert value(families, "inference_batch_delay_seconds", **labels) == 0

    def busy():
        return value(page(s), "inference_busy_ratio", **labels)
    harness.wait_until(lambda: 0 < busy() <= 1, 20, "the share of busy workers")


def test_a_version_that_is_gone_takes_its_gauges_along(serve, zoo_dir, tmp_path):
    for name in ("id-fp32", "two"):
        (tmp_path / name).symlink_to(zoo_dir / name)
    s = serve(paths=[tmp_path])
    harness.wait_until(lambda: len(page(s).get("inference_busy_ratio", ()) and
                                   page(s)["inference_busy_ratio"].samples) == 2, 20, "two models")
    (tmp_path / "two").unlink()
    s.signal(1)
    s.wait_line("ready", after=1)
    for name in ("inference_busy_ratio", "inference_batch_fill_ratio", "inference_queue_requests"):
        harness.wait_until(lambda n=name: {x.labels["model"] for x in page(s)[n].samples}
                           == {"id-fp32"}, 20, f"{name} of one model")


# --- formats ---

def test_openmetrics_is_what_its_own_parser_takes(serve, zoo_dir):
    s = serve("--triton-metrics", "on", paths=[zoo_dir / "id-fp32"])
    rows(s, "id-fp32", 8)
    accept = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5"
    reply = s.get("/metrics", {"Accept": accept})
    assert reply.header("Content-Type") == \
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert reply.body.endswith(b"\n# EOF\n")
    families = page(s, accept, openmetrics.text_string_to_metric_families)
    assert families["http_requests"].type == "counter"
    assert families["nv_inference_count"].type == "unknown"
    assert value(families, "inference_batch_size_bucket", le="8.0", model="id-fp32") == 1
    text = page(s)
    lacking = {n for n in text if n not in families} - {"http_requests"}
    assert not lacking, lacking


@pytest.mark.parametrize("accept", [None, "*/*", "text/plain", "text/html, */*;q=0.1",
                                    "application/openmetrics-text;q=0", "application/json",
                                    "application/vnd.google.protobuf;proto=x;encoding=delimited"])
def test_anyone_else_gets_text(examples, accept):
    reply = examples.get("/metrics", {"Accept": accept} if accept else None)
    assert reply.status == 200
    assert reply.header("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    assert re.search(rb"^galley_build_info\{", reply.body, re.M)


# --- Triton's names ---

def test_tritons_names_are_there_when_asked_for(serve, zoo_dir):
    s = serve("--triton-metrics", "on", paths=[zoo_dir / "id-fp32", zoo_dir / "failing"])
    for count in (1, 4, 4):
        rows(s, "id-fp32", count)
    assert s.infer("failing", {"x": ("INT64", [1, 1], [9])}).status >= 400
    assert s.infer("failing", {"x": ("FP32", [1, 1], [9])}).status == 400
    families = page(s)
    names = {n for n in families if n.startswith("nv_")}
    assert names == set(NV_MODEL) | NV_MACHINE
    for name, kind in NV_MODEL.items():
        assert families[name].type == kind, name
        assert families[name].documentation
        for sample in families[name].samples:
            assert set(sample.labels) - {"reason"} == {"model", "version"}
    model = {"model": "id-fp32", "version": "1"}
    assert value(families, "nv_inference_request_success", **model) == 3
    assert value(families, "nv_inference_count", **model) == 9
    assert value(families, "nv_inference_exec_count", **model) == 3
    assert value(families, "nv_inference_request_duration_us", **model) \
        >= value(families, "nv_inference_compute_infer_duration_us", **model) > 0
    assert value(families, "nv_model_load_duration_secs", **model) \
        == value(families, "galley_model_load_duration_seconds", model="id-fp32")
    failed = {r: value(families, "nv_inference_request_failure", model="failing", reason=r)
              for r in ("REJECTED", "CANCELED", "BACKEND", "OTHER")}
    assert failed == {"REJECTED": 0, "CANCELED": 0, "BACKEND": 1, "OTHER": 1}
    assert value(families, "nv_cpu_memory_used_bytes") \
        < value(families, "nv_cpu_memory_total_bytes")

    def utilization():
        rows(s, "id-fp32", 1)
        return value(page(s), "nv_cpu_utilization")
    harness.wait_until(lambda: 0 < utilization() <= 1, 20, "the processors' share")
    # The same as the protocol's statistics say.
    stats = only(s.get("/v2/models/id-fp32/stats"))
    families = page(s)
    assert value(families, "nv_inference_count", **model) == stats["inference_count"]
    for name, key in (("request", "success"), ("queue", "queue"), ("compute_input",) * 2,
                      ("compute_infer",) * 2, ("compute_output",) * 2):
        assert value(families, f"nv_inference_{name}_duration_us", **model) \
            == stats["inference_stats"][key]["ns"] // 1000


def test_tritons_names_are_not_there_otherwise(examples):
    assert not [n for n in page(examples) if n.startswith("nv_")]


def test_the_answer_fits_the_openapi_document(zoo):
    document = zoo.get("/openapi.json").json()
    rows(zoo, "id-fp32", 2)
    for path in ("/v2/models/stats", "/v2/models/versions/stats",
                 "/v2/models/id-fp32/versions/1/stats"):
        answer = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
        schema = {**answer["schema"], "components": document["components"]}
        jsonschema.validate(zoo.get(path).json(), schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"model_stats": [{"name": "x"}]}, schema)
