# SPDX-License-Identifier: Apache-2.0
"""A packaged fraud model: what its galley.yaml refuses is refused in every protocol before the model runs, with every
wrong field by name (VAL-01 to VAL-06); what it flags is flagged; what it fills is filled."""
import json
import shutil

import grpc
import jsonschema
import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
import websocket
from google.protobuf import descriptor_pool, message_factory
from google.rpc import error_details_pb2, status_pb2

import grpc_stubs
import harness
import models

MANIFEST = """
galley: 1
name: fraud
version: 2.1.0
description: Whether a card payment is fraudulent
model: model.onnx
features:
  - {name: transaction_amount, type: float, description: Sum of the payment, unit: EUR, gt: 0, lt: 1000000,
     outlier: {above: 50000, action: flag}, example: 3588.76}
  - {name: merchant_category, type: text, min_length: 1, max_length: 50,
     values: [electronics, grocery, restaurant, travel, other],
     message: "Category must be one of electronics, grocery, restaurant, travel, other"}
  - {name: user_account_age_days, type: int, ge: 0, le: 36500, outlier: {above: 30000}}
  - {name: hour_of_day, type: int, ge: 0, le: 23}
rules:
  - {left: hour_of_day, op: "<=", right: user_account_age_days, message: an account is older than its first hour}
  - {left: transaction_amount, op: "<=", right: 100000 * (user_account_age_days + 1), message: too much for a young account}
outputs:
  - label
  - {name: probabilities, description: Of legitimate and fraud, labels: [legitimate, fraud]}
confidence: {output: probabilities, min: 0.9999999}
"""
GOOD = {"transaction_amount": 120.5, "merchant_category": "grocery", "user_account_age_days": 400, "hour_of_day": 13}

# VAL-01 to VAL-05: a field, a wrong value, the message, the kind of error.
WRONG = [
    ("transaction_amount", 0, "transaction_amount must be greater than 0", "range"),
    ("transaction_amount", -0.01, "transaction_amount must be greater than 0", "range"),
    ("transaction_amount", 1000000, "transaction_amount must be less than 1000000", "range"),
    ("merchant_category", "", "Category must be one of electronics", "value"),
    ("merchant_category", "gambling", "Category must be one of electronics", "value"),
    ("merchant_category", "x" * 51, "Category must be one of electronics", "value"),
    ("user_account_age_days", -1, "user_account_age_days must be at least 0", "range"),
    ("user_account_age_days", 36501, "user_account_age_days must be at most 36500", "range"),
    ("user_account_age_days", 30001, "user_account_age_days value suspicious", "outlier"),
    ("user_account_age_days", 12, "an account is older than its first hour", "rule"),
    ("hour_of_day", -1, "hour_of_day must be at least 0", "range"),
    ("hour_of_day", 24, "hour_of_day must be at most 23", "range"),
]
EDGES = [("transaction_amount", 0.01), ("transaction_amount", 999999), ("user_account_age_days", 30000),
         ("user_account_age_days", 13), ("hour_of_day", 0), ("hour_of_day", 23)]


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    path = tmp_path_factory.mktemp("packages") / "fraud"
    path.mkdir()
    shutil.copy(harness.EXAMPLES / "fraud" / "model.onnx", path)
    (path / "galley.yaml").write_text(MANIFEST)
    return path


@pytest.fixture(scope="module")
def server(package):
    with harness.Server(paths=[package]) as s:
        yield s


@pytest.fixture
def ran(server):
    """ran() is how many inferences the model has run since the test began (VAL-06)."""
    def count():
        text = server.get("/metrics").body.decode()
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
                   if line.startswith(("inference_requests_total{", "inference_duration_seconds_count{")))
    before = count()
    return lambda: count() - before


def post(server, path, body, **headers):
    return server.post(path, body, {"Content-Type": "application/json", **headers})


def with_field(name, value):
    return {**GOOD, name: value}


def details(reply):
    return {d["field"]: (d["msg"], d["type"]) for d in reply.json()["detail"]}


# --- native ---

