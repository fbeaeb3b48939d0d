# SPDX-License-Identifier: Apache-2.0
"""Python's own gRPC over ONNX Runtime, asynchronous, one thread inside an inference: ModelInfer with raw contents, and
ModelMetadata, which galley bench asks for. The messages are galley's proto/inference.proto, of which only the fields in use
are written here."""
import asyncio
import os
import sys
import tempfile

import grpc
import numpy as np
import onnxruntime as ort

PROTO = """
syntax = "proto3";
package inference;
message ModelInferRequest {
  message InferInputTensor { string name = 1; string datatype = 2; repeated int64 shape = 3; }
  string model_name = 1;
  repeated InferInputTensor inputs = 5;
  repeated bytes raw_input_contents = 7;
}
message ModelInferResponse {
  message InferOutputTensor { string name = 1; string datatype = 2; repeated int64 shape = 3; }
  string model_name = 1;
  string model_version = 2;
  repeated InferOutputTensor outputs = 5;
  repeated bytes raw_output_contents = 6;
}
message ModelMetadataRequest { string name = 1; }
message ModelMetadataResponse {
  message TensorMetadata { string name = 1; string datatype = 2; repeated int64 shape = 3; }
  string name = 1;
  repeated TensorMetadata inputs = 4;
}
service GRPCInferenceService {
  rpc ModelInfer(ModelInferRequest) returns (ModelInferResponse);
  rpc ModelMetadata(ModelMetadataRequest) returns (ModelMetadataResponse);
}
"""

folder = tempfile.mkdtemp(dir=os.environ["BENCH_FOLDER"])
with open(os.path.join(folder, "bench_inference.proto"), "w", encoding="ascii") as f:
    f.write(PROTO)
sys.path.insert(0, folder)
messages, services = grpc.protos_and_services("bench_inference.proto")

options = ort.SessionOptions()
options.intra_op_num_threads = 1
options.inter_op_num_threads = 1
session = ort.InferenceSession(os.environ["BENCH_MODEL"], options, providers=["CPUExecutionProvider"])


class Service(services.GRPCInferenceServiceServicer):
    async def ModelMetadata(self, request, context):
        shape = [n if isinstance(n, int) else -1 for n in session.get_inputs()[0].shape]
        tensor = messages.ModelMetadataResponse.TensorMetadata(name="input", datatype="FP32", shape=shape)
        return messages.ModelMetadataResponse(name=request.name, inputs=[tensor])

    async def ModelInfer(self, request, context):
        tensor = request.inputs[0]
        x = np.frombuffer(request.raw_input_contents[0], np.float32).reshape(tensor.shape)
        (y,) = session.run(["output"], {"input": x})
        output = messages.ModelInferResponse.InferOutputTensor(name="output", datatype="FP32", shape=y.shape)
        return messages.ModelInferResponse(model_name=request.model_name, model_version="1", outputs=[output],
                                           raw_output_contents=[y.tobytes()])


async def main():
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)])
    services.add_GRPCInferenceServiceServicer_to_server(Service(), server)
    server.add_insecure_port(f"127.0.0.1:{os.environ['BENCH_PORT']}")
    await server.start()
    await server.wait_for_termination()

asyncio.run(main())
