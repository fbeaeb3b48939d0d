# SPDX-License-Identifier: Apache-2.0
"""Large weights of a package: moved when it is packed, mapped when it is served, shared by processes."""
import os
import shutil
import signal
import subprocess
import tarfile

import numpy as np
import onnx
import onnx.checker
import onnx.numpy_helper
import pytest
from onnx import TensorProto as T
from onnx import helper as h

import harness
import models
from harness import galley

ROWS, COLUMNS = 1000, 9000  # 34 MiB
RNG = np.random.default_rng(5)
WEIGHTS = [(RNG.random((ROWS, COLUMNS), np.float32) - 0.5) / 30, (RNG.random((COLUMNS, 3), np.float32) - 0.5) / 90]
ROW = RNG.random((2, ROWS), np.float32)


@pytest.fixture(name="package", scope="module")
def package_of_all_tests(tmp_path_factory):
    path = tmp_path_factory.mktemp("big") / "big"
    models.write(path / "model.onnx", [h.make_node("MatMul", ["x", "an_odd_name"], ["a"]),
                                       h.make_node("MatMul", ["a", "second"], ["y"])],
                 [("x", T.FLOAT, ("n", ROWS))], [("y", T.FLOAT, ("n", 3))],
                 [onnx.numpy_helper.from_array(w, name) for w, name in zip(WEIGHTS, ["an_odd_name", "second"])])
    (path / "galley.yaml").write_text("galley: 1\nname: big\nversion: 1.0.0\nmodel: model.onnx\n")
    return path


@pytest.fixture(name="file", scope="module")
def packed(package):
    out = package.parent / "big.galley"
    done = galley("pack", package, "-o", out, "--json")
    assert done.returncode == 0, done.stderr
    return out


def test_weights_lie_where_they_can_be_mapped(package, file, tmp_path):
    assert galley("unpack", file, tmp_path / "out").returncode == 0
    model = tmp_path / "out" / "model.onnx"
    onnx.checker.check_model(model.as_posix())
    loaded = {t.name: t for t in onnx.load(model).graph.initializer}
    whole, unpacked, before = file.read_bytes(), model.read_bytes(), (package / "model.onnx").read_bytes()
    for name, w in zip(["an_odd_name", "second"], WEIGHTS):
        assert np.array_equal(onnx.numpy_helper.to_array(loaded[name]), w)
        assert whole.index(w.tobytes()) % 64 == 0 and unpacked.index(w.tobytes()) % 64 == 0
    assert any(before.index(w.tobytes()) % 64 for w in WEIGHTS), "nothing had to be moved"
    assert len(before) <= len(unpacked) < len(before) + 200
    assert not list(package.glob(".*")), "what was written on the way is gone"


def test_what_was_unpacked_packs_to_the_same(file, tmp_path):
    """Also as a directory of somebody's own, without the seal."""
    assert galley("unpack", file, tmp_path / "out").returncode == 0
    shutil.rmtree(tmp_path / "out" / ".galley")
    for made in ("lock.json", "sbom.spdx.json"):
        (tmp_path / "out" / made).unlink()
    assert galley("pack", tmp_path / "out", "-o", tmp_path / "again.galley").returncode == 0
    assert (tmp_path / "again.galley").read_bytes() == file.read_bytes()


def memory(server, what):
    for line in open(f"/proc/{server.process.pid}/status", encoding="ascii"):
        if line.startswith(what):
            return int(line.split()[1]) * 1024
    raise KeyError(what)


def ask(server):
    r = server.infer("big", {"x": ("FP32", list(ROW.shape), ROW.ravel().tolist())})
    assert r.status == 200, r
    return np.array(r.json()["outputs"][0]["data"], np.float32).reshape(2, 3)


