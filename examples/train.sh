#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Train the example models again: all of them, or those named (iris digits breast_cancer fraud embed).
set -eu
cd "$(dirname "$0")/.."
venv=build/examples-venv
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check -r examples/requirements.txt
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 # sums in one order on any number of cores
[ $# -gt 0 ] || set -- iris digits breast_cancer fraud embed
for name in "$@"; do
    "$venv/bin/python" "examples/train/$name.py"
done
"$venv/bin/python" examples/train/package.py
