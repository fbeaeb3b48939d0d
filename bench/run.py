#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures galley on this machine, beside the bare engine, nginx and other model servers; says which targets are met.

The server has one core, the client the other; only loopback; every run is bounded. bench/README.md says how each
scenario measures. The last result of each is kept in build/bench-results. Exit: 0 all targets met, 1 one is missed or
a measurement failed, 2 wrong usage, 3 nothing could be measured."""
import argparse
import importlib
import json
import os
import shutil
import sys
import tempfile

from lib import context, machine, report

SCENARIOS = ("first", "batched", "single", "overload", "target", "neighbours", "servers", "cache", "clients", "curves",
             "grpc", "tensors", "tls", "idle", "sources", "cold", "shared", "steps")


def module(name):
    return importlib.import_module(f"scenarios.{name}")


def parse():
    parser = argparse.ArgumentParser(prog="tools/bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", nargs="*", metavar="SCENARIO", help="default: all of --list")
    parser.add_argument("--list", action="store_true", help="name the scenarios and stop")
    parser.add_argument("--quick", action="store_true",
                        help="a few seconds each: shows that it works, not how fast it is")
    parser.add_argument("--rounds", type=int, metavar="N", help="turns that the servers take (default 5; quick 2)")
    parser.add_argument("--seconds", type=int, metavar="N", help="of each measurement (default 4; quick 1)")
    parser.add_argument("--json", metavar="FILE", help="write this run's results here too")
    parser.add_argument("--markdown", action="store_true",
                        help="measure nothing; print the kept results of the scenarios as a document")
    args = parser.parse_args()
    for name in args.scenario:
        if name not in SCENARIOS:
            parser.error(f"no scenario is called {name}; there are: {', '.join(SCENARIOS)}")
    for name in ("rounds", "seconds"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            parser.error(f"--{name} must be at least 1")
    return args


def measure(name, args):
    """The result of one scenario, or None when it cannot be measured here."""
    scenario = module(name)
    print(f"== {name}: {scenario.__doc__.strip()}", flush=True)
    folder = tempfile.mkdtemp(prefix="gb-")
    try:
        machine.needs_cores(2)
        for program in getattr(scenario, "PROGRAMS", ("wrk", "taskset", os.environ.get("CC", "cc"))):
            machine.needs_program(program)
        found = scenario.run(context.Context(folder, args.quick, args.rounds, args.seconds))
    except machine.Skip as why:
        print(f"   {name} is left out: {why}")
        return None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    result = found.as_dict(args.quick)
    report.keep(result)
    report.show(result)
    print(flush=True)
    return result


def measure_all(names, args):
    """The results, and the names of what was left out and of what failed."""
    results, left_out, failed = [], [], []
    for name in names:
        try:
            result = measure(name, args)
        except machine.Failed as why:
            print(f"   {name} FAILED: {why}\n", flush=True)
            failed.append(name)
            continue
        if result is None:
            left_out.append(name)
        else:
            results.append(result)
    return results, left_out, failed


def close(results, left_out, failed):
    """The verdicts of all scenarios together."""
    targets = [(r["name"], t) for r in results for t in r["targets"]]
    if len(results) + len(left_out) + len(failed) > 1:
        print("== all")
        for name, target in targets:
            print(f"{name:12}{report.verdict(target)}")
    for name in left_out:
        print(f"{name:12}left out")
    for name in failed:
        print(f"{name:12}FAILED")
    if failed:
        return 1
    if not results:
        return 3
    return 0 if all(t["met"] for _, t in targets) else 1


def main():
    args = parse()
    names = args.scenario or SCENARIOS
    if args.list:
        for name in names:
            print(f"{name:12}{module(name).__doc__.strip()}")
        return 0
    if args.markdown:
        sys.stdout.write(report.markdown(names, args.quick))
        return 0
    machine.allow_files(8192)
    results, left_out, failed = measure_all(names, args)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump(results, f, indent=1)
    return close(results, left_out, failed)


if __name__ == "__main__":
    sys.exit(main())
