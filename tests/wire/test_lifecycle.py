# SPDX-License-Identifier: Apache-2.0
"""Start, reload, drain, stop (requirements SHD-01 to SHD-06)."""
import os
import re
import shutil
import signal
import threading
import time

import pytest

import harness
import models
from harness import Closed, Conn, request, wait_until

SLOW = "/v2/models/slow/infer"
X = {"x": ("FP32", [1, 2], [1, 2])}
ONE = {"x": ("FP32", [1, 1], [1])}


@pytest.fixture(scope="module")
def trips(zoo_dir):
    """How many multiplications the slow model makes in a second, on this machine, now."""
    took = []
    with harness.Server(paths=[zoo_dir / "slow"]) as s:
        for _ in range(3):
            start = time.monotonic()
            assert s.infer("slow", {"x": ("INT64", [1, 1], [1000])}, timeout=60).status == 200
            took.append(time.monotonic() - start)
    return 1000 / min(took)


def slow_body(trips, seconds):
    return {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "INT64",
                        "data": [int(trips * seconds)]}]}


def begin(s, body):
    """A connection whose request is in the model's hands."""
    c = s.connect(timeout=60)
    c.send(request("POST", SLOW, body))
    s.wait_running()
    return c


# --- stop ---

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_stops_at_once_with_0(serve, zoo_dir, number):
    s = serve(paths=[zoo_dir / "id-fp32"])
    idle = s.connect()
    idle.send(request("GET", "/health"))
    idle.reply()
    start = time.monotonic()
    s.signal(number)
    assert s.wait_exit() == 0
    assert time.monotonic() - start < 2 * harness.SCALE
    assert idle.at_end()
    assert "Shutdown initiated, draining requests..." in s.log()
    assert "Shutdown complete" in s.log()


def test_a_request_in_flight_is_answered_before_the_end(serve, zoo_dir, trips):
    s = serve("--grace", "600s", paths=[zoo_dir / "slow"])
    c = begin(s, slow_body(trips, 1.2 * harness.SCALE))
    s.signal(signal.SIGTERM)
    r = c.reply()
    assert r.status == 200 and r.header("Connection") == "close"
    assert s.wait_exit() == 0


def test_new_requests_are_refused_while_it_drains(serve, zoo_dir, trips):
    s = serve("--grace", "600s", paths=[zoo_dir / "slow", zoo_dir / "id-fp32"])
    c = begin(s, slow_body(trips, 2 * harness.SCALE))
    half = arriving(s)
    s.signal(signal.SIGTERM)
    wait_until(lambda: is_refused(s), 20, "nobody to listen any more")
    half.send(PLAIN[1])
    r = half.reply()
    assert r.status == 503 and "Service shutting down" in r.body.decode()
    assert r.header("Connection") == "close"
    assert c.reply().status == 200
    assert s.wait_exit() == 0


