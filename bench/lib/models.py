# SPDX-License-Identifier: Apache-2.0
"""The models that are served, and the requests that are sent to them."""
import json
import os
import random
import shutil
import struct
import subprocess

from lib import machine


class Model:
    """A multilayer perceptron of bench/models/make.py, or the same with one square layer many times over."""

    def __init__(self, name, committed=False):
        self.name = name
        self.shape = list(map(int, name.split("-")[1].split("x")))  # of one row
        self.columns = self.shape[0]
        self.folder = machine.path("bench/models" if committed else "build/bench-models", name)
        self.file = os.path.join(self.folder, "model.onnx")
        self.infer_path = f"/v2/models/{name}/infer"

    def need(self):
        """Writes the file when it is not there."""
        if os.path.exists(self.file):
            return self
        python = machine.path("build/bench-venvs/models/bin/python")
        if not os.path.exists(python):
            raise machine.Skip(f"{self.name} cannot be made: no numpy and onnx (tools/setup bench says why)")
        subprocess.run([python, machine.path("bench/models/make.py"), self.name], check=True)
        return self


SMALL = Model("mlp-30-64-32-1", committed=True)
BATCHED = Model("mlp-512-1024-1024-10")
SLOW = Model("mlp-512-1024x48-10")


IMAGE = Model("identity-224x224x3")


def packed(model, folder, name):
    """The model as a .galley file, by a name of its own and without golden cases; the folder is below build/."""
    source = os.path.join(folder, "package")
    shutil.rmtree(source, ignore_errors=True)
    os.makedirs(source)
    os.link(model.need().file, os.path.join(source, "model.onnx"))
    with open(os.path.join(source, "galley.yaml"), "w", encoding="ascii") as f:
        f.write(f"galley: 1\nname: {name}\nversion: 1.0.0\nmodel: model.onnx\n")
    out = os.path.join(folder, "model.galley")
    subprocess.run([machine.GALLEY, "pack", source, "-o", out], check=True, capture_output=True)
    return out


def as_packed(request, name):
    """The request, for what packed() made."""
    return Request(f"/v2/models/{name}/infer", request.body, request.headers)


def row_of(model):
    values = random.Random(7)
    return [round(values.uniform(-2, 2), 4) for _ in range(model.columns)]


class Request:
    """One POST: its body, and the headers that belong to it."""

    def __init__(self, path, body, headers):
        self.path, self.body, self.headers = path, body, headers

    def bytes(self):
        """The whole request, for bench/load.c."""
        head = [f"POST {self.path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(self.body)}",
                *(f"{k}: {v}" for k, v in self.headers.items())]
        return ("\r\n".join(head) + "\r\n\r\n").encode() + self.body


def json_request(path, document):
    return Request(path, json.dumps(document).encode(), {"Content-Type": "application/json"})


def oip_json(model, row=None):
    tensor = {"name": "input", "shape": [1, model.columns], "datatype": "FP32", "data": row or row_of(model)}
    return json_request(model.infer_path, {"inputs": [tensor]})


def oip_binary(model, timeout_us=None, rows=1):
    """The binary tensor extension: a JSON head, then the row's bytes (`rows` times); the answer is binary too."""
    blob = struct.pack(f"<{model.columns}f", *row_of(model)) * rows
    head = {"inputs": [{"name": "input", "shape": [rows, model.columns], "datatype": "FP32",
                        "parameters": {"binary_data_size": len(blob)}}],
            "parameters": {"binary_data_output": True}}
    if timeout_us is not None:
        head["parameters"]["timeout"] = timeout_us
    text = json.dumps(head, separators=(",", ":")).encode()
    return Request(model.infer_path, text + blob, {"Content-Type": "application/octet-stream",
                                                   "Inference-Header-Content-Length": len(text)})
