# SPDX-License-Identifier: Apache-2.0
"""`galley bench --protocol grpc` against the real server, a server of Python's gRPC, and servers that speak none. That it
was gRPC is taken from what the server itself has counted."""
import concurrent.futures
import http.server
import re
import struct
import threading

import pytest

import harness
from bench_reports import QUICK, bench, check_result, counted, median, report, served, url

grpc = pytest.importorskip("grpc")
pytest.importorskip("tritonclient.grpc")
from tritonclient.grpc import service_pb2 as pb  # noqa: E402
from tritonclient.grpc import service_pb2_grpc as rpc  # noqa: E402

GRPC = ["--protocol", "grpc"]


def asked(server, path):
    """Requests to this path, by the server's own metrics."""
    text = server.get("/metrics").body.decode()
    return sum(int(n) for n in re.findall(
        rf'^http_requests_total{{method="POST",path="{re.escape(path)}",status="\d+"}} (\d+)', text, re.M))


def infers(server):
    return asked(server, "/inference.GRPCInferenceService/ModelInfer")


# --- what works ---
def test_a_closed_loop_is_of_grpc_calls(examples):
    calls, answers = infers(examples), counted(examples, "iris")
    doc = report(url(examples), "-m", "iris", "-c", "1,4", "--rows", "3", *GRPC, *QUICK)
    assert doc["targets"][0]["protocol"] == "grpc" and doc["loop"] == "closed"
    total = 0
    for i in range(2):
        r = median(doc, i)
        check_result(r)
        assert r["failed"] == 0 and r["ok"] > 10 and r["by_status"] == {"200": r["ok"]}
        assert r["rows_per_s"] == pytest.approx(3 * r["requests_per_s"])
        assert r["server"]["rows"] == 3 * r["server"]["requests"] >= 3 * r["ok"]
        total += r["ok"]
    assert infers(examples) - calls >= total
    assert infers(examples) - calls == counted(examples, "iris") - answers  # nothing went another way


def test_an_open_loop_offers_its_rate(examples):
    calls = infers(examples)
    doc = report(url(examples), "-m", "iris", "--rate", "400", "--arrivals", "constant", "-d", "1s", "--warmup", "0s", *GRPC)
    r = median(doc)
    check_result(r)
    assert doc["loop"] == "open" and 398 <= r["offered"] <= 401 and r["failed"] == 0
    assert infers(examples) - calls == r["offered"]


@pytest.mark.parametrize("model", ["id-bool", "id-int8", "id-uint64", "id-fp16", "id-fp64", "id-bytes", "scalar", "two",
                                   "name with space"])
def test_every_datatype_is_taken(zoo, model):
    r = median(report(url(zoo), "-m", model, "-c", "2", *GRPC, *QUICK))
    check_result(r)
    assert r["failed"] == 0 and r["ok"] > 10


def test_large_tensors_go_both_ways(zoo):
    """Longer than any window that the server begins with, and than what one write takes."""
    doc = report(url(zoo), "-m", "free", "--shape", "x:300x1000", "-c", "4", *GRPC, *QUICK)
    r = median(doc)
    check_result(r)
    assert r["failed"] == 0 and r["ok"] > 4
    assert doc["targets"][0]["request_bytes"] > 1_200_000
    assert r["bytes_in_per_s"] > 1_000_000 * r["requests_per_s"]


def test_a_version_is_asked_for(zoo):
    doc = report(url(zoo), "-m", "versions", "--model-version", "2", "-c", "1", *GRPC, *QUICK)
    assert median(doc)["failed"] == 0
    stats = zoo.get("/v2/models/versions/versions/2/stats").json()["model_stats"]
    assert stats[0]["inference_stats"]["success"]["count"] >= median(doc)["ok"]


def test_a_port_of_grpc_alone_will_do(serve):
    port = harness.free_port()
    s = serve("--grpc-port", port, paths=[harness.EXAMPLES / "iris"])
    doc = report(f"http://127.0.0.1:{port}", "-c", "2", *GRPC, *QUICK)
    assert doc["targets"][0]["model"] == "iris" and median(doc)["failed"] == 0
    assert median(doc)["server"] is None  # statistics are REST's
    assert infers(s) >= median(doc)["ok"] > 10
    r = bench(f"http://127.0.0.1:{port}", "-c", "2", *QUICK, code=1)
    assert "no HTTP/1.1" in r.stderr and "loaded with --protocol grpc" in r.stderr


# --- a server of another's making ---
class Foreign(rpc.GRPCInferenceServiceServicer):
    """One model, of one input; what it is asked is kept."""

    def __init__(self, refusal=None):
        self.requests, self.left_s, self.refusal = [], [], refusal

    def ModelMetadata(self, request, context):
        if request.name != "m":
            context.abort(grpc.StatusCode.NOT_FOUND, f"no model {request.name}")
        tensor = pb.ModelMetadataResponse.TensorMetadata
        return pb.ModelMetadataResponse(name="m", versions=["7"], inputs=[
            tensor(name="a", datatype="INT32", shape=[-1, 2]), tensor(name="b", datatype="BYTES", shape=[-1])])

    def ModelInfer(self, request, context):
        self.requests.append(request)
        self.left_s.append(context.time_remaining())
        if self.refusal:
            context.abort(*self.refusal)
        return pb.ModelInferResponse(model_name="m", raw_output_contents=[b"1234"])


