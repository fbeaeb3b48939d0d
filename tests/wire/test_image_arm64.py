# SPDX-License-Identifier: Apache-2.0
"""One name for two architectures. Where tools/cross has built galley for arm64, the image of it runs too, emulated."""
import json
import os
import shutil
import struct
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

import harness
import packages
import registry_server
from harness import galley
from image_tools import Layout, inspect, needs_tools, run

pytestmark = pytest.mark.skipif(harness.SANITIZE, reason="nobody ships a galley with sanitizers, and gzip of it takes minutes")
X86_64, AARCH64 = 62, 183
ARM = harness.SOURCE / "build" / "arm64"
QEMU = shutil.which("qemu-aarch64-static")
needs_arm = pytest.mark.skipif(not (ARM / "galley").is_file(), reason="build/arm64/galley is missing; run: tools/cross arm64")


def machine(data):
    return struct.unpack_from("<H", data, 18)[0] if data[:4] == b"\x7fELF" else None


def build(*args, cache, code=0):
    done = galley("image", "build", *args, "--cache", cache, "--json", timeout=280)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout) if done.stdout else done.stderr


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("layers")


@pytest.fixture(scope="session")
def fraud(tmp_path_factory):
    return packages.copy("fraud", tmp_path_factory.mktemp("package") / "fraud")


@pytest.fixture(scope="session")
def native(tmp_path_factory, fraud, cache):
    path = tmp_path_factory.mktemp("native") / "fraud.tar"
    return build(fraud, "-t", "fraud:2.1.0", "-o", path, cache=cache), path


@pytest.fixture(scope="session")
def arm(tmp_path_factory, fraud, cache):
    """(report, layout) of the arm64 build; the package is not packed, so it proves itself here."""
    path = tmp_path_factory.mktemp("arm") / "oci"
    return build(fraud, "-t", "fraud:2.1.0", "-o", f"{path}/", "--platform", "linux/arm64", "--galley", ARM / "galley",
                 "--onnxruntime", ARM / "deps" / "onnxruntime" / "lib" / "libonnxruntime.so.1", "--sysroot", ARM / "root",
                 cache=cache), path


# --- another machine's files, told by their ELF headers alone ---

@pytest.fixture
def foreign(native, tmp_path):
    """A root of another architecture: this system's libraries, each saying that it is for arm64, in Debian's places for
    that; this machine's own stand where they would be found first."""
    if native[0]["architecture"] != "amd64":
        pytest.skip("the files of this test are made of amd64's")
    root, files = tmp_path / "root", Layout(native[1]).files()
    for folder, change in (("usr/lib/aarch64-linux-gnu", True), ("lib64", False), ("lib/aarch64-linux-gnu", False)):
        (root / folder).mkdir(parents=True)
        for name, (member, data) in files.items():
            if name.startswith("opt/galley/lib/") and member.isfile() and "onnxruntime" not in name:
                data = data[:18] + struct.pack("<H", AARCH64) + data[20:] if change else data
                (root / folder / Path(name).name).write_bytes(data)
    loader = files["opt/galley/ld.so"][1]
    (root / "lib64" / "ld-linux-x86-64.so.2").write_bytes(loader[:18] + struct.pack("<H", AARCH64) + loader[20:])
    for name, source in (("galley", Path(harness.BIN).read_bytes()), ("engine", files["opt/galley/lib/libonnxruntime.so.1"][1])):
        (tmp_path / name).write_bytes(source[:18] + struct.pack("<H", AARCH64) + source[20:])
    return root


def test_libraries_of_another_machine_are_found_by_their_machine(native, foreign, fraud, cache, tmp_path):
    args = [fraud, "-t", "x:1", "-o", tmp_path / "x.tar", "--galley", tmp_path / "galley", "--onnxruntime", tmp_path / "engine"]
    relative = os.path.relpath(foreign)
    report = build(*args, "--sysroot", relative, "--platform", "linux/arm64", cache=cache)
    assert report["architecture"] == "arm64"
    files, ours = Layout(tmp_path / "x.tar").files(), Layout(native[1]).files()
    assert {n for n in files if n.startswith("opt/galley/lib/")} == {n for n in ours if n.startswith("opt/galley/lib/")}
    assert {machine(d) for n, (m, d) in files.items() if m.isfile() and machine(d)} == {AARCH64}
    layout = Layout(tmp_path / "x.tar")
    labels = json.loads(layout.blob(layout.manifest["config"]))["config"]["Labels"]
    assert labels["ai.galley.onnxruntime"] in galley("version").stdout  # read from the file: it cannot be opened here
    assert "the platform is amd64" in build(*args, "--sysroot", foreign, "--platform", "linux/amd64", cache=cache, code=1)
    assert "of another architecture" in build(*args[:-2], "--sysroot", foreign, cache=cache, code=1)


