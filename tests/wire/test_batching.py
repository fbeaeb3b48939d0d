# SPDX-License-Identifier: Apache-2.0
"""Batches of workers under load: many clients, all forms of request, bad ones, late ones, clients
that leave, reloads. Every answer is the one that training recorded for its rows."""
import json
import re
import signal
import threading
import time

import numpy as np
import pytest

import harness
import models
import oip
from models import T, h

THREADS, CONNECTIONS = 5, 5  # connections a thread: as many requests are under way at once
SECONDS = 4 if not harness.SANITIZE else 12
DOCUMENTS = {f.parent.name: json.loads(f.read_text())
             for f in sorted(harness.EXAMPLES.glob("*/cases.json"))}


def write_models(root):
    """The examples, one that fails for x = 99, and one whose answers change with each reload."""
    for name in DOCUMENTS:
        path = root / name / "model.onnx"
        path.parent.mkdir(parents=True)
        path.write_bytes((harness.EXAMPLES / name / "model.onnx").read_bytes())
    models.write(root / "table" / "model.onnx", [h.make_node("Gather", ["t", "x"], ["y"], axis=0)],
                 [("x", T.INT64, ("n", 1))], [("y", T.FLOAT, ("n", 1))],
                 [h.make_tensor("t", T.FLOAT, [50], np.arange(50) / 4)])
    models.add(root / "moving" / "model.onnx", 1)
    return root


# --- requests, each with a function that checks its answer ---

def text(x):
    return x.decode() if isinstance(x, bytes) else x


class Example:
    """Rows of one example model, drawn from its cases, and what training answered."""

    def __init__(self, rng, name=None):
        self.name = name or str(rng.choice(list(DOCUMENTS)))
        cases = DOCUMENTS[self.name]["cases"]
        self.cases = [cases[i] for i in rng.integers(len(cases), size=rng.choice([1, 1, 1, 2, 3]))]
        outputs = [c["expected"]["outputs"] for c in self.cases]
        self.labels = [x for o in outputs for x in o["label"]]
        self.scores = np.concatenate([np.reshape(o["probabilities"]["data"],
                                                 o["probabilities"]["shape"]) for o in outputs])
        self.keys = [str(k) for k in outputs[0]["probabilities"].get("labels", [])]
        self.wanted = [["label", "probabilities"], ["label"], ["probabilities"],
                       ["probabilities", "label"]][rng.choice([0, 0, 1, 2, 3])]

    def arrays(self):
        return {first["name"]: np.concatenate(
            [np.array(c["oip"]["inputs"][i]["data"], oip.NUMPY[first["datatype"]]).reshape(
                c["oip"]["inputs"][i]["shape"]) for c in self.cases])
            for i, first in enumerate(self.cases[0]["oip"]["inputs"])}

    def request(self, form, headers=None, **parameters):
        self.form = form
        if form == "native":
            self.cases = self.cases[:1]
            n = len(self.cases[0]["expected"]["outputs"]["label"])
            self.labels, self.scores = self.labels[:n], self.scores[:n]
            self.wanted = ["label", "probabilities"]
            body = self.cases[0]["native"]
            path = f"/v1/models/{self.name}/predict" + ("/batch" if "instances" in body else "")
            return harness.request("POST", path, body, headers)
        path = f"/v2/models/{self.name}/infer"
        outputs = [{"name": o} for o in self.wanted]
        if form == "binary":
            parameters["binary_data_output"] = True
            body, n = oip.binary(self.arrays(), outputs=outputs, parameters=parameters)
            return harness.request("POST", path, body, {**(headers or {}), oip.LENGTH: n})
        inputs = [{"name": k, "shape": list(a.shape), "datatype": oip.NAMES[a.dtype],
                   "data": a.flatten().tolist()} for k, a in self.arrays().items()]
        return harness.request("POST", path, {"inputs": inputs, "outputs": outputs,
                                              "parameters": parameters}, headers)

    def check(self, reply):
        assert reply.status == 200, reply
        if self.form == "native":
            rows = reply.json()["predictions"]
            got = {"label": [r["label"] for r in rows],
                   "probabilities": [[r["probabilities"][k] for k in self.keys]
                                     if isinstance(r["probabilities"], dict)
                                     else r["probabilities"] for r in rows]}
        else:
            got = oip.tensors(reply)
            assert list(got) == self.wanted
        if "label" in got:
            assert [text(x) for x in np.ravel(got["label"]).tolist()] == self.labels
        if "probabilities" in got:
            scores = np.asarray(got["probabilities"], np.float64)
            assert scores.shape == self.scores.shape
            np.testing.assert_allclose(scores, self.scores, rtol=1e-5, atol=1e-6)


