# SPDX-License-Identifier: Apache-2.0
"""Packages as files: packed, listed, compared, unpacked; read by tools that others wrote."""
import gzip
import hashlib
import io
import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import models
from harness import SOURCE, galley

YAML = """galley: 1
name: fraud
version: 2.1.0
description: Whether a card payment is fraudulent
model: model.onnx
features:
  - {name: amount, type: float, gt: 0, lt: 1000000}
  - {name: hour, type: int, ge: 0, le: 23}
metadata: {owner: risk-team, licence: Apache-2.0, metrics: {auc_roc: 0.943}}
provenance: {framework: scikit-learn 1.8.0, python: 3.11.9, freeze: requirements.txt}
files: [README.md, docs]
"""
FILES = ["README.md", "docs/card.md", "galley.yaml", "lock.json", "model.onnx", "requirements.txt", "sbom.spdx.json"]
SKOPEO = shutil.which("skopeo")
ORAS = SOURCE / "build" / "tools" / "oras"


def write_package(path, yaml=YAML, freeze="numpy==1.26.4\nscikit-learn==1.8.0\n"):
    models.identity(path / "model.onnx")
    (path / "docs").mkdir(parents=True)
    (path / "galley.yaml").write_text(yaml)
    (path / "requirements.txt").write_text(freeze)
    (path / "README.md").write_text("# Fraud\n")
    (path / "docs" / "card.md").write_text("A card.\n")
    (path / "unrelated.bin").write_bytes(b"x" * 1000)
    return path


@pytest.fixture(name="package")
def package_of_a_test(tmp_path):
    return write_package(tmp_path / "fraud")


@pytest.fixture(name="file")
def packed(package, tmp_path):
    out = tmp_path / "fraud.galley"
    done = galley("pack", package, "-o", out)
    assert done.returncode == 0, done.stderr
    return out


def digest_of(done):
    return done.stdout.splitlines()[-1]


def read_file(file):
    """{name: bytes} of the tar."""
    with tarfile.open(file) as t:
        return {m.name: t.extractfile(m).read() for m in t if m.isfile()}


def manifest_of(file):
    members = read_file(file)
    index = json.loads(members["index.json"])
    digest = index["manifests"][0]["digest"]
    return json.loads(members["blobs/sha256/" + digest[7:]]), members


def content(file, name):
    manifest, members = manifest_of(file)
    layer = next(x for x in manifest["layers"] if x["annotations"]["org.cncf.model.filepath"] == name)
    return members["blobs/sha256/" + layer["digest"][7:]]


# --- pack ---

def test_the_digest_is_all_that_is_printed(package, tmp_path):
    done = galley("pack", package, cwd=tmp_path)
    assert done.returncode == 0
    digest, = done.stdout.splitlines()
    file = tmp_path / "fraud-2.1.0.galley"
    index = json.loads(read_file(file)["index.json"])
    assert index["manifests"][0]["digest"] == digest
    assert "fraud-2.1.0.galley: 7 files, " in done.stderr
    assert "note: no golden cases" in done.stderr
    assert sorted(os.listdir(tmp_path)) == ["fraud", "fraud-2.1.0.galley"]


def test_json_tells_what_was_packed(package, tmp_path):
    done = galley("pack", "--json", package, "-o", tmp_path / "x.galley")
    told = json.loads(done.stdout)
    assert told["name"] == "fraud" and told["version"] == "2.1.0" and told["files"] == 7
    assert told["file"] == str(tmp_path / "x.galley") and told["digest"].startswith("sha256:")
    assert any("golden" in f for f in told["findings"])


