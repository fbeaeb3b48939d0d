# SPDX-License-Identifier: Apache-2.0
"""galley init: a first galley.yaml from ONNX files, MLflow and Triton directories."""
import json
import math
import shutil

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper

import harness

FRAUD = harness.EXAMPLES / "fraud" / "model.onnx"
ROWS = [{"transaction_amount": 3588.76, "merchant_category": "travel", "user_account_age_days": 3, "hour_of_day": 2},
        {"transaction_amount": 8.5, "merchant_category": "grocery", "user_account_age_days": 900, "hour_of_day": 13}]


def init(*args, **options):
    return harness.galley("init", *args, **options)


def manifest(d):
    return yaml.safe_load((d / "galley.yaml").read_text())


def linear(path, width=3, names=None, external=None):
    """y = x W, with named features where names are given and weights of their own file where external names one."""
    w = numpy_helper.from_array(np.arange(width * 2, dtype=np.float32).reshape(width, 2), "W")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "W"], ["y"])], "linear",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", width])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 2])], [w])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="tests")
    if names:
        helper.set_model_props(model, {"feature_names": json.dumps(names), "class_names": '["no", "yes"]'})
    path.parent.mkdir(parents=True, exist_ok=True)
    if external:
        onnx.save(model, path, save_as_external_data=True, location=external, size_threshold=0)
    else:
        onnx.save(model, path)


# --- ONNX ----------------------------------------------------------------------------------------------------------------
def test_the_model_tells_features_types_values_and_outputs(tmp_path):
    r = init(FRAUD, "-o", tmp_path / "p")
    assert r.returncode == 0, r.stderr
    doc = manifest(tmp_path / "p")
    assert doc["name"] == "fraud" and doc["version"] == "1.0.0" and doc["model"] == "model.onnx"
    assert [(f["name"], f["type"]) for f in doc["features"]] == [
        ("transaction_amount", "float"), ("merchant_category", "text"), ("user_account_age_days", "int"), ("hour_of_day", "int")]
    assert doc["features"][1]["values"] == ["electronics", "grocery", "restaurant", "travel", "other"]
    assert [o if isinstance(o, str) else o["name"] for o in doc["outputs"]] == ["label", "probabilities"]
    assert doc["provenance"]["producer"].startswith("skl2onnx") and "golden" not in doc
    assert (tmp_path / "p" / "model.onnx").read_bytes() == FRAUD.read_bytes()
    text = (tmp_path / "p" / "galley.yaml").read_text()
    for hint in ("# ge: 0", "#  - threshold:", "# golden: {file: golden.json}", "# serving:", "# resources:"):
        assert hint in text
    bare = [line for line in text.splitlines() if line and not line.startswith((" ", "#")) and "#" not in line
            and line.rstrip(":") == line]
    assert all(line.startswith("description:") for line in bare), bare  # every field at the top explains itself


@pytest.mark.parametrize("name", sorted(d.name for d in harness.EXAMPLES.iterdir() if (d / "model.onnx").exists()))
def test_every_example_model_gets_a_manifest_that_is_read(name, tmp_path):
    r = init(harness.EXAMPLES / name / "model.onnx", "-o", tmp_path / name, "--json")
    assert r.returncode == 0, r.stderr
    told = json.loads(r.stdout)
    assert told["name"] == name and told["files"] == ["galley.yaml", "model.onnx"] and told["golden"] is False
    assert manifest(tmp_path / name)["galley"] == 1
    r = harness.galley("pack", tmp_path / name, "-o", tmp_path / f"{name}.galley")
    assert r.returncode == 0, r.stderr


