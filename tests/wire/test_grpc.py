# SPDX-License-Identifier: Apache-2.0
"""gRPC with the clients that people have: grpcio, tritonclient (sync, asyncio, streams), kserve, grpcurl; and without
a client's manners."""
import asyncio
import gzip
import importlib.util
import json
import os
import queue
import shutil
import signal
import struct
import subprocess
import sys

import grpc
import h2.events
import numpy as np
import pytest

import grpc_stubs
import harness
import oip
from h2_client import Client
from test_cases import DOCUMENTS, arrays

triton = pytest.importorskip("tritonclient.grpc", reason="tritonclient is not installed")
aio = pytest.importorskip("tritonclient.grpc.aio")
from tritonclient.grpc import service_pb2 as pb  # noqa: E402
from tritonclient.grpc import service_pb2_grpc as rpc  # noqa: E402
from tritonclient.utils import InferenceServerException, np_to_triton_dtype  # noqa: E402

health, health_rpc = grpc_stubs.load("health")
FLOATS = np.array([[1.5, -2.25], [3.0, 4.0]], np.float32)
NAMED = b"\x0a\x07id-fp32"  # model_name
INFER = "/inference.GRPCInferenceService/ModelInfer"


def connect(server, **options):
    return grpc.insecure_channel(f"127.0.0.1:{server.port}", options=list(options.items()))


@pytest.fixture
def client(zoo):
    with triton.InferenceServerClient(f"127.0.0.1:{zoo.port}") as c:
        yield c


@pytest.fixture
def stub(zoo):
    with connect(zoo) as channel:
        yield rpc.GRPCInferenceServiceStub(channel)


def tensor(name, array, module=triton):
    t = module.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    t.set_data_from_numpy(array)
    return t


def request(model="id-fp32", array=FLOATS, name="x", **more):
    r = pb.ModelInferRequest(model_name=model, **more)
    r.inputs.add(name=name, datatype=oip.NAMES[array.dtype], shape=array.shape)
    r.raw_input_contents.append(oip.pack(array))
    return r


def refused(call, code):
    with pytest.raises(grpc.RpcError) as e:
        call()
    assert e.value.code() == code, e.value.details()
    return e.value.details()


# --- what the server tells of itself ---

def test_health_and_metadata(client, zoo):
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("id-fp32")
    assert not client.is_server_ready(headers={"x": "y"}) is None
    meta = client.get_server_metadata()
    rest = zoo.get("/v2").json()
    assert (meta.name, meta.version, list(meta.extensions)) == (rest["name"], rest["version"], rest["extensions"])
    meta = client.get_model_metadata("two", as_json=True)
    assert [i["name"] for i in meta["inputs"]] == ["a", "b", "t"]
    assert list(client.get_model_metadata("versions", "1").versions) == ["10", "2", "1"]


def test_the_configuration_is_what_rest_tells(client, zoo):
    for model in ("id-fp32", "two"):
        config = client.get_model_config(model).config
        rest = zoo.get(f"/v2/models/{model}/config").json()
        assert config.name == rest["name"] and config.max_batch_size == rest["max_batch_size"]
        assert [i.name for i in config.input] == [i["name"] for i in rest["input"]]
        assert [list(i.dims) for i in config.input] == [i["dims"] for i in rest["input"]]
        kind = type(config).DESCRIPTOR.fields_by_name["input"].message_type.fields_by_name["data_type"].enum_type
        assert [kind.values_by_number[i.data_type].name for i in config.input] == \
            [i["data_type"] for i in rest["input"]]


def test_statistics_count_as_rest_does(client, zoo):
    client.infer("id-fp32", [tensor("x", FLOATS)])
    got = client.get_inference_statistics("id-fp32").model_stats[0]
    rest = zoo.get("/v2/models/id-fp32/stats").json()["model_stats"][0]
    assert got.inference_count == rest["inference_count"] >= 2
    assert got.inference_stats.success.count == rest["inference_stats"]["success"]["count"]
    assert got.inference_stats.queue.ns == rest["inference_stats"]["queue"]["ns"]
    assert len(client.get_inference_statistics().model_stats) > 1


