# SPDX-License-Identifier: Apache-2.0
"""gRPC beyond inference: models loaded and unloaded, tensors in shared memory, settings that are changed, the port of its
own, TLS, and clients that ping."""
import json
import os
import shutil

import grpc
import numpy as np
import pytest

import harness
import models

triton = pytest.importorskip("tritonclient.grpc", reason="tritonclient is not installed")
shm = pytest.importorskip("tritonclient.utils.shared_memory", reason="tritonclient has no shared memory here")
from tritonclient.grpc import service_pb2 as pb  # noqa: E402
from tritonclient.grpc import service_pb2_grpc as rpc  # noqa: E402
from tritonclient.utils import InferenceServerException  # noqa: E402
from test_grpc import FLOATS, request, tensor  # noqa: E402


@pytest.fixture
def folder(tmp_path):
    models.add(tmp_path / "adder" / "1" / "model.onnx", 1)
    models.identity(tmp_path / "id-fp32" / "1" / "model.onnx", "FP32")
    return tmp_path


def client_of(s):
    return triton.InferenceServerClient(f"127.0.0.1:{s.port}")


def state(client, name):
    rows = {r["name"]: r for r in client.get_model_repository_index(as_json=True)["models"]}
    return rows[name].get("state")


def ask(client):
    x = np.array([[1.0]], np.float32)
    return client.infer("adder", [tensor("x", x)]).as_numpy("y").tolist()


# --- the repository ---

def test_models_are_loaded_and_unloaded(serve, folder, tmp_path_factory):
    s = serve("--model-control", "explicit", paths=[folder])
    with client_of(s) as c:
        assert state(c, "adder") == "READY" and ask(c) == [[2.0]]
        c.unload_model("adder")
        assert state(c, "adder") == "UNAVAILABLE" and not c.is_model_ready("adder")
        assert c.is_server_ready(), "a model unloaded on purpose is no fault"
        with pytest.raises(InferenceServerException, match="adder"):
            ask(c)
        c.load_model("adder")
        assert ask(c) == [[2.0]]
        other = models.add(tmp_path_factory.mktemp("other") / "model.onnx", 41)
        with open(other, "rb") as f:
            c.load_model("adder", config=json.dumps({"max_batch_size": 8}), files={"file:1/model.onnx": f.read()})
        assert ask(c) == [[42.0]]
        assert c.get_model_config("adder", as_json=True)["config"]["max_batch_size"] == 8
        with pytest.raises(InferenceServerException, match="none-such"):
            c.load_model("none-such")
        with pytest.raises(InferenceServerException):
            c.load_model("adder", config="{", files={})
        assert ask(c) == [[42.0]], "a load that fails changes nothing"


def test_without_explicit_control_models_stay(zoo):
    with client_of(zoo) as c:
        for call in (c.load_model, c.unload_model):
            with pytest.raises(InferenceServerException) as e:
                call("id-fp32")
            assert e.value.status() == "StatusCode.UNAVAILABLE", e.value
        assert c.is_model_ready("id-fp32")


# --- shared memory ---

KEY = f"/galley_grpc_test_{os.getpid()}"


def test_tensors_in_shared_memory(serve, folder):
    s = serve("--allow-client-shm", "on", paths=[folder])
    size = FLOATS.nbytes
    region = shm.create_shared_memory_region("both", KEY, 2 * size)
    try:
        shm.set_shared_memory_region(region, [FLOATS])
        with client_of(s) as c:
            c.register_system_shared_memory("both", KEY, 2 * size)
            told = c.get_system_shared_memory_status(as_json=True)["regions"]["both"]
            assert told["key"] == KEY and int(told["byte_size"]) == 2 * size
            x = triton.InferInput("x", list(FLOATS.shape), "FP32")
            x.set_shared_memory("both", size)
            y = triton.InferRequestedOutput("y")
            y.set_shared_memory("both", size, offset=size)
            result = c.infer("id-fp32", [x], outputs=[y])
            assert result.get_output("y").shape == list(FLOATS.shape)
            got = shm.get_contents_as_numpy(region, np.float32, FLOATS.shape, offset=size)
            assert np.array_equal(got, FLOATS)
            with pytest.raises(InferenceServerException):
                x.set_shared_memory("both", size, offset=2 * size)
                c.infer("id-fp32", [x])
            c.unregister_system_shared_memory("both")
            assert "regions" not in c.get_system_shared_memory_status(as_json=True)
    finally:
        shm.destroy_shared_memory_region(region)


