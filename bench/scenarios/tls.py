# SPDX-License-Identifier: Apache-2.0
"""The small MLP over JSON with TLS and without, 32 connections that stay: what TLS costs"""
import os
import subprocess

from lib import load, machine, models, report, servers, stats

CONNECTIONS = 32


def certificate(folder):
    """A key and a certificate of its own, ECDSA P-256 as most servers have."""
    machine.needs_program("openssl")
    cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                    "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key,
                    "-out", cert], check=True, capture_output=True)
    return cert, key


def run(context):
    for option in ("--https-port", "--tls-certificate", "--tls-key"):
        machine.needs_option(option)
    result = report.Result("tls", __doc__.strip())
    request = models.oip_json(models.SMALL)
    cert, key = certificate(context.folder)
    tls_port = machine.free_port()
    with servers.galley(models.SMALL, "--https-port", str(tls_port), "--tls-certificate", cert, "--tls-key", key) as s:
        found = context.measure({
            "plain": lambda: load.wrk(context.folder, s.port, request, context.seconds, CONNECTIONS),
            "TLS": lambda: load.wrk(context.folder, tls_port, request, context.seconds, CONNECTIONS, scheme="https")})
        rss = s.memory_mb()
    result.table("Median (least..greatest) of the rounds", ["", "requests/s", "p50 us", "p99 us"],
                 [[name, *(stats.of(r, key).text() for key in ("rps", "p50_us", "p99_us"))]
                  for name, r in found.items()])
    cost = stats.Spread(1 - t["rps"] / p["rps"] for p, t in zip(found["plain"], found["TLS"]))
    result.target("TLS costs at most 35 % of the requests/s", cost.text("{:.0%}"), cost.median <= .35)
    result.note(f"one process with both ports, {rss:.0f} MiB resident at the end; wrk has one core for its side of TLS")
    result.data = found
    return result
