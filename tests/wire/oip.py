# SPDX-License-Identifier: Apache-2.0
"""The Open Inference Protocol's REST bodies, written here from the protocol and from no client."""
import json
import struct

import ml_dtypes
import numpy as np

LENGTH = "Inference-Header-Content-Length"
NUMPY = {"BOOL": np.bool_, "UINT8": np.uint8, "UINT16": np.uint16, "UINT32": np.uint32,
         "UINT64": np.uint64, "INT8": np.int8, "INT16": np.int16, "INT32": np.int32,
         "INT64": np.int64, "FP16": np.float16, "BF16": ml_dtypes.bfloat16, "FP32": np.float32,
         "FP64": np.float64, "BYTES": np.object_}
NAMES = {np.dtype(v): k for k, v in NUMPY.items()}


def pack(array):
    """Bytes of the binary tensor extension."""
    if array.dtype != np.object_:
        return np.ascontiguousarray(array).tobytes()
    out = b""
    for item in array.flatten():
        raw = item if isinstance(item, bytes) else str(item).encode()
        out += struct.pack("<I", len(raw)) + raw
    return out


def unpack(raw, datatype, shape):
    if datatype != "BYTES":
        return np.frombuffer(raw, NUMPY[datatype]).reshape(shape)
    items, at = [], 0
    while at < len(raw):
        (n,) = struct.unpack_from("<I", raw, at)
        items.append(raw[at + 4:at + 4 + n])
        assert len(items[-1]) == n
        at += 4 + n
    out = np.empty(len(items), np.object_)
    out[:] = items
    return out.reshape(shape)


def binary(arrays, **extra):
    """Body and header length of a request whose inputs are all binary, outputs too."""
    inputs, blobs = [], b""
    for name, array in arrays.items():
        blob = pack(array)
        inputs.append({"name": name, "shape": list(array.shape), "datatype": NAMES[array.dtype],
                       "parameters": {"binary_data_size": len(blob)}})
        blobs += blob
    extra.setdefault("parameters", {"binary_data_output": True})
    head = json.dumps({"inputs": inputs, **extra}).encode()
    return head + blobs, len(head)


def post_binary(server, model, arrays, timeout=20, path=None, **extra):
    body, n = binary(arrays, **extra)
    return server.post(path or f"/v2/models/{model}/infer", body,
                       {LENGTH: n, "Content-Type": "application/octet-stream"}, timeout=timeout)


def tensors(reply):
    """Outputs of an answer, in its order, whatever form they came in."""
    length = reply.header(LENGTH)
    raw = b"" if length is None else reply.body[int(length):]
    found = {}
    for o in json.loads(reply.body if length is None else reply.body[:int(length)])["outputs"]:
        size = o.get("parameters", {}).get("binary_data_size")
        if size is None:
            flat = [np.float64(x) for x in o["data"]] if o["datatype"] in ("FP32", "FP64") \
                else o["data"]
            found[o["name"]] = np.array(flat).astype(NUMPY[o["datatype"]]).reshape(o["shape"])
        else:
            assert "data" not in o
            found[o["name"]] = unpack(raw[:size], o["datatype"], o["shape"])
            raw = raw[size:]
    assert raw == b"", f"{len(raw)} bytes behind the last output"
    return found
