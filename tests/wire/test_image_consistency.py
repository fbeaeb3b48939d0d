# SPDX-License-Identifier: Apache-2.0
"""`galley consistency` with container images: models are read out of the layers, whoever made them."""
import json
import os
import shutil
import tarfile

import pytest

import harness
import packages
import registry_server
from harness import galley
from image_tools import Layout, needs_tools, run
from test_image_audit import GOOD, write_image

pytestmark = pytest.mark.skipif(harness.SANITIZE, reason="nobody ships a galley with sanitizers, and gzip of it takes minutes")


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("layers")


def image(package, out, cache, *options, name="fraud:2.1.0"):
    done = galley("image", "build", package, "-t", name, "--cache", cache, "-q", *(["-o", out] if out else []), *options,
                  timeout=280)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="session")
def fraud(tmp_path_factory):
    return packages.copy("fraud", tmp_path_factory.mktemp("package") / "fraud")


@pytest.fixture(scope="session")
def other(tmp_path_factory):
    """The same package after a training that went on."""
    package = packages.nudge(packages.copy("fraud", tmp_path_factory.mktemp("other") / "fraud"))
    rows = [c["native"] for c in json.loads((harness.EXAMPLES / "fraud" / "cases.json").read_text())["cases"]]
    packages.record(package, rows)
    return package


@pytest.fixture(scope="session")
def archive(tmp_path_factory, fraud, cache):
    return image(fraud, tmp_path_factory.mktemp("image") / "fraud.tar", cache)


def compare(a, b, *args, code=0, env=None):
    done = galley("consistency", a, b, "--json", *args, env=env)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout) if done.stdout else done.stderr


def test_an_image_answers_as_its_package_and_nothing_stays_behind(fraud, archive, tmp_path):
    cases = len(packages.cases(fraud))
    for a, b in [(fraud, archive), (archive, fraud), (archive, archive)]:
        told = compare(a, b, env={"TMPDIR": str(tmp_path)})
        assert told["consistent"] and (told["cases"], told["failed"]) == (cases, 0)
        assert {o["name"] for o in told["outputs"]} == {"fraud_probability", "is_fraud", "confidence"}
        assert (told["a"], told["b"]) == (str(a), str(b))
    assert not list(tmp_path.iterdir())


def test_an_image_of_another_training_differs_and_the_worst_is_named(fraud, other, cache, tmp_path):
    changed = image(other, f"{tmp_path}/changed/", cache, "--compression", "zstd")
    told = compare(fraud, changed, code=1)
    p = next(o for o in told["outputs"] if o["name"] == "fraud_probability")
    assert not told["consistent"] and told["failed"] > 0 and p["beyond"] > 0
    assert p["worst"]["expected"] != p["worst"]["got"] and p["absolute"] > 1e-4
    assert compare(fraud, changed, "--atol", 1, "--outputs", "fraud_probability")["consistent"]
    text = galley("consistency", fraud, changed)
    assert text.returncode == 1 and "NOT consistent" in text.stdout and "fraud_probability[" in text.stderr


def test_a_modelcar_is_its_package(fraud, cache, tmp_path):
    done = galley("image", "modelcar", fraud, "-t", "m:1", "--native", "-o", tmp_path / "m.tar", "--cache", cache)
    assert done.returncode == 0, done.stderr
    assert compare(fraud, tmp_path / "m.tar")["consistent"]


def test_an_image_with_a_server(fraud, archive):
    with harness.Server(paths=[fraud]) as server:
        assert compare(archive, f"http://127.0.0.1:{server.port}/v2/models/fraud")["consistent"]


@needs_tools
def test_what_a_later_layer_replaces_is_what_is_asked(fraud, other, archive, tmp_path):
    """umoci's layers: another model in the place of the first, then none."""
    oci, bundle = f"{tmp_path}/oci:x", tmp_path / "bundle"
    model = bundle / "rootfs" / "models" / "fraud" / "model.onnx"
    run("skopeo", "copy", f"oci-archive:{archive}", f"oci:{oci}")
    run("umoci", "unpack", *([] if os.geteuid() == 0 else ["--rootless"]), "--image", oci, bundle)
    shutil.copy(other / "model.onnx", model)
    run("umoci", "repack", "--refresh-bundle", "--image", oci, bundle)
    assert not compare(fraud, tmp_path / "oci", code=1)["consistent"]
    model.unlink()
    run("umoci", "repack", "--image", oci, bundle)
    assert "model.onnx" in compare(fraud, tmp_path / "oci", code=2)


