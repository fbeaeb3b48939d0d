# SPDX-License-Identifier: Apache-2.0
"""The servers that galley is compared with, each as its documentation sets it up, in an environment of its own."""
import json
import os

from lib import machine, models, servers

VENVS = machine.path("build/bench-venvs")


class Rival:
    """`name` is the folder of bench/servers; `batching` says in words how it batches."""

    def __init__(self, name, title, batching):
        self.name, self.title, self.batching = name, title, batching
        self.folder = machine.path("bench/servers", name)

    def python(self):
        python = os.path.join(VENVS, self.name, "bin/python")
        if not os.path.exists(python):
            try:
                with open(os.path.join(VENVS, f"{self.name}.skipped"), encoding="utf-8") as f:
                    raise machine.Skip(f.read().strip())
            except FileNotFoundError:
                raise machine.Skip("not installed: tools/setup bench") from None
        return python

    def version(self):
        package = {"ray-serve": "ray"}.get(self.name, self.name)
        with open(os.path.join(self.folder, "requirements.txt"), encoding="utf-8") as f:
            return next(line.split("==")[1].strip() for line in f if line.startswith(f"{package}=="))

    def environment(self, model, port, folder, batch):
        return {"BENCH_MODEL": model.file, "BENCH_PORT": str(port), "BENCH_BATCH": str(batch), "BENCH_FOLDER": folder,
                "OMP_NUM_THREADS": "1"}

    def start(self, model, folder, batch):
        port = machine.free_port()
        own = os.path.join(folder, str(port))  # short: Ray's sockets lie in it, and their paths have a limit
        os.makedirs(own)
        command, ready, more = self.launch(self.python(), model, port, own, batch)
        return servers.Server(self.title, command, port, ready, cwd=own,
                              env={**self.environment(model, port, own, batch), **more})

    def request(self, model):
        return models.json_request("/predict", {"row": models.row_of(model)})

    def values(self, answer):
        """The output's numbers in an answer's body."""
        return json.loads(answer)["output"]

    def launch(self, python, model, port, own, batch):
        """The command, the path that is answered 200 when it is ready, more of the environment."""
        raise NotImplementedError


class OipRival(Rival):
    """Speaks the Open Inference Protocol, as galley does."""

    def request(self, model):
        return models.oip_json(model)

    def values(self, answer):
        return json.loads(answer)["outputs"][0]["data"]


class FastApi(OipRival):
    def launch(self, python, model, port, own, batch):
        return [python, "-m", "uvicorn", "app:app", "--app-dir", self.folder, "--port", str(port), "--loop", "uvloop",
                "--http", "httptools", "--no-access-log", "--log-level", "error"], "/health/ready", {}


class BentoMl(Rival):
    def launch(self, python, model, port, own, batch):
        return [python, "-m", "bentoml", "serve", "app:Model", "--working-dir", self.folder, "--host",
                "127.0.0.1", "--port", str(port)], "/readyz", {"BENTOML_HOME": own, "BENTOML_DO_NOT_TRACK": "True"}

    def request(self, model):
        return models.json_request("/predict", {"rows": [models.row_of(model)]})

    def values(self, answer):
        return json.loads(answer)[0]


class RayServe(Rival):
    def launch(self, python, model, port, own, batch):
        return [python, os.path.join(self.folder, "app.py")], "/predict", {
            "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1", "RAY_SERVE_ENABLE_HA_PROXY": "1", "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": os.path.join(own, "haproxy.cfg"),
            "RAY_SERVE_HAPROXY_SOCKET_PATH": os.path.join(own, "admin.sock"),
            "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": os.path.join(own, "metrics.sock"),
            "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": own,
            "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": os.path.join(own, "server-state")}


class LitServe(Rival):
    def launch(self, python, model, port, own, batch):
        return [python, os.path.join(self.folder, "app.py")], "/health", {}


class MlServer(OipRival):
    def launch(self, python, model, port, own, batch):
        settings = {"debug": False, "host": "127.0.0.1", "http_port": port, "grpc_port": machine.free_port(),
                    "metrics_endpoint": None, "parallel_workers": 0}
        model_settings = {"name": model.name, "implementation": "runtime.OnnxModel", "max_batch_size": batch,
                          "max_batch_time": 0.002, "parameters": {"uri": model.file}}
        for name, document in (("settings", settings), ("model-settings", model_settings)):
            with open(os.path.join(own, f"{name}.json"), "w", encoding="utf-8") as f:
                json.dump(document, f)
        return [python, "-m", "mlserver.cli.main", "start", own], "/v2/health/ready", {"PYTHONPATH": self.folder}


class GrpcIo(Rival):
    def launch(self, python, model, port, own, batch):
        return [python, os.path.join(self.folder, "app.py")], servers.accepts, {}

    def request(self, model):
        raise NotImplementedError("lib/h2.py writes its requests")


GRPCIO = GrpcIo("grpcio", "grpcio (Python)", "none")

ALL = [
    FastApi("fastapi", "FastAPI", "none: FastAPI has no batching"),
    BentoMl("bentoml", "BentoML", "batchable API, adaptive"),
    RayServe("ray-serve", "Ray Serve", "@serve.batch, at most 2 ms of waiting"),
    LitServe("litserve", "LitServe", "max_batch_size, at most 2 ms of waiting"),
    MlServer("mlserver", "MLServer", "adaptive batching, at most 2 ms of waiting"),
]