class running:
    def __init__(self, servicer):
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
        rpc.add_GRPCInferenceServiceServicer_to_server(servicer, self.server)
        self.port = self.server.add_insecure_port("127.0.0.1:0")

    def __enter__(self):
        self.server.start()
        return f"http://127.0.0.1:{self.port}"

    def __exit__(self, *_):
        self.server.stop(None).wait()


def test_a_server_of_pythons_is_asked_by_the_protocol():
    servicer = Foreign()
    with running(servicer) as where:
        doc = report(where, "-m", "m", "-c", "2", "--rows", "3", "--timeout", "7s", "--distinct", "2", *GRPC, *QUICK)
    r = median(doc)
    check_result(r)
    assert r["failed"] == 0 and r["ok"] > 5 and r["server"] is None
    first = servicer.requests[0]
    assert first.model_name == "m" and first.model_version == ""
    assert [(i.name, i.datatype, list(i.shape)) for i in first.inputs] == [("a", "INT32", [3, 2]), ("b", "BYTES", [3])]
    assert set(struct.unpack("<6i", first.raw_input_contents[0])) <= {0, 1}
    assert first.raw_input_contents[1] == b"\1\0\0\0a" * 3
    assert not first.inputs[0].HasField("contents") and not first.parameters
    assert all(0 < left <= 7 for left in servicer.left_s)
    assert len({bytes(q.SerializeToString(deterministic=True)) for q in servicer.requests}) == 2


@pytest.mark.parametrize("code, status", [
    (grpc.StatusCode.RESOURCE_EXHAUSTED, "429"),
    (grpc.StatusCode.UNAVAILABLE, "503"),
    (grpc.StatusCode.DEADLINE_EXCEEDED, "504"),
    (grpc.StatusCode.INVALID_ARGUMENT, "400"),
    (grpc.StatusCode.UNKNOWN, "500"),
])
def test_codes_are_counted_as_statuses_and_told_by_name(code, status):
    with running(Foreign((code, "50 % – später"))) as where:
        r = median(report(where, "-m", "m", "-c", "2", *GRPC, *QUICK, code=1))
        check_result(r)
        assert set(r["by_status"]) == {status} and r["ok"] == 0 and r["failed"] > 5
        shown = bench(where, "-m", "m", "-c", "2", *GRPC, *QUICK, code=1)
    assert f"note: the first answer {status} said: {code.name}: 50 % – später\n" in shown.stdout


def test_a_model_that_is_not_there_is_told_in_the_servers_words(examples):
    with running(Foreign()) as where:
        r = bench(where, "-m", "x", *GRPC, code=1)
        assert "NOT_FOUND: no model x" in r.stderr and r.stdout == ""
        r = bench(where, *GRPC, code=1)
        assert "UNIMPLEMENTED" in r.stderr and "name the model: --model NAME" in r.stderr
    r = bench(url(examples), "-m", "x", *GRPC, code=1)
    assert "NOT_FOUND" in r.stderr and "ModelMetadata" in r.stderr
    r = bench(url(examples), *GRPC, code=1)
    assert "choose one: --model, of " in r.stderr and "iris" in r.stderr


# --- failures ---
def test_a_model_that_fails_fails_in_the_report(zoo):
    """It can only answer for 0, and inputs are 0 or 1."""
    doc = report(url(zoo), "-m", "failing", "-c", "2", *GRPC, *QUICK)
    r = median(doc)
    check_result(r)
    assert r["ok"] > 5 and r["failed"] > 5 and set(r["by_status"]) - {"200"} <= {"400", "500"}
    shown = bench(url(zoo), "-m", "failing", "-c", "2", "--slo", "errors=1%", *GRPC, *QUICK, code=3)
    assert "MISSED" in shown.stdout
    assert re.search(r"note: the first answer [45]00 said: (INTERNAL|INVALID_ARGUMENT): .+\n", shown.stdout)


def test_a_deadline_is_the_servers_to_keep(examples):
    r = median(report(url(examples), "-m", "iris", "-c", "2", "--timeout", "1us", *GRPC, *QUICK, code=1))
    check_result(r)
    assert r["by_status"] == {"504": r["offered"]} and r["offered"] > 5


def test_a_server_that_speaks_no_grpc_is_told_before_the_load():
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with served(Handler) as port:
        r = bench(f"http://127.0.0.1:{port}", "-m", "m", *GRPC, code=1)
    assert f"127.0.0.1:{port} does not speak gRPC (HTTP/2 with prior knowledge)" in r.stderr
    assert "name a port for gRPC" in r.stderr and r.stdout == ""


def test_a_server_that_goes_in_the_midst_is_counted():
    servicer = Foreign()
    with running(servicer) as where:
        found = {}
        load = threading.Thread(target=lambda: found.update(doc=report(
            where, "-m", "m", "-c", "2", "-d", "2s", "--warmup", "0s", *GRPC)))
        load.start()
        harness.wait_until(lambda: len(servicer.requests) > 20, 20, "requests")
    load.join()
    r = median(found["doc"])
    check_result(r)
    assert r["ok"] > 10


@pytest.mark.parametrize("where, says", [
    ("http://127.0.0.1:1/v2", "without a path"),
    ("https://127.0.0.1:1", "over http only"),
])
def test_a_target_that_cannot_be_is_a_wrong_command_line(where, says, examples):
    r = bench(where.replace(":1", f":{examples.port}"), "-m", "iris", *GRPC, code=2)
    assert says in r.stderr and r.stdout == ""
