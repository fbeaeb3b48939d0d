# SPDX-License-Identifier: Apache-2.0
"""A 224x224x3 FP32 image through an identity, there and back: REST binary, gRPC raw and JSON, beside a bare C server"""
import json
import random
import struct

from lib import h2, load, machine, models, report, rivals, servers, stats

CONNECTIONS = 4
MODEL = models.IMAGE
FASTAPI = rivals.ALL[0]


def pixels():
    """0 to 255 as shares of 1, as most models want them: in JSON the shortest text that gives the same float."""
    count, values = 1, random.Random(11)
    for n in MODEL.shape:
        count *= n
    return [struct.unpack("<f", struct.pack("<f", values.randrange(256) / 255))[0] for _ in range(count)]


def short(value):
    """The shortest decimal that rounds to the float of 32 bits."""
    for digits in range(1, 10):
        text = f"{value:.{digits}g}"
        if struct.pack("<f", float(text)) == struct.pack("<f", value):
            break
    return text


def requests():
    """binary REST, gRPC, JSON of the same image; and its bytes."""
    values, shape = pixels(), [1, *MODEL.shape]
    raw = struct.pack(f"<{len(values)}f", *values)
    tensor = {"name": "input", "shape": shape, "datatype": "FP32"}
    head = json.dumps({"inputs": [{**tensor, "parameters": {"binary_data_size": len(raw)}}],
                       "parameters": {"binary_data_output": True}}, separators=(",", ":"))
    texts = {v: short(v) for v in set(values)}
    data = ",".join(texts[v] for v in values)
    text = json.dumps({"inputs": [{**tensor, "data": []}]}, separators=(",", ":")).replace("[]", f"[{data}]")
    binary = models.Request(MODEL.infer_path, head.encode() + raw,
                            {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": len(head)})
    plain = models.Request(MODEL.infer_path, text.encode(), {"Content-Type": "application/json"})
    return binary, h2.grpc_request(h2.infer_message(MODEL, shape, raw)), plain, raw


def check(galley, context, binary, grpc, plain, raw):
    """The image comes back as it was. Says whether gRPC is there."""
    if not galley.post(binary)[0].endswith(raw):
        raise machine.Failed("binary REST does not give the image back")
    data = json.loads(galley.post(plain)[0])["outputs"][0]["data"]
    if struct.pack(f"<{len(data)}f", *data) != raw:
        raise machine.Failed("JSON does not give the image back")
    try:
        if h2.raw_output(h2.ask_grpc(context.folder, "galley", galley.port, grpc)) != raw:
            raise machine.Failed("gRPC does not give the image back")
    except machine.Skip as why:
        return str(why)
    return None


def steps_of(context, running, binary, grpc, plain, no_grpc):
    """Name of a measurement -> how; and name -> bytes of a request's body."""
    steps, sizes = {}, {}

    def wrk(name, server, request):
        steps[name] = lambda: server.busy(
            lambda: load.wrk(context.folder, server.port, request, context.seconds, CONNECTIONS))
        sizes[name] = len(request.body)

    def bench(name, server):  # the same request, of made-up values
        steps[name] = lambda: server.busy(
            lambda: load.galley_bench(server.port, MODEL, "grpc", context.seconds, "-c", str(CONNECTIONS), "--distinct", "1"))
        sizes[name] = len(grpc.body)

    wrk("bare C, the same body", running["echo"], binary)
    wrk("galley, REST binary", running["galley"], binary)
    if not no_grpc:
        bench("galley, gRPC raw", running["galley"])
    wrk("galley, JSON", running["galley"], plain)
    if "fastapi" in running:
        wrk("FastAPI, binary", running["fastapi"], binary)
        wrk("FastAPI, JSON", running["fastapi"], plain)
    if "grpcio" in running and not no_grpc:
        bench("grpcio, raw", running["grpcio"])
    return steps, sizes


def start_all(context, result):
    running = {"galley": servers.galley(MODEL.need())}
    try:
        running["echo"] = servers.echo(context.folder)
        for name, start in (("fastapi", lambda: FASTAPI.start(MODEL, context.folder, 1)),
                            ("grpcio", lambda: rivals.GRPCIO.start(MODEL, context.folder, 1))):
            try:
                running[name] = start()
            except machine.Skip as why:
                result.note(f"left out: {name}: {why}")
    except BaseException:
        stop(running)
        raise
    return running


def stop(running):
    for s in running.values():
        s.stop()


def judge(result, found):
    bare = found["bare C, the same body"]
    pairs = (("galley, REST binary", "FastAPI, binary"), ("galley, gRPC raw", "grpcio, raw"),
             ("galley, JSON", "FastAPI, JSON"))
    for ours, theirs in pairs:
        if ours not in found:
            continue
        if ours != "galley, JSON":
            share = stats.paired(found[ours], bare, "mb_s")
            result.target(f"{ours}: at least 60 % of the bare C server's bytes/s", share.text("{:.2f}"),
                          share.median >= .6)
        if theirs in found:
            ratio = stats.paired(found[ours], found[theirs])
            result.target(f"{ours}: at least 10 times {theirs}", ratio.text("{:.1f}"), ratio.median >= 10)
    mb_s = stats.of(found["galley, JSON"], "mb_s")
    result.target("JSON at least 300 MB/s of requests' text", mb_s.text(), mb_s.median >= 300)


def run(context):
    result = report.Result("tensors", __doc__.strip())
    binary, grpc, plain, raw = requests()
    running = start_all(context, result)
    try:
        no_grpc = check(running["galley"], context, binary, grpc, plain, raw)
        if no_grpc:
            result.note(f"left out: {no_grpc}")
        steps, sizes = steps_of(context, running, binary, grpc, plain, no_grpc)
        found = context.measure(steps)
    finally:
        stop(running)
    for name, rounds in found.items():
        for r in rounds:
            r["mb_s"] = r["rps"] * sizes[name] / 1e6
    bare = found["bare C, the same body"]
    result.table("Median (least..greatest) of the rounds",
                 ["", "requests/s", "body, MB", "MB/s each way", "of bare C", "server busy"],
                 [[name, stats.of(r, "rps").text("{:,.1f}"), f"{sizes[name] / 1e6:.2f}", stats.of(r, "mb_s").text(),
                   stats.paired(r, bare, "mb_s").text("{:.2f}"), f"{stats.of(r, 'busy').median:.0%}"] for name, r in found.items()])
    judge(result, found)
    result.note(f"{CONNECTIONS} connections, one request at a time on each; MB/s are of the requests' bodies, and the "
                "answers are as long; galley bench for gRPC (h2load reaches less than half of its rate), wrk for the others. Where the "
                "server is not busy, the client is the limit")
    result.data = found
    return result
