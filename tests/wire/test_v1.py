# SPDX-License-Identifier: Apache-2.0
"""KServe's protocol version 1 and TensorFlow Serving's REST API, whose documented examples are asked here."""
import asyncio
import base64

import numpy as np
import pytest

import harness
import models
from test_cases import CASES, check, same_bits


@pytest.fixture(scope="module")
def v1(tmp_path_factory):
    root = tmp_path_factory.mktemp("v1")
    models.write_zoo(root)
    models.half_plus_two(root / "half_plus_two" / "1" / "model.onnx")
    models.half_plus_two(root / "half_plus_two" / "123" / "model.onnx")
    models.blobs(root / "blobs" / "model.onnx")
    models.half_plus_two(root / "a:b" / "model.onnx")
    with harness.Server(paths=[root]) as s:
        yield s


def ask(s, path, body):
    reply = s.post(path, body)
    assert reply.status == 200, reply
    return reply.json()


# --- the examples of TensorFlow Serving's documentation ---

def test_rows_of_numbers(v1):
    for path in ("/v1/models/half_plus_two:predict", "/v1/models/half_plus_two/versions/123:predict",
                 "/v1/models/half_plus_two/labels/latest:predict"):
        assert ask(v1, path, {"instances": [1.0, 2.0, 5.0]}) == {"predictions": [2.5, 3.0, 4.5]}
    assert ask(v1, "/v1/models/half_plus_two:predict",
               {"signature_name": "serving_default", "instances": [1, 2]}) == {"predictions": [2.5, 3.0]}


def test_columns_of_numbers(v1):
    assert ask(v1, "/v1/models/half_plus_two:predict", {"inputs": [1.0, 2.0, 5.0]}) == {"outputs": [2.5, 3.0, 4.5]}
    assert ask(v1, "/v1/models/half_plus_two:predict", {"inputs": {"x": [2.0]}}) == {"outputs": [3.0]}


def test_a_number_a_row(v1):
    assert ask(v1, "/v1/models/half_plus_two:regress",
               {"examples": [{"x": 1.0}, {"x": 2.0}]}) == {"results": [2.5, 3.0]}
    assert ask(v1, "/v1/models/half_plus_two:regress",
               {"context": {"x": 4}, "examples": [{}, {"x": 2.0}]}) == {"results": [4.0, 3.0]}


def test_named_inputs_by_rows_and_by_columns(v1):
    rows = [{"a": [1, 2], "b": [10, 20], "t": ["p"]}, {"a": [3, 4], "b": [30, 40], "t": "q"}]
    r = v1.post("/v1/models/two:predict", {"instances": rows})
    assert r.status == 400, r  # "q" where ["p"] stood
    rows[1]["t"] = ["q"]
    assert ask(v1, "/v1/models/two:predict", {"instances": rows}) == {
        "predictions": [{"sum": [11.0, 22.0], "text": ["p"]}, {"sum": [33.0, 44.0], "text": ["q"]}]}
    for row, t in zip(rows, "pq"):
        row["t"] = t  # a last size of 1 may be left out
    assert ask(v1, "/v1/models/two:predict", {"instances": rows})["predictions"][1]["text"] == ["q"]
    columns = {"a": [[1, 2]], "b": [[10, 20]], "t": [["p"]]}
    assert ask(v1, "/v1/models/two:predict", {"inputs": columns}) == {
        "outputs": {"sum": [[11.0, 22.0]], "text": [["p"]]}}


def test_bytes_are_base64_both_ways(v1):
    blob = bytes(range(256))
    text = base64.b64encode(blob).decode()
    want = [{"b64": text}, {"b64": base64.b64encode(b"plain").decode()}]
    assert ask(v1, "/v1/models/blobs:predict",
               {"instances": [{"b64": text}, "plain"]}) == {"predictions": want}
    assert ask(v1, "/v1/models/blobs:predict",
               {"instances": [{"image_bytes": {"b64": text}}, {"image_bytes": "plain"}]}) == {"predictions": want}
    assert ask(v1, "/v1/models/blobs:predict", {"inputs": [{"b64": text}]}) == {"outputs": want[:1]}
    for n in range(5):
        cut = base64.b64encode(blob[:n]).decode()
        assert ask(v1, "/v1/models/blobs:predict", {"instances": [{"b64": cut}]}) == {"predictions": [{"b64": cut}]}


