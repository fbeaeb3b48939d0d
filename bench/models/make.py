# SPDX-License-Identifier: Apache-2.0
"""Write the benchmark models: multilayer perceptrons with random weights, the same on every run.

    make.py                      bench/models/mlp-30-64-32-1 (committed)
    make.py mlp-512-1024-1024-10 build/bench-models/mlp-512-1024-1024-10 (6 MB, never committed)
    make.py identity-224x224x3   its input, unchanged (never committed)
    make.py mlp-512-1024x48-10   a slow one: 48 layers of 1024, whose weights are one matrix (6 MB)

A name is its layer sizes; SIZExN are N layers of that size, one square matrix between all of them.
Needs numpy and onnx (bench/models/requirements.txt).
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = "mlp-30-64-32-1"


def layers(name):
    """The sizes; and for each step between two of them whether it takes the weights of the step before."""
    sizes, shared = [], []
    for part in name.removeprefix("mlp-").split("-"):
        size, _, times = part.partition("x")
        sizes += [int(size)] * int(times or 1)
        shared += [False] * min(2, int(times or 1)) + [True] * (int(times or 1) - 2)
    return sizes, shared[1:]


def mlp(name):
    """input [batch, first] -> Gemm, Relu, ..., Gemm, Sigmoid or Softmax -> output [batch, last]."""
    sizes, shared = layers(name)
    random = np.random.RandomState(20240115)  # its stream is frozen across numpy releases
    nodes, weights, value = [], [], "input"
    for i, (fan_in, fan_out) in enumerate(zip(sizes, sizes[1:]), start=1):
        if not shared[i - 1]:
            weight = random.standard_normal((fan_in, fan_out)) * np.sqrt(2 / fan_in)
            bias = random.standard_normal(fan_out) * 0.1
            weights.append(numpy_helper.from_array(weight.astype(np.float32), f"weight_{i}"))
            weights.append(numpy_helper.from_array(bias.astype(np.float32), f"bias_{i}"))
            names = [f"weight_{i}", f"bias_{i}"]
        nodes.append(helper.make_node("Gemm", [value, *names], [f"gemm_{i}"]))
        last = i == len(sizes) - 1
        value = "output" if last else f"relu_{i}"
        activation = "Relu" if not last else "Sigmoid" if fan_out == 1 else "Softmax"
        nodes.append(helper.make_node(activation, [f"gemm_{i}"], [value]))
    graph = helper.make_graph(
        nodes, name,
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", sizes[0]])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", sizes[-1]])], weights)
    model = helper.make_model(
        graph, producer_name="galley bench/models/make.py", model_version=1, ir_version=8,
        opset_imports=[helper.make_opsetid("", 18)],
        doc_string="Multilayer perceptron with random weights for load tests: it predicts nothing.")
    helper.set_model_props(model, {
        "author": "galley developers", "training_data": "none: random weights",
        "layers": json.dumps(sizes)})
    onnx.checker.check_model(model, full_check=True)
    return model


def identity(name):
    """input [batch, ...] -> Identity -> output, of the shape in the name: a model that costs one copy."""
    shape = ["batch", *map(int, name.removeprefix("identity-").split("x"))]
    graph = helper.make_graph([helper.make_node("Identity", ["input"], ["output"])], name,
                              [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
                              [helper.make_tensor_value_info("output", TensorProto.FLOAT, shape)])
    model = helper.make_model(graph, producer_name="galley bench/models/make.py", ir_version=8,
                              opset_imports=[helper.make_opsetid("", 18)])
    onnx.checker.check_model(model, full_check=True)
    return model


def main():
    for name in sys.argv[1:] or [COMMITTED]:
        folder = ROOT / ("bench/models" if name == COMMITTED else "build/bench-models") / name
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "model.onnx"
        model = identity(name) if name.startswith("identity-") else mlp(name)
        path.write_bytes(model.SerializeToString(deterministic=True))
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