def test_equal_files_give_equal_bytes(package, tmp_path):
    first = tmp_path / "a.galley"
    galley("pack", package, "-o", first)
    other = write_package(tmp_path / "far" / "away" / "with a space")
    for path in sorted(other.rglob("*"), reverse=True):
        os.utime(path, (1e9, 1e9))
        path.chmod(0o700 if path.is_dir() else 0o755)
    before = os.umask(0o077)
    try:
        done = galley("pack", "with a space/", "-o", tmp_path / "b.galley", cwd=other.parent,
                      env={"LC_ALL": "C.UTF-8", "TZ": "Asia/Tokyo", "HOME": "/nonexistent"})
    finally:
        os.umask(before)
    assert done.returncode == 0, done.stderr
    assert first.read_bytes() == (tmp_path / "b.galley").read_bytes()
    assert stat.S_IMODE((tmp_path / "b.galley").stat().st_mode) == 0o600  # the umask is the user's
    with tarfile.open(first) as t:
        assert {(m.mtime, m.uid, m.gid, m.uname) for m in t} == {(0, 0, 0, "")}


def test_a_single_byte_changes_the_digest(package, tmp_path):
    before = digest_of(galley("pack", package, "-o", tmp_path / "a.galley"))
    weights = bytearray((package / "model.onnx").read_bytes())
    weights[-1] ^= 1
    (package / "model.onnx").write_bytes(weights)
    assert digest_of(galley("pack", package, "-o", tmp_path / "b.galley")) != before


def test_the_artifact_follows_the_modelpack_specification(file):
    manifest, members = manifest_of(file)
    assert manifest["artifactType"] == "application/vnd.cncf.model.manifest.v1+json"
    assert manifest["config"]["mediaType"] == "application/vnd.cncf.model.config.v1+json"
    assert [x["annotations"]["org.cncf.model.filepath"] for x in manifest["layers"]] == FILES
    config = json.loads(members["blobs/sha256/" + manifest["config"]["digest"][7:]])
    assert set(config) == {"descriptor", "config", "modelfs"}
    assert config["modelfs"] == {"type": "layers", "diffIds": [x["digest"] for x in manifest["layers"]]}
    assert config["config"] == {"format": "onnx"} and config["descriptor"]["licenses"] == ["Apache-2.0"]
    for layer in manifest["layers"]:
        blob = members["blobs/sha256/" + layer["digest"][7:]]
        assert layer["size"] == len(blob) and layer["digest"] == "sha256:" + hashlib.sha256(blob).hexdigest()
        meta = json.loads(layer["annotations"]["org.cncf.model.file.metadata+json"])
        assert meta["size"] == len(blob) and meta["mode"] == 0o644 and meta["typeflag"] == ord("0")
    types = {x["annotations"]["org.cncf.model.filepath"]: x["mediaType"].split(".model.")[1] for x in manifest["layers"]}
    assert types["model.onnx"] == "weight.v1.raw" and types["galley.yaml"] == "weight.config.v1.raw"
    assert types["README.md"] == "doc.v1.raw" and types["sbom.spdx.json"] == "doc.v1.raw"


def test_the_lock_holds_what_the_package_comes_from(package, tmp_path):
    (package / "requirements.txt").write_text("numpy==1.26.4\ntorch==2.2.0+cu121\ntorchvision==0.17.0+cu118\npandas>=2\n")
    out = tmp_path / "x.galley"
    done = galley("pack", package, "-o", out)
    lock = json.loads(content(out, "lock.json"))
    assert (lock["name"], lock["version"], lock["galley"]) == ("fraud", "2.1.0", 1)
    for file in lock["files"]:
        data = (package / file["path"]).read_bytes()
        assert file["sha256"] == hashlib.sha256(data).hexdigest() and file["size"] == len(data)
    assert [f["path"] for f in lock["files"]] == [f for f in FILES if f not in ("lock.json", "sbom.spdx.json")]
    assert lock["provenance"]["framework"] == "scikit-learn 1.8.0"
    packages = {p["name"]: p for p in lock["environment"]["packages"]}
    assert packages["numpy"]["version"] == "1.26.4" and packages["pandas"] == {"name": "pandas", "unpinned": "pandas>=2"}
    assert lock["environment"]["unpinned"] == 1
    findings = ["requirements.txt:4: pandas>=2 is not pinned to a version",
                "requirements.txt:3: torchvision==0.17.0+cu118 is for CUDA 11.8, torch==2.2.0+cu121 for CUDA 12.1"]
    assert lock["environment"]["findings"] == findings
    for finding in findings:
        assert f"note: {finding}\n" in done.stderr
    done = galley("pack", "--strict", package, "-o", tmp_path / "y.galley")
    assert done.returncode == 1 and not (tmp_path / "y.galley").exists()
    assert "fraud: not packed: 3 findings, see above" in done.stderr


