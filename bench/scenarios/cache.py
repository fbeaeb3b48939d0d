# SPDX-License-Identifier: Apache-2.0
"""The response cache: what a hit costs beside an inference on the loop, and how many repeated requests hit"""
import http.client
import random
import re

from lib import load, machine, models, report, servers, stats

DISTINCT = 2000


def cost(context, request):
    """One connection: each request is a turn of its own. 32: inference runs 32 rows in one call, hits do not."""
    with servers.galley(models.SMALL, "--response-cache", "on") as on, servers.galley(models.SMALL) as off:
        steps = {}
        for connections in (1, 32):
            for name, server in (("hits", on), ("inference", off)):
                steps[f"{name}, {connections}"] = lambda s=server, c=connections: load.wrk(
                    context.folder, s.port, request, context.seconds, c)
        return context.measure(steps)


def popularity(count):
    """Which of the distinct requests is sent, `count` times: the k-th is asked 1/k as often as the first."""
    chooser = random.Random(11)
    return chooser.choices(range(DISTINCT), weights=[1 / (k + 1) for k in range(DISTINCT)], k=count)


def varied_requests():
    values = random.Random(5)
    rows = [[round(values.uniform(-2, 2), 4) for _ in range(models.SMALL.columns)] for _ in range(DISTINCT)]
    return [models.oip_json(models.SMALL, row) for row in rows]


def counter(server, pattern):
    found = re.search(rf"^{pattern} (\S+)$", server.get("/metrics").decode(), re.M)
    return int(float(found.group(1))) if found else 0


def rate(context, size):
    """Hits, answers that differ from the first to the same request, and what the cache holds at the end."""
    requests, order = varied_requests(), popularity(context.pick(20000, 2000))
    first, wrong = {}, 0
    with servers.galley(models.SMALL, "--response-cache", "on", "--response-cache-size", size) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        for k in order:
            connection.request("POST", requests[k].path, requests[k].body, requests[k].headers)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise machine.Failed(f"galley answers {answer.status}: {body[:200]!r}")
            wrong += first.setdefault(k, body) != body
        connection.close()
        hits = counter(server, r'galley_cache_requests_total\{[^}]*result="hit"\}')
        held = counter(server, r"galley_cache_bytes\{[^}]*\}")
    return {"size": size, "sent": len(order), "distinct": len(first), "hits": hits, "wrong": wrong, "bytes": held}


def run(context):
    machine.needs_option("--response-cache-size")
    result = report.Result("cache", __doc__.strip())
    found = cost(context, models.oip_json(models.SMALL))
    rows = [[name, stats.of(r, "rps").text(), stats.Spread(1e6 / x["rps"] for x in r).text("{:.2f}")]
            for name, r in found.items()]
    result.table("The same request again and again (connections)", ["", "requests/s", "us each"], rows)
    one = stats.paired(found["inference, 1"], found["hits, 1"])
    result.target("a hit costs no more than an inline inference (its share of that request's time, 1 connection)",
                  one.text("{:.3f}"), one.median <= 1)
    kept = [rate(context, size) for size in ("64MiB", "64KiB")]
    result.table(f"{DISTINCT:,} different requests by Zipf's law",
                 ["cache", "sent", "different", "hits", "hit rate", "bytes held"],
                 [[k["size"], f"{k['sent']:,}", f"{k['distinct']:,}", f"{k['hits']:,}", f"{k['hits'] / k['sent']:.1%}",
                   f"{k['bytes']:,}"] for k in kept])
    large, small = kept
    repeated = large["sent"] - large["distinct"]
    result.target("every repeated request hits while there is room", f"{large['hits']:,} of {repeated:,}",
                  large["hits"] == repeated)
    result.target("a small cache keeps to its size", f"{small['bytes']:,} of 65,536 bytes", 0 < small["bytes"] <= 65536)
    wrong = sum(k["wrong"] for k in kept)
    result.target("no answer differs from the first to the same request",
                  f"{wrong} of {sum(k['sent'] for k in kept):,}", wrong == 0)
    result.data = {"cost": found, "rate": kept}
    return result