def test_shared_memory_is_off_untold(zoo):
    with client_of(zoo) as c, pytest.raises(InferenceServerException, match="disabled"):
        c.register_system_shared_memory("r", "/none", 16)


# --- settings ---

def test_log_settings_are_changed(serve, folder):
    s = serve("--allow-client-settings", "on", paths=[folder])
    with client_of(s) as c:
        c.update_log_settings({"log_verbose_level": 1})
        assert c.get_log_settings(as_json=True)["settings"]["log_verbose_level"]["uint32_param"] == 1
        with pytest.raises(InferenceServerException):
            c.update_log_settings({"log_colour": True})


def test_trace_settings_are_changed(serve, folder, tmp_path):
    s = serve("--allow-client-settings", "on", "--trace-file", str(tmp_path / "trace.json"), paths=[folder])
    with client_of(s) as c:
        c.update_trace_settings(settings={"trace_level": ["TIMESTAMPS"], "trace_rate": "1"})
        told = c.get_trace_settings(as_json=True)["settings"]
        assert told["trace_level"]["value"] == ["TIMESTAMPS"] and told["trace_rate"]["value"] == ["1"]
        assert ask(c) == [[2.0]]
        harness.wait_until(lambda: "adder" in (tmp_path / "trace.json").read_text(), 10, "the trace of the request")


def test_trace_settings_of_a_model_that_is_not_there(serve, folder, tmp_path):
    trace = ("--trace-file", str(tmp_path / "trace.json"))
    s = serve("--allow-client-settings", "on", "--model-control", "explicit", *trace, paths=[folder])
    with client_of(s) as c:
        for call in (lambda: c.get_trace_settings("later"),
                     lambda: c.update_trace_settings("later", settings={"trace_rate": "7"})):
            with pytest.raises(InferenceServerException, match="later") as e:
                call()
            assert e.value.status() == "StatusCode.NOT_FOUND", e.value
        models.add(folder / "later" / "1" / "model.onnx", 1)
        c.load_model("later")
        rate = lambda: c.get_trace_settings("later", as_json=True)["settings"]["trace_rate"]["value"]
        assert rate() == ["1000"], "nothing of the refused call was kept"
        c.update_trace_settings("later", settings={"trace_rate": "7"})
        assert rate() == ["7"]


# --- ports and connections ---

def test_a_port_of_its_own(serve, folder):
    s = serve("--grpc-port", "0", paths=[folder])
    with triton.InferenceServerClient(f"127.0.0.1:{s.port_of('grpc')}") as c:
        assert c.is_server_ready() and ask(c) == [[2.0]]
    with client_of(s) as c:
        assert ask(c) == [[2.0]], "http_port speaks it too"


def test_grpc_over_tls(serve, folder, tmp_path):
    openssl = shutil.which("openssl")
    assert openssl, "openssl makes the certificate"
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    harness.subprocess.run([openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                            "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost",
                            "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    s = serve("--https-port", "0", "--tls-certificate", cert, "--tls-key", key, paths=[folder])
    credentials = grpc.ssl_channel_credentials(cert.read_bytes())
    with grpc.secure_channel(f"localhost:{s.port_of('https')}", credentials) as channel:
        stub = rpc.GRPCInferenceServiceStub(channel)
        answer = stub.ModelInfer(request(), timeout=20)
        assert answer.raw_output_contents[0] == FLOATS.tobytes()
        stream = stub.ModelStreamInfer(iter([request(id=str(i)) for i in range(50)]), timeout=20)
        assert [r.infer_response.id for r in stream] == [str(i) for i in range(50)]


def test_a_client_that_pings_keeps_its_connection(serve, folder):
    s = serve(paths=[folder])
    options = [("grpc.keepalive_time_ms", 1000), ("grpc.keepalive_timeout_ms", 5000 * harness.SCALE),
               ("grpc.keepalive_permit_without_calls", 1), ("grpc.http2.max_pings_without_data", 0)]
    with grpc.insecure_channel(f"127.0.0.1:{s.port}", options=options) as channel:
        stub = rpc.GRPCInferenceServiceStub(channel)
        assert stub.ServerLive(pb.ServerLiveRequest(), timeout=20).live
        seen = []
        channel.subscribe(seen.append)
        harness.time.sleep(3.5)
        assert stub.ServerLive(pb.ServerLiveRequest(), timeout=20).live
        assert grpc.ChannelConnectivity.TRANSIENT_FAILURE not in seen, seen