@needs_tools
@registry_server.needs_registry
def test_who_pulls_gets_what_is_for_their_machine(native, foreign, fraud, cache, tmp_path):
    other = build(fraud, "-t", "x:1", "-o", tmp_path / "x.tar", "--galley", tmp_path / "galley", "--onnxruntime",
                  tmp_path / "engine", "--sysroot", foreign, cache=cache)
    with registry_server.DockerRegistry() as registry:
        check_index(registry, {"amd64": (native[0]["digest"], native[1]), "arm64": (other["digest"], tmp_path / "x.tar")}, fraud,
                    tmp_path)


@needs_tools
@registry_server.needs_registry
def test_each_machine_stands_on_its_own_base_under_one_name(native, foreign, fraud, cache, tmp_path):
    """As one reference for cloud GPUs (CUDA's runtime) and Jetsons (L4T): a base for both, and a name for both."""
    with registry_server.DockerRegistry() as registry:
        base, made, digests = f"{registry.host}/vendor/cuda:12.2.0-runtime", [], {}
        for arch in ("amd64", "arm64"):
            run("umoci", "init", "--layout", tmp_path / arch)
            run("umoci", "new", "--image", f"{tmp_path / arch}:x")
            run("umoci", "unpack", *([] if os.geteuid() == 0 else ["--rootless"]), "--image", f"{tmp_path / arch}:x",
                tmp_path / f"bundle-{arch}")
            (tmp_path / f"bundle-{arch}" / "rootfs" / "says").write_text(arch)
            run("umoci", "repack", "--image", f"{tmp_path / arch}:x", tmp_path / f"bundle-{arch}")
            run("umoci", "config", "--image", f"{tmp_path / arch}:x", "--architecture", arch, "--config.env", "CUDA_VERSION=12.2.0")
            digests[arch] = Layout(tmp_path / arch).index["manifests"][0]["digest"]
        done = galley("image", "index", tmp_path / "amd64", tmp_path / "arm64", "-t", base, "--push")
        assert done.returncode == 0, done.stderr
        other = ["--platform", "linux/arm64", "--galley", tmp_path / "galley", "--onnxruntime", tmp_path / "engine", "--sysroot",
                 foreign]
        for arch, options in (("amd64", []), ("arm64", other)):
            report = build(fraud, "-t", f"fraud:2.1.0-{arch}", "-o", tmp_path / f"{arch}.tar", "--base", base, *options, cache=cache)
            layout = Layout(tmp_path / f"{arch}.tar")
            config = json.loads(layout.blob(layout.manifest["config"]))
            assert config["architecture"] == arch and "CUDA_VERSION=12.2.0" in config["config"]["Env"]
            assert config["config"]["Labels"]["org.opencontainers.image.base.digest"] == digests[arch]
            made.append((arch, report["digest"], tmp_path / f"{arch}.tar"))
        check_index(registry, {arch: (digest, path) for arch, digest, path in made}, fraud, tmp_path)


def check_index(registry, images, package, tmp_path):
    """Joins images under one name in the registry; skopeo and galley take what is for a machine."""
    name = f"{registry.host}/two/fraud:2.1.0"
    done = galley("image", "index", *(path for _, path in images.values()), "-t", name, "--push", "--json")
    assert done.returncode == 0, done.stderr
    index = inspect(f"docker://{name}", "--raw", "--tls-verify=false")
    assert {m["platform"]["architecture"]: m["digest"] for m in index["manifests"]} == {a: d for a, (d, _) in images.items()}
    for architecture, (digest, _) in images.items():
        copied = tmp_path / f"copied-{architecture}"
        run("skopeo", "copy", "--override-arch", architecture, "--src-tls-verify=false", f"docker://{name}", f"oci:{copied}:x")
        layout = Layout(copied)
        assert layout.index["manifests"][0]["digest"] == digest
        assert json.loads(layout.blob(layout.manifest["config"]))["architecture"] == architecture
        pulled = tmp_path / f"pulled-{architecture}"
        done = galley("pull", name, "--platform", f"linux/{architecture}", "-o", pulled, "-q")
        assert done.returncode == 0 and Layout(pulled).index["manifests"][0]["digest"] == digest, done.stderr
    told = galley("consistency", package, name, "--json")
    assert told.returncode == 0 and json.loads(told.stdout)["consistent"], told.stderr
    history = json.loads(galley("image", "history", "--json", name).stdout)
    ours = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    assert (history["architecture"], history["digest"]) == (ours, images[ours][0])


# --- a real one ---

