# SPDX-License-Identifier: Apache-2.0
"""galley image build, index and modelcar, with the tools that others read, unpack and run images with."""
import hashlib
import json
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

import harness
import image_tools
import registry_server
from harness import galley
from image_tools import Container, Layout, inspect, needs_tools, run

pytestmark = pytest.mark.skipif(harness.SANITIZE, reason="nobody ships a galley with sanitizers, and gzip of it takes minutes")

YAML = """galley: 1
name: fraud
version: 2.1.0
description: Whether a card payment is fraudulent
model: model.onnx
metadata: {owner: risk-team, licence: Apache-2.0}
provenance: {framework: scikit-learn 1.8.0, freeze: requirements.txt}
"""
FREEZE = "numpy==2.1.0\nscikit-learn==1.8.0\n"
BIG = 20_000_000  # bytes of the fraud example's image that are too many


def write_package(dir, freeze=FREEZE):
    dir.mkdir(parents=True)
    shutil.copy(harness.EXAMPLES / "fraud" / "model.onnx", dir)
    (dir / "galley.yaml").write_text(YAML)
    (dir / "requirements.txt").write_text(freeze)
    return dir


def build(*args, cache, env=None, cwd=None):
    done = galley("image", "build", *args, "--cache", cache, "--json", env=env, cwd=cwd, timeout=280)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("layers")


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    return write_package(tmp_path_factory.mktemp("package") / "fraud")


@pytest.fixture(scope="session")
def image(tmp_path_factory, package, cache):
    """(report, archive) of one build that most tests look at."""
    path = tmp_path_factory.mktemp("image") / "fraud.tar"
    return build(package, "-t", "fraud:2.1.0", "-o", path, cache=cache), path


@pytest.fixture(scope="session")
def layout(tmp_path_factory, image):
    """The archive as a directory that skopeo has copied: every blob's digest was checked on the way."""
    if image_tools.MISSING:
        pytest.skip(f"{image_tools.MISSING} missing; run: tools/setup test")
    path = tmp_path_factory.mktemp("layout") / "oci"
    run("skopeo", "copy", f"oci-archive:{image[1]}", f"oci:{path}:fraud")
    return path


def another_galley(path):
    """The same galley but for its build id, as another build of it would be."""
    data = bytearray(Path(harness.BIN).read_bytes())
    note = data.index(b"GNU\0", data.index(b"\x14\0\0\0\x03\0\0\0GNU\0"))  # 20 bytes, NT_GNU_BUILD_ID
    data[note + 4] ^= 0xFF
    path.write_bytes(data)
    path.chmod(0o755)
    return path


# --- what it is ---

@needs_tools
def test_skopeo_reads_the_archive_as_an_image(image, package):
    report, path = image
    seen = inspect(f"oci-archive:{path}")
    assert seen["Digest"] == report["digest"]
    assert seen["Architecture"] == report["architecture"] and seen["Os"] == "linux"
    assert [layer["digest"] for layer in report["layers"]] == seen["Layers"]
    config = inspect(f"oci-archive:{path}", "--config", "--raw")
    run_config = config["config"]
    assert run_config["User"] == "65532:65532"
    assert run_config["ExposedPorts"] == {"8080/tcp": {}}
    assert run_config["Entrypoint"] == ["/opt/galley/bin/galley", "serve", "/models"]
    assert run_config["Healthcheck"]["Test"] == ["CMD", "/opt/galley/bin/galley", "health"]
    assert run_config["Healthcheck"]["Interval"] == 30 * 10**9
    assert config["created"] == "1970-01-01T00:00:00Z"
    assert len(config["history"]) == len(seen["Layers"])
    labels = run_config["Labels"]
    assert labels["org.opencontainers.image.title"] == "fraud"
    assert labels["org.opencontainers.image.version"] == "2.1.0"
    assert labels["ai.galley.manifest"] == YAML
    assert labels["ai.galley.freeze"] == FREEZE
    assert labels["ai.galley.package.digest"].startswith("sha256:")
    told = galley("version", "--json").stdout
    assert labels["ai.galley.version"] in told and labels["ai.galley.onnxruntime"] in told
    assert {k for k in labels if k.startswith("ai.galley.")} == {
        f"ai.galley.{k}" for k in ("version", "onnxruntime", "package.digest", "manifest", "freeze")}