def test_untold_it_lies_beside_the_model_and_nothing_is_overwritten(tmp_path):
    shutil.copy(FRAUD, tmp_path / "fraud.onnx")
    assert init(tmp_path / "fraud.onnx").returncode == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fraud.onnx", "galley.yaml"]
    (tmp_path / "galley.yaml").write_text("mine")
    r = init("fraud.onnx", cwd=tmp_path)
    assert r.returncode == 1 and "galley.yaml: it is there already" in r.stderr and "--force" in r.stderr
    assert (tmp_path / "galley.yaml").read_text() == "mine"
    assert init("fraud.onnx", "--force", "--name", "other", "--version", "2.3.4", cwd=tmp_path).returncode == 0
    doc = manifest(tmp_path)
    assert doc["name"] == "other" and doc["version"] == "2.3.4" and doc["model"] == "fraud.onnx"


def test_rows_are_recorded_as_golden_cases(tmp_path):
    rows = tmp_path / "rows.json"
    for doc in (ROWS, {"instances": ROWS}, {"columns": list(ROWS[0]), "data": [list(r.values()) for r in ROWS]},
                {"dataframe_split": {"columns": list(ROWS[0]), "data": [list(r.values()) for r in ROWS]}},
                {"inputs": {k: [r[k] for r in ROWS] for k in ROWS[0]}}, [list(r.values()) for r in ROWS]):
        rows.write_text(json.dumps(doc))
        r = init(FRAUD, "-o", tmp_path / "p", "--inputs", rows, "--force")
        assert r.returncode == 0, r.stderr
        assert "the model's own answers" in r.stdout
        case = json.loads((tmp_path / "p" / "golden.json").read_text())["cases"][0]
        assert {t["name"]: t["data"][1] for t in case["inputs"]} == ROWS[1]
        assert {t["name"]: t["data"] for t in case["outputs"]}["label"] == [1, 0]
    assert manifest(tmp_path / "p")["golden"]["file"] == "golden.json"
    for bad, message in (([{"transaction_amount": 1}], "row 0: merchant_category"), ([], "there are no rows"), ([[1]], "row 0"),
                         ([{**ROWS[0], "hour_of_day": "x"}], "hour_of_day")):
        rows.write_text(json.dumps(bad))
        r = init(FRAUD, "-o", tmp_path / "q", "--inputs", rows)
        assert r.returncode == 1 and message in r.stderr, r.stderr
    assert not (tmp_path / "q").exists()


def test_a_matrix_takes_names_from_the_metadata(tmp_path):
    linear(tmp_path / "named.onnx", names=["a", "b", "c: d"])
    assert init(tmp_path / "named.onnx", "-o", tmp_path / "p").returncode == 0
    doc = manifest(tmp_path / "p")
    assert [f["name"] for f in doc["features"]] == ["a", "b", "c: d"]
    assert doc["outputs"] == [{"name": "y", "labels": ["no", "yes"]}]
    (tmp_path / "rows.json").write_text("[[1, 2, 3], [4, 5, 6]]")
    assert init(tmp_path / "named.onnx", "-o", tmp_path / "p", "--force", "--inputs", tmp_path / "rows.json").returncode == 0
    case = json.loads((tmp_path / "p" / "golden.json").read_text())["cases"][0]
    assert case["outputs"][0]["data"] == [16, 22, 34, 49]


def test_weights_beside_the_model_go_along(tmp_path):
    linear(tmp_path / "m" / "model.onnx", external="weights.bin")
    r = init(tmp_path / "m" / "model.onnx", "-o", tmp_path / "p")
    assert r.returncode == 0, r.stderr
    assert manifest(tmp_path / "p")["model"] == {"file": "model.onnx", "files": ["weights.bin"]}
    assert (tmp_path / "p" / "weights.bin").read_bytes() == (tmp_path / "m" / "weights.bin").read_bytes()


def test_what_is_no_model_is_an_error(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"nonsense")
    for args, message in (((tmp_path / "nowhere.onnx",), "no such file"), ((tmp_path / "bad.onnx",), "not an ONNX model"),
                          ((tmp_path,), "no model in"), ((), "SOURCE")):
        r = init(*args)
        assert r.returncode != 0 and message in r.stderr, (args, r.stderr)
    assert not (tmp_path / "galley.yaml").exists()