@pytest.mark.parametrize("name,value,message,kind", WRONG)
def test_a_wrong_field_is_422_by_name(server, ran, name, value, message, kind):
    reply = post(server, "/predict", {"instances": [GOOD, with_field(name, value)]})
    assert reply.status == 422
    named = "hour_of_day" if kind == "rule" else name
    got = details(reply)
    assert list(got) == [f"instances[1].{named}"]
    assert got[f"instances[1].{named}"][0].startswith(message) and got[f"instances[1].{named}"][1] == kind
    assert reply.json()["detail"][0]["loc"] == ["body", "instances", 1, named]
    assert ran() == 0


def test_a_rule_may_compute(server, ran):
    row = {**GOOD, "transaction_amount": 900000, "user_account_age_days": 5, "hour_of_day": 3}
    reply = post(server, "/predict", {"instances": [GOOD, row]})
    assert reply.status == 422
    assert details(reply) == {"instances[1].transaction_amount": ("too much for a young account", "rule")}
    reply = post(server, "/v2/models/fraud/infer", {"inputs": oip_inputs(row)})
    assert reply.status == 400 and b"too much for a young account" in reply.body
    assert ran() == 0
    assert post(server, "/predict", {**row, "user_account_age_days": 8}).status == 200


@pytest.mark.parametrize("name,value", EDGES)
def test_a_value_at_the_edge_is_taken(server, name, value):
    assert post(server, "/predict", with_field(name, value)).status == 200


def test_all_that_is_wrong_is_told_at_once(server, ran):
    reply = post(server, "/predict", {"transaction_amount": "120", "user_account_age_days": 40000, "hour_of_day": 24,
                                      "colour": "red"})
    assert reply.status == 422
    got = details(reply)
    assert {k: v[1] for k, v in got.items()} == {
        "transaction_amount": "type", "merchant_category": "missing", "user_account_age_days": "range",
        "hour_of_day": "range", "colour": "unknown"}
    assert ran() == 0


def test_nothing_is_coerced(server):
    for name, value in [("hour_of_day", "13"), ("hour_of_day", 13.5), ("hour_of_day", None), ("merchant_category", 5),
                        ("transaction_amount", "NaN"), ("user_account_age_days", True)]:
        reply = post(server, "/predict", with_field(name, value))
        assert reply.status == 422 and name in details(reply), (name, value, reply.body)


# --- other protocols ---

def oip_inputs(row):
    types = {"transaction_amount": "FP32", "merchant_category": "BYTES"}
    return [{"name": k, "datatype": types.get(k, "INT64"), "shape": [1, 1], "data": [v]} for k, v in row.items()]


@pytest.mark.parametrize("path,body", [
    ("/v2/models/fraud/infer", lambda row: {"inputs": oip_inputs(row)}),
    ("/v1/models/fraud:predict", lambda row: {"instances": [row]}),
    ("/v1/models/fraud:predict", lambda row: {"inputs": {k: [v] for k, v in row.items()}}),
    ("/invocations", lambda row: {"dataframe_records": [row]}),
    ("/invocations", lambda row: {"dataframe_split": {"columns": list(row), "data": [list(row.values())]}}),
    ("/invocations", lambda row: {"inputs": {k: [[v]] for k, v in row.items()}}),
])
@pytest.mark.parametrize("name,value,message,kind", WRONG)
def test_every_protocol_refuses_it(server, ran, path, body, name, value, message, kind):
    assert post(server, path, body(GOOD)).status == 200
    before = ran()
    reply = post(server, path, body(with_field(name, value)))
    assert reply.status == 400 and message in reply.body.decode(), reply.body
    assert ran() == before


ALL_WRONG = {"transaction_amount": "much", "merchant_category": "gambling", "hour_of_day": 99, "colour": "red"}
ALL_TOLD = ["transaction_amount", "Category must be one of", "user_account_age_days", "hour_of_day must be at most 23", "colour"]


def v2_of(row):
    inputs = oip_inputs(row)
    inputs[[i["name"] for i in inputs].index("colour")]["datatype"] = "BYTES"
    return {"inputs": inputs}


