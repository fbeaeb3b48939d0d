# SPDX-License-Identifier: Apache-2.0
"""galley image history, audit and dockerfile, on images as others build them; sign and verify in a real registry, with
OpenSSL and cosign as the judges of signatures."""
import base64
import gzip
import hashlib
import io
import json
import shutil
import subprocess
import tarfile

import pytest

import harness
from registry_server import DockerRegistry, needs_registry

COSIGN = shutil.which("cosign", path=f"{harness.SOURCE}/build/tools:/usr/bin:/usr/local/bin")
needs_cosign = pytest.mark.skipif(not COSIGN, reason="build/tools/cosign is missing; run: tools/setup test")
GOOD = {"User": "65532", "Entrypoint": ["/galley"], "ExposedPorts": {"8080/tcp": {}},
        "Healthcheck": {"Test": ["CMD", "galley", "health"]}, "Labels": {"org.opencontainers.image.version": "1.0.0"}}


def layer(files, kind="gzip"):
    """A layer's tar and its blob. files: (path, bytes or None for a directory, or a TarInfo)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, data in files:
            info = tarfile.TarInfo(path)
            info.mode = 0o644
            if data is None:
                info.type = tarfile.DIRTYPE
                tar.addfile(info)
            elif isinstance(data, tarfile.TarInfo):
                tar.addfile(data)
            else:
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    raw = out.getvalue()
    return raw, gzip.compress(raw, mtime=0) if kind == "gzip" else raw


def write_image(folder, layers, config, kind="gzip", spoil=None):
    """An OCI layout. spoil(name, blob) may change a layer's blob behind its digest's back."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(data):
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"digest": f"sha256:{digest}", "size": len(data)}

    described, diffs = [], []
    suffix = "+gzip" if kind == "gzip" else ""
    for files in layers:
        raw, blob = layer(files, kind)
        diffs.append("sha256:" + hashlib.sha256(raw).hexdigest())
        described.append({"mediaType": f"application/vnd.oci.image.layer.v1.tar{suffix}", **put(blob)})
        if spoil:
            (blobs / described[-1]["digest"][7:]).write_bytes(spoil(blob))
    text = json.dumps({"architecture": "amd64", "os": "linux", "config": config,
                       "rootfs": {"type": "layers", "diff_ids": diffs},
                       "history": [{"created_by": f"RUN step {i}"} for i in range(len(layers))]}).encode()
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": described,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **put(text)}}).encode()
    top = {"mediaType": "application/vnd.oci.image.manifest.v1+json", **put(manifest)}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return folder


def audit(image, *args):
    done = harness.galley("image", "audit", "--json", image, *args)
    assert done.stderr == "", done.stderr
    report = json.loads(done.stdout)
    return report, {f["code"]: f for f in report["findings"]}, done.returncode


# --- what is found -------------------------------------------------------------------------------

def test_a_good_image_has_no_findings(tmp_path):
    image = write_image(tmp_path / "i", [[("opt", None), ("opt/galley", b"x" * 100)]], GOOD)
    report, found, code = audit(image)
    assert code == 0 and found == {} and report["hidden_bytes"] == 0
    assert report["layers"][0]["unpacked_bytes"] == 100 and report["layers"][0]["files"] == 1


@pytest.mark.parametrize("kind", ["gzip", "none"])
def test_bytes_hidden_by_deletions_are_counted(tmp_path, kind):
    below = [("big.bin", b"y" * 50000), ("d/a", b"1" * 10), ("d/b", b"2" * 20), ("kept", b"k" * 7), ("new", b"old")]
    above = [(".wh.big.bin", b""), ("d/.wh..wh..opq", b""), ("d/c", b"3"), ("new", b"newer")]
    report, found, code = audit(write_image(tmp_path / "i", [below, above], GOOD, kind))
    assert report["hidden_bytes"] == 50000 + 10 + 20 + 3
    assert [x["hidden_bytes"] for x in report["layers"]] == [50033, 0]
    assert found["hidden-bytes"]["layer"] == 0 and code == 0
    assert harness.galley("image", "audit", "--strict", tmp_path / "i").returncode == 1


