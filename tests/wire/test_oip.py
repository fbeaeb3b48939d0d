# SPDX-License-Identifier: Apache-2.0
"""The Open Inference Protocol over REST: metadata, health, tensors of every datatype."""
import json
import math
import time

import ml_dtypes
import numpy as np
import pytest

import harness
import models
import oip

INTS = {d: np.iinfo(oip.NUMPY[d]) for d in oip.NUMPY if d.startswith(("INT", "UINT"))}
FLOATS = {d: ml_dtypes.finfo(oip.NUMPY[d]) for d in ("FP16", "BF16", "FP32", "FP64")}


def values(datatype):
    """Six values of a datatype that test its bounds."""
    if datatype == "BOOL":
        return [True, False, False, True, True, True]
    if datatype == "BYTES":
        return ["", "a", "héllo", "\u0000\n\"\\", "日本", "x" * 300]
    if datatype in INTS:
        i = INTS[datatype]
        return [int(i.min), int(i.max), 0, 1, 7, int(i.max) - 1]
    f = FLOATS[datatype]
    return [float(x) for x in (f.max, f.min, f.tiny, f.eps)] + [0.5, 0.1]


def exact(datatype, data):
    """As the datatype holds it: JSON has the shortest text that reads back to it."""
    flat = np.ravel(np.array(data, object)).tolist()
    return flat if datatype == "BYTES" else np.array(flat, oip.NUMPY[datatype]).tolist()


# --- metadata and health ---

def test_server_metadata_names_galley_and_the_extensions_it_has(examples):
    reply = examples.get("/v2")
    assert reply.status == 200 and reply.header("Content-Type") == "application/json"
    meta = reply.json()
    assert meta["name"] == "galley" and meta["version"]
    assert "binary_tensor_data" in meta["extensions"]
    assert examples.get("/v2/").json() == meta


def test_model_metadata_has_names_datatypes_and_shapes(examples):
    meta = examples.get("/v2/models/fraud").json()
    assert meta["name"] == "fraud" and meta["versions"] == ["1"]
    assert meta["platform"] == "onnxruntime_onnx"
    assert [(t["name"], t["datatype"], t["shape"]) for t in meta["inputs"]] == [
        ("transaction_amount", "FP32", [-1, 1]), ("merchant_category", "BYTES", [-1, 1]),
        ("user_account_age_days", "INT64", [-1, 1]), ("hour_of_day", "INT64", [-1, 1])]
    assert {t["name"]: t["datatype"] for t in meta["outputs"]} == {
        "label": "INT64", "probabilities": "FP32"}


@pytest.mark.parametrize("datatype", oip.NUMPY)
def test_metadata_names_every_datatype(zoo, datatype):
    meta = zoo.get(f"/v2/models/id-{datatype.lower()}").json()
    for port in meta["inputs"] + meta["outputs"]:
        assert (port["datatype"], port["shape"]) == (datatype, [-1, 2])


def test_versions_are_listed_newest_first_and_the_newest_answers(zoo):
    assert zoo.get("/v2/models/versions").json()["versions"] == ["10", "2", "1"]
    assert zoo.get("/v2/models/dotted").json()["versions"] == ["1.10.0", "1.2.0"]
    x = {"x": ("FP32", [1, 1], [0.0])}
    reply = zoo.infer("versions", x).json()
    assert (reply["model_version"], reply["outputs"][0]["data"]) == ("10", [10.0])
    assert zoo.infer("dotted", x).json()["outputs"][0]["data"] == [110.0]


@pytest.mark.parametrize("model, version, value", [("versions", "1", 1.0), ("versions", "2", 2.0),
                                                   ("versions", "10", 10.0),
                                                   ("dotted", "1.2.0", 12.0)])
def test_a_version_in_the_path_answers_itself(zoo, model, version, value):
    body = {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [0]}]}
    reply = zoo.post(f"/v2/models/{model}/versions/{version}/infer", body).json()
    assert (reply["model_version"], reply["outputs"][0]["data"]) == (version, [value])
    meta = zoo.get(f"/v2/models/{model}/versions/{version}").json()
    assert meta["name"] == model
    assert zoo.get(f"/v2/models/{model}/versions/{version}/ready").status == 200