def test_the_index_lists_the_models(client):
    index = client.get_model_repository_index()
    assert {"id-fp32", "two"} <= {m.name for m in index.models}
    assert {m.version for m in index.models if m.name == "versions"} == {"1", "2", "10"}


def test_graphics_cards_are_not_here(client):
    with pytest.raises(InferenceServerException) as e:
        client.get_cuda_shared_memory_status()
    assert e.value.status() == "StatusCode.UNIMPLEMENTED"


def test_trace_and_log_settings_are_shown(client):
    assert client.get_trace_settings(as_json=True)["settings"]["trace_level"]["value"] == ["OFF"]
    assert client.get_log_settings().settings["log_info"].bool_param is True


# --- inference ---

def check_case(server, name, case, got):
    rest = oip.tensors(oip.post_binary(server, name, arrays(case)))
    assert [o.name for o in got.get_response().outputs] == list(rest)
    for key, want in rest.items():
        array = got.as_numpy(key)
        assert array.shape == want.shape and oip.pack(array) == oip.pack(want)


def inputs_of(case):
    return [tensor(k, v) for k, v in arrays(case).items()]


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_outputs_are_rests_to_the_bit(examples, name):
    with triton.InferenceServerClient(f"127.0.0.1:{examples.port}") as c:
        for case in DOCUMENTS[name]["cases"]:
            check_case(examples, name, case, c.infer(name, inputs_of(case)))


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_outputs_of_streams_are_rests_to_the_bit(examples, name):
    got = queue.Queue()
    with triton.InferenceServerClient(f"127.0.0.1:{examples.port}") as c:
        c.start_stream(callback=lambda result, error: got.put((result, error)))
        for case in DOCUMENTS[name]["cases"]:  # one by one: a row's last bits may depend on its company
            c.async_stream_infer(name, inputs_of(case))
            result, error = got.get(timeout=30 * harness.SCALE)
            assert error is None, error
            check_case(examples, name, case, result)
        c.stop_stream()


CONTENTS = {"BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents",
            "INT64": "int64_contents", "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents",
            "UINT64": "uint64_contents", "FP32": "fp32_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents"}


@pytest.mark.parametrize("datatype", sorted(CONTENTS))
def test_typed_contents_give_what_raw_ones_give(stub, zoo, datatype):
    model = f"id-{datatype.lower()}"
    known = [m["name"] for m in zoo.post("/v2/repository/index", {}).json()] \
        if zoo.post("/v2/repository/index", {}).status == 200 else zoo.get("/v2/models").json()["models"]
    assert model in known
    array = np.array([[0, 1], [1, 0]]).astype(oip.NUMPY[datatype]) if datatype != "BYTES" else \
        np.array([[b"a", b""], [b"\xc3\xa9", b"d"]], np.object_)
    r = pb.ModelInferRequest(model_name=model)
    t = r.inputs.add(name="x", datatype=datatype, shape=array.shape)
    getattr(t.contents, CONTENTS[datatype]).extend(array.flatten().tolist())
    raw = stub.ModelInfer(request(model, array))
    assert stub.ModelInfer(r) == raw
    assert raw.raw_output_contents[0] == oip.pack(array) and not raw.outputs[0].HasField("contents")


@pytest.mark.parametrize("datatype", ["FP16", "BF16"])
def test_halves_travel_raw_only(stub, datatype):
    array = np.array([[1, 2]]).astype(oip.NUMPY[datatype])
    model = f"id-{datatype.lower()}"
    assert stub.ModelInfer(request(model, array)).raw_output_contents[0] == oip.pack(array)
    r = pb.ModelInferRequest(model_name=model)
    r.inputs.add(name="x", datatype=datatype, shape=[1, 2]).contents.fp32_contents.extend([1, 2])
    assert "raw_input_contents" in refused(lambda: stub.ModelInfer(r), grpc.StatusCode.INVALID_ARGUMENT)