PLAIN = request("POST", "/v2/models/id-fp32/infer", {"inputs": [
    {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}, {"Expect": "100-continue"}).split(b"\r\n\r\n")


def arriving(s):
    """A connection on which a request's head has come."""
    c = s.connect(timeout=60)
    c.send(PLAIN[0] + b"\r\n\r\n")
    assert c.reply().status == 100
    return c


def is_refused(s):
    """Nobody listens any more."""
    try:
        s.get("/health")
    except (ConnectionError, Closed):
        return True
    return False


def test_what_is_arriving_is_read_to_its_end_and_answered(serve, zoo_dir):
    """Though nothing else keeps the server: a client that sends for long is told, not cut."""
    s = serve("--grace", "60s", "--threads", "1", paths=[zoo_dir / "id-fp32"])
    whole, begun = arriving(s), s.connect(timeout=60)
    begun.send(b"GET /heal")
    assert s.get("/health").status == 200  # by the one loop: what was sent before has come
    s.signal(signal.SIGTERM)
    wait_until(lambda: is_refused(s), 20, "nobody to listen any more")
    time.sleep(0.3)
    begun.send(b"th HTTP/1.1\r\nHost: x\r\n\r\n")
    assert begun.reply().status == 200
    time.sleep(0.3)
    assert s.process.poll() is None
    whole.send(PLAIN[1])
    r = whole.reply()
    assert r.status == 503 and "Service shutting down" in r.body.decode() and r.header("Connection") == "close"
    assert s.wait_exit() == 0


def test_what_does_not_arrive_is_not_waited_for_long(serve, zoo_dir):
    s = serve("--grace", "60s", "--body-timeout", "500ms", paths=[zoo_dir / "id-fp32"])
    c = arriving(s)
    s.signal(signal.SIGTERM)
    assert c.reply().status == 408
    heard = time.monotonic()
    time.sleep(0.3)  # a second is there for a client that hears of it late
    assert s.process.poll() is None or time.monotonic() - heard > 0.8
    c.close()
    assert s.wait_exit() == 0


def test_who_reads_slowly_is_answered_what_it_has_begun_meanwhile(serve, tmp_path):
    """Its first answer said, before the drain, that the connection stays."""
    models.spread(tmp_path / "x" / "model.onnx", 1 << 20)
    s = serve("--grace", "60s", "--threads", "1", paths=[tmp_path / "x"])
    infer = request("POST", "/v2/models/x/infer", {"inputs": [
        {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]})
    with Conn(s.port, timeout=60, rcvbuf=65536) as begun, Conn(s.port, timeout=60, rcvbuf=65536) as idle:
        for c, more in ((begun, b"GET /heal"), (idle, b"")):
            c.send(infer + more)
            c._more()
        s.signal(signal.SIGTERM)
        wait_until(lambda: is_refused(s), 20, "nobody to listen any more")
        for c in (begun, idle):
            r = c.reply()
            assert r.status == 200 and r.header("Connection") is None
        assert idle.at_end()
        time.sleep(0.3)
        begun.send(b"th HTTP/1.1\r\nHost: x\r\n\r\n")
        r = begun.reply()
        assert r.status == 200 and r.header("Connection") == "close"
    assert s.wait_exit() == 0


def test_drain_delay_keeps_serving_while_readiness_is_down(serve, zoo_dir):
    delay = 2 * harness.SCALE
    s = serve("--drain-delay", f"{delay}s", paths=[zoo_dir / "id-fp32"])
    start = time.monotonic()
    s.signal(signal.SIGTERM)
    s.wait_for("ready", status=503)
    served = 0
    while time.monotonic() - start < delay / 2:
        assert s.infer("id-fp32", X).status == 200
        served += 1
    assert served > 3
    assert s.wait_exit() == 0
    assert time.monotonic() - start >= 0.9 * delay


def test_no_request_is_lost_while_it_drains(serve, zoo_dir):
    """SHD-05: clients on kept-alive connections are told to go elsewhere by their answers, so that
    none is cut between two requests."""
    s = serve("--drain-delay", f"{harness.SCALE}s", paths=[zoo_dir / "id-fp32"])
    body = request("POST", "/v2/models/id-fp32/infer", {"inputs": [
        {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]})
    failures, moved = [], []

    def client():
        with Conn(s.port) as c:
            while True:
                try:
                    c.send(body)
                    r = c.reply()
                except Exception as e:  # whatever it is, it is a failed request
                    failures.append(e)
                    return
                if r.status != 200:
                    failures.append(r)
                if r.header("Connection") == "close":
                    moved.append(c.at_end())
                    return
    threads = [threading.Thread(target=client) for _ in range(4)]
    for t in threads:
        t.start()
    time.sleep(0.2)
    assert not moved
    s.signal(signal.SIGTERM)
    for t in threads:
        t.join()
    assert not failures and moved == [True] * 4
    assert s.wait_exit() == 0


def test_grace_bounds_the_drain_and_1_says_so(serve, zoo_dir, trips):
    s = serve("--grace", "300ms", paths=[zoo_dir / "slow"], exit_code=1)
    begin(s, slow_body(trips, 6))
    start = time.monotonic()
    s.signal(signal.SIGTERM)
    assert s.wait_exit() == 1
    assert 0.2 < time.monotonic() - start < 4 * harness.SCALE
    assert s.lines("grace_over")


def test_a_second_signal_ends_the_grace(serve, zoo_dir, trips):
    s = serve("--grace", "60s", paths=[zoo_dir / "slow"], exit_code=1)
    begin(s, slow_body(trips, 6))
    s.signal(signal.SIGINT)
    s.wait_line("draining")
    time.sleep(0.2)
    assert s.process.poll() is None
    s.signal(signal.SIGINT)
    assert s.wait_exit(4) == 1


def test_a_second_signal_ends_the_drain_delay(serve, zoo_dir):
    s = serve("--drain-delay", "60s", paths=[zoo_dir / "id-fp32"])
    s.signal(signal.SIGTERM)
    s.wait_line("draining")
    s.signal(signal.SIGTERM)
    assert s.wait_exit(5) == 0


def test_sigterm_during_the_load_stops_cleanly(serve, tmp_path):
    models.slow(tmp_path / "late" / "model.onnx", least=5000)
    s = serve("--warmup", "20", paths=[tmp_path], wait="live")
    assert s.get("/ready").status == 503
    start = time.monotonic()
    s.signal(signal.SIGTERM)
    assert s.wait_exit() == 0
    assert time.monotonic() - start < 3 * harness.SCALE


def test_sigterm_before_it_listens_stops_too(zoo_dir):
    """A signal at any moment of the start ends the process: by the drain, or by the signal."""
    for pause in (0, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05):
        s = harness.Server(paths=[zoo_dir], wait=None)
        time.sleep(pause * harness.SCALE)
        s.signal(signal.SIGTERM)
        assert s.wait_exit(20) in (0, -signal.SIGTERM)


# --- start ---

def test_a_port_in_use_is_a_clear_error(zoo_dir, serve):
    s = serve(paths=[zoo_dir / "id-fp32"])
    done = harness.galley("serve", zoo_dir / "id-fp32", "--http-port", s.port)
    assert done.returncode == 1
    assert str(s.port) in done.stderr and "in use" in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3


def test_an_address_that_is_not_ours_is_a_clear_error(zoo_dir):
    for host in ("192.0.2.1", "no such host"):
        done = harness.galley("serve", zoo_dir / "id-fp32", "--http-port", "0", "--host", host)
        assert done.returncode == 1 and host in done.stderr


def test_only_loopback_listens_unless_told_otherwise(serve, zoo_dir):
    s = serve(paths=[zoo_dir / "id-fp32"])
    assert s.lines("listening")[0]["url"] == f"http://127.0.0.1:{s.port}"
    with pytest.raises(ConnectionError):
        harness.socket.create_connection(("127.0.0.2", s.port), 2).close()


def test_ipv6_is_served(serve, zoo_dir):
    s = serve("--host", "::1", paths=[zoo_dir / "id-fp32"], port=harness.free_port(), wait=None)
    s.wait_line("ready")
    c = harness.socket.create_connection(("::1", s.port), 5)
    c.sendall(b"GET /health HTTP/1.0\r\n\r\n")
    assert c.recv(100).startswith(b"HTTP/1.1 200")
    c.close()


def test_a_path_without_models_ends_the_start(tmp_path):
    for path in (tmp_path, tmp_path / "nothing", tmp_path / "x.onnx"):
        done = harness.galley("serve", path, "--http-port", "0")
        assert done.returncode == 1 and str(path) in done.stderr


# --- reload ---

def write_config(path, **keys):
    fresh = path.with_suffix(".new")
    fresh.write_text("".join(f"{k}: {v}\n" for k, v in keys.items()))
    os.replace(fresh, path)


def reload(s):
    """SIGHUP, and the end of what it started, as the log tells it."""
    done = len(s.lines("reload"))
    s.signal(signal.SIGHUP)

    def ended():
        events = [line["event"] for line in s.lines()]
        at = [i for i, e in enumerate(events) if e == "reload"]
        return len(at) > done and {"ready", "not_ready", "reload_failed"} & set(events[at[done]:])
    wait_until(ended, 20, "the reload's end")
    time.sleep(0.03 * harness.SCALE)  # the loops hear of it a moment later


def test_models_come_and_go_by_sighup(serve, zoo_dir, tmp_path):
    shutil.copytree(zoo_dir / "id-fp32", tmp_path / "first")
    s = serve(paths=[tmp_path])
    shutil.copytree(zoo_dir / "versions" / "1", tmp_path / "second")
    assert s.infer("second", ONE).status == 404
    reload(s)
    assert s.infer("second", ONE).json()["outputs"][0]["data"] == [2]
    assert s.infer("first", X).status == 200
    shutil.rmtree(tmp_path / "first")
    reload(s)
    assert s.infer("first", X).status == 404
    assert s.get("/v2/models").json()["models"] == ["second"]


def test_a_new_version_takes_over_and_a_changed_file_replaces_itself(serve, tmp_path):
    models.add(tmp_path / "m" / "1" / "model.onnx", 1)
    s = serve(paths=[tmp_path])
    models.add(tmp_path / "m" / "2" / "model.onnx", 2)
    reload(s)
    reply = s.infer("m", ONE).json()
    assert (reply["model_version"], reply["outputs"][0]["data"]) == ("2", [3])
    models.add(tmp_path / "m" / "2" / "fresh.onnx", 20)
    os.replace(tmp_path / "m" / "2" / "fresh.onnx", tmp_path / "m" / "2" / "model.onnx")
    reload(s)
    assert s.infer("m", ONE).json()["outputs"][0]["data"] == [21]


def test_a_changed_file_that_does_not_load_leaves_the_old_one_serving(serve, tmp_path):
    models.add(tmp_path / "m" / "model.onnx", 1)
    s = serve(paths=[tmp_path])
    (tmp_path / "m" / "new").write_bytes(b"broken")
    os.replace(tmp_path / "m" / "new", tmp_path / "m" / "model.onnx")
    reload(s)
    assert s.lines("old_version_kept")
    assert s.infer("m", ONE).json()["outputs"][0]["data"] == [2]
    assert s.get("/ready").status == 200


def test_the_ready_gauge_tells_of_what_serves_after_a_reload(serve, tmp_path):
    def ready():
        page = s.get("/metrics").body.decode()
        return dict(re.findall(r'galley_model_ready{model="(\w+)",model_version="1"} (\d)', page))
    models.add(tmp_path / "kept" / "model.onnx", 1)
    models.add(tmp_path / "gone" / "model.onnx", 1)
    s = serve(paths=[tmp_path])
    assert ready() == {"kept": "1", "gone": "1"}
    shutil.rmtree(tmp_path / "gone")
    (tmp_path / "kept" / "model.onnx").write_bytes(b"")
    time.sleep(1)
    reload(s)
    assert ready() == {"kept": "1"}  # the one loaded before serves on
    line = s.lines("ready")[1]["message"]  # the reload's own time, not the process's
    assert re.fullmatch(r"1 model ready after (\d+\.\d) ms", line), line
    assert float(line.split()[-2]) < 900 * harness.SCALE
    assert "hint" not in s.lines("model_failed")[0]  # there is none for this error
    models.add(tmp_path / "gone" / "model.onnx", 1)
    reload(s)
    assert ready() == {"kept": "1", "gone": "1"}


def test_settings_are_read_again_by_sighup(serve, zoo_dir, tmp_path):
    config = tmp_path / "galley.yaml"
    write_config(config, log_level="info", max_body_bytes="1KiB")
    s = serve("--config", config, paths=[zoo_dir / "id-fp32"])
    big = b" " * 1500
    assert s.post("/v2/models/id-fp32/infer", big).status == 413
    write_config(config, log_level="debug", max_body_bytes="4KiB", access_log="off", threads="7")
    reload(s)
    assert s.post("/v2/models/id-fp32/infer", big).status == 400
    lines = len(s.lines("request"))
    assert s.get("/health").status == 200
    assert len(s.lines("request")) == lines
    assert any("threads" in line["message"] for line in s.lines("restart_needed"))


def test_a_reload_that_finds_no_models_changes_nothing(serve, zoo_dir, tmp_path):
    config, repository = tmp_path / "galley.yaml", tmp_path / "models"
    shutil.copytree(zoo_dir / "id-fp32", repository / "id-fp32")
    write_config(config, max_body_bytes="4KiB")
    s = serve("--config", config, paths=[repository])
    repository.rename(tmp_path / "away")
    write_config(config, max_body_bytes="1KiB", log_level="off")
    reload(s)  # told, although the new level would have kept it quiet
    assert "does not exist" in s.lines("reload_failed")[0]["error"]
    assert s.infer("id-fp32", X).status == 200
    assert s.post("/v2/models/id-fp32/infer", b" " * 1500).status == 400
    assert s.lines("request"), "the old level holds"


def test_a_broken_configuration_changes_nothing(serve, zoo_dir, tmp_path):
    config = tmp_path / "galley.yaml"
    write_config(config, log_level="info")
    s = serve("--config", config, paths=[zoo_dir / "id-fp32"])
    write_config(config, log_levle="debug")
    reload(s)
    line = s.lines("reload_failed")[0]
    assert "galley.yaml:1" in line["place"] and "log_level" in line["hint"]
    assert s.infer("id-fp32", X).status == 200
    write_config(config, log_level="info")
    reload(s)
    assert s.infer("id-fp32", X).status == 200


def test_no_request_fails_while_models_are_swapped(serve, tmp_path):
    """Clients hammer one model while its file changes and SIGHUPs come."""
    models.add(tmp_path / "m" / "model.onnx", 1)
    s = serve(paths=[tmp_path])
    body = request("POST", "/v2/models/m/infer", {"inputs": [
        {"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [0]}]})
    stop, failures, seen = threading.Event(), [], set()

    def hammer():
        with Conn(s.port) as c:
            while not stop.is_set():
                c.send(body)
                try:
                    r = c.reply()
                    if r.status != 200:
                        failures.append(r)
                    else:
                        seen.add(r.json()["outputs"][0]["data"][0])
                except Exception as e:  # whatever it is, it is a failed request
                    failures.append(e)
                    return
    threads = [threading.Thread(target=hammer) for _ in range(3)]
    for t in threads:
        t.start()
    for number in range(2, 8):
        models.add(tmp_path / "m" / "fresh.onnx", number)
        os.replace(tmp_path / "m" / "fresh.onnx", tmp_path / "m" / "model.onnx")
        reload(s)
        wait_until(lambda n=number: float(n) in seen, 10, f"answers of {number}")
    stop.set()
    for t in threads:
        t.join()
    assert not failures, failures[:3]


def test_signals_in_any_order_do_not_hurt(serve, zoo_dir):
    s = serve(paths=[zoo_dir / "id-fp32", zoo_dir / "versions"])
    for _ in range(50):
        s.signal(signal.SIGHUP)
        time.sleep(0.002)
    s.signal(signal.SIGPIPE)
    s.signal(signal.SIGWINCH)
    wait_until(lambda: s.lines("ready")[1:], 20, "the reload's end")
    assert s.infer("id-fp32", X).status == 200