def test_the_sbom_is_valid_spdx(package, tmp_path):
    (package / "galley.yaml").write_text(YAML.replace("Apache-2.0", "For the bank alone"))
    (package / "requirements.txt").write_text("torch==2.2.0+cu121\npandas>=2\n")
    out = tmp_path / "x.galley"
    assert galley("pack", package, "-o", out, env={"SOURCE_DATE_EPOCH": 1700000000}).returncode == 0
    sbom = tmp_path / "sbom.spdx.json"
    sbom.write_bytes(content(out, "sbom.spdx.json"))
    spdx = shutil.which("pyspdxtools", path=str(Path(sys.executable).parent))
    assert spdx, "pip install -r tests/requirements.txt"
    subprocess.run([spdx, "-i", sbom], check=True, capture_output=True, timeout=120)
    doc = json.loads(sbom.read_text())
    assert doc["creationInfo"]["created"] == "2023-11-14T22:13:20Z"
    sums = {f["fileName"]: {c["algorithm"]: c["checksumValue"] for c in f["checksums"]} for f in doc["files"]}
    assert sums["./model.onnx"]["SHA256"] == hashlib.sha256((package / "model.onnx").read_bytes()).hexdigest()
    assert sums["./model.onnx"]["SHA1"] == hashlib.sha1((package / "model.onnx").read_bytes()).hexdigest()
    assert sorted(sums) == sorted("./" + f for f in FILES if f != "sbom.spdx.json")
    purls = [p["externalRefs"][0]["referenceLocator"] for p in doc["packages"] if "externalRefs" in p]
    assert purls == ["pkg:pypi/pandas", "pkg:pypi/torch@2.2.0%2Bcu121"]
    code = hashlib.sha1("".join(sorted(s["SHA1"] for s in sums.values())).encode()).hexdigest()
    assert doc["packages"][0]["packageVerificationCode"]["packageVerificationCodeValue"] == code


@pytest.mark.parametrize("epoch", ["tomorrow", "-1", "99999999999999"])
def test_an_epoch_that_is_none_is_refused(package, tmp_path, epoch):
    done = galley("pack", package, cwd=tmp_path, env={"SOURCE_DATE_EPOCH": epoch})
    assert done.returncode == 1
    assert "SOURCE_DATE_EPOCH: seconds since 1970 are expected" in done.stderr


@pytest.mark.parametrize("gone, words", [
    ("model.onnx", "model.onnx, the model, is missing"),
    ("requirements.txt", "requirements.txt, the freeze list, is missing"),
    ("docs", "docs, one of `files`, is missing"),
    ("galley.yaml", "there is no galley.yaml in it"),
])
def test_a_part_that_is_missing_is_named(package, tmp_path, gone, words):
    path = package / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    done = galley("pack", package, "-o", tmp_path / "x.galley")
    assert done.returncode == 1 and done.stdout == ""
    assert words in done.stderr
    assert os.listdir(tmp_path) == ["fraud"]


def test_what_cannot_be_written_is_an_error(package, tmp_path):
    done = galley("pack", package, "-o", tmp_path / "none" / "x.galley")
    assert done.returncode == 1 and "none/x.galley: No such file or directory" in done.stderr
    (tmp_path / "dir").mkdir()
    done = galley("pack", package, "-o", tmp_path / "dir")
    assert done.returncode == 1 and "dir: Is a directory" in done.stderr
    assert sorted(os.listdir(tmp_path)) == ["dir", "fraud"]