def test_outputs_id_and_version(client):
    r = client.infer("versions", [tensor("x", np.zeros((1, 1), np.float32))], model_version="2", request_id="r1",
                     outputs=[triton.InferRequestedOutput("y")])
    assert r.as_numpy("y").tolist() == [[2]]
    head = r.get_response()
    assert (head.id, head.model_name, head.model_version) == ("r1", "versions", "2")


def test_classification(client):
    r = client.infer("id-fp32", [tensor("x", FLOATS)], outputs=[triton.InferRequestedOutput("y", class_count=1)])
    assert [x.decode().split(":")[1] for x in r.as_numpy("y").flatten()] == ["0", "1"]


def test_asyncio(zoo):
    async def run():
        async with aio.InferenceServerClient(f"127.0.0.1:{zoo.port}") as c:
            assert await c.is_server_ready()
            answers = await asyncio.gather(*(c.infer("id-fp32", [tensor("x", FLOATS + i, aio)]) for i in range(100)))
            return [a.as_numpy("y") for a in answers]
    for i, got in enumerate(asyncio.run(run())):
        assert np.array_equal(got, FLOATS + i)


KSERVE = """
import asyncio, sys
import numpy as np, kserve
from kserve.inference_client import InferenceGRPCClient

async def run():
    c = InferenceGRPCClient(url=sys.argv[1])
    assert await c.is_server_live() and await c.is_server_ready() and await c.is_model_ready("id-fp32")
    t = kserve.InferInput("x", [2, 2], "FP32")
    t.set_data_from_numpy(np.array([[1.5, -2.25], [3.0, 4.0]], np.float32))
    r = await c.infer(kserve.InferRequest(model_name="id-fp32", infer_inputs=[t]))
    print(r.outputs[0].as_numpy().tolist())
    await c.close()
asyncio.run(run())
"""


