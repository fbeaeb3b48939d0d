# SPDX-License-Identifier: Apache-2.0
"""Metrics and logs: their names, and that they count what was sent (OBS-01 to OBS-04, 10, 11, 13)."""
import json
import re
import signal
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

import harness

IRIS = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
PREDICT = "/v1/models/iris/predict"
HTTP_BOUNDS = [.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10]
INFERENCE_BOUNDS = [.01, .025, .05, .1, .25, .5, 1, 2.5]


class Page:
    def __init__(self, server):
        reply = server.get("/metrics")
        assert reply.status == 200
        assert reply.header("Content-Type").startswith("text/plain; version=0.0.4")
        self.families = {f.name: f for f in text_string_to_metric_families(reply.body.decode())}

    def value(self, name, **labels):
        """The sum of all samples of this name that have these labels."""
        return sum(s.value for f in self.families.values() for s in f.samples
                   if s.name == name and labels.items() <= s.labels.items())

    def labels(self, name):
        return {tuple(sorted(s.labels)) for f in self.families.values() for s in f.samples
                if s.name == name}

    def bounds(self, name):
        return {float(s.labels["le"]) for f in self.families.values() for s in f.samples
                if s.name == name + "_bucket"}


@pytest.fixture
def iris(serve):
    return serve(paths=[harness.EXAMPLES / "iris"])


def test_names_labels_and_buckets_are_those_of_the_requirements(iris):
    iris.post(PREDICT, IRIS)
    page = Page(iris)
    assert page.labels("inference_requests_total") == {("model", "model_version", "status")}
    assert page.labels("ml_predictions_total") == {("model", "model_version", "result")}
    assert page.labels("http_requests_total") == {("method", "path", "status")}
    assert page.labels("http_request_duration_seconds_count") == {("method", "path", "status")}
    for name, bounds in (("http_request_duration_seconds", HTTP_BOUNDS),
                         ("inference_duration_seconds", INFERENCE_BOUNDS),
                         ("ml_prediction_duration_seconds", [0.5])):
        assert set(bounds) <= page.bounds(name), name
        assert page.families[name].type == "histogram"
    for name in ("http_requests_in_flight", "http_connections", "galley_model_ready",
                 "galley_model_load_duration_seconds", "process_resident_memory_bytes",
                 "process_open_fds", "process_start_time_seconds"):
        assert page.families[name].type == "gauge", name
    for name in ("http_received_bytes", "http_sent_bytes", "galley_model_loads",
                 "process_cpu_seconds"):
        assert page.families[name].type == "counter", name
    assert all(f.documentation for f in page.families.values())


def test_the_counts_are_what_was_sent(iris):
    for _ in range(7):
        assert iris.post(PREDICT, IRIS).status == 200
    for _ in range(2):
        assert iris.post(PREDICT, {"instances": [IRIS] * 5}).status == 200
    for _ in range(3):
        assert iris.post(PREDICT, {"features": {}}).status == 422
    for _ in range(4):
        assert iris.post("/v1/models/nobody/predict", IRIS).status == 404
    assert iris.get("/nowhere").status == 404
    assert iris.post(PREDICT, IRIS, {"Content-Encoding": "br"}).status == 415
    page = Page(iris)
    route = "/v1/models/{model}/predict"
    http = {"method": "POST", "path": route}
    assert page.value("http_requests_total", **http, status="200") == 9
    assert page.value("http_requests_total", **http, status="422") == 3
    assert page.value("http_requests_total", **http, status="404") == 4
    assert page.value("http_requests_total", **http, status="415") == 1
    assert page.value("http_requests_total", method="GET", path="/nowhere") == 0
    assert page.value("http_requests_total", method="GET", status="404") == 1
    assert page.value("http_request_duration_seconds_count", **http, status="200") == 9
    assert page.value("http_request_duration_seconds_bucket", **http, status="200", le="+Inf") == 9
    model = {"model": "iris", "model_version": "1"}
    assert page.value("inference_requests_total", **model, status="success") == 9
    assert page.value("inference_duration_seconds_count", **model) == 9
    assert page.value("ml_predictions_total", **model, result="ok") == 17
    assert page.value("ml_prediction_duration_seconds_count", **model) == 9
    assert page.value("galley_model_ready", **model) == 1
    assert page.value("galley_model_loads_total", **model, status="success") == 1
    assert page.value("galley_build_info") == 1