def test_a_directory_that_is_deleted_hides_all_in_it(tmp_path):
    report, _, _ = audit(write_image(tmp_path / "i", [[("a/b/c", b"123"), ("ab", b"9")], [(".wh.a", b"")]], GOOD))
    assert report["hidden_bytes"] == 3


@pytest.mark.parametrize("folders", [True, False], ids=["told", "implied"])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.SYMTYPE])
def test_what_stands_in_a_directorys_place_hides_all_in_it(tmp_path, kind, folders):
    """Whether or not a layer has entries for the directories."""
    def place(path):
        info = tarfile.TarInfo(path)
        info.type, info.linkname = kind, "elsewhere"
        return path, info
    below = [("a/b/c", b"123"), ("a/b/d/e", b"45"), ("a/bb", b"9"), ("ab", b"7")]
    below = [("a", None), ("a/b", None), ("a/b/d", None), *below] if folders else below
    above = [place("a/b"), ("x/y", b"1")]
    report, found, _ = audit(write_image(tmp_path / "i", [below, above, [place("x")], [("z", b"")]], GOOD))
    assert [x["hidden_bytes"] for x in report["layers"]] == [5, 1, 0, 0] and report["hidden_bytes"] == 6
    assert "hidden-bytes" in found


def test_a_health_check_of_none_is_none(tmp_path):
    config = {**GOOD, "Healthcheck": {"Test": ["NONE"]}}
    _, found, rc = audit(write_image(tmp_path / "i", [[("a", b"")]], config))
    assert rc == 0 and list(found) == ["no-healthcheck"]


BAD = [
    ("secret-file", "app/.env", b"A=1"),
    ("secret-file", "root/.aws/credentials", b"[default]"),
    ("private-key", "etc/k.pem", b"-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----\n"),
    ("cloud-key", "app/settings.py", b"KEY = 'AKIAQWERTYUIOPASDFGH'"),
    ("compiler", "usr/bin/gcc", b"x"),
    ("compiler", "usr/lib/gcc/x86_64-linux-gnu/12/cc1", b"x"),
    ("test-framework", "usr/lib/python3.11/site-packages/pytest/__init__.py", b""),
    ("notebook", "work/train.ipynb", b"{}"),
    ("package-cache", "root/.cache/pip/http/a", b"x"),
    ("version-control", "app/.git/HEAD", b"ref"),
]


@pytest.mark.parametrize("code, path, data", BAD, ids=[f"{c}-{p.split('/')[-1]}" for c, p, _ in BAD])
def test_what_does_not_belong_there_is_an_error_with_a_remedy(tmp_path, code, path, data):
    _, found, rc = audit(write_image(tmp_path / "i", [[(path, data)]], GOOD))
    assert rc == 1 and list(found) == [code]
    assert found[code]["severity"] == "error" and found[code]["path"] == path and found[code]["remedy"]


def test_what_looks_like_it_but_is_not_is_left_alone(tmp_path):
    fine = [("usr/bin/gccgo-tool", b"x"), ("doc/AKIAEXAMPLE.txt", b"AKIAIOSFODNN7EXAMPLE"), ("app/.environment", b"x"),
            ("etc/ca.pem", b"-----BEGIN CERTIFICATE-----"), ("mygit/HEAD", b"x"), ("usr/share/make-doc", b"x")]
    _, found, rc = audit(write_image(tmp_path / "i", [fine], GOOD))
    assert rc == 0 and found == {}


def test_a_tool_of_many_files_is_one_finding(tmp_path):
    files = [(f"v/site-packages/pytest/f{i}.py", b"x" * 10) for i in range(200)]
    report, found, _ = audit(write_image(tmp_path / "i", [files], GOOD))
    assert len(report["findings"]) == 1 and found["test-framework"]["bytes"] == 2000