def test_kserve_client(zoo):
    """In a process of its own: its description of the package and tritonclient's cannot live in one."""
    if importlib.util.find_spec("kserve") is None:
        pytest.skip("kserve is not installed")
    done = subprocess.run([sys.executable, "-c", KSERVE, f"127.0.0.1:{zoo.port}"], capture_output=True, text=True,
                          timeout=60 * harness.SCALE, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == FLOATS.tolist()


# --- errors ---

@pytest.mark.parametrize("change, code, text", [
    (lambda r: setattr(r, "model_name", "nobody"), grpc.StatusCode.NOT_FOUND, "nobody"),
    (lambda r: setattr(r.inputs[0], "name", "z"), grpc.StatusCode.INVALID_ARGUMENT, "unexpected inference input"),
    (lambda r: setattr(r.inputs[0], "datatype", "FP31"), grpc.StatusCode.INVALID_ARGUMENT, "FP31"),
    (lambda r: r.inputs[0].shape.append(1), grpc.StatusCode.INVALID_ARGUMENT, "unexpected shape for input 'x'"),
    (lambda r: r.inputs[0].shape.append(3), grpc.StatusCode.INVALID_ARGUMENT, "raw_input_contents[0]"),
    (lambda r: r.inputs[0].shape.__setitem__(0, -2), grpc.StatusCode.INVALID_ARGUMENT, "negative"),
    (lambda r: r.raw_input_contents.append(b"more"), grpc.StatusCode.INVALID_ARGUMENT, "additional input data"),
    (lambda r: r.raw_input_contents.__setitem__(0, b"abc"), grpc.StatusCode.INVALID_ARGUMENT, "16 bytes"),
    (lambda r: r.inputs[0].contents.fp32_contents.append(1), grpc.StatusCode.INVALID_ARGUMENT, "contents"),
    (lambda r: r.outputs.add(name="nix"), grpc.StatusCode.INVALID_ARGUMENT, "unexpected inference output"),
    (lambda r: r.parameters["triton_x"].__setattr__("bool_param", True), grpc.StatusCode.INVALID_ARGUMENT, "reserved"),
    (lambda r: r.parameters["timeout"].__setattr__("string_param", "x"), grpc.StatusCode.INVALID_ARGUMENT, "timeout"),
    (lambda r: r.parameters["sequence_id"].__setattr__("int64_param", 5), grpc.StatusCode.UNIMPLEMENTED, "sequence_id"),
    (lambda r: r.inputs[0].parameters["shared_memory_region"].__setattr__("string_param", "r"),
     grpc.StatusCode.INVALID_ARGUMENT, "additional"),
])
def test_bad_requests(stub, change, code, text):
    r = request()
    change(r)
    assert text in refused(lambda: stub.ModelInfer(r), code)
    assert stub.ModelInfer(request()).raw_output_contents[0] == FLOATS.tobytes()


def test_an_error_names_its_field_in_the_details(zoo):
    with connect(zoo) as channel:
        r = request()
        r.inputs[0].datatype = "FP31"
        with pytest.raises(grpc.RpcError) as e:
            rpc.GRPCInferenceServiceStub(channel).ModelInfer(r)
        details = dict(e.value.trailing_metadata())["grpc-status-details-bin"]
        assert b"google.rpc.BadRequest" in details and b"inputs[0].datatype" in details


def call_raw(server, path, body, timeout=20, metadata=None):
    with connect(server) as channel:
        return channel.unary_unary(path)(body, timeout=timeout, metadata=metadata)


@pytest.mark.parametrize("body", [b"\xff" * 20, b"\x0a\x7fx", b"\x08\x01", NAMED + b"\x2a\x02\x0a\x05", b"\x03\x04", b"\x00\x00",
                                  NAMED + b"\x2a\x04\x1a\x02\x80\x80", NAMED + b"\x2a\x02\x18\x01"])
def test_what_is_no_message_is_refused(zoo, body):
    refused(lambda: call_raw(zoo, INFER, body), grpc.StatusCode.INVALID_ARGUMENT)
    assert zoo.get("/v2/health/ready").status == 200


def test_unknown_methods(zoo):
    for path in ("/inference.GRPCInferenceService/Nothing", "/a.b/C"):
        assert "unknown method" in refused(lambda p=path: call_raw(zoo, p, b""), grpc.StatusCode.UNIMPLEMENTED)


def test_over_http1_it_is_another_media_type(zoo):
    reply = zoo.post(INFER, b"\0\0\0\0\0", {"Content-Type": "application/grpc"})
    assert reply.status == 415 and "HTTP/2" in reply.json()["detail"]


def test_the_documents_of_http_do_not_list_methods(zoo):
    assert "GRPCInferenceService" not in zoo.get("/openapi.json").body.decode()
    assert "GRPCInferenceService" not in zoo.get("/", ).body.decode()


# --- limits, deadlines, compression ---

def test_a_message_over_the_limit(serve, zoo_dir):
    s = serve("--max-body-bytes", "1MB", paths=[zoo_dir])
    with connect(s, **{"grpc.max_send_message_length": -1, "grpc.max_receive_message_length": -1}) as channel:
        stub = rpc.GRPCInferenceServiceStub(channel)
        big = np.zeros((200000, 2), np.float32)
        refused(lambda: stub.ModelInfer(request(array=big)), grpc.StatusCode.RESOURCE_EXHAUSTED)
        stream = stub.ModelStreamInfer(iter([request(array=big)]))
        refused(lambda: list(stream), grpc.StatusCode.RESOURCE_EXHAUSTED)
        fits = np.arange(2 * 100000, dtype=np.float32).reshape(-1, 2)
        assert stub.ModelInfer(request(array=fits)).raw_output_contents[0] == fits.tobytes()


def test_a_bomb_is_refused(serve, zoo_dir):
    s = serve("--max-body-bytes", "1MB", paths=[zoo_dir])
    with connect(s) as channel:
        with pytest.raises(grpc.RpcError) as e:
            rpc.GRPCInferenceServiceStub(channel).ModelInfer(
                request(array=np.zeros((500000, 2), np.float32)), compression=grpc.Compression.Gzip)
        assert e.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


GRPC = [("content-type", "application/grpc"), ("te", "trailers")]


def framed(message, packed=False):
    body = message.SerializeToString()
    body = gzip.compress(body) if packed else body
    return struct.pack(">BI", packed, len(body)) + body


def trailers(client, stream):
    """Of an answer, or its head where that is all (Trailers-Only)."""
    mine = [e for e in client.events if getattr(e, "stream_id", None) == stream
            and isinstance(e, (h2.events.ResponseReceived, h2.events.TrailersReceived))]
    return {k.decode(): v.decode() for e in mine for k, v in e.headers}


@pytest.mark.parametrize("packed", [True, False])
def test_messages_are_compressed_like_their_requests(zoo, packed):
    """Frame by frame: grpcio hides what came."""
    array = np.zeros((2000, 2), np.float32)
    with Client(zoo.port) as c:
        stream = c.ask("POST", INFER, framed(request(array=array), packed),
                       GRPC + ([("grpc-encoding", "gzip"), ("grpc-accept-encoding", "gzip")] if packed else []))
        status, headers, body = c.answer(stream)
        assert status == 200 and trailers(c, stream)["grpc-status"] == "0"
        assert headers.get("grpc-encoding") == ("gzip" if packed else None)
        assert body[0] == packed and int.from_bytes(body[1:5], "big") == len(body) - 5
        message = gzip.decompress(body[5:]) if packed else body[5:]
        assert len(body) < 1000 if packed else len(body) > array.nbytes
        assert pb.ModelInferResponse.FromString(message).raw_output_contents[0] == array.tobytes()


def slow_server(serve, zoo_dir):
    return serve("--schedule", "workers", "--workers", "1", "--batching", "off", paths=[zoo_dir / "slow"])


def slow_request(trips):
    return request("slow", np.array([[trips]], np.int64))


def test_a_deadline_reaches_the_queue(serve, zoo_dir):
    """The client neither waits for it nor resets: the server answers at the deadline, behind a long inference."""
    s = slow_server(serve, zoo_dir)
    with Client(s.port, timeout=60) as c:
        long = c.ask("POST", INFER, framed(slow_request(4000 * harness.SCALE)), GRPC)
        late = [c.ask("POST", INFER, framed(slow_request(1)), GRPC + [("grpc-timeout", "200m")]) for _ in range(20)]
        for stream in late:
            assert c.answer(stream)[0] == 200
            assert trailers(c, stream)["grpc-status"] == "4", trailers(c, stream)
        assert not any(isinstance(e, h2.events.StreamEnded) and e.stream_id == long for e in c.events)
        assert c.answer(long)[0] == 200 and trailers(c, long)["grpc-status"] == "0"


def test_cancelling_takes_a_request_out_of_the_queue(serve, zoo_dir):
    s = slow_server(serve, zoo_dir)
    with connect(s) as channel:
        stub = rpc.GRPCInferenceServiceStub(channel)
        long = stub.ModelInfer.future(slow_request(6000 * harness.SCALE))
        s.wait_running()  # grpcio sends on several threads
        waiting = [stub.ModelInfer.future(slow_request(1)) for _ in range(20)]
        harness.wait_until(lambda: s.metric("inference_requests_in_flight") == 21, 20, "all of them")
        for f in waiting:
            f.cancel()
        assert long.result().raw_output_contents
        assert stub.ModelInfer(slow_request(1)).raw_output_contents
        stats = stub.ModelStatistics(pb.ModelStatisticsRequest(name="slow")).model_stats[0]
        assert stats.inference_stats.success.count == 2, "those that were cancelled have not run"


# --- streams ---

def test_a_stream_answers_in_order_and_stays_open_at_errors(client):
    got = queue.Queue()
    client.start_stream(callback=lambda result, error: got.put((result, error)))
    for i in range(300):
        client.async_stream_infer("id-fp32", [tensor("x", FLOATS + i)], request_id=str(i),
                                  enable_empty_final_response=True)
    client.async_stream_infer("nobody", [tensor("x", FLOATS)])
    client.async_stream_infer("id-fp32", [tensor("x", FLOATS)], request_id="last")
    answers = [got.get(timeout=30 * harness.SCALE) for _ in range(302)]
    client.stop_stream()
    for i, (result, error) in enumerate(answers[:300]):
        assert error is None
        response = result.get_response()
        assert response.id == str(i) and response.parameters["triton_final_response"].bool_param
        assert np.array_equal(result.as_numpy("y"), FLOATS + i)
    assert "nobody" in str(answers[300][1]) and answers[301][0].get_response().id == "last"


def test_a_stream_may_ask_for_the_status_instead(stub):
    answers = stub.ModelStreamInfer(iter([request(), request("nobody"), request()]),
                                    metadata=[("triton_grpc_error", "true")])
    assert next(answers).infer_response.model_name == "id-fp32"
    assert "nobody" in refused(lambda: next(answers), grpc.StatusCode.NOT_FOUND)


def test_streams_of_large_and_compressed_messages(stub):
    arrays = [np.random.default_rng(i).random((50000 + i, 2)).astype(np.float32) for i in range(12)]
    for kind in (None, grpc.Compression.Gzip):
        answers = list(stub.ModelStreamInfer((request(array=a) for a in arrays), compression=kind))
        assert [a.infer_response.raw_output_contents[0] for a in answers] == [a.tobytes() for a in arrays]


def test_many_streams_at_once(zoo):
    with connect(zoo) as channel:
        stub = rpc.GRPCInferenceServiceStub(channel)
        def messages(n):
            return (request(array=FLOATS + k, id=f"{n}.{k}") for k in range(50))
        streams = [stub.ModelStreamInfer(messages(n)) for n in range(20)]
        for n, stream in enumerate(streams):
            assert [a.infer_response.id for a in stream] == [f"{n}.{k}" for k in range(50)]


def test_a_stream_that_is_cancelled_leaves_nothing(serve, zoo_dir):
    s = serve("--schedule", "workers", paths=[zoo_dir])
    with connect(s) as channel:
        stub = rpc.GRPCInferenceServiceStub(channel)
        for _ in range(5):
            stream = stub.ModelStreamInfer(request("slow", np.array([[30]], np.int64)) for _ in range(60))
            stream.cancel()
        assert stub.ModelInfer(request()).raw_output_contents


def test_an_empty_stream(stub):
    assert list(stub.ModelStreamInfer(iter([]))) == []


# --- health and reflection ---

def test_the_health_service(zoo):
    with connect(zoo) as channel:
        h = health_rpc.HealthStub(channel)
        for name in ("", "inference.GRPCInferenceService", "id-fp32"):
            assert h.Check(health.HealthCheckRequest(service=name)).status == health.HealthCheckResponse.SERVING
        refused(lambda: h.Check(health.HealthCheckRequest(service="nobody")), grpc.StatusCode.NOT_FOUND)
        watch = h.Watch(health.HealthCheckRequest(service="nobody"))
        assert next(watch).status == health.HealthCheckResponse.SERVICE_UNKNOWN
        watch.cancel()


def test_watch_tells_that_the_server_stops(serve, zoo_dir):
    s = serve(paths=[zoo_dir])
    with connect(s) as channel:
        watch = health_rpc.HealthStub(channel).Watch(health.HealthCheckRequest())
        assert next(watch).status == health.HealthCheckResponse.SERVING
        s.signal(signal.SIGTERM)
        assert next(watch).status == health.HealthCheckResponse.NOT_SERVING
    assert s.wait_exit() == 0


def grpcurl():
    found = os.environ.get("GRPCURL") or shutil.which("grpcurl")
    local = harness.SOURCE / "build" / "tools" / "grpcurl"
    return found or (str(local) if local.exists() else None)


@pytest.mark.skipif(grpcurl() is None, reason="grpcurl is not there: tools/setup test builds it where there is go")
def test_grpcurl_by_reflection(zoo):
    def run(*args):
        done = subprocess.run([grpcurl(), "-plaintext", *args], capture_output=True, text=True,
                              timeout=60 * harness.SCALE, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout
    address = f"127.0.0.1:{zoo.port}"
    assert {"inference.GRPCInferenceService", "grpc.health.v1.Health"} <= set(run(address, "list").split())
    assert "rpc ModelInfer" in run(address, "describe", "inference.GRPCInferenceService")
    body = {"model_name": "id-fp32", "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2],
                                                 "contents": {"fp32_contents": [1, 2]}}]}
    answer = json.loads(run("-d", json.dumps(body), address, "inference.GRPCInferenceService/ModelInfer"))
    assert answer["modelName"] == "id-fp32" and answer["rawOutputContents"] == ["AACAPwAAAEA="]