def test_health_of_server_and_model(examples):
    # KServe's client wants the flag in the body, Triton's only the status.
    assert examples.get("/v2/health/live").json()["live"] is True
    assert examples.get("/v2/health/ready").json()["ready"] is True
    reply = examples.get("/v2/models/iris/ready")
    assert reply.status == 200 and reply.json()["ready"] is True
    names = examples.get("/v2/models").json()["models"]
    assert [m if isinstance(m, str) else m["name"] for m in names] == [
        "breast-cancer", "digits", "fraud", "iris"]


@pytest.mark.parametrize("path", ["/v2/models/nobody", "/v2/models/nobody/ready",
                                  "/v2/models/iris/versions/99", "/v2/models/iris/versions/x",
                                  "/v2/models/iris/versions/99/ready", "/v2/nothing"])
def test_what_is_not_there_is_404_in_the_protocols_form(examples, path):
    reply = examples.get(path)
    assert reply.status == 404
    assert list(reply.json()) == ["error"]


def test_names_in_the_path_are_percent_decoded(zoo):
    reply = zoo.get("/v2/models/name%20with%20space")
    assert reply.status == 200 and reply.json()["name"] == "name with space"
    body = {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [1]}]}
    assert zoo.post("/v2/models/name%20with%20space/infer", body).json()["outputs"][0]["data"] == [8]


# --- tensors ---

@pytest.mark.parametrize("datatype", oip.NUMPY)
@pytest.mark.parametrize("nested", [False, True])
def test_every_datatype_goes_through_json_and_back(zoo, datatype, nested):
    want = values(datatype)
    data = [want[0:2], want[2:4], want[4:6]] if nested else want
    reply = zoo.infer(f"id-{datatype.lower()}", {"x": (datatype, [3, 2], data)})
    assert reply.status == 200, reply
    out = reply.json()["outputs"][0]
    assert (out["name"], out["datatype"], out["shape"]) == ("y", datatype, [3, 2])
    assert exact(datatype, out["data"]) == exact(datatype, want)


@pytest.mark.parametrize("datatype", oip.NUMPY)
def test_every_datatype_goes_through_binary_and_back(zoo, datatype):
    want = values(datatype)
    array = np.array([w.encode() for w in want], object) if datatype == "BYTES" \
        else np.array(want, oip.NUMPY[datatype])
    reply = oip.post_binary(zoo, f"id-{datatype.lower()}", {"x": array.reshape(3, 2)})
    assert reply.status == 200, reply
    assert reply.header("Content-Type") == "application/octet-stream"
    assert oip.tensors(reply)["y"].tolist() == array.reshape(3, 2).tolist()


@pytest.mark.parametrize("datatype", FLOATS)
def test_floats_without_a_json_number_are_three_strings(zoo, datatype):
    text = ["NaN", "Infinity", "-Infinity", 0.5]
    out = zoo.infer(f"id-{datatype.lower()}", {"x": (datatype, [2, 2], text)}).json()["outputs"][0]
    assert np.ravel(np.array(out["data"], object)).tolist() == text
    array = np.array([np.nan, np.inf, -np.inf, -0.0]).astype(oip.NUMPY[datatype]).reshape(2, 2)
    got = oip.tensors(oip.post_binary(zoo, f"id-{datatype.lower()}", {"x": array}))["y"]
    assert got.tobytes() == array.tobytes()


@pytest.mark.parametrize("datatype, number, want", [
    ("FP16", 2049, 2048.0), ("FP16", 1e-8, 0.0), ("BF16", 257, 256.0), ("FP32", 16777217, 16777216.0),
    ("FP16", 2051, 2052.0), ("FP32", 0.1, 0.1), ("FP64", 0.1, 0.1), ("BF16", 1.01, 1.0078125)])
def test_floats_are_rounded_once_to_the_nearest_even(zoo, datatype, number, want):
    out = zoo.infer(f"id-{datatype.lower()}", {"x": (datatype, [1, 2], [number, 0])})
    assert exact(datatype, out.json()["outputs"][0]["data"])[0] == exact(datatype, [want])[0]
    assert datatype not in ("FP16", "BF16") or exact(datatype, [want]) == [want]


def test_binary_bytes_need_not_be_text_but_json_says_so(zoo):
    array = np.array([[b"\xff\xfe\x00", b""]], object)
    assert oip.tensors(oip.post_binary(zoo, "id-bytes", {"x": array}))["y"].tolist() == array.tolist()
    reply = oip.post_binary(zoo, "id-bytes", {"x": array}, parameters={"binary_data_output": False})
    assert reply.status >= 400 and "UTF-8" in reply.json()["error"]


