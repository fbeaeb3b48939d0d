# SPDX-License-Identifier: Apache-2.0
"""Native REST: forms of a row, the envelope, errors with their place, identifiers."""
import json
import re
import time
import uuid
from datetime import datetime, timezone

import pytest

import harness

IRIS = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
FRAUD = {"transaction_amount": 120.5, "merchant_category": "grocery", "user_account_age_days": 400,
         "hour_of_day": 13}
DIGIT = json.loads((harness.EXAMPLES / "digits" / "example.json").read_text())["features"]


def predict(server, model, body, path="/predict", **headers):
    return server.post(f"/v1/models/{model}{path}", body,
                       {"Content-Type": "application/json", **headers})


# --- forms ---

def test_named_features_in_any_order(examples):
    turned = dict(reversed(IRIS.items()))
    first, second = (predict(examples, "iris", {"features": f}).json() for f in (IRIS, turned))
    assert first["predictions"] == second["predictions"]
    row = first["predictions"][0]
    assert row["label"] == "setosa"
    assert set(row["probabilities"]) == {"setosa", "versicolor", "virginica"}
    assert abs(sum(row["probabilities"].values()) - 1) < 1e-5


def test_features_without_an_envelope(examples):
    """API-02: the body is the row."""
    assert predict(examples, "iris", IRIS).json()["predictions"] == \
        predict(examples, "iris", {"features": IRIS}).json()["predictions"]
    assert predict(examples, "fraud", FRAUD).status == 200


def test_a_feature_vector_and_a_list_in_the_order_of_inputs(examples):
    case = json.loads((harness.EXAMPLES / "digits" / "cases.json").read_text())["cases"][0]
    row = predict(examples, "digits", case["native"]).json()["predictions"][0]
    assert row["label"] == case["expected"]["outputs"]["label"][0]
    assert predict(examples, "iris", {"features": list(IRIS.values())}).json()["predictions"] == \
        predict(examples, "iris", {"features": IRIS}).json()["predictions"]
    assert predict(examples, "fraud", {"features": list(FRAUD.values())}).status == 200


def test_a_vector_model_takes_the_names_in_its_metadata(examples):
    vector = json.loads((harness.EXAMPLES / "breast-cancer" / "example.json").read_text())["features"]
    done = harness.galley("inspect", harness.EXAMPLES / "breast-cancer", "--json")
    names = json.loads(json.loads(done.stdout)["models"][0]["metadata"]["feature_names"])
    by_name = predict(examples, "breast-cancer", {"features": dict(zip(names, vector, strict=True))})
    by_order = predict(examples, "breast-cancer", {"features": vector})
    assert by_name.status == by_order.status == 200
    assert by_name.json()["predictions"] == by_order.json()["predictions"]


def test_instances_answer_one_prediction_each_in_order(examples):
    other = {**IRIS, "petal_length": 6.0, "petal_width": 2.2, "sepal_length": 6.5}
    rows = [IRIS, other] * 25
    for path in ("/predict", "/predict/batch"):
        answer = predict(examples, "iris", {"instances": rows}, path).json()
        assert [p["label"] for p in answer["predictions"]] == ["setosa", "virginica"] * 25
    mixed = predict(examples, "digits", {"instances": [DIGIT, DIGIT]}).json()
    assert len(mixed["predictions"]) == 2


def test_a_batch_equals_its_rows_one_by_one(examples):
    rows = [{**FRAUD, "transaction_amount": 10.0 * i, "hour_of_day": i % 24} for i in range(40)]
    batch = predict(examples, "fraud", {"instances": rows}).json()["predictions"]
    for row, got in zip(rows, batch, strict=True):
        alone = predict(examples, "fraud", row).json()["predictions"][0]
        assert alone["label"] == got["label"]
        assert alone["probabilities"] == pytest.approx(got["probabilities"], rel=1e-5, abs=1e-6)


def test_batch_takes_instances_only(examples):
    reply = predict(examples, "iris", {"features": IRIS}, "/predict/batch")
    assert reply.status == 422 and reply.json()["detail"][0]["field"] == "features"


# --- which model ---

