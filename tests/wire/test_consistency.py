# SPDX-License-Identifier: Apache-2.0
"""`galley consistency`: model files and running servers, asked the same."""
import http.server
import json
import threading

import onnx
import pytest

from harness import EXAMPLES, galley

FRAUD = EXAMPLES / "fraud"
CASES = json.loads((FRAUD / "cases.json").read_text())["cases"]
ROW = CASES[0]["native"]["features"]


@pytest.fixture(name="rows")
def rows_of_the_example(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(c["native"]) + "\n" for c in CASES))
    return path


def url(server, name):
    return f"http://127.0.0.1:{server.port}/v2/models/{name}"


def compare(a, b, *args, code=0, stdin=None):
    done = galley("consistency", a, b, "--json", *args, stdin=stdin)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout) if done.stdout else done.stderr


def nudged(path, by):
    """The model with one weight changed."""
    model = onnx.load(FRAUD / "model.onnx")
    weights = next(t for t in model.graph.initializer if t.name == "coefficient1")
    values = onnx.numpy_helper.to_array(weights).copy()
    values.flat[0] += by
    weights.CopyFrom(onnx.numpy_helper.from_array(values, weights.name))
    path.mkdir()
    onnx.save(model, path / "model.onnx")
    return path


def test_a_model_is_consistent_with_the_server_that_serves_it(examples, rows):
    for a, b in [(FRAUD, url(examples, "fraud")), (url(examples, "fraud"), FRAUD / "model.onnx"),
                 (url(examples, "fraud/versions/1"), url(examples, "fraud"))]:
        told = compare(a, b, "--inputs", rows)
        assert told["consistent"] and told["cases"] == len(CASES) and told["failed"] == 0
        assert {o["name"] for o in told["outputs"]} == {"label", "probabilities"}
        assert all(o["absolute"] == 0 and o["beyond"] == 0 for o in told["outputs"])


def test_maps_are_compared_by_their_values(examples, tmp_path):
    row = tmp_path / "row.json"
    row.write_text('[{"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}]')
    told = compare(EXAMPLES / "iris", url(examples, "iris"), "-i", row)
    assert {o["name"]: o["values"] for o in told["outputs"]} == {"label": 1, "probabilities": 3}


def test_a_changed_weight_is_named_with_its_worst_value(rows, tmp_path):
    other = nudged(tmp_path / "other", 0.05)
    told = compare(FRAUD, other, "-i", rows, code=1)
    p = next(o for o in told["outputs"] if o["name"] == "probabilities")
    assert not told["consistent"] and told["failed"] > 0
    assert p["beyond"] > 0 and 1e-5 < p["absolute"] < 0.1
    assert p["worst"]["expected"] != p["worst"]["got"] and p["worst"]["case"].startswith("case ")
    text = galley("consistency", FRAUD, other, "-i", rows)
    assert text.returncode == 1 and "NOT consistent" in text.stdout and "worst in 'case " in text.stdout
    assert "is not reproduced: probabilities[" in text.stderr


def test_a_tolerance_may_be_told(rows, tmp_path):
    other = nudged(tmp_path / "other", 0.05)
    assert not compare(FRAUD, other, "-i", rows, "--rtol", 0, "--atol", 0, code=1)["consistent"]
    assert compare(FRAUD, other, "-i", rows, "--atol", 0.5)["consistent"]
    assert "--atol is a number" in compare(FRAUD, other, "-i", rows, "--atol", "-1", code=2)


def test_outputs_that_one_alone_has_are_a_difference(rows, tmp_path):
    model = onnx.load(FRAUD / "model.onnx")
    del model.graph.output[0]
    (tmp_path / "less").mkdir()
    onnx.save(model, tmp_path / "less" / "model.onnx")
    told = compare(FRAUD, tmp_path / "less", "-i", rows, code=1)
    assert told["only_a"] == "label" and told["only_b"] == ""
    assert compare(FRAUD, tmp_path / "less", "-i", rows, "--outputs", "probabilities")["consistent"]


@pytest.mark.parametrize("text, cases", [
    (json.dumps(ROW), 1),
    (json.dumps({"features": ROW}), 1),
    (json.dumps({"instances": [ROW, ROW]}), 1),
    (json.dumps([ROW, {"features": ROW}, list(ROW.values())]), 3),
    (json.dumps(list(ROW.values())), 1),
    (json.dumps(CASES[0]["oip"]), 1),
    (json.dumps(CASES[0]["oip"]) + "\n\n" + json.dumps(ROW) + "\n", 2),
])
def test_inputs_have_many_forms(text, cases):
    assert compare(FRAUD, FRAUD, "-i", "-", stdin=text)["cases"] == cases


@pytest.mark.parametrize("text, message", [
    ("", "-"),
    ("[]", "-"),
    ("{", "-: 1:"),
    ('"x"', "expected an object or an array"),
    (json.dumps(ROW) + '\n{"transaction_amount": "x"}\n', "-: line 2: transaction_amount"),
    (json.dumps([ROW, {**ROW, "hour_of_day": 1.5}]), "-: [1]: hour_of_day"),
    (json.dumps({"inputs": [{**CASES[0]["oip"]["inputs"][0], "datatype": "FP64"}]}),
     "input 'transaction_amount' is FP32 [-1,1], got FP64 [1,1]"),
])
def test_wrong_inputs_say_where(text, message):
    assert message in compare(FRAUD, FRAUD, "-i", "-", stdin=text, code=2)


def test_what_cannot_be_asked_is_no_difference(examples, rows, tmp_path):
    assert "unknown model 'rose'" in compare(FRAUD, url(examples, "rose"), "-i", rows, code=2)
    assert "names no model" in compare(FRAUD, f"http://127.0.0.1:{examples.port}/", "-i", rows, code=2)
    assert "neither has golden cases" in compare(FRAUD, FRAUD, code=2)
    compare(FRAUD, tmp_path / "nothing", "-i", rows, code=2)


def test_a_server_that_answers_something_else_is_told(rows):
    class Odd(http.server.BaseHTTPRequestHandler):
        """Metadata that is right, answers that are not."""

        def answer(self, body):
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            ports = [{"name": t["name"], "datatype": t["datatype"], "shape": [-1, 1]}
                     for t in CASES[0]["oip"]["inputs"]]
            self.answer(json.dumps({"name": "odd", "inputs": ports, "outputs": [
                {"name": "label", "datatype": "INT64", "shape": [-1]}]}).encode())

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(b'{"outputs": [{"name": "label", "datatype": "INT64", "shape": [3], "data": [1]}]}')

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Odd)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        odd = f"http://127.0.0.1:{server.server_port}/v2/models/odd"
        assert "expected 3" in compare(odd, FRAUD, "-i", rows, "--outputs", "label", code=2)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
