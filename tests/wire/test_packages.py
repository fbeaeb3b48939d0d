# SPDX-License-Identifier: Apache-2.0
"""Packages served: over each protocol, from each place, and only when they have proven themselves."""
import json
import shutil
import signal

import numpy as np
import pytest

import harness
import oip
import packages
from harness import galley

triton = pytest.importorskip("tritonclient.grpc", reason="tritonclient is not installed")
from tritonclient.utils import np_to_triton_dtype  # noqa: E402

ROW = {"transaction_amount": 3588.76, "merchant_category": "electronics",
       "user_account_age_days": 850, "hour_of_day": 11}
FRAUD = packages.cases(packages.EXAMPLES / "fraud")


@pytest.fixture(scope="module", name="server")
def server_of_both():
    with harness.Server(paths=[packages.EXAMPLES]) as s:
        yield s


@pytest.fixture(name="fraud")
def fraud_of_a_test(tmp_path):
    return packages.copy("fraud", tmp_path / "repository" / "fraud")


def rows_of(case):
    """A golden case's inputs as rows of the native API."""
    names = [t["name"] for t in case["inputs"]]
    return [dict(zip(names, values)) for values in zip(*(t["data"] for t in case["inputs"]))]


def wanted(case):
    names = [t["name"] for t in case["outputs"]]
    return [dict(zip(names, values)) for values in zip(*(t["data"] for t in case["outputs"]))]


def same(got, want):
    assert len(got) == len(want)
    for g, w in zip(got, want):
        assert g["is_fraud"] is w["is_fraud"] and g["confidence"] == w["confidence"]
        assert g["fraud_probability"] == pytest.approx(w["fraud_probability"], rel=1e-5, abs=1e-6)


def metadata(server, model="fraud"):
    return server.get(f"/v2/models/{model}").json()


# --- protocols ---

def test_a_native_answer_is_the_decision(server):
    answer = server.post("/v1/models/fraud/predict", {"features": ROW}).json()
    assert answer["prediction"] == answer["predictions"][0]
    assert answer["prediction"]["fraud_probability"] == pytest.approx(0.9765498, abs=1e-5)
    assert answer["prediction"]["is_fraud"] is True
    assert answer["prediction"]["confidence"] == "high"
    assert (answer["model_name"], answer["model_version"]) == ("fraud", "2.1.0")


def test_every_golden_case_is_answered_over_rest(server):
    for case in FRAUD:
        reply = server.post("/v1/models/fraud/predict", {"instances": rows_of(case)})
        assert reply.status == 200, reply
        same(reply.json()["predictions"], wanted(case))


def test_every_golden_case_is_answered_over_the_open_inference_protocol(server):
    for case in FRAUD:
        reply = server.post("/v2/models/fraud/infer", {"inputs": case["inputs"]})
        assert reply.status == 200, reply
        outputs = reply.json()["outputs"]
        assert [(t["name"], t["datatype"], t["shape"]) for t in outputs] == \
            [(t["name"], t["datatype"], t["shape"]) for t in case["outputs"]]
        same(wanted({"outputs": outputs}), wanted(case))


def test_binary_tensors_are_answered(server):
    case = FRAUD[-1]
    arrays = {t["name"]: np.array(t["data"], {"FP32": np.float32, "INT64": np.int64}.get(
        t["datatype"], np.object_)).reshape(t["shape"]) for t in case["inputs"]}
    answer = oip.tensors(oip.post_binary(server, "fraud", arrays))
    same([{"fraud_probability": p, "is_fraud": bool(f), "confidence": c.decode()} for p, f, c in
          zip(answer["fraud_probability"].ravel(), answer["is_fraud"].ravel(), answer["confidence"].ravel())],
         wanted(case))


def test_every_golden_case_is_answered_over_grpc(server):
    with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
        for case in FRAUD:
            inputs = []
            for t in case["inputs"]:
                array = np.array(t["data"], {"FP32": np.float32, "INT64": np.int64}.get(
                    t["datatype"], np.object_)).reshape(t["shape"])
                inputs.append(triton.InferInput(t["name"], t["shape"], np_to_triton_dtype(array.dtype)))
                inputs[-1].set_data_from_numpy(array)
            answer = client.infer("fraud", inputs)
            got = zip(*(answer.as_numpy(n).ravel() for n in ("fraud_probability", "is_fraud", "confidence")))
            same([{"fraud_probability": p, "is_fraud": bool(f), "confidence": c.decode()} for p, f, c in got],
                 wanted(case))


def test_rows_together_are_answered_as_rows_alone(server):
    rows = [row for case in FRAUD for row in rows_of(case)]
    alone = [server.post("/v1/models/fraud/predict", {"features": row}).json()["prediction"] for row in rows]
    together = server.post("/v1/models/fraud/predict", {"instances": rows}).json()["predictions"]
    for a, b in zip(alone, together):
        assert (a["is_fraud"], a["confidence"]) == (b["is_fraud"], b["confidence"])
        assert a["fraud_probability"] == pytest.approx(b["fraud_probability"], rel=1e-6, abs=1e-7)


