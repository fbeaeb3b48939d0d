# SPDX-License-Identifier: Apache-2.0
"""PyTorch: TorchScript archives, and a state_dict with the class that it belongs to, by torch.onnx."""
import importlib.util
import inspect
import json
import os
import sys
import warnings

import common
import pickles


def from_file(request, kind):
    path, where = request["model"], os.path.basename(request["model"])
    members = pickles.look_through_tensors(path, where)
    is_script = any("/code/" in n for n in members)
    torch = common.need("torch")
    if request.get("class"):
        if is_script:
            raise common.Refused(f"{where} is a TorchScript archive, which needs no class", "Leave --class out")
        model = from_class(request, torch, where)
    elif is_script:
        model = torch.jit.load(path, map_location="cpu")
    else:
        raise common.Refused(f"{where} holds parameters without the model that they belong to",
                             "Say which: --class FILE.py:CLASS, and --args '{\"hidden\": 16}' for its constructor")
    model.eval()
    return convert(request, torch, model, is_script)


def from_class(request, torch, where):
    file, _, name = request["class"].rpartition(":")
    if not file or not os.path.isfile(file):
        raise common.Refused(f"--class {request['class']}: there is no such file", "FILE.py:CLASS")
    sys.path.insert(0, os.path.dirname(file))
    spec = importlib.util.spec_from_file_location("galley_model_code", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules["galley_model_code"] = module
    spec.loader.exec_module(module)
    cls = getattr(module, name, None)
    if not isinstance(cls, type):
        raise common.Refused(f"{os.path.basename(file)} has no class {name}")
    try:
        model = cls(**json.loads(request.get("args") or "{}"))
    except TypeError as e:
        raise common.Refused(f"{name} cannot be made: {common.one_line(e)}", "--args '{\"hidden\": 16}' gives its arguments") from e
    state = torch.load(request["model"], map_location="cpu", weights_only=True)
    for key in ("state_dict", "model_state_dict"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict):
        raise common.Refused(f"{where} holds a {type(state).__name__}, no state_dict")
    try:
        result = model.load_state_dict(state, strict=False)
    except RuntimeError as e:
        raise common.Refused(f"{where} does not fit {name}: {common.one_line(e).split(': ', 1)[-1]}",
                             "Is it the class, and are these the arguments (--args), that it was trained with?") from e
    for what, keys in (("lacks", result.missing_keys), ("has too many", result.unexpected_keys)):
        if keys:
            shown = ", ".join(keys[:4]) + (f" and {len(keys) - 4} more" if len(keys) > 4 else "")
            raise common.Refused(f"{where} does not fit {name}: it {what}: {shown}")
    return model


def shapes(request, names):
    """--shape "3,32,32" or "image=3,32,32 tokens=128:int64": of a row; [(name, dims, dtype)]."""
    text = (request.get("shape") or "").split()
    if not text:
        raise common.Refused("a PyTorch model does not tell the shape of its input", "Give a row's: --shape 3,32,32, or NAME=4:int64")
    found = []
    for i, part in enumerate(text):
        name, _, rest = part.rpartition("=")
        dims, _, dtype = rest.partition(":")
        try:
            dims = [int(d) for d in dims.split(",") if d]
        except ValueError:
            raise common.Refused(f"--shape {part}: dimensions are whole numbers", "As in 3,32,32") from None
        fallback = names[i] if i < len(names) else f"input_{i}"
        found.append((name or fallback, dims, dtype or "float32"))
    return found


def arguments(model, is_script):
    if is_script:
        return [a.name for a in model.forward.schema.arguments[1:]]
    return [p.name for p in inspect.signature(model.forward).parameters.values() if p.default is p.empty]


def samples(request, specs):
    """One array an input, all rows."""
    import numpy as np
    if request.get("inputs"):
        columns, rows = common.read_rows(request["inputs"])
        if len(specs) == 1 and columns is None:
            given = {specs[0][0]: rows}
        else:
            names = [s[0] for s in specs]
            picked = common.by_name(columns, rows, names, request["inputs"])
            given = {n: [r[i] for r in picked] for i, n in enumerate(names)}
        return {n: np.asarray(given[n], dtype=t).reshape([-1] + dims) for n, dims, t in specs}
    rng = np.random.default_rng(request["seed"])
    rows = min(request["rows"], 8)
    made = {}
    for name, dims, dtype in specs:
        if np.dtype(dtype).kind in "iu":
            made[name] = rng.integers(0, 100, size=[rows] + dims).astype(dtype)
        else:
            made[name] = rng.standard_normal([rows] + dims).astype(dtype)
    return made


def convert(request, torch, model, is_script):
    specs = shapes(request, arguments(model, is_script))
    given = samples(request, specs)
    # By way of lists: a PyTorch older than its NumPy cannot share memory with it.
    args = [torch.tensor(v.tolist(), dtype=getattr(torch, v.dtype.name)) for v in given.values()]
    with torch.no_grad():
        answer = model(*args)
    if isinstance(answer, dict):
        names, answer = list(answer), list(answer.values())
    else:
        answer = list(answer) if isinstance(answer, (tuple, list)) else [answer]
        names = ["output"] if len(answer) == 1 else [f"output_{i}" for i in range(len(answer))]
    rows = len(args[0])
    path = os.path.join(request["out"], "model.onnx")
    axes = {n: {0: "batch"} for n in list(given) + [n for n, a in zip(names, answer) if a.ndim and a.shape[0] == rows]}
    options = {"input_names": list(given), "output_names": names, "dynamic_axes": axes, "opset_version": request["opset"]}
    if "dynamo" in inspect.signature(torch.onnx.export).parameters:
        options["dynamo"] = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, tuple(a[:2] for a in args), path, **options)
    outputs = {n: numpy_of(a) for n, a in zip(names, answer)}
    framework = f"PyTorch {torch.__version__}"
    common.golden(request, f"{'given' if request.get('inputs') else 'drawn'} rows, {framework}", given, outputs)
    return {"framework": framework, "estimator": type(model).__name__ if not is_script else model.original_name,
            "features": [], "classes": [], "libraries": common.libraries("torch", "numpy"), "rows": rows,
            "given": bool(request.get("inputs")),
            "notes": [] if is_script else ["weights fitted " + request["class"].rpartition(":")[2]]}


def numpy_of(t):
    import numpy as np
    return np.asarray(t.tolist(), dtype=str(t.dtype).replace("torch.", "")).reshape(tuple(t.shape))
