#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws the plots of docs/batching.md, as SVG, from the kept results of the scenarios `curves` and `target`.

    tools/bench curves target && python3 bench/plot.py [--quick] [FOLDER]

FOLDER is docs/plots unless it is named; --quick draws the results of quick runs. Only Python's standard library."""
import argparse
import math
import os
import sys
from xml.sax.saxutils import escape

from lib import machine, report

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 80, 150, 50, 60
ON, OFF, THIRD, GREY = "#0b6e99", "#c8553d", "#5b8c3a", "#777777"


class Linear:
    """An axis from 0."""

    def __init__(self, values):
        top = max(values)
        step = 10 ** math.floor(math.log10(top))
        step = next(s for s in (step / 5, step / 2, step, step * 2, step * 5) if top / s <= 6)
        self.ticks = [i * step for i in range(math.ceil(top / step) + 1)]

    def place(self, value):
        return value / self.ticks[-1]


class Log:
    """An axis of equal ratios, with a tick at each power of `base` that the values touch."""

    def __init__(self, values, base):
        low, high = (math.log(v, base) for v in (min(values), max(values)))
        self.low, self.high, self.base = math.floor(low + 1e-9), math.ceil(high - 1e-9), base
        self.high = max(self.high, self.low + 1)
        self.ticks = [base ** i for i in range(self.low, self.high + 1)]

    def place(self, value):
        return (math.log(value, self.base) - self.low) / (self.high - self.low)


class Series:
    def __init__(self, label, points, colour, dash=""):
        self.label, self.points, self.colour, self.dash = label, points, colour, dash


def number(value):
    return f"{value / 1000:g}k" if value >= 10000 else f"{value:g}"


def text(x, y, words, anchor="middle", size=13, colour="#222222", more=""):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}"{more}>'
            f"{escape(words)}</text>")


class Chart:
    def __init__(self, title, x_label, x, y_label, y, series):
        """`x` and `y` make an axis of the values: Linear, or a Log."""
        self.title, self.x_label, self.y_label = title, x_label, y_label
        self.series = [s for s in series if s.points]
        self.x = x([p[0] for s in self.series for p in s.points])
        self.y = y([p[1] for s in self.series for p in s.points])

    def at(self, x, y):
        return (LEFT + self.x.place(x) * (WIDTH - LEFT - RIGHT),
                HEIGHT - BOTTOM - self.y.place(y) * (HEIGHT - TOP - BOTTOM))

    def grid(self):
        bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
        for tick in self.y.ticks:
            y = bottom - self.y.place(tick) * (bottom - TOP)
            yield f'<line x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#dddddd"/>'
            yield text(LEFT - 8, y + 4, number(tick), "end")
        for tick in self.x.ticks:
            x = LEFT + self.x.place(tick) * (right - LEFT)
            yield f'<line x1="{x:.1f}" y1="{bottom}" x2="{x:.1f}" y2="{bottom + 5}" stroke="#222222"/>'
            yield text(x, bottom + 20, number(tick))
        yield f'<line x1="{LEFT}" y1="{bottom}" x2="{right}" y2="{bottom}" stroke="#222222"/>'
        yield text((LEFT + right) / 2, HEIGHT - 16, self.x_label)
        yield text(20, (TOP + bottom) / 2, self.y_label, more=f' transform="rotate(-90 20 {(TOP + bottom) / 2})"')
        yield text(LEFT, 26, self.title, "start", 16)

    def labels(self):
        """The series' names at their ends, moved apart where they would overlap."""
        last = -100.0
        for s in sorted(self.series, key=lambda s: self.at(*s.points[-1])[1]):
            x, y = self.at(*s.points[-1])
            last = max(y, last + 16)
            yield text(x + 10, last + 4, s.label, "start", 13, s.colour)

    def lines(self):
        for s in self.series:
            places = [self.at(*p) for p in s.points]
            dash = f' stroke-dasharray="{s.dash}"' if s.dash else ""
            yield (f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}" fill="none" '
                   f'stroke="{s.colour}" stroke-width="2"{dash}/>')
            for x, y in places:
                yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{s.colour}"/>'

    def svg(self):
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
            f'font-family="sans-serif" role="img">', f"<title>{escape(self.title)}</title>",
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>', *self.grid(), *self.lines(), *self.labels(),
            "</svg>", ""])


def log2(values):
    return Log(values, 2)


def log10(values):
    return Log(values, 10)


def pairs(rows, x, y, scale=1.0):
    return [(r[x], r[y] * scale) for r in rows if r[y] > 0]


def latencies(on, off, x):
    """Median and p99 over `x`, batching on and off, ms."""
    return [Series(f"{name}, {word}", pairs(rows, x, key, .001), colour, dash)
            for rows, name, colour in ((on, "on", ON), (off, "off", OFF))
            for key, word, dash in (("p99_us", "p99", ""), ("p50_us", "median", "5 4"))]


def both(on, off, x, y):
    return [Series("batching on", pairs(on, x, y), ON), Series("batching off", pairs(off, x, y), OFF)]


def curves(data):
    closed = [data[name]["closed"] for name in ("on", "off")]
    opened = [data[name]["open"] for name in ("on", "off")]
    at_once, at_random = "connections, each with one request under way", "requests/s, arriving at random"
    yield "throughput", Chart("Throughput over concurrency", at_once, log2, "requests/s", Linear,
                              both(*closed, "connections", "rps"))
    yield "latency-concurrency", Chart("Latency over concurrency", at_once, log2, "ms", log10,
                                       latencies(*closed, "connections"))
    yield "latency-rate", Chart("Latency over the rate of requests", at_random, Linear, "ms", log10,
                                latencies(*opened, "rate"))
    yield "batch-size", Chart("Batches grow with the load", at_random, Linear, "rows a call, mean", Linear,
                              both(*opened, "rate", "batch"))
    cost = [(b["rows"], 1e6 / b["rps"]) for b in data["bare"]]
    yield "engine-cost", Chart("What a row costs the engine alone", "rows a call", log2, "us a row", Linear,
                               [Series("one thread", cost, GREY)])


def targets(data):
    """p99 over the load for each latency_target, with the targets themselves."""
    series = []
    names = [name for name in data if name != "capacity"]
    for name, colour in zip(names, (ON, OFF, THIRD)):
        bound, steps = float(name.removesuffix("ms")), data[name]
        series.append(Series(f"p99, {bound:g} ms", pairs(steps, "share", "p99_us", .001), colour))
        series.append(Series(f"target {bound:g} ms", [(s["share"], bound) for s in steps], colour, "2 4"))
    yield "latency-target", Chart("latency_target: p99 over the load", "% of the capacity without a target", Linear,
                                  "ms", log10, series)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", metavar="FOLDER", default=machine.path("docs/plots"))
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    found = {name: report.kept(name, args.quick) for name in ("curves", "target")}
    missing = [name for name, result in found.items() if result is None]
    if missing:
        print(f"plot: first: tools/bench {' '.join(missing)}{' --quick' if args.quick else ''}", file=sys.stderr)
        return 1
    os.makedirs(args.folder, exist_ok=True)
    for name, chart in [*curves(found["curves"]["data"]), *targets(found["target"]["data"])]:
        file = os.path.join(args.folder, f"{name}.svg")
        with open(file, "w", encoding="utf-8") as f:
            f.write(chart.svg())
        print(file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
