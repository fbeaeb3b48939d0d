# SPDX-License-Identifier: Apache-2.0
"""From the start of the process to the first prediction: the example model, one of 140 MB, one of 1 GB, from the disk cache"""
import os
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from lib import machine, models, report, stats

# Layers of one size each, with weights of their own: 9 x 16 MB, 16 x 64 MB.
MODELS = (("example, 15 KB", models.SMALL, 0.1), ("140 MB", models.Model("mlp-" + "-".join(["1984"] * 10)), 0.4),
          ("1 GB", models.Model("mlp-" + "-".join(["4096"] * 17)), 1.5))


def first_answer(model, request, *options):
    """Seconds."""
    port = machine.free_port()
    began = time.monotonic()
    p = subprocess.Popen([machine.GALLEY, "serve", model, "--http-port", str(port), "--log-level", "error", *options],
                         stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}{request.path}", request.body,
                                                              {"Content-Type": "application/json"}), timeout=30).read()
                break
            except (urllib.error.HTTPError, OSError):
                if p.poll() is not None or time.monotonic() - began > 60:
                    raise machine.Failed(f"no answer: galley serve {model}") from None
                time.sleep(.001)
        return time.monotonic() - began
    finally:
        p.terminate()
        p.wait()


def run(context):
    result = report.Result("cold", __doc__.strip())
    rounds, rows = context.pick(5, 2), []
    for name, model, limit in MODELS:
        folder = tempfile.mkdtemp(prefix="cold-", dir=machine.BUILD)
        try:
            package = models.packed(model, folder, "cold")
            request = models.as_packed(models.oip_json(model), "cold")
            for how, options in (("before", ()), ("after", ("--verify", "after")),
                                 ("after, no warm-up", ("--verify", "after", "--warmup", "0")),
                                 ("after, weights shared", ("--verify", "after", "--share-weights", "on"))):
                times = stats.Spread(first_answer(package, request, *options) for _ in range(rounds))
                rows.append([name, how, times.text("{:.3f}")])
                if how == "after" or model is models.SMALL and how == "before":
                    result.target(f"{name}, digests {how}: under {limit} s", times.text("{:.3f}") + " s", times.median < limit)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    result.table("Seconds to the first answer", ["package", "digests are checked", "s"], rows)
    result.note("SHA-256 is read beside the engine's load; the files are in the page cache")
    return result
