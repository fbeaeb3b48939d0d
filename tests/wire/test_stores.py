# SPDX-License-Identifier: Apache-2.0
"""Models from object stores that others wrote: moto for S3, Azurite for Azure, gcp-storage-emulator for Google, which knows no
credentials: those are asked for by a server of our own. MLflow's is in test_mlflow_source.py, registries in test_oci_source.py."""
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import boto3
import pytest

import harness
import models
from test_sources import answer, cache, entries, model, start  # noqa: F401 (fixtures)

TOOLS = harness.SOURCE / "build" / "tools"


class Process:
    """A server of a test's, on a port that is free; ended by its process id."""

    def __init__(self, command, port, log, env=None, cwd=None):
        self.log = open(log, "wb")
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=subprocess.STDOUT, env={**os.environ, **(env or {})}, cwd=cwd)
        self.port = port

        def look():
            assert self.process.poll() is None, Path(log).read_text(errors="replace")[-2000:]
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", port)) == 0
        harness.wait_until(look, 120, f"{command[0]} listening", 0.05)

    def stop(self):
        harness.end_process(self.process)
        self.log.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """server(command-of-port, env=...) -> its process."""
    started = []

    def begin(command, **options):
        port, folder = harness.free_port(), tmp_path_factory.mktemp("server")
        started.append(Process(command(port, folder), port, folder / "log", cwd=folder, **options))
        return started[-1]
    yield begin
    for p in started:
        p.stop()


# --- S3: moto, which checks signatures and rights as IAM does ---

class S3:
    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}"
        self.root = self.client("s3", "root", "root")
        self.root.create_bucket(Bucket="models", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        iam = self.client("iam", "root", "root")
        iam.create_user(UserName="reader")
        rights = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
        iam.put_user_policy(UserName="reader", PolicyName="all", PolicyDocument=json.dumps(rights))
        iam.create_role(RoleName="server", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []}))
        iam.put_role_policy(RoleName="server", PolicyName="all", PolicyDocument=json.dumps(rights))
        key = iam.create_access_key(UserName="reader")["AccessKey"]
        self.id, self.secret = key["AccessKeyId"], key["SecretAccessKey"]
        self.reader = self.client("s3", self.id, self.secret)

    def client(self, kind, key, secret):
        return boto3.client(kind, endpoint_url=self.url, region_name="eu-central-1", aws_access_key_id=key,
                            aws_secret_access_key=secret)

    def put(self, key, data, **options):
        self.reader.put_object(Bucket="models", Key=key, Body=data, **options)

    def env(self, **more):
        return {"AWS_ENDPOINT_URL": self.url, "AWS_DEFAULT_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": self.id,
                "AWS_SECRET_ACCESS_KEY": self.secret, **more}


@pytest.fixture(scope="module")
def s3(server):
    p = server(lambda port, _: [Path(sys.executable).parent / "moto_server", "-H", "127.0.0.1", "-p", port],
               env={"INITIAL_NO_AUTH_ACTION_COUNT": "6"})
    return S3(p.port)


def test_an_object_of_s3(start, s3, tmp_path, cache):
    data = model(tmp_path, 1)
    s3.put("models/plus/7/model.onnx", data)
    s = start("s3://models/models/plus/7/model.onnx", env=s3.env())
    assert answer(s, "plus") == (200, 2.0)
    assert s.get("/v2/models/plus/versions/7").status == 200
    assert [p.read_bytes() for p in entries(cache)] == [data]


def test_the_environment_of_a_container_that_loads_from_s3(start, s3, tmp_path):
    s3.put("models/env/2/model.onnx", model(tmp_path, 2))
    s = start(env=s3.env(MODEL_SOURCE="s3", MODEL_S3_BUCKET="models", MODEL_NAME="env", MODEL_VERSION="2"))
    assert answer(s, "env") == (200, 3.0)
    s3.put("2.1.0/model.onnx", model(tmp_path, 3))
    s3.put("2.1.0/preprocessor.joblib", b"not galley's")
    s = start(env=s3.env(MODEL_BUCKET="models", MODEL_VERSION="2.1.0", MODEL_NAME="fraud"))
    assert answer(s, "fraud") == (200, 4.0)
    assert s.get("/v2/models/fraud/versions/2.1.0").status == 200


