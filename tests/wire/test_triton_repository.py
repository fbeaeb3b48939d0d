# SPDX-License-Identifier: Apache-2.0
"""A Triton model repository, written as Triton's users have it, served unmodified."""
import json
import signal

import numpy as np
import pytest
from onnx import TensorProto as T
from onnx import helper as h

import harness
import models

triton = pytest.importorskip("tritonclient.http", reason="tritonclient is not installed")

ONE = {"x": ("FP32", [1, 1], [0])}

ADDER = """
name: "adder"
platform: "onnxruntime_onnx"
max_batch_size: 8
input [
  {
    name: "x"
    data_type: TYPE_FP32
    dims: [ 1 ]
  }
]
output [
  {
    name: "y"
    data_type: TYPE_FP32
    dims: [ 1 ]
  }
]
dynamic_batching {
  preferred_batch_size: [ 4, 8 ]
  max_queue_delay_microseconds: 100
}
instance_group [ { count: 2 kind: KIND_CPU } ]
parameters { key: "intra_op_thread_count" value: { string_value: "1" } }
"""


def put(root, name, text, *versions, file="model.onnx", make=models.add):
    """root/NAME/config.pbtxt and a model for each version that adds its number."""
    for version in versions:
        make(root / name / str(version) / file, version)
    (root / name).mkdir(parents=True, exist_ok=True)
    (root / name / "config.pbtxt").write_text(text)
    return root / name


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    root = tmp_path_factory.mktemp("triton")
    put(root, "adder", ADDER, 1, 2, 10)
    put(root, "every", 'version_policy: { all { } }', 1, 2)
    put(root, "some", 'version_policy: { specific: { versions: [ 1, 3 ] } }', 1, 2, 3)
    put(root, "named", 'default_model_filename: "net.onnx"\nmax_batch_size: 0', 4, file="net.onnx")
    put(root, "plain", "", 1)
    models.add(root / "plain" / "007" / "model.onnx", 7)
    models.add(root / "plain" / "old" / "model.onnx", 8)
    models.add(root / "plain" / "2.0.0" / "model.onnx", 9)
    put(root, "noted", 'metric_tags { key: "a" value: "b" }\noptimization { priority: PRIORITY_MAX }', 1)
    models.add(root / "without" / "1" / "model.onnx", 5)  # no config.pbtxt
    return root


@pytest.fixture(scope="module")
def server(repository):
    with harness.Server(paths=[repository]) as s:
        yield s


def versions(s, name):
    return s.get(f"/v2/models/{name}").json()["versions"]


def test_version_policies_are_kept(server):
    assert versions(server, "adder") == ["10"]
    assert versions(server, "every") == ["2", "1"]
    assert versions(server, "some") == ["3", "1"]
    assert versions(server, "plain") == ["1"]  # 007, old and 2.0.0 are no versions in Triton
    assert server.infer("adder", ONE).json()["outputs"][0]["data"] == [10]
    assert server.infer("some", ONE).json()["outputs"][0]["data"] == [3]
    assert server.get("/v2/models/some/versions/2").status == 404


def test_the_file_may_have_another_name(server):
    assert server.infer("named", ONE).json()["outputs"][0]["data"] == [4]


def test_fields_without_effect_are_logged_once(server):
    lines = server.lines("setting_without_effect")
    assert sorted(line["field"] for line in lines) == ["metric_tags", "optimization.priority"]
    assert all(line["level"] == "warn" and line["model"] == "noted" for line in lines)
    assert [line["place"].rsplit("/", 1)[1] for line in lines] == ["config.pbtxt:1", "config.pbtxt:2"]


