# SPDX-License-Identifier: Apache-2.0
"""Tensors in shared memory, with tritonclient's own helpers, and clients that misbehave."""
import contextlib
import os
import threading

import numpy as np
import pytest

import harness

triton = pytest.importorskip("tritonclient.http", reason="tritonclient is not installed")
shm = pytest.importorskip("tritonclient.utils.shared_memory")
utils = pytest.importorskip("tritonclient.utils")

PREFIX = f"galley-test-{os.getpid()}-"


@pytest.fixture(scope="module")
def server(zoo_dir):
    with harness.Server("--allow-client-shm", "on", paths=[zoo_dir]) as s:
        yield s


@pytest.fixture
def client(server):
    with triton.InferenceServerClient(f"127.0.0.1:{server.port}", network_timeout=60) as c:
        yield c
        c.unregister_system_shared_memory()


@pytest.fixture
def make():
    """make(name, bytes) is a region of tritonclient's; removed after the test."""
    made = []

    def create(name, size):
        made.append(shm.create_shared_memory_region(name, "/" + PREFIX + name, size))
        return made[-1]
    yield create
    for handle in made:
        shm.destroy_shared_memory_region(handle)


def register(client, name, size, offset=0):
    client.register_system_shared_memory(name, "/" + PREFIX + name, size, offset=offset)


def test_disabled_unless_allowed(zoo):
    with triton.InferenceServerClient(f"127.0.0.1:{zoo.port}") as c:
        for call in (lambda: c.register_system_shared_memory("a", "/a", 8),
                     c.get_system_shared_memory_status, c.unregister_system_shared_memory):
            with pytest.raises(utils.InferenceServerException, match="memory is disabled"):
                call()


def test_cuda_is_not_supported(server):
    for path in ("/region/a/register", "/region/a/unregister", "/unregister"):
        assert server.post("/v2/cudasharedmemory" + path, b"{}").status == 501
    assert server.get("/v2/cudasharedmemory/status").status == 501


def test_regions_are_registered_shown_and_let_go(client, make):
    make("in", 64)
    register(client, "in", 64)
    register_again = pytest.raises(utils.InferenceServerException, match="already in manager")
    with register_again:
        register(client, "in", 64)
    client.register_system_shared_memory("part", PREFIX + "in", 16, offset=32)
    assert client.get_system_shared_memory_status() == [
        {"name": "in", "key": f"/{PREFIX}in", "offset": 0, "byte_size": 64},
        {"name": "part", "key": f"{PREFIX}in", "offset": 32, "byte_size": 16}]
    assert len(client.get_system_shared_memory_status("part")) == 1
    client.unregister_system_shared_memory("in")
    client.unregister_system_shared_memory("in")
    with pytest.raises(utils.InferenceServerException, match="unable to find"):
        client.get_system_shared_memory_status("in")
    client.unregister_system_shared_memory()
    assert client.get_system_shared_memory_status() == []


@pytest.mark.parametrize("key", ["/no-such", "", "/", "//a", "/a/b", "..", "/../etc/passwd", "x" * 300])
def test_keys_that_name_no_shared_memory(server, key):
    r = server.post("/v2/systemsharedmemory/region/a/register", {"key": key, "byte_size": 8})
    assert r.status in (400, 404) and r.json()["error"], r


def test_what_a_registration_may_say(server, make):
    make("small", 64)
    key = "/" + PREFIX + "small"
    for body, said in [({"key": key}, "byte_size"), ({"byte_size": 8}, "key"), ([], "object"),
                       ({"key": 1, "byte_size": 8}, "key"), ({"key": key, "byte_size": -1}, "byte_size"),
                       ({"key": key, "byte_size": 0}, "byte_size"),
                       ({"key": key, "byte_size": 2**63}, "does not lie"),
                       ({"key": key, "byte_size": 2**64 - 1, "offset": 2**64 - 1}, "does not lie"),
                       ({"key": key, "byte_size": 1 << 20}, "does not lie"),
                       ({"key": key, "byte_size": 8, "size": 1}, "'size'")]:
        r = server.post("/v2/systemsharedmemory/region/a/register", body)
        assert r.status == 400 and said in r.json()["error"], (body, r)
    os.symlink("/etc/passwd", f"/dev/shm/{PREFIX}link")
    try:
        r = server.post("/v2/systemsharedmemory/region/a/register",
                        {"key": PREFIX + "link", "byte_size": 8})
        assert r.status == 400, r
    finally:
        os.unlink(f"/dev/shm/{PREFIX}link")


def placed(kind, name, region, size, offset=0, **new):
    t = triton.InferInput(name, **new) if kind is triton.InferInput else triton.InferRequestedOutput(name)
    t.set_shared_memory(region, size, offset=offset)
    return t


def test_outputs_are_the_same_bits_as_in_the_body(client, make):
    x = np.random.default_rng(1).standard_normal((5, 2)).astype(np.float32)
    x[0, 0] = np.nan
    handle = make("io", 256)
    register(client, "io", 256)
    shm.set_shared_memory_region(handle, [x], offset=8)
    plain = triton.InferInput("x", [5, 2], "FP32")
    plain.set_data_from_numpy(x)
    expected = client.infer("id-fp32", [plain]).as_numpy("y")
    inputs = [placed(triton.InferInput, "x", "io", 40, offset=8, shape=[5, 2], datatype="FP32")]
    body = client.infer("id-fp32", inputs).as_numpy("y")
    assert body.tobytes() == expected.tobytes()
    outputs = [placed(triton.InferRequestedOutput, "y", "io", 100, offset=128)]
    result = client.infer("id-fp32", inputs, outputs=outputs)
    out = result.get_output("y")
    assert out["parameters"] == {"shared_memory_region": "io", "shared_memory_offset": 128,
                                 "shared_memory_byte_size": 40} and "data" not in out
    found = shm.get_contents_as_numpy(handle, np.float32, [5, 2], offset=128)
    assert found.tobytes() == expected.tobytes()


