# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus scrapes galley: protobuf with native histograms, and OpenMetrics text."""
import json
import re
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request

import pytest

import harness

PROMETHEUS = harness.SOURCE / "build" / "deps" / "prometheus" / "prometheus"
SKIPPED = harness.SOURCE / "build" / "deps" / "prometheus-skipped"
pytestmark = pytest.mark.skipif(
    not PROMETHEUS.is_file(),
    reason=SKIPPED.read_text().strip() if SKIPPED.is_file() else
    "build/deps/prometheus is missing; run: tools/setup test")
# Bounds of schema 3 are a factor of 2^(1/8) apart.
NATIVE_STEP = 2 ** 0.125


def version():
    text = subprocess.run([PROMETHEUS, "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"version (\d+)\.(\d+)", text.stdout + text.stderr)
    return int(found.group(1)), int(found.group(2))


class Prometheus:
    """On a free port, with a folder of its own; ended by its process id."""

    def __init__(self, target, native=False):
        self.port = harness.free_port()
        self.dir = tempfile.TemporaryDirectory(prefix="galley-prometheus-")
        config = f"{self.dir.name}/prometheus.yml"
        job = {"job_name": "galley", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}
        features = []
        if native and version() >= (3, 8):
            job["scrape_native_histograms"] = True
        elif native:
            features = ["--enable-feature=native-histograms"]
        with open(config, "w", encoding="utf-8") as f:
            json.dump({"global": {"scrape_interval": "1s"}, "scrape_configs": [job]}, f)
        self.log = open(f"{self.dir.name}/log", "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            [PROMETHEUS, f"--config.file={config}", f"--storage.tsdb.path={self.dir.name}/data",
             f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn", *features],
            cwd=self.dir.name, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        harness.end_process(self.process)
        self.log.close()
        self.dir.cleanup()

    def api(self, path, **params):
        assert self.process.poll() is None, open(self.log.name, encoding="utf-8").read()
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(params)}"
        try:
            with urllib.request.urlopen(url, timeout=20) as r:
                return json.load(r)["data"]
        except urllib.error.HTTPError as e:
            if e.code == 503:  # it listens before its storage is open
                return None
            raise AssertionError(f"{path} {params}: {e.read()!r}") from e
        except OSError:  # nobody listens yet, or a busy machine answers late
            return None

    def value(self, query):
        """The only result of an instant query as a number; None while there is none."""
        data = self.api("query", query=query)
        if not data or not data["result"]:
            return None
        assert len(data["result"]) == 1, data
        return float(data["result"][0]["value"][1])

    def wait_value(self, query, wanted):
        return harness.wait_until(lambda: self.value(query) == wanted, 40,
                                  f"{query} to be {wanted}", pause=0.2)

    def target(self):
        """What the last scrape said."""
        return self.api("targets")["activeTargets"][0]


def rows(server, model, count):
    r = server.infer(model, {"x": ("FP32", [count, 2], [0.5] * 2 * count)})
    assert r.status == 200


@pytest.fixture(scope="module")
def busy(zoo_dir):
    """A server that has answered 9 requests of one row and one of 32, and one slow one, by calls of
    their own: they came one after another."""
    paths = [zoo_dir / "id-fp32", zoo_dir / "slow"]
    with harness.Server("--triton-metrics", "on", paths=paths) as s:
        for _ in range(9):
            rows(s, "id-fp32", 1)
        rows(s, "id-fp32", 32)
        assert s.infer("slow", {"x": ("INT64", [1, 1], [100])}).status == 200
        yield s


def test_native_histograms_are_scraped_and_queried(busy):
    with Prometheus(busy.port, native=True) as p:
        size = 'inference_batch_size{model="id-fp32",model_version="1"}'
        p.wait_value(f"histogram_count({size})", 10)
        assert p.value(f"histogram_sum({size})") == 41
        half = p.value(f"histogram_quantile(0.5, {size})")
        assert 1 / NATIVE_STEP <= half <= 1, half
        most = p.value(f"histogram_quantile(0.99, {size})")
        assert 32 / NATIVE_STEP <= most <= 32, most
        assert p.value(f"histogram_fraction(0, 1, {size})") == 0.9
        for name in ("inference_duration_seconds", "inference_queue_duration_seconds",
                     "inference_compute_input_duration_seconds",
                     "inference_compute_duration_seconds",
                     "inference_compute_output_duration_seconds",
                     "ml_prediction_duration_seconds"):
            assert p.value(f'histogram_count({name}{{model="id-fp32"}})') == 10, name
            assert p.value(f'histogram_count({name}{{model="slow"}})') == 1, name
        # One observation: every quantile is within its bucket, the sum is its value.
        for name in ("inference_compute_duration_seconds", "ml_prediction_duration_seconds"):
            took = p.value(f'histogram_sum({name}{{model="slow"}})')
            p99 = p.value(f'histogram_quantile(0.99, {name}{{model="slow"}})')
            assert took > 0.001 and took / NATIVE_STEP <= p99 <= took * NATIVE_STEP, (took, p99)
        # Over all models, as replicas are put together.
        assert p.value("histogram_count(sum(inference_compute_duration_seconds))") == 11
        # Without classic buckets, which the native ones replace.
        assert p.value("count(inference_batch_size_bucket)") is None
        # The other types came the same way.
        assert p.value('inference_requests_total{model="slow",status="success"}') == 1
        assert p.value('nv_inference_count{model="id-fp32"}') == 41
        assert p.value('galley_model_ready{model="slow"}') == 1
        assert p.value("up") == 1 and p.target()["lastError"] == ""


def test_the_same_page_is_scraped_as_text(busy):
    with Prometheus(busy.port) as p:
        size = 'inference_batch_size{model="id-fp32"}'
        p.wait_value('inference_batch_size_count{model="id-fp32"}', 10)
        assert p.value('inference_batch_size_bucket{model="id-fp32",le="1.0"}') == 9
        assert p.value('inference_batch_size_sum{model="id-fp32"}') == 41
        q = "histogram_quantile(0.99, inference_batch_size_bucket{model=\"id-fp32\"})"
        assert 16 < p.value(q) <= 32
        assert p.value('nv_inference_count{model="id-fp32"}') == 41
        assert p.value(f"count({size})") is None
        assert p.value("up") == 1 and p.target()["lastError"] == ""


def test_gauges_for_autoscalers_answer_the_documented_queries(serve, zoo_dir):
    s = serve("--triton-metrics", "on", paths=[zoo_dir / "id-fp32"])
    with Prometheus(s.port) as p:
        for query in ("sum(inference_queue_requests)", "sum(inference_requests_in_flight)",
                      "max(inference_busy_ratio)", "max(inference_batch_fill_ratio)",
                      "max(inference_p99_latency_seconds)", "sum(nv_inference_pending_request_count)"):
            harness.wait_until(lambda q=query: p.value(q) is not None, 40, query, pause=0.2)
        rows(s, "id-fp32", 1)  # of the last minute: none of them would be 0
        took = harness.wait_until(lambda: p.value("max(inference_p99_latency_seconds)"), 40, "a time", pause=0.2)
        assert 0 < took < 20
        assert p.value("sum(inference_queue_requests)") == 0
