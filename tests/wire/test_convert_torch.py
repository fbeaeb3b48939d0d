# SPDX-License-Identifier: Apache-2.0
"""PyTorch: TorchScript, and a state_dict with its class. What --class names is the user's own code; the sandbox holds it."""
import json
import socket
import subprocess
from pathlib import Path

import pytest
import yaml

import conversions
import harness

PYTHON = Path("/usr/bin/python3")  # Debian's python3-torch: for processors alone, a tenth of PyPI's
HAS_TORCH = PYTHON.exists() and subprocess.run([PYTHON, "-c", "import torch"], capture_output=True, check=False).returncode == 0
pytestmark = [pytest.mark.skipif(not HAS_TORCH, reason="/usr/bin/python3 has no torch; run: tools/setup test (Debian's python3-torch)"),
              pytest.mark.skipif(harness.SANITIZE, reason=conversions.SLOW_SANITIZED)]
NET = conversions.MAKERS / "net.py"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    d = tmp_path_factory.mktemp("made")
    subprocess.run([PYTHON, "-B", conversions.MAKERS / "make_torch.py", d], check=True, timeout=300 * harness.SCALE,
                   capture_output=True)
    return d


def convert(made, name, out, *more):
    return conversions.convert(made / name, out, PYTHON, *more)


def same(package, want):
    got = conversions.answers(package, want["input"], want["rows"], "output")
    wanted = conversions.flat(want["output"])
    assert len(got) == len(wanted) and all(map(conversions.close, got, wanted)), (got, wanted)


@pytest.mark.parametrize("name", ["perceptron.pth", "wrapped.ckpt"])
def test_a_state_dict_with_its_class_answers_as_pytorch_does(name, made, tmp_path):
    r = convert(made, name, tmp_path / "p", "--class", f"{NET}:Perceptron", "--args", '{"hidden": 16}', "--shape", "6")
    assert r.returncode == 0, r.stderr
    assert "answers as the framework does" in r.stdout
    same(tmp_path / "p", json.loads((made / "perceptron.pth.want.json").read_text()))
    doc = yaml.safe_load((tmp_path / "p" / "galley.yaml").read_text())
    assert doc["provenance"]["framework"].startswith("PyTorch ") and doc["provenance"]["estimator"] == "Perceptron"
    assert doc["features"] == [{"name": "features", "type": "float", "shape": [6]}]


def test_a_torchscript_convolution_answers_as_pytorch_does(made, tmp_path):
    r = convert(made, "convolution.pt", tmp_path / "p", "--shape", "image=3,16,16")
    assert r.returncode == 0, r.stderr
    same(tmp_path / "p", json.loads((made / "convolution.pt.want.json").read_text()))
    assert "- image: {feature:" in (tmp_path / "p" / "galley.yaml").read_text()


def test_what_does_not_fit_the_class_is_named(made, tmp_path):
    cases = [(("--class", f"{NET}:Convolution", "--shape", "6"), "lacks: body.0.weight"),
             (("--class", f"{NET}:Perceptron", "--shape", "6"), "size mismatch for net.0.weight"),
             (("--class", f"{NET}:Perceptron", "--args", '{"depth": 1}', "--shape", "6"), "unexpected keyword argument 'depth'"),
             (("--class", f"{NET}:Nothing", "--shape", "6"), "has no class Nothing"),
             (("--class", f"{NET}:Perceptron", "--args", '{"hidden": 16}'), "does not tell the shape of its input"),
             (("--shape", "6"), "parameters without the model that they belong to")]
    for options, message in cases:
        r = convert(made, "perceptron.pth", tmp_path / "p", *options)
        assert r.returncode == 1 and message in r.stderr, (options, r.stderr)
    assert not (tmp_path / "p").exists()


def test_a_whole_model_is_a_program_and_is_refused(made, tmp_path):
    r = convert(made, "whole.pt", tmp_path / "p", "--shape", "6")
    assert r.returncode == 1 and "net.Perceptron, which is code and no tensor" in r.stderr and "state_dict" in r.stderr, r.stderr


def test_code_of_the_users_own_has_no_network_no_secrets_and_no_other_place_to_write(made, tmp_path):
    listener = socket.create_server(("127.0.0.1", 0))  # from outside the sandbox it answers
    port = listener.getsockname()[1]
    socket.create_connection(("127.0.0.1", port), 5).close()
    (tmp_path / "spy.py").write_text(f"""
import os, socket, sys
sys.path.insert(0, {str(conversions.MAKERS)!r})
from net import Perceptron
def attempt(what):
    try:
        what()
        return "done"
    except OSError as e:
        return "refused"
class Spy(Perceptron):
    def __init__(self):
        raise TypeError("tcp " + attempt(lambda: socket.create_connection(("127.0.0.1", {port}), 5))
            + " write " + attempt(lambda: open({str(tmp_path / 'spied')!r}, "w"))
            + " interfaces " + ",".join(n for _, n in socket.if_nameindex())
            + " secret " + os.environ.get("AWS_SECRET_ACCESS_KEY", "unknown"))
""")
    r = harness.galley("init", made / "perceptron.pth", "--convert", "--python", PYTHON, "--class", f"{tmp_path / 'spy.py'}:Spy",
                       "--shape", "6", "-o", tmp_path / "p", env={"AWS_SECRET_ACCESS_KEY": "hush"}, timeout=120)
    listener.close()
    assert r.returncode == 1 and "tcp refused" in r.stderr and "interfaces lo secret unknown" in r.stderr, r.stderr
    if "write refused" not in r.stderr:  # a kernel without Landlock
        assert not Path("/sys/kernel/security/landlock").exists(), r.stderr
    else:
        assert not (tmp_path / "spied").exists()


def test_a_conversion_that_does_not_end_is_ended(made, tmp_path):
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(1000)\nclass Slow: pass\n")
    r = convert(made, "perceptron.pth", tmp_path / "p", "--class", f"{tmp_path / 'slow.py'}:Slow", "--shape", "6", "--timeout", "20s")
    assert r.returncode == 1 and "has not ended within 20 s" in r.stderr and "--timeout" in r.stderr, r.stderr


def test_a_model_that_answers_otherwise_than_its_framework_is_not_written(tmp_path):
    """Dropout that was traced as it trains: no two answers agree."""
    subprocess.run([PYTHON, "-B", "-c", "import sys, torch\nsys.path.insert(0, sys.argv[2])\nfrom net import Perceptron\n"
                    "torch.jit.trace(Perceptron(), torch.zeros(2, 6), check_trace=False).save(sys.argv[1])",
                    tmp_path / "random.pt", conversions.MAKERS], check=True, timeout=120, capture_output=True)
    r = conversions.convert(tmp_path / "random.pt", tmp_path / "p", PYTHON, "--shape", "6")
    assert r.returncode == 1 and "is not reproduced" in r.stderr and "does not answer as the framework does" in r.stderr, r.stderr
    assert not (tmp_path / "p").exists()
