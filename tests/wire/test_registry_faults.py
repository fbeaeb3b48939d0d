# SPDX-License-Identifier: Apache-2.0
"""galley push and pull against a registry that cuts, lies and refuses."""
import json
import os
import ssl
import subprocess

import pytest

import certificates
import harness
import oci_files
from registry_server import FakeRegistry

BIG = os.urandom(6_000_000)
LAYERS = {"model.onnx": BIG, "galley.yaml": b"galley: 1\n"}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "*")
    for name in ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    oci_files.artifact(tmp_path / "a.galley", LAYERS)
    return tmp_path


def galley(*args, code=0, **options):
    done = harness.galley(*args, **options)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def tls_of(tmp_path):
    pair = certificates.Pair(tmp_path, "own", names=["localhost"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    return context


def sizes(requests):
    return [int(headers.get("Content-Length", 0)) for _, _, headers in requests]


# --- cuts ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("tls", [False, True])
def test_a_cut_upload_goes_on_where_it_stands(tmp_path, tls):
    with FakeRegistry(tls=tls_of(tmp_path) if tls else None, cut_uploads=2) as r:
        galley("push", "--insecure", tmp_path / "a.galley", f"{r.host}/a/b:1")
        assert r.blobs[oci_files.digest_of(BIG)] == BIG
        patches = r.moved("PATCH", "/uploads/")
        ranges = [h["Content-Range"] for _, _, h in patches]
        # Half of it arrived, then half of the rest: the last piece is a quarter.
        assert ranges == ["0-5999999", "3000000-5999999", "4500000-5999999"]
        assert len([p for p in r.seen if p[0] == "POST"]) == 3  # one a blob: none began anew
        facts = json.loads(galley("push", "--insecure", "--json", tmp_path / "a.galley", f"{r.host}/a/b:1").stdout)
        assert facts["bytes_moved"] == 0


def test_a_cut_piece_of_an_upload_goes_on_too(tmp_path):
    with FakeRegistry(cut_uploads=1) as r:
        galley("push", tmp_path / "a.galley", f"{r.host}/a/b:1", "--chunk-size", "4MB")
        assert r.blobs[oci_files.digest_of(BIG)] == BIG
        assert [h["Content-Range"] for _, _, h in r.moved("PATCH", "/uploads/")] == \
            ["0-3999999", "2000000-5999999"]


def test_a_server_that_refuses_large_requests_gets_smaller_ones(tmp_path):
    blob = os.urandom(40 << 20)
    oci_files.artifact(tmp_path / "big.galley", {"a": blob})
    with FakeRegistry(request_max=33 << 20) as r:
        galley("push", tmp_path / "big.galley", f"{r.host}/a/b:1")
        assert r.blobs[oci_files.digest_of(blob)] == blob
        assert sizes(r.moved("PATCH", "/uploads/"))[-2:] == [32 << 20, 8 << 20]


def test_a_cut_download_goes_on_where_it_stands(tmp_path):
    with FakeRegistry() as r:
        galley("push", tmp_path / "a.galley", f"{r.host}/a/b:1")
        r.faults["cut_downloads"] = 2
        r.seen.clear()
        galley("pull", f"{r.host}/a/b:1", "-o", tmp_path / "b.galley")
        assert oci_files.layers_of(tmp_path / "b.galley") == LAYERS
        blob = r.moved("GET", oci_files.digest_of(BIG))
        assert [h.get("Range") for _, _, h in blob] == [None, "bytes=3000000-", "bytes=4500000-"]


def test_a_pull_that_was_given_up_goes_on_the_next_time(tmp_path):
    with FakeRegistry() as r:
        galley("push", tmp_path / "a.galley", f"{r.host}/a/b:1")
        stage = tmp_path / ".b.galley.pull" / "blobs" / "sha256"
        stage.mkdir(parents=True)
        name = oci_files.digest_of(BIG)[7:]
        (stage / f"{name}.part").write_bytes(BIG[:5_000_000])
        (stage / oci_files.digest_of(LAYERS["galley.yaml"])[7:]).write_bytes(LAYERS["galley.yaml"])
        r.seen.clear()
        facts = json.loads(galley("pull", "--json", f"{r.host}/a/b:1", "-o", tmp_path / "b.galley").stdout)
        assert facts["bytes_moved"] == 1_000_000 + 2
        assert [h.get("Range") for _, _, h in r.moved("GET", name)] == ["bytes=5000000-"]
        assert r.moved("GET", oci_files.digest_of(LAYERS["galley.yaml"])) == []
        assert oci_files.layers_of(tmp_path / "b.galley") == LAYERS
        # A part of something else is found out, thrown away, and said.
        stage.mkdir(parents=True)
        (stage / f"{name}.part").write_bytes(bytes(5_000_000))
        done = galley("pull", f"{r.host}/a/b:1", "-o", tmp_path / "c.galley")
        assert done.returncode == 0
        (tmp_path / "b.galley").unlink()
        done = galley("pull", f"{r.host}/a/b:1", "-o", tmp_path / "b.galley", code=1)
        assert "the registry's bytes have the digest" in done.stderr
        assert not (tmp_path / "b.galley").exists() and not stage.exists()
        galley("pull", f"{r.host}/a/b:1", "-o", tmp_path / "b.galley")
        assert oci_files.layers_of(tmp_path / "b.galley") == LAYERS


def test_two_pulls_to_one_place_do_not_mix(tmp_path):
    with FakeRegistry() as r:
        galley("push", tmp_path / "a.galley", f"{r.host}/a/b:1")
        both = [subprocess.Popen([harness.BIN, "pull", "-q", f"{r.host}/a/b:1", "-o", tmp_path / "b.galley"],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=harness.child_env())
                for _ in range(2)]
        said = [p.communicate(timeout=60 * harness.SCALE)[1] for p in both]
        assert 0 in [p.returncode for p in both], said
        for p, words in zip(both, said):
            assert p.returncode == 0 or "another galley is pulling to it" in words
        assert oci_files.layers_of(tmp_path / "b.galley") == LAYERS


# --- lies ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("fault, words", [
    ("lie", "the registry's bytes have the digest sha256:"),
    ("lie_manifest", "the registry's bytes have the digest sha256:"),
    ("lie_name", "the registry's bytes have the digest sha256:")])