@pytest.mark.parametrize("source", ["s3://models/deep/plus/", "s3://models/deep/plus"])
def test_a_prefix_of_s3_is_a_directory(start, s3, tmp_path, cache, source):
    s3.put("deep/plus/1/model.onnx", model(tmp_path, 1))
    s3.put("deep/plus/2/model.onnx", model(tmp_path, 2))
    s3.put("deep/plus/with space+and%sign/\u00fc.txt", b"odd")
    s3.put("deep/plus/empty", b"")
    s3.put("deep/plus/folder/", b"")
    s3.put("deep/plusminus", b"another")
    s = start(source, env=s3.env())
    assert answer(s, "plus") == (200, 3.0)  # the newest version
    assert s.get("/v2/models/plus/versions/1").status == 200
    assert {p.name: p.stat().st_size for p in entries(cache) if p.suffix != ".onnx"} == {"\u00fc.txt": 3, "empty": 0}


def test_a_listing_of_many_pages(start, s3, tmp_path, cache):
    s3.put("many/model.onnx", model(tmp_path, 1))
    for i in range(1005):  # a page is 1000
        s3.put(f"many/parts/{i:04}", b"x")
    s = start("s3://models/many/", env=s3.env())
    assert answer(s, "many") == (200, 2.0)
    assert len(entries(cache)) == 1006


def test_a_large_object_of_many_parts_and_one_that_changes(start, s3, tmp_path):
    s3.put("big/model.onnx", model(tmp_path, 4, 20))
    s = start("s3://models/big/model.onnx", env=s3.env())
    assert answer(s, "big") == (200, 5.0)
    s3.put("big/model.onnx", model(tmp_path, 5, 20))
    s.signal(signal.SIGHUP)
    harness.wait_until(lambda: answer(s, "big") == (200, 6.0), 30, "the new object")


@pytest.mark.parametrize("env,source,words", [
    ({}, "s3://models/nothing.onnx", "s3://models/nothing.onnx does not exist"),
    ({}, "s3://nobodys/x.onnx", "does not exist"),
    ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "s3://models/plus.onnx", "403"),
    ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "s3://models/plus.onnx", "no keys were found"),
    ({"AWS_PROFILE": "nobody", "AWS_ACCESS_KEY_ID": ""}, "s3://models/plus.onnx", "there is no profile 'nobody'"),
])
def test_what_s3_refuses_ends_the_start_with_its_reason(start, s3, tmp_path, env, source, words):
    s3.put("plus.onnx", model(tmp_path, 1))
    s = start(source, env=s3.env(**env), wait=None, exit_code=1)
    assert s.wait_exit(60) == 1
    assert words in s.log()


def test_keys_from_profiles_and_endpoints_from_them(start, s3, tmp_path):
    s3.put("profile/model.onnx", model(tmp_path, 1))
    files = {"AWS_SHARED_CREDENTIALS_FILE": tmp_path / "credentials", "AWS_CONFIG_FILE": tmp_path / "config"}
    (tmp_path / "credentials").write_text(f"[other]\naws_access_key_id=no\naws_secret_access_key=no\n"
                                          f"# a comment\n[prod]\naws_access_key_id = {s3.id}\naws_secret_access_key={s3.secret}\n")
    (tmp_path / "config").write_text(f"[profile prod]\nregion = eu-west-3\nendpoint_url = {s3.url}\ns3 =\n  x = y\n")
    s = start("s3://models/profile/model.onnx", env={**files, "AWS_PROFILE": "prod"})
    assert answer(s, "profile") == (200, 2.0)