def test_tritons_client_reads_the_configuration(server):
    with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as c:
        config = c.get_model_config("adder")
        assert config["name"] == "adder" and config["platform"] == "onnxruntime_onnx"
        assert config["backend"] == "onnxruntime"
        assert config["max_batch_size"] == 8
        assert config["input"] == [{
            "name": "x", "data_type": "TYPE_FP32", "format": "FORMAT_NONE", "dims": [1],
            "is_shape_tensor": False, "allow_ragged_batch": False, "optional": False,
            "is_non_linear_format_io": False}]
        assert config["output"][0]["dims"] == [1]
        assert config["dynamic_batching"]["preferred_batch_size"] == [4, 8]
        assert config["dynamic_batching"]["max_queue_delay_microseconds"] == 100
        assert config["instance_group"][0]["count"] == 2
        assert config["instance_group"][0]["kind"] == "KIND_CPU"
        assert config["version_policy"] == {"latest": {"num_versions": 1}}
        assert config["parameters"] == {"intra_op_thread_count": {"string_value": "1"}}
        assert c.get_model_config("every", "1")["version_policy"] == {"all": {}}
        assert c.get_model_config("some")["version_policy"] == {"specific": {"versions": [1, 3]}}
        named = c.get_model_config("named")
        assert named["max_batch_size"] == 0 and named["input"][0]["dims"] == [-1, 1]
        assert "dynamic_batching" not in named
        assert named["default_model_filename"] == "net.onnx"
        without = c.get_model_config("without")  # filled from the model and galley's own settings
        assert without["max_batch_size"] > 1 and without["input"][0]["dims"] == [1]
        assert "dynamic_batching" in without
        with pytest.raises(Exception, match="nobody"):
            c.get_model_config("nobody")
        x = triton.InferInput("x", [2, 1], "FP32")
        x.set_data_from_numpy(np.array([[1], [2]], np.float32))
        assert c.infer("adder", [x]).as_numpy("y").tolist() == [[11], [12]]


def test_the_configuration_is_in_the_openapi_document(server):
    doc = server.get("/openapi.json").json()
    answer = doc["paths"]["/v2/models/adder/config"]["get"]["responses"]["200"]
    assert answer["content"]["application/json"]["schema"]["$ref"].endswith("/ModelConfig")
    assert "/v2/models/adder/versions/10/config" in doc["paths"]


def test_inspect_shows_the_resulting_configuration(repository):
    done = harness.galley("inspect", repository / "adder")
    assert done.returncode == 0, done.stderr
    assert "max_queue_delay: 100us" in done.stdout
    assert "max_batch_size: 8" in done.stdout and "preferred_batch_sizes: [4,8]" in done.stdout
    assert "workers: 2" in done.stdout and "config.pbtxt" in done.stdout
    done = harness.galley("inspect", "--json", repository / "adder")
    config = json.loads(done.stdout)["models"][0]["config"]
    assert config["max_batch_size"] == 8 and config["max_queue_delay"] == 100
    assert config["versions"] == "latest:1"


@pytest.mark.parametrize("text, place, words", [
    ('name: "adder"\n\nensemble_scheduling { }', ":3", "ensemble_scheduling is not supported"),
    ('name: "other"', ":1", "is not the directory's name"),
    ('platform: "tensorrt_plan"', ":1", "tensorrt_plan"),
    ('instance_group [\n { kind: KIND_GPU } ]', ":2", "KIND_GPU is not supported"),
    ('max_batch_size: 4\ninput { name: "x" data_type: TYPE_FP32 dims: [ 7 ] }', ":2", "dims [7]"),
    ('input { name: "z" data_type: TYPE_FP32 dims: [ 1 ] }', ":1", "no input 'z'"),
    ('max_batch_size 4', ":1", "':' is missing"),
    ('version_policy { specific { versions: 9 } }', "config.pbtxt", "9/model.onnx"),
])
def test_what_is_not_supported_fails_that_model_alone_and_names_the_line(serve, tmp_path, text,
                                                                         place, words):
    put(tmp_path, "adder", text, 1)
    put(tmp_path, "good", "", 1)
    s = serve(paths=[tmp_path], wait="live")
    line = s.wait_line("model_failed", model="adder")
    assert line["place"].endswith("adder/config.pbtxt" + (place if place[0] == ":" else ""))
    assert words in line["error"]
    harness.wait_until(lambda: s.infer("good", ONE).status == 200, 10, "the other model")
    assert s.get("/health/ready").status == 503
    answer = s.get("/v2/models/adder/config")
    assert answer.status == 503 and words in answer.json()["error"]
    done = harness.galley("inspect", tmp_path / "adder")
    assert done.returncode == 1 and words in done.stderr and "config.pbtxt" in done.stderr


