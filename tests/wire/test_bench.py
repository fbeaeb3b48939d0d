# SPDX-License-Identifier: Apache-2.0
"""`galley bench` against the real server and against servers that misbehave. How fast something is
is not tested: that the figures agree with one another, and with what the server saw, is."""
import html.parser
import http.server
import json
import os
import re
import signal
import socket
import subprocess

import pytest

import harness
from bench_reports import QUICK, SHORT, bench, check_result, counted, median, report, served, url

MODEL = harness.SOURCE / "bench" / "models" / "mlp-30-64-32-1"


# --- closed loop ---
@pytest.mark.parametrize("protocol", ["auto", "oip-binary", "oip-json", "native"])
def test_a_closed_loop_in_every_protocol(examples, protocol):
    before = counted(examples, "iris")
    doc = report(url(examples), "-m", "iris", "-c", "1,4", "--protocol", protocol, *QUICK)
    assert doc["schema"] == 1 and doc["loop"] == "closed"
    assert doc["targets"][0]["protocol"] == ("oip-binary" if protocol == "auto" else protocol)
    assert [s["concurrency"] for s in doc["steps"]] == [1, 4]
    total = 0
    for i in range(2):
        r = median(doc, i)
        check_result(r)
        assert r["failed"] == 0 and r["ok"] > 10
        assert r["by_status"] == {"200": r["ok"]}
        assert r["requests_per_s"] == pytest.approx(r["ok"] / r["measured_s"])
        total += r["ok"]
    assert counted(examples, "iris") - before >= total


def test_the_server_s_statistics_are_those_of_the_step(examples):
    doc = report(url(examples), "-m", "iris", "-c", "8", "--rows", "3", *QUICK)
    s = median(doc)["server"]
    assert s["rows"] == 3 * s["requests"] and s["requests"] >= median(doc)["ok"]
    assert s["executions"] == sum(b["executions"] for b in s["batches"])
    assert sum(b["rows"] * b["executions"] for b in s["batches"]) == s["rows"]
    assert median(doc)["rows_per_s"] == pytest.approx(3 * median(doc)["requests_per_s"])


def test_every_example_model_is_asked_with_rows_of_its_own_file(examples, tmp_path):
    """fraud takes categories only that it knows: its requests come from a file."""
    source = json.loads((harness.EXAMPLES / "fraud" / "example.json").read_text())
    lines = tmp_path / "requests.jsonl"
    body = source if "features" in source or "instances" in source else {"features": source}
    lines.write_text("\n".join([json.dumps(body)] * 3) + "\n\n")
    doc = report(url(examples), "-m", "fraud", "-c", "2", "--input", lines, *QUICK)
    assert doc["targets"][0]["distinct_requests"] == 3
    assert doc["targets"][0]["protocol"] == "native"
    assert median(doc)["failed"] == 0 and median(doc)["ok"] > 5


# --- open loop ---
@pytest.mark.parametrize("arrivals", ["poisson", "constant"])
def test_an_open_loop_offers_its_rate(examples, arrivals):
    doc = report(url(examples), "-m", "iris", "--rate", "400", "--arrivals", arrivals, "-d", "1s",
                 "--warmup", "0s", "--protocol", "oip-json")
    r = median(doc)
    check_result(r)
    assert doc["loop"] == "open" and doc["arrivals"] == arrivals
    # fixed by the seed, not by the machine: the arrivals that were meant for this second
    assert 340 <= r["offered"] <= 460 if arrivals == "poisson" else 398 <= r["offered"] <= 401
    again = median(report(url(examples), "-m", "iris", "--rate", "400", "--arrivals", arrivals,
                          "-d", "1s", "--warmup", "0s", "--protocol", "oip-json"))
    assert again["offered"] == r["offered"]


