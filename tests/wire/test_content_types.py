# SPDX-License-Identifier: Apache-2.0
"""MLServer's content types: requests that its own codecs write are understood, and answers are ones
that its codecs read."""
import datetime
import importlib
import importlib.util
import json
import sys
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from onnx import TensorProto as T
from onnx import helper as h

import harness
import models
import oip
from test_cases import CASES as EACH, arrays, rows_of, same_bits


def load_codecs():
    """mlserver.codecs alone: the package's own __init__ brings its whole server along, whose
    dependencies the tests do without."""
    spec = importlib.util.find_spec("mlserver")
    if spec is None:
        pytest.skip("the package mlserver is missing; run: tools/setup test", allow_module_level=True)
    package = types.ModuleType("mlserver")
    package.__path__ = [str(Path(spec.origin).parent)]
    sys.modules["mlserver"] = package
    return importlib.import_module("mlserver.codecs"), importlib.import_module("mlserver.types")


codecs, wire = load_codecs()
FILES = sorted(harness.EXAMPLES.glob("*/cases.json"))
CASES = {f.parent.name: json.loads(f.read_text())["cases"] for f in FILES}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    root = tmp_path_factory.mktemp("content")
    shapes = {"bytes": (T.STRING, ("n", 1)), "flat": (T.STRING, ("n",)), "ns": (T.INT64, ("n", 1)),
              "seconds": (T.DOUBLE, ("n", 1)), "float": (T.FLOAT, ("n", 2)), "int": (T.INT32, ("n", 1)),
              "bool": (T.BOOL, ("n",))}
    for name, (t, shape) in shapes.items():
        models.write(root / name / "model.onnx", [h.make_node("Identity", ["x"], ["y"])],
                     [("x", t, shape)], [("y", t, shape)])
    models.write(root / "vector" / "model.onnx", [h.make_node("Identity", ["v"], ["y"])],
                 [("v", T.FLOAT, ("n", 3))], [("y", T.FLOAT, ("n", 3))],
                 meta={"feature_names": '["a", "b", "c"]'})
    with harness.Server(paths=[root, harness.EXAMPLES]) as s:
        yield s


def dump(model):
    return json.loads(model.model_dump_json(exclude_none=True))


def infer(server, model, body):
    return server.post(f"/v2/models/{model}/infer", body)


def output(server, model, body):
    reply = infer(server, model, body)
    assert reply.status == 200, reply
    return reply.json()["outputs"][0]


def one(item):
    return {"inputs": [dump(item) if not isinstance(item, dict) else item]}


# --- requests by MLServer's codecs ---

@pytest.mark.parametrize("name", [n for n in CASES if n in ("iris", "fraud")])
def test_a_data_frame_has_a_column_an_input(server, name):
    rows = [r for c in CASES[name]
            for r in c["native"].get("instances", [c["native"].get("features")]) if isinstance(r, dict)]
    frame = pd.DataFrame(rows)  # FP64 and INT64, where the model takes others
    body = dump(codecs.PandasCodec.encode_request(frame, use_bytes=False))
    reply = infer(server, name, body)
    assert reply.status == 200, reply
    native = server.post(f"/v1/models/{name}/predict", {"instances": rows}).json()["predictions"]
    answer = reply.json()
    assert answer["parameters"] == {"content_type": "pd"}
    label, scores = answer["outputs"]
    assert label["data"] == [r["label"] for r in native]
    k = scores["shape"][1]
    values = [list(r["probabilities"].values()) if isinstance(r["probabilities"], dict)
              else r["probabilities"] for r in native]
    assert [scores["data"][i * k:(i + 1) * k] for i in range(len(native))] == values


def check_case(server, name, case, body):
    reply = infer(server, name, body)
    assert reply.status == 200, reply
    got = oip.tensors(reply)
    same_bits(server, name, case, got["label"], got["probabilities"])


@pytest.mark.parametrize("name, case", EACH)
def test_numpy_arrays_of_the_examples_cases(server, name, case):
    inputs = [codecs.NumpyCodec.encode_input(k, v, use_bytes=False) for k, v in arrays(case).items()]
    check_case(server, name, case, {"inputs": [dump(i) for i in inputs]})
    if len(inputs) == 1:
        check_case(server, name, case, dump(codecs.NumpyRequestCodec.encode_request(arrays(case)[inputs[0].name])))


