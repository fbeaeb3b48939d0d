# SPDX-License-Identifier: Apache-2.0
"""What a PATH may be: a file, a model's directory, a repository, with versions or without."""
import os
import shutil

import pytest

import harness
import models

ONE = {"x": ("FP32", [1, 1], [0])}


def names(s):
    return {m: s.get(f"/v2/models/{m}").json()["versions"]
            for m in s.get("/v2/models").json()["models"]}


@pytest.fixture
def add(tmp_path):
    return lambda place, number=1: models.add(tmp_path / place, number)


@pytest.mark.parametrize("files, path, found", [
    (["churn.onnx"], "churn.onnx", {"churn": ["1"]}),
    (["churn/model.onnx"], "churn/model.onnx", {"churn": ["1"]}),
    (["churn/model.onnx"], "churn", {"churn": ["1"]}),
    (["churn/model.onnx"], "churn/", {"churn": ["1"]}),
    (["churn/7/model.onnx"], "churn/7/model.onnx", {"churn": ["7"]}),
    (["churn/1/model.onnx", "churn/12/model.onnx", "churn/3/model.onnx"], "churn",
     {"churn": ["12", "3", "1"]}),
    (["a/model.onnx", "b/2/model.onnx", "b/10/model.onnx"], ".", {"a": ["1"], "b": ["10", "2"]}),
    (["a/1.2.0/model.onnx", "a/1.10.0/model.onnx", "a/1/model.onnx"], ".",
     {"a": ["1.10.0", "1.2.0", "1"]}),
    (["a/model.onnx", "a/notes.txt", "README.md", ".git/config", "b/data/x.csv"], ".", {"a": ["1"]}),
    (["a/1/model.onnx", "a/01/model.onnx", "a/v2/model.onnx", "a/-1/model.onnx"], ".", {"a": ["1"]}),
    (["été/model.onnx"], ".", {"été": ["1"]}),
])
def test_paths(serve, tmp_path, files, path, found):
    root = tmp_path / "repository"
    for file in files:
        if file.endswith(".onnx"):
            models.add(root / file, 1)
        else:
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            (root / file).write_text("something else")
    s = serve(paths=[os.path.join(root, path)])
    listed = s.get("/v2/models").json()["models"]
    assert listed == sorted(found)
    for name, versions in found.items():
        quoted = harness.quote(name)
        assert s.get(f"/v2/models/{quoted}").json()["versions"] == versions
        assert s.post(f"/v2/models/{quoted}/infer", {"inputs": [
            {"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [0]}]}).json()["model_version"] \
            == versions[0]


def test_several_paths_are_one_repository(serve, add, tmp_path):
    add("one.onnx", 1)
    add("dir/two/model.onnx", 2)
    add("three/5/model.onnx", 3)
    s = serve(paths=[tmp_path / "one.onnx", tmp_path / "dir", tmp_path / "three"])
    assert names(s) == {"one": ["1"], "two": ["1"], "three": ["5"]}
    for name, value in (("one", 1), ("two", 2), ("three", 3)):
        assert s.infer(name, ONE).json()["outputs"][0]["data"] == [value]


def test_links_are_followed(serve, add, tmp_path):
    """Kubernetes mounts a ConfigMap's files through links to a directory that is swapped."""
    add("..data_1/model.onnx", 4)
    (tmp_path / "..data").symlink_to("..data_1")
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "model.onnx").symlink_to("../..data/model.onnx")
    s = serve(paths=[tmp_path / "m"])
    assert s.infer("m", ONE).json()["outputs"][0]["data"] == [4]


def test_external_data_lies_beside_the_model(serve, zoo_dir, tmp_path):
    s = serve(paths=[zoo_dir / "external"])
    assert s.infer("external", {"x": ("INT64", [3, 1], [7, 1023, 0])}).json()["outputs"][0]["data"] \
        in ([7, 1023, 0], [[7], [1023], [0]])
    shutil.copytree(zoo_dir / "external", tmp_path / "lost")
    (tmp_path / "lost" / "weights.bin").unlink()
    done = harness.galley("inspect", tmp_path / "lost")
    assert done.returncode == 1 and "weights.bin" in done.stderr


@pytest.mark.parametrize("files, words", [
    (["m/model.onnx", "m/1/model.onnx"], ["m", "version"]),
    (["a.txt"], ["no model", "model.onnx"]),
    (["other.onnx", "more.onnx"], ["no model", "one by one"]),
])
def test_directories_that_are_ambiguous_or_empty_end_the_start(tmp_path, files, words):
    for file in files:
        models.add(tmp_path / file, 1)
    done = harness.galley("serve", tmp_path, "--http-port", "0")
    assert done.returncode == 1
    for word in words:
        assert word in done.stderr, done.stderr


def test_the_same_name_and_version_twice_ends_the_start(add, tmp_path):
    add("x/m/model.onnx")
    add("y/m/model.onnx")
    done = harness.galley("serve", tmp_path / "x", tmp_path / "y", "--http-port", "0")
    assert done.returncode == 1 and "'m'" in done.stderr


def test_an_older_version_answers_when_the_newest_is_broken(serve, add, tmp_path):
    add("m/1/model.onnx", 1)
    add("m/2/model.onnx", 2).write_bytes(b"broken")
    s = serve(paths=[tmp_path], wait="live")
    s.wait_line("model_failed", version="2")
    harness.wait_until(lambda: s.infer("m", ONE).status == 200, 10, "version 1")
    assert s.infer("m", ONE).json()["model_version"] == "1"
    assert s.get("/v2/models/m/versions/2/ready").status == 503
    assert s.get("/ready").status == 503  # the newest should serve


def test_a_repository_of_two_hundred_models(serve, tmp_path):
    for i in range(200):
        models.add(tmp_path / f"m{i}" / "model.onnx", i)
    s = serve(paths=[tmp_path])
    for i in (0, 99, 199):
        assert s.infer(f"m{i}", ONE).json()["outputs"][0]["data"] == [i]
    assert len(s.get("/v2/models").json()["models"]) == 200
    assert len(s.get("/openapi.json").json()["paths"]) > 200
