# SPDX-License-Identifier: Apache-2.0
"""Small ONNX models that the tests make for themselves."""
import time

import onnx
import onnx.numpy_helper
from onnx import TensorProto as T
from onnx import helper as h
import numpy as np

OPSET = 18
# Open Inference Protocol's name -> ONNX's element type
DTYPES = {"BOOL": T.BOOL, "UINT8": T.UINT8, "UINT16": T.UINT16, "UINT32": T.UINT32,
          "UINT64": T.UINT64, "INT8": T.INT8, "INT16": T.INT16, "INT32": T.INT32,
          "INT64": T.INT64, "FP16": T.FLOAT16, "BF16": T.BFLOAT16, "FP32": T.FLOAT,
          "FP64": T.DOUBLE, "BYTES": T.STRING}


def write(path, nodes, inputs, outputs, initializers=(), name="test", meta=None):
    """inputs and outputs: (name, element type, shape) each."""
    info = h.make_tensor_value_info
    graph = h.make_graph(nodes, name, [info(*i) for i in inputs], [info(*o) for o in outputs],
                         list(initializers))
    model = h.make_model(graph, producer_name="galley-tests", ir_version=9,
                         opset_imports=[h.make_opsetid("", OPSET)])
    if meta:
        h.set_model_props(model, meta)
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    return path


def identity(path, dtype="FP32", shape=("n", 2)):
    t = DTYPES[dtype]
    return write(path, [h.make_node("Identity", ["x"], ["y"])], [("x", t, shape)],
                 [("y", t, shape)])


def spread(path, rows):
    """A small request, a large answer: x [1,2], copied."""
    shape = h.make_tensor("shape", DTYPES["INT64"], [2], [rows, 2])
    return write(path, [h.make_node("Expand", ["x", "shape"], ["y"])], [("x", DTYPES["FP32"], (1, 2))],
                 [("y", DTYPES["FP32"], (rows, 2))], [shape])


def add(path, number, meta=None):
    """y = x + number, FP32 [n, 1]."""
    c = h.make_tensor("c", T.FLOAT, [1], [number])
    return write(path, [h.make_node("Add", ["x", "c"], ["y"])], [("x", T.FLOAT, ("n", 1))],
                 [("y", T.FLOAT, ("n", 1))], [c], meta=meta)


