# SPDX-License-Identifier: Apache-2.0
"""Models from object stores and registries that others wrote: moto for S3, Azurite for Azure, fake-gcs-server for
Google, MLflow's own server."""
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
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(20)
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


def test_keys_from_a_web_identity(start, s3, tmp_path):
    s3.put("web/model.onnx", model(tmp_path, 1))
    (tmp_path / "token").write_text("a.b.c\n")
    s = start("s3://models/web/model.onnx", env=s3.env(
        AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="", AWS_WEB_IDENTITY_TOKEN_FILE=tmp_path / "token",
        AWS_ROLE_ARN="arn:aws:iam::123456789012:role/server"))
    assert answer(s, "web") == (200, 2.0)