# digits has one input without names of features: a data frame cannot say which column is which
@pytest.mark.parametrize("name, case", [c for c in EACH if c.values[0] != "digits"])
def test_data_frames_of_the_examples_cases(server, name, case):
    names = None
    if name == "breast-cancer":
        done = harness.galley("inspect", harness.EXAMPLES / name, "--json")
        names = json.loads(json.loads(done.stdout)["models"][0]["metadata"]["feature_names"])
    frame = pd.DataFrame(rows_of(case), columns=names)
    check_case(server, name, case, dump(codecs.PandasCodec.encode_request(frame, use_bytes=False)))


def test_the_columns_of_a_vectors_features_come_together(server):
    frame = pd.DataFrame({"c": [3, 6], "a": [1.5, 4.0], "b": np.array([2, 5], np.int8)})
    body = dump(codecs.PandasCodec.encode_request(frame, use_bytes=False))
    out = output(server, "vector", body)
    assert out["shape"] == [2, 3] and out["data"] == [1.5, 2.0, 3.0, 4.0, 5.0, 6.0]


def test_numpy_and_text_of_one_input_go_by_any_name(server):
    array = np.array([[1.5, 2], [3, 4]], np.float32)
    body = dump(codecs.NumpyRequestCodec.encode_request(array))
    assert body["inputs"][0]["name"] != "x"
    reply = infer(server, "float", body)
    back = codecs.NumpyRequestCodec.decode_response(wire.InferenceResponse(**reply.json()))
    assert np.array_equal(back, array) and back.dtype == array.dtype
    texts = ["a", "ü,\"", ""]
    body = dump(codecs.StringRequestCodec.encode_request(texts, use_bytes=False))
    for model in ("bytes", "flat"):
        reply = infer(server, model, body)
        assert reply.status == 200, reply
        assert codecs.StringRequestCodec.decode_response(
            wire.InferenceResponse(**reply.json())) == texts


def test_base64_is_decoded(server):
    out = output(server, "bytes", one(codecs.Base64Codec.encode_input(
        "x", [b"plain", b"", b"a", b"ab", "ü".encode()], use_bytes=False)))
    assert out["data"] == ["plain", "", "a", "ab", "ü"]
    assert out["parameters"] == {"content_type": "str"}


def test_a_datetime_is_what_the_model_takes(server):
    zone = datetime.timezone(datetime.timedelta(hours=-5, minutes=-30))
    times = [datetime.datetime(2022, 1, 11, 11, 0, 0, 5), datetime.datetime(1969, 12, 31, 23, 59, 59),
             datetime.datetime(2024, 2, 29, 1, 2, 3, 999999, zone),
             datetime.datetime(2000, 3, 1, tzinfo=datetime.timezone.utc)]
    body = one(codecs.DatetimeCodec.encode_input("x", times, use_bytes=False))
    want = [pd.Timestamp(t).value for t in times]  # nanoseconds; naive is UTC
    assert output(server, "ns", body)["data"] == want
    assert output(server, "seconds", body)["data"] == [w / 1e9 for w in want]
    assert output(server, "bytes", body)["data"] == [t.isoformat() for t in times]


@pytest.mark.parametrize("text", [
    "2022-01-11", "2022-01-11 11:05", "2022-01-11T11:05:06Z", "2022-01-11T11:05:06.123456789+0130",
    "1678-01-01", "2261-12-31T23:59:59", "2100-02-28", "1900-02-28", "2000-02-29T00:00"])
def test_forms_of_datetimes(server, text):
    body = one({"name": "x", "shape": [1], "datatype": "BYTES", "data": [text],
                "parameters": {"content_type": "datetime"}})
    assert output(server, "ns", body)["data"] == [pd.Timestamp(text).value]