@registry_server.needs_registry
def test_references_into_a_registry_are_images_or_packages(fraud, other, cache, tmp_path):
    with registry_server.DockerRegistry() as registry:
        image(fraud, None, cache, "--push", name=f"{registry.host}/images/fraud:2.1.0")
        image(other, None, cache, "--push", name=f"{registry.host}/images/fraud:next")
        file = packages.pack(fraud, tmp_path / "fraud.galley")
        done = galley("push", file, f"{registry.host}/models/fraud:2.1.0")
        assert done.returncode == 0, done.stderr
        env = {"TMPDIR": str(tmp_path)}
        before = sorted(tmp_path.iterdir())
        assert compare(f"{registry.host}/models/fraud:2.1.0", f"{registry.host}/images/fraud:2.1.0", env=env)["consistent"]
        assert not compare(f"oci://{registry.host}/images/fraud:2.1.0", f"{registry.host}/images/fraud:next", code=1,
                           env=env)["consistent"]
        assert "no such tag" in compare(fraud, f"{registry.host}/images/fraud:none", code=2, env=env)
        assert sorted(tmp_path.iterdir()) == before


def test_of_several_models_one_is_named(fraud, archive, cache, tmp_path):
    for name in ("fraud", "iris"):
        packages.copy(name, tmp_path / "models" / name)
    both = image(tmp_path / "models", tmp_path / "both.tar", cache, name="both:1")
    assert "the image has 2 models: fraud, iris" in compare(fraud, both, code=2)
    assert compare(both, archive, "--model", "fraud")["consistent"]
    for name in ("rose", "..", ".", "", "fraud/1"):
        assert f"no model {name}" in compare(fraud, both, "--model", name, code=2)


def test_an_image_without_weights_says_where_they_come_from(fraud, cache, tmp_path):
    bare = image(fraud, tmp_path / "bare.tar", cache, "--without-weights", "--source", "s3://bucket/fraud")
    told = compare(fraud, bare, code=2)
    assert "no models under /models" in told and "MODEL_DEFAULT=s3://bucket/fraud" in told


def test_a_damaged_layer_is_not_asked(fraud, archive, tmp_path):
    weights = next(layer for layer in reversed(Layout(archive).manifest["layers"]))
    with tarfile.open(archive) as tar:
        at = tar.getmember("blobs/sha256/" + weights["digest"].split(":")[1]).offset_data
    data = bytearray(archive.read_bytes())
    data[at + weights["size"] // 2] ^= 1
    (tmp_path / "damaged.tar").write_bytes(data)
    assert "digest" in compare(fraud, tmp_path / "damaged.tar", code=2)


def files_of(package):
    return [(f"models/fraud/{p.relative_to(package)}", p.read_bytes()) for p in sorted(package.rglob("*")) if p.is_file()]


def test_an_image_with_a_file_twice_is_not_guessed_about(fraud, tmp_path):
    """Readers differ in which of both they take."""
    assert compare(fraud, write_image(tmp_path / "once", [files_of(fraud)], GOOD))["consistent"]
    for name in ("models/fraud/model.onnx", "./models/fraud/model.onnx", "/models/fraud/model.onnx"):
        folder = tmp_path / name.replace("/", "-")
        twice = write_image(folder, [[*files_of(fraud), (name, b"another")]], GOOD)
        assert "layer 0 has models/fraud/model.onnx twice" in compare(fraud, twice, code=2)


def test_an_image_that_unpacks_to_very_much_fills_no_disk(fraud, tmp_path):
    """Over all layers and files, not each: 300 MB out of 0.3 MB."""
    zeros, work = bytes(50 << 20), tmp_path / "work"
    work.mkdir()
    bomb = write_image(tmp_path / "bomb", [files_of(fraud), *[[(f"models/fraud/{i}", zeros)] for i in range(6)]], GOOD)
    done = galley("consistency", fraud, bomb, env={"TMPDIR": str(work)})
    assert done.returncode == 2 and "unpacks to more than" in done.stderr, done.stderr
    assert not list(work.iterdir())
    done = galley("image", "audit", "--json", bomb, env={"TMPDIR": str(work)})  # which writes nothing may look
    assert json.loads(done.stdout)["unpacked_bytes"] > 300 << 20 and not list(work.iterdir())


@pytest.mark.parametrize("name", ["nothing.tar", "./a.b/c", "folder/nothing"])
def test_a_file_that_is_missing_is_no_reference(fraud, name, tmp_path):
    done = galley("consistency", fraud, name, cwd=tmp_path)
    assert done.returncode == 2 and "does not exist" in done.stderr, done.stderr
