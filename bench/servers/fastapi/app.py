# SPDX-License-Identifier: Apache-2.0
"""What a careful team writes today: FastAPI over ONNX Runtime, one async route, one thread. FastAPI has no batching."""
import os

import numpy as np
import onnxruntime as ort
import orjson
from fastapi import FastAPI, Request, Response

options = ort.SessionOptions()
options.intra_op_num_threads = 1
options.inter_op_num_threads = 1
session = ort.InferenceSession(os.environ["BENCH_MODEL"], options, providers=["CPUExecutionProvider"])
app = FastAPI()


@app.get("/health/ready")
async def ready():
    return {"status": "ready"}


def binary(name, raw, length):
    """The binary tensor extension, in and out."""
    tensor = orjson.loads(raw[:length])["inputs"][0]
    data = np.frombuffer(raw, np.float32, offset=length).reshape(tensor["shape"])
    (y,) = session.run(["output"], {"input": data})
    head = orjson.dumps({"model_name": name, "model_version": "1",
                         "outputs": [{"name": "output", "datatype": "FP32", "shape": list(y.shape),
                                      "parameters": {"binary_data_size": y.nbytes}}]})
    return Response(head + y.tobytes(), media_type="application/octet-stream",
                    headers={"Inference-Header-Content-Length": str(len(head))})


@app.post("/v2/models/{name}/infer")
async def infer(name: str, request: Request):
    raw = await request.body()
    length = request.headers.get("inference-header-content-length")
    if length is not None:
        return binary(name, raw, int(length))
    tensor = orjson.loads(raw)["inputs"][0]
    data = np.asarray(tensor["data"], dtype=np.float32).reshape(tensor["shape"])
    (y,) = session.run(["output"], {"input": data})
    answer = {"model_name": name, "model_version": "1",
              "outputs": [{"name": "output", "datatype": "FP32", "shape": list(y.shape),
                           "data": y.ravel().tolist()}]}
    return Response(orjson.dumps(answer), media_type="application/json")
