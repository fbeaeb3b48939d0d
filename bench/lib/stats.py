# SPDX-License-Identifier: Apache-2.0
"""Medians with their spread. Servers take turns in rounds; a ratio is taken within a round and then over the rounds,
so that what disturbs a whole round (another tenant of the machine) does not disturb it."""
import statistics


class Spread:
    """The median of some values, with the least and the greatest."""

    def __init__(self, values):
        self.values = list(values)
        self.median = statistics.median(self.values)
        self.low, self.high = min(self.values), max(self.values)

    def text(self, form="{:,.0f}"):
        if len(self.values) == 1:
            return form.format(self.median)
        return f"{form.format(self.median)} ({form.format(self.low)}..{form.format(self.high)})"


def of(rounds, key):
    return Spread(r[key] for r in rounds)


def paired(a, b, key="rps"):
    """How many times b a is."""
    return Spread(x[key] / y[key] for x, y in zip(a, b))


def percentile(ordered, share):
    """Of sorted values: the least that `share` of them do not exceed; 0 when there are none."""
    if not ordered:
        return 0
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
