# SPDX-License-Identifier: Apache-2.0
"""Runs `galley bench`, and reads and doubts its reports."""
import http.server
import json
import threading

import harness

# Of how much was done in it little is asked: a machine may halt us for a part of it.
QUICK = ["-d", f"{500 * harness.SCALE}ms", "--warmup", "50ms"]
SHORT = ["-d", f"{300 * harness.SCALE}ms", "--warmup", "0s"]


def url(server):
    return f"http://127.0.0.1:{server.port}"


def bench(*args, code=0, env=None):
    r = harness.galley("bench", *args, env=env)
    assert r.returncode == code, f"exit code {r.returncode}\n{r.stdout}\n{r.stderr}"
    return r


def report(*args, code=0):
    r = bench("--json", *args, code=code)
    return json.loads(r.stdout)


def median(doc, step=0, target=0):
    return doc["steps"][step]["targets"][target]["median"]


def counted(server, model):
    """Successful requests that the server itself has counted."""
    stats = server.get(f"/v2/models/{model}/stats").json()["model_stats"]
    return sum(m["inference_stats"]["success"]["count"] for m in stats)


def check_result(r):
    parts = sum(r["by_status"].values()) + sum(
        r[k] for k in ("timed_out", "timed_out_unsent", "connection_lost", "not_http", "unfinished"))
    assert parts == r["offered"]
    assert r["ok"] + r["failed"] == r["offered"]
    lat = r["latency_us"]
    order = [lat[k] for k in ("min", "p50", "p90", "p95", "p99", "p99.9", "max")]
    assert order == sorted(order)
    assert lat["count"] == r["ok"]
    assert r["service_us"]["p50"] <= lat["p50"] or lat["count"] == 0
    curve = [y for _, y in r["latency_curve"]]
    assert curve == sorted(curve)


class served:
    """A server of Python's on a port of its own."""

    def __init__(self, handler):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self.server.server_address[1]

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