def infer_one(model, datatype, x, **extra):
    return harness.request("POST", f"/v2/models/{model}/infer", {
        "inputs": [{"name": "x", "datatype": datatype, "shape": [1, 1], "data": [x]}], **extra})


def draw(rng, moving):
    """A request and its check, which returns what the answer was: ok, bad or late."""
    kind = rng.random()
    if kind < 0.70:
        e = Example(rng)
        form = rng.choice(["json", "binary", "native"])
        headers = {"X-Request-Priority": str(rng.integers(0, 5))} if rng.random() < 0.2 else None
        return e.request(form, headers), lambda r: e.check(r) or "ok"
    if kind < 0.78:
        return draw_late(rng)
    if kind < 0.86:
        x = int(rng.choice([*range(50), *[99] * 10]))
        return infer_one("table", "INT64", x), lambda r: check_table(r, x)
    if kind < 0.93:
        x = float(rng.integers(1000))
        return infer_one("moving", "FP32", x), lambda r: check_moving(r, x, moving)
    return draw_bad(rng)


def draw_late(rng):
    e = Example(rng)
    form = rng.choice(["header", "proxy", "json", "binary"])
    if form == "json" or form == "binary":
        request = e.request(form, timeout=1)
    else:
        name = "X-Request-Timeout-Ms" if form == "header" else "X-Envoy-Expected-Rq-Timeout-Ms"
        request = e.request("json", {name: "1"})

    def check(r):
        if r.status == 200:
            return e.check(r) or "ok"
        assert r.status == 504 and "deadline" in r.json()["error"], r
        return "late"
    return request, check


def check_table(r, x):
    if x < 50:
        assert r.status == 200, r
        assert oip.tensors(r)["y"].tolist() == [[x / 4]], r
        return "ok"
    assert r.status in (400, 422, 500) and "out of data bounds" in r.json()["error"], r
    return "bad"


def check_moving(r, x, moving):
    assert r.status == 200, r
    assert oip.tensors(r)["y"][0, 0] - x in moving
    return "ok"


def draw_bad(rng):
    wrong, words = [("{", "JSON"), ('{"inputs":[]}', "inputs"),
                    ('{"inputs":[{"name":"pixels","datatype":"FP32","shape":[1,63],"data":'
                     + json.dumps([0] * 63) + '}]}', "shape"),
                    ('{"inputs":[{"name":"pixels","datatype":"FP64","shape":[1,64],"data":'
                     + json.dumps([0] * 64) + '}]}', "datatype")][rng.integers(4)]

    def check(r):
        assert r.status == 400 and words in r.json()["error"], r
        return "refused"
    return harness.request("POST", "/v2/models/digits/infer", wrong.encode()), check


# --- clients ---