def test_reflection_of_both_versions(zoo):
    for version in ("v1", "v1alpha"):
        messages, stubs = grpc_stubs.load(f"reflection_{version}")
        with connect(zoo) as channel:
            ask = [messages.ServerReflectionRequest(list_services=""),
                   messages.ServerReflectionRequest(file_by_filename="inference.proto"),
                   messages.ServerReflectionRequest(file_containing_symbol="inference.ModelConfig.MetricTagsEntry"),
                   messages.ServerReflectionRequest(file_containing_symbol="no.such.Thing")]
            got = list(stubs.ServerReflectionStub(channel).ServerReflectionInfo(iter(ask)))
        assert len(got[0].list_services_response.service) == 4
        assert len(got[1].file_descriptor_response.file_descriptor_proto) == 2
        assert len(got[2].file_descriptor_response.file_descriptor_proto) == 1
        assert got[3].error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
        assert [g.original_request for g in got] == ask


# --- frames that no client sends ---

class Raw:
    """HTTP/2 by hand: one connection, one request."""

    def __init__(self, server):
        self.conn = harness.Conn(server.port)
        self.conn.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + self.frame(4, 0, 0, b""))

    @staticmethod
    def frame(kind, flags, stream, payload):
        return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload

    @staticmethod
    def header(name, value):
        return b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()

    def ask(self, path, body, **headers):
        block = b"\x83\x86" + self.header(":path", path) + self.header(":authority", "x") + \
            self.header("content-type", "application/grpc") + self.header("te", "trailers")
        for k, v in headers.items():
            block += self.header(k.replace("_", "-"), v)
        self.conn.send(self.frame(1, 4, 1, block) + self.frame(0, 1, 1, body))
        return self.end_of_answer()

    def read(self, n):
        while len(self.conn.buffer) < n:
            more = self.conn.sock.recv(65536)
            assert more, "the connection was closed"
            self.conn.buffer += more
        got, self.conn.buffer = self.conn.buffer[:n], self.conn.buffer[n:]
        return got

    def end_of_answer(self):
        """Kinds of the frames of stream 1 up to its end, which is its status (HEADERS with END_STREAM)."""
        kinds = []
        while True:
            head = self.read(9)
            kind, flags, stream = head[3], head[4], struct.unpack(">I", head[5:])[0]
            self.read(int.from_bytes(head[:3], "big"))
            assert kind != 7, "GOAWAY"
            if stream == 1:
                kinds.append(kind)
                assert kind in (0, 1, 8), kinds
                if flags & 1 and kind in (0, 1):
                    return kinds


@pytest.mark.parametrize("body", [b"", b"\0", b"\0\0\0\0", b"\0\0\0\0\x09abc", b"\x02\0\0\0\0", b"\x01\0\0\0\x03abc",
                                  b"\0\0\0\0\0\0\0\0\0\0", b"\0\xff\xff\xff\xff"])
@pytest.mark.parametrize("method", ["ModelInfer", "ModelStreamInfer"])
def test_malformed_frames_end_in_a_status(zoo, method, body):
    if not body and method == "ModelStreamInfer":
        return  # a stream without messages is fine
    kinds = Raw(zoo).ask(f"/inference.GRPCInferenceService/{method}", body)
    assert kinds[-1] == 1 and (method != "ModelInfer" or kinds == [1]), kinds
    assert zoo.get("/v2/health/ready").status == 200