def test_root_secrets_in_the_environment_and_a_floating_base(tmp_path):
    config = {"User": "root", "Env": ["PATH=/bin", "DB_PASSWORD=hunter2", "TOKEN_FILE=/run/t", "API_TOKEN="],
              "Labels": {"org.opencontainers.image.base.name": "python:3.10"}}
    _, found, rc = audit(write_image(tmp_path / "i", [[("a", b"")]], config))
    assert rc == 1
    assert {"root-user", "secret-env", "floating-base", "no-healthcheck", "no-entrypoint", "no-port",
            "no-version", "full-base"} == set(found)
    assert "DB_PASSWORD" in found["secret-env"]["message"] and "hunter2" not in json.dumps(found)


@pytest.mark.parametrize("user, wrong", [("0", True), ("0:0", True), ("", True), ("root:root", True), ("1000", False),
                                         ("app", False)])
def test_who_is_root(tmp_path, user, wrong):
    _, found, _ = audit(write_image(tmp_path / "i", [[("a", b"")]], {**GOOD, "User": user}))
    assert ("root-user" in found) == wrong


CUDA = ["CUDA_VERSION=12.1.1", "NV_CUDA_LIB_VERSION=12.1.1-1"]  # as nvidia/cuda:12.1.1-runtime has them
BASES = [
    ({"Env": CUDA}, [], set()),
    ({"Env": [*CUDA, "NV_CUDA_CUDART_DEV_VERSION=12.1.105-1"]}, [], {"devel-base"}),
    ({"Labels": {"org.opencontainers.image.base.name": "nvidia/cuda:12.1.1-devel-ubuntu22.04"}}, [], {"devel-base"}),
    ({"Labels": {"org.opencontainers.image.base.name": "python:3.10.12"}}, [], {"full-base"}),
    ({"Labels": {"org.opencontainers.image.base.name": "python:3.10.12-slim-bookworm"}}, [], set()),
    ({}, [("etc/alpine-release", b"3.20.3\n")], {"alpine-base"}),
    ({"Labels": {"ai.galley.version": "0.1.0"}}, [("etc/alpine-release", b"3.20.3\n")], set()),
]


@pytest.mark.parametrize("config, files, codes", BASES)
def test_bases_that_are_too_large_or_of_another_c_library(tmp_path, config, files, codes):
    labels = {**GOOD["Labels"], **config.get("Labels", {})}
    report, found, rc = audit(write_image(tmp_path / "i", [[("a", b""), *files]], {**GOOD, **config, "Labels": labels}))
    assert rc == 0 and set(found) == codes
    assert all(f["severity"] == "warning" and f["remedy"] for f in report["findings"])


@pytest.mark.parametrize("megabytes, code", [(90, None), (110, "large-weights"), (1100, "heavy-weights")])
def test_weights_that_are_baked_in_have_a_remedy(tmp_path, megabytes, code):
    _, found, rc = audit(write_image(tmp_path / "i", [[("models/m/model.onnx", bytes(megabytes << 20))]], GOOD))
    assert rc == 0 and list(found) == ([code] if code else [])
    assert not code or "galley" in found[code]["remedy"]


# --- bad images ----------------------------------------------------------------------------------

def test_damaged_layers_are_refused(tmp_path):
    write_image(tmp_path / "i", [[("a", b"x" * 1000)]], GOOD, spoil=lambda b: b[:-9] + bytes([b[-9] ^ 1]) + b[-8:])
    done = harness.galley("image", "audit", tmp_path / "i")
    assert done.returncode == 1 and done.stdout == "" and "damaged" in done.stderr


