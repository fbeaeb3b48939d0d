# SPDX-License-Identifier: Apache-2.0
"""Clients that others wrote: tritonclient[http] (sync and asyncio) and kserve's REST client."""
import asyncio

import ml_dtypes
import numpy as np
import pytest

import harness

triton = pytest.importorskip("tritonclient.http", reason="tritonclient is not installed")
aio = pytest.importorskip("tritonclient.http.aio")
utils = pytest.importorskip("tritonclient.utils")

FLOATS = np.array([[1.5, -2.25], [3.0, 4.0]], np.float32)


@pytest.fixture
def client(zoo):
    with triton.InferenceServerClient(f"127.0.0.1:{zoo.port}") as c:
        yield c


def tensor(name, array, datatype=None, binary=True):
    t = triton.InferInput(name, list(array.shape), datatype or utils.np_to_triton_dtype(array.dtype))
    t.set_data_from_numpy(array, binary_data=binary)
    return t


def outputs(*names, binary=True):
    return [triton.InferRequestedOutput(n, binary_data=binary) for n in names]


def test_triton_health_and_metadata(client):
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("id-fp32") and client.is_model_ready("versions", "2")
    assert not client.is_model_ready("nobody") and not client.is_model_ready("versions", "3")
    assert client.get_server_metadata()["name"] == "galley"
    meta = client.get_model_metadata("two")
    assert [i["name"] for i in meta["inputs"]] == ["a", "b", "t"]
    assert client.get_model_metadata("name with space")["name"] == "name with space"
    assert client.get_model_metadata("versions", "1")["versions"] == ["10", "2", "1"]


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_triton_infer_in_json_and_binary(client, binary_in, binary_out):
    r = client.infer("id-fp32", [tensor("x", FLOATS, binary=binary_in)],
                     outputs=outputs("y", binary=binary_out), request_id="r1")
    assert np.array_equal(r.as_numpy("y"), FLOATS)
    head = r.get_response()
    assert (head["id"], head["model_name"], head["model_version"]) == ("r1", "id-fp32", "1")


def test_triton_infer_without_outputs_asks_for_all_in_binary(client):
    r = client.infer("id-fp32", [tensor("x", FLOATS)])
    assert np.array_equal(r.as_numpy("y"), FLOATS)
    r = client.infer("versions", [tensor("x", np.zeros((1, 1), np.float32))], model_version="2")
    assert r.as_numpy("y").tolist() == [[2]]


@pytest.mark.parametrize("name", ["BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16",
                                  "INT32", "INT64", "FP16", "FP32", "FP64"])
def test_triton_every_datatype(client, name):
    array = np.array([[0, 1], [1, 1]], utils.triton_to_np_dtype(name))
    model = f"id-{name.lower()}"
    assert np.array_equal(client.infer(model, [tensor("x", array)]).as_numpy("y"), array)
    if name != "FP16":  # the client itself refuses FP16 in JSON
        r = client.infer(model, [tensor("x", array, binary=False)], outputs=outputs("y", binary=False))
        assert np.array_equal(r.as_numpy("y"), array)


def test_triton_bf16(client):
    array = np.array([[1.5, -0.5]], ml_dtypes.bfloat16)
    r = client.infer("id-bf16", [tensor("x", array, "BF16")])
    assert np.array_equal(r.as_numpy("y"), array)


@pytest.mark.parametrize("binary", [True, False])
def test_triton_bytes(client, binary):
    array = np.array([["é".encode(), b""], [b"a" * 1000, b"z"]], object)
    r = client.infer("id-bytes", [tensor("x", array, "BYTES", binary)],
                     outputs=outputs("y", binary=binary))
    got = r.as_numpy("y")
    assert [x if isinstance(x, bytes) else x.encode() for x in got.ravel()] == list(array.ravel())


def test_triton_several_inputs_and_outputs(client):
    inputs = [tensor("t", np.array([[b"t"], [b"u"]], object), "BYTES"), tensor("b", FLOATS),
              tensor("a", FLOATS, binary=False)]
    r = client.infer("two", inputs, outputs=outputs("text") + outputs("sum", binary=False))
    assert np.array_equal(r.as_numpy("sum"), 2 * FLOATS)
    assert r.as_numpy("text").tolist() == [[b"t"], [b"u"]]


@pytest.mark.parametrize("request_coding", [None, "gzip", "deflate"])
@pytest.mark.parametrize("response_coding", [None, "gzip", "deflate"])
def test_triton_compression(client, request_coding, response_coding):
    array = np.tile(FLOATS, (1000, 1))
    r = client.infer("id-fp32", [tensor("x", array)], request_compression_algorithm=request_coding,
                     response_compression_algorithm=response_coding)
    assert np.array_equal(r.as_numpy("y"), array)


def test_triton_asynchronous_requests(zoo):
    with triton.InferenceServerClient(f"127.0.0.1:{zoo.port}", concurrency=4) as c:
        pending = [c.async_infer("id-fp32", [tensor("x", FLOATS * i)]) for i in range(40)]
        for i, p in enumerate(pending):
            assert np.array_equal(p.get_result().as_numpy("y"), FLOATS * i)


def test_triton_parameters_and_priorities(client):
    r = client.infer("id-fp32", [tensor("x", FLOATS)], priority=1, timeout=10_000_000,
                     parameters={"mine": "yes"})
    assert np.array_equal(r.as_numpy("y"), FLOATS)
    with pytest.raises(utils.InferenceServerException, match="no state between requests"):
        client.infer("id-fp32", [tensor("x", FLOATS)], sequence_id=5, sequence_start=True)


