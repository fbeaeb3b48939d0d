# SPDX-License-Identifier: Apache-2.0
"""BentoML: one worker, a batchable API. Its dispatcher finds window and size from the traffic."""
import os

import bentoml
import numpy as np
import onnxruntime as ort


@bentoml.service(workers=1, traffic={"timeout": 60, "max_concurrency": 1024},
                 logging={"access": {"enabled": False}})
class Model:
    def __init__(self):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self.session = ort.InferenceSession(os.environ["BENCH_MODEL"], options,
                                            providers=["CPUExecutionProvider"])

    @bentoml.api(batchable=True, max_batch_size=int(os.environ["BENCH_BATCH"]))
    def predict(self, rows: np.ndarray) -> np.ndarray:
        return self.session.run(["output"], {"input": rows.astype(np.float32)})[0]
