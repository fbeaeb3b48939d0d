# SPDX-License-Identifier: Apache-2.0
"""Models of a registry of MLflow: its own server, with models that its own client logged."""
import subprocess

import boto3
import pytest

import harness
from test_sources import answer, cache, entries, model, start  # noqa: F401 (fixtures)
from test_stores import server  # noqa: F401 (fixture)

BIN = harness.SOURCE / "build" / "mlflow" / "bin"

pytestmark = [pytest.mark.skipif(not (BIN / "mlflow").exists(), reason="MLflow is not there: tools/setup test brings it in"),
              pytest.mark.skipif(harness.SANITIZE, reason="MLflow's servers take minutes; test_sources and test_stores run the same code")]


def mlflow(server, tmp_path_factory, *args, env=None):
    """A server of MLflow with two versions of `plus`."""
    folder = tmp_path_factory.mktemp("mlflow")
    p = server(lambda port, _: [BIN / "mlflow", "server", "--host", "127.0.0.1", "--port", port, "--workers", "1",
                                "--backend-store-uri", f"sqlite:///{folder}/db", *(str(a).format(folder) for a in args)],
               env={"MLFLOW_DISABLE_TELEMETRY": "true", **(env or {})})
    paths = []
    for i in (1, 2):
        paths.append(folder / f"plus{i}.onnx")
        paths[-1].write_bytes(model(folder, i))
    url = f"http://127.0.0.1:{p.port}"
    done = subprocess.run([BIN / "python", harness.SOURCE / "tests" / "wire" / "mlflow_log.py", url, "plus", *paths],
                          capture_output=True, text=True, timeout=300, check=False,
                          env={"PATH": "/usr/bin:/bin", "MLFLOW_DISABLE_TELEMETRY": "true", "HOME": str(folder),
                               "GIT_PYTHON_REFRESH": "quiet", **(env or {})})
    assert done.returncode == 0, done.stderr[-3000:]
    return url


@pytest.fixture(scope="module")
def proxied(server, tmp_path_factory):
    return mlflow(server, tmp_path_factory, "--artifacts-destination", "{}/artifacts")


@pytest.mark.parametrize("source,version,y", [
    ("models:/plus/1", 1, 2.0), ("models:/plus/2", 2, 3.0), ("models:/plus/latest", 2, 3.0),
    ("models:/plus/Production", 2, 3.0), ("models:/plus@champion", 2, 3.0)])
def test_versions_stages_and_aliases(start, proxied, cache, source, version, y):
    s = start(source, env={"MLFLOW_TRACKING_URI": proxied})
    assert answer(s, "plus") == (200, y)
    assert s.get(f"/v2/models/plus/versions/{version}").status == 200
    assert "MLmodel" in [p.name for p in entries(cache)]


def test_an_alias_that_moves_is_found_by_a_reload(start, proxied):
    client = f"{proxied}/api/2.0/mlflow/registered-models/alias"
    import requests

    def point(version):
        requests.post(client, json={"name": "plus", "alias": "moves", "version": str(version)}, timeout=30).raise_for_status()
    point(1)
    s = start("models:/plus@moves", env={"MLFLOW_TRACKING_URI": proxied}, args=["--source-poll", "200ms"])
    assert answer(s, "plus") == (200, 2.0)
    point(2)
    harness.wait_until(lambda: answer(s, "plus") == (200, 3.0), 30, "the other version")


@pytest.mark.parametrize("env,source,words", [
    ({}, "models:/plus/1", "MLFLOW_TRACKING_URI is not set"), (None, "models:/nobody/1", "404"),
    (None, "models:/plus/99", "404"), (None, "models:/plus@nobody", "nobody"),
    (None, "models:/plus/Staging", "has no version in stage Staging"), (None, "models:/plus", "models:/NAME/VERSION")])
def test_what_is_not_registered_ends_the_start(start, proxied, env, source, words):
    s = start(source, env={"MLFLOW_TRACKING_URI": proxied} if env is None else env, wait=None, exit_code=1)
    assert s.wait_exit(60) == 1
    assert words in s.log()


def test_artifacts_that_lie_in_s3_or_on_this_machine(start, server, tmp_path_factory):
    import sys
    from pathlib import Path
    moto = server(lambda port, _: [Path(sys.executable).parent / "moto_server", "-H", "127.0.0.1", "-p", port])
    s3 = f"http://127.0.0.1:{moto.port}"
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
    boto3.client("s3", endpoint_url=s3, region_name="us-east-1", aws_access_key_id="a",
                 aws_secret_access_key="b").create_bucket(Bucket="artifacts")
    url = mlflow(server, tmp_path_factory, "--no-serve-artifacts", "--default-artifact-root", "s3://artifacts/root",
                 env={"MLFLOW_S3_ENDPOINT_URL": s3, **keys})
    s = start("models:/plus/2", env={"MLFLOW_TRACKING_URI": url, "AWS_ENDPOINT_URL": s3, **keys})
    assert answer(s, "plus") == (200, 3.0)
    url = mlflow(server, tmp_path_factory, "--no-serve-artifacts", "--default-artifact-root", "{}/artifacts")
    s = start("models:/plus@champion", env={"MLFLOW_TRACKING_URI": url})
    assert answer(s, "plus") == (200, 3.0)
    assert s.get("/v2/models/plus/versions/2").status == 200
