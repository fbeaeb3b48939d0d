# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 and gRPC: h2load (nghttp2's, a closed loop), nghttpd as the yardstick, requests of the Open Inference Protocol's
gRPC form, written here byte by byte so that the client needs no package."""
import os
import re
import shutil
import struct
import subprocess

from lib import machine, models, servers

INFER = "/inference.GRPCInferenceService/ModelInfer"


def varint(n):
    out = b""
    while n >= 0x80:
        out += bytes([n & 0x7f | 0x80])
        n >>= 7
    return out + bytes([n])


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def infer_message(model, shape, raw):
    """ModelInferRequest with one input by raw contents, in gRPC's frame (not compressed)."""
    tensor = field(1, b"input") + field(2, b"FP32") + field(3, b"".join(map(varint, shape)))
    message = field(1, model.name.encode()) + field(5, tensor) + field(7, raw)
    return struct.pack(">BI", 0, len(message)) + message


def grpc_request(message):
    return models.Request(INFER, message, {"content-type": "application/grpc", "te": "trailers"})


def raw_output(answer):
    """raw_output_contents (field 6) of a framed ModelInferResponse."""
    at, found = 5, b""
    while at < len(answer):
        key, at = read_varint(answer, at)
        if key & 7 == 2:
            n, at = read_varint(answer, at)
            if key >> 3 == 6:
                found += answer[at:at + n]
            at += n
        elif key & 7 == 0:
            _, at = read_varint(answer, at)
        else:
            raise machine.Failed(f"a field of wire type {key & 7} in a ModelInferResponse")
    return found


def read_varint(data, at):
    value = shift = 0
    while True:
        b = data[at]
        value |= (b & 0x7f) << shift
        at, shift = at + 1, shift + 7
        if b < 0x80:
            return value, at


def body_file(folder, port, request):
    path = os.path.join(folder, f"h2-body-{port}")
    with open(path, "wb") as f:
        f.write(request.body)
    return path


def ask_grpc(folder, name, port, request):
    """The framed answer; Skip when the server speaks no gRPC, Failed when it refuses the request."""
    machine.needs_program("curl")
    head, out = os.path.join(folder, "h2-head"), os.path.join(folder, "h2-answer")
    asked = subprocess.run(
        ["curl", "-s", "--http2-prior-knowledge", "--max-time", "30", "--data-binary",
         f"@{body_file(folder, port, request)}", "-D", head, "-o", out,
         *(f"-H{k}: {v}" for k, v in request.headers.items()), f"http://127.0.0.1:{port}{request.path}"],
        capture_output=True, text=True)
    told = open(head, encoding="latin-1").read() if os.path.exists(head) else ""
    if asked.returncode != 0 or "application/grpc" not in told:
        raise machine.Skip(f"this {name} has no gRPC on its HTTP port")
    status = re.search(r"^grpc-status: (\d+)", told, re.M)
    if not status or status.group(1) != "0":
        raise machine.Failed(f"{name}: {told}")
    with open(out, "rb") as f:
        return f.read()


def h2load(folder, port, path, seconds, connections, streams, request=None):
    """A closed loop of connections * streams requests. A request that fails stops the benchmark."""
    machine.needs_program("h2load")
    more = []
    if request is not None:
        more = ["-d", body_file(folder, port, request), *(f"-H{k}: {v}" for k, v in request.headers.items())]
    out = machine.output(["taskset", "-c", machine.CLIENT_CORE, "h2load", "-t1", f"-c{connections}", f"-m{streams}",
                          "-D", str(seconds), "--warm-up-time=300ms", "-w", "24", "-W", "26", *more,
                          f"http://127.0.0.1:{port}{path}"])
    rate = re.search(r"finished in .*?, ([\d.]+) req/s", out)
    counts = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", out)
    if not rate or not counts:
        raise machine.Failed(f"h2load failed: {out}")
    if any(map(int, counts.groups()[1:])) or int(counts.group(1)) == 0:
        raise machine.Failed(f"h2load: {counts.group(0)}")
    return {"rps": float(rate.group(1))}


def nghttpd(folder, size):
    """Answers with a static file of so many bytes, at /file."""
    unpacked = machine.path("build/deps/nghttp2-server/usr/sbin/nghttpd")
    binary = shutil.which("nghttpd") or (unpacked if os.path.exists(unpacked) else None)
    if not binary:
        raise machine.Skip("nghttpd is not installed (tools/setup bench)")
    port, own = machine.free_port(), os.path.join(folder, "nghttpd")
    os.makedirs(own, exist_ok=True)
    with open(os.path.join(own, "file"), "wb") as f:
        f.write(b"x" * size)
    return servers.Server("nghttpd (a static file)", [binary, "--no-tls", "-n1", "-d", own, str(port)], port,
                          ready=servers.accepts)
