# SPDX-License-Identifier: Apache-2.0
"""galley push and pull against Debian's docker-registry, beside skopeo and oras."""
import json
import os
import re
import stat
import subprocess

import pytest

import certificates
import harness
import oci_files
import packages
from registry_server import (ORAS, PASSWORD, USER, DockerRegistry, TokenServer, needs_oras,
                             needs_registry)
from test_pack import write_package

pytestmark = needs_registry
BIG = os.urandom(6_000_000)
SMALL = {"model.onnx": BIG, "galley.yaml": b"galley: 1\n", "README.md": b"# a model\n"}


@pytest.fixture(scope="module")
def registry():
    with DockerRegistry() as r:
        yield r


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """No credentials but the test's own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "CURL_CA_BUNDLE",
                 "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def galley(*args, **options):
    done = harness.galley(*args, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def refused(*args, **options):
    done = harness.galley(*args, **options)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout == ""
    return done.stderr


def run(*args):
    done = subprocess.run([*map(str, args)], capture_output=True, text=True, timeout=60 * harness.SCALE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# --- there and back ------------------------------------------------------------------------------

def test_what_is_pushed_is_pulled_to_the_byte(registry, tmp_path):
    digest = oci_files.artifact(tmp_path / "a.galley", SMALL)
    ref = f"{registry.host}/there/back:1.0"
    pushed = galley("push", tmp_path / "a.galley", ref)
    assert pushed.stdout == f"{ref}@{digest}\n"
    assert "model.onnx: uploaded, 5.7 MiB" in pushed.stderr
    assert "(4 of 4 blobs)" in pushed.stderr
    pulled = galley("pull", ref, "-o", tmp_path / "b.galley")
    assert pulled.stdout == f"{ref}@{digest}\n"
    assert oci_files.layers_of(tmp_path / "b.galley") == SMALL
    assert [p for p in tmp_path.iterdir() if p.name.startswith(".b")] == []
    # By digest, under the name that follows from it, with facts for programs.
    facts = json.loads(galley("pull", f"{registry.host}/there/back@{digest}", "--json", "-q", cwd=tmp_path).stdout)
    assert facts["digest"] == digest and facts["blobs"] == 4 and facts["blobs_moved"] == 4
    assert facts["path"] == f"back-{digest[7:19]}.galley"
    assert oci_files.layers_of(tmp_path / facts["path"]) == SMALL


def test_only_missing_blobs_move(registry, tmp_path):
    ref = f"{registry.host}/only/missing"
    oci_files.artifact(tmp_path / "one.galley", SMALL)
    changed = {**SMALL, "README.md": b"# a better model\n"}
    oci_files.artifact(tmp_path / "two.galley", changed)
    galley("push", tmp_path / "one.galley", f"{ref}:1")
    before = len(registry.settled())
    facts = json.loads(galley("push", "--json", tmp_path / "two.galley", f"{ref}:2").stdout)
    assert (facts["blobs"], facts["blobs_moved"], facts["bytes_moved"]) == (4, 1, len(changed["README.md"]))
    sent = registry.settled()[before:]
    assert [s[0] for s in sent if "/blobs/uploads/" in s[1]] == ["POST", "PUT"]
    # Nothing moves twice to where it is.
    again = galley("push", tmp_path / "two.galley", f"{ref}:2")
    assert "0 bytes of 5.7 MiB moved (0 of 4 blobs)" in again.stderr
    # Nor back: what the file that is there has is not fetched.
    galley("pull", f"{ref}:1", "-o", tmp_path / "x.galley")
    before = len(registry.settled())
    facts = json.loads(galley("pull", "--json", f"{ref}:2", "-o", tmp_path / "x.galley").stdout)
    assert (facts["blobs_moved"], facts["bytes_moved"]) == (1, len(changed["README.md"]))
    fetched = [s for s in registry.settled()[before:] if s[0] == "GET" and "/blobs/" in s[1]]
    assert len(fetched) == 1 and oci_files.digest_of(changed["README.md"]) in fetched[0][1]
    assert oci_files.layers_of(tmp_path / "x.galley") == changed


def test_blobs_of_another_repository_are_mounted(registry, tmp_path):
    oci_files.artifact(tmp_path / "a.galley", SMALL)
    galley("push", tmp_path / "a.galley", f"{registry.host}/mount/from:1")
    done = galley("push", tmp_path / "a.galley", f"{registry.host}/mount/to:1", "--from", "mount/from")
    assert "model.onnx: mounted" in done.stderr and "0 bytes of" in done.stderr
    galley("pull", f"{registry.host}/mount/to:1", "-o", tmp_path / "b.galley")
    assert oci_files.layers_of(tmp_path / "b.galley") == SMALL


@pytest.mark.parametrize("size", ["1MiB", "4GiB"])
def test_uploads_go_in_requests_of_the_size_that_is_asked_for(registry, tmp_path, size):
    blob = os.urandom(5_000_000)
    oci_files.artifact(tmp_path / "a.galley", {"a": blob})
    before = len(registry.settled())
    galley("push", tmp_path / "a.galley", f"{registry.host}/in/pieces:{size.lower()}", "--chunk-size", size)
    patches = [s for s in registry.settled()[before:] if s[0] == "PATCH"]
    assert len(patches) == (5 if size == "1MiB" else 1)  # "{}" goes whole
    galley("pull", f"{registry.host}/in/pieces:{size.lower()}", "-o", tmp_path / "b.galley")
    assert oci_files.layers_of(tmp_path / "b.galley") == {"a": blob}


def test_an_index_moves_with_all_that_it_names(registry, tmp_path):
    blobs, parts = {}, []
    for arch in ("amd64", "arm64"):
        part = oci_files.manifest(blobs, {"a": arch.encode() * 1000, "common": b"c" * 5000})
        parts.append({**part, "platform": {"os": "linux", "architecture": arch}})
    top = oci_files.index(blobs, parts)
    oci_files.write_tar(tmp_path / "all.tar", blobs, [top])
    ref = f"{registry.host}/many/kinds:1"
    assert galley("push", tmp_path / "all.tar", ref).stdout == f"{ref}@{top['digest']}\n"
    galley("pull", ref, "-o", tmp_path / "back.tar")
    assert oci_files.read_tar(tmp_path / "back.tar")[0] == blobs
    galley("pull", ref, "--platform", "linux/arm64", "-o", tmp_path / "arm.tar")
    assert oci_files.layers_of(tmp_path / "arm.tar")["a"] == b"arm64" * 1000
    assert "nothing for linux/riscv64\nit has: linux/amd64, linux/arm64\n" in \
        refused("pull", ref, "--platform", "linux/riscv64", "-o", tmp_path / "none.tar")
    assert not (tmp_path / "none.tar").exists()


# --- beside others -------------------------------------------------------------------------------

def test_skopeo_reads_and_copies_what_galley_pushed_and_the_other_way_round(registry, tmp_path):
    digest = oci_files.artifact(tmp_path / "a.galley", SMALL)
    galley("push", tmp_path / "a.galley", f"{registry.host}/sk/opeo:1")
    raw = run("skopeo", "inspect", "--tls-verify=false", "--raw", f"docker://{registry.host}/sk/opeo:1")
    assert oci_files.digest_of(raw.encode()) == digest
    run("skopeo", "copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false",
        f"docker://{registry.host}/sk/opeo:1", f"docker://{registry.host}/sk/copy:2")
    assert galley("pull", f"{registry.host}/sk/copy:2", "-o", tmp_path / "b.galley").stdout.endswith(f"@{digest}\n")
    assert oci_files.layers_of(tmp_path / "b.galley") == SMALL
    # A file that galley wrote is a layout for skopeo.
    run("skopeo", "copy", "-q", f"oci-archive:{tmp_path}/b.galley", f"dir:{tmp_path}/dir")
    assert (tmp_path / "dir" / oci_files.digest_of(BIG)[7:]).read_bytes() == BIG


@needs_oras
def test_oras_pulls_what_galley_pushed_and_the_other_way_round(registry, tmp_path):
    digest = oci_files.artifact(tmp_path / "a.galley", SMALL)
    galley("push", tmp_path / "a.galley", f"{registry.host}/or/as:1")
    run(ORAS, "pull", "--plain-http", "-o", tmp_path / "out", f"{registry.host}/or/as:1")
    for name, data in SMALL.items():
        assert (tmp_path / "out" / name).read_bytes() == data
    assert run(ORAS, "resolve", "--plain-http", f"{registry.host}/or/as:1").strip() == digest
    (tmp_path / "weights.bin").write_bytes(BIG)
    subprocess.run([ORAS, "push", "--plain-http", f"{registry.host}/or/as:2", "weights.bin"], check=True, cwd=tmp_path,
                   capture_output=True, timeout=60)
    galley("pull", f"{registry.host}/or/as:2", "-o", tmp_path / "b.galley")
    assert oci_files.layers_of(tmp_path / "b.galley") == {"weights.bin": BIG}
    run(ORAS, "cp", "--from-oci-layout", f"{tmp_path}/b.galley:2", "--to-plain-http", f"{registry.host}/or/as:3")


# --- packages ------------------------------------------------------------------------------------

def test_a_mirror_is_asked_first_and_the_registry_where_nobody_answers(registry, tmp_path):
    """The host of the reference exists nowhere, but in the setting."""
    file = packages.pack(packages.copy("fraud", tmp_path / "fraud"), tmp_path / "fraud.galley")
    digest = galley("push", file, f"{registry.host}/near/models/fraud:1").stdout.strip().split("@")[1]
    env = {"REGISTRY_MIRRORS": f"other.invalid=localhost:1,registry.invalid={registry.host}/near"}
    ref = "registry.invalid/models/fraud:1"
    assert galley("pull", ref, "-o", tmp_path / "a.galley", env=env).stdout == f"{ref}@{digest}\n"
    told = json.loads(galley("consistency", file, f"oci://{ref}@{digest}", "--json", env=env).stdout)
    assert told["consistent"]
    with harness.Server(paths=[f"oci://{ref}"], env={**env, "GALLEY_CACHE_DIR": str(tmp_path / "cache")}) as server:
        assert server.get("/v2/models/fraud").status == 200
    dead = {"REGISTRY_MIRRORS": f"{registry.host}=localhost:1"}
    assert galley("pull", f"{registry.host}/near/models/fraud:1", "-o", tmp_path / "b.galley", env=dead).stdout.endswith(digest + "\n")
    assert "registry.invalid" in refused("push", file, ref, env=env)  # what is written goes to the registry itself
    assert "HOST=MIRROR is expected" in refused("pull", ref, "-o", tmp_path / "c.galley", env={"REGISTRY_MIRRORS": "x"})


def test_a_directory_that_nobody_packed_is_packed_on_the_way_and_proves_itself(registry, tmp_path):
    package, ref, env = packages.copy("fraud", tmp_path / "fraud"), f"{registry.host}/proved/fraud:1", {
        "SOURCE_DATE_EPOCH": 1700000000, "TMPDIR": f"{tmp_path}/tmp"}
    (tmp_path / "tmp").mkdir()
    digest = galley("pack", package, "-o", tmp_path / "fraud.galley", env=env).stdout.strip()
    assert galley("push", package, ref, env=env).stdout == f"{ref}@{digest}\n"
    galley("pull", ref, "-o", tmp_path / "pulled.galley")
    assert json.loads(galley("verify", "--json", tmp_path / "pulled.galley").stdout)["verified"]
    galley("pull", ref, "-o", f"{tmp_path}/pulled/")
    packages.nudge(package)
    told = refused("push", package, f"{registry.host}/proved/fraud:2", env=env)
    assert "not pushed: golden case" in told and "--no-verify" in told
    assert "no such tag" in refused("pull", f"{registry.host}/proved/fraud:2", "-o", tmp_path / "none.galley")
    assert not any((tmp_path / "tmp").iterdir())
    # That is where it would lie.
    told = refused("push", tmp_path / "pulled", ref, env={**env, "TMPDIR": f"{tmp_path}/none"})
    assert "no temporary directory" in told and f"{tmp_path}/none" in told


def test_a_package_is_the_same_wherever_it_went(registry, tmp_path):
    """Packed, pushed, pulled as a file and as a directory, pushed from there: one digest."""
    package = write_package(tmp_path / "fraud")
    ref = f"{registry.host}/models/fraud:2.1.0"
    galley("pack", package, "-o", tmp_path / "fraud.galley")
    digest = galley("push", tmp_path / "fraud.galley", ref).stdout.strip().split("@")[1]
    told = json.loads(galley("push", "--json", package, ref).stdout)
    assert (told["digest"], told["blobs_moved"]) == (digest, 0)
    galley("pull", ref, cwd=tmp_path)
    assert galley("push", tmp_path / "fraud-2.1.0.galley", ref).stdout == f"{ref}@{digest}\n"
    galley("pull", ref, "-o", f"{tmp_path}/unpacked/")
    assert (tmp_path / "unpacked" / "README.md").read_text() == "# Fraud\n"
    assert galley("push", tmp_path / "unpacked", ref).stdout == f"{ref}@{digest}\n"
    # A directory that is not empty is left alone; so is one that has been touched.
    assert "there is something in it" in refused("pull", ref, "-o", tmp_path / "unpacked")
    os.chmod(tmp_path / "unpacked" / "README.md", 0o644)
    (tmp_path / "unpacked" / "README.md").write_text("# Frauds\n")
    assert "README.md" in refused("push", tmp_path / "unpacked", ref)
    oci_files.artifact(tmp_path / "other.tar", {"a": b"b"})
    galley("push", tmp_path / "other.tar", f"{registry.host}/not/a-package:1")
    words = refused("pull", f"{registry.host}/not/a-package:1", "-o", f"{tmp_path}/unpacked2/")
    assert "no model package" in words and "-o FILE keeps it as a file" in words
    assert not (tmp_path / "unpacked2").exists() and not (tmp_path / ".unpacked2.pull").exists()


# --- who may -------------------------------------------------------------------------------------

def config_of(home):
    return json.loads((home / ".docker" / "config.json").read_text())


def test_a_registry_with_passwords(tmp_path, home):
    oci_files.artifact(tmp_path / "a.galley", SMALL)
    with DockerRegistry(htpasswd=True) as r:
        ref = f"{r.host}/closed/model:1"
        assert refused("push", tmp_path / "a.galley", ref) == \
            (f"galley: push: {r.host}/closed/model: not for everybody, and no credentials are known\n"
             f"galley login {r.host}\n")
        assert f"galley: login: {r.host}: user or password is wrong\n" in \
            refused("login", r.host, "-u", USER, "--password-stdin", stdin="falsch\n")
        assert not (home / ".docker").exists()
        done = galley("login", r.host, "-u", USER, "--password-stdin", stdin=PASSWORD + "\n")
        assert done.stdout == f"logged in to {r.host} as {USER}\n" and "not encrypted" in done.stderr
        file = home / ".docker" / "config.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert PASSWORD not in file.read_text()
        galley("push", tmp_path / "a.galley", ref)
        galley("pull", ref, "-o", tmp_path / "b.galley")
        assert oci_files.layers_of(tmp_path / "b.galley") == SMALL
        # skopeo and oras log in with what galley kept.
        run("skopeo", "inspect", "--tls-verify=false", "--authfile", file, "--raw", f"docker://{ref}")
        # Others' entries stay, galley's goes.
        document = config_of(home)
        document["auths"]["other.example.com"] = {"auth": "YTpi"}
        document["HttpHeaders"] = {"X": [1, 2.5, None, True]}
        file.write_text(json.dumps(document))
        assert galley("logout", r.host).stdout == f"logged out of {r.host}\n"
        del document["auths"][r.host]
        assert config_of(home) == document
        assert galley("logout", r.host).stdout == f"there was no login to {r.host}\n"
        assert "no credentials are known" in refused("pull", ref)
        document["auths"][r.host] = {"auth": "dGVzdGVyOmZhbHNjaA=="}
        file.write_text(json.dumps(document))
        assert (f"galley: pull: {r.host}/closed/model: the password of {USER} (from {file}) is not accepted\n"
                f"galley login {r.host}\n") == refused("pull", ref)


def test_a_login_of_dockers_is_galleys(tmp_path, home):
    oci_files.artifact(tmp_path / "a.galley", {"a": b"b"})
    with DockerRegistry(htpasswd=True) as r:
        run("skopeo", "login", "--tls-verify=false", "--authfile", tmp_path / "auth.json", "-u", USER, "-p", PASSWORD,
            r.host)
        galley("push", tmp_path / "a.galley", f"{r.host}/a/b:1", env={"REGISTRY_AUTH_FILE": tmp_path / "auth.json"})
        os.makedirs(tmp_path / "run" / "containers")
        os.rename(tmp_path / "auth.json", tmp_path / "run" / "containers" / "auth.json")
        galley("pull", f"{r.host}/a/b:1", "-o", tmp_path / "x", env={"XDG_RUNTIME_DIR": tmp_path / "run"})
        # A file that cannot be read is said, not passed over.
        (tmp_path / "bad.json").write_text("{")
        assert "bad.json:1:2" in refused("pull", f"{r.host}/a/b:1", env={"REGISTRY_AUTH_FILE": tmp_path / "bad.json"})


HELPER = """#!/bin/sh
read -r in
echo "$1 $in" >> {log}
case $1 in
    get) {get} ;;
    store) ;;