def test_a_reload_sees_that_a_configuration_changed(serve, tmp_path):
    put(tmp_path, "adder", ADDER, 1)
    put(tmp_path, "still", "", 1)
    s = serve(paths=[tmp_path])
    assert s.get("/v2/models/adder/config").json()["max_batch_size"] == 8
    (tmp_path / "adder" / "config.pbtxt").write_text(ADDER.replace("max_batch_size: 8",
                                                                   "max_batch_size: 16"))
    s.signal(signal.SIGHUP)
    s.wait_line("ready", after=1)
    assert s.get("/v2/models/adder/config").json()["max_batch_size"] == 16
    assert len([x for x in s.lines("model_ready") if x["model"] == "adder"]) == 2
    assert len([x for x in s.lines("model_ready") if x["model"] == "still"]) == 1
    (tmp_path / "adder" / "config.pbtxt").write_text("max_batch_sise: 16")
    s.signal(signal.SIGHUP)
    s.wait_line("model_failed", model="adder")
    s.wait_line("old_version_kept")
    harness.wait_until(lambda: s.get("/v2/models/adder/config").status == 200, 10, "the old one")
    assert s.get("/v2/models/adder/config").json()["max_batch_size"] == 16


def test_own_keys_stand_above_config_pbtxt_and_that_above_flags(serve, tmp_path):
    put(tmp_path / "r", "adder", ADDER, 1, 2)
    put(tmp_path / "r", "bare", "", 1, 2)
    file = tmp_path / "galley.yaml"
    file.write_text(f"""
max_queue_delay: 7ms
workers: 5
models:
  - path: {tmp_path}/r/adder
    name: renamed
    max_batch_size: 32
    versions: all
  - {tmp_path}/r/bare
""")
    s = serve("--config", file, "--versions", "all")
    adder = s.get("/v2/models/renamed/config").json()
    assert adder["max_batch_size"] == 32  # its own
    assert adder["dynamic_batching"]["max_queue_delay_microseconds"] == 100  # config.pbtxt
    assert adder["instance_group"][0]["count"] == 2
    assert versions(s, "renamed") == ["2", "1"]
    bare = s.get("/v2/models/bare/config").json()
    assert bare["dynamic_batching"]["max_queue_delay_microseconds"] == 7000  # the file's top
    assert bare["instance_group"][0]["count"] == 5
    assert versions(s, "bare") == ["2", "1"]  # the flag: its config.pbtxt says nothing
    # a changed section loads its model alone
    file.write_text(file.read_text().replace("max_batch_size: 32", "max_batch_size: 64"))
    s.signal(signal.SIGHUP)
    s.wait_line("ready", after=1)
    assert s.get("/v2/models/renamed/config").json()["max_batch_size"] == 64
    assert len([x for x in s.lines("model_ready") if x["model"] == "bare"]) == 2


def test_a_model_has_a_deadline_of_its_own(serve, tmp_path):
    models.slow(tmp_path / "slow" / "model.onnx")
    file = tmp_path / "galley.yaml"
    file.write_text(f"""
request_timeout: 60s
models:
  - path: {tmp_path}/slow
    schedule: workers
    workers: 1
    batching: off
    request_timeout: 100ms
""")
    s = serve("--config", file)
    one = {"name": "x", "datatype": "INT64", "shape": [1, 1]}
    with s.connect(timeout=60) as long, s.connect() as short:
        def is_taken_up():
            if s.metric("inference_calls_running", model="slow") == 1:
                return True
            if s.metric("inference_requests_in_flight", model="slow") == 0:  # not yet sent, or too late for a busy worker
                long.send(harness.request("POST", "/v2/models/slow/infer",
                                          {"inputs": [{**one, "data": [10000 * harness.SCALE]}]}))
            return False
        harness.wait_until(is_taken_up, 20, "the worker to be busy", 0.05)
        short.send(harness.request("POST", "/v2/models/slow/infer",
                                   {"inputs": [{**one, "data": [0]}]}))
        assert short.reply().status == 504
    s.kill()


