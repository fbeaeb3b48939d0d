# SPDX-License-Identifier: Apache-2.0
"""Every case of every example model answers what training answered, whichever way it is asked."""
import json

import numpy as np
import pytest

import harness
import oip

FILES = sorted(harness.EXAMPLES.glob("*/cases.json"))
DOCUMENTS = {f.parent.name: json.loads(f.read_text()) for f in FILES}
CASES = [pytest.param(name, case, id=f"{name}-{i}")
         for name, doc in DOCUMENTS.items() for i, case in enumerate(doc["cases"])]


def test_there_are_four_examples_with_thirty_cases_each():
    assert len(DOCUMENTS) == 4
    assert all(len(d["cases"]) >= 30 for d in DOCUMENTS.values())


def text(x):
    return x.decode() if isinstance(x, bytes) else x


def check(name, case, label, scores):
    """label: one a row; scores: [n, k] in the order of the case's labels."""
    expected, tolerance = case["expected"]["outputs"], DOCUMENTS[name]["tolerance"]
    assert [text(x) for x in np.ravel(label).tolist()] == expected["label"]
    want = np.reshape(expected["probabilities"]["data"], expected["probabilities"]["shape"])
    got = np.asarray(scores, np.float64)
    assert got.shape == want.shape
    assert np.all(np.abs(got - want) <= tolerance["atol"] + tolerance["rtol"] * np.abs(want))


def columns_of(case, rows):
    """Labels and scores of rows as the native protocol, MLflow and SageMaker have them."""
    labels = case["expected"]["outputs"]["probabilities"]["labels"]
    scores = [[row["probabilities"][str(k)] for k in labels]
              if isinstance(row["probabilities"], dict) else row["probabilities"] for row in rows]
    return [row["label"] for row in rows], scores


def check_native(name, case, answer):
    check(name, case, *columns_of(case, answer["predictions"]))
    assert answer["model_version"] == "1"


def check_oip(name, case, reply):
    got = oip.tensors(reply)
    check(name, case, got["label"], got["probabilities"])
    n = oip.LENGTH if reply.header(oip.LENGTH) else None
    head = json.loads(reply.body[:int(reply.header(n))] if n else reply.body)
    scores = next(o for o in head["outputs"] if o["name"] == "probabilities")
    labels = scores.get("parameters", {}).get("labels")
    if labels is not None:  # a ZipMap: its keys, as a string
        assert json.loads(labels) == case["expected"]["outputs"]["probabilities"]["labels"]


# --- what the tests of other dialects ask and compare with ---

def arrays(case):
    return {t["name"]: np.array(t["data"], oip.NUMPY[t["datatype"]]).reshape(t["shape"])
            for t in case["oip"]["inputs"]}


def rows_of(case):
    native = case["native"]
    return native.get("instances", [native.get("features")])


def same_bits(server, name, case, label, scores):
    """label, scores: what another dialect has answered; here it is asked with binary tensors."""
    want = oip.tensors(oip.post_binary(server, name, arrays(case)))
    assert [text(x) for x in np.ravel(label)] == [text(x) for x in want["label"].ravel()]
    got = np.asarray(scores, np.float32).reshape(np.shape(want["probabilities"]))
    assert got.tobytes() == want["probabilities"].astype(np.float32).tobytes()


def native_path(name, case):
    return f"/v1/models/{name}/predict" + ("/batch" if "instances" in case["native"] else "")


@pytest.mark.parametrize("name, case", CASES)
def test_native_rest(examples, name, case):
    reply = examples.post(native_path(name, case), case["native"])
    assert reply.status == 200, reply
    check_native(name, case, reply.json())


@pytest.mark.parametrize("name, case", CASES)
def test_open_inference_protocol_with_json(examples, name, case):
    reply = examples.post(f"/v2/models/{name}/infer", case["oip"])
    assert reply.status == 200, reply
    assert reply.header(oip.LENGTH) is None
    check_oip(name, case, reply)


@pytest.mark.parametrize("name, case", CASES)
def test_open_inference_protocol_with_binary_tensors(examples, name, case):
    reply = oip.post_binary(examples, name, arrays(case))
    assert reply.status == 200, reply
    assert reply.header(oip.LENGTH) is not None
    check_oip(name, case, reply)


@pytest.mark.parametrize("options", [["--schedule", "workers"], ["--schedule", "inline"],
                                     ["--threads", "1"], ["--intra-op-threads", "2"]])
def test_where_inference_runs_changes_no_answer(serve, options):
    s = serve(*options, paths=[harness.EXAMPLES])
    for name, document in DOCUMENTS.items():
        for case in document["cases"][::3]:
            reply = s.post(f"/v2/models/{name}/infer", case["oip"])
            assert reply.status == 200, reply
            check_oip(name, case, reply)


@pytest.mark.parametrize("name, case", CASES[::1 if not harness.SANITIZE else 7])
def test_the_predict_command(tmp_path, name, case):
    """One process a case; inputs beyond the length of a command line come from a file."""
    body = json.dumps(case["native"])
    file = tmp_path / "input.json"
    file.write_text(body)
    data = body if len(body) < 10000 else f"@{file}"
    done = harness.galley("predict", harness.EXAMPLES / name, "-d", data)
    assert done.returncode == 0, done.stderr
    check_native(name, case, json.loads(done.stdout))