def test_a_layer_that_unpacks_to_something_else_is_refused(tmp_path):
    folder = write_image(tmp_path / "i", [[("a", b"1")]], GOOD)
    index = json.loads((folder / "index.json").read_text())
    blob = folder / "blobs" / "sha256" / index["manifests"][0]["digest"][7:]
    manifest = json.loads(blob.read_bytes())
    other = layer([("a", b"2")])[1]
    digest = hashlib.sha256(other).hexdigest()
    (folder / "blobs" / "sha256" / digest).write_bytes(other)
    manifest["layers"][0].update(digest=f"sha256:{digest}", size=len(other))
    text = json.dumps(manifest).encode()
    top = hashlib.sha256(text).hexdigest()
    (folder / "blobs" / "sha256" / top).write_bytes(text)
    index["manifests"][0].update(digest=f"sha256:{top}", size=len(text))
    (folder / "index.json").write_text(json.dumps(index))
    done = harness.galley("image", "audit", folder)
    assert done.returncode == 1 and "layer 0 unpacks to" in done.stderr


def test_what_is_no_image_is_said(tmp_path):
    (tmp_path / "x.tar").write_bytes(b"no tar")
    assert "not" in harness.galley("image", "history", tmp_path / "x.tar").stderr
    gone = harness.galley("image", "history", "localhost:1/nothing:1")
    assert gone.returncode == 1 and "localhost:1" in gone.stderr


# --- history, dockerfile -------------------------------------------------------------------------

def test_history_shows_layers_the_newest_first(tmp_path):
    image = write_image(tmp_path / "i", [[("a", b"1")], [("b", b"22")]], GOOD)
    text = harness.galley("image", "history", image).stdout.splitlines()
    assert "RUN step 1" in text[1] and "RUN step 0" in text[2]
    told = json.loads(harness.galley("image", "history", "--json", image).stdout)
    assert told["labels"] == GOOD["Labels"] and [s["created_by"] for s in told["history"]] == ["RUN step 0", "RUN step 1"]


def test_a_dockerfile_is_written_with_its_ignore_file(tmp_path):
    package = harness.SOURCE / "examples" / "packages" / "fraud"
    done = harness.galley("image", "dockerfile", package, "-o", tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "Dockerfile").read_text()
    assert text.count("\nFROM ") == 3 and "galley verify" in text and "\nUSER 65532:65532\n" in text
    assert "\nHEALTHCHECK " in text and "\nEXPOSE 8080\n" in text
    ignored = (tmp_path / ".dockerignore").read_text().split()
    assert {".git/", ".env", "secrets/", "*.ipynb", "**/__pycache__/"} <= set(ignored)
    again = harness.galley("image", "dockerfile", package, "-o", tmp_path)
    assert again.returncode == 1 and "is there already" in again.stderr and "--force" in again.stderr


def lint(*args, code=0, stdin=None, cwd=None):
    done = harness.galley("image", "lint", "--json", *args, stdin=stdin, cwd=cwd)
    assert done.returncode == code and done.stderr == "", done.stderr
    return [(f["code"], f.get("line")) for f in json.loads(done.stdout)["findings"]]


@pytest.mark.parametrize("options", [[], ["--galley-image", "r.example.com/galley:0.1.0"], ["--without-weights"],
                                     ["--galley-image", "r.example.com/galley:0.1.0", "--without-weights"]])
def test_what_galley_writes_is_what_it_asks_of_others(tmp_path, options):
    package = harness.SOURCE / "examples" / "packages" / "fraud"
    done = harness.galley("image", "dockerfile", package, "-o", tmp_path, *options)
    assert done.returncode == 0, done.stderr
    assert lint("--strict", cwd=tmp_path) == []


def test_a_dockerfile_of_a_notebook_is_told_what_is_wrong_with_it(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM python:3.10\nCOPY . /app\nRUN apt-get update && \\\n  apt-get install -y gcc\n"
                                         "RUN pip install torch\nENV AWS_SECRET_ACCESS_KEY=abc\nCMD python serve.py\n")
    found = lint(tmp_path / "Dockerfile", code=1)
    assert found == [("floating-base", 1), ("full-base", 1), ("one-stage", 1), ("no-dockerignore", 2), ("apt-recommends", 3),
                     ("cache-order", 3), ("compiler", 3), ("package-lists", 3), ("package-cache", 5), ("unpinned", 5),
                     ("secret-env", 6), ("shell-form", 7), ("no-healthcheck", None), ("root-user", None)]
    (tmp_path / "Dockerfile.dockerignore").write_text(".git\n")
    assert ("no-dockerignore", 2) not in lint(tmp_path / "Dockerfile", code=1)
    text = harness.galley("image", "lint", tmp_path / "Dockerfile")
    assert text.returncode == 1 and "line 6: error secret-env: AWS_SECRET_ACCESS_KEY" in text.stdout and "abc" not in text.stdout