def test_scalars_empty_tensors_and_three_dimensions(zoo):
    assert zoo.infer("scalar", {"x": ("FP32", [], [2.5])}).json()["outputs"][0]["shape"] == []
    assert zoo.infer("scalar", {"x": ("FP32", [], 2.5)}).status == 200
    out = zoo.infer("id-fp32", {"x": ("FP32", [0, 2], [])}).json()["outputs"][0]
    assert (out["shape"], out["data"]) == ([0, 2], [])
    cube = np.arange(12, dtype=np.int32).reshape(2, 2, 3)
    for data in (cube.tolist(), cube.ravel().tolist()):
        out = zoo.infer("cube", {"x": ("INT32", [2, 2, 3], data)}).json()["outputs"][0]
        assert np.ravel(out["data"]).tolist() == list(range(12))
    got = oip.tensors(oip.post_binary(zoo, "cube", {"x": cube}))["y"]
    assert got.tolist() == cube.tolist()


def test_a_megabyte_of_numbers_comes_back_the_same(zoo):
    array = np.random.default_rng(1).standard_normal((60000, 2)).astype(np.float32)
    reply = zoo.infer("id-fp32", {"x": ("FP32", [60000, 2], array.tolist())})
    assert np.array_equal(oip.tensors(reply)["y"], array)
    assert np.array_equal(oip.tensors(oip.post_binary(zoo, "id-fp32", {"x": array}))["y"], array)


# --- ids, parameters, outputs ---

def test_the_id_comes_back_only_when_it_was_sent(zoo):
    x = {"x": ("FP32", [1, 2], [1, 2])}
    assert "id" not in zoo.infer("id-fp32", x).json()
    reply = zoo.infer("id-fp32", x, id="my id \u00e9").json()
    assert reply["id"] == "my id \u00e9"
    assert (reply["model_name"], reply["model_version"]) == ("id-fp32", "1")


def test_outputs_can_be_chosen_and_ordered(zoo):
    inputs = {"a": ("FP32", [1, 2], [1, 2]), "b": ("FP32", [1, 2], [3, 4]),
              "t": ("BYTES", [1, 1], ["é"])}

    def ask(**extra):
        reply = zoo.infer("two", inputs, **extra)
        assert reply.status == 200, reply
        return oip.tensors(reply)
    assert list(ask()) == ["sum", "text"]
    assert list(ask(outputs=[{"name": "text"}])) == ["text"]
    assert sorted(ask(outputs=[{"name": "text"}, {"name": "sum"}])) == ["sum", "text"]
    mixed = zoo.infer("two", inputs, outputs=[{"name": "sum", "parameters": {"binary_data": True}},
                                              {"name": "text"}])
    assert oip.tensors(mixed)["sum"].tolist() == [[4, 6]]
    assert oip.tensors(mixed)["text"].tolist() == [["é"]]
    both = zoo.infer("two", inputs, parameters={"binary_data_output": True},
                     outputs=[{"name": "sum", "parameters": {"binary_data": False}},
                              {"name": "text"}])
    assert both.header(oip.LENGTH) and oip.tensors(both)["text"].tolist() == [[b"\xc3\xa9"]]


def test_a_large_binary_tensor_is_the_same_wherever_the_heads_end(zoo):
    """It is used from where it is read: galley sees to it that it begins where its datatype wants it."""
    arrays = {"id-fp64": np.arange(20000, dtype=np.float64).reshape(-1, 2),
              "id-fp16": np.arange(20000, dtype=np.float16).reshape(-1, 2)}
    after = harness.request("GET", "/v2/health/ready")
    goes_on = {"Expect": "100-continue"}
    with zoo.connect() as c:
        for pad in range(18):
            for model, array in arrays.items():
                body, n = oip.binary({"x": array}, id="i" * (1 + pad % 3))
                fields = {oip.LENGTH: n, "Content-Type": "application/octet-stream", "X-Pad": "x" * pad,
                          **(goes_on if pad % 5 == 0 else {})}
                head = harness.head("POST", f"/v2/models/{model}/infer", body, fields)
                cuts = (0, len(head) - 1, len(head) + pad, len(head) + 3000, len(head) + len(body))
                for part in (slice(a, b) for a, b in zip(cuts, cuts[1:])):
                    c.send((head + body)[part])
                    time.sleep(0.001)
                c.send(after)  # what follows begins where it should
                assert pad % 5 > 0 or c.reply().status == 100
                assert np.array_equal(oip.tensors(c.reply())["y"], array)
                assert c.reply().status == 200