def test_maps_have_become_a_tensor(server):
    row = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
    answer = server.post("/v1/models/iris/predict", {"features": row}).json()["prediction"]
    assert answer["species"] == "setosa"
    ports = {t["name"]: (t["datatype"], t["shape"]) for t in metadata(server, "iris")["outputs"]}
    assert ports["scores"] == ("FP32", [-1, 3])


def test_a_value_out_of_bounds_never_reaches_the_model(server):
    for change, field in [({"hour_of_day": 24}, "hour_of_day"), ({"transaction_amount": 0}, "transaction_amount"),
                          ({"merchant_category": "casino"}, "merchant_category")]:
        reply = server.post("/v1/models/fraud/predict", {"features": {**ROW, **change}})
        assert reply.status == 422 and field in str(reply.json()["detail"]), reply
    reply = server.infer("fraud", {**{t["name"]: (t["datatype"], t["shape"], t["data"]) for t in FRAUD[0]["inputs"]},
                                   "hour_of_day": ("INT64", [1, 1], [24])})
    assert reply.status == 400 and "hour_of_day" in reply.json()["error"]


# --- which package it was ---

def test_the_package_is_named_wherever_an_answer_is(server):
    digest = packages.digest(packages.EXAMPLES / "fraud")
    reply = server.post("/v1/models/fraud/predict", {"features": ROW})
    assert reply.json()["package_digest"] == digest and reply.header("X-Galley-Package") == digest
    reply = server.post("/v2/models/fraud/infer", {"inputs": FRAUD[0]["inputs"]})
    assert reply.header("X-Galley-Package") == digest
    assert metadata(server)["parameters"]["package_digest"] == digest
    served = {m["name"]: m for m in server.get("/").json()["models"]}
    assert served["fraud"]["package_digest"] == digest
    assert server.wait_line("request", model="fraud")["package_digest"] == digest
    metrics = server.get("/metrics").body.decode()
    assert f'model_package_info{{model="fraud",model_version="2.1.0",package_digest="{digest}"}} 1' in metrics


def test_a_bare_model_has_no_package(examples):
    reply = examples.post("/v1/models/fraud/predict", {"features": ROW})
    assert "package_digest" not in reply.json() and reply.header("X-Galley-Package") is None
    assert "parameters" not in metadata(examples)
    assert "model_package_info" not in examples.get("/metrics").body.decode()


# --- places ---

def layout(root, fraud, form):
    """fraud, in one of the places where models are looked for; returns the PATH."""
    if form == "directory":
        return fraud
    if form == "file":
        return packages.pack(fraud, root / "anything.galley")
    repository = root / "models"
    (repository / "fraud").mkdir(parents=True)
    if form == "NAME":
        shutil.copytree(fraud, repository / "fraud", dirs_exist_ok=True)
    elif form == "NAME/VERSION":
        shutil.copytree(fraud, repository / "fraud" / "2.1.0")
    elif form == "NAME/VERSION.galley":
        packages.pack(fraud, repository / "fraud" / "2.1.0.galley")
    elif form == "NAME.galley":
        (repository / "fraud").rmdir()
        packages.pack(fraud, repository / "fraud.galley")
    return repository


@pytest.mark.parametrize("form", ["directory", "file", "NAME", "NAME/VERSION", "NAME/VERSION.galley", "NAME.galley"])
def test_a_package_is_found_where_models_are(serve, tmp_path, fraud, form):
    server = serve(paths=[layout(tmp_path, fraud, form)])
    answer = server.post("/v1/models/fraud/predict", {"features": ROW}).json()
    assert answer["model_version"] == "2.1.0" and answer["prediction"]["confidence"] == "high"
    assert answer["package_digest"] == packages.digest(fraud)


def not_ready(server, *words):
    """It stays out of service and says why; the process lives."""
    server.wait_line("not_ready")
    reply = server.get("/health/ready")
    assert reply.status == 503 and server.get("/health/live").status == 200
    assert server.get("/v2/health/ready").status != 200
    text = reply.body.decode()
    assert all(w in text for w in words), text
    return text


def test_a_version_directory_that_says_something_else_is_refused(serve, tmp_path, fraud):
    repository = tmp_path / "models"
    shutil.copytree(fraud, repository / "fraud" / "2.0.0")
    not_ready(serve(paths=[repository], wait=None), "2.0.0", "2.1.0")


def test_two_versions_stand_beside_each_other(serve, tmp_path, fraud):
    repository = tmp_path / "models"
    shutil.copytree(fraud, repository / "fraud" / "2.1.0")
    older = shutil.copytree(fraud, repository / "fraud" / "2.0.0")
    packages.edit(older, "version: 2.1.0", "version: 2.0.0")
    server = serve("--versions", "all", paths=[repository])
    for version in ("2.0.0", "2.1.0"):
        reply = server.post(f"/v1/models/fraud/versions/{version}/predict", {"features": ROW})
        assert reply.json()["package_digest"] == packages.digest(repository / "fraud" / version)


