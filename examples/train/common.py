# SPDX-License-Identifier: Apache-2.0
"""What the training scripts share: write model.onnx and cases.json, and prove that they agree.

An input is a Column (its ONNX name, datatype, width). A model takes either one column a feature
(width 1, named features) or a single vector column. Rows are lists of plain Python values, one a
feature, and hold what the model receives: FP32 features are rounded to FP32 first, so the
framework and the ONNX model see the same numbers.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import sklearn
from onnx import helper

MODELS = Path(__file__).resolve().parents[1] / "models"
SEED = 20240115
OPSET = {"": 18, "ai.onnx.ml": 3}
FRAMEWORK = f"scikit-learn {sklearn.__version__}"
TOLERANCE = {"rtol": 1e-5, "atol": 1e-6}
NUMPY = {"FP32": np.float32, "INT64": np.int64, "BYTES": np.object_}


@dataclass(frozen=True)
class Column:
    name: str
    datatype: str
    width: int = 1


def fp32(x):
    """x as the model receives it: rounded to FP32, kept as float64 for the framework."""
    return np.asarray(x).astype(np.float32).astype(np.float64)


def save(name, onx, doc, labels, metrics, training_data, feature_names=None):
    """Describe the model, check it and write models/NAME/model.onnx."""
    _rename_outputs(onx.graph, ["label", "probabilities"])
    onx.doc_string = doc
    onx.graph.name = name
    onx.model_version = 1
    meta = {
        "author": "galley developers",
        "framework": FRAMEWORK,
        "training_data": training_data,
        "labels": json.dumps(labels),
        "metrics": json.dumps({k: round(float(v), 4) for k, v in metrics.items()}),
    }
    if feature_names is not None:
        meta["feature_names"] = json.dumps(feature_names)
    helper.set_model_props(onx, meta)
    onx.opset_import.sort(key=lambda opset: opset.domain)  # else by Python's hash seed
    onnx.checker.check_model(onx, full_check=True)
    path = MODELS / name / "model.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(onx.SerializeToString(deterministic=True))


def _rename_outputs(graph, names):
    """Plain names whatever the exporter chose. Its own way, a last Identity, can't carry maps."""
    renamed = {name: name + "_inner" for name in names}  # where the exporter used it inside
    renamed |= {output.name: name for output, name in zip(graph.output, names, strict=True)}
    for node in graph.node:
        node.input[:] = [renamed.get(n, n) for n in node.input]
        node.output[:] = [renamed.get(n, n) for n in node.output]
    for output in graph.output:
        output.name = renamed[output.name]


def write_cases(name, columns, labels, predict, rows, batches, feature_names=None):
    """Write cases.json and example.json, then compare ONNX Runtime with the framework.

    predict(rows) is the framework's own answer: (labels, probabilities). Every row becomes a case
    of one row; batches are lists of indices into rows, each a case of many rows. With feature_names
    a vector model's cases alternate between the vector form and the named form.
    """
    cases = []
    for i, index in enumerate([[i] for i in range(len(rows))] + batches):
        picked = [[_plain(c, v) for c, v in zip(_per_feature(columns), rows[j])] for j in index]
        named = feature_names if feature_names and i % 2 else None
        bodies = [_features(columns, row, named) for row in picked]
        single = len(index) == 1
        native = {"features": bodies[0]} if single else {"instances": bodies}
        cases.append({
            "native": native,
            "oip": {"inputs": _oip_inputs(columns, picked)},
            "expected": {"outputs": _expected(labels, *predict(picked))},
        })
    head = {"model": name, "framework": FRAMEWORK, "tolerance": TOLERANCE}
    lines = ",\n".join(json.dumps(case) for case in cases)
    text = json.dumps(head)[:-1] + ', "cases": [\n' + lines + "\n]}\n"
    (MODELS / name / "cases.json").write_text(text)
    example = json.dumps(cases[0]["native"], separators=(",", ":"))
    (MODELS / name / "example.json").write_text(example + "\n")
    check_cases(name)


def check_all_rows(name, columns, labels, predict, rows):
    """Compare ONNX Runtime with the framework on a whole data set, beyond the cases."""
    picked = [[_plain(c, v) for c, v in zip(_per_feature(columns), row)] for row in rows]
    expected = _expected(labels, *predict(picked))
    worst = _compare(_session(name), _oip_inputs(columns, picked), expected, TOLERANCE)
    print(f"{name}: {len(picked)} rows agree, worst difference {worst:.2e}")


def check_cases(name):
    """Replay models/NAME/cases.json in ONNX Runtime: equal labels, close probabilities."""
    recorded = json.loads((MODELS / name / "cases.json").read_text())
    session = _session(name)
    worst = max(
        _compare(session, case["oip"]["inputs"], case["expected"]["outputs"], recorded["tolerance"])
        for case in recorded["cases"]
    )
    print(f"{name}: {len(recorded['cases'])} cases agree, worst difference {worst:.2e}")


def _session(name):
    return onnxruntime.InferenceSession(
        MODELS / name / "model.onnx", providers=["CPUExecutionProvider"])


def _compare(session, inputs, expected, tolerance):
    feed = {
        t["name"]: np.array(t["data"], NUMPY[t["datatype"]]).reshape(t["shape"]) for t in inputs
    }
    label, probabilities = session.run(["label", "probabilities"], feed)
    want = expected["probabilities"]
    if isinstance(probabilities, list):  # ZipMap: one map a row
        probabilities = [[row[key] for key in want["labels"]] for row in probabilities]
    got = np.array(probabilities, np.float64)
    assert label.tolist() == expected["label"], "labels differ"
    wanted = np.array(want["data"]).reshape(want["shape"])
    np.testing.assert_allclose(got, wanted, **tolerance)
    return np.abs(got - wanted).max()


def _per_feature(columns):
    return [c for c in columns for _ in range(c.width)]


def _plain(column, value):
    """A feature as JSON holds it; the shortest decimal that reads back as the same FP32."""
    if column.datatype == "BYTES":
        return str(value)
    if column.datatype == "INT64":
        return int(value)
    text = float(str(np.float32(value)))
    assert np.float32(text) == np.float32(value)
    return text


def _features(columns, row, feature_names):
    if len(columns) > 1:
        return {c.name: v for c, v in zip(columns, row)}
    return dict(zip(feature_names, row)) if feature_names else row


def _oip_inputs(columns, rows):
    inputs, start = [], 0
    for c in columns:
        data = [v for row in rows for v in row[start:start + c.width]]
        shape = [len(rows), c.width]
        inputs.append({"name": c.name, "shape": shape, "datatype": c.datatype, "data": data})
        start += c.width
    return inputs


def _expected(labels, predicted, probabilities):
    return {
        "label": np.asarray(predicted).tolist(),
        "probabilities": {
            "shape": list(probabilities.shape),
            "data": np.asarray(probabilities, np.float64).ravel().tolist(),
            "labels": labels,
        },
    }