@needs_arm
def test_the_arm64_image_is_made_of_arm64s_files(arm, native):
    report, path = arm
    files = Layout(path).files()
    programs = {n: machine(d) for n, (m, d) in files.items() if m.isfile() and machine(d)}
    assert set(programs.values()) == {AARCH64} and "opt/galley/ld.so" in programs, programs
    assert b"Architecture: arm64" in files["var/lib/dpkg/status.d/libc6"][1]
    assert report["architecture"] == "arm64" and report["bytes"] < 20_000_000
    ours = {layer["name"]: layer["digest"] for layer in native[0]["layers"]}
    theirs = {layer["name"]: layer["digest"] for layer in report["layers"]}
    assert {n for n in ours if ours[n] == theirs[n]} == {"weights", "package"}  # the model is the same, to the bit


@needs_arm
def test_another_machine_packs_and_builds_the_same_bits(native, fraud, tmp_path):
    """galley of arm64, under emulation, makes this machine's package and image: other instructions, other libraries."""
    here = tmp_path / "here"  # this system's files, where the emulator does not look for its own libraries
    here.mkdir()
    # What /sys tells is of another processor.
    hidden = ["unshare", "-m", "sh", "-c", f'mount -t tmpfs none /sys && mount --rbind / {here} && exec "$@"', "-"]
    if not QEMU or subprocess.run([*hidden, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("needs qemu-aarch64-static (apt-get install qemu-user-static), and root, which may mount")
    engine = next(p for p in (harness.SOURCE / "build" / "deps" / "onnxruntime" / "lib").glob("libonnxruntime.so.1*"))

    def there(*args):
        done = subprocess.run([*hidden, QEMU, "-L", ARM / "root", ARM / "galley", *map(str, args)], capture_output=True, text=True, timeout=280,
                              stdin=subprocess.DEVNULL, check=False, env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GALLEY_ONNXRUNTIME":
                              str(ARM / "deps" / "onnxruntime" / "lib" / "libonnxruntime.so.1")})
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert machine((ARM / "galley").read_bytes()) == AARCH64
    there("pack", fraud, "-o", tmp_path / "there.galley")
    assert (tmp_path / "there.galley").read_bytes() == packages.pack(fraud, tmp_path / "here.galley").read_bytes()
    report = json.loads(there("image", "build", fraud, "-t", "fraud:2.1.0", "-o", tmp_path / "there.tar", "--platform",
                              f"linux/{native[0]['architecture']}", "--galley", harness.BIN, "--onnxruntime", engine,
                              "--sysroot", here, "--cache", tmp_path / "cache", "--json"))
    assert report["digest"] == native[0]["digest"]
    assert (tmp_path / "there.tar").read_bytes() == native[1].read_bytes()


@needs_arm
@needs_tools
@registry_server.needs_registry
def test_both_builds_stand_under_one_name(arm, native, fraud, tmp_path):
    with registry_server.DockerRegistry() as registry:
        check_index(registry, {"amd64": (native[0]["digest"], native[1]), "arm64": (arm[0]["digest"], arm[1])}, fraud, tmp_path)


@needs_arm
@needs_tools
def test_the_arm64_image_proves_itself_and_answers_under_emulation(arm, tmp_path):
    if not QEMU or os.geteuid() != 0:
        pytest.skip("needs qemu-aarch64-static (apt-get install qemu-user-static) and root, for a chroot")
    run("umoci", "unpack", "--image", f"{arm[1]}:2.1.0", tmp_path / "bundle")
    root = tmp_path / "bundle" / "rootfs"
    shutil.copy(QEMU, root / "tmp" / "qemu")

    def inside():
        os.chroot(root)
        os.chdir("/")
        os.setgid(65532)
        os.setuid(65532)

    def start(*args, **options):
        return subprocess.Popen(["/tmp/qemu", "/opt/galley/bin/galley", *args], preexec_fn=inside, env={"GALLEY_LOG_LEVEL": "warn"},
                                stdin=subprocess.DEVNULL, text=True, **options)

    process = start("verify", "--json", "/models/fraud", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    told = json.loads(out)
    assert told["verified"]
    port = harness.free_port()
    with open(tmp_path / "log", "w+", encoding="utf-8") as log:
        process = start("serve", "/models", "--http-port", str(port), "--host", "127.0.0.1", stdout=log, stderr=log)
        try:
            wait_ready(process, port, log)
            example = json.loads((harness.EXAMPLES / "fraud" / "example.json").read_text())
            request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/models/fraud/predict", json.dumps(example).encode())
            with urllib.request.urlopen(request, timeout=60) as answer:
                assert json.loads(answer.read())["prediction"]["is_fraud"] in (True, False)
        finally:
            process.terminate()
            process.wait(60)


def wait_ready(process, port, log):
    end = time.monotonic() + 120
    while time.monotonic() < end:
        log.seek(0)
        assert process.poll() is None, log.read()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=10) as answer:
                if answer.status == 200:
                    return
        except OSError:
            pass
        time.sleep(0.2)
    raise AssertionError("the emulated server was not ready in 120 s")