def test_plain_requests_have_no_content_types_in_their_answers(server):
    body = one({"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]})
    reply = infer(server, "float", body).json()
    assert "parameters" not in reply and "parameters" not in reply["outputs"][0]


# --- what is wrong ---

def text_input(kind, data, datatype="BYTES", name="x"):
    return {"inputs": [{"name": name, "shape": [len(data), 1], "datatype": datatype, "data": data,
                        "parameters": {"content_type": kind}}]}


def frame(**columns):
    return {"parameters": {"content_type": "pd"}, "inputs": [
        {"name": k, "shape": [len(v), 1], "datatype": "BYTES" if isinstance(v[0], str) else "FP64",
         "data": v} for k, v in columns.items()]}


KNOWN = "there are np, str, base64 and datetime"
WRONG = [
    ("bytes", text_input("pillow", ["a"]),
     f"unknown content type 'pillow' of an input; {KNOWN} (at inputs[0])"),
    ("bytes", text_input("pd", ["a"]),
     f"unknown content type 'pd' of an input; {KNOWN} (at inputs[0])"),
    ("bytes", text_input(7, ["a"]),
     "expected a string, got number (at inputs[0].parameters.content_type)"),
    ("bytes", {**text_input("str", ["a"]), "parameters": {"content_type": "base64"}},
     "unknown content type 'base64' of a request; there are np, str and pd "
     "(at parameters.content_type)"),
    ("bytes", text_input("base64", ["aGk=", "a"]), "expected base64, got 'a' (at inputs[0].data[1])"),
    ("bytes", text_input("base64", ["a===", ]), "expected base64, got 'a===' (at inputs[0].data[0])"),
    ("bytes", text_input("base64", ["aGl="]), "expected base64, got 'aGl=' (at inputs[0].data[0])"),
    ("bytes", text_input("base64", ["a k="]), "expected base64, got 'a k=' (at inputs[0].data[0])"),
    ("int", text_input("base64", [1], "INT32"),
     "content type base64 is for datatype BYTES, got INT32 (at inputs[0])"),
    ("ns", text_input("datetime", ["2022-01-11", "yesterday"]),
     "expected a date and time as in 2024-01-15T14:23:41+00:00, got 'yesterday' "
     "(at inputs[0].data[1])"),
    ("int", text_input("datetime", ["2022-01-11"]),
     "content type datetime is for inputs of INT64, FP64, FP32 or BYTES; 'x' is INT32 "
     "(at inputs[0])"),
    ("float", text_input("str", ["a"]),
     "unexpected datatype for input 'x' for model 'float'. Expected FP32, got BYTES (at inputs[0])"),
    ("int", frame(x=[1.0]),
     "expected an integer for INT32, got 1.0 (at inputs[0].data[0])"),
    ("int", frame(x=["a"]), "column 'x' is BYTES, the model takes INT32 (at inputs[0])"),
    ("float", frame(z=[1]), "unexpected inference input 'z' for model 'float' (at inputs[0]); its "
     "inputs are 'x'"),
    ("vector", frame(a=[1], b=[2]), "column 'c' is missing"),
    ("vector", frame(a=[1], b=[2], d=[3]), "the model has no feature 'd' (at inputs[2])"),
    ("vector", frame(a=[1], b=[2, 3], c=[3]),
     "column 'b' has 2 values, the first one has 1 (at inputs[1])"),
    ("vector", {**frame(a=[1], b=[2]), "inputs": frame(a=[1])["inputs"] * 2},
     "column 'a' is given twice (at inputs[1])"),
]


@pytest.mark.parametrize("model, body, message", WRONG)
def test_what_is_wrong_is_named(server, model, body, message):
    reply = infer(server, model, body)
    assert (reply.status, reply.json()) == (400, {"error": message})


@pytest.mark.parametrize("text", [
    "", "2022", "2022-1-1", "2022-13-01", "2022-02-29", "1900-02-29", "2022-01-11T", "2022-01-11T24:00",
    "2022-01-11T10", "2022-01-11T10:60", "2022-01-11T10:00:00.", "2022-01-11T10:00+24:00",
    "2022-01-11T10:00:00 ", "2022-01-11x", "1677-12-31", "2262-01-01", "2022-01-11T10:00:00.1234567890"])
def test_other_forms_of_datetimes_are_refused(server, text):
    reply = infer(server, "ns", text_input("datetime", [text]))
    assert reply.status == 400 and f"got '{text}'" in reply.json()["error"]


def test_an_output_may_only_ask_for_what_there_is(server):
    body = one({"name": "x", "shape": [1, 1], "datatype": "BYTES", "data": ["a"]})
    body["outputs"] = [{"name": "y", "parameters": {"content_type": "base64"}}]
    reply = infer(server, "bytes", body)
    assert (reply.status, reply.json()["error"]) == \
        (501, "outputs have the content types np and str (at outputs[0].parameters.content_type)")


# --- over gRPC ---

@pytest.fixture(scope="module")
def calls(server):
    """The same requests as messages, asked and answered in REST's form."""
    grpc = pytest.importorskip("grpc")
    pb = pytest.importorskip("tritonclient.grpc.service_pb2")
    rpc = pytest.importorskip("tritonclient.grpc.service_pb2_grpc")

    def parameters(of, wanted):
        for key, value in wanted.get("parameters", {}).items():
            of.parameters[key].string_param = value

    def ask(model, body, raw=True):
        message = pb.ModelInferRequest(model_name=model)
        parameters(message, body)
        for t in body["inputs"]:
            one = message.inputs.add(name=t["name"], datatype=t["datatype"], shape=t["shape"])
            parameters(one, t)
            if raw:
                message.raw_input_contents.append(oip.pack(np.array(t["data"], oip.NUMPY[t["datatype"]])))
            else:
                one.contents.bytes_contents.extend(x.encode() for x in t["data"])
        for o in body.get("outputs", []):
            parameters(message.outputs.add(name=o["name"]), o)
        return stub.ModelInfer(message, timeout=20 * harness.SCALE)

    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = rpc.GRPCInferenceServiceStub(channel)
        ask.error = grpc.RpcError
        yield ask


def told(of):
    return {k: v.string_param for k, v in of.parameters.items()}


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "typed"])
def test_grpc_decodes_as_rest_does(calls, raw):
    answer = calls("bytes", text_input("base64", ["cGxhaW4=", "", "YQ==", "w7w="]), raw)
    out = oip.unpack(answer.raw_output_contents[0], "BYTES", (4,))
    assert [x.decode() for x in out] == ["plain", "", "a", "ü"]
    assert told(answer.outputs[0]) == {"content_type": "str"} and told(answer) == {}
    answer = calls("ns", text_input("datetime", ["2022-01-11T11:05:06Z"]), raw)
    assert np.frombuffer(answer.raw_output_contents[0], np.int64).tolist() == [pd.Timestamp("2022-01-11T11:05:06Z").value]
    assert told(answer.outputs[0]) == {"content_type": "np"}