# --- ls, unpack ---

def test_ls_lists_files_and_directories(package, file):
    digest = json.loads(galley("ls", "--json", file).stdout)["digest"]
    text = galley("ls", file).stdout
    assert text.startswith(f"fraud 2.1.0 {digest}\n") and "\n7 files, " in text
    for name in FILES:
        assert f"\n{name} " in text
    told = json.loads(galley("ls", "--json", package).stdout)
    assert told["digest"] == digest and told["sealed"] is False
    model = next(f for f in told["files"] if f["name"] == "model.onnx")
    assert model["digest"] == "sha256:" + hashlib.sha256((package / "model.onnx").read_bytes()).hexdigest()
    assert model["media_type"] == "application/vnd.cncf.model.weight.v1.raw"
    assert galley("ls", package / "nothing").returncode == 1


def test_unpacked_and_packed_again_it_is_the_same(package, file, tmp_path):
    done = galley("unpack", file, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert digest_of(done) == json.loads(galley("ls", "--json", file).stdout)["digest"]
    names = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert names == sorted(FILES + [".galley/config.json", ".galley/manifest.json"])
    assert (tmp_path / "out" / "model.onnx").read_bytes() == (package / "model.onnx").read_bytes()
    galley("pack", tmp_path / "out", "-o", tmp_path / "again.galley")
    assert (tmp_path / "again.galley").read_bytes() == file.read_bytes()
    assert galley("diff", file, tmp_path / "out").returncode == 0
    # Without its seal it is a package of one's own, and still the same.
    shutil.rmtree(tmp_path / "out" / ".galley")
    galley("pack", tmp_path / "out", "-o", tmp_path / "third.galley")
    assert (tmp_path / "third.galley").read_bytes() == file.read_bytes()


def test_unpack_overwrites_nothing(file, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    done = galley("unpack", file, tmp_path / "out")
    assert done.returncode == 1 and "out: exists already" in done.stderr
    assert os.listdir(tmp_path / "out") == ["mine"]
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to("elsewhere")
    done = galley("unpack", file, tmp_path / "link")
    assert done.returncode == 1 and "link: exists already" in done.stderr
    assert os.listdir(tmp_path / "elsewhere") == []
    done = galley("unpack", file, cwd=tmp_path)
    assert done.returncode == 0 and (tmp_path / "fraud-2.1.0" / "model.onnx").exists()


# --- what others make of it ---

@pytest.mark.skipif(not SKOPEO, reason="skopeo is not installed")
def test_skopeo_reads_and_copies_it(file, tmp_path):
    raw = subprocess.run([SKOPEO, "inspect", "--raw", f"oci-archive:{file}"], check=True, capture_output=True, timeout=60)
    digest = json.loads(galley("ls", "--json", file).stdout)["digest"]
    assert "sha256:" + hashlib.sha256(raw.stdout).hexdigest() == digest
    config = subprocess.run([SKOPEO, "inspect", "--config", "--raw", f"oci-archive:{file}:2.1.0"], check=True,
                            capture_output=True, timeout=60)
    assert json.loads(config.stdout)["descriptor"]["name"] == "fraud"
    subprocess.run([SKOPEO, "copy", f"oci-archive:{file}", f"dir:{tmp_path}/dir"], check=True, capture_output=True, timeout=60)
    model = json.loads(galley("ls", "--json", file).stdout)["files"][4]
    blob = (tmp_path / "dir" / model["digest"][7:]).read_bytes()
    assert "sha256:" + hashlib.sha256(blob).hexdigest() == model["digest"]
    # And what skopeo writes, galley reads: a layout as a directory, and as a tar of its own making.
    for form in ("oci", "oci-archive"):
        out = tmp_path / f"{form}.galley"
        subprocess.run([SKOPEO, "copy", f"dir:{tmp_path}/dir", f"{form}:{out}:x"], check=True, capture_output=True, timeout=60)
        told = json.loads(galley("ls", "--json", out).stdout)
        assert told["digest"] == digest, form
        assert galley("diff", file, out).returncode == 0


@pytest.mark.skipif(not ORAS.exists(), reason="oras is not there: tools/setup test")
def test_oras_pulls_its_files(package, file, tmp_path):
    subprocess.run([ORAS, "pull", "--oci-layout", f"{file}:2.1.0", "-o", tmp_path / "out"], check=True,
                   capture_output=True, timeout=60, env={**os.environ, "HOME": str(tmp_path)})
    for name in ("model.onnx", "docs/card.md", "galley.yaml"):
        assert (tmp_path / "out" / name).read_bytes() == (package / name).read_bytes()


# --- diff ---

def changes(a, b):
    done = galley("diff", "--json", a, b)
    assert done.returncode == 1, done.stderr
    return {(c["section"], c["what"]): (c["a"], c["b"]) for c in json.loads(done.stdout)["changes"]}


def test_diff_names_every_difference(file, tmp_path):
    yaml = (YAML.replace("2.1.0", "2.2.0").replace("lt: 1000000", "lt: 2000000").replace("0.943", "0.951")
            .replace("scikit-learn 1.8.0", "scikit-learn 1.9.1")
            .replace("  - {name: hour, type: int, ge: 0, le: 23}\n", "  - {name: country, type: text}\n"))
    other = write_package(tmp_path / "other", yaml, "numpy==2.0.0\nmkl==2024.0.0\ntorch==2.2.0+cu121\n")
    (other / "docs" / "card.md").write_text("Another card.\n")
    (other / "model.onnx").unlink()
    models.identity(other / "model.onnx", shape=("n", 3))
    found = changes(file, other)
    assert found[("package", "version")] == ("2.1.0", "2.2.0")
    assert found[("schema", "features.amount.lt")] == ("1000000", "2000000")
    assert found[("schema", "features.hour")] == ("{name: hour, type: int, ge: 0, le: 23}", None)
    assert found[("schema", "features.country")] == (None, "{name: country, type: text}")
    assert found[("environment", "numpy")] == ("1.26.4", "2.0.0")
    assert found[("environment", "scikit-learn")] == ("1.8.0", None)
    assert found[("environment", "torch")] == (None, "2.2.0+cu121")
    assert found[("environment", "CUDA")] == (None, "12.1")
    assert found[("environment", "BLAS")] == ("OpenBLAS", "MKL")
    assert found[("environment", "provenance.framework")] == ("scikit-learn 1.8.0", "scikit-learn 1.9.1")
    assert found[("metrics", "metadata.metrics.auc_roc")] == ("0.943", "0.951")
    assert found[("weights", "model.onnx")][0] != found[("weights", "model.onnx")][1]
    assert ("files", "docs/card.md") in found
    assert not any(what in ("lock.json", "sbom.spdx.json", "galley.yaml", "requirements.txt") for _, what in found)
    text = galley("diff", file, other)
    assert text.returncode == 1
    assert "  ~ metadata.metrics.auc_roc: 0.943 -> 0.951 (+0.008)\n" in text.stdout
    assert "  ~ numpy: 1.26.4 -> 2.0.0\n" in text.stdout and "  + CUDA: 12.1\n" in text.stdout
    assert text.stdout.startswith("--- fraud 2.1.0 sha256:")


def test_diff_sees_the_order_of_features(file, tmp_path):
    lines = YAML.splitlines(keepends=True)
    lines[6], lines[7] = lines[7], lines[6]
    other = write_package(tmp_path / "other", "".join(lines))
    assert changes(file, other) == {("schema", "features.order"): ("amount, hour", "hour, amount")}


def test_diff_tells_a_comment_from_a_change(file, tmp_path):
    other = write_package(tmp_path / "other", YAML + "# a comment\n")
    assert set(changes(file, other)) == {("files", "galley.yaml")}


def golden(*cases):
    def tensor(name, data):
        return {"name": name, "datatype": "FP32", "shape": [1, len(data)], "data": data}
    return json.dumps({"cases": [{"name": n, "inputs": [tensor("x", x)], "outputs": [tensor("y", y)], "rtol": 0.001}
                                 for n, x, y in cases]})


def test_diff_compares_golden_cases(tmp_path):
    yaml = YAML + "golden: {file: golden.json}\n"
    a, b = write_package(tmp_path / "a", yaml), write_package(tmp_path / "b", yaml)
    (a / "golden.json").write_text(golden(("night", [1, 2], [0.5, 0.25]), ("noon", [3, 4], [1, 1]), ("gone", [1], [1]),
                                          ("asks", [5], [5])))
    (b / "golden.json").write_text(golden(("night", [1, 2], [0.5, 0.75]), ("noon", [3, 4], [1, 1.0009765625]), ("new", [1], [1]),
                                          ("asks", [6], [5])))
    assert changes(a, b) == {
        ("golden", "night.y"): ("0.25", "0.75 (1 of 2 differ, by at most 0.5)"),
        ("golden", "noon.y"): ("1", "1.00097656 (1 of 2 differ, by at most 0.000977, within tolerance)"),
        ("golden", "asks.x"): ("5", "6 (1 of 1 differ, by at most 1)"),
        ("golden", "gone"): ("a case of 1 inputs and 1 outputs", None),
        ("golden", "new"): (None, "a case of 1 inputs and 1 outputs")}


def test_diff_of_the_same_says_nothing(package, file):
    done = galley("diff", file, package)
    assert done.returncode == 0 and done.stdout == ""
    assert json.loads(galley("diff", "--json", file, package).stdout)["same"] is True


def test_diff_has_an_exit_code_for_trouble(file, tmp_path):
    done = galley("diff", file, tmp_path / "nothing")
    assert done.returncode == 2 and "no such file or directory" in done.stderr


# --- bad files ---

def refused(file, words, tmp_path):
    """Each command that opens it says so, and nothing comes to be."""
    before = sorted(str(p) for p in tmp_path.rglob("*"))
    for args in (["ls", file], ["unpack", file, tmp_path / "out"], ["pack", file, "-o", tmp_path / "x.galley"]):
        done = galley(*args)
        assert done.returncode == 1 and done.stdout == "", args
        assert words in done.stderr, done.stderr
    assert sorted(str(p) for p in tmp_path.rglob("*")) == before


def rewrite(file, change):
    """The tar again, its members [(TarInfo, bytes)] changed."""
    with tarfile.open(file) as t:
        members = [(m, t.extractfile(m).read() if m.isfile() else b"") for m in t]
    change(members)
    with tarfile.open(file, "w", format=tarfile.USTAR_FORMAT) as t:
        for info, data in members:
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))


