# SPDX-License-Identifier: Apache-2.0
"""The command line: help, options in three places, errors that say what to do, exit codes."""
import hashlib
import json
import re
import shutil
import socket
import subprocess
import threading

import pytest

import harness
import models
from harness import EXAMPLES, galley

COMMANDS = ["serve", "predict", "inspect", "pack", "unpack", "ls", "diff", "health", "version", "completion", "help"]
IRIS = EXAMPLES / "iris"
ROW = json.loads((IRIS / "example.json").read_text())


# --- help ---

def test_without_arguments_it_shows_the_way():
    done = galley()
    assert done.returncode == 2
    for command in COMMANDS:
        assert command in done.stderr


@pytest.mark.parametrize("args", [["help"], ["--help"], ["-h"]])
def test_help_lists_every_command(args):
    done = galley(*args)
    assert done.returncode == 0 and done.stderr == ""
    for command in COMMANDS:
        assert f"\n  {command} " in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_by_every_spelling(command):
    texts = {galley(*args).stdout for args in (["help", command], [command, "--help"], [command, "-h"])}
    assert len(texts) == 1
    text = texts.pop()
    assert f"galley {command}" in text and "Usage" in text and "Examples" in text
    assert max(len(line) for line in text.splitlines()) <= 100
    for spelled in re.findall(r"In the environment (--[a-z-]+) is", text):  # one that it has
        assert f"{spelled} " in text.split("In the environment")[0]


def test_help_of_serve_has_every_setting_with_its_default():
    text = galley("help", "serve").stdout
    for option in ("--host", "--http-port", "--model-name", "--threads", "--max-body-bytes",
                   "--log-level", "--log-format", "--config", "--drain-delay", "--grace"):
        assert option in text
    for default in ("127.0.0.1", "8080", "64MiB", "GALLEY_HTTP_PORT"):
        assert default in text


def test_health_knows_0_and_1_alone():
    for args in (["a", "b"], ["--timeout", "0"], ["ftp://127.0.0.1/"], ["--nonsense"]):
        done = galley("health", *args)
        assert done.returncode == 1 and done.stdout == "" and done.stderr.startswith("galley: health: ")


def test_predict_takes_its_data_behind_the_path():
    for data in (f"@{IRIS / 'example.json'}", json.dumps(ROW)):
        done = galley("predict", IRIS, data)
        assert done.returncode == 0 and json.loads(done.stdout)["prediction"]["label"] == "setosa"


@pytest.mark.parametrize("args, words", [
    (["serv"], ["unknown command", "did you mean serve?"]),
    (["frobnicate"], ["unknown command"]),
    (["serve", IRIS, "--http-prot", "1"], ["--http-prot", "did you mean --http-port?"]),
    (["serve", IRIS, "-z"], ["-z", "unknown option"]),
    (["serve", IRIS, "--http-port"], ["--http-port", "value is missing"]),
    (["serve", IRIS, "--http-port", "x"], ["--http-port", "'x'", "port's number"]),
    (["serve", IRIS, "--http-port", "70000"], ["--http-port", "0..65535"]),
    (["serve", IRIS, "--max-body-bytes", "64M"], ["--max-body-bytes", "64MiB"]),
    (["serve", IRIS, "--log-level", "loud"], ["--log-level", "debug, info, warn, error"]),
    (["serve", IRIS, "--schedule", "magic"], ["--schedule", "auto|inline|workers"]),
    (["serve"], ["nothing to serve"]),
    (["predict"], ["SOURCE is missing"]),
    (["predict", IRIS, IRIS], ["one argument too many"]),
    (["version", "--json=1"], ["takes no value"]),
    (["completion", "tcsh"], ["tcsh"]),
    (["help", "nothing"], ["nothing"]),
])
def test_wrong_command_lines_exit_2_and_name_what_is_wrong(args, words):
    done = galley(*args)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("galley: ") and "galley help" in done.stderr \
        or len(done.stderr.splitlines()) <= 2
    for word in words:
        assert word in done.stderr, done.stderr


# --- version, completion ---