POLICIES = {
    "none": "",
    "fixed": "default_queue_policy { default_timeout_microseconds: 600000000 }",
    "shorter": "default_queue_policy { default_timeout_microseconds: 600000000 allow_timeout_override: true }",
    "delay": "default_queue_policy { default_timeout_microseconds: 600000000 allow_timeout_override: true "
             "timeout_action: DELAY }",
}


def test_a_requests_timeout_is_its_queue_policys_matter(serve, tmp_path):
    """As in Triton: without allow_timeout_override it says nothing, with DELAY it costs the place alone. A header is a
    deadline whatever the policy says."""
    for name, policy in POLICIES.items():
        models.slow(tmp_path / name / "1" / "model.onnx")
        (tmp_path / name / "config.pbtxt").write_text(
            f'backend: "onnxruntime" max_batch_size: 1 instance_group {{ count: 1 }} dynamic_batching {{ {policy} }}')
    s = serve("--schedule", "workers", "--request-timeout", "600s", paths=[tmp_path])
    one = {"name": "x", "datatype": "INT64", "shape": [1, 1]}
    late = {"inputs": [{**one, "data": [0]}], "parameters": {"timeout": 30000}}

    def under(name, headers=None):
        with s.connect(timeout=120) as holder, s.connect(timeout=120) as waits:
            path = f"/v2/models/{name}/infer"
            holder.send(harness.request("POST", path, {"inputs": [{**one, "data": [3000 + 1000 * harness.SCALE]}]}))
            harness.wait_until(lambda: s.metric("inference_requests_in_flight", model=name) == 1, 20,
                               "the request that keeps the worker busy")
            waits.send(harness.request("POST", path, late, headers or {}))
            status = waits.reply().status
            assert holder.reply().status == 200
            return status

    assert {name: under(name) for name in POLICIES} == {"none": 504, "fixed": 200, "shorter": 504, "delay": 200}
    assert under("fixed", {"X-Request-Timeout-Ms": "30"}) == under("delay", {"X-Request-Timeout-Ms": "30"}) == 504


def test_versions_of_a_directory_without_config_pbtxt(serve, tmp_path):
    for version in ("1", "2", "10", "2.1.0"):
        models.add(tmp_path / "m" / version / "model.onnx", 1)
    s = serve("--versions", "latest:2", paths=[tmp_path])
    assert versions(s, "m") == ["10", "2.1.0"]
    s = serve("--versions", "1,10", paths=[tmp_path])
    assert versions(s, "m") == ["10", "1"]


def vector(path, _):
    """y [n] is the sum of a row of x [n,4]; z is x."""
    return models.write(
        path, [h.make_node("ReduceSum", ["x", "axis"], ["y"], keepdims=0),
               h.make_node("Identity", ["x"], ["z"])],
        [("x", T.FLOAT, ("n", 4))], [("y", T.FLOAT, ("n",)), ("z", T.FLOAT, ("n", 4))],
        [h.make_tensor("axis", T.INT64, [1], [1])])


RESHAPE = """
max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: [ 2, 2 ] reshape { shape: [ 4 ] } }
output [ { name: "y" data_type: TYPE_FP32 dims: [ 1 ] reshape { shape: [ ] } },
         { name: "z" data_type: TYPE_FP32 dims: [ 4 ] } ]
dynamic_batching { }
"""