def member(name, data=b"", kind=tarfile.REGTYPE, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, data


def index_with(members, manifests):
    """index.json with the manifests that the function makes of the one that is there."""
    at = next(i for i, (m, _) in enumerate(members) if m.name == "index.json")
    index = json.loads(members[at][1])
    index["manifests"] = manifests(index["manifests"][0])
    members[at] = (members[at][0], json.dumps(index).encode())


@pytest.mark.parametrize("change, words", [
    (lambda m: m.append(member("../evil", b"x")), '"../evil" does not belong into an image layout'),
    (lambda m: m.append(member("/etc/evil", b"x")), '"/etc/evil" does not belong into an image layout'),
    (lambda m: m.append(member("blobs/sha256/../../evil", b"x")), '"blobs/sha256/../../evil" is no digest\'s name'),
    (lambda m: m.append(member("blobs/sha256/" + "0" * 64, kind=tarfile.SYMTYPE, target="/etc/passwd")),
     'is a link to "/etc/passwd"'),
    (lambda m: m.append(member("index.json", kind=tarfile.LNKTYPE, target="oci-layout")),
     '"index.json" is a link to "oci-layout"'),
    (lambda m: m.append(member("dev", kind=tarfile.CHRTYPE)), '"dev" does not belong into an image layout'),
    (lambda m: m.append(m[1]), '"index.json" is there twice'),
    (lambda m: m.append(m[-1]), " is there twice"),
    (lambda m: m.pop(0), 'no image layout: it has no "oci-layout"'),
    (lambda m: m.pop(1), 'no image layout: it has no "index.json"'),
    (lambda m: index_with(m, lambda one: []), "there is no manifest in it"),
    (lambda m: index_with(m, lambda one: [one, one]), "there are 2 manifests in it, say which"),
    (lambda m: index_with(m, lambda one: [{**one, "size": 5}]), ", 5 were promised"),
    (lambda m: index_with(m, lambda one: [{**one, "size": 2 ** 62}]), "has more than 4194304 bytes"),
    (lambda m: index_with(m, lambda one: [{**one, "size": -1}]), "manifests[0].size: a number of bytes is expected"),
    (lambda m: index_with(m, lambda one: [{**one, "digest": "sha256:" + "0" * 64}]),
     f"blob sha256:{'0' * 64} is missing"),
    (lambda m: index_with(m, lambda one: [{**one, "digest": "md5:00"}]),
     'manifests[0].digest: "sha256:" and 64 hexadecimal digits are expected'),
    (lambda m: index_with(m, lambda one: [{**one, "mediaType": "text/plain"}]),
     '"text/plain" is not a manifest\'s media type'),
])
def test_layouts_with_faults_are_refused(file, tmp_path, change, words):
    rewrite(file, change)
    refused(file, words, tmp_path)


def test_a_file_that_is_cut_is_refused(file, tmp_path):
    whole = file.read_bytes()
    with tarfile.open(file) as t:
        starts = [m.offset for m in t] + [m.offset_data for m in t.getmembers()]
    for n in sorted({0, 1, 511, 512, len(whole) - 1, len(whole) - 512, len(whole) - 1024} | set(starts) |
                    {s + 7 for s in starts}):
        file.write_bytes(whole[:n])
        done = galley("ls", file)
        assert done.returncode == 1 and "fraud.galley: " in done.stderr, n
    file.write_bytes(whole[:600])
    refused(file, "fraud.galley: ", tmp_path)


def test_a_flipped_bit_of_any_blob_is_found(file, tmp_path):
    whole = file.read_bytes()
    with tarfile.open(file) as t:
        blobs = [m for m in t if m.name.startswith("blobs/sha256/") and m.isfile()]
    assert len(blobs) == len(FILES) + 2
    for blob in blobs:
        broken = bytearray(whole)
        broken[blob.offset_data + blob.size // 2] ^= 0x10
        file.write_bytes(broken)
        done = galley("unpack", file, tmp_path / "out")
        assert done.returncode == 1, blob.name
        assert "damaged: " in done.stderr and blob.name.rsplit("/", 1)[1] in done.stderr
        assert not (tmp_path / "out").exists()
        assert [p for p in os.listdir(tmp_path) if p.startswith(".")] == []


def test_other_files_are_told_for_what_they_are(file, tmp_path):
    packed_file = file.read_bytes()
    file.write_bytes(gzip.compress(packed_file))
    refused(file, "it is compressed with gzip: gunzip it first", tmp_path)
    file.write_bytes(b"PK\x03\x04" + b"x" * 2000)
    refused(file, "fraud.galley: not a sound tar: ", tmp_path)