@pytest.mark.parametrize("path,body", [
    ("/v2/models/fraud/infer", v2_of),
    ("/v1/models/fraud:predict", lambda row: {"instances": [row]}),
    ("/v1/models/fraud:predict", lambda row: {"inputs": {k: [v] for k, v in row.items()}}),
    ("/invocations", lambda row: {"dataframe_records": [row]}),
    ("/invocations", lambda row: {"inputs": {k: [[v]] for k, v in row.items()}}),
    ("/predict", lambda row: row),
])
def test_every_protocol_tells_all_that_is_wrong(server, ran, path, body):
    """A wrong type, a value that is none of several, one that is missing, one out of range, one that nobody knows."""
    reply = post(server, path, body(ALL_WRONG))
    text = reply.body.decode()
    assert reply.status == (422 if path == "/predict" else 400)
    assert all(t in text for t in ALL_TOLD), text
    assert " more" not in text and ran() == 0


def test_a_datatype_does_not_hide_what_else_is_wrong(server, ran):
    inputs = oip_inputs({**GOOD, "transaction_amount": -1, "hour_of_day": 24})
    inputs[2].update(datatype="FP32", data=[1.0])
    text = post(server, "/v2/models/fraud/infer", {"inputs": inputs}).body.decode()
    for words in ("unexpected datatype for input 'user_account_age_days'", "transaction_amount must be greater than 0",
                  "hour_of_day must be at most 23"):
        assert words in text, text
    inputs[1].update(shape=[2, 2])
    text = post(server, "/v2/models/fraud/infer", {"inputs": inputs}).body.decode()
    assert "merchant_category: " in text and "(at inputs[1]" in text and "hour_of_day must be at most 23" in text, text
    assert ran() == 0


@pytest.mark.parametrize("path,body", [
    ("/v1/models/fraud:predict", lambda rows: {"instances": rows}),
    ("/invocations", lambda rows: {"dataframe_records": rows}),
    ("/invocations", lambda rows: {"dataframe_split": {"columns": list(GOOD), "data": [list(r.values()) for r in rows]}}),
])
def test_rows_that_cannot_be_read_do_not_hide_others(server, ran, path, body):
    """What could not be read is judged no further, by bounds or by rules."""
    rows = [{**GOOD, "user_account_age_days": "old"}, GOOD, {**GOOD, "hour_of_day": 24},
            {**GOOD, "transaction_amount": "much", "merchant_category": 5, "user_account_age_days": 40000}]
    text = post(server, path, body(rows)).body.decode()
    for words in ("[0].user_account_age_days", "[3].transaction_amount", "[3].merchant_category", "hour_of_day must be at most 23",
                  "user_account_age_days must be at most"):
        assert words in text, text
    assert "[1]" not in text and text.count("must be") == 2 and "young" not in text
    assert ran() == 0


@pytest.mark.parametrize("path,body", [
    ("/v2/models/fraud/infer", lambda rows: {"inputs": [
        {**i, "shape": [len(rows), 1], "data": [r[i["name"]] for r in rows]} for i in oip_inputs(GOOD)]}),
    ("/v1/models/fraud:predict", lambda rows: {"instances": rows}),
    ("/invocations", lambda rows: {"dataframe_records": rows}),
])
def test_very_much_that_is_wrong_is_bounded_and_counted(server, ran, path, body):
    rows = [{**GOOD, "merchant_category": "gambling", "hour_of_day": 24}] * 200
    text = post(server, path, body(rows)).body.decode()
    assert 3000 < len(text) < 5000
    told = text.count("hour_of_day must") + text.count("Category must")
    assert f"; and {400 - told} more" in text
    assert ran() == 0


@pytest.mark.parametrize("path,body,key", [
    ("/v1/models/fraud:predict", lambda rows: {"instances": rows}, "error"),
    ("/invocations", lambda rows: {"dataframe_records": rows}, "error_code"),
])
def test_a_very_large_request_that_is_all_wrong_is_not_read_to_its_end(server, ran, path, body, key):
    for count in (200, 60000):  # where nobody reads on, nobody counts
        reply = post(server, path, body([{**GOOD, "transaction_amount": "x"}] * count))
        assert reply.status == 400 and key in reply.json() and len(reply.body) < 5000
        assert b"; and more" in reply.body, reply
    assert ran() == 0