# --- MLflow --------------------------------------------------------------------------------------------------------------
MLMODEL = """artifact_path: model
flavors:
  onnx:
    code: null
    data: model.onnx
    onnx_session_options: null
    onnx_version: 1.17.0
    providers:
    - CUDAExecutionProvider
    - CPUExecutionProvider
  python_function:
    data: model.onnx
    env:
      conda: conda.yaml
      virtualenv: python_env.yaml
    loader_module: mlflow.onnx
    python_version: 3.11.7
is_signature_from_type_hint: false
mlflow_version: 3.6.0
model_id: m-0123456789abcdef
model_uuid: 0123456789abcdef0123456789abcdef
run_id: fedcba9876543210
saved_input_example_info:
  artifact_path: input_example.json
  pandas_orient: split
  serving_input_path: serving_input_example.json
  type: dataframe
signature:
  inputs: '[{"type": "double", "name": "a", "required": true}, {"type": "double", "name":
    "it''s b", "required": true}, {"type": "double", "name": "c", "required": true}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 2]}}]'
  params: null
utc_time_created: '2025-12-05 10:00:00.000000'
"""


@pytest.fixture
def mlflow(tmp_path):
    d = tmp_path / "churn"
    linear(d / "model.onnx")
    (d / "MLmodel").write_text(MLMODEL)
    (d / "requirements.txt").write_text("mlflow==3.6.0\nonnx==1.17.0\n")
    (d / "input_example.json").write_text('{"columns": ["a", "it\'s b", "c"], "data": [[1.0, 2.0, 3.0]]}')
    return d


def test_an_mlflow_directory_gives_signature_example_and_environment(mlflow, tmp_path):
    r = init(mlflow, "-o", tmp_path / "p")
    assert r.returncode == 0, r.stderr
    doc = manifest(tmp_path / "p")
    assert doc["name"] == "churn" and [f["name"] for f in doc["features"]] == ["a", "it's b", "c"]
    assert {k: doc["provenance"][k] for k in ("run_id", "mlflow_version", "python", "onnx", "freeze")} == {
        "run_id": "fedcba9876543210", "mlflow_version": "3.6.0", "python": "3.11.7", "onnx": "1.17.0", "freeze": "requirements.txt"}
    assert (tmp_path / "p" / "requirements.txt").read_text().startswith("mlflow==3.6.0")
    case = json.loads((tmp_path / "p" / "golden.json").read_text())["cases"][0]
    assert case["outputs"][0]["data"] == [16, 22]
    assert "recorded from this model with the rows of input_example.json" in (tmp_path / "p" / "galley.yaml").read_text()


def test_an_mlflow_directory_that_is_wrong_is_an_error(mlflow, tmp_path):
    cases = [("data: model.onnx", "data: ../../etc/passwd", "outside its directory"),
             ("data: model.onnx", "data: gone.onnx", "gone.onnx"),
             ("  onnx:\n", "  transformers:\n", "no flavour of it can be taken: transformers"),
             ("flavors:", "flavors: [", "MLmodel:")]
    for old, new, message in cases:
        (mlflow / "MLmodel").write_text(MLMODEL.replace(old, new, 1))
        r = init(mlflow, "-o", tmp_path / "p")
        assert r.returncode == 1 and message in r.stderr, (new, r.stderr)
    assert not (tmp_path / "p").exists()