@needs_tools
def test_docker_load_and_podman_load_find_what_they_read(image):
    """skopeo's docker-archive is the reader of `docker save`'s format."""
    seen = inspect(f"docker-archive:{image[1]}")
    assert seen["Labels"]["org.opencontainers.image.title"] == "fraud"
    document = json.loads(Layout(image[1]).read("manifest.json"))
    assert document[0]["RepoTags"] == ["fraud:2.1.0"]


def test_layers_stand_in_the_order_of_change_and_are_small(image, cache, tmp_path):
    report, path = image
    example = build(harness.SOURCE / "examples" / "packages" / "fraud", "-t", "x:1", "-o", tmp_path / "x.tar", cache=cache)
    assert example["bytes"] < BIG, example
    assert [layer["name"] for layer in report["layers"]] == ["system", "runtime", "engine", "galley", "weights",
                                                             "package"]
    assert report["bytes"] < BIG, report
    assert path.stat().st_size < BIG


def test_there_is_nothing_in_it_that_running_does_not_need(image):
    files = Layout(image[1]).files()
    for name, (member, data) in files.items():
        top = name.split("/")[0]
        assert top in ("opt", "models", "etc", "tmp", "var"), name
        assert (member.uid, member.gid, member.mtime) == (0, 0, 0), name
        assert member.mode == (0o1777 if name == "tmp" else 0o755 if member.isdir() or name.endswith(("ld.so", "galley"))
                               else 0o644), name
        assert b".debug_info" not in data and b".symtab" not in data[-4096:], name
    assert b"nonroot:x:65532:65532:" in files["etc/passwd"][1]
    assert not any("libcurl" in name or name.endswith("/sh") for name in files)
    sealed = json.loads(files["models/fraud/.galley/manifest.json"][1])
    held = {layer["annotations"]["org.cncf.model.filepath"]: layer["digest"] for layer in sealed["layers"]}
    for name, digest in held.items():
        assert "sha256:" + hashlib.sha256(files[f"models/fraud/{name}"][1]).hexdigest() == digest


def test_bills_of_materials_name_every_library(image, tmp_path):
    from spdx_tools.spdx.parser.parse_anything import parse_file
    from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
    files = Layout(image[1]).files()
    billed = {}
    for part in ("runtime", "engine", "galley"):
        path = tmp_path / f"{part}.spdx.json"
        path.write_bytes(files[f"opt/galley/share/sbom/{part}.spdx.json"][1])
        assert validate_full_spdx_document(parse_file(str(path)), "SPDX-2.3") == []
        for f in json.loads(path.read_text())["files"]:
            billed[f["fileName"]] = {c["algorithm"]: c["checksumValue"] for c in f["checksums"]}
    for name, (member, data) in files.items():
        if member.isfile() and name.startswith(("opt/galley/lib/", "opt/galley/bin/", "opt/galley/ld.so")):
            assert billed[name]["SHA256"] == hashlib.sha256(data).hexdigest(), name
    if shutil.which("dpkg-query"):
        document = json.loads((tmp_path / "runtime.spdx.json").read_text())
        versions = {p["name"]: p.get("versionInfo") for p in document["packages"]}
        asked = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "libc6"], capture_output=True, text=True,
                               check=True).stdout
        assert versions["libc6"] == asked
        assert b"Package: libc6\n" in files["var/lib/dpkg/status.d/libc6"][1]
        assert "opt/galley/share/doc/libc6/copyright" in files


# --- it runs ---