@pytest.mark.parametrize("form", ["file", "sealed", "plain"])
@pytest.mark.parametrize("share", ["on", "off"])
def test_the_answers_are_the_models(package, file, tmp_path, form, share):
    path = {"file": file, "plain": package, "sealed": tmp_path / "out"}[form]
    if form == "sealed":
        assert galley("unpack", file, path).returncode == 0
    with harness.Server("--share-weights", share, paths=[path]) as s:
        assert np.allclose(ask(s), ROW @ WEIGHTS[0] @ WEIGHTS[1], rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(harness.SANITIZE, reason="a sanitizer's own memory is counted too")
def test_processes_share_weights(file):
    size = sum(w.nbytes for w in WEIGHTS)
    with harness.Server("--share-weights", "on", paths=[file]) as one:
        with harness.Server("--share-weights", "on", paths=[file]) as two:
            with harness.Server(paths=[file]) as apart:
                for s in (one, two, apart):
                    ask(s)
                alone = memory(apart, "RssAnon")
                assert alone > size
                for s in (one, two):
                    assert memory(s, "RssAnon") < alone - size * 0.9
                    assert memory(s, "RssFile") > size * 0.9


@pytest.fixture(name="apart", scope="module")
def packed_with_external_data(package, tmp_path_factory):
    path = tmp_path_factory.mktemp("apart") / "big"
    (path / "onnx").mkdir(parents=True)
    onnx.save_model(onnx.load(package / "model.onnx"), path / "onnx" / "model.onnx", save_as_external_data=True,
                    location="weights.bin", size_threshold=1024)
    (path / "galley.yaml").write_text("galley: 1\nname: big\nversion: 1.0.0\n"
                                      "model: {file: onnx/model.onnx, files: [onnx/weights.bin]}\n")
    out = path.parent / "big.galley"
    done = galley("pack", path, "-o", out)
    assert done.returncode == 0, done.stderr
    return out


@pytest.mark.parametrize("share", ["on", "off"])
def test_external_data_is_mapped_out_of_the_package(apart, share):
    """Nothing is unpacked: there is no place for it."""
    with harness.Server("--share-weights", share, paths=[apart], env={"TMPDIR": "/nonexistent"}) as s:
        assert np.allclose(ask(s), ROW @ WEIGHTS[0] @ WEIGHTS[1], rtol=1e-4, atol=1e-5)
        if share == "on" and not harness.SANITIZE:
            assert memory(s, "RssFile") > sum(w.nbytes for w in WEIGHTS) * 0.9


def test_wrong_external_data_is_found(apart, tmp_path):
    bad = bytearray(apart.read_bytes())
    bad[bad.index(WEIGHTS[0].tobytes()) + 777] ^= 1
    (tmp_path / "bad.galley").write_bytes(bad)
    with harness.Server(paths=[tmp_path / "bad.galley"], wait=None) as s:
        s.wait_for("/health/ready", status=503)
        harness.wait_until(lambda: "sha256" in s.get("/health/ready").body.decode(), 20, "the reason")


def test_wrong_weights_are_found(file, tmp_path):
    """The bytes that are mapped are those whose digest was looked at."""
    bad = bytearray(file.read_bytes())
    bad[bad.index(WEIGHTS[0].tobytes()) + 12345] ^= 1
    (tmp_path / "bad.galley").write_bytes(bad)
    with harness.Server("--share-weights", "on", paths=[tmp_path / "bad.galley"], wait=None) as s:
        s.wait_for("/health/ready", status=503)
        harness.wait_until(lambda: "sha256" in s.get("/health/ready").body.decode(), 20, "the reason")
        assert s.get("/health/ready").status == 503


def test_a_file_that_is_cut_under_the_server_is_told(file, tmp_path):
    mine = tmp_path / "big.galley"
    mine.write_bytes(file.read_bytes())
    with harness.Server("--share-weights", "on", paths=[mine], exit_code=-signal.SIGBUS) as s:
        ask(s)
        os.truncate(mine, 4096)
        with s.connect() as c:
            c.send(harness.request("POST", "/v2/models/big/infer", {"inputs": [
                {"name": "x", "datatype": "FP32", "shape": list(ROW.shape), "data": ROW.ravel().tolist()}]}))
            with pytest.raises((harness.Closed, OSError)):
                c.reply()
        s.wait_exit(20)
        assert "cut short while it was in use" in s.log()


def test_no_room_to_pack_is_told(package, tmp_path):
    """A full disk: 8 MiB for files, the weights take 34."""
    done = subprocess.run(["bash", "-c", f"ulimit -f 8192; trap '' XFSZ; exec {harness.BIN} pack {package} "
                           f"-o {tmp_path}/x.galley"], capture_output=True, text=True, timeout=60 * harness.SCALE,
                          check=False)
    assert done.returncode == 1 and "written once more" in done.stderr and "File too large" in done.stderr, done.stderr
    assert not list(tmp_path.iterdir())


def test_the_archive_is_a_tar_of_others(file):
    with tarfile.open(file) as t:
        assert "oci-layout" in t.getnames()
