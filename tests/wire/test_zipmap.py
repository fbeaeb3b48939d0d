# SPDX-License-Identifier: Apache-2.0
"""A real ZipMap, as skl2onnx exports classifiers untold: the step `unzip` gives what predict_proba gives."""
import json
import shutil
import subprocess

import numpy as np
import pytest

import conversions
import harness

PYTHON = harness.SOURCE / "build" / "venv-convert" / "bin" / "python"
NAMES = ["numbers", "distant", "names", "two"]
pytestmark = conversions.needs(PYTHON, "convert-skipped", "test")

MANIFEST = """
galley: 1
name: {name}
version: 1.0.0
model: model.onnx
features:
  - {{name: X, type: float, shape: [4]}}
after:
  - unzip: {{output: output_probability, to: probabilities{labels}}}
  - argmax: {{output: probabilities, to: best}}
  - pick: {{output: probabilities, index: 1, to: second}}
  - pick: {{output: probabilities, label: "{last}", to: last}}
outputs: [output_label, probabilities, best, second, last]
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    d = tmp_path_factory.mktemp("zipmaps")
    subprocess.run([PYTHON, conversions.MAKERS / "make_zipmap.py", d], check=True, timeout=300 * harness.SCALE)
    return d


def package(made, root, name, of, labels=""):
    last = json.loads((made / f"{of}.json").read_text())["classes"][-1]
    path = root / name
    path.mkdir()
    shutil.copy(made / f"{of}.onnx", path / "model.onnx")
    (path / "galley.yaml").write_text(MANIFEST.format(name=name, labels=labels, last=last))
    return path


@pytest.fixture(scope="module")
def server(made, tmp_path_factory):
    """Each model as it is, `raw-NAME`; unzipped, `NAME`; and unzipped in the order of `labels`, `turned-NAME`."""
    root = tmp_path_factory.mktemp("packages")
    paths = []
    for name in NAMES:
        shutil.copy(made / f"{name}.onnx", root / f"raw-{name}.onnx")
        classes = json.loads((made / f"{name}.json").read_text())["classes"]
        order = ", ".join(f'"{c}"' for c in reversed(classes))
        paths += [root / f"raw-{name}.onnx", package(made, root, name, name),
                  package(made, root, f"turned-{name}", name, f", labels: [{order}]")]
    with harness.Server(paths=paths) as s:
        yield s


def wanted(made, name):
    want = json.loads((made / f"{name}.json").read_text())
    return want, np.array(want["probabilities"])


def outputs(server, model, rows):
    x = np.array(rows, np.float32)
    answer = server.infer(model, {"X": ("FP32", list(x.shape), x.ravel().tolist())})
    assert answer.status == 200, answer.body
    return {o["name"]: np.array(o["data"], dtype=object if o["datatype"] == "BYTES" else None).reshape(o["shape"])
            for o in answer.json()["outputs"]}


@pytest.mark.parametrize("name", NAMES)
def test_unzip_is_predict_proba(server, made, name):
    want, probabilities = wanted(made, name)
    got = outputs(server, name, want["rows"])
    np.testing.assert_allclose(got["probabilities"].astype(float), probabilities, rtol=1e-5, atol=1e-6)
    assert got["output_label"].ravel().tolist() == want["labels"]
    assert got["best"].ravel().tolist() == probabilities.argmax(axis=1).tolist()
    assert [want["classes"][i] for i in got["best"].ravel()] == want["labels"]
    np.testing.assert_allclose(got["second"].ravel().astype(float), probabilities[:, 1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(got["last"].ravel().astype(float), probabilities[:, -1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_labels_choose_the_order(server, made, name):
    want, probabilities = wanted(made, name)
    got = outputs(server, f"turned-{name}", want["rows"])
    np.testing.assert_allclose(got["probabilities"].astype(float), probabilities[:, ::-1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(got["last"].ravel().astype(float), probabilities[:, -1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_one_row_is_as_many(server, made, name):
    want, _ = wanted(made, name)
    together = outputs(server, name, want["rows"])["probabilities"]
    for i in (0, 20, 40):
        alone = outputs(server, name, want["rows"][i:i + 1])["probabilities"]
        np.testing.assert_allclose(alone[0].astype(float), together[i].astype(float), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_without_a_step_the_maps_are_answered(server, made, name):
    """The native protocol has them by their classes; unzipped rows are the same numbers."""
    want, probabilities = wanted(made, name)
    body = {"instances": [{"X": row} for row in want["rows"][:5]]}
    raw = server.post(f"/v1/models/raw-{name}/predict", body)
    assert raw.status == 200, raw.body
    for item, row, label in zip(raw.json()["predictions"], probabilities, want["labels"]):
        assert item["output_label"] == label
        got = item["output_probability"]
        assert list(got) == [str(c) for c in want["classes"]]
        np.testing.assert_allclose(list(got.values()), row, rtol=1e-5, atol=1e-6)
    native = server.post(f"/v1/models/{name}/predict", body).json()["predictions"]
    np.testing.assert_allclose([p["probabilities"] for p in native], probabilities[:5], rtol=1e-5, atol=1e-6)


def test_classes_that_the_model_does_not_have_are_an_error(made, tmp_path):
    """What the maps hold is known when the model runs: it is told then."""
    path = package(made, tmp_path, "wrong", "names", ", labels: [setosa, virginica, tulip]")
    rows = json.dumps({"instances": [{"X": [5.1, 3.5, 1.4, 0.2]}]})
    done = harness.galley("predict", path, "-d", "@-", stdin=rows)
    assert done.returncode != 0 and "has no class 'tulip'" in done.stderr, done.stderr
