# SPDX-License-Identifier: Apache-2.0
"""Runs inside galley's isolated process: a framework's model file becomes an ONNX model with golden cases.

usage: python -I -B main.py REQUEST.json

The request and the answer are JSON (see `galley init --convert`, src/cli/init_convert.c). Everything that is written lies
in request["out"]: model.onnx, golden.json, requirements.txt and result.json. A failure that a user can do something about
is {"error", "hint"} in result.json and exit code 1.
"""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import common  # noqa: E402


def route(request):
    """The module that knows this kind of file, and the kind."""
    path, kind = request["model"], request.get("kind") or ""
    if not kind:
        kind = sniff(path, request)
    if kind in ("pickle",):
        import classic
        return kind, classic.from_pickle
    if kind in ("xgboost", "lightgbm"):
        import boosters
        return kind, boosters.from_file
    if kind in ("torchscript", "state_dict"):
        import neural
        return kind, neural.from_file
    if kind in ("saved_model", "keras", "tflite"):
        import tensors
        return kind, tensors.from_file
    raise common.Refused(f"{os.path.basename(path)}: no converter is known for this file",
                         "Known: .pkl .pickle .joblib (scikit-learn), .json .ubj (XGBoost), .txt (LightGBM), .pt .pth "
                         "(PyTorch), SavedModel directories, .keras .h5 .tflite")


def sniff(path, request):
    lower = path.lower()
    if os.path.isdir(path):
        return "saved_model" if os.path.exists(os.path.join(path, "saved_model.pb")) else ""
    if lower.endswith((".pkl", ".pickle", ".joblib", ".sav")):
        return "pickle"
    if lower.endswith(".tflite"):
        return "tflite"
    if lower.endswith((".keras", ".h5", ".hdf5")):
        return "keras"
    if lower.endswith((".pt", ".pth", ".ckpt", ".bin")):
        return "state_dict" if request.get("class") else "torchscript"
    with open(path, "rb") as f:
        head = f.read(4096)
    if lower.endswith(".ubj") or (lower.endswith(".json") and b'"learner"' in head):
        return "xgboost"
    if head.startswith(b"tree\n") or b"\nobjective=" in head:
        return "lightgbm"
    return ""


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        request = json.load(f)
    out = request["out"]
    try:
        kind, convert = route(request)
        result = convert(request, kind)
        result["freeze"] = common.freeze(os.path.join(out, "requirements.txt"))
        result["python"] = ".".join(map(str, sys.version_info[:3]))
        code = 0
    except common.Refused as e:
        result, code = {"error": e.args[0], "hint": e.hint}, 1
    except ImportError as e:
        result, code = {"error": f"a package cannot be imported: {e}", "hint": ""}, 1
    except MemoryError:
        result, code = {"error": "the conversion ran out of memory", "hint": "--memory raises the bound"}, 1
    except Exception as e:  # whatever a framework throws is told in its own words
        import traceback
        traceback.print_exc()
        result, code = {"error": f"{type(e).__name__}: {common.one_line(e)}", "hint": ""}, 1
    with open(os.path.join(out, "result.json"), "w", encoding="utf-8") as f:
        json.dump(result, f)
    return code


if __name__ == "__main__":
    sys.exit(main())
