# SPDX-License-Identifier: Apache-2.0
"""galley image dockerfile: what it writes is carried out here, line by line, without docker."""
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

import harness
from image_tools import Layout

FRAUD = harness.SOURCE / "examples" / "packages" / "fraud"
ENGINE = harness.SOURCE / "build" / "deps" / "onnxruntime" / "lib" / "libonnxruntime.so.1"
IMAGE = "r.example.com/galley:0.1.0"


def write(context, package, *options):
    """{stage: [(instruction, text)]} of the Dockerfile for this context; the last stage is ''."""
    done = harness.galley("image", "dockerfile", package, "-o", context, "--force", *options)
    assert done.returncode == 0, done.stderr
    lines = re.sub(r"\\\n\s*", " ", (context / "Dockerfile").read_text()).splitlines()
    stages = {}
    for line in lines:
        if not line or line.startswith("#"):
            continue
        word, text = line.split(" ", 1)
        if word == "FROM":
            steps = stages[text.split(" AS ")[1] if " AS " in text else ""] = []
        steps.append((word, text))
    return stages


def carry_out(steps, context, root):
    """COPY and RUN of a stage: /build is a folder of root's, galley is on the PATH."""
    bin = root / "bin"
    bin.mkdir(parents=True)
    (bin / "galley").symlink_to(harness.BIN)
    for word, text in steps:
        if word == "COPY":
            source, target = json.loads(text) if text.startswith("[") else shlex.split(text)
            assert not source.startswith(("-", "<")), text  # an option, a here-document
            source, place = context / source, Path(f"{root}{target}")
            place.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, place)
            else:
                shutil.copy(source, place / source.name if target.endswith("/") else place)
        elif word == "RUN":
            done = subprocess.run(["sh", "-c", re.sub(r"(?<= )/build/", f"{root}/build/", text)], capture_output=True, text=True,
                                  env=harness.child_env(PATH=f"{bin}:/usr/bin:/bin"), timeout=120 * harness.SCALE, check=False)
            assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"


@pytest.fixture
def context(tmp_path):
    """A build context with the package packed, as a directory, and under names that COPY reads otherwise."""
    context = tmp_path / "context"
    shutil.copytree(FRAUD, context / "fraud")
    (context / "of others").mkdir()
    done = harness.galley("pack", context / "fraud", "-o", context / "fraud-2.1.0.galley")
    assert done.returncode == 0, done.stderr
    for name in ("of others/a b.galley", "--x.galley", "<<x"):
        shutil.copy(context / "fraud-2.1.0.galley", context / name)
    return context


@pytest.mark.parametrize("options", [[], ["--galley-image", IMAGE]])
@pytest.mark.parametrize("package", ["fraud", "fraud-2.1.0.galley", "of others/a b.galley", "--x.galley", "<<x"])
def test_the_builder_stage_proves_and_unpacks_the_package(context, tmp_path, package, options):
    stages = write(context, context / package, *options)
    assert list(stages) == ["runtime", "builder", ""] and stages["builder"][0] == ("FROM", "runtime AS builder")
    assert stages[""][0] == ("FROM", "runtime") and "--from=builder" in dict(stages[""])["COPY"]
    carry_out(stages["builder"], context, tmp_path / "root")
    done = harness.galley("verify", "--json", tmp_path / "root" / "build" / "model")
    assert done.returncode == 0 and '"sealed":true' in done.stdout and '"verified":true' in done.stdout, done.stdout


def test_a_package_that_does_not_prove_itself_ends_the_build(context, tmp_path):
    golden = context / "fraud" / "golden.json"
    golden.write_text(re.sub(r'"data": ?\[[^]]*\]', '"data": [9]', golden.read_text()))
    stages = write(context, context / "fraud")
    with pytest.raises(AssertionError, match="galley"):
        carry_out(stages["builder"], context, tmp_path / "root")


def test_a_package_outside_the_context_is_told_of(tmp_path):
    (tmp_path / "here").mkdir()
    done = harness.galley("image", "dockerfile", FRAUD, "-o", tmp_path / "here")
    assert done.returncode == 0 and "into the build context, as fraud" in done.stderr
    assert "\nCOPY fraud /build/package/\n" in (tmp_path / "here" / "Dockerfile").read_text()
    done = harness.galley("image", "dockerfile", FRAUD, "-o", FRAUD)
    assert done.returncode == 1 and "the folder of the Dockerfile itself" in done.stderr
    shutil.copytree(FRAUD, tmp_path / "here" / "$HOME")
    done = harness.galley("image", "dockerfile", tmp_path / "here" / "$HOME", "-o", tmp_path / "here", "--force")
    assert done.returncode == 1 and "cannot copy" in done.stderr