def test_a_registry_that_lies_is_refused(tmp_path, fault, words):
    with FakeRegistry() as r:
        digest = galley("push", tmp_path / "a.galley", f"{r.host}/a/b:1").stdout.strip().split("@")[1]
        r.faults[fault] = True
        for ref in (f"{r.host}/a/b:1", f"{r.host}/a/b@{digest}"):
            if fault == "lie_name" and "@" in ref:
                continue  # what is asked for by digest needs no header's word
            done = galley("pull", ref, "-o", tmp_path / "b.galley", code=1)
            assert words in done.stderr, done.stderr
            assert not (tmp_path / "b.galley").exists()
            assert not (tmp_path / ".b.galley.pull").exists()
            galley("pull", ref, "-o", f"{tmp_path}/d/", code=1)
            assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("text, words", [
    (b"{", "invalid JSON"),
    (b"[]", "manifest"),
    (b'{"schemaVersion":2}', "manifest"),
    (b'{"schemaVersion":2,"config":{"mediaType":"a/b","digest":"sha256:../../../../tmp/x","size":1},"layers":[]}',
     "digest"),
    (b'{"schemaVersion":2,"config":{"mediaType":"a/b","digest":"sha256:' + 64 * b"a" +
     b'","size":-1},"layers":[]}', "size"),
    (b" " * (5 << 20), "larger than"),
    (b'{"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}', "calls itself")])
def test_manifests_that_are_none_are_refused(tmp_path, text, words):
    with FakeRegistry() as r:
        r.manifests["a/b", "1"] = text
        r.types[oci_files.digest_of(text)] = oci_files.MANIFEST
        done = galley("pull", f"{r.host}/a/b:1", "-o", tmp_path / "b.galley", code=1)
        assert words in done.stderr, done.stderr
        assert not (tmp_path / "b.galley").exists()


def test_sizes_are_believed_to_the_byte(tmp_path):
    with FakeRegistry() as r:
        for size, words in ((len(BIG) - 1, "more than its"), (len(BIG) + 1, "ends after 6000000 of 6000001 bytes")):
            blobs = {}
            top = oci_files.manifest(blobs, {"a": BIG})
            text = json.loads(blobs[top["digest"]])
            text["layers"][0]["size"] = size
            text = oci_files.encode(text)
            r.blobs.update(blobs)
            r.manifests["a/b", "1"] = text
            r.types[oci_files.digest_of(text)] = oci_files.MANIFEST
            done = galley("pull", f"{r.host}/a/b:1", "-o", tmp_path / "b.galley", code=1)
            assert words in done.stderr, done.stderr


