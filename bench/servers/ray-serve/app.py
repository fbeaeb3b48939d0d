# SPDX-License-Identifier: Apache-2.0
"""Ray Serve: one replica, @serve.batch, and the flags of its page on performance (set by bench/lib/rivals.py)."""
import os
import signal
import threading

import numpy as np
import onnxruntime as ort
import orjson
import ray
from ray import serve
from starlette.responses import Response

BATCH = int(os.environ["BENCH_BATCH"])


@serve.deployment(num_replicas=1, max_ongoing_requests=1024, ray_actor_options={"num_cpus": 1})
class Model:
    def __init__(self, path):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self.session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    @serve.batch(max_batch_size=BATCH, batch_wait_timeout_s=0.002)
    async def predict(self, rows):
        return self.session.run(["output"], {"input": np.asarray(rows, dtype=np.float32)})[0].tolist()

    async def __call__(self, request):
        if request.method == "GET":
            return Response(b"ready")
        row = orjson.loads(await request.body())["row"]
        return Response(orjson.dumps({"output": await self.predict(row)}), media_type="application/json")


def main():
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, configure_logging=False,
             _node_ip_address="127.0.0.1", _temp_dir=os.environ["BENCH_FOLDER"])
    serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["BENCH_PORT"])},
                logging_config={"enable_access_log": False, "log_level": "ERROR"})
    serve.run(Model.bind(os.environ["BENCH_MODEL"]), route_prefix="/")
    stop.wait()
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    main()