class Clients:
    def __init__(self, server, seconds, moving):
        self.server, self.moving = server, moving
        self.end = time.monotonic() + seconds
        self.failures, self.lock = [], threading.Lock()
        self.counts = {"ok": 0, "bad": 0, "late": 0, "refused": 0, "gone": 0}
        self.threads = [threading.Thread(target=self.guard, args=(i,)) for i in range(THREADS)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.end = 0
        for t in self.threads:
            t.join()

    def guard(self, seed):
        try:
            self.client(np.random.default_rng(seed))
        except Exception as e:  # whatever it is, it is a failed request
            self.failures.append(e)

    def client(self, rng):
        counts = dict.fromkeys(self.counts, 0)
        conns = [self.server.connect() for _ in range(CONNECTIONS)]
        while time.monotonic() < self.end and not self.failures:
            drawn = [draw(rng, self.moving) for _ in conns]
            for c, (request, _) in zip(conns, drawn):
                c.send(request)
            leaver = rng.integers(CONNECTIONS) if rng.random() < 0.2 else None
            if leaver is not None:
                (conns[leaver].reset if rng.random() < 0.5 else conns[leaver].close)()
                conns[leaver] = self.server.connect()
                counts["gone"] += 1
            for i, (c, (_, check)) in enumerate(zip(conns, drawn)):
                if i != leaver:
                    counts[check(c.reply())] += 1
        for c in conns:
            c.close()
        with self.lock:
            for k, n in counts.items():
                self.counts[k] += n


def total(page, name, **labels):
    found = 0
    for line in re.findall(rf"^{name}\{{(.*)\}} (\S+)$", page, re.M):
        if all(f'{k}="{v}"' in line[0] for k, v in labels.items()):
            found += float(line[1])
    return found


def wait_idle(server):
    def look():
        page = server.get("/metrics").body.decode()
        idle = re.search(r"^http_requests_in_flight (\d+)$", page, re.M).group(1) == "1"
        return idle and total(page, "inference_requests_in_flight") == 0 and page
    return harness.wait_until(look, 20, "the requests to end")


def check_counts(page, counts):
    """What was counted is what was answered, but for those whose clients had gone: they may have
    been answered, cancelled or never read."""
    gone = counts["gone"]
    ok = total(page, "inference_requests_total", status="success")
    assert counts["ok"] <= ok <= counts["ok"] + gone
    failed = total(page, "inference_requests_total", status="error")
    assert counts["bad"] + counts["late"] <= failed <= \
        counts["bad"] + counts["late"] + counts["refused"] + gone
    answered = total(page, "http_requests_total", method="POST")
    sure = sum(counts.values()) - gone
    assert sure <= answered <= sure + gone
    rows = total(page, "inference_batch_size_sum")
    calls = total(page, "inference_batch_size_count")
    assert calls <= rows and total(page, "ml_predictions_total", result="ok") <= rows


def check_statistics(server):
    """Exact at rest; and there were batches. Of models that no reload has changed."""
    executions = successes = 0
    for name in DOCUMENTS:
        s = server.get(f"/v2/models/{name}/stats").json()["model_stats"][0]
        batches = s["batch_stats"]
        assert sum(b["compute_infer"]["count"] for b in batches) == s["execution_count"]
        assert sum(b["compute_infer"]["count"] * b["batch_size"] for b in batches) \
            >= s["inference_count"]  # a cancelled job's rows ran too
        executions += s["execution_count"]
        successes += s["inference_stats"]["success"]["count"]
    return executions, successes


@pytest.mark.parametrize("options", [("--schedule", "workers", "--workers", "2"),
                                     ("--schedule", "auto", "--threads", "2")],
                         ids=["workers", "auto"])
def test_answers_under_load_are_those_that_training_recorded(serve, tmp_path, options):
    root = write_models(tmp_path / "models")
    s = serve(*options, "--access-log", "off", paths=[root])
    moving = [1.0]
    with Clients(s, SECONDS, moving) as clients:
        reloads = 0
        while time.monotonic() < clients.end and not clients.failures:
            if reloads < 4:  # as many as that, on a slow machine too
                clients.end = max(clients.end, time.monotonic() + 1)
            time.sleep(0.2)
            moving.append(float(2 + reloads % 3))  # before it can be answered
            models.add(tmp_path / "next.onnx", moving[-1]).rename(root / "moving" / "model.onnx")
            s.signal(signal.SIGHUP)
            s.wait_line("ready", after=1 + reloads)
            reloads += 1
    assert not clients.failures, clients.failures[0]
    counts = clients.counts
    print(counts, "reloads", reloads)
    assert reloads > 3 and all(n > 0 for n in counts.values()), counts
    check_counts(wait_idle(s), counts)
    executions, successes = check_statistics(s)
    assert executions < successes, (executions, successes)


# --- deadlines and priorities ---

SLOW = "/v2/models/slow/infer"


def slow_body(trips, **parameters):
    return {"inputs": [{"name": "x", "datatype": "INT64", "shape": [1, 1], "data": [trips]}],
            "parameters": parameters}


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    """A server whose one worker is busy for as long as the tests of this kind take."""
    root = tmp_path_factory.mktemp("busy")
    models.slow(root / "slow" / "model.onnx")
    with harness.Server("--schedule", "workers", "--workers", "1", "--threads", "1",
                        "--request-timeout", "600s", paths=[root / "slow"]) as s:
        yield s


LATE = [({}, {"timeout": 30000}), ({"X-Request-Timeout-Ms": "30"}, {}),
        ({"X-Envoy-Expected-Rq-Timeout-Ms": "30"}, {}),
        ({"X-Request-Timeout-Ms": "30", "X-Envoy-Expected-Rq-Timeout-Ms": "90000"},
         {"timeout": 10**8}),
        ({"X-Request-Timeout-Ms": "90000", "X-Envoy-Expected-Rq-Timeout-Ms": "30"}, {})]
LONG = [({}, {"timeout": 2**64 - 1}), ({"X-Request-Timeout-Ms": "999999999999999"}, {}),
        ({"X-Request-Timeout-Ms": "0", "X-Envoy-Expected-Rq-Timeout-Ms": "0"}, {"timeout": 0})]


def test_a_request_is_given_up_when_its_time_is_over(busy):
    with busy.connect(timeout=120) as holder:
        holder.send(harness.request("POST", SLOW, slow_body(8000 * harness.SCALE)))
        busy.wait_running()
        patient = [busy.connect(timeout=120) for _ in LONG]
        for c, (headers, parameters) in zip(patient, LONG):
            c.send(harness.request("POST", SLOW, slow_body(0, **parameters), headers))
        start = time.monotonic()
        for headers, parameters in LATE:
            r = busy.post(SLOW, slow_body(0, **parameters), headers)
            assert r.status == 504 and "deadline" in r.json()["error"], r
        took = time.monotonic() - start
        assert took >= 0.03 * len(LATE)
        holder.sock.setblocking(False)  # all this while the worker was busy
        with pytest.raises(BlockingIOError):
            holder.sock.recv(1)
        holder.sock.settimeout(120)
        assert holder.reply().status == 200
        for c in patient:
            assert c.reply().status == 200
            c.close()


@pytest.mark.parametrize("header", ["X-Request-Timeout-Ms", "X-Envoy-Expected-Rq-Timeout-Ms",
                                    "X-Request-Priority"])
@pytest.mark.parametrize("value", ["", "soon", "-1", "1.5", "1 2", "0x10", "1" * 16])
def test_a_header_that_is_no_number_is_told_by_name(busy, header, value):
    r = busy.post(SLOW, slow_body(0), {header: value})
    assert r.status == 400
    assert f"the header {header} must be a whole number, got '{value}'" in r.json()["error"]


@pytest.mark.parametrize("name", ["timeout", "priority"])
@pytest.mark.parametrize("value", [-1, 1.5, "1", True, None, [1]])
def test_a_parameter_that_is_no_number_is_told_by_place(busy, name, value):
    r = busy.post(SLOW, slow_body(0, **{name: value}))
    assert r.status == 400
    assert "an integer of 0 or more" in r.json()["error"] or value in (None, [1])
    assert f"parameters.{name}" in r.json()["error"]


@pytest.mark.parametrize("headers, parameters", [
    ({"X-Request-Priority": "1"}, {}), ({"X-Request-Priority": "999999999999999"}, {}),
    ({"X-Request-Priority": "0"}, {"priority": 2**64 - 1}), ({}, {"priority": 0})])
def test_any_priority_is_taken(busy, headers, parameters):
    assert busy.post(SLOW, slow_body(0, **parameters), headers).status == 200


def test_the_document_of_the_api_has_the_headers(busy):
    doc = busy.get("/openapi.json").json()
    known = doc["components"]["parameters"]
    infer = [known[p["$ref"].rsplit("/", 1)[1]]["name"]
             for p in doc["paths"]["/v2/models/slow/infer"]["post"]["parameters"]]
    assert {"X-Request-Timeout-Ms", "X-Envoy-Expected-Rq-Timeout-Ms",
            "X-Request-Priority"} <= set(infer)


# --- order ---

def order_of_answers(server, requests):
    """The first keeps the worker busy while the others come, in this order. Which had their answers, first to last, by the
    log: one loop writes a line as it answers."""
    conns = [server.connect(timeout=120) for _ in requests]
    for i, (c, (trips, headers, parameters)) in enumerate(zip(conns, requests)):
        c.send(harness.request("POST", SLOW, slow_body(trips, **parameters), {**headers, "X-Request-ID": str(i)}))
        harness.wait_until(lambda n=i + 1: server.metric("inference_requests_in_flight") == n, 20, f"request {i}")
        if i == 0:
            server.wait_running()
    for c in conns:
        assert c.reply().status == 200
        c.close()

    def look():
        lines = [int(x["request_id"]) for x in server.lines("request") if x["path"] == SLOW]
        return len(lines) == len(conns) and lines
    return harness.wait_until(look, 20, "the log's lines")


HOLDER = (6000 * harness.SCALE, {}, {})


def test_urgent_requests_come_first(serve, tmp_path):
    models.slow(tmp_path / "slow" / "model.onnx")
    s = serve("--schedule", "workers", "--workers", "1", "--threads", "1", "--priority-levels", "3",
              "--batching", "off", paths=[tmp_path / "slow"])
    assert order_of_answers(s, [HOLDER,
                                (60, {"X-Request-Priority": "3"}, {}),
                                (60, {"X-Request-Priority": "2"}, {}),
                                (60, {"X-Request-Priority": "2"}, {"priority": 1}),
                                (60, {}, {}),
                                (60, {}, {"priority": 2}),
                                (60, {"X-Request-Priority": "1"}, {})]) == [0, 3, 6, 2, 5, 1, 4]


def test_answers_keep_the_order_of_requests_where_they_are_told_to(serve, tmp_path):
    models.slow(tmp_path / "slow" / "model.onnx")
    s = serve("--schedule", "workers", "--workers", "2", "--threads", "1", "--batching", "off",
              "--preserve-ordering", "on", paths=[tmp_path / "slow"])
    # Though the others are done long before the first.
    assert order_of_answers(s, [HOLDER] + [(0, {}, {})] * 6) == [0, 1, 2, 3, 4, 5, 6]


# --- where nothing waits ---

def test_what_needs_a_queue_is_refused_where_inference_is_told_to_run_inline():
    done = harness.galley("serve", harness.EXAMPLES / "iris", "--http-port", "0", "--schedule", "inline",
                          "--max-queue-delay", "1ms", "--preserve-ordering", "on")
    assert done.returncode == 1
    assert "max_queue_delay and preserve_ordering have no effect" in done.stderr
    assert "set schedule to auto or workers" in done.stderr


def test_one_model_that_needs_a_queue_is_told_of_where_all_run_inline(serve, tmp_path):
    for name in ("plain", "waits"):
        models.add(tmp_path / "r" / name / "1" / "model.onnx", 1)
    (tmp_path / "r" / "waits" / "config.pbtxt").write_text(
        "max_batch_size: 8\ndynamic_batching { max_queue_delay_microseconds: 1000 priority_levels: 2\n"
        "                    default_priority_level: 2 }\n")
    s = serve("--schedule", "inline", paths=[tmp_path / "r"])
    told = [(x["model"], x["field"], x["level"]) for x in s.lines("setting_without_effect")]
    assert told == [("waits", "max_queue_delay", "warn"), ("waits", "priority_levels", "warn")]
    assert s.infer("waits", {"x": ("FP32", [1, 1], [10])}).json()["outputs"][0]["data"] == [11]