def test_a_422_never_reaches_the_model(iris):
    """VAL-06."""
    iris.post(PREDICT, IRIS)
    before = Page(iris).value("inference_requests_total")
    for body in ({"features": {}}, {"features": {**IRIS, "x": 1}}, {"instances": [IRIS, {}]}, []):
        assert iris.post(PREDICT, body).status == 422
    assert Page(iris).value("inference_requests_total") == before == 1


def test_failed_inferences_are_counted_as_errors(serve, zoo_dir):
    s = serve(paths=[zoo_dir / "failing"])
    assert s.infer("failing", {"x": ("INT64", [3, 1], [9, 9, 9])}).status >= 400
    assert s.infer("failing", {"x": ("INT64", [1, 1], [0])}).status == 200
    page = Page(s)
    assert page.value("inference_requests_total", status="error") == 1
    assert page.value("inference_requests_total", status="success") == 1
    assert page.value("ml_predictions_total", result="error") == 3
    assert page.value("ml_predictions_total", result="ok") == 1


def test_a_tensor_without_elements_counts_as_one_row(serve, zoo_dir):
    s = serve(paths=[zoo_dir / "free"])
    assert s.infer("free", {"x": ("FP32", [9 * 10 ** 18, 0], [])}).status == 200
    assert Page(s).value("ml_predictions_total", result="ok") == 1


def test_versions_and_protocols_are_counted_apart(serve, zoo_dir):
    s = serve(paths=[zoo_dir / "versions"])
    body = {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [0]}]}
    for version, times in (("1", 1), ("2", 2), ("10", 3)):
        for _ in range(times):
            s.post(f"/v2/models/versions/versions/{version}/infer", body)
    s.post("/v2/models/versions/infer", body)
    page = Page(s)
    assert [page.value("inference_requests_total", model_version=v) for v in ("1", "2", "10")] \
        == [1, 2, 4]
    assert page.value("http_requests_total", path="/v2/models/{model}/infer") == 1


def test_bytes_and_connections(iris):
    before = Page(iris)
    request = harness.request("POST", PREDICT, IRIS)
    with iris.connect() as c:
        sent = 0
        for _ in range(10):
            c.send(request)
            reply = c.reply()
            sent += len(reply.body)
        with iris.connect() as d:
            d.send(harness.request("GET", "/metrics"))
            page = Page(iris)
            assert page.value("http_connections") >= 2
            d.reply()
    received = page.value("http_received_bytes_total") - before.value("http_received_bytes_total")
    assert 10 * len(request) <= received <= 10 * len(request) + 1000
    assert page.value("http_sent_bytes_total") - before.value("http_sent_bytes_total") > sent
    for name in ("http_connections", "http_requests_in_flight"):  # the scrape itself
        harness.wait_until(lambda n=name: Page(iris).value(n) == 1, 10, f"{name} to be 1")


def test_time_in_the_model_is_measured(serve, zoo_dir):
    s = serve(paths=[zoo_dir / "slow"])
    start = time.monotonic()
    assert s.infer("slow", {"x": ("INT64", [1, 1], [2000])}, timeout=60).status == 200
    took = time.monotonic() - start
    page = Page(s)
    for name in ("inference_duration_seconds_sum", "ml_prediction_duration_seconds_sum"):
        assert 0.05 < page.value(name) <= took  # 2000 trips of the model's loop take longer on any machine
    assert page.value("inference_queue_duration_seconds_count") == 1


def test_hostile_paths_make_no_series(iris):
    for i in range(300):
        iris.get(f"/x{i}")
        iris.post(f"/v1/models/m{i}/predict", IRIS)
    page = Page(iris)
    samples = [s for f in page.families.values() for s in f.samples]
    assert len(samples) < 400
    assert not any("x299" in json.dumps(s.labels) or "m299" in json.dumps(s.labels)
                   for s in samples)


def test_a_request_in_steady_state_allocates_nothing(iris):
    """galley's own allocations, counted by galley, over a thousand requests."""
    def requests(n):
        with iris.connect() as c:
            for _ in range(n):
                c.send(harness.request("POST", "/v2/models/iris/infer", {"inputs": [
                    {"name": k, "shape": [1, 1], "datatype": "FP32", "data": [v]}
                    for k, v in IRIS.items()]}))
                assert c.reply().status == 200
    for _ in range(4):  # each loop sees some of them
        requests(200)
    for _ in range(3):
        Page(iris)
    counts = []
    for n in (0, 1000, 0):
        with iris.connect() as c:
            c.send(harness.request("GET", "/metrics"))
            counts.append(allocations(c.reply().body))
        if n:
            requests(n)
    assert counts[1] - counts[0] < 50
    assert counts[2] - counts[1] < 100, f"{counts[2] - counts[1]} allocations in 1000 requests"