def test_version_names_galley_and_its_engine():
    for args in (["version"], ["--version"], ["-V"]):
        done = galley(*args)
        assert done.returncode == 0
        assert done.stdout.startswith("galley ") and "ONNX Runtime 1." in done.stdout
    document = json.loads(galley("version", "--json").stdout)
    assert document["galley"] and document["onnxruntime"].startswith("1.")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_the_shells_language(shell):
    script = galley("completion", shell)
    assert script.returncode == 0 and "galley" in script.stdout
    if shutil.which(shell):
        parsed = subprocess.run([shell, "-n"], input=script.stdout, capture_output=True, text=True,
                                check=False)
        assert parsed.returncode == 0 and parsed.stderr == ""


def complete(*words):
    """What bash offers for the last word."""
    line = " ".join(words)
    test = galley("completion", "bash").stdout + f"""
COMP_LINE='{line}' COMP_POINT={len(line)} COMP_WORDS=({' '.join(repr(w) for w in words)})
COMP_CWORD={len(words) - 1}
spec=$(complete -p galley); fn=${{spec##*-F }}; fn=${{fn%% *}}
$fn galley "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD-1]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "-c", test], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [w.strip() for w in done.stdout.splitlines()]


def test_bash_completes_commands_options_and_values():
    assert set(complete("galley", "")) >= set(COMMANDS)
    assert complete("galley", "pre") == ["predict"]
    assert "--http-port" in complete("galley", "serve", "--http")
    assert set(complete("galley", "serve", "--log-level", "")) == {"debug", "info", "warn", "error",
                                                                   "off"}


# --- inspect ---

def test_inspect_tells_inputs_outputs_opset_producer_size_and_digest():
    text = galley("inspect", IRIS)
    assert text.returncode == 0
    file = (IRIS / "model.onnx").read_bytes()
    for word in ("sepal_length", "FP32", "label", "ai.onnx", hashlib.sha256(file).hexdigest(),
                 str(len(file))):
        assert word in text.stdout
    one = json.loads(galley("inspect", IRIS, "--json").stdout)["models"][0]
    assert (one["name"], one["version"], one["bytes"]) == ("iris", "1", len(file))
    assert one["sha256"] == hashlib.sha256(file).hexdigest()
    assert [i["name"] for i in one["inputs"]] == list(ROW["features"])
    assert one["inputs"][0]["datatype"] == "FP32" and one["inputs"][0]["shape"] == [-1, 1]
    assert one["outputs"][1]["type"].startswith("seq(map(")


def test_inspect_shows_a_repository_and_what_is_broken_in_it(zoo_dir, tmp_path):
    document = json.loads(galley("inspect", zoo_dir, "--json").stdout)
    assert [m["version"] for m in document["models"] if m["name"] == "versions"] == ["10", "2", "1"]
    (tmp_path / "m.onnx").write_bytes(b"nothing")
    done = galley("inspect", tmp_path / "m.onnx")
    assert done.returncode == 1 and "m.onnx" in done.stderr
    done = galley("inspect", tmp_path / "absent.onnx")
    assert done.returncode == 1 and "absent.onnx" in done.stderr


def test_inspect_shows_metadata(tmp_path):
    path = models.add(tmp_path / "m.onnx", 1, meta={"author": "me", "a\x1b[31mb": "c\nd"})
    done = galley("inspect", path)
    assert "author: me" in done.stdout and "\x1b" not in done.stdout
    assert json.loads(galley("inspect", path, "--json").stdout)["models"][0]["metadata"]["author"] == "me"


# --- predict ---

def test_predict_takes_text_file_and_stdin(tmp_path):
    text = json.dumps(ROW)
    file = tmp_path / "row.json"
    file.write_text(text)
    answers = [galley("predict", IRIS, "-d", text), galley("predict", IRIS, "--data", f"@{file}"),
               galley("predict", IRIS, stdin=text), galley("predict", IRIS, "-d", "@-", stdin=text),
               galley("predict", IRIS / "model.onnx", f"-d{text}"),
               galley("predict", EXAMPLES, "--model", "iris", "-d", text)]
    for done in answers:
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        assert answer["predictions"][0]["label"] == "setosa"
        assert answer["model_version"] == "1"


def test_predict_takes_the_open_inference_protocol_too():
    case = json.loads((IRIS / "cases.json").read_text())["cases"][0]
    done = galley("predict", IRIS, "-d", json.dumps(case["oip"]))
    assert done.returncode == 0
    assert json.loads(done.stdout)["outputs"][0]["data"] == case["expected"]["outputs"]["label"]


@pytest.mark.parametrize("args, words", [
    ([IRIS, "-d", "{"], ["galley: predict: "]),
    ([IRIS, "-d", "[1]"], ["galley: predict: expected an object"]),
    ([IRIS, "-d", '{"features":{"sepal_length":"x"}}'], ["sepal_length"]),
    ([IRIS, "-d", "@/nothing/there"], ["/nothing/there"]),
    (["/nothing/there", "-d", "{}"], ["/nothing/there"]),
    ([EXAMPLES, "-d", "{}"], ["iris", "fraud"]),
    ([EXAMPLES, "--model", "nobody", "-d", "{}"], ["nobody"]),
    ([IRIS, "--version", "9", "-d", "{}"], ["9"]),
])
def test_predict_fails_with_1_and_one_clear_line(args, words):
    done = galley("predict", *args)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("galley: predict: ") and len(done.stderr.splitlines()) <= 2
    for word in words:
        assert word in done.stderr


def test_predict_picks_versions(zoo_dir):
    done = galley("predict", zoo_dir / "versions", "--version", "2", "-d", '{"features":[0]}')
    assert json.loads(done.stdout)["model_version"] == "2"


def test_output_that_cannot_be_written_is_a_failure():
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([harness.BIN, "version"], stdout=full, stderr=subprocess.PIPE,
                              env=harness.child_env(), check=False)
    assert done.returncode == 1 and b"could not be written" in done.stderr


# --- health ---

def test_health_exits_0_when_ready_and_1_when_not(examples, serve, tmp_path):
    url = f"http://127.0.0.1:{examples.port}"
    for target in (url, f"127.0.0.1:{examples.port}", f"{url}/health/live", f"{url}/"):
        assert galley("health", target).returncode == 0, target
    assert galley("health", env={"GALLEY_HTTP_PORT": examples.port}).returncode == 0
    done = galley("health", f"{url}/nowhere")
    assert done.returncode == 1 and "404" in done.stderr + done.stdout
    done = galley("health", f"http://127.0.0.1:{harness.free_port()}")
    assert done.returncode == 1 and "refused" in done.stderr.lower()
    (tmp_path / "bad.onnx").write_bytes(b"bad")
    s = serve(paths=[tmp_path / "bad.onnx"], wait="live")
    s.wait_line("model_failed")
    done = galley("health", f"http://127.0.0.1:{s.port}")
    assert done.returncode == 1 and "bad" in done.stderr + done.stdout


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 999\r\n\r\n",
                                    b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 50000])
def test_health_survives_servers_that_are_none(answer):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def play():
            peer, _ = listener.accept()
            with peer:
                peer.recv(1000)
                try:
                    peer.sendall(answer)
                except OSError:
                    pass
        t = threading.Thread(target=play)
        t.start()
        done = galley("health", f"http://127.0.0.1:{listener.getsockname()[1]}")
        t.join()
    assert done.returncode == (0 if answer.startswith(b"HTTP/1.1 200") else 1)


def test_health_has_a_deadline():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        done = galley("health", f"http://127.0.0.1:{listener.getsockname()[1]}", "--timeout", "300ms",
                      timeout=10)
    assert done.returncode == 1


# --- settings in three places ---

def test_flags_win_over_environment_over_file(serve, zoo_dir, tmp_path):
    config = tmp_path / "galley.yaml"
    config.write_text("models:\n  - %s\nmax_body_bytes: 1KiB\nmax_head_bytes: 1KiB\n"
                      "max_instances: 1\n" % (zoo_dir / "id-fp32"))
    s = serve("--config", config, "--max-head-bytes", "4KiB",
              env={"GALLEY_MAX_BODY_BYTES": "2KiB", "GALLEY_MAX_HEAD_BYTES": "2KiB"})
    assert s.post("/v2/models/id-fp32/infer", b" " * 1500).status == 400
    assert s.post("/v2/models/id-fp32/infer", b" " * 2500).status == 413
    assert s.get("/health", {"X-A": "a" * 3000}).status == 200
    assert s.post("/v1/predict", {"instances": [[1, 2]] * 2}).status in (413, 422)


def test_the_environment_alone_is_enough(serve, zoo_dir):
    s = serve(env={"GALLEY_MODELS": f"{zoo_dir / 'id-fp32'}:{zoo_dir / 'two'}",
                   "GALLEY_MODEL_NAME": "two", "GALLEY_ACCESS_LOG": "off"})
    assert s.get("/v2/models").json()["models"] == ["id-fp32", "two"]
    assert not s.lines("request")


def test_a_service_called_galley_in_kubernetes_is_no_setting(serve, zoo_dir):
    s = serve(paths=[zoo_dir / "id-fp32"], env={"GALLEY_PORT": "tcp://10.0.0.1:80",
                                                "GALLEY_HTTP_PORT": "tcp://10.0.0.1:80"})
    assert s.get("/health").status == 200


@pytest.mark.parametrize("text, line, words", [
    ("http_port: 1\nhtpp_host: x\n", 2, ["unknown key", "http_"]),
    ("log_level: info\n\n\nlog_levle: debug\n", 4, ["log_levle", "did you mean log_level?"]),
    ("http_port: many\n", 1, ["http_port", "port's number"]),
    ("threads: 4\nhttp_port: 99999\n", 2, ["http_port", "0..65535"]),
    ("- a\n- b\n", 1, ["mapping"]),
    ("models: here\n", 1, ["models", "list"]),
    ("log_level: info\nlog_level: warn\n", 2, ["log_level"]),
    ("a: [1\n", None, []),
    ("a: \"\n", None, []),
    ("\tx: 1\n", 1, []),
    ("x: &a 1\ny: *a\n", None, []),
    ("grace: {a: 1}\n", 1, ["grace"]),
])
def test_errors_of_the_file_name_its_line(tmp_path, text, line, words):
    config = tmp_path / "galley.yaml"
    config.write_text(text)
    done = galley("serve", IRIS, "--config", config)
    assert done.returncode == 1
    assert f"galley.yaml:{line}" in done.stderr if line else "galley.yaml" in done.stderr, done.stderr
    for word in words:
        assert word in done.stderr


def test_errors_of_the_environment_name_the_variable():
    done = galley("serve", IRIS, env={"GALLEY_HTTP_PORT": "x"})
    assert done.returncode == 1 and "GALLEY_HTTP_PORT" in done.stderr
    done = galley("serve", IRIS, env={"GALLEY_HTTP_PROT": "1"})
    assert done.returncode == 1 and "did you mean GALLEY_HTTP_PORT" in done.stderr
    done = galley("serve", IRIS, env={"GALLEY_PORT": "9000"})  # as --port is there too
    assert done.returncode == 1 and "did you mean GALLEY_HTTP_PORT" in done.stderr


def test_a_missing_engine_is_said_in_a_line(zoo_dir):
    done = galley("predict", IRIS, "-d", "{}", "--onnxruntime", "/nothing/libonnxruntime.so")
    assert done.returncode == 1 and "/nothing/libonnxruntime.so" in done.stderr
    done = galley("version", "--onnxruntime", "/nothing/libonnxruntime.so")
    assert done.returncode == 0 and "missing" in done.stdout


# --- make run ---

def test_make_run_asks_every_example_and_shows_its_whole_answer():
    script = EXAMPLES.parent.parent / "tools" / "run"
    env = harness.child_env(PORT=str(harness.free_port()), GALLEY_BIN=str(harness.BIN))
    with subprocess.Popen([script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                          env=env) as run:
        answers = {}
        for line in run.stdout:
            if line.startswith("  {"):
                answer = json.loads(line)
                answers[answer["model_name"]] = answer["prediction"]
            if "Ctrl-C stops it" in line:
                run.terminate()
        assert run.wait(30) == 0
    assert answers.keys() == {path.name for path in EXAMPLES.iterdir() if path.is_dir()}