def test_binary_tensors_are_checked(server, ran):
    client = triton_http.InferenceServerClient(f"127.0.0.1:{server.port}")
    inputs = [triton_http.InferInput("transaction_amount", [2, 1], "FP32"),
              triton_http.InferInput("merchant_category", [2, 1], "BYTES"),
              triton_http.InferInput("user_account_age_days", [2, 1], "INT64"),
              triton_http.InferInput("hour_of_day", [2, 1], "INT64")]
    for i, data in zip(inputs, (np.array([[5], [np.nan]], np.float32), np.array([[b"grocery"], [b"\xff"]], object),
                                np.array([[400], [-1]]), np.array([[1], [24]]))):
        i.set_data_from_numpy(data)
    with pytest.raises(triton_http.InferenceServerException) as e:
        client.infer("fraud", inputs)
    for words in ("transaction_amount must be a number, not NaN", "Category must be one of", "at least 0", "at most 23"):
        assert "instance 1: " in str(e.value) and words in str(e.value)
    assert ran() == 0


def test_grpc_names_each_field(server, ran):
    client = triton_grpc.InferenceServerClient(f"127.0.0.1:{server.port}")
    inputs = []
    for name, kind, data in [("transaction_amount", "FP32", np.array([[-1]], np.float32)),
                             ("merchant_category", "BYTES", np.array([[b"gambling"]], object)),
                             ("user_account_age_days", "INT64", np.array([[400]])),
                             ("hour_of_day", "INT64", np.array([[24]]))]:
        inputs.append(triton_grpc.InferInput(name, [1, 1], kind))
        inputs[-1].set_data_from_numpy(data)
    with pytest.raises(triton_grpc.InferenceServerException) as e:
        client.infer("fraud", inputs)
    assert e.value.status() == "StatusCode.INVALID_ARGUMENT" and "hour_of_day must be at most 23" in e.value.message()
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        request = triton_grpc.service_pb2.ModelInferRequest(model_name="fraud")
        for i in inputs:
            request.inputs.append(i._get_tensor())
            request.raw_input_contents.append(i._get_content())
        with pytest.raises(grpc.RpcError) as e:
            triton_grpc.service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request)
    status = status_pb2.Status.FromString(dict(e.value.trailing_metadata())["grpc-status-details-bin"])
    bad = error_details_pb2.BadRequest()
    assert status.details[0].Unpack(bad)
    assert [v.field for v in bad.field_violations] == ["transaction_amount[0]", "merchant_category[0]", "hour_of_day[0]"]
    assert ran() == 0


def test_a_websocket_is_told_and_stays(server, ran):
    ws = websocket.create_connection(f"ws://127.0.0.1:{server.port}/v2/models/fraud/ws", timeout=20 * harness.SCALE)
    ws.send(json.dumps({"inputs": oip_inputs(with_field("hour_of_day", 24))}))
    answer = json.loads(ws.recv())
    assert answer["error"] == "hour_of_day must be at most 23" and answer["status"] == 400
    assert ran() == 0
    ws.send(json.dumps({"inputs": oip_inputs(GOOD)}))
    assert json.loads(ws.recv())["outputs"]
    ws.close()


def test_a_cloudevent_is_checked(server, ran):
    headers = {"ce-id": "1", "ce-source": "tests", "ce-type": "payment", "ce-specversion": "1.0"}
    reply = post(server, "/v2/models/fraud/infer", {"inputs": oip_inputs(with_field("hour_of_day", 24))}, **headers)
    assert reply.status == 400 and b"hour_of_day must be at most 23" in reply.body
    assert ran() == 0


# --- what is left out ---

def test_defaults_and_null(serve, tmp_path):
    path = tmp_path / "ages"
    path.mkdir()
    models.identity(path / "model.onnx", "FP64", ("n", 1))
    (path / "galley.yaml").write_text("galley: 1\nname: ages\nversion: 1.0.0\nmodel: model.onnx\n"
                                      "features: [{name: x, type: int, ge: 0, nullable: true, default: 7}]\n"
                                      "unknown_features: ignore\n")
    s = serve(paths=[path])
    got = post(s, "/predict", {"instances": [{"x": 3}, {}, {"x": None}, {"other": 1}]})
    assert got.status == 200, got.body
    assert [p["y"] if isinstance(p, dict) else p for p in got.json()["predictions"]] == [3, 7, "NaN", 7]
    assert details(post(s, "/predict", {"instances": [{"x": 1.5}]})) == {
        "instances[0].x": ("x must be a whole number", "type")}
    data = {"name": "x", "datatype": "FP64", "shape": [2, 1], "data": [None, 4]}
    assert post(s, "/v2/models/ages/infer", {"inputs": [data]}).json()["outputs"][0]["data"] == ["NaN", 4]
    assert post(s, "/v1/models/ages:predict", {"instances": [{"x": None}]}).status == 200