def test_text_lies_in_shared_memory_too(client, make):
    texts = np.array([["äpfel", ""], ["x" * 30, "b"]], dtype=object)
    raw = utils.serialize_byte_tensor(texts)
    size = raw.item().__len__() if raw.size else 0
    handle = make("text", 4096)
    register(client, "text", 4096)
    shm.set_shared_memory_region(handle, [raw])
    inputs = [placed(triton.InferInput, "x", "text", size, shape=[2, 2], datatype="BYTES")]
    outputs = [placed(triton.InferRequestedOutput, "y", "text", 1024, offset=2048)]
    result = client.infer("id-bytes", inputs, outputs=outputs)
    assert result.get_output("y")["parameters"]["shared_memory_byte_size"] == size
    back = shm.get_contents_as_numpy(handle, np.object_, [2, 2], offset=2048)
    assert [[v.decode() for v in row] for row in back] == texts.tolist()


def test_what_does_not_fit_is_said(client, make):
    make("fit", 64)
    register(client, "fit", 64)
    good = dict(shape=[2, 2], datatype="FP32")

    def fails(said, inputs, outputs=None):
        with pytest.raises(utils.InferenceServerException, match=said):
            client.infer("id-fp32", inputs, outputs=outputs)
    fails("unable to find", [placed(triton.InferInput, "x", "none", 16, **good)])
    fails("mismatch", [placed(triton.InferInput, "x", "fit", 17, **good)])
    fails("invalid offset", [placed(triton.InferInput, "x", "fit", 16, offset=56, **good)])
    inputs = [placed(triton.InferInput, "x", "fit", 16, **good)]
    fails("at least 16 bytes", inputs, [placed(triton.InferRequestedOutput, "y", "fit", 15)])
    fails("unable to find", inputs, [placed(triton.InferRequestedOutput, "y", "none", 16)])
    fails("invalid offset", inputs, [placed(triton.InferRequestedOutput, "y", "fit", 65)])
    client.infer("id-fp32", inputs)


def test_a_client_that_shrinks_its_memory_hurts_nobody(server, client, make):
    """The file becomes shorter and longer while tensors are read from it and written to it: each
    request is answered or refused, and the process lives."""
    size = 1 << 20
    make("shrink", size)
    register(client, "shrink", size)
    path = f"/dev/shm/{PREFIX}shrink"
    rows = size // 4 // 8 // 2
    inputs = [placed(triton.InferInput, "x", "shrink", rows * 8, shape=[rows, 2], datatype="FP32")]
    outputs = [placed(triton.InferRequestedOutput, "y", "shrink", rows * 8, offset=size // 2)]
    os.truncate(path, 100)
    for wanted in (None, outputs):
        with pytest.raises(utils.InferenceServerException, match="smaller than it was"):
            client.infer("id-fp32", inputs, outputs=wanted)
    os.truncate(path, size // 2 + 10)
    with pytest.raises(utils.InferenceServerException, match="smaller than it was"):
        client.infer("id-fp32", inputs, outputs=outputs)
    assert os.path.getsize(path) == size // 2 + 10  # nothing was written beyond
    stop = threading.Event()

    def shake():
        while not stop.is_set():
            os.truncate(path, 4096)
            os.truncate(path, size)
    t = threading.Thread(target=shake)
    t.start()
    ends = {True: 0, False: 0}
    try:
        for _ in range(150):
            try:
                client.infer("id-fp32", inputs, outputs=outputs)
                ends[True] += 1
            except utils.InferenceServerException as e:
                assert "smaller than it was" in str(e)
                ends[False] += 1
    finally:
        stop.set()
        t.join()
    assert sum(ends.values()) == 150 and server.get("/health").status == 200


def open_files(server):
    for fd in os.scandir(f"/proc/{server.pid}/fd"):
        with contextlib.suppress(OSError):  # closed meanwhile
            yield os.readlink(fd.path)


def test_a_region_is_used_to_the_end_of_its_requests(server, client, make):
    make("gone", 1 << 16)
    good = dict(shape=[64, 2], datatype="FP32")
    inputs = [placed(triton.InferInput, "x", "gone", 512, **good)]
    outputs = [placed(triton.InferRequestedOutput, "y", "gone", 512, offset=1024)]
    stop = threading.Event()

    def flicker():
        with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as c:
            while not stop.is_set():
                register(c, "gone", 1 << 16)
                c.unregister_system_shared_memory("gone")
    t = threading.Thread(target=flicker)
    t.start()
    try:
        for _ in range(200):
            try:
                client.infer("id-fp32", inputs, outputs=outputs)
            except utils.InferenceServerException as e:
                assert "unable to find" in str(e)
    finally:
        stop.set()
        t.join()
    harness.wait_until(lambda: not any(PREFIX + "gone" in f for f in open_files(server)), 10, "the region to be closed")
