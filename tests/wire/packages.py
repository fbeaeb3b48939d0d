# SPDX-License-Identifier: Apache-2.0
"""Packages that the tests make for themselves, and change."""
import json
import shutil

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h

import models
from harness import SOURCE, galley

EXAMPLES = SOURCE / "examples" / "packages"


def copy(name, to):
    """An example of the repository, as a directory of the test's own."""
    return shutil.copytree(EXAMPLES / name, to)


def edit(package, old, new, file="galley.yaml"):
    path = package / file
    text = path.read_text()
    assert old in text, f"{file} has no {old!r}"
    path.write_text(text.replace(old, new))
    return package


def nudge(package, by=0.05):
    """Changes one weight of the network's last layer, as a training that went on would."""
    path = package / "model.onnx"
    model = onnx.load(path)
    tensor = next(t for t in model.graph.initializer if t.name == "intercepts2")
    values = onnx.numpy_helper.to_array(tensor).copy()
    values.flat[0] += by
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    onnx.save(model, path)
    return package


def linear(path, weights, **yaml):
    """A package whose model is y = x w, x a vector [n, len(w)], with the rest of its galley.yaml."""
    w = onnx.numpy_helper.from_array(np.array(weights, np.float32).reshape(-1, 1), "w")
    models.write(path / "model.onnx", [h.make_node("MatMul", ["x", "w"], ["y"])],
                 [("x", T.FLOAT, ("n", len(weights)))], [("y", T.FLOAT, ("n", 1))], [w])
    head = {"galley": 1, "name": path.name, "version": "1.0.0", "model": "model.onnx"}
    (path / "galley.yaml").write_text(json.dumps({**head, **yaml}, indent=1))  # JSON is YAML
    return path


def record(package, rows, code=0):
    """Golden cases of rows, a case each."""
    text = "".join(json.dumps(r) + "\n" for r in rows)
    done = galley("record", package, "--inputs", "-", "--force", stdin=text)
    assert done.returncode == code, done.stderr
    return done


def pack(package, out):
    done = galley("pack", package, "-o", out)
    assert done.returncode == 0, done.stderr
    return out


def digest(package):
    return json.loads(galley("ls", "--json", package).stdout)["digest"]


def cases(package):
    return json.loads((package / "golden.json").read_text())["cases"]