# --- flags ---

def test_outliers_and_low_confidence_are_flagged(server):
    reply = post(server, "/predict", {"instances": [with_field("transaction_amount", 60000), GOOD]})
    assert reply.status == 200
    answer = reply.json()
    assert answer["review"] is True and len(answer["predictions"]) == 2
    kinds = {(f["instance"], f["field"], f["type"]) for f in answer["flags"]}
    assert (0, "transaction_amount", "outlier") in kinds
    assert (1, "probabilities", "confidence") in kinds
    assert reply.header("X-Galley-Review") == "outlier, confidence"
    assert 'inference_flagged_total{model="fraud"' in server.get("/metrics").body.decode()
    other = post(server, "/v2/models/fraud/infer", {"inputs": oip_inputs(GOOD)})
    assert other.header("X-Galley-Review") == "confidence"


# --- documents ---

def test_openapi_shows_what_is_checked(server):
    document = server.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    name = next(k for k in schemas if k.endswith("Features") and "transaction_amount" in json.dumps(schemas[k]))
    schema = jsonschema.Draft202012Validator({**schemas[name], "components": document["components"]})
    assert schema.is_valid(GOOD)
    for field, value, _, kind in WRONG:
        if kind in ("range", "value"):
            assert not schema.is_valid(with_field(field, value)), (field, value)
    amount = schemas[name]["properties"]["transaction_amount"]
    assert amount["description"] == "Sum of the payment (EUR)" and amount["examples"] == [3588.76]
    text = json.dumps(document)
    assert "Of legitimate and fraud" in text


def test_metadata_shows_what_is_checked(server):
    inputs = {i["name"]: i["parameters"] for i in server.get("/v2/models/fraud").json()["inputs"]}
    assert inputs["hour_of_day"] == {"ge": 0, "le": 23}
    assert json.loads(inputs["merchant_category"]["values"])[0] == "electronics"


def own_messages(*names):
    """Of proto/inference.proto, in a pool of their own: tritonclient has others of that name."""
    pool = descriptor_pool.DescriptorPool()
    for file in grpc_stubs.describe("inference").file:
        pool.Add(file)
    return [message_factory.GetMessageClass(pool.FindMessageTypeByName(f"inference.{n}")) for n in names]


def test_grpc_metadata_shows_what_is_checked(server):
    """In MLServer's field; clients that do not know it read the rest."""
    request, response = own_messages("ModelMetadataRequest", "ModelMetadataResponse")
    rest = server.get("/v2/models/fraud").json()
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        call = channel.unary_unary("/inference.GRPCInferenceService/ModelMetadata",
                                   response_deserializer=response.FromString)
        answer = call(request(name="fraud").SerializeToString())
    for got, want in zip([*answer.inputs, *answer.outputs], rest["inputs"] + rest["outputs"], strict=True):
        parameters = {k: getattr(v, v.WhichOneof("parameter_choice")) for k, v in got.parameters.items()}
        assert got.name == want["name"] and parameters == want.get("parameters", {})
    kinds = [{k: v.WhichOneof("parameter_choice") for k, v in i.parameters.items()} for i in answer.inputs]
    assert kinds[0] == {"description": "string_param", "unit": "string_param", "gt": "double_param", "lt": "double_param",
                        "example": "double_param"}
    assert kinds[3] == {"ge": "int64_param", "le": "int64_param"}
    plain = triton_grpc.InferenceServerClient(f"127.0.0.1:{server.port}").get_model_metadata("fraud")
    assert [i.name for i in plain.inputs] == [i["name"] for i in rest["inputs"]]