def test_requests_carry_the_deadline_that_is_asked_for(tmp_path):
    bodies = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.answer({"name": "m", "versions": ["1"], "inputs": [
                {"name": "x", "datatype": "FP32", "shape": [-1, 2]}]})

        def do_POST(self):
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.answer({"outputs": []})

        def answer(self, what):
            data = json.dumps(what).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    with served(Handler) as port:
        doc = report(f"http://127.0.0.1:{port}", "-m", "m", "-c", "1", "--rows", "2", "--timeout",
                     "7ms", "--distinct", "2", "-d", "2s", "--warmup", "0s")
    assert median(doc)["server"] is None  # this one keeps no statistics
    assert bodies and all(b["parameters"] == {"timeout": 7000} for b in bodies)
    assert bodies[0]["inputs"][0]["shape"] == [2, 2] and len(bodies[0]["inputs"][0]["data"]) == 4
    assert bodies[0] != bodies[1] and bodies[0] == bodies[2]


# --- failures ---
def test_refusals_are_counted_and_explained(examples):
    r = bench(url(examples), "-m", "fraud", "-c", "2", *QUICK, code=1)
    assert re.search(r"\b400: [0-9,]+", r.stdout)
    assert "note: the first answer 400 said: " in r.stdout and "--input FILE" in r.stdout


def test_an_answer_that_never_comes_has_failed():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        doc = report(f"http://127.0.0.1:{port}/x", "-c", "2", "-d", "2s", "--warmup", "0s",
                     "--client-timeout", "100ms", code=1)
    r = median(doc)
    check_result(r)
    assert r["timed_out"] == r["offered"] > 0


def test_any_http_server_with_a_path(examples):
    doc = report(url(examples) + "/health/live", "-c", "2", *QUICK)
    assert doc["targets"][0]["protocol"] == "http" and doc["targets"][0]["path"] == "/health/live"
    assert median(doc)["failed"] == 0 and median(doc)["ok"] > 10


def test_a_closed_port_is_named():
    r = bench(f"http://127.0.0.1:{harness.free_port()}", "-m", "x", code=1)
    assert "Connection refused" in r.stderr and r.stdout == ""