def test_the_only_model_is_the_default(serve):
    s = serve(paths=[harness.EXAMPLES / "iris"])
    for path in ("/predict", "/v1/predict", "/v1/models/iris/predict",
                 "/v1/models/iris/versions/1/predict"):
        assert s.post(path, {"features": IRIS}).json()["predictions"][0]["label"] == "setosa"
    for path in ("/v1/predict/batch", "/v1/models/iris/predict/batch",
                 "/v1/models/iris/versions/1/predict/batch"):
        assert len(s.post(path, {"instances": [IRIS] * 3}).json()["predictions"]) == 3


def test_a_default_among_several_is_a_setting(serve):
    s = serve("--model-name", "fraud", paths=[harness.EXAMPLES])
    assert s.post("/v1/predict", FRAUD).status == 200
    s = serve("--model-name", "flowers", paths=[harness.EXAMPLES / "iris"])
    assert s.post("/v1/models/flowers/predict", IRIS).status == 200


def test_the_version_comes_from_path_body_or_header(zoo):
    def value(path="/predict", body=None, **headers):
        r = predict(zoo, "versions", {"features": [0.0], **(body or {})}, path, **headers)
        assert r.status == 200, r
        answer = r.json()
        return answer["model_version"], answer["predictions"][0]["y"] \
            if isinstance(answer["predictions"][0], dict) else answer["predictions"][0]
    assert value() == ("10", 10.0)
    assert value(body={"model_version": None}) == ("10", 10.0)
    assert value(body={"model_version": "2"}) == ("2", 2.0)
    assert value("/versions/1/predict") == ("1", 1.0)
    assert value(**{"X-Model-Version": "2"}) == ("2", 2.0)


# --- the envelope ---

def test_the_envelope_names_request_version_time_and_duration(examples):
    before, start = datetime.now(timezone.utc).timestamp(), time.monotonic()
    answer = predict(examples, "iris", {"features": IRIS}).json()
    took_ms = (time.monotonic() - start) * 1000
    assert answer["model_version"] == "1"
    assert uuid.UUID(answer["request_id"]).version == 4
    assert 0 <= answer["processing_time_ms"] <= took_ms
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", answer["timestamp"])
    at = datetime.fromisoformat(answer["timestamp"]).timestamp()
    assert before - 1 < at < before + 30
    assert len(answer["predictions"]) == 1


