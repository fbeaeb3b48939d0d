# SPDX-License-Identifier: Apache-2.0
"""What the converters share: errors, samples, golden cases, versions."""
import importlib
import json
import math
import os

# Package on PyPI where it is not called as it is imported.
PYPI = {"sklearn": "scikit-learn", "tensorflow": "tensorflow-cpu", "xgboost": "xgboost", "skl2onnx": "skl2onnx"}


class Refused(Exception):
    """Something that the user can do something about: one sentence, and what to do."""

    def __init__(self, message, hint=""):
        super().__init__(message)
        self.hint = hint


def one_line(e):
    return " ".join(str(e).split())[:300]


def need(*modules):
    """Imports modules; what is not installed is named all at once, with the line that installs it."""
    found, missing = [], []
    for name in modules:
        try:
            found.append(importlib.import_module(name))
        except ModuleNotFoundError as e:
            if (e.name or "").split(".")[0] != name.split(".")[0]:
                missing.append((e.name or name).split(".")[0])
            else:
                missing.append(name.split(".")[0])
            found.append(None)
    if missing:
        names = [PYPI.get(m, m) for m in dict.fromkeys(missing)]
        raise Refused(f"this Python has no {' and no '.join(names)}", f"Install: PYTHON -m pip install {' '.join(names)}")
    return found if len(found) > 1 else found[0]


def version(distribution):
    import importlib.metadata
    for name in (distribution, f"{distribution}-cpu"):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pass
    return "unknown"


def libraries(*names):
    return {name: version(name) for name in names}


def freeze(path):
    """What `pip freeze` shows, without a process of its own. Returns how many there are."""
    import importlib.metadata
    lines = {f"{d.metadata['Name']}=={d.version}" for d in importlib.metadata.distributions() if d.metadata["Name"]}
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(sorted(lines, key=str.lower)) + "\n")
    return len(lines)


# --- samples ---------------------------------------------------------------------------------------------------------
def read_rows(path):
    """Rows that a user gives: a list of rows (lists or objects), or one of the usual envelopes. Returns (columns or None,
    list of rows)."""
    with open(path, encoding="utf-8") as f:
        doc = json.load(f)
    if isinstance(doc, dict):
        if "dataframe_split" in doc:
            doc = doc["dataframe_split"]
        if "columns" in doc and "data" in doc:
            return list(doc["columns"]), doc["data"]
        for key in ("instances", "dataframe_records", "rows", "inputs"):
            if key in doc:
                doc = doc[key]
                break
    if isinstance(doc, dict):
        columns = list(doc)
        return columns, [list(row) for row in zip(*(doc[c] for c in columns))]
    if not isinstance(doc, list) or not doc:
        raise Refused(f"{os.path.basename(path)}: there are no rows", 'Write [[1, 2], [3, 4]] or [{"a": 1, "b": 2}]')
    if isinstance(doc[0], dict):
        columns = list(doc[0])
        for i, row in enumerate(doc):
            if set(row) != set(columns):
                raise Refused(f"{os.path.basename(path)}: row {i} has other columns than row 0")
        return columns, [[row[c] for c in columns] for row in doc]
    return None, doc


def by_name(columns, rows, names, path):
    """The rows' values in the order of the model's columns."""
    if columns is None:
        for i, row in enumerate(rows):
            if not isinstance(row, list) or len(row) != len(names):
                raise Refused(f"{os.path.basename(path)}: row {i} must have {len(names)} values")
        return rows
    absent = [n for n in names if n not in columns]
    if absent:
        raise Refused(f"{os.path.basename(path)}: column {absent[0]} is missing", f"The model's columns: {', '.join(names)}")
    at = [columns.index(n) for n in names]
    return [[row[i] for i in at] for row in rows]


def class_names(classes):
    """Names of classes; none when they are but their own numbers."""
    names = [] if classes is None else [str(c) for c in classes]
    return [] if names == [str(i) for i in range(len(names))] or len(names) > 4096 else names


def decided(probabilities):
    """Which rows have a winner: where two classes are as good as equal, rounding decides, and the label proves nothing."""
    import numpy as np
    top = np.sort(np.asarray(probabilities, dtype=np.float64), axis=1)[:, -2:]
    keep = top[:, -1] - top[:, 0] > 1e-3 if top.shape[1] == 2 else np.ones(len(top), dtype=bool)
    return keep if keep.any() else np.ones(len(top), dtype=bool)


# --- golden cases ----------------------------------------------------------------------------------------------------
DATATYPES = {"float32": "FP32", "float64": "FP64", "float16": "FP16", "int8": "INT8", "int16": "INT16", "int32": "INT32",
             "int64": "INT64", "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64", "bool": "BOOL"}


def example(v):
    """A value short enough to read."""
    return float(f"{v:.6g}") if isinstance(v, float) and math.isfinite(v) else scalar(v)


def scalar(v):
    if isinstance(v, float):
        if math.isnan(v):
            return "NaN"
        if math.isinf(v):
            return "Infinity" if v > 0 else "-Infinity"
    return v


def tensor(name, array):
    import numpy as np
    array = np.asarray(array)
    if array.dtype.kind in "OUS":
        datatype, data = "BYTES", [str(v) for v in array.reshape(-1).tolist()]
    else:
        datatype, data = DATATYPES[array.dtype.name], [scalar(v) for v in array.reshape(-1).tolist()]
    return {"name": name, "datatype": datatype, "shape": list(array.shape), "data": data}


def golden(request, name, inputs, outputs):
    """One case of all rows: inputs and outputs are {name: array}."""
    case = {"name": name,
            "inputs": [tensor(k, v) for k, v in inputs.items()],
            "outputs": [tensor(k, v) for k, v in outputs.items()],
            "rtol": request["rtol"], "atol": request["atol"]}
    with open(os.path.join(request["out"], "golden.json"), "w", encoding="utf-8") as f:
        json.dump({"cases": [case]}, f)


def label(model, names, classes):
    """What the bare model.onnx tells too: its vector's names and its classes."""
    for key, values in (("feature_names", names), ("class_names", classes)):
        if values:
            entry = model.metadata_props.add()
            entry.key, entry.value = key, json.dumps([str(v) for v in values])


def open_rows(model):
    """The first dimension of every input and output is rows, whatever number a converter has put there."""
    for port in list(model.graph.input) + list(model.graph.output):
        dims = port.type.tensor_type.shape.dim
        if len(dims) and dims[0].HasField("dim_value"):
            dims[0].ClearField("dim_value")
            dims[0].dim_param = "rows"


def save(request, model):
    import onnx
    open_rows(model)
    onnx.checker.check_model(model)
    path = os.path.join(request["out"], "model.onnx")
    with open(path, "wb") as f:
        f.write(model.SerializeToString())
    return path