def test_another_machine_must_be_allowed():
    """By the address of this machine that is not loopback, where it has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(("192.0.2.1", 9))
        own = s.getsockname()[0]
    if own.startswith("127."):
        pytest.skip("this machine has no address but loopback")
    with socket.create_server((own, 0)) as listener:
        port = listener.getsockname()[1]
        r = bench(f"http://{own}:{port}/", "-m", "x", code=2)
        assert "--allow-remote" in r.stderr
        listener.settimeout(5)
        peer, _ = listener.accept()
        peer.settimeout(5)
        assert peer.recv(100) == b""  # connected, to learn the address; nothing was asked


@pytest.mark.parametrize("args, says", [
    (["--rate", "5", "-c", "3"], "exclude each other"),
    (["--rate", "x"], "not a whole number"),
    (["-c", "0"], "not within 1.."),
    (["-c", "9..1"], "does not go up"),
    (["--rows", "1:5"], "FROM:TO:STEP"),
    (["--duration", "soon"], "--duration"),
    (["--warmup", "-1"], "--warmup"),
    (["--protocol", "soap"], "oip-json, native, grpc"),
    (["--protocol", "grpc", "--input", "f"], "--input"),
    (["--arrivals", "sometimes", "--rate", "5"], "poisson"),
    (["--arrivals", "poisson"], "goes with --rate"),
    (["--connections", "5"], "goes with --rate"),
    (["--connections", "0", "--rate", "5"], "within 1.."),
    (["--slo", "p98=1ms"], "no objective"),
    (["--slo", "p99=1"], "not a time"),
    (["--shape", "x"], "NAME:SIZE"),
    (["--seed", "x"], "--seed"),
    (["--rounds", "0"], "--rounds"),
    (["--client-cores", "x"], "--client-cores"),
    (["--client-cores", "100000"], "--client-cores"),
    (["--input", "f", "--rows", "2"], "--input"),
    (["--input", "f", "--timeout", "1s"], "--timeout"),
    (["--against-args", "x"], "--against"),
    (["surplus"], "one argument too many"),
    (["--concurency", "3"], "did you mean --concurrency?"),
])
def test_a_wrong_command_line_says_what_is_wrong(args, says):
    r = bench("http://127.0.0.1:1", *args, code=2)
    assert says in r.stderr and r.stdout == ""


@pytest.mark.parametrize("args, says", [
    (["-m", "none"], "404"),
    ([], "choose one: --model"),
    (["-m", "iris", "--shape", "nobody:1"], "no input nobody"),
    (["-m", "digits", "--shape", "pixels:1x3"], "has the shape [-1,64]"),
    (["-m", "digits", "--shape", "pixels:64"], "has the shape [-1,64]"),
    (["-m", "iris", "--input", "/nonexistent"], "/nonexistent"),
    (["-m", "iris", "--html", "/nonexistent/x.html", *QUICK, "-c", "1"], "/nonexistent/x.html"),
    (["-m", "iris", "--", "--threads", "1"], "a server already"),
])
def test_what_the_server_does_not_have_is_an_error(examples, args, says):
    r = bench(url(examples), *args, code=1)
    assert says in r.stderr


def test_a_body_that_is_none_is_an_error(examples, tmp_path):
    for text, says in (("{}", "inputs"), ("{", "request 1"), ("", "empty"),
                       ('{"instances":[]}\n{"inputs":[]}', "more than one protocol")):
        file = tmp_path / "body"
        file.write_text(text)
        r = bench(url(examples), "-m", "iris", "--input", file, code=1)
        assert says in r.stderr, r.stderr


# --- a server of its own ---
def children(pid):
    out = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True,
                         check=False)
    return [int(p) for p in out.stdout.split()]


def test_a_path_is_served_for_the_time_of_the_benchmark():
    doc = report(MODEL, "-c", "2", *QUICK, "--", "--threads", "1", "--model-name", "other")
    t = doc["targets"][0]
    assert t["started"] and t["model"] == "other"
    assert t["arguments"] == ["--threads", "1", "--model-name", "other"]
    r = median(doc)
    assert r["ok"] > 10 and r["server_rss_bytes"] > 1 << 20 and r["server_cores"] >= 0
    port = int(t["url"].rsplit(":", 1)[1])
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        pass


@pytest.mark.parametrize("args, says", [
    ([harness.SOURCE / "README.md"], "README.md"),
    ([harness.SOURCE / "none.onnx"], "no such file"),
    ([MODEL, "--", "--no-such-option"], "no-such-option"),
    ([MODEL, "--", "--max-queue-size", "0"], "max-queue-size"),
])
def test_a_server_that_does_not_start_says_why(args, says):
    r = bench(*args, code=1)
    assert says in r.stderr


def test_two_targets_take_turns(examples):
    doc = report(MODEL, "--against", url(examples), "-m", "iris", "-c", "2", *SHORT, "--rounds", "3", "--", "--model-name", "iris")
    step = doc["steps"][0]
    assert [len(t["rounds"]) for t in step["targets"]] == [3, 3]
    ratio = step["ratio_a_to_b"]["requests_per_s"]
    pairs = [a["requests_per_s"] / b["requests_per_s"]
             for a, b in zip(*(t["rounds"] for t in step["targets"]))]
    assert ratio["median"] == pytest.approx(sorted(pairs)[1])
    assert (ratio["low"], ratio["high"]) == pytest.approx((min(pairs), max(pairs)))


def test_a_comparison_in_words():
    r = bench(MODEL, "--against", MODEL, "--against-args=--batching off --threads 1", "-c",
              "2", *SHORT, "--rounds", "2")
    assert "A against B at concurrency 2" in r.stdout
    assert re.search(r"requests/s: A/B [0-9.]+ \([0-9.]+ to [0-9.]+ in 2 pairs\): too few pairs to "
                     r"tell\n", r.stdout)
    assert "--batching off" in r.stdout and "--rounds 5" in r.stdout


# --- the ends ---
def test_objectives_decide_the_exit_code(examples):
    bench(url(examples), "-m", "iris", "-c", "1", "--slo", "p99=60s,errors=0,rate=1", *QUICK)
    r = bench(url(examples), "-m", "iris", "-c", "1", "--slo", "p50=1ns", *QUICK, code=3)
    assert "MISSED" in r.stdout
    doc = report(url(examples), "-m", "iris", "-c", "1", "--slo", "p50=1ns,p99=60s", *QUICK, code=3)
    assert [o["kept"] for o in doc["steps"][0]["objectives"]] == [False, True]


@pytest.mark.parametrize("target", ["url", "path"])
def test_ctrl_c_ends_with_the_report_of_what_was_measured(examples, target):
    where = url(examples) if target == "url" else str(harness.EXAMPLES)
    p = subprocess.Popen([harness.BIN, "bench", where, "-m", "iris", "-c", "1,2", "-d", "60s",
                          "--warmup", "0s", "--json"], env=harness.child_env(),
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        if target == "url":
            at = counted(examples, "iris")
            harness.wait_until(lambda: counted(examples, "iris") > at + 20, 20, "requests")
        else:
            # It waits, at little cost, until its server is ready, and works hard from then on.
            harness.wait_until(lambda: children(p.pid), 20, "the server's process")
            before = cpu_ms(p.pid)
            harness.wait_until(lambda: cpu_ms(p.pid) > before + 1500, 60, "load")
        started = children(p.pid)
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=20 * harness.SCALE)
    finally:
        p.kill()
    assert p.returncode == 130, err
    doc = json.loads(out)
    assert doc["interrupted"] is True and len(doc["steps"]) == 1
    assert median(doc)["interrupted"] is True and median(doc)["ok"] > 0
    assert 0 < median(doc)["measured_s"] < 60
    check_result(median(doc))
    for pid in started:
        assert not os.path.exists(f"/proc/{pid}")


def cpu_ms(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            fields = f.read().rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return (int(fields[11]) + int(fields[12])) * 1000 // os.sysconf("SC_CLK_TCK")


# --- reports ---
def test_the_table_has_a_row_a_step_and_a_plot(examples):
    r = bench(url(examples), "-m", "iris", "-c", "1,2,4", *SHORT,
              env={"LANG": "C", "LC_ALL": "C"})
    rows = [line.split()[0] for line in r.stdout.splitlines() if re.match(r" +\d+ +[\d,]+ .*s ", line)]
    assert rows == ["1", "2", "4"]
    assert "latency against rate" in r.stdout and r.stdout.isascii()
    assert "highest rate:" in r.stdout and "rows of the server's calls" in r.stdout
    assert r.stderr == ""  # no progress bar where there is no terminal
    r = bench(url(examples), "-m", "iris", "-c", "1,2,4", *SHORT,
              env={"LC_ALL": "C.UTF-8"})
    assert "●" in r.stdout


class Page(html.parser.HTMLParser):
    """Well-formed enough: every element is closed in order. Collects what could lead elsewhere."""
    VOID = {"meta", "link", "img", "br", "hr", "input"}

    def __init__(self):
        super().__init__()
        self.open, self.count, self.outside, self.ids = [], {}, [], []

    def handle_starttag(self, tag, attrs):
        self.count[tag] = self.count.get(tag, 0) + 1
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "srcset", "action", "data"):
                self.outside.append((tag, name, value))
            if name == "id":
                self.ids.append(value)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing: {self.open}"


def test_the_page_stands_alone(examples, tmp_path):
    file = tmp_path / "report.html"
    bench(url(examples), "-m", "iris", "-c", "1,2,4", *SHORT, "--html", file)
    text = file.read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    page.close()
    assert page.open == [] and page.outside == []
    assert len(set(page.ids)) == len(page.ids)
    assert page.count["svg"] == 3 and page.count["title"] > 3 and page.count["desc"] == 3
    assert "script" not in page.count and "url(" not in text and "@import" not in text
    assert text.count("http") == text.count("http://127.0.0.1")  # the target's name only
    assert "nan" not in text.lower().replace("name", "") and "inf" not in re.sub(r"[<>]", " ", text).split()
    assert 'name="viewport"' in text and "prefers-color-scheme:dark" in text


def test_a_name_cannot_break_the_page(tmp_path, serve):
    s = serve("--model-name", "<script>&\"x", paths=[harness.EXAMPLES / "iris"])
    file = tmp_path / "report.html"
    bench(url(s), "-c", "1", *SHORT, "--html", file)
    text = file.read_text(encoding="utf-8")
    assert "<script>" not in text and "&lt;script&gt;&amp;&quot;x" in text
