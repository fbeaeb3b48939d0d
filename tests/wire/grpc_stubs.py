# SPDX-License-Identifier: Apache-2.0
"""Python's own code for the .proto files of the repository, made by grpcio-tools for this run."""
import importlib
import sys
import tempfile

from google.protobuf import descriptor_pb2
from grpc_tools import protoc

import harness

FOLDER = tempfile.mkdtemp(prefix="galley-proto-")
PROTO = harness.SOURCE / "proto"


def load(name):
    """The modules NAME_pb2 and NAME_pb2_grpc. `inference` is tritonclient's: two descriptions of one
    package cannot live in one process."""
    if FOLDER not in sys.path:
        sys.path.insert(0, FOLDER)
    done = protoc.main(["protoc", f"-I{PROTO}", f"--python_out={FOLDER}",
                        f"--grpc_python_out={FOLDER}", str(PROTO / f"{name}.proto")])
    assert done == 0
    return importlib.import_module(f"{name}_pb2"), importlib.import_module(f"{name}_pb2_grpc")


def describe(name):
    """NAME.proto and what it imports, as a FileDescriptorSet."""
    out = f"{FOLDER}/{name}.set"
    assert protoc.main(["protoc", f"-I{PROTO}", "--include_imports", f"--descriptor_set_out={out}",
                        str(PROTO / f"{name}.proto")]) == 0
    with open(out, "rb") as f:
        return descriptor_pb2.FileDescriptorSet.FromString(f.read())