class Near(BaseHTTPRequestHandler):
    """Metadata of a container and of an instance (IMDSv2)."""

    def log_message(self, *_):
        pass

    def do_PUT(self):
        self.reply(b"the-token")

    def do_GET(self):
        keys = json.dumps({"AccessKeyId": self.server.s3.id, "SecretAccessKey": self.server.s3.secret}).encode()
        self.server.seen.append((self.path, self.headers.get("Authorization"), self.headers.get("X-aws-ec2-metadata-token")))
        self.reply(b"role-of-it" if self.path.endswith("/security-credentials/") else keys)

    def reply(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve_near(handler):
    near = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    near.seen = []
    threading.Thread(target=near.serve_forever, args=(0.05,), daemon=True).start()
    return near


@pytest.mark.parametrize("kind", ["container", "instance"])
def test_keys_from_metadata(start, s3, tmp_path, kind):
    s3.put("near/model.onnx", model(tmp_path, 1))
    near = serve_near(Near)
    near.s3, url = s3, f"http://127.0.0.1:{near.server_address[1]}"
    env = s3.env(AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    if kind == "container":
        env |= {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{url}/keys", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "secret"}
    else:
        env |= {"AWS_EC2_METADATA_SERVICE_ENDPOINT": url, "AWS_EC2_METADATA_DISABLED": "false"}
    s = start("s3://models/near/model.onnx", env=env)
    assert answer(s, "near") == (200, 2.0)
    near.shutdown()
    if kind == "container":
        assert near.seen == [("/keys", "secret", None)]
    else:
        assert [x[2] for x in near.seen] == ["the-token"] * 2


@pytest.fixture(scope="module")
def open_s3(server):
    """The same, believing anybody: moto knows no request without a signature otherwise, as STS takes."""
    return server(lambda port, _: [Path(sys.executable).parent / "moto_server", "-H", "127.0.0.1", "-p", port])


def test_keys_from_a_web_identity(start, open_s3, tmp_path):
    url = f"http://127.0.0.1:{open_s3.port}"
    root = boto3.client("s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    root.create_bucket(Bucket="models")
    root.put_object(Bucket="models", Key="web/model.onnx", Body=model(tmp_path, 1))
    (tmp_path / "token").write_text("a.b.c\n")
    s = start("s3://models/web/model.onnx", env={
        "AWS_ENDPOINT_URL": url, "AWS_WEB_IDENTITY_TOKEN_FILE": tmp_path / "token",
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/server"})
    assert answer(s, "web") == (200, 2.0)


# --- Azure: Azurite ---

KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # Azurite's own


@pytest.fixture(scope="module")
def azure(server):
    program = TOOLS / "azurite" / "node_modules" / ".bin" / "azurite-blob"
    if not program.exists():
        pytest.skip("Azurite is not there: tools/setup test brings it in where there is npm")
    from azure.storage.blob import BlobServiceClient
    p = server(lambda port, folder: [program, "--blobHost", "127.0.0.1", "--blobPort", port, "--location", folder,
                                     "--silent", "--skipApiVersionCheck", "--disableTelemetry"])
    url = f"http://127.0.0.1:{p.port}/devstoreaccount1"
    text = f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={KEY};BlobEndpoint={url};"
    client = BlobServiceClient.from_connection_string(text)
    client.create_container("models")
    return client, url, text


def test_blobs_of_azure_by_key_by_sas_and_a_directory(start, azure, tmp_path):
    from datetime import datetime, timedelta, timezone

    from azure.storage.blob import ContainerSasPermissions, generate_container_sas
    client, url, connection = azure
    blobs = client.get_container_client("models")
    blobs.upload_blob("plus/1/model.onnx", model(tmp_path, 1), overwrite=True)
    blobs.upload_blob("plus/2/model.onnx", model(tmp_path, 2, 20), overwrite=True)
    blobs.upload_blob("plus/a b+c%d.txt", b"odd", overwrite=True)
    s = start("az://devstoreaccount1/models/plus/1/model.onnx", env={"AZURE_STORAGE_CONNECTION_STRING": connection})
    assert answer(s, "plus") == (200, 2.0)
    s = start("az://devstoreaccount1/models/plus/", env={"AZURE_STORAGE_BLOB_ENDPOINT": url, "AZURE_STORAGE_KEY": KEY})
    assert answer(s, "plus") == (200, 3.0)
    sas = generate_container_sas("devstoreaccount1", "models", account_key=KEY, permission=ContainerSasPermissions(
        read=True, list=True), expiry=datetime.now(timezone.utc) + timedelta(hours=1))
    blobs.upload_blob("other/model.onnx", model(tmp_path, 3), overwrite=True)
    s = start("az://devstoreaccount1/models/other/model.onnx",
              env={"AZURE_STORAGE_BLOB_ENDPOINT": url, "AZURE_STORAGE_SAS_TOKEN": sas})
    assert answer(s, "other") == (200, 4.0)


@pytest.mark.parametrize("source,key,words", [("az://devstoreaccount1/models/nothing.onnx", KEY, "does not exist"),
                                              ("az://devstoreaccount1/models/x.onnx", "bm8=", "403"),
                                              ("az://devstoreaccount1", KEY, "az://ACCOUNT/CONTAINER/BLOB")])
def test_what_azure_refuses_ends_the_start(start, azure, source, key, words):
    env = {"AZURE_STORAGE_BLOB_ENDPOINT": azure[1], "AZURE_STORAGE_KEY": key}
    s = start(source, env=env, wait=None, exit_code=1)
    assert s.wait_exit(60) == 1
    assert words in s.log()


# --- Google: tokens are looked at as Google does; objects by its JSON API ---

# --- Google: gcp-storage-emulator ---

class Gcs:
    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}"

    def put(self, name, data):
        """The object's resource, by the protocol's own upload."""
        from urllib.parse import quote
        from urllib.request import Request, urlopen
        with urlopen(Request(f"{self.url}/upload/storage/v1/b/models/o?uploadType=media&name={quote(name, safe='')}", data=data,
                             method="POST", headers={"Content-Type": "application/octet-stream"}), timeout=30) as r:
            return json.load(r)


@pytest.fixture(scope="module")
def gcs(server):
    program = shutil.which("gcp-storage-emulator", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if not program:
        pytest.skip("gcp-storage-emulator is not there: tools/setup test installs it with tests/requirements.txt")
    return Gcs(server(lambda port, _: [program, "start", "--host", "127.0.0.1", "--port", port, "--in-memory",
                                       "--default-bucket", "models"]).port)


@pytest.mark.parametrize("host", ["{0}", "{1}"])
def test_an_object_of_the_emulator_that_changes(start, gcs, tmp_path, cache, host):
    data = model(tmp_path, 4, 20)  # several parts
    told = gcs.put("big/7/model.onnx", data)
    s = start("gs://models/big/7/model.onnx",
              env={"STORAGE_EMULATOR_HOST": host.format(gcs.url, gcs.url.removeprefix("http://"))})
    assert answer(s, "big") == (200, 5.0) and s.get("/v2/models/big/versions/7").status == 200
    assert [p.read_bytes() for p in entries(cache)] == [data]
    assert f"#generation={told['generation']}" in s.lines("source_ready")[0]["message"]
    gcs.put("big/7/model.onnx", model(tmp_path, 5, 20))
    s.signal(signal.SIGHUP)
    harness.wait_until(lambda: answer(s, "big") == (200, 6.0), 30, "the new object")


def test_a_directory_of_the_emulator(start, gcs, tmp_path, cache):
    for name, data in (("1/model.onnx", model(tmp_path, 1)), ("2/model.onnx", model(tmp_path, 2)),
                       ("with space+and%sign/\u00fc.txt", b"odd")):  # empty objects it does not take
        gcs.put("deep/plus/" + name, data)
    gcs.put("deep/plusminus", b"another")
    s = start("gs://models/deep/plus/", env={"STORAGE_EMULATOR_HOST": gcs.url})
    assert answer(s, "plus") == (200, 3.0)  # the newest version
    assert s.get("/v2/models/plus/versions/1").status == 200
    assert {p.name: p.stat().st_size for p in entries(cache) if p.suffix != ".onnx"} == {"\u00fc.txt": 3}


@pytest.mark.parametrize("source,words", [("gs://models/nothing.onnx", "404"), ("gs://models/nothing/", "holds nothing"),
                                          ("gs://nobodys/x.onnx", "404")])
def test_what_the_emulator_has_not_ends_the_start(start, gcs, tmp_path, source, words):
    gcs.put("some.onnx", model(tmp_path, 1))
    s = start(source, env={"STORAGE_EMULATOR_HOST": gcs.url}, wait=None, exit_code=1)
    assert s.wait_exit(60) == 1
    assert words in s.log() and source in s.log()


# --- Google: credentials ---

class Google(BaseHTTPRequestHandler):
    """The token endpoint, which checks the assertion, and objects with their generations."""

    def log_message(self, *_):
        pass

    def reply(self, status, body, **headers):
        self.send_response(status)
        for k, v in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(k, v)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        import jwt
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        claims = jwt.decode(form["assertion"][0], self.server.public, algorithms=["RS256"], audience=self.server.url + "/token")
        assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
        assert claims["iss"] == "galley@project" and claims["exp"] - claims["iat"] == 3600
        self.reply(200, b'{"access_token":"good","token_type":"Bearer","expires_in":3600}')

    def do_GET(self):
        from urllib.parse import unquote, urlsplit
        import base64
        if self.path.startswith("/computeMetadata/"):
            assert self.headers["Metadata-Flavor"] == "Google"
            self.reply(200, b'{"access_token":"good"}')
            return
        if self.headers.get("Authorization") != "Bearer good":
            self.reply(401, b"no token")
            return
        parts = urlsplit(self.path)
        query = {k: v[0] for k, v in parse_qs(parts.query).items()}
        name = unquote(parts.path.removeprefix("/storage/v1/b/models/o").removeprefix("/"))
        files = self.server.files

        def resource(n):
            return {"name": n, "size": str(len(files[n])), "generation": "17", "md5Hash": base64.b64encode(
                hashlib.md5(files[n]).digest()).decode()}
        if not name:  # a page of one
            found = sorted(n for n in files if n.startswith(query["prefix"]))
            at = int(query.get("pageToken", 0))
            body = {"items": [resource(n) for n in found[at:at + 1]]}
            if at + 1 < len(found):
                body["nextPageToken"] = str(at + 1)
            self.reply(200, json.dumps(body).encode())
        elif name not in files:
            self.reply(404, b"{}")
        elif query.get("alt") != "media":
            self.reply(200, json.dumps(resource(name)).encode())
        else:
            assert query["generation"] == "17"
            data, span = files[name], self.headers.get("Range")
            if not span:
                self.reply(200, data)
                return
            first, last = span.removeprefix("bytes=").split("-")
            part = data[int(first):int(last or len(data)) + 1]
            self.reply(206, part, **{"Content-Range": f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}"})


@pytest.fixture
def google(tmp_path):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    g = serve_near(Google)
    g.public, g.url = key.public_key(), f"http://127.0.0.1:{g.server_address[1]}"
    g.files = {"plus/2/model.onnx": model(tmp_path, 2, 20), "plus/1/model.onnx": model(tmp_path, 1),
               "a b+c/model.onnx": model(tmp_path, 3)}
    g.account = tmp_path / "account.json"
    g.account.write_text(json.dumps({"type": "service_account", "client_email": "galley@project",
                                     "private_key": pem.decode(), "token_uri": g.url + "/token"}))
    yield g
    g.shutdown()
    g.server_close()


@pytest.mark.parametrize("source,name,y", [("gs://models/plus/1/model.onnx", "plus", 2.0), ("gs://models/plus/", "plus", 3.0),
                                           ("gs://models/a b+c/model.onnx", "a b+c", 4.0)])
def test_objects_of_google_with_a_service_account(start, google, source, name, y):
    env = {"STORAGE_EMULATOR_HOST": google.url, "GOOGLE_APPLICATION_CREDENTIALS": google.account}
    s = start(source, env=env)
    r = s.post("/v2/models/" + harness.quote(name) + "/infer", {"inputs": [
        {"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [1.0]}]})
    assert r.json()["outputs"][0]["data"] == [y]


@pytest.mark.parametrize("how,words", [("nobody", "401"), ("other", "not known to galley"), ("missing", "other.json")])
def test_what_google_refuses_ends_the_start(start, google, tmp_path, how, words):
    env = {"STORAGE_EMULATOR_HOST": google.url}
    if how != "nobody":
        env["GOOGLE_APPLICATION_CREDENTIALS"] = tmp_path / "other.json"
    if how == "other":
        (tmp_path / "other.json").write_text('{"type":"external_account"}')
    s = start("gs://models/plus/1/model.onnx", env=env, wait=None, exit_code=1)
    assert s.wait_exit(60) == 1
    assert words in s.log()