def test_identifiers_come_back_in_answer_headers_and_log(serve):
    s = serve(paths=[harness.EXAMPLES / "iris"])
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    r = predict(s, "iris", IRIS, **{"X-Request-ID": "req-9f7c3e2a", "X-Correlation-ID": "corr-1",
                                    "traceparent": trace})
    assert r.json()["request_id"] == r.header("X-Request-ID") == "req-9f7c3e2a"
    assert r.header("X-Correlation-ID") == "corr-1"
    assert r.header("traceparent") == trace
    line = s.wait_line("request", request_id="req-9f7c3e2a")
    assert line["correlation_id"] == "corr-1"
    assert line["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert (line["model"], line["model_version"], line["status"]) == ("iris", "1", 200)


def test_identifiers_are_made_when_none_come(examples):
    ids = [examples.get("/health").header("X-Request-ID") for _ in range(20)]
    assert len(set(ids)) == 20
    r = examples.get("/health", {"X-Request-ID": "mine"})
    assert r.header("X-Correlation-ID") == "mine"  # nothing better is known


@pytest.mark.parametrize("bad", ["", "a b", "a\"b", "x" * 200, "back\\slash", "\u00e9"])
def test_identifiers_that_could_spoil_a_log_are_replaced(examples, bad):
    for header in ("X-Request-ID", "X-Correlation-ID"):
        got = examples.get("/health", {header: bad}).header(header)
        assert got and got != bad


# --- errors ---

@pytest.mark.parametrize("model, body, fields", [
    ("iris", {"features": {**IRIS, "petal_width": "wide"}}, ["features.petal_width"]),
    ("iris", {"features": {}}, [f"features.{k}" for k in IRIS]),
    ("iris", {"features": {"petal_width": 1, "x": 2}}, None),
    ("iris", {"instances": [IRIS, IRIS, IRIS, {**IRIS, "petal_width": None}]},
     ["instances[3].petal_width"]),
    ("fraud", {"instances": [FRAUD] * 3 + [{**FRAUD, "hour_of_day": 1.5}]},
     ["instances[3].hour_of_day"]),
    ("fraud", {"instances": [{**FRAUD, "hour_of_day": "x"}, {**FRAUD, "merchant_category": 1}]},
     ["instances[0].hour_of_day", "instances[1].merchant_category"]),
    ("digits", {"features": DIGIT[:-1] + ["x"]}, ["features[63]"]),
    ("digits", {"instances": [DIGIT, DIGIT[:-1]]}, ["instances[1]"]),
    ("iris", {"input": [1, 2, 3, 4]}, None),
    ("iris", {"features": IRIS, "model_version": 3}, ["model_version"]),
])
def test_422_names_the_place_of_everything_that_is_wrong(examples, model, body, fields):
    r = predict(examples, model, body)
    assert r.status == 422
    detail = r.json()["detail"]
    assert r.json()["request_id"] == r.header("X-Request-ID")
    for error in detail:  # the form that FastAPI's users know
        assert set(error) >= {"loc", "msg", "type"} and error["loc"][0] == "body"
    if fields is not None:
        assert sorted(e["field"] for e in detail) == sorted(fields)


def test_the_first_articles_wrong_key_is_named(examples):
    """ERR-16: {"input": [...]} where features are meant."""
    detail = predict(examples, "iris", {"input": [1, 2, 3, 4]}).json()["detail"]
    assert any(e["field"] == "input" for e in detail)
    assert "features" in json.dumps(detail) or "sepal_length" in json.dumps(detail)


@pytest.mark.parametrize("path", ["/predict", "/v1/predict", "/v1/predict/batch",
                                  "/v1/models/iris/predict", "/v1/models/iris/predict/batch",
                                  "/v2/models/iris/infer"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_prediction_is_post_only(examples, path, method):
    r = examples.call(method, path)
    assert r.status == 405 and r.header("Allow") == "POST"


def test_405_lists_every_method_that_would_do(examples):
    r = examples.post("/health", {})
    assert r.status == 405 and r.header("Allow") == "GET, HEAD"
    assert r.json()["detail"] and r.json()["request_id"]


def test_404_for_models_versions_and_paths(examples):
    for path in ("/v1/models/nobody/predict", "/v1/models/iris/versions/9/predict", "/v3/predict"):
        r = examples.post(path, {"features": IRIS})
        assert r.status == 404 and r.json()["detail"] and r.json()["request_id"]


def test_several_models_without_a_default_say_which_there_are(examples):
    r = examples.post("/v1/predict", {"features": IRIS})
    assert r.status == 404
    for name in ("iris", "digits", "fraud", "breast-cancer"):
        assert name in r.json()["detail"]


def test_413_and_415(serve):
    s = serve("--max-body-bytes", "1KiB", paths=[harness.EXAMPLES / "iris"])
    assert s.post("/v1/predict", b" " * 1025).status == 413
    assert predict(s, "iris", json.dumps(IRIS).encode(), **{"Content-Encoding": "br"}).status == 415
    assert s.post("/v1/predict", json.dumps(IRIS).encode(),
                  {"Content-Type": "application/xml"}).status == 415


@pytest.mark.parametrize("content_type", [None, "application/json", "application/json; charset=utf-8",
                                          "text/plain", "application/x-www-form-urlencoded",
                                          "application/vnd.api+json"])
def test_content_types_that_clients_send_for_json_are_taken(examples, content_type):
    """curl -d sends a form's type; it is JSON all the same."""
    r = examples.post("/v1/models/iris/predict", json.dumps(IRIS).encode(),
                      {"Content-Type": content_type})
    assert r.status == 200, r


def test_the_number_of_instances_is_bounded(serve):
    s = serve("--max-instances", "10", paths=[harness.EXAMPLES / "iris"])
    assert s.post("/v1/predict", {"instances": [IRIS] * 10}).status == 200
    r = s.post("/v1/predict", {"instances": [IRIS] * 11})
    assert r.status in (413, 422) and "10" in r.body.decode()


def test_an_error_of_the_model_is_500_with_the_requests_id(zoo):
    r = predict(zoo, "failing", {"features": [5]})
    assert r.status in (422, 500)
    assert r.json()["request_id"] == r.header("X-Request-ID")
    assert "failing" in json.dumps(r.json()["detail"])


def test_a_category_that_was_not_trained_is_no_silent_guess(examples):
    r = predict(examples, "fraud", {**FRAUD, "merchant_category": "spaceships"})
    assert r.status in (422, 500) and r.json()["request_id"]
