# SPDX-License-Identifier: Apache-2.0
"""One connection: what galley adds to the bare inference, beyond what nginx's constant answer of the same size costs"""
from lib import load, models, report, servers, stats


def measure(context, model, request):
    with servers.galley(model) as galley:
        answer, headers = galley.post(request)
        with servers.nginx(context.folder, "x" * len(answer), headers["Content-Type"]) as nginx:
            return context.measure({
                "galley": lambda: load.wrk(context.folder, galley.port, request, context.seconds, 1),
                "nginx": lambda: load.wrk(context.folder, nginx.port, request, context.seconds, 1),
                "bare": lambda: load.bare(context.folder, model, 1, max(1, context.seconds // 2))})


def run(context):
    result = report.Result("single", __doc__.strip())
    rows = []
    for model, request, judged in ((models.BATCHED.need(), models.oip_binary(models.BATCHED), True),
                                   (models.SMALL, models.oip_json(models.SMALL), False)):
        found = measure(context, model, request)
        added = stats.Spread(g["p50_us"] - b["median_us"] - n["p50_us"]
                             for g, b, n in zip(found["galley"], found["bare"], found["nginx"]))
        rows.append([model.name, stats.of(found["galley"], "p50_us").text(),
                     stats.of(found["bare"], "median_us").text("{:.1f}"), stats.of(found["nginx"], "p50_us").text(),
                     added.text("{:.1f}")])
        if judged:
            result.target("galley adds less than 15 us at the median", added.text("{:.1f}") + " us", added.median < 15)
        result.data[model.name] = found
    result.table("Medians, us", ["", "galley", "bare inference", "nginx, same sizes", "galley adds"], rows)
    result.note("the large model is asked by OIP binary, the small one by JSON; the target is for the large one")
    return result
