# SPDX-License-Identifier: Apache-2.0
"""Answers in doubt (VAL-08): a payment near the boundary of the decision is flagged, or refused, because the decision
flips when its numbers move a little, or because its confidence is low; a clear one is not; and nothing else changes."""
import json

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
from google.rpc import error_details_pb2, status_pb2

import harness
import packages

CLEAR = {"transaction_amount": 20.0, "merchant_category": "grocery", "user_account_age_days": 2000, "hour_of_day": 14}
RISKY = {"transaction_amount": 3000.0, "merchant_category": "electronics", "user_account_age_days": 3, "hour_of_day": 3}
TYPES = {"transaction_amount": "FP32", "merchant_category": "BYTES"}
NAMES = ("fraud", "watched", "strict", "unsure")
# What stands behind the example's own galley.yaml.
SECTIONS = {
    "fraud": "",
    "watched": "stability: {output: is_fraud, noise: 0.05, samples: 32}\n",
    "strict": "stability: {output: is_fraud, noise: 0.05, samples: 32, action: refuse, message: ask a person}\n",
    "unsure": "confidence: {output: fraud_probability, min: 0.5, action: refuse}\n",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    root = tmp_path_factory.mktemp("doubt")
    for name in NAMES:
        package = packages.copy("fraud", root / name)
        packages.edit(package, "name: fraud\n", f"name: {name}\n")
        with open(package / "galley.yaml", "a") as f:
            f.write(SECTIONS[name])
    with harness.Server("--response-cache", "off", paths=[root / n for n in NAMES]) as s:
        yield s


def predict(server, model, rows, **headers):
    return server.post(f"/v1/models/{model}/predict", {"instances": rows}, {"Content-Type": "application/json", **headers})


def probability(server, amount):
    reply = predict(server, "fraud", [{**RISKY, "transaction_amount": amount}])
    return reply.json()["predictions"][0]["fraud_probability"]


@pytest.fixture(scope="module")
def near(server):
    """The payment at which the decision turns (0.7), found by halving."""
    low, high = 1.0, 3000.0
    assert probability(server, low) < 0.7 < probability(server, high)
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if probability(server, middle) < 0.7 else (low, middle)
    return {**RISKY, "transaction_amount": float(np.float32(low))}


def oip_inputs(row):
    return [{"name": k, "datatype": TYPES.get(k, "INT64"), "shape": [1, 1], "data": [v]} for k, v in row.items()]


def test_a_row_near_the_boundary_is_flagged_and_a_clear_one_is_not(server, near):
    before = server.metric("inference_flagged_total", model="watched", reason="stability")
    reply = predict(server, "watched", [CLEAR, near, RISKY])
    assert reply.status == 200
    answer = reply.json()
    assert [(f["instance"], f["field"], f["type"]) for f in answer["flags"]] == [(1, "is_fraud", "stability")]
    assert answer["review"] is True and "is_fraud changes in " in answer["flags"][0]["msg"]
    assert reply.header("X-Galley-Review") == "stability"
    assert server.metric("inference_flagged_total", model="watched", reason="stability") == before + 1
    clear = predict(server, "watched", [CLEAR, RISKY])
    assert "flags" not in clear.json() and clear.header("X-Galley-Review") is None


def test_the_same_row_has_the_same_copies_in_any_company(server, near):
    alone = predict(server, "watched", [near]).json()["flags"][0]["msg"]
    for rows in ([near], [near] * 3, [CLEAR, near], [RISKY] * 100 + [near]):
        flags = predict(server, "watched", rows).json()["flags"]
        assert {f["msg"] for f in flags} == {alone} and len(flags) == rows.count(near)


def test_nothing_else_changes(server, near):
    rows = [CLEAR, near, RISKY, {**near, "transaction_amount": near["transaction_amount"] * 1.5}]
    assert predict(server, "watched", rows).json()["predictions"] == predict(server, "fraud", rows).json()["predictions"]
    watched, plain = (server.get(f"/v2/models/{m}").json() for m in ("watched", "fraud"))
    assert watched["outputs"] == plain["outputs"] and watched["inputs"] == plain["inputs"]
    answer = server.post("/v2/models/watched/infer", {"inputs": oip_inputs(near)}).json()
    assert [o["name"] for o in answer["outputs"]] == ["fraud_probability", "is_fraud", "confidence"]


@pytest.mark.parametrize("path,body", [
    ("/v2/models/{}/infer", lambda row: {"inputs": oip_inputs(row)}),
    ("/v2/models/{}/infer", lambda row: {"inputs": oip_inputs(row), "outputs": [{"name": "fraud_probability"}]}),
    ("/v1/models/{}:predict", lambda row: {"instances": [row]}),
    ("/v1/models/{}:predict", lambda row: {"inputs": {k: [v] for k, v in row.items()}}),
    ("/models/{}/invoke", lambda row: {"dataframe_records": [row]}),
])
def test_every_protocol_is_told(server, near, path, body):
    flagged = server.post(path.format("watched"), body(near))
    assert flagged.status == 200 and flagged.header("X-Galley-Review") == "stability", flagged.body
    assert server.post(path.format("watched"), body(CLEAR)).header("X-Galley-Review") is None
    refused = server.post(path.format("strict"), body(near))
    assert refused.status == 400 and b"ask a person" in refused.body
    assert server.post(path.format("strict"), body(CLEAR)).status == 200


def test_refused_is_422_by_name(server, near):
    before = {r: server.metric("inference_answers_refused_total", model=m, reason=r)
              for m, r in (("strict", "stability"), ("unsure", "confidence"))}
    reply = predict(server, "strict", [CLEAR, near])
    assert reply.status == 422
    assert reply.json()["detail"] == [{"loc": ["body", "instances", 1, "is_fraud"], "field": "instances[1].is_fraud",
                                       "msg": "ask a person", "type": "stability"}]
    reply = predict(server, "unsure", [CLEAR])
    assert reply.status == 422
    assert reply.json()["detail"][0]["field"] == "instances[0].fraud_probability"
    assert reply.json()["detail"][0]["msg"] == "fraud_probability is below 0.5"
    assert predict(server, "unsure", [RISKY]).status == 200
    for model, reason in (("strict", "stability"), ("unsure", "confidence")):
        assert server.metric("inference_answers_refused_total", model=model, reason=reason) == before[reason] + 1
    assert server.metric("inference_requests_total", status="error") == 0


def test_grpc_is_told(server, near):
    stub_request = triton_grpc.service_pb2.ModelInferRequest(model_name="strict")
    for name, value in near.items():
        i = triton_grpc.InferInput(name, [1, 1], TYPES.get(name, "INT64"))
        kind = {"FP32": np.float32, "BYTES": object}.get(TYPES.get(name), np.int64)
        i.set_data_from_numpy(np.array([[value.encode() if isinstance(value, str) else value]], kind))
        stub_request.inputs.append(i._get_tensor())
        stub_request.raw_input_contents.append(i._get_content())
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = triton_grpc.service_pb2_grpc.GRPCInferenceServiceStub(channel)
        with pytest.raises(grpc.RpcError) as e:
            stub.ModelInfer(stub_request)
        stub_request.model_name = "watched"
        answer, call = stub.ModelInfer.with_call(stub_request)
    assert e.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    status = status_pb2.Status.FromString(dict(e.value.trailing_metadata())["grpc-status-details-bin"])
    bad = error_details_pb2.BadRequest()
    assert status.details[0].Unpack(bad) and bad.field_violations[0].field == "is_fraud[0]"
    assert dict(call.initial_metadata())["x-galley-review"] == "stability"
    assert len(answer.outputs) == 3


def test_a_cached_answer_is_judged_like_the_first(serve, tmp_path, server, near):
    package = packages.copy("fraud", tmp_path / "fraud")
    with open(package / "galley.yaml", "a") as f:
        f.write(SECTIONS["watched"])
    s = serve("--response-cache", "on", paths=[package])
    first, second = (predict(s, "fraud", [near]) for _ in range(2))
    assert (first.header("X-Galley-Cache"), second.header("X-Galley-Cache")) == ("miss", "hit")
    assert first.json()["flags"] == second.json()["flags"]


@pytest.mark.parametrize("section,message", [
    ("stability: {output: fraud_probability}", "is no decision"),
    ("stability: {output: nothing}", "'nothing' is none of the outputs"),
    ("stability: {output: is_fraud, features: [merchant_category]}", "'merchant_category' is not a number that may move"),
    ("stability: {output: is_fraud, noise: 0}", "out of range"),
    ("stability: {output: is_fraud, action: reject}", "flag"),
    ("confidence: {output: confidence, min: 0.5}", "is not of numbers"),
])
def test_a_section_that_cannot_work_is_an_error(tmp_path, section, message):
    package = packages.copy("fraud", tmp_path / "fraud")
    with open(package / "galley.yaml", "a") as f:
        f.write(section + "\n")
    done = harness.galley("verify", package)
    assert done.returncode != 0 and message in done.stderr, done.stderr


def test_inspect_tells_it(tmp_path):
    package = packages.copy("fraud", tmp_path / "fraud")
    with open(package / "galley.yaml", "a") as f:
        f.write(SECTIONS["strict"] + "confidence: {output: fraud_probability, min: 0.5}\n")
    told = harness.galley("inspect", package).stdout
    assert "refused when is_fraud stays in less than 100 % of 32 copies whose numbers are up to 5 % other" in told
    assert "flagged when fraud_probability is below 0.5" in told


def test_openapi_and_the_schema_know_it(server):
    document = json.dumps(server.get("/openapi.json").json())
    assert '"outlier", "confidence", "stability"' in document
    schema = json.loads(harness.galley("schema").stdout)
    assert set(schema["$defs"]["stability"]["properties"]) >= {"output", "noise", "samples", "min_agreement", "action"}
