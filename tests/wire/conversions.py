# SPDX-License-Identifier: Apache-2.0
"""What the tests of `galley init --convert` share."""
import pytest

import harness

RTOL, ATOL = 1e-4, 1e-5  # what golden cases are held to, untold
MAKERS = harness.SOURCE / "tests" / "convert"


SLOW_SANITIZED = "frameworks' own work is no matter for sanitizers: test_init and test_packages run galley's part"


def needs(python, skipped, level):
    """A mark that skips, with the reason, where a framework's Python is not there."""
    if harness.SANITIZE:
        return pytest.mark.skip(reason=SLOW_SANITIZED)
    told = harness.SOURCE / "build" / "deps" / skipped
    reason = told.read_text().strip() if told.exists() else f"{python} is missing; run: tools/setup {level}"
    return pytest.mark.skipif(not python.exists(), reason=reason)


def convert(model, out, python, *more):
    return harness.galley("init", model, "--convert", "--python", python, "-o", out, *more, timeout=180)


def close(got, want):
    return abs(got - want) <= ATOL + RTOL * abs(want)


def flat(v):
    return [x for item in v for x in flat(item)] if isinstance(v, list) else [v]


def answers(package, name, rows, output):
    """One output for rows of the package's only feature, by the Open Inference Protocol without a server."""
    import json
    shape, v = [], rows
    while isinstance(v, list):
        shape.append(len(v))
        v = v[0]
    body = {"inputs": [{"name": name, "datatype": "FP32", "shape": shape, "data": flat(rows)}]}
    r = harness.galley("predict", package, "-d", "@-", stdin=json.dumps(body))
    assert r.returncode == 0, r.stderr
    return next(t for t in json.loads(r.stdout)["outputs"] if t["name"] == output)["data"]