@pytest.mark.parametrize("call, status, words", [
    (lambda c: c.infer("nobody", [tensor("x", FLOATS)]), "404", "unknown model"),
    (lambda c: c.infer("versions", [tensor("x", np.zeros((1, 1), np.float32))], model_version="77"),
     "404", "version"),
    (lambda c: c.infer("id-fp32", [tensor("z", FLOATS)]), "400", "unexpected inference input"),
    (lambda c: c.infer("id-fp32", [tensor("x", FLOATS.astype(np.float64))]), "400",
     "unexpected datatype"),
    (lambda c: c.infer("id-fp32", [tensor("x", np.zeros((1, 3), np.float32))]), "400",
     "unexpected shape"),
    (lambda c: c.infer("id-fp32", [tensor("x", FLOATS)], outputs=outputs("z")), "400",
     "unexpected inference output"),
    (lambda c: c.get_model_metadata("nobody"), "404", "unknown model"),
    (lambda c: c.get_model_config("nobody"), "404", "unknown model"),
    (lambda c: c.load_model("id-fp32"), "503", "explicit model load / unload is not allowed"),
    (lambda c: c.get_system_shared_memory_status(), "501", "memory is disabled"),
])
def test_triton_errors_carry_status_and_words(client, call, status, words):
    with pytest.raises(utils.InferenceServerException) as e:
        call(client)
    assert e.value.status() == status and words in e.value.message()


def test_triton_model_errors(client):
    with pytest.raises(utils.InferenceServerException) as e:
        client.infer("failing", [tensor("x", np.array([[7]], np.int64))])
    assert "failing" in e.value.message()


def test_triton_asyncio(zoo):
    async def run():
        async with aio.InferenceServerClient(f"127.0.0.1:{zoo.port}") as c:
            assert await c.is_server_live() and await c.is_server_ready()
            assert await c.is_model_ready("id-fp32")
            replies = await asyncio.gather(*[c.infer("id-fp32", [tensor("x", FLOATS * i)])
                                             for i in range(20)])
            for i, r in enumerate(replies):
                assert np.array_equal(r.as_numpy("y"), FLOATS * i)
            with pytest.raises(utils.InferenceServerException):
                await c.infer("nobody", [tensor("x", FLOATS)])
    asyncio.run(run())


# --- kserve ---

kserve = pytest.importorskip("kserve", reason="kserve is not installed")


def rest(zoo, run):
    async def whole():
        config = kserve.RESTConfig(protocol="v2")
        async with kserve.InferenceRESTClient(config) as c:
            return await run(c, f"http://127.0.0.1:{zoo.port}")
    return asyncio.run(whole())


def infer_request(array, name="x", binary=False, model="id-fp32", datatype="FP32"):
    i = kserve.InferInput(name, list(array.shape), datatype)
    i.set_data_from_numpy(array, binary_data=binary)
    return kserve.InferRequest(model, [i], request_id="k1")


def test_kserve_health(zoo):
    async def run(c, url):
        assert await c.is_server_live(url) is True
        assert await c.is_server_ready(url) is True
        assert await c.is_model_ready(url, "id-fp32") is True
        assert await c.is_model_ready(url, "nobody") is False
    rest(zoo, run)


@pytest.mark.parametrize("binary", [False, True])
def test_kserve_infer(zoo, binary):
    async def run(c, url):
        return await c.infer(url, infer_request(FLOATS, binary=binary), model_name="id-fp32")
    r = rest(zoo, run)
    assert np.array_equal(r.outputs[0].as_numpy(), FLOATS)
    assert (r.id, r.model_name, r.outputs[0].name) == ("k1", "id-fp32", "y")


@pytest.mark.parametrize("binary", [False, True])
def test_kserve_bytes_and_half_precision(zoo, binary):
    async def texts(c, url):
        array = np.array([["a", "bc"]], object)
        return await c.infer(url, infer_request(array, "x", binary, "id-bytes", "BYTES"),
                             model_name="id-bytes")
    got = rest(zoo, texts).outputs[0].as_numpy().ravel().tolist()
    assert [x.decode() if isinstance(x, bytes) else x for x in got] == ["a", "bc"]

    async def halves(c, url):
        array = np.array([[0.5, 65504]], np.float16)
        return await c.infer(url, infer_request(array, "x", True, "id-fp16", "FP16"),
                             model_name="id-fp16")
    assert rest(zoo, halves).outputs[0].as_numpy().tolist() == [[0.5, 65504]]


def test_kserve_plain_dict(zoo):
    async def run(c, url):
        body = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}
        return await c.infer(url, body, model_name="id-fp32")
    assert rest(zoo, run).outputs[0].data == [1, 2]


def test_kserve_errors(zoo):
    import httpx

    async def run(c, url):
        with pytest.raises(httpx.HTTPStatusError) as e:
            await c.infer(url, infer_request(FLOATS), model_name="nobody")
        assert e.value.response.status_code == 404 and "nobody" in str(e.value)
        with pytest.raises(httpx.HTTPStatusError) as e:
            await c.infer(url, infer_request(FLOATS, "z"), model_name="id-fp32")
        assert e.value.response.status_code == 400 and "unexpected inference input" in str(e.value)
    rest(zoo, run)


def test_kserve_passes_the_model_where_kserve_puts_it(serve, zoo_dir, tmp_path):
    """KServe's runtimes mount at /mnt/models and name the model by an environment variable."""
    (tmp_path / "models").symlink_to(zoo_dir / "id-fp32")
    s = serve("--model-dir", tmp_path / "models", env={"INFERENCE_SERVICE_NAME": "my-service"})
    assert s.get("/v2/models/my-service").json()["name"] == "my-service"
    assert harness.galley("health", f"http://127.0.0.1:{s.port}").returncode == 0