# --- Triton --------------------------------------------------------------------------------------------------------------
def test_a_triton_directory_gives_batching_and_labels(tmp_path):
    d = tmp_path / "repo" / "resnet"
    linear(d / "3" / "model.onnx")
    linear(d / "1" / "model.onnx", width=5)
    (d / "labels.txt").write_text("cat\ndog\n")
    (d / "config.pbtxt").write_text("""
name: "resnet"
platform: "onnxruntime_onnx"
max_batch_size: 32
input [{ name: "x" data_type: TYPE_FP32 dims: [3] }]
output [{ name: "y" data_type: TYPE_FP32 dims: [2] label_filename: "labels.txt" }]
dynamic_batching { preferred_batch_size: [8, 16] max_queue_delay_microseconds: 1500 }
parameters [{ key: "team" value: { string_value: "vision" } }]
""")
    r = init(d, "-o", tmp_path / "p")
    assert r.returncode == 0, r.stderr
    doc = manifest(tmp_path / "p")
    assert doc["name"] == "resnet"
    assert doc["serving"]["max_batch_size"] == 32 and doc["serving"]["preferred_batch_sizes"] == [8, 16]
    assert doc["serving"]["max_queue_delay"] == "1500us"
    assert doc["outputs"] == [{"name": "y", "labels": ["cat", "dog"]}]
    assert doc["metadata"]["team"] == "vision"
    assert doc["features"][0]["shape"] == [3]  # of version 3, the newest
    linear(tmp_path / "repo" / "other" / "1" / "model.onnx")
    r = init(tmp_path / "repo", "-o", tmp_path / "q")
    assert r.returncode == 1 and "holds 2 models" in r.stderr, r.stderr
    (d / "config.pbtxt").write_text("max_batch_size: many\n")
    r = init(d, "-o", tmp_path / "q")
    assert r.returncode == 1 and "config.pbtxt:1" in r.stderr, r.stderr


# --- training data ---

def test_outliers_come_from_the_training_data(tmp_path):
    """VAL-03: beyond the 1st and 99th percentile, as NumPy has them."""
    random = np.random.default_rng(3)
    amount, age = random.lognormal(4, 1.5, 5000), random.integers(0, 4000, 5000)
    lines = ["transaction_amount,noise,user_account_age_days,merchant_category,hour_of_day"]
    lines += [f'{a:.2f},x,{"" if i % 50 == 0 else n},"a, ""b""",12' for i, (a, n) in enumerate(zip(amount, age))]
    (tmp_path / "train.csv").write_text("\n".join(lines) + "\n")
    done = init(FRAUD, "-o", tmp_path / "p", "--data", tmp_path / "train.csv")
    assert done.returncode == 0, done.stderr
    features = {f["name"]: f for f in manifest(tmp_path / "p")["features"]}
    low, high = np.quantile([round(a, 2) for a in amount], [0.01, 0.99])
    got = features["transaction_amount"]["outlier"]
    assert got["action"] == "flag" and got["below"] == pytest.approx(low, rel=1e-5)
    assert got["above"] == pytest.approx(high, rel=1e-5)
    low, high = np.quantile([n for i, n in enumerate(age) if i % 50], [0.01, 0.99])
    assert features["user_account_age_days"]["outlier"] == {"below": math.floor(low), "above": math.ceil(high),
                                                            "action": "flag"}
    assert "outlier" not in features["hour_of_day"] and "outlier" not in features["merchant_category"]
    assert "1st and 99th percentile of 4900 rows of train.csv" in (tmp_path / "p" / "galley.yaml").read_text()


@pytest.mark.parametrize("text,message", [
    ("a,b\n1,2\n", "train.csv: line 1: none of its columns is a feature of the model"),
    ("transaction_amount\n1\n12O\n", "train.csv: line 3: transaction_amount: '12O' is no number"),
    ("transaction_amount,b\n1,2\n3\n", "train.csv: line 3: "),
    ("", "none of its columns"),
])
def test_training_data_that_is_wrong_is_an_error(tmp_path, text, message):
    (tmp_path / "train.csv").write_text(text)
    done = init(FRAUD, "-o", tmp_path / "p", "--data", tmp_path / "train.csv")
    assert done.returncode == 1 and message in done.stderr, done.stderr
    assert not (tmp_path / "p" / "galley.yaml").exists()


def test_few_rows_give_no_bounds(tmp_path):
    (tmp_path / "train.csv").write_text("transaction_amount\n" + "1\n2\n" * 49)
    done = init(FRAUD, "-o", tmp_path / "p", "--data", tmp_path / "train.csv")
    assert done.returncode == 0 and "98 values in" in done.stdout and "too few" in done.stdout
    assert all("outlier" not in f for f in manifest(tmp_path / "p")["features"])
