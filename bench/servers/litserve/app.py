# SPDX-License-Identifier: Apache-2.0
"""LitServe: one worker, its batching, and its queue for high throughput."""
import os

import litserve as ls
import numpy as np
import onnxruntime as ort


class Model(ls.LitAPI):
    def setup(self, device):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self.session = ort.InferenceSession(os.environ["BENCH_MODEL"], options,
                                            providers=["CPUExecutionProvider"])

    def decode_request(self, request):
        return np.asarray(request["row"], dtype=np.float32)

    def batch(self, inputs):
        return np.stack(inputs)

    def predict(self, batch):
        return self.session.run(["output"], {"input": batch})[0]

    def unbatch(self, output):
        return list(output)

    def encode_response(self, output):
        return {"output": output.tolist()}


if __name__ == "__main__":
    api = Model(max_batch_size=int(os.environ["BENCH_BATCH"]), batch_timeout=0.002)
    server = ls.LitServer(api, accelerator="cpu", workers_per_device=1, fast_queue=True)
    server.run(host="127.0.0.1", port=int(os.environ["BENCH_PORT"]), num_api_servers=1,
               log_level="error", generate_client_file=False, access_log=False)
