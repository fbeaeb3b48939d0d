# SPDX-License-Identifier: Apache-2.0
"""What `share_weights` costs: batches of layers of 4096 x 4096, weights used where their file is mapped beside copied ones"""
import math
import shutil
import struct
import tempfile

from lib import load, machine, models, report, servers, stats

MODEL = models.Model("mlp-4096-4096-4096")  # 2 x 64 MB, weights of their own
ROWS = (1, 2, 4, 8, 16, 32, 64)
CLOSE = 1.1  # of one row; what is beyond is no noise


def check_same(a, b, rows):
    """Both answer the same but for rounding: the engine may add in another order."""
    form = f"<{rows * MODEL.columns}f"  # the outputs lie at the end of a binary answer
    size = struct.calcsize(form)
    for x, y in zip(struct.unpack(form, a[-size:]), struct.unpack(form, b[-size:])):
        if not math.isclose(x, y, rel_tol=1e-3, abs_tol=1e-6):
            raise machine.Failed(f"{rows} rows: with shared weights {y} is answered, not {x}")


def run(context):
    machine.needs_option("--share-weights")
    result = report.Result("shared", __doc__.strip())
    folder = tempfile.mkdtemp(prefix="shared-", dir=machine.BUILD)
    table, ratios = [], {}
    try:
        package = models.packed(MODEL, folder, "shared")
        with servers.galley([package]) as copied, servers.galley([package], "--share-weights", "on") as shared:
            for rows in context.pick(ROWS, (1, 8)):
                request = models.as_packed(models.oip_binary(MODEL, rows=rows), "shared")
                check_same(copied.post(request)[0], shared.post(request)[0], rows)
                context.say(f"{rows} rows")
                found = context.measure({
                    "copied": lambda: load.wrk(context.folder, copied.port, request, context.seconds, 1),
                    "shared": lambda: load.wrk(context.folder, shared.port, request, context.seconds, 1)})
                ratios[rows] = stats.paired(found["shared"], found["copied"], "p50_us")
                table.append([rows, stats.of(found["copied"], "p50_us").text(), stats.of(found["shared"], "p50_us").text(),
                              ratios[rows].text("{:.2f}")])
                result.data[rows] = found
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    result.table("Median of one request, us", ["rows", "copied", "shared", "shared takes, times"], table)
    result.target(f"one row: at most {CLOSE} times", ratios[1].text("{:.2f}"), ratios[1].median <= CLOSE)
    batches = [r.median for rows, r in ratios.items() if rows > 1]
    result.note(f"batches of {min(r for r in ratios if r > 1)} to {max(ratios)} rows: {min(batches):.1f} to {max(batches):.1f} times")
    return result