# --- open lines ----------------------------------------------------------------------------------

def test_nothing_goes_on_without_tls_that_began_with_it(tmp_path, home):
    (home / ".docker").mkdir()
    with FakeRegistry() as storage, FakeRegistry(tls=tls_of(tmp_path), cdn=storage.port) as r:
        galley("push", "--insecure", tmp_path / "a.galley", f"{r.host}/a/b:1")
        done = galley("pull", "--insecure", f"{r.host}/a/b:1", "-o", tmp_path / "b.galley", code=1)
        assert f"redirects to http://localhost:{storage.port}, which is not encrypted" in done.stderr
        assert storage.seen == []

        # Nor does a password go to a token server without it.
        def challenge(handler):
            handler.start()
            handler.reply(401, WWW_Authenticate=f'Bearer realm="http://localhost:{storage.port}/token",service="x"')
        (home / ".docker" / "config.json").write_text(json.dumps({"auths": {r.host: {"auth": "bWU6cHc="}}}))
        r.server.RequestHandlerClass = type("H", (r.server.RequestHandlerClass,), {"do_GET": challenge})
        done = galley("pull", "--insecure", f"{r.host}/a/b:1", "-o", tmp_path / "b.galley", code=1)
        assert f"its token server http://localhost:{storage.port}/token is not encrypted" in done.stderr
        assert storage.seen == []


# --- what the specification has besides ----------------------------------------------------------

def test_storage_elsewhere_sees_no_password(tmp_path, home):
    (home / ".docker").mkdir()
    with FakeRegistry() as storage, FakeRegistry(cdn=storage.port) as r:
        galley("push", tmp_path / "a.galley", f"{storage.host}/a/b:1")
        r.manifests, r.types = storage.manifests, storage.types
        r.blobs = storage.blobs
        (home / ".docker" / "config.json").write_text(
            json.dumps({"auths": {r.host: {"registrytoken": "secret"}}}))
        storage.seen.clear()
        galley("pull", f"{r.host}/a/b:1", "-o", tmp_path / "b.galley")
        assert oci_files.layers_of(tmp_path / "b.galley") == LAYERS
        assert len(storage.seen) == 3
        assert all("Authorization" not in headers for _, _, headers in storage.seen)


def test_tags_come_in_pages(tmp_path):
    with FakeRegistry(page=2) as r:
        for tag in ("a", "b", "c", "d", "e", "f", "g"):
            r.manifests["a/b", tag] = b"{}"
        done = galley("pull", f"{r.host}/a/b:nope", code=1, cwd=tmp_path)
        assert done.stderr.endswith("its last tags: b, c, d, e, f, g\n")
        assert len(r.moved("GET", "/tags/list")) == 4


@pytest.mark.parametrize("api", [True, False])
def test_a_manifest_with_a_subject_is_found_from_it(tmp_path, api):
    subject = {"mediaType": oci_files.MANIFEST, "digest": "sha256:" + 64 * "a", "size": 7}
    with FakeRegistry(referrers=api) as r:
        digests = []
        for i in range(2):
            digests.append(oci_files.artifact(tmp_path / "s.tar", {"s": bytes([i])}, subject=subject,
                                              annotations={"n": str(i)}))
            for _ in range(2):  # twice is once
                galley("push", tmp_path / "s.tar", f"{r.host}/a/b:s{i}")
        listed = r.manifests.get(("a/b", "sha256-" + 64 * "a"))
        if api:
            assert listed is None
        else:
            found = json.loads(listed)["manifests"]
            assert [m["digest"] for m in found] == digests
            assert [m["artifactType"] for m in found] == 2 * ["application/vnd.galley.test"]
            assert [m["annotations"] for m in found] == [{"n": "0"}, {"n": "1"}]


def test_what_a_registry_says_is_shown_without_what_steers_terminals(tmp_path):
    with FakeRegistry() as r:
        def refuse(handler):
            handler.start()
            handler.body()
            handler.reply(403, {"errors": [{"code": "DENIED", "message": "no\x1b[2J\nway"}]})
        r.server.RequestHandlerClass = type("H", (r.server.RequestHandlerClass,), {"do_POST": refuse})
        done = galley("push", tmp_path / "a.galley", f"{r.host}/a/b:1", code=1)
        assert f"galley: push: {r.host}/a/b: POST: 403: no [2J way (DENIED)\n" in done.stderr
        assert "galley login" in done.stderr and "\x1b" not in done.stderr