@pytest.mark.parametrize("lines, found", [("HEALTHCHECK NONE", True), ("healthcheck  none ", True),
                                          ("HEALTHCHECK NONE\nHEALTHCHECK CMD [\"a\"]", False),
                                          ("HEALTHCHECK CMD [\"a\"]\nHEALTHCHECK NONE", True), ("HEALTHCHECK CMD none", False)])
def test_lint_takes_a_health_check_of_none_for_none(lines, found):
    codes = lint("-", stdin=f"FROM debian:12.12-slim\nUSER 65532\n{lines}\nENTRYPOINT [\"a\"]\n")
    assert (("no-healthcheck", None) in codes) == found


def test_what_is_no_dockerfile_is_said(tmp_path):
    done = harness.galley("image", "lint", "-", stdin="hello world\n")
    assert done.returncode == 1 and "line 1: 'hello' is no instruction" in done.stderr
    done = harness.galley("image", "lint", cwd=tmp_path)
    assert done.returncode == 1 and "Dockerfile" in done.stderr


# --- signatures ----------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def registry():
    with DockerRegistry() as r:
        yield r


@pytest.fixture
def signed(registry, tmp_path, monkeypatch):
    """A reference of a signed image, and the folder of the keys."""
    monkeypatch.setenv("HOME", str(tmp_path))
    image = write_image(tmp_path / "i", [[("a", b"1")]], GOOD)
    ref = f"{registry.host}/{tmp_path.name.replace('_', '-')}/app:1.0.0"
    subprocess.run(["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{image}", f"docker://{ref}"], check=True,
                   timeout=60, env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"})
    keys = harness.galley("image", "keygen", cwd=tmp_path, env={"COSIGN_PASSWORD": "pass"})
    assert keys.returncode == 0, keys.stderr
    done = harness.galley("image", "sign", "--key", tmp_path / "galley.key", ref, env={"COSIGN_PASSWORD": "pass"})
    assert done.returncode == 0, done.stderr
    return ref, tmp_path, done.stdout.strip()


@needs_registry
def test_what_was_signed_is_verified_by_digest(signed):
    ref, folder, told = signed
    assert (folder / "galley.key").stat().st_mode & 0o777 == 0o600
    done = harness.galley("image", "verify", "--key", folder / "galley.pub", ref)
    assert done.returncode == 0 and done.stdout.strip() == told
    assert told.startswith(ref.rsplit(":", 1)[0] + "@sha256:")


@needs_registry
def test_openssl_and_the_format_of_cosign_agree(signed):
    ref, folder, told = signed
    name, digest = told.split("@")
    tag = "docker://" + name + ":" + digest.replace(":", "-") + ".sig"
    raw = subprocess.run(["skopeo", "inspect", "--raw", "--tls-verify=false", tag], capture_output=True, check=True, timeout=60)
    manifest = json.loads(raw.stdout)
    assert manifest["layers"][0]["mediaType"] == "application/vnd.dev.cosign.simplesigning.v1+json"
    subprocess.run(["skopeo", "copy", "-q", "--src-tls-verify=false", tag, f"dir:{folder}/sig"], check=True, timeout=60)
    payload = folder / "sig" / manifest["layers"][0]["digest"][7:]
    said = json.loads(payload.read_bytes())
    assert said["critical"]["image"]["docker-manifest-digest"] == digest
    assert said["critical"]["identity"]["docker-reference"] == name
    assert said["critical"]["type"] == "cosign container image signature"
    (folder / "der").write_bytes(base64.b64decode(manifest["layers"][0]["annotations"]["dev.cosignproject.cosign/signature"]))
    judged = subprocess.run(["openssl", "dgst", "-sha256", "-verify", folder / "galley.pub", "-signature", folder / "der",
                             payload], capture_output=True, text=True, check=False, timeout=60)
    assert judged.stdout.strip() == "Verified OK"


def cosign(*args, code=0, **options):
    done = subprocess.run([COSIGN, *map(str, args)], capture_output=True, text=True, check=False, timeout=120, **options)
    assert (done.returncode == 0) == (code == 0), done.stdout + done.stderr
    return done


@needs_registry
@needs_cosign
def test_cosign_verifies_what_galley_signed(signed):
    ref, folder, told = signed
    check = ["verify", "--insecure-ignore-tlog=true", "--allow-http-registry", "--output", "json"]
    done = cosign(*check, "--key", folder / "galley.pub", ref)
    claims = json.loads(done.stdout)
    assert [c["critical"]["image"]["docker-manifest-digest"] for c in claims] == [told.split("@")[1]]
    cosign("generate-key-pair", cwd=folder, env={"COSIGN_PASSWORD": "x", "HOME": str(folder)})
    refused = cosign(*check, "--key", folder / "cosign.pub", ref, code=1)
    assert "no matching signatures" in refused.stderr


@needs_registry
@needs_cosign
def test_galley_verifies_what_cosign_signed_beside_its_own(signed):
    ref, folder, told = signed
    env = {"COSIGN_PASSWORD": "x", "HOME": str(folder)}
    cosign("generate-key-pair", cwd=folder, env=env)
    none = harness.galley("image", "verify", "--key", folder / "cosign.pub", ref)
    assert none.returncode == 1 and "the signature is not this key's" in none.stderr
    cosign("sign", "--key", folder / "cosign.key", "--tlog-upload=false", "-y", "--allow-http-registry", told, env=env)
    for key in ("cosign.pub", "galley.pub"):
        done = harness.galley("image", "verify", "--key", folder / key, ref)
        assert done.returncode == 0 and done.stdout.strip() == told, done.stderr


@needs_registry
def test_another_key_and_no_signature_are_refused(signed, registry):
    ref, folder, _ = signed
    assert harness.galley("image", "keygen", "--output-key-prefix", folder / "other").returncode == 0
    wrong = harness.galley("image", "verify", "--key", folder / "other.pub", ref)
    assert wrong.returncode == 1 and "the signature is not this key's" in wrong.stderr and wrong.stdout == ""
    second = harness.galley("image", "sign", "--key", folder / "other.key", ref)
    assert second.returncode == 0, second.stderr
    for name in ("other", "galley"):  # both stand beside each other
        assert harness.galley("image", "verify", "--key", folder / f"{name}.pub", ref).returncode == 0
    plain = write_image(folder / "j", [[("a", b"2")]], GOOD)
    ref = f"{registry.host}/plain-{folder.name.replace('_', '-')}/app:1"
    subprocess.run(["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{plain}", f"docker://{ref}"], check=True, timeout=60)
    none = harness.galley("image", "verify", "--key", folder / "galley.pub", ref)
    assert none.returncode == 1 and "has no signature" in none.stderr


@needs_registry
def test_a_wrong_password_and_a_wrong_key_are_said(signed):
    ref, folder, _ = signed
    done = harness.galley("image", "sign", "--key", folder / "galley.key", ref, env={"COSIGN_PASSWORD": "no"})
    assert done.returncode == 1 and "does not open with this password" in done.stderr
    (folder / "no.pem").write_text("nothing")
    done = harness.galley("image", "verify", "--key", folder / "no.pem", ref)
    assert done.returncode == 1 and "no public key in PEM form" in done.stderr
    done = harness.galley("image", "keygen", cwd=folder)
    assert done.returncode == 1 and "a key is never replaced" in done.stderr