# --- the runtime stage ---------------------------------------------------------------------------

def owners(file):
    """Debian's packages of the libraries that a file is linked with, and of theirs."""
    text = subprocess.run(["ldd", file], capture_output=True, text=True, check=True).stdout
    found = [Path(p) for p in re.findall(r"=> (/\S+)", text)]
    assert found and "not found" not in text
    owned = subprocess.run(["dpkg", "-S", *[f"*/{p.parent.name}/{p.name}" for p in found]], capture_output=True, text=True,
                           check=True).stdout
    return {line.split(":")[0] for line in owned.splitlines()} - {"libc6"}  # which the base has


def with_depends(packages):
    """What apt installs beside them."""
    todo, done = list(packages), set()
    while todo:
        name = todo.pop()
        if name in done:
            continue
        done.add(name)
        text = subprocess.run(["dpkg-query", "-W", "-f", "${Pre-Depends}, ${Depends}\n", name], capture_output=True,
                              text=True, check=False).stdout
        todo += [w.split()[0].split(":")[0] for w in re.split(r"[,|\n]", text) if w.strip()]
    return done


def installed(steps):
    """Packages that the stage has apt install, as they are named."""
    lines = [t for w, t in steps if w == "RUN" and "apt-get install" in t]
    assert len(lines) == 1
    return [w for w in lines[0].split("--no-install-recommends")[1].split("&&")[0].split()]


@pytest.mark.skipif(harness.SANITIZE or not shutil.which("dpkg"), reason="sanitizers' libraries are not shipped; Debian's packages")
@pytest.mark.parametrize("options", [[], ["--without-weights"]])
def test_the_libraries_that_galley_and_the_engine_need_are_installed(context, options):
    steps = write(context, context / "fraud", *options)["runtime"]
    names = installed(steps)
    needed = owners(harness.BIN) | owners(ENGINE) | ({"libcurl4", "ca-certificates"} if options else set())
    assert needed <= with_depends(names) and {"libuv1", "libyaml-0-2", "libssl3"} <= needed
    assert set(names) <= needed, "what nothing needs"
    copies = [t for w, t in steps if w == "COPY"]
    assert copies == ["lib/libonnxruntime.so.1 /usr/local/lib/", "galley /usr/local/bin/"]  # ../lib of the binary's folder


def test_galley_finds_the_engine_where_the_runtime_stage_puts_it(tmp_path):
    local = tmp_path / "usr" / "local"
    for part in ("lib", "bin"):
        (local / part).mkdir(parents=True)
    engine = local / "lib" / "libonnxruntime.so.1"
    engine.write_bytes(b"no library")  # whoever finds it says so
    shutil.copy(harness.BIN, local / "bin")
    env = harness.child_env(PATH="/usr/bin:/bin")
    env.pop("GALLEY_ONNXRUNTIME", None)
    done = subprocess.run([local / "bin" / "galley", "verify", FRAUD], capture_output=True, text=True, env=env, check=False, timeout=60)
    assert done.returncode == 1 and str(engine) in done.stderr.replace("/bin/../", "/"), done.stderr
    shutil.copy(ENGINE, engine)
    done = subprocess.run([local / "bin" / "galley", "verify", FRAUD], capture_output=True, text=True, env=env, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(harness.SANITIZE, reason="nobody ships a galley with sanitizers, and gzip of it takes minutes")
def test_what_is_copied_from_a_galley_image_is_in_images_that_galley_builds(context, tmp_path):
    archive = tmp_path / "galley.tar"
    done = harness.galley("image", "build", context / "fraud", "-t", IMAGE, "-o", archive, "--cache", tmp_path / "layers",
                          "--without-weights", "--source", "oci://r.example.com/models/fraud:2.1.0", timeout=280)
    assert done.returncode == 0, done.stderr
    files = {"/" + name.strip("/") for name in Layout(archive).files()}
    for options in ([], ["--without-weights"]):
        steps = write(context, context / "fraud", "--galley-image", IMAGE, *options)["runtime"]
        copied = [t.split()[1] for w, t in steps if w == "COPY" and t.startswith(f"--from={IMAGE} ")]
        assert all(c in files or any(f.startswith(c + "/") for f in files) for c in copied), copied
        assert "/opt/galley" in copied and ("ENV", "PATH=/opt/galley/bin:$PATH") in steps and "/opt/galley/bin/galley" in files
        assert ("/etc/ssl/certs/ca-certificates.crt" in copied) == bool(options)
        assert "/opt/galley/lib/libcurl.so.4" in files and not any("apt-get" in t for _, t in steps)