esac
"""


def test_helpers_keep_passwords(tmp_path, home):
    oci_files.artifact(tmp_path / "a.galley", {"a": b"b"})
    log, config = tmp_path / "log", home / ".docker" / "config.json"
    helper = tmp_path / "docker-credential-test"
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    config.parent.mkdir()
    with DockerRegistry(htpasswd=True) as r:
        config.write_text(json.dumps({"credHelpers": {r.host: "test"}}))
        assert "docker-credential-test: No such file" in refused("push", tmp_path / "a.galley", f"{r.host}/a/b:1")
        answer = json.dumps({"ServerURL": r.host, "Username": USER, "Secret": PASSWORD})
        helper.write_text(HELPER.format(log=log, get=f"echo '{answer}'"))
        helper.chmod(0o755)
        galley("push", tmp_path / "a.galley", f"{r.host}/a/b:1", env=path)
        assert log.read_text() == f"get {r.host}\n"
        done = galley("login", r.host, "-u", USER, "--password-stdin", stdin=PASSWORD, env=path)
        assert "kept by docker-credential-test" in done.stderr
        verb, stored = log.read_text().splitlines()[-1].split(" ", 1)
        assert verb == "store" and json.loads(stored) == json.loads(answer)
        assert PASSWORD not in config.read_text() and "auth\"" not in config.read_text()
        galley("logout", r.host, env=path)
        assert log.read_text().splitlines()[-1] == f"erase {r.host}"
        helper.write_text(HELPER.format(log=log, get="echo locked; exit 1"))
        assert "docker-credential-test get: locked" in refused("pull", f"{r.host}/a/b:1", env=path)
        helper.write_text(HELPER.format(log=log, get="echo credentials not found in native keychain; exit 1"))
        assert "no credentials are known" in refused("pull", f"{r.host}/a/b:1", env=path)


def test_a_registry_with_a_token_server(tmp_path, home):
    pair = certificates.Pair(tmp_path, "tokens", key="rsa")
    oci_files.artifact(tmp_path / "a.galley", SMALL)
    file = home / ".docker" / "config.json"
    file.parent.mkdir()
    with TokenServer(pair) as tokens, DockerRegistry(token=tokens) as r:
        ref = f"{r.host}/public/model:1"
        # Nobody may pull what is public, not push it.
        assert "no credentials are known" in refused("push", tmp_path / "a.galley", ref)
        assert "user or password is wrong" in refused("login", r.host, "-u", USER, "--password-stdin", stdin="x")
        galley("login", r.host, "-u", USER, "--password-stdin", stdin=PASSWORD)
        tokens.asked.clear()
        galley("push", tmp_path / "a.galley", ref)
        method, query, given = tokens.asked[-1]
        assert method == "GET" and given and query["account"] == [USER] and query["service"] == ["the registry"]
        assert query["scope"] == ["repository:public/model:pull,push"]
        assert len(tokens.asked) <= 2  # one to look, one to push: not one a blob
        galley("logout", r.host)
        tokens.asked.clear()
        galley("pull", ref, "-o", tmp_path / "b.galley")
        assert [(m, g) for m, _, g in tokens.asked] == [("GET", None)]
        assert oci_files.layers_of(tmp_path / "b.galley") == SMALL
        # An identity token takes the place of a password.
        file.write_text(json.dumps({"auths": {r.host: {"identitytoken": tokens.identity}}}))
        tokens.asked.clear()
        galley("push", tmp_path / "a.galley", f"{r.host}/private/model:1", "--from", "public/model")
        assert {m for m, _, _ in tokens.asked} == {"POST"}
        assert tokens.asked[-1][1]["scope"] == ["repository:private/model:pull,push repository:public/model:pull"]
        file.write_text(json.dumps({"auths": {r.host: {"identitytoken": "another"}}}))
        assert f"the token from {file} is not accepted" in refused("pull", f"{r.host}/private/model:1")


# --- lines ---------------------------------------------------------------------------------------

def test_certificates_are_checked_unless_told_otherwise(tmp_path):
    authority = certificates.Pair(tmp_path, "authority", ca=True)
    pair = certificates.Pair(tmp_path, "own", issuer=authority, names=["localhost"])
    digest = oci_files.artifact(tmp_path / "a.galley", {"a": b"b"})
    with DockerRegistry(tls=pair) as r:
        ref = f"{r.host}/tls/a:1"
        words = refused("push", tmp_path / "a.galley", ref)
        assert "certificate" in words and "--insecure trusts anybody" in words
        galley("push", tmp_path / "a.galley", ref, "--insecure")
        galley("pull", ref, "--ca", authority.cert, "-o", tmp_path / "b.galley")
        done = galley("pull", ref, "-o", tmp_path / "c.galley", env={"SSL_CERT_FILE": authority.cert})
        assert done.stdout.endswith(f"@{digest}\n")
        assert refused("push", tmp_path / "a.galley", ref, "--plain-http")


def test_who_is_not_there_is_named(registry, tmp_path):
    assert "galley: pull: GET https://nowhere.invalid/v2/: Could not resolve host: nowhere.invalid\n" == \
        refused("pull", "nowhere.invalid/a/b:1", env={"no_proxy": "*"})
    port = harness.free_port()
    assert re.match(rf"galley: pull: GET http://localhost:{port}/v2/: .*[Cc]onnect.*\n",
                    refused("pull", f"localhost:{port}/a/b:1", env={"no_proxy": "*"}))
    oci_files.artifact(tmp_path / "a.galley", {"a": b"b"})
    for tag in ("1.0", "1.1", "2.0"):
        galley("push", "-q", tmp_path / "a.galley", f"{registry.host}/not/there:{tag}")
    assert refused("pull", f"{registry.host}/not/there:3.0") == \
        f"galley: pull: {registry.host}/not/there:3.0: no such tag\nits tags: 1.0, 1.1, 2.0\n"
    assert refused("pull", f"{registry.host}/no/body:1") == f"galley: pull: {registry.host}/no/body: no such repository\n"
    absent = "sha256:" + 64 * "0"
    assert refused("pull", f"{registry.host}/not/there@{absent}") == \
        f"galley: pull: {registry.host}/not/there@{absent}: no such manifest\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.galley"]


def test_wrong_command_lines(tmp_path):
    for args, words in (
            (("push", "a"), "is missing"),
            (("push", "a", "Host/Upper:1"), "a repository has no capital letters"),
            (("push", "a", "h.example/a:1@sha256:12"), "behind @ belongs sha256:"),
            (("pull", "h.example/a:" + "t" * 129), "a tag has up to 128"),
            (("pull", "h.example/a:1", "--platform", "linux"), "is not OS/ARCHITECTURE"),
            (("pull", "h.example/a:1", "-c", "0"), "--concurrency"),
            (("push", "a", "h.example/a:1", "--from", "A"), "--from: A is not a repository"),
            (("push", "a", "h.example/a:1", "--chunk-size", "1"), "--chunk-size"),
            (("login", "h.example", "--password-stdin"), "--password-stdin needs --username"),
            (("login", "h.example", "-u", "a"), "there is no terminal"),
            (("login", "h!"), "not the name of a registry"),
            (("login", "h.example", "-u", "a:b", "--password-stdin"), "no colon")):
        done = harness.galley(*args, stdin="", cwd=tmp_path)
        assert done.returncode == 2 and words in done.stderr, (args, done.stderr)
    assert "no such file" in refused("push", tmp_path / "none.galley", "localhost:1/a:1").lower()


def test_the_library_that_is_missing_is_named(tmp_path):
    (tmp_path / "libcurl.so.4").write_bytes(b"")
    words = refused("pull", "localhost:1/a:1", env={"LD_LIBRARY_PATH": tmp_path})
    assert words.startswith("galley: pull: what is fetched needs libcurl: ")
    assert words.endswith("install it (Debian, Ubuntu: apt-get install libcurl4)\n")


