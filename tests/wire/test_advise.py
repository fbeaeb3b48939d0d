# SPDX-License-Identifier: Apache-2.0
"""`galley advise`: what it sees in files and directories, and what it says of them."""
import json

import pytest

import packages
from harness import EXAMPLES, galley


def advise(*args, code=0):
    done = galley("advise", *args, "--json")
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout) if done.stdout else done.stderr


def sparse(path, size):
    with open(path, "wb") as f:
        f.truncate(size)
    return path


def test_a_packages_weights_count_and_nothing_else(tmp_path):
    fraud = packages.copy("fraud", tmp_path / "fraud")
    told = advise(fraud)
    assert told["is"] == "ONNX" and told["bytes"] == (fraud / "model.onnx").stat().st_size
    assert (told["format"]["choice"], told["weights"]["choice"]) == ("onnx", "bake")
    assert advise(packages.pack(fraud, tmp_path / "fraud.galley"))["bytes"] == told["bytes"]
    assert advise(EXAMPLES / "iris")["is"] == "ONNX"


@pytest.mark.parametrize("size, options, choice", [
    (499_999_999, [], "bake"), (500_000_000, [], "pull"), (1_000_000_001, ["--shared"], "mount"),
    (1_000, ["--updates", "frequent"], "pull"), (1_000, ["--environments"], "pull"), (1_000, ["--tracked"], "registry"),
    (9_000_000_000, ["--air-gapped", "--shared"], "bake"),
])
def test_size_and_options_decide_the_way(tmp_path, size, options, choice):
    told = advise(sparse(tmp_path / "model.onnx", size), *options)
    assert told["weights"]["choice"] == choice and told["weights"]["reason"] and "galley" in told["weights"]["how"]


@pytest.mark.parametrize("names, what", [
    (["MLmodel", "model.pkl", "tf/saved_model.pb"], "an MLflow model"),
    (["saved_model.pb", "variables/v.data", "assets/words.txt"], "a SavedModel (TensorFlow)"),
    (["config.json", "net.pth"], "PyTorch"), (["config.json", "model.safetensors", "vocab.txt"], "PyTorch"),
    (["pytorch_model.bin"], "PyTorch"), (["model.json", "notes.txt"], "gradient boosting (XGBoost, LightGBM)"), (["1/model.ubj"], "gradient boosting (XGBoost, LightGBM)"),
])
def test_a_directory_is_what_its_most_telling_file_is(tmp_path, names, what):
    for name in names:
        (tmp_path / "m" / name).parent.mkdir(parents=True, exist_ok=True)
        sparse(tmp_path / "m" / name, 10)
    told = advise(tmp_path / "m")
    assert told["is"] == what and told["bytes"] == 10 * len(names)


def test_a_directory_of_texts_is_no_model(tmp_path):
    (tmp_path / "m").mkdir()
    for name in ("package.json", "requirements.txt"):
        (tmp_path / "m" / name).write_text("{}")
    assert "known by its name" in advise(tmp_path / "m", code=1)


def test_the_format_depends_on_where_it_goes(tmp_path):
    model = sparse(tmp_path / "churn_v7.pkl", 1000)
    assert [advise(model, "--for", where)["format"]["choice"] for where in
            ("server", "python", "edge", "registry", "languages")] == ["onnx", "joblib", "onnx", "native", "onnx"]
    text = galley("advise", model, "--for", "python")
    assert text.returncode == 0 and "format   joblib" in text.stdout and "runs code when it is loaded" in text.stdout


def test_what_is_wrong_is_told(tmp_path):
    assert "is not server, python" in advise(EXAMPLES / "iris", "--for", "moon", code=2)
    assert "is not rare or frequent" in advise(EXAMPLES / "iris", "--updates", "often", code=2)
    assert "no such file" in advise(tmp_path / "none.onnx", code=1)
    assert "known by its name" in advise(sparse(tmp_path / "x.docx", 1), code=1)