def test_reshape_gives_the_model_another_shape(serve, tmp_path):
    put(tmp_path, "sum", RESHAPE, 1, make=vector)
    s = serve(paths=[tmp_path])
    meta = s.get("/v2/models/sum").json()
    assert [i["shape"] for i in meta["inputs"]] == [[-1, 2, 2]]
    assert [o["shape"] for o in meta["outputs"]] == [[-1, 1], [-1, 4]]
    config = s.get("/v2/models/sum/config").json()
    assert config["input"][0]["dims"] == [2, 2] and config["input"][0]["reshape"] == {"shape": [4]}
    assert config["output"][0]["dims"] == [1] and config["output"][0]["reshape"] == {"shape": []}
    assert config["backend"] == "onnxruntime" and config["max_batch_size"] == 8
    x = {"x": ("FP32", [3, 2, 2], list(range(12)))}
    y, z = s.infer("sum", x).json()["outputs"]
    assert (y["shape"], y["data"]) == ([3, 1], [6, 22, 38])
    assert (z["shape"], z["data"]) == ([3, 4], list(range(12)))
    refused = s.infer("sum", {"x": ("FP32", [1, 4], [0] * 4)})
    assert refused.status == 400 and "[-1,2,2]" in refused.json()["error"]
    # requests that run together: what each gets is its own
    with s.connect() as c:
        for i in range(20):
            c.send(harness.request("POST", "/v2/models/sum/infer", {"inputs": [
                {"name": "x", "shape": [1, 2, 2], "datatype": "FP32", "data": [i, i, i, i]}]}))
        assert [c.reply().json()["outputs"][0]["data"] for _ in range(20)] == [[4 * i] for i in range(20)]


WARM = """
model_warmup [
  { name: "given" batch_size: %s count: 3
    inputs { key: "x" value: { data_type: TYPE_FP32 dims: [ 1 ] %s } } }
]
"""


@pytest.mark.parametrize("source", ['zero_data: true', 'random_data: true',
                                    'input_data_file: "x.raw"'])
def test_warm_up_samples_run_before_the_model_is_ready(serve, tmp_path, source):
    place = put(tmp_path, "adder", WARM % (2, source), 1)
    (place / "warmup").mkdir()
    (place / "warmup" / "x.raw").write_bytes(np.array([1, 2], np.float32).tobytes())
    s = serve(paths=[tmp_path])
    assert s.get("/health?deep=1").status == 200
    warm = s.get("/v2/models/adder/config").json()["model_warmup"][0]
    assert warm["name"] == "given" and warm["count"] == 3 and warm["batch_size"] == 2


def picky(path, _):
    """Fails unless its input is in range: index 0."""
    return models.failing(path)


@pytest.mark.parametrize("make, text, words", [
    (models.add, WARM % (2, 'input_data_file: "x.raw"'), ["'given'", "x.raw"]),
    (models.add, (WARM % (1, 'zero_data: true')).replace("FP32", "FP64"), ["'given'", "FP64"]),
    (models.add, (WARM % (1, 'zero_data: true')).replace("dims: [ 1 ]", "dims: [ 3 ]"),
     ["'given'", "[1,3]", "[-1,1]"]),
    (models.add, (WARM % (1, 'zero_data: true')).replace('"x"', '"z"'), ["'given'", "'z'"]),
    (picky, (WARM % (1, 'random_data: true')).replace("FP32", "INT64"), ["'given'", "indices"]),
])
def test_a_failing_sample_fails_the_load_with_its_name(serve, tmp_path, make, text, words):
    put(tmp_path, "adder", text, 1, make=make)
    s = serve(paths=[tmp_path], wait="live")
    line = s.wait_line("model_failed", model="adder")
    for word in words:
        assert word in line["error"], line
    assert line["place"].endswith("config.pbtxt:3")


@pytest.mark.parametrize("key, value", [
    ("execution_mode", "1"), ("enable_mem_arena", "0"), ("enable_mem_pattern", "0"),
    ("memory.enable_memory_arena_shrinkage", "cpu:0"), ("inter_op_thread_count", "2"),
    ("session.set_denormal_as_zero", "1"),
])
def test_parameters_reach_onnx_runtime(serve, tmp_path, key, value):
    put(tmp_path, "adder",
        f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}\n'
        'optimization { graph { level: 2 } }', 1)
    s = serve(paths=[tmp_path])
    assert s.infer("adder", ONE).json()["outputs"][0]["data"] == [1]
    config = s.get("/v2/models/adder/config").json()
    assert config["parameters"] == {key: {"string_value": value}}
    assert config["optimization"]["graph"]["level"] == 2


def test_a_setting_that_onnx_runtime_refuses_fails_the_load(serve, tmp_path):
    put(tmp_path, "adder",
        'parameters { key: "session.%s" value { string_value: "1" } }' % ("x" * 3000), 1)
    s = serve(paths=[tmp_path], wait="live")
    assert s.wait_line("model_failed", model="adder")["error"]