def test_grpc_takes_the_types_of_requests(calls):
    answer = calls("vector", frame(c=[3, 6], a=[1.5, 4], b=[2, 5]))
    assert np.frombuffer(answer.raw_output_contents[0], np.float32).tolist() == [1.5, 2, 3, 4, 5, 6]
    assert told(answer) == {"content_type": "pd"}
    body = {**text_input("str", ["a"], name="any"), "parameters": {"content_type": "str"}}
    assert told(calls("flat", body)) == {"content_type": "str"}
    plain = calls("float", one({"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}))
    assert told(plain) == {} and told(plain.outputs[0]) == {}


@pytest.mark.parametrize("model, body, message", [w for w in WRONG if "got number" not in w[2]])
def test_grpc_names_what_is_wrong(calls, model, body, message):
    with pytest.raises(calls.error) as e:
        calls(model, body)
    assert (e.value.code().name, e.value.details()) == ("INVALID_ARGUMENT", message)


def test_grpc_outputs_may_only_ask_for_what_there_is(calls):
    body = one({"name": "x", "shape": [1, 1], "datatype": "BYTES", "data": ["a"]})
    body["outputs"] = [{"name": "y", "parameters": {"content_type": "base64"}}]
    with pytest.raises(calls.error) as e:
        calls("bytes", body)
    assert e.value.code().name == "UNIMPLEMENTED" and "np and str" in e.value.details()
    body["outputs"][0]["parameters"]["content_type"] = "str"
    assert calls("bytes", body).outputs[0].name == "y"