def slow_width():
    """Of square matrices whose multiplication takes this machine about 0.3 ms."""
    width, took = 192, []
    a = np.eye(width, dtype=np.float32)
    end = time.perf_counter() + 0.25  # long enough for a moment in which another test leaves the machine alone
    while len(took) < 100 or time.perf_counter() < end:
        start = time.perf_counter()
        a @ a
        took.append(time.perf_counter() - start)
    return min(max(int(width * (3e-4 / min(took)) ** (1 / 3)) // 16 * 16, width), 384)


SLOW_WIDTH = slow_width()  # measured here, before there are servers and clients to disturb it


def slow(path, least=20, width=SLOW_WIDTH):
    """y = x after `least` + max(x) multiplications of matrices: as slow as a request asks for, and
    never cheap enough to run on an event loop. Roughly 0.3 ms a multiplication."""
    eye = np.eye(width, dtype=np.float32)
    body = h.make_graph(
        [h.make_node("MatMul", ["s_in", "w"], ["s_out"]),
         h.make_node("Identity", ["go_in"], ["go_out"])], "body",
        [h.make_tensor_value_info("i", T.INT64, []), h.make_tensor_value_info("go_in", T.BOOL, []),
         h.make_tensor_value_info("s_in", T.FLOAT, [width, width])],
        [h.make_tensor_value_info("go_out", T.BOOL, []),
         h.make_tensor_value_info("s_out", T.FLOAT, [width, width])])
    nodes = [h.make_node("ReduceMax", ["x"], ["most"], keepdims=0),
             h.make_node("Add", ["most", "least"], ["trips"]),
             h.make_node("Loop", ["trips", "", "w"], ["s"], body=body),
             h.make_node("ReduceSum", ["s"], ["sum"], keepdims=0),
             h.make_node("Mul", ["sum", "zero"], ["nothing"]),
             h.make_node("Cast", ["nothing"], ["nothing_i"], to=T.INT64),
             h.make_node("Add", ["x", "nothing_i"], ["y"])]
    constants = [h.make_tensor("least", T.INT64, [], [least]), h.make_tensor("zero", T.FLOAT, [], [0]),
                 h.make_tensor("w", T.FLOAT, eye.shape, eye.flatten())]
    return write(path, nodes, [("x", T.INT64, ("n", 1))], [("y", T.INT64, ("n", 1))], constants)


def two_inputs(path):
    """Different datatypes, two outputs: sum FP32 [n,2], text BYTES [n,1]."""
    return write(path, [h.make_node("Add", ["a", "b"], ["sum"]),
                        h.make_node("Identity", ["t"], ["text"])],
                 [("a", T.FLOAT, ("n", 2)), ("b", T.FLOAT, ("n", 2)), ("t", T.STRING, ("n", 1))],
                 [("sum", T.FLOAT, ("n", 2)), ("text", T.STRING, ("n", 1))])


def external(path):
    """Its weights, [0..1023], lie in a file of their own; y = weights[x]."""
    table = onnx.numpy_helper.from_array(np.arange(1024, dtype=np.float32), "table")
    write(path, [h.make_node("Gather", ["table", "x"], ["y"], axis=0)], [("x", T.INT64, ("n", 1))],
          [("y", T.FLOAT, ("n", 1))], [table])
    onnx.save_model(onnx.load(path), path, save_as_external_data=True, location="weights.bin",
                    size_threshold=0)
    return path


def fixed(path):
    """No open dimension: FP32 [2,3]."""
    return identity(path, "FP32", (2, 3))


def failing(path):
    """Runs well for x = 0 (the warm-up) and fails otherwise: an index out of range."""
    table = h.make_tensor("table", T.FLOAT, [1], [0.5])
    return write(path, [h.make_node("Gather", ["table", "x"], ["y"], axis=0)],
                 [("x", T.INT64, ("n", 1))], [("y", T.FLOAT, ("n", 1))], [table])


def half_plus_two(path):
    """TensorFlow Serving's example: y = x / 2 + 2, FP32 [n]."""
    constants = [h.make_tensor("half", T.FLOAT, [], [0.5]), h.make_tensor("two", T.FLOAT, [], [2])]
    return write(path, [h.make_node("Mul", ["x", "half"], ["m"]), h.make_node("Add", ["m", "two"], ["y"])],
                 [("x", T.FLOAT, ("n",))], [("y", T.FLOAT, ("n",))], constants)


def blobs(path):
    """Bytes as they are, under a name that TensorFlow Serving answers in base64."""
    return write(path, [h.make_node("Identity", ["image_bytes"], ["copy_bytes"])],
                 [("image_bytes", T.STRING, ("n",))], [("copy_bytes", T.STRING, ("n",))])


def write_zoo(root):
    for dtype in DTYPES:
        identity(root / f"id-{dtype.lower()}" / "model.onnx", dtype)
    identity(root / "scalar" / "model.onnx", "FP32", ())
    identity(root / "cube" / "model.onnx", "INT32", ("n", 2, 3))
    identity(root / "free" / "model.onnx", "FP32", ("a", "b"))
    identity(root / "text-vector" / "model.onnx", "BYTES", (1,))
    fixed(root / "fixed" / "model.onnx")
    two_inputs(root / "two" / "model.onnx")
    external(root / "external" / "model.onnx")
    failing(root / "failing" / "model.onnx")
    slow(root / "slow" / "model.onnx")
    for version in (1, 2, 10):
        add(root / "versions" / str(version) / "model.onnx", version)
    for version, number in (("1.2.0", 12), ("1.10.0", 110)):
        add(root / "dotted" / version / "model.onnx", number)
    add(root / "name with space" / "model.onnx", 7)
    return root
