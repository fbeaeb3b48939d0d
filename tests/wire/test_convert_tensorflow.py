# SPDX-License-Identifier: Apache-2.0
"""TensorFlow and Keras, where their environment has been installed (tools/setup check: 1.6 GB)."""
import json
import subprocess

import pytest
import yaml

import conversions
import harness

PYTHON = harness.SOURCE / "build" / "venv-tensorflow" / "bin" / "python"
pytestmark = conversions.needs(PYTHON, "tensorflow-skipped", "check")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    d = tmp_path_factory.mktemp("made")
    subprocess.run([PYTHON, "-B", conversions.MAKERS / "make_tensorflow.py", d], check=True, timeout=300 * harness.SCALE,
                   capture_output=True)
    return d


@pytest.mark.parametrize("name", ["saved", "model.keras", "model.tflite"])
def test_a_network_answers_as_tensorflow_does(name, made, tmp_path):
    r = conversions.convert(made / name, tmp_path / "p", PYTHON, "--name", "network")
    assert r.returncode == 0, r.stderr
    doc = yaml.safe_load((tmp_path / "p" / "galley.yaml").read_text())
    assert doc["provenance"]["framework"].startswith("TensorFlow ") and doc["golden"]["file"] == "golden.json"
    want = json.loads((made / "want.json").read_text())
    got = conversions.answers(tmp_path / "p", doc["features"][0]["name"], want["rows"], doc["outputs"][0])
    assert all(map(conversions.close, got, conversions.flat(want["output"]))), (got, want["output"])