@needs_tools
def test_runc_runs_it_as_nobody_with_a_read_only_root(layout, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("runc with the image's own user needs root: a user namespace has not that user")
    c = Container(layout, "fraud", tmp_path)
    assert (c.user["uid"], c.user["gid"]) == (65532, 65532)
    c.start()
    try:
        c.wait_ready()
        example = json.loads((harness.EXAMPLES / "fraud" / "example.json").read_text())
        status, body = c.get("/v1/models/fraud:predict", json.dumps({"instances": [example["features"]]}).encode())
        assert status == 200 and "predictions" in json.loads(body), body
        health = c.exec("/opt/galley/bin/galley", "health")
        assert health.returncode == 0 and "ready" in health.stdout, health.stderr
        version = c.exec("galley", "version")  # by PATH
        assert "ONNX Runtime 1." in version.stdout
    finally:
        code = c.stop()
    assert code == 0


@needs_tools
def test_one_image_serves_what_a_volume_holds(package, cache, tmp_path):
    """As `galley advise` has it for large weights that are shared: no model in the image, a read-only volume at /models."""
    if os.geteuid() != 0:
        pytest.skip("runc with the image's own user needs root: a user namespace has not that user")
    build(package, "-t", "x:1", "-o", f"{tmp_path}/oci/", "--without-weights", "--source", "/models", cache=cache)
    volume = tmp_path / "volume"
    for name in ("fraud", "iris"):
        shutil.copytree(harness.SOURCE / "examples" / "packages" / name, volume / name)
    for path in [volume, *volume.rglob("*")]:  # the container's user is nobody in particular
        path.chmod(0o755 if path.is_dir() else 0o644)
    c = Container(tmp_path / "oci", "1", tmp_path, volumes=[(volume, "/models")]).start()
    try:
        c.wait_ready()
        found = json.loads(c.get("/v2/repository/index", b"{}")[1])
        assert {m["name"] for m in found} == {"fraud", "iris"}
        example = json.loads((harness.EXAMPLES / "fraud" / "example.json").read_text())
        status, body = c.get("/v1/models/fraud/predict", json.dumps(example).encode())
        assert status == 200 and "is_fraud" in json.loads(body)["prediction"], body
    finally:
        assert c.stop() == 0
    bare = tmp_path / "bare"
    bare.mkdir()
    c = Container(tmp_path / "oci", "1", bare, volumes=[(volume / "iris", "/models/iris")], args=["galley", "serve"],
                  env=["MODEL_DEFAULT="]).start()  # nothing is named: /models is what is served
    try:
        c.wait_ready()
        assert {m["name"] for m in json.loads(c.get("/v2/repository/index", b"{}")[1])} == {"iris"}
    finally:
        assert c.stop() == 0


# --- the same, always ---

def test_folder_time_and_umask_make_no_difference(image, tmp_path):
    other = write_package(tmp_path / "elsewhere" / "copy")
    for f in other.iterdir():
        os.utime(f, (1, 1))
        f.chmod(0o600)
    old = os.umask(0o077)
    try:
        again = build("copy", "-t", "fraud:2.1.0", "-o", "again.tar", cache=tmp_path / "cache", cwd=other.parent,
                      env={"TZ": "Asia/Tokyo", "TMPDIR": str(tmp_path)})
    finally:
        os.umask(old)
    assert again["digest"] == image[0]["digest"]
    assert not any(layer["kept"] for layer in again["layers"])
    assert (other.parent / "again.tar").read_bytes() == image[1].read_bytes()


def test_source_date_epoch_is_the_time_of_everything(package, cache, tmp_path):
    build(package, "-t", "x:1", "-o", tmp_path / "x.tar", "--compression", "none", cache=cache,
          env={"SOURCE_DATE_EPOCH": "1700000000"})
    layout = Layout(tmp_path / "x.tar")
    assert {m.mtime for m, _ in layout.files().values()} == {1700000000}
    assert json.loads(layout.blob(layout.manifest["config"]))["created"] == "2023-11-14T22:13:20Z"


def test_another_galley_moves_one_layer(image, package, cache, tmp_path):
    changed = build(package, "-t", "fraud:2.1.0", "-o", tmp_path / "x.tar", "--galley",
                    another_galley(tmp_path / "galley"), cache=cache)
    before = {layer["name"]: layer["digest"] for layer in image[0]["layers"]}
    after = {layer["name"]: layer["digest"] for layer in changed["layers"]}
    assert [name for name in before if before[name] != after[name]] == ["galley"]
    assert [layer["name"] for layer in changed["layers"] if not layer["kept"]] == ["galley"]


@registry_server.needs_registry
@needs_tools
def test_push_moves_what_is_missing_and_the_bill_refers_to_the_image(package, cache, tmp_path):
    with registry_server.DockerRegistry() as registry:
        name = f"{registry.host}/fraud:2.1.0"
        first = build(package, "-t", name, "--push", cache=cache)
        assert first["blobs_moved"] == len(first["layers"]) + 1
        assert inspect(f"docker://{name}", "--tls-verify=false")["Digest"] == first["digest"]
        second = build(package, "-t", name, "--push", "--galley", another_galley(tmp_path / "galley"), cache=cache)
        assert second["blobs_moved"] == 2  # galley's layer, the configuration
        galley_layer = next(layer for layer in second["layers"] if layer["name"] == "galley")
        assert galley_layer["size"] <= second["bytes_moved"] < galley_layer["size"] + 100_000
        by_digest = f"{registry.host}/fraud@{first['digest']}"
        assert inspect(f"docker://{by_digest}", "--tls-verify=false")["Digest"] == first["digest"]
        # docker-registry has no referrers API: the fallback tag has them
        tag = first["digest"].replace(":", "-")
        index = inspect(f"docker://{registry.host}/fraud:{tag}", "--tls-verify=false", "--raw")
        assert index["manifests"][0]["artifactType"] == "application/spdx+json"


def test_images_of_different_models_share_all_but_the_model(image, cache, tmp_path):
    other = build(harness.SOURCE / "examples" / "packages" / "iris", "-t", "iris:1", "-o", tmp_path / "iris.tar", cache=cache)
    shared = {layer["name"] for layer in other["layers"]} - {"weights", "package"}
    ours, theirs = ({x["name"]: x["digest"] for x in report["layers"]} for report in (image[0], other))
    assert shared == {name for name in ours if ours[name] == theirs[name]} == {"system", "runtime", "engine", "galley"}
    assert all(x["kept"] for x in other["layers"] if x["name"] in shared)


# --- options ---

@needs_tools
def test_zstd_is_what_skopeo_unpacks(package, cache, tmp_path):
    report = build(package, "-t", "x:1", "-o", f"{tmp_path}/oci/", "--compression", "zstd", cache=cache)
    assert {layer["media_type"].split("+")[1] for layer in report["layers"]} == {"zstd"}
    run("skopeo", "copy", "--dest-decompress", f"oci:{tmp_path}/oci:1", f"dir:{tmp_path}/dir")
    config = json.loads(Layout(tmp_path / "oci").blob(Layout(tmp_path / "oci").manifest["config"]))
    for diff_id in config["rootfs"]["diff_ids"]:
        data = (tmp_path / "dir" / diff_id.split(":")[1]).read_bytes()
        assert "sha256:" + hashlib.sha256(data).hexdigest() == diff_id


def test_without_weights_there_is_a_source_and_what_fetching_needs(package, cache, tmp_path):
    build(package, "-t", "x:1", "-o", tmp_path / "x.tar", "--without-weights", "--source",
          "oci://r.example.com/models/fraud:2.1.0", "--compression", "none", cache=cache)
    layout = Layout(tmp_path / "x.tar")
    files = layout.files()
    assert not any(name.startswith("models") for name in files)
    assert "opt/galley/lib/libcurl.so.4" in files and "etc/ssl/certs/ca-certificates.crt" in files
    config = json.loads(layout.blob(layout.manifest["config"]))["config"]
    assert "MODEL_DEFAULT=oci://r.example.com/models/fraud:2.1.0" in config["Env"]
    assert config["Entrypoint"] == ["/opt/galley/bin/galley", "serve"]


def test_what_docker_run_names_stands_above_the_images_own_source(package, cache, tmp_path):
    """The image's environment with variables of a deployment added, as a container gets it."""
    build(package, "-t", "x:1", "-o", tmp_path / "x.tar", "--without-weights", "--source", "http://localhost:1/own.onnx",
          "--compression", "none", cache=cache)
    layout = Layout(tmp_path / "x.tar")
    image = json.loads(layout.blob(layout.manifest["config"]))["config"]["Env"]
    env = {k: v for k, v in (e.split("=", 1) for e in image) if k not in ("PATH", "GALLEY_HTTP_PORT")}
    for given, words in [({}, "localhost:1/own.onnx"), ({"MODEL_PATH": "http://localhost:1/p.onnx"}, "localhost:1/p.onnx"),
                         ({"MODEL_BUCKET": "http://localhost:1/b", "MODEL_VERSION": "2.0.0"}, "localhost:1/b/2.0.0/"),
                         ({"MODEL_NAME": "n", "MODEL_VERSION": "3"}, "./models/n/3/")]:
        done = galley("serve", "--http-port", 0, env={"HOME": tmp_path, **env, **given})
        assert done.returncode == 1 and words in done.stderr, done.stderr
    volume = tmp_path / "volume" / "fraud" / "7"
    shutil.copytree(package, volume)
    with harness.Server(env={"HOME": tmp_path, **env, "MODEL_SOURCE": "volume", "MODEL_NAME": "fraud", "MODEL_VERSION": "7",
                             "MODEL_VOLUME_PATH": tmp_path / "volume"}) as server:
        assert server.get("/v2/models/fraud").status == 200


def test_labels_variables_user_and_port_are_the_users(package, cache, tmp_path):
    build(package, "-t", "x:1", "-o", tmp_path / "x.tar", "--label", "team=risk", "--label",
          "org.opencontainers.image.title=mine", "--env", "GALLEY_LOG_LEVEL=warn", "--user", "1000:2000", "--port",
          "9000", "--compression", "none", cache=cache)
    layout = Layout(tmp_path / "x.tar")
    config = json.loads(layout.blob(layout.manifest["config"]))["config"]
    assert config["Labels"]["team"] == "risk" and config["Labels"]["org.opencontainers.image.title"] == "mine"
    assert config["User"] == "1000:2000" and config["ExposedPorts"] == {"9000/tcp": {}}
    assert {"GALLEY_LOG_LEVEL=warn", "GALLEY_HTTP_PORT=9000"} <= set(config["Env"])
    assert b"nonroot:x:1000:2000:" in layout.files()["etc/passwd"][1]


@pytest.mark.parametrize("text, want", [
    ("interval=30s,timeout=5s,retries=3", (30, 5, 60, 3)), ("start-period=2m,timeout=10", (30, 10, 120, 3)), ("retries=5", (30, 10, 60, 5))])
def test_when_health_is_asked_is_the_users(package, cache, tmp_path, text, want):
    build(package, "-t", "x:1", "-o", tmp_path / "x.tar", "--health", text, "--without-weights", "--source", "/models", cache=cache)
    layout = Layout(tmp_path / "x.tar")
    check = json.loads(layout.blob(layout.manifest["config"]))["config"]["Healthcheck"]
    assert (check["Interval"], check["Timeout"], check["StartPeriod"]) == tuple(n * 10**9 for n in want[:3])
    assert check["Retries"] == want[3] and check["Test"][-1] == "health"


def test_health_may_be_off(package, cache, tmp_path):
    build(package, "-t", "x:1", "-o", tmp_path / "x.tar", "--health", "off", "--without-weights", "--source", "/models", cache=cache)
    layout = Layout(tmp_path / "x.tar")
    assert json.loads(layout.blob(layout.manifest["config"]))["config"]["Healthcheck"] == {"Test": ["NONE"]}


@pytest.mark.parametrize("options, words", [
    (["-t", "x:1", "--health", "interval=fast"], "--health"),
    (["-t", "x:1", "--health", "often=1s"], "'often' is not interval, timeout, start-period or retries"),
    ([], "-t REFERENCE is missing"),
    (["-t", "UPPER:1"], "UPPER"),
    (["-t", "x:1", "--without-weights"], "--without-weights needs --source"),
    (["-t", "x:1", "--source", "s3://b/k"], "--source goes with --without-weights"),
    (["-t", "x:1", "--user", "nobody"], "--user: 'nobody' is not UID or UID:GID"),
    (["-t", "x:1", "--label", "x"], "--label: 'x' is not KEY=VALUE"),
    (["-t", "x:1", "--port", "0"], "--port"),
    (["-t", "x:1", "--platform", "windows/amd64"], "--platform: 'windows/amd64'"),
    (["-t", "x:1", "--compression", "lzma"], "'lzma' is not gzip, zstd or none"),
])
def test_a_wrong_option_is_told(package, cache, options, words):
    done = galley("image", "build", package, *options, "--cache", cache)
    assert done.returncode == 2 and words in done.stderr, done.stderr


@pytest.mark.parametrize("options, words", [
    (["--platform", "linux/riscv64"], "the platform is riscv64"),
    (["--sysroot", "/nonexistent"], "is missing"),
    (["--galley", "/bin/true"], "it was linked without the RPATH"),
    (["--onnxruntime", "/etc/passwd"], "/etc/passwd: not an ELF file"),
    (["--base", "/etc/passwd"], "/etc/passwd"),
    (["--platform", "linux/arm64", "--base", "/etc/passwd"], "/etc/passwd"),
])
def test_what_does_not_fit_is_told(package, cache, tmp_path, options, words):
    done = galley("image", "build", package, "-t", "x:1", "-o", tmp_path / "x.tar", *options, "--cache", cache)
    assert done.returncode == 1 and words in done.stderr, done.stderr
    assert not (tmp_path / "x.tar").exists()


# --- base, index, modelcar ---

@pytest.fixture(scope="session")
def cuda_base(tmp_path_factory):
    """An image of somebody else's, by umoci: a file, a variable, a CUDA."""
    if image_tools.MISSING:
        pytest.skip(f"{image_tools.MISSING} missing; run: tools/setup test")
    dir = tmp_path_factory.mktemp("base")
    (dir / "hello").write_text("from the base\n")
    run("umoci", "init", "--layout", dir / "oci")
    run("umoci", "new", "--image", f"{dir}/oci:base")
    run("umoci", "insert", "--image", f"{dir}/oci:base", dir / "hello", "/hello")
    run("umoci", "config", "--image", f"{dir}/oci:base", "--config.env", "CUDA_VERSION=12.1.1", "--config.env",
        "PATH=/usr/bin", "--config.workingdir", "/work")
    return dir / "oci"


@needs_tools
def test_a_base_keeps_its_layers_and_settings(package, cache, cuda_base, tmp_path):
    report = build(package, "-t", "x:1", "-o", tmp_path / "x.tar", "--base", cuda_base, cache=cache)
    base = Layout(cuda_base)
    seen = inspect(f"oci-archive:{tmp_path}/x.tar", "--config", "--raw")
    assert [layer["digest"] for layer in report["layers"]][:1] == [layer["digest"] for layer in base.manifest["layers"]]
    assert "system" not in [layer["name"] for layer in report["layers"]]
    assert {"CUDA_VERSION=12.1.1", "PATH=/opt/galley/bin:/usr/bin"} <= set(seen["config"]["Env"])
    assert seen["config"]["WorkingDir"] == "/work"
    assert seen["config"]["Labels"]["org.opencontainers.image.base.digest"] == base.index["manifests"][-1]["digest"]
    assert "etc/passwd" not in Layout(tmp_path / "x.tar").files(first=1)


@pytest.fixture(scope="session")
def debian_like(tmp_path_factory):
    """A base with a shell and users of its own, as a distribution's is."""
    if image_tools.MISSING:
        pytest.skip(f"{image_tools.MISSING} missing; run: tools/setup test")
    dir = tmp_path_factory.mktemp("debian-like")
    run("umoci", "init", "--layout", dir / "oci")
    run("umoci", "new", "--image", f"{dir}/oci:base")
    run("umoci", "unpack", *([] if os.geteuid() == 0 else ["--rootless"]), "--image", f"{dir}/oci:base", dir / "bundle")
    root = dir / "bundle" / "rootfs"
    for folder in ("bin", "etc", "tmp", "srv"):
        (root / folder).mkdir()
    (root / "tmp").chmod(0o1777)
    shutil.copy("/bin/busybox", root / "bin" / "busybox")
    (root / "bin" / "sh").symlink_to("busybox")
    (root / "etc" / "passwd").write_text("root:x:0:0:root:/:/bin/sh\nmodelserver:x:1001:1001::/srv:/bin/sh\n")
    (root / "etc" / "group").write_text("root:x:0:\nmodelserver:x:1001:\n")
    run("umoci", "repack", "--image", f"{dir}/oci:base", dir / "bundle")
    run("umoci", "config", "--image", f"{dir}/oci:base", "--config.env", "CUDA_VERSION=12.1.1", "--config.env",
        "NV_CUDA_LIB_VERSION=12.1.1-1", "--config.env", "NVIDIA_REQUIRE_CUDA=cuda>=12.1 brand=tesla", "--config.env",
        "PATH=/usr/local/nvidia/bin:/bin", "--config.label", "maintainer=somebody", "--config.label",
        "org.opencontainers.image.version=22.04")
    return dir / "oci"


@needs_tools
@registry_server.needs_registry
def test_on_a_base_of_a_registry_galley_runs_beside_the_bases_own_programs(package, cache, debian_like, tmp_path):
    if os.geteuid() != 0 or not os.access("/bin/busybox", os.X_OK):
        pytest.skip("needs root, for runc with the image's own user, and busybox-static")
    with registry_server.DockerRegistry() as registry:
        base, name = f"{registry.host}/vendor/cuda:12.1.1-runtime", f"{registry.host}/fraud:2.1.0-cuda"
        run("skopeo", "copy", "--dest-tls-verify=false", f"oci:{debian_like}:base", f"docker://{base}")
        report = build(package, "-t", name, "--push", "--base", base, "--user", "modelserver", cache=cache)
        assert report["warnings"] == []
        below = Layout(debian_like)
        assert [x["digest"] for x in report["layers"] if x["name"] == "base"] == [x["digest"] for x in below.manifest["layers"]]
        run("skopeo", "copy", "--src-tls-verify=false", f"docker://{name}", f"oci:{tmp_path}/oci:x")
    config = json.loads(Layout(tmp_path / "oci").blob(Layout(tmp_path / "oci").manifest["config"]))["config"]
    labels = config["Labels"]
    assert labels["org.opencontainers.image.base.name"] == base and labels["maintainer"] == "somebody"
    assert labels["org.opencontainers.image.version"] == "2.1.0"  # what a base says of itself is not true of the image
    assert "NVIDIA_REQUIRE_CUDA=cuda>=12.1 brand=tesla" in config["Env"] and config["User"] == "modelserver"
    c = Container(tmp_path / "oci", "x", tmp_path)
    assert c.user["uid"] == 1001
    c.start()
    try:
        c.wait_ready()
        status, body = c.get("/v2/models/fraud")
        assert status == 200 and json.loads(body)["name"] == "fraud"
        assert c.exec("/bin/sh", "-c", "echo of the base").stdout == "of the base\n"
        assert c.exec("galley", "health").returncode == 0
    finally:
        assert c.stop() == 0


@needs_tools
@registry_server.needs_registry
def test_a_base_in_dockers_own_form_becomes_an_oci_image(package, cache, cuda_base, tmp_path):
    """Docker Hub's images are of Docker's media types, which no OCI manifest may hold."""
    with registry_server.DockerRegistry() as registry:
        name = f"{registry.host}/hub/base:1.0.0"
        run("skopeo", "copy", "--format", "v2s2", "--dest-tls-verify=false", f"oci:{cuda_base}:base", f"docker://{name}")
        report = build(package, "-t", "x:1", "-o", f"{tmp_path}/oci/", "--base", name, cache=cache)
        assert {layer["media_type"] for layer in report["layers"]} == {"application/vnd.oci.image.layer.v1.tar+gzip"}
        run("umoci", "unpack", *([] if os.geteuid() == 0 else ["--rootless"]), "--image", f"{tmp_path}/oci:1", tmp_path / "bundle")
        assert (tmp_path / "bundle" / "rootfs" / "hello").read_text() == "from the base\n"
        done = galley("image", "index", name, "-t", f"{registry.host}/hub/all:1", "--push")
        assert done.returncode == 0, done.stderr
        index = inspect(f"docker://{registry.host}/hub/all:1", "--raw", "--tls-verify=false")
        assert index["manifests"][0]["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
        run("skopeo", "copy", "--src-tls-verify=false", f"docker://{registry.host}/hub/all:1", f"dir:{tmp_path}/copied")


@needs_tools
def test_a_base_by_path_names_nothing_and_its_folder_makes_no_difference(package, cache, cuda_base, tmp_path):
    first = build(package, "-t", "x:1", "-o", tmp_path / "a.tar", "--base", cuda_base, cache=cache)
    shutil.copytree(cuda_base, tmp_path / "moved")
    second = build(package, "-t", "x:1", "-o", tmp_path / "b.tar", "--base", tmp_path / "moved", cache=cache)
    assert first["digest"] == second["digest"]
    labels = inspect(f"oci-archive:{tmp_path}/a.tar", "--config", "--raw")["config"]["Labels"]
    assert "org.opencontainers.image.base.name" not in labels


@needs_tools
@registry_server.needs_registry
def test_a_base_is_looked_at_before_it_is_stood_on(package, cache, cuda_base, tmp_path):
    """nvidia/cuda's -devel images say so in variables, python's in their names."""
    with registry_server.DockerRegistry() as registry:
        run("cp", "-r", cuda_base, tmp_path / "devel")
        run("umoci", "config", "--image", f"{tmp_path}/devel:base", "--config.env", "NV_CUDA_LIB_VERSION=12.1.1-1", "--config.env",
            "NV_CUDA_CUDART_DEV_VERSION=12.1.105-1")
        for layout, name in [(tmp_path / "devel", "vendor/cuda:12.1.1"), (cuda_base, "python:3.10"), (cuda_base, "python:3.10.12-slim")]:
            run("skopeo", "copy", "--dest-tls-verify=false", f"oci:{layout}:base", f"docker://{registry.host}/{name}")
        told = {name: " ".join(build(package, "-t", "x:1", "-o", tmp_path / "x.tar", "--base", f"{registry.host}/{name}",
                                     cache=cache)["warnings"]) for name in ("vendor/cuda:12.1.1", "python:3.10", "python:3.10.12-slim")}
        assert "-devel image" in told["vendor/cuda:12.1.1"] and "moves" not in told["vendor/cuda:12.1.1"]
        assert "a tag that moves" in told["python:3.10"] and "full image" in told["python:3.10"]
        assert told["python:3.10.12-slim"] == ""


@needs_tools
def test_a_package_that_requires_cuda_needs_a_base_with_it(cache, cuda_base, tmp_path):
    package = write_package(tmp_path / "fraud", "numpy==2.1.0\n")
    (package / "galley.yaml").write_text(YAML + "require: cuda\n")
    args = ["image", "build", package, "-t", "x:1", "-o", tmp_path / "x.tar", "--cache", cache]
    done = galley(*args, timeout=280)
    assert done.returncode == 1 and "the package requires CUDA, and nothing of the image has it" in done.stderr
    done = galley(*args, "--base", cuda_base, timeout=280)
    assert done.returncode == 0 and "CUDA" not in done.stderr, done.stderr
    run("cp", "-r", cuda_base, tmp_path / "plain")
    run("umoci", "config", "--image", f"{tmp_path}/plain:base", "--clear=config.env")
    done = galley(*args, "--base", tmp_path / "plain", timeout=280)
    assert done.returncode == 0 and "does not say (CUDA_VERSION) that it has one" in done.stderr


@needs_tools
def test_a_base_for_another_machine_is_refused(package, cache, tmp_path):
    done = galley("image", "modelcar", package, "-t", "m:1", "--native", "--platform", "linux/s390x", "-o",
                  tmp_path / "base.tar", "--cache", cache)
    assert done.returncode == 0, done.stderr
    done = galley("image", "build", package, "-t", "x:1", "-o", tmp_path / "x.tar", "--base", tmp_path / "base.tar",
                  "--cache", cache)
    assert done.returncode == 1 and "s390x" in done.stderr, done.stderr


@needs_tools
@pytest.mark.parametrize("tag, code", [("cu121", 0), ("cu118", 1)])
def test_the_freeze_lists_cuda_is_held_against_the_bases(cache, cuda_base, tmp_path, tag, code):
    package = write_package(tmp_path / "fraud", f"torch==2.2.0+{tag}\n")
    done = galley("image", "build", package, "-t", "x:1", "-o", tmp_path / "x.tar", "--base", cuda_base, "--cache",
                  cache, timeout=280)
    assert done.returncode == code, done.stderr
    if code:
        assert "the freeze list is of CUDA 11.8, the base image has CUDA 12.1" in done.stderr


@needs_tools
def test_an_index_gives_each_machine_its_image(package, cache, tmp_path):
    digests = {}
    for arch in ("amd64", "arm64"):
        done = galley("image", "modelcar", package, "-t", "m:1", "--native", "--platform", f"linux/{arch}", "-o",
                      tmp_path / f"{arch}.tar", "--cache", cache)
        assert done.returncode == 0, done.stderr
        digests[arch] = done.stdout.strip().split("@")[1]
    done = galley("image", "index", tmp_path / "amd64.tar", tmp_path / "arm64.tar", "-t", "m:1", "-o",
                  tmp_path / "all.tar")
    assert done.returncode == 0, done.stderr
    for arch, digest in digests.items():
        copied = tmp_path / arch
        run("skopeo", "copy", "--override-arch", arch, f"oci-archive:{tmp_path}/all.tar", f"oci:{copied}:x")
        assert Layout(copied).index["manifests"][0]["digest"] == digest
    twice = galley("image", "index", tmp_path / "amd64.tar", tmp_path / "amd64.tar", "-t", "m:1", "-o",
                   tmp_path / "twice.tar")
    assert twice.returncode == 1 and "are both for linux/amd64" in twice.stderr


def test_a_modelcar_has_the_data_and_what_its_sidecar_runs(package, cache, tmp_path):
    if not os.access("/bin/busybox", os.X_OK):
        pytest.skip("busybox-static is missing; run: tools/setup test")
    done = galley("image", "modelcar", package, "-t", "m:1", "-o", tmp_path / "m.tar", "--cache", cache)
    assert done.returncode == 0, done.stderr
    files = Layout(tmp_path / "m.tar").files()
    assert files["models/galley.yaml"][1].decode() == YAML and "models/model.onnx" in files
    assert files["bin/sh"][0].linkname == "busybox"
    for name, (member, data) in files.items():
        if member.isfile():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(data)
    busybox = tmp_path / "bin" / "busybox"
    busybox.chmod(busybox.stat().st_mode | stat.S_IXUSR)
    run(busybox, "sh", "-c", f"{busybox} ln -sf {tmp_path}/models {tmp_path}/mnt && {busybox} sleep 0")
    assert (tmp_path / "mnt" / "galley.yaml").read_text() == YAML
