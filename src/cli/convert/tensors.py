# SPDX-License-Identifier: Apache-2.0
"""TensorFlow: SavedModel directories, Keras files and TFLite, by tf2onnx."""
import os
import sys

import common


def from_file(request, kind):
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    tf, _, _ = common.need("tensorflow", "tf2onnx", "onnx")
    if kind == "tflite":
        return from_tflite(request, tf)
    path = request["model"]
    if kind == "keras":
        try:
            model = tf.keras.models.load_model(path, compile=False, safe_mode=True)
        except (ValueError, TypeError) as e:
            raise common.Refused(f"{os.path.basename(path)}: Keras cannot load it: {common.one_line(e)}",
                                 "Layers with Python code of their own are not loaded: export a SavedModel (model.export(DIR))") from e
        path = os.path.join(request["out"], "saved_model")
        model.export(path, verbose=False) if hasattr(model, "export") else tf.saved_model.save(model, path)
    return from_saved_model(request, tf, path, kind)


def run_tf2onnx(request, *arguments):
    """tf2onnx by its command line, in this process: the door that its versions keep."""
    import tf2onnx.convert
    path = os.path.join(request["out"], "model.onnx")
    argv, sys.argv = sys.argv, ["tf2onnx", *arguments, "--output", path, "--opset", str(request["opset"])]
    try:
        tf2onnx.convert.main()
    finally:
        sys.argv = argv
    import onnx
    model = onnx.load(path)
    onnx.checker.check_model(model)
    return model


def draw(request, name, shape, dtype):
    """Rows of one input: drawn. Its open dimensions beyond the first are 4."""
    import numpy as np
    rng = np.random.default_rng(request["seed"])
    dims = [min(request["rows"], 8)] + [4 if d is None or d < 0 else int(d) for d in shape[1:]]
    if np.dtype(dtype).kind in "iu":
        return rng.integers(0, 100, size=dims).astype(dtype)
    if np.dtype(dtype).kind == "f":
        return rng.standard_normal(dims).astype(dtype)
    raise common.Refused(f"input {name} is of type {dtype}: rows of it cannot be drawn", "Give some: --inputs rows.json")


def samples(request, specs):
    import numpy as np
    if not request.get("inputs"):
        return {n: draw(request, n, s, t) for n, s, t in specs}
    columns, rows = common.read_rows(request["inputs"])
    if len(specs) == 1 and columns is None:
        name, _, dtype = specs[0]
        return {name: np.asarray(rows, dtype=dtype)}
    names = [s[0] for s in specs]
    picked = common.by_name(columns, rows, names, request["inputs"])
    return {n: np.asarray([r[i] for r in picked], dtype=t) for i, (n, _, t) in enumerate(specs)}


def finish(request, tf, kind, given, outputs):
    framework = f"TensorFlow {tf.__version__}"
    common.golden(request, f"{'given' if request.get('inputs') else 'drawn'} rows, {framework}", given, outputs)
    return {"framework": framework, "estimator": {"tflite": "TFLite", "keras": "Keras"}.get(kind, "SavedModel"), "features": [],
            "classes": [], "libraries": common.libraries("tensorflow", "keras", "tf2onnx", "onnx", "numpy"),
            "rows": len(next(iter(given.values()))), "given": bool(request.get("inputs")), "notes": []}


def from_saved_model(request, tf, path, kind):
    loaded = tf.saved_model.load(path)
    names = list(loaded.signatures)
    signature = "serving_default" if "serving_default" in names else names[0] if len(names) == 1 else None
    if signature is None:
        raise common.Refused(f"the SavedModel has no signature serving_default but {', '.join(names) or 'none at all'}")
    f = loaded.signatures[signature]
    specs = [(n, s.shape.as_list(), s.dtype.as_numpy_dtype) for n, s in f.structured_input_signature[1].items()]
    given = samples(request, specs)
    answer = f(**{n: tf.constant(v) for n, v in given.items()})
    model = run_tf2onnx(request, "--saved-model", path, "--signature_def", signature)
    outputs = {n: v.numpy() for n, v in answer.items()}
    check_names(model, given, outputs)
    return finish(request, tf, kind, given, outputs)


def check_names(model, given, outputs):
    for what, ports, names in (("input", model.graph.input, given), ("output", model.graph.output, outputs)):
        for port in ports:
            if port.name not in names:
                raise common.Refused(f"tf2onnx calls an {what} {port.name}, which the model's signature does not know")


def from_tflite(request, tf):
    import numpy as np
    import onnx
    model = run_tf2onnx(request, "--tflite", request["model"])
    interpreter = tf.lite.Interpreter(model_path=request["model"])
    ins, outs = interpreter.get_input_details(), interpreter.get_output_details()
    specs = [(d["name"], list(d.get("shape_signature", d["shape"])), d["dtype"]) for d in ins]
    given = samples(request, specs)
    rows = len(next(iter(given.values())))
    # A TFLite model whose batch is fixed runs row by row here, and so does its ONNX twin in galley.
    fixed = any(s[0] == 1 for _, s, _ in specs if len(s))
    found = {d["name"]: [] for d in outs}
    for at in range(0, rows, 1 if fixed else rows):
        part = {n: v[at:at + 1] if fixed else v for n, v in given.items()}
        for d in ins:
            interpreter.resize_tensor_input(d["index"], part[d["name"]].shape)
        interpreter.allocate_tensors()
        for d in ins:
            interpreter.set_tensor(d["index"], part[d["name"]])
        interpreter.invoke()
        for d in outs:
            found[d["name"]].append(interpreter.get_tensor(d["index"]))
    outputs = {n: np.concatenate(v) for n, v in found.items()}
    if fixed:
        common.open_rows(model)
        onnx.save(model, os.path.join(request["out"], "model.onnx"))
    check_names(model, given, outputs)
    return finish(request, tf, "tflite", given, outputs)