def allocations(body):
    return float(re.search(rb"^galley_allocations_total (\S+)", body, re.M).group(1))


# --- logs ---

def test_every_line_is_json_with_level_time_and_event(iris):
    iris.post(PREDICT, IRIS)
    iris.get("/nowhere\x7f")
    for line in iris.lines():
        assert line["level"] in ("debug", "info", "warn", "error")
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$", line["time"])
        assert re.match(r"[a-z_]+$", line["event"])


def test_each_request_has_one_access_line(iris):
    def ids(name):
        return {"X-Request-ID": name}
    iris.post(PREDICT, IRIS, ids("a"))
    iris.post(PREDICT, {"instances": [IRIS] * 3}, ids("b"))
    iris.post(PREDICT, {}, ids("c"))
    iris.get("/nowhere?q=\"1\"", ids("d"))
    found = harness.wait_until(
        lambda: (x := [r for r in iris.lines("request") if r["request_id"] in "abcd"])[3:] and x, 10,
        "four access lines")
    lines = sorted(found, key=lambda x: x["request_id"])  # loops write on their own
    assert [(x["method"], x["status"]) for x in lines] == [("POST", 200), ("POST", 200),
                                                           ("POST", 422), ("GET", 404)]
    assert lines[0]["path"] == PREDICT and lines[3]["path"] == '/nowhere?q="1"'
    assert lines[1]["rows"] == 3 and lines[0]["duration_ms"] > 0
    assert lines[0]["bytes_in"] == len(json.dumps(IRIS)) and lines[0]["bytes_out"] > 50
    assert lines[2]["error"] and "error" not in lines[0]


@pytest.mark.parametrize("setting, low, high", [("off", 0, 0), ("on", 300, 300), ("0.2", 20, 120),
                                                ("0", 0, 0), ("1", 300, 300)])
def test_access_lines_can_be_sampled_or_turned_off(serve, setting, low, high):
    s = serve("--access-log", setting, paths=[harness.EXAMPLES / "iris"], wait=None)
    s.wait_line("ready")
    with s.connect() as c:
        for _ in range(300):
            c.send(harness.request("GET", "/health"))
            assert c.reply().status == 200
    harness.wait_until(lambda: len(s.lines("request")) >= low, 10, f"{low} lines")
    time.sleep(0.05)
    assert low <= len(s.lines("request")) <= high


def test_a_level_silences_what_is_below_it(serve):
    port = harness.free_port()
    s = serve("--log-level", "error", paths=[harness.EXAMPLES / "iris"], port=port)
    s.get("/health")
    assert s.log() == ""


def test_console_lines_are_for_people(serve):
    port = harness.free_port()
    s = serve("--log-format", "console", paths=[harness.EXAMPLES / "iris"], port=port)
    s.get("/health")
    harness.wait_until(lambda: "/health" in s.log(), 5, "the access line")
    assert not any(line.startswith("{") for line in s.log().splitlines())
    assert "\x1b" not in s.log()  # no terminal, no colours


def test_a_text_from_outside_makes_no_line_of_its_own(iris):
    iris.get("/a%0a%7b%22event%22:%22forged%22%7d")
    iris.post(PREDICT, '{"a\\nb": 1}'.encode())
    assert not iris.lines("forged")


def test_a_full_pipe_or_a_closed_one_stops_nothing(zoo_dir):
    """Nobody reads the log: requests are answered all the same."""
    port = harness.free_port()
    p = harness.subprocess.Popen(
        [harness.BIN, "serve", zoo_dir / "id-fp32", "--http-port", str(port)],
        stderr=harness.subprocess.PIPE, env=harness.child_env())
    try:
        def up():
            try:
                with harness.Conn(port) as c:
                    c.send(harness.request("GET", "/ready"))
                    return c.reply().status == 200
            except ConnectionError:
                return False
        harness.wait_until(up, 20, "ready")
        with harness.Conn(port) as c:
            for _ in range(2000):  # more lines than a pipe holds
                c.send(harness.request("GET", "/health"))
                assert c.reply().status == 200
            p.stderr.close()
            for _ in range(10):
                c.send(harness.request("GET", "/health"))
                assert c.reply().status == 200
        p.send_signal(signal.SIGTERM)
        assert p.wait(20 * harness.SCALE) == 0
    finally:
        if p.poll() is None:
            p.kill()
            p.wait()