def test_a_packages_own_settings_stand_below_the_users(serve, fraud):
    packages.edit(fraud, "max_batch_size: 256", "max_batch_size: 7")
    own = serve(paths=[fraud]).get("/v2/models/fraud/config").json()
    users = serve("--max-batch-size", "5", paths=[fraud]).get("/v2/models/fraud/config").json()
    assert own["max_batch_size"] == 7 and users["max_batch_size"] == 5


def test_a_setting_that_there_is_not_is_refused_with_its_line(serve, fraud):
    packages.edit(fraud, "max_batch_size", "max_batch_sise")
    not_ready(serve(paths=[fraud], wait=None), "max_batch_sise")


def test_a_package_that_needs_a_gpu_does_not_run_without(serve, fraud):
    packages.edit(fraud, "golden: {", "require: cuda\ngolden: {")
    not_ready(serve(paths=[fraud], wait=None), "GPU not available")


# --- proof ---

def test_a_package_that_does_not_reproduce_its_cases_is_never_ready(serve, fraud):
    packages.nudge(fraud)
    server = serve(paths=[fraud], wait=None)
    not_ready(server, "golden case", "is not reproduced", "fraud_probability[")
    assert server.post("/v1/models/fraud/predict", {"features": ROW}).status == 503
    assert server.infer("fraud", {}).status == 503


def test_the_others_are_served_beside_it(serve, tmp_path, fraud):
    packages.nudge(fraud)
    packages.copy("iris", tmp_path / "repository" / "iris")
    server = serve(paths=[tmp_path / "repository"], wait=None)
    not_ready(server, "is not reproduced")
    row = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
    assert server.post("/v1/models/iris/predict", {"features": row}).json()["prediction"]["species"] == "setosa"


def test_a_reload_keeps_the_old_one_when_the_new_one_fails(serve, fraud):
    server = serve(paths=[fraud])
    before = server.post("/v1/models/fraud/predict", {"features": ROW}).json()
    packages.nudge(fraud)
    server.signal(signal.SIGHUP)
    server.wait_line("reload_failed")
    after = server.post("/v1/models/fraud/predict", {"features": ROW}).json()
    assert after["prediction"] == before["prediction"]
    assert after["package_digest"] == before["package_digest"] == metadata(server)["parameters"]["package_digest"]
    assert server.get("/health/ready").status == 200


@pytest.mark.parametrize("change", ["steps", "golden"])
def test_a_reload_notices_any_file_of_a_package(serve, fraud, change):
    server = serve(paths=[fraud])
    before = server.post("/v1/models/fraud/predict", {"features": ROW}).json()
    if change == "steps":
        packages.edit(fraud, "is: high", "is: sure")
        packages.edit(fraud, '"high"', '"sure"', file="golden.json")
    else:
        packages.edit(fraud, '"case 0"', '"case zero"', file="golden.json")
    server.signal(signal.SIGHUP)
    harness.wait_until(lambda: metadata(server)["parameters"]["package_digest"] == packages.digest(fraud), 30,
                       "the new package")
    after = server.post("/v1/models/fraud/predict", {"features": ROW}).json()
    assert after["package_digest"] != before["package_digest"]
    assert after["prediction"]["confidence"] == ("sure" if change == "steps" else "high")


# --- bytes ---

def damaged(fraud, tmp_path):
    """A packed file with a bit of its documentation turned: the model itself still proves."""
    (fraud / "card.md").write_text("A model card. " * 100)
    (fraud / "galley.yaml").write_text((fraud / "galley.yaml").read_text() + "files: [card.md]\n")
    file = packages.pack(fraud, tmp_path / "fraud.galley")
    data = bytearray(file.read_bytes())
    data[data.find(b"A model card.") + 500] ^= 1
    file.write_bytes(bytes(data))
    return file


def test_damaged_bytes_are_never_served(serve, fraud, tmp_path):
    not_ready(serve(paths=[damaged(fraud, tmp_path)], wait=None), "card.md")


def test_damaged_bytes_are_found_while_it_serves(serve, fraud, tmp_path):
    server = serve("--verify", "after", paths=[damaged(fraud, tmp_path)], wait=None)
    server.wait_line("model_failed")
    server.wait_for("ready", status=503)
    assert "card.md" in server.get("/health/ready").body.decode()


def test_digests_are_not_looked_at_when_nobody_wants_it(serve, fraud, tmp_path):
    server = serve("--verify", "off", paths=[damaged(fraud, tmp_path)])
    assert server.post("/v1/models/fraud/predict", {"features": ROW}).status == 200


# --- a package and the server that serves it ---

def test_a_package_is_consistent_with_its_server(server, tmp_path):
    url = f"http://127.0.0.1:{server.port}/v2/models/fraud"
    done = galley("consistency", packages.EXAMPLES / "fraud", url, "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["cases"] == len(FRAUD), done.stdout + done.stderr
    other = packages.nudge(packages.copy("fraud", tmp_path / "other"))
    done = galley("consistency", other, url, "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 1 and told["failed"] > 0
    assert any(o["name"] == "fraud_probability" and o["absolute"] > 1e-5 for o in told["outputs"])