def test_json_and_binary_inputs_mix(zoo):
    a = np.array([[1, 2]], np.float32)
    head = json.dumps({"inputs": [
        {"name": "t", "shape": [1, 1], "datatype": "BYTES", "data": ["x"]},
        {"name": "b", "shape": [1, 2], "datatype": "FP32", "parameters": {"binary_data_size": 8}},
        {"name": "a", "shape": [1, 2], "datatype": "FP32", "data": [10, 20]}]}).encode()
    reply = zoo.post("/v2/models/two/infer", head + a.tobytes(), {oip.LENGTH: len(head)})
    assert oip.tensors(reply)["sum"].tolist() == [[11, 22]]


def test_unknown_parameters_are_carried_and_reserved_ones_refused(zoo):
    x = {"x": ("FP32", [1, 2], [1, 2])}
    assert zoo.infer("id-fp32", x, parameters={"mine": 1, "other": "x", "third": True,
                                               "priority": 1, "sequence_id": 0,
                                               "sequence_start": False}).status == 200
    reply = zoo.infer("id-fp32", x, parameters={"triton_enable": True})
    assert reply.status == 400 and "triton_" in reply.json()["error"]


# --- raw requests ---

def raw(server, model, body):
    return server.post(f"/v2/models/{model}/infer", body,
                       {oip.LENGTH: 0, "Content-Type": "application/octet-stream"})


def test_a_raw_request_is_the_only_inputs_bytes(zoo):
    array = np.array([[1.5, -2.0]], np.float32)
    reply = raw(zoo, "id-fp32", array.tobytes())
    assert reply.status == 200, reply
    assert oip.tensors(reply)["y"].tolist() == array.tolist()
    assert oip.tensors(raw(zoo, "fixed", bytes(24)))["y"].shape == (2, 3)
    assert oip.tensors(raw(zoo, "text-vector", b"\x00any\xff"))["y"].tolist() == [b"\x00any\xff"]


@pytest.mark.parametrize("model, body", [("two", bytes(8)), ("id-fp32", bytes(9)),
                                         ("id-fp32", b""), ("fixed", bytes(20)), ("fixed", bytes(28))])
def test_a_raw_request_that_does_not_fit_is_400(zoo, model, body):
    reply = raw(zoo, model, body)
    assert reply.status == 400 and reply.json()["error"]


# --- errors ---

@pytest.mark.parametrize("inputs, words", [
    ({"x": ("FP64", [1, 2], [1, 2])}, ["unexpected datatype", "'x'", "FP32", "FP64"]),
    ({"x": ("FP32", [1, 3], [1, 2, 3])}, ["unexpected shape", "'x'", "[-1,2]", "[1,3]"]),
    ({"x": ("FP32", [2], [1, 2])}, ["unexpected shape", "[2]"]),
    ({"z": ("FP32", [1, 2], [1, 2])}, ["unexpected inference input", "'z'"]),
    ({}, ["expected 1 inputs but got 0"]),
])
def test_inputs_that_do_not_fit_say_what_would(zoo, inputs, words):
    reply = zoo.infer("id-fp32", inputs)
    assert reply.status == 400
    assert reply.header("Content-Type") == "application/json"
    for word in words:
        assert word in reply.json()["error"]


def test_an_error_of_the_model_reaches_the_user_with_its_name(zoo):
    assert zoo.infer("failing", {"x": ("INT64", [1, 1], [0])}).status == 200
    reply = zoo.infer("failing", {"x": ("INT64", [1, 1], [5])})
    assert reply.status in (400, 500)
    assert "failing" in reply.json()["error"] and "indices" in reply.json()["error"].lower()


def test_numbers_in_answers_are_json(zoo):
    """No NaN literal ever leaves: other people's parsers would stop at it."""
    body = zoo.infer("id-fp32", {"x": ("FP32", [1, 2], ["NaN", "Infinity"])}).body

    def refuse(x):
        raise AssertionError(x)
    out = json.loads(body, parse_constant=refuse)["outputs"][0]
    assert np.ravel(np.array(out["data"], object)).tolist() == ["NaN", "Infinity"]
    assert math.isnan(float("NaN"))


def test_every_datatype_of_the_protocol_is_tested():
    assert set(models.DTYPES) == set(oip.NUMPY)
