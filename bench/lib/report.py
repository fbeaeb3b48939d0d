# SPDX-License-Identifier: Apache-2.0
"""What a scenario found: tables, targets that are met or missed, notes, and the raw figures."""
import json
import os
import time

from lib import machine


class Result:
    def __init__(self, name, title):
        self.name, self.title = name, title
        self.tables, self.targets, self.notes, self.data = [], [], [], {}

    def table(self, title, header, rows):
        self.tables.append({"title": title, "header": list(header), "rows": [list(map(str, r)) for r in rows]})

    def target(self, text, found, met):
        """`found` is what was measured, in words; `met` whether it is enough."""
        self.targets.append({"text": text, "found": found, "met": bool(met)})

    def note(self, text):
        self.notes.append(text)

    @property
    def met(self):
        return all(t["met"] for t in self.targets)

    def as_dict(self, quick):
        return {"name": self.name, "title": self.title, "quick": quick, "machine": machine.describe(),
                "date": time.strftime("%Y-%m-%d"), "tables": self.tables, "targets": self.targets,
                "notes": self.notes, "data": self.data}


def verdict(target):
    return f"{'met   ' if target['met'] else 'MISSED'}  {target['text']}: {target['found']}"


def aligned(table):
    """A table for a terminal: the first column to the left, figures to the right."""
    lines = [table["header"], *table["rows"]]
    widths = [max(len(line[i]) for line in lines) for i in range(len(table["header"]))]
    return "\n".join("  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths)))
                     for line in lines)


def show(result):
    print(f"\n== {result['name']}: {result['title']}")
    for table in result["tables"]:
        print(f"\n{table['title']}\n{aligned(table)}")
    if result["targets"] or result["notes"]:
        print()
    for target in result["targets"]:
        print(verdict(target))
    for note in result["notes"]:
        print(f"note    {note}")


def kept_file(name, quick):
    """The last result of each scenario stays; --markdown and plot.py read it. Quick ones lie apart."""
    return os.path.join(machine.RESULTS, "quick" if quick else "", f"{name}.json")


def keep(result):
    file = kept_file(result["name"], result["quick"])
    os.makedirs(os.path.dirname(file), exist_ok=True)
    with open(file, "w", encoding="utf-8") as f:
        json.dump(result, f, indent=1)


def kept(name, quick=False):
    try:
        with open(kept_file(name, quick), encoding="utf-8") as f:
            return json.load(f)
    except FileNotFoundError:
        return None


def markdown_table(table):
    lines = [table["header"], ["---"] * len(table["header"]), *table["rows"]]
    return [f"{table['title']}:", "", *(f"| {' | '.join(line)} |" for line in lines), ""]


def markdown_result(result):
    m = result["machine"]
    lines = [f"## {result['name']}", "", f"{result['title']}.", ""]
    for table in result["tables"]:
        lines += markdown_table(table)
    if result["targets"]:
        lines += ["| target | found | |", "| --- | --- | --- |"]
        lines += [f"| {t['text']} | {t['found']} | {'met' if t['met'] else '**missed**'} |" for t in result["targets"]]
        lines.append("")
    lines += [f"- {note}" for note in result["notes"]] + ([""] if result["notes"] else [])
    short = " Quick mode: too short for conclusions." if result["quick"] else ""
    lines += [f"{result['date']}, {m['galley']}, {m['engine']}, {m['processor']}, {m['cores']} cores, Linux "
              f"{m['kernel']}; load of the machine at the end {m['load']:.1f}.{short}", ""]
    return lines


def markdown(names, quick):
    """The document of all kept results."""
    lines = ["# Benchmark results", "",
             "Written by `bench/run.py --markdown` from the last run of each scenario; "
             "[bench/README.md](../bench/README.md) says how they are measured and how to repeat them.", ""]
    for name in names:
        result = kept(name, quick)
        lines += markdown_result(result) if result else [
            f"## {name}", "", f"Not measured here yet: `tools/bench {name}`.", ""]
    return "\n".join(lines).rstrip() + "\n"
