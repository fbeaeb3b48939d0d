# SPDX-License-Identifier: Apache-2.0
"""The small MLP by gRPC's ModelInfer, 8 connections of 32 streams: beside nghttpd's static file and Python's grpcio"""
import struct

from lib import h2, machine, models, report, rivals, servers, stats

CONNECTIONS, STREAMS = 8, 32
MODEL = models.SMALL


def start_others(context, result, running, size):
    """nghttpd and grpcio; what is not there is named."""
    for start in (lambda: h2.nghttpd(context.folder, size), lambda: rivals.GRPCIO.start(MODEL, context.folder, 1)):
        try:
            running.append(start())
        except machine.Skip as why:
            result.note(f"left out: {why}")


def check_same(context, running, request, answer):
    """Before anything is measured: grpcio's model says what galley's says."""
    for s in running:
        if s.name == rivals.GRPCIO.title:
            other = h2.raw_output(h2.ask_grpc(context.folder, s.name, s.port, request))
            one, two = struct.unpack("<f", h2.raw_output(answer)), struct.unpack("<f", other)
            if abs(one[0] - two[0]) > 1e-5:
                raise machine.Failed(f"galley answers {one}, {s.name} {two}")


def run(context):
    result = report.Result("grpc", __doc__.strip())
    request = h2.grpc_request(h2.infer_message(MODEL, [1, MODEL.columns],
                                               struct.pack(f"<{MODEL.columns}f", *models.row_of(MODEL))))
    running = [servers.galley(MODEL)]
    try:
        answer = h2.ask_grpc(context.folder, "galley", running[0].port, request)
        start_others(context, result, running, len(answer))
        check_same(context, running, request, answer)

        def step(s):
            is_file = s.name.startswith("nghttpd")
            return lambda: {**h2.h2load(context.folder, s.port, "/file" if is_file else request.path, context.seconds,
                                        CONNECTIONS, STREAMS, None if is_file else request), "rss": s.memory_mb()}

        found = context.measure({s.name: step(s) for s in running})
    finally:
        for s in running:
            s.stop()
    galley = found["galley"]
    result.table("Median (least..greatest) of the rounds", ["", "requests/s", "galley is", "RSS MiB"],
                 [[name, stats.of(r, "rps").text(),
                   "" if r is galley else stats.paired(galley, r).text("{:.2f}") + "x",
                   f"{stats.of(r, 'rss').median:.1f}"] for name, r in found.items()])
    rps = stats.of(galley, "rps")
    result.target("gRPC requests/s on one core >= 120,000", rps.text(), rps.median >= 120_000)
    if rivals.GRPCIO.title in found:
        ratio = stats.paired(galley, found[rivals.GRPCIO.title])
        result.target("at least 10 times grpcio", ratio.text("{:.1f}"), ratio.median >= 10)
    result.note(f"h2load, {CONNECTIONS} connections of {STREAMS} streams; the file is as long as galley's answer")
    result.data = found
    return result