def test_status_and_metadata(v1):
    state = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    got = v1.get("/v1/models/half_plus_two").json()
    assert got["model_version_status"] == [{"version": v, **state} for v in ("123", "1")]
    got = v1.get("/v1/models/half_plus_two/versions/1").json()
    assert got["model_version_status"] == [{"version": "1", **state}]
    got = v1.get("/v1/models/half_plus_two/labels/latest").json()
    assert got["model_version_status"] == [{"version": "123", **state}]
    got = v1.get("/v1/models/two/metadata").json()
    assert got["model_spec"] == {"name": "two", "signature_name": "", "version": "1"}
    signature = got["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["method_name"] == "tensorflow/serving/predict"
    assert signature["inputs"]["a"] == {
        "dtype": "DT_FLOAT", "name": "a",
        "tensor_shape": {"dim": [{"size": "-1", "name": ""}, {"size": "2", "name": ""}], "unknown_rank": False}}
    assert signature["outputs"]["text"]["dtype"] == "DT_STRING"


# --- labels of versions ---

def test_labels_of_versions(serve, tmp_path):
    models.half_plus_two(tmp_path / "half" / "1" / "model.onnx")
    models.half_plus_two(tmp_path / "half" / "2" / "model.onnx")
    file = tmp_path / "galley.yaml"
    file.write_text(f"models:\n  - path: {tmp_path / 'half'}\n    version_labels: stable=1,canary=2,gone=9\n")
    s = serve("--config", file)
    for label, version in (("stable", "1"), ("canary", "2"), ("latest", "2")):
        at = f"/v1/models/half/labels/{label}"
        assert [v["version"] for v in s.get(at).json()["model_version_status"]] == [version]
        assert s.get(f"{at}/metadata").json()["model_spec"]["version"] == version
        assert ask(s, f"{at}:predict", {"instances": [2.0]}) == {"predictions": [3.0]}
        assert ask(s, f"{at}:regress", {"examples": [{"x": 2.0}]}) == {"results": [3.0]}
    assert s.post("/v1/models/half/labels/gone:predict", {"instances": [1]}).status == 404
    r = s.post("/v1/models/half/labels/none:predict", {"instances": [1]})
    assert r.status == 404 and "unknown version label 'none'" in r.json()["error"]


def test_a_verb_takes_post_alone(v1):
    for path in ("half_plus_two:predict", "half_plus_two/versions/1:classify", "half_plus_two/labels/latest:regress"):
        r = v1.get(f"/v1/models/{path}")
        assert r.status == 405 and r.header("Allow") == "POST", r


def test_not_a_number_is_text_both_ways(v1):
    assert ask(v1, "/v1/models/half_plus_two:predict", {"instances": ["NaN", "Infinity", "-Infinity"]}) == {
        "predictions": ["NaN", "Infinity", "-Infinity"]}
    assert v1.post("/v1/models/half_plus_two:predict", b'{"instances": [NaN]}').status == 400


def test_a_name_may_have_a_colon(v1):
    assert ask(v1, "/v1/models/a:b:predict", {"instances": [2.0]}) == {"predictions": [3.0]}
    assert v1.get("/v1/models/a:b").json()["name"] == "a:b"


BAD = [
    ("half_plus_two:predict", {"instances": []}, 400, "an array of at least one instance is expected (at instances)"),
    ("half_plus_two:predict", {}, 400, "the body has neither 'instances' (rows) nor 'inputs' (columns)"),
    ("half_plus_two:predict", {"instances": [1], "inputs": [1]}, 400,
     "the body has both 'instances' (rows) and 'inputs' (columns)"),
    ("half_plus_two:predict", {"instances": [1], "extra": 1}, 400, "unknown member 'extra' (at extra)"),
    ("half_plus_two:predict", {"instances": [1], "signature_name": "other"}, 400,
     'the only signature is "serving_default" (at signature_name)'),
    ("half_plus_two:predict", {"instances": [1, [2]]}, 400, None),
    ("half_plus_two:predict", {"instances": ["x"]}, 400, None),
    ("half_plus_two:predict", {"instances": [{"y": 1}]}, 400, "'y' is no input of model 'half_plus_two'"),
    ("half_plus_two:predict", {"instances": [{"x": 1}, 2]}, 400, "an object is expected, got number"),
    ("half_plus_two:predict", {"instances": [{"x": 1}, {}]}, 400, "input 'x' is missing (at instances[1].x)"),
    ("cube:predict", {"instances": [[[1, 2, 3], [4, 5]]]}, 400,
     "arrays of one level differ in length: 3 before, then 2"),
    ("two:predict", {"instances": [[1, 2]]}, 400, "model 'two' has 3 inputs: each value needs its input's name"),
    ("blobs:predict", {"instances": [{"b64": "a"}]}, 400, "base64"),
    ("half_plus_two:predict", b"{", 400, None),
    ("half_plus_two:classify", {"examples": []}, 400, "an array of at least one example is expected"),
    ("half_plus_two:classify", {"examples": [{"x": 1}]}, 501, "the model has no scores of classes"),
    ("half_plus_two:explain", {}, 501, "has no explainer"),
    ("half_plus_two/labels/stable:predict", {"instances": [1]}, 404, "unknown version label 'stable'"),
    ("half_plus_two/versions/9:predict", {"instances": [1]}, 404, None),
    ("none:predict", {"instances": [1]}, 404, None),
    ("half_plus_two:fly", {"instances": [1]}, 405, None),
    (":predict", {"instances": [1]}, 405, None),
]


@pytest.mark.parametrize("path, body, status, text", BAD)
def test_bad_requests(v1, path, body, status, text):
    r = v1.post(f"/v1/models/{path}", body)
    assert r.status == status, r
    error = r.json().get("error") or r.json()["detail"]
    assert text is None or text in error, error


def test_deep_arrays_are_refused(v1):
    r = v1.post("/v1/models/half_plus_two:predict", b'{"instances": ' + b"[" * 60 + b"1" + b"]" * 60 + b"}")
    assert r.status == 400, r


# --- KServe's own client ---

def test_kserve_client(v1):
    kserve = pytest.importorskip("kserve", reason="kserve is not installed")

    async def run():
        async with kserve.InferenceRESTClient(kserve.RESTConfig(protocol="v1")) as c:
            got = await c.infer(f"http://127.0.0.1:{v1.port}", data={"instances": [1.0, 2.0]},
                                model_name="half_plus_two")
            ready = await c.is_model_ready(f"http://127.0.0.1:{v1.port}", "half_plus_two")
            return got, ready
    got, ready = asyncio.run(run())
    assert got["predictions"] == [2.5, 3.0]
    assert ready


# --- the examples' cases ---

def instances(case):
    inputs = case["oip"]["inputs"]
    arrays = {i["name"]: np.asarray(i["data"], dtype=object).reshape(i["shape"]) for i in inputs}
    rows = len(next(iter(arrays.values())))
    return [{n: a[k].tolist() for n, a in arrays.items()} for k in range(rows)]


@pytest.mark.parametrize("name, case", CASES)
def test_every_case_answers_what_training_answered(examples, name, case):
    rows = ask(examples, f"/v1/models/{name}:predict", {"instances": instances(case)})["predictions"]
    check(name, case, [r["label"] for r in rows], [r["probabilities"] for r in rows])
    same_bits(examples, name, case, [r["label"] for r in rows], [r["probabilities"] for r in rows])
    columns = {i["name"]: np.asarray(i["data"], dtype=object).reshape(i["shape"]).tolist()
               for i in case["oip"]["inputs"]}
    outputs = ask(examples, f"/v1/models/{name}:predict", {"inputs": columns})["outputs"]
    same_bits(examples, name, case, outputs["label"], outputs["probabilities"])
    results = ask(examples, f"/v1/models/{name}:classify", {"examples": instances(case)})["results"]
    want = [str(k) for k in case["expected"]["outputs"]["probabilities"]["labels"]]
    assert [[c[0] for c in row] for row in results] == [want] * len(rows) or \
        [[c[0] for c in row] for row in results] == [[str(i) for i in range(len(want))]] * len(rows)
    assert [[c[1] for c in row] for row in results] == [r["probabilities"] for r in rows]
