# SPDX-License-Identifier: Apache-2.0
"""MLflow's scoring protocol and SageMaker's container contract: every form of a request, as pandas
writes it, answers what the native protocol answers, number by number; what is wrong is named."""
import csv
import io
import json

import numpy as np
import pandas as pd
import pytest
import requests

import harness
from test_cases import columns_of, rows_of, same_bits

FILES = sorted(harness.EXAMPLES.glob("*/cases.json"))
CASES = {f.parent.name: json.loads(f.read_text())["cases"] for f in FILES}
CSV = {"Content-Type": "text/csv"}
IRIS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
ROW = [4.4, 3.2, 1.3, 0.2]


@pytest.fixture(scope="module")
def sagemaker():
    with harness.Server("--invocations", "sagemaker", "--model-name", "iris",
                        paths=[harness.EXAMPLES]) as s:
        yield s


def url(server, path):
    return f"http://127.0.0.1:{server.port}{path}"


def invoke(server, model, body, **headers):
    """/models/NAME/invoke is /invocations of a named model."""
    path = "/invocations" if model is None else f"/models/{model}/invoke"
    if isinstance(body, (bytes, str)):
        return requests.post(url(server, path), data=body, headers=headers, timeout=30)
    return requests.post(url(server, path), json=body, headers=headers, timeout=30)


def predictions(reply):
    assert reply.status_code == 200, reply.text
    assert list(reply.json()) == ["predictions"]
    return reply.json()["predictions"]


# --- all forms, all examples ---

def frame(server, name):
    """The rows of an example's cases as a data frame, and what the native protocol answers to all of
    them at once: a row's last bits may depend on its company."""
    rows = []
    for case in CASES[name]:
        rows += case["native"].get("instances", [case["native"].get("features")])
    reply = server.post(f"/v1/models/{name}/predict", {"instances": rows})
    assert reply.status == 200, reply
    expected = reply.json()["predictions"]
    named = next((r for r in rows if isinstance(r, dict)), None)
    columns = list(named) if named else None
    values = [list(r.values()) if isinstance(r, dict) and not columns
              else [r[c] for c in columns] if isinstance(r, dict) else r for r in rows]
    return pd.DataFrame(values, columns=columns), expected


def tensors(df):
    """The whole tensor of a model with one input, or a column for each."""
    return {str(c): [[v] for v in df[c].tolist()] for c in df.columns}


@pytest.mark.parametrize("name", CASES)
def test_every_form_answers_as_the_native_protocol(examples, name):
    df, expected = frame(examples, name)
    split = json.loads(df.to_json(orient="split", double_precision=15))
    assert predictions(invoke(examples, name, {"dataframe_split": split})) == expected
    if all(isinstance(c, str) for c in df.columns):
        turned = df[df.columns[::-1]]
        records = json.loads(turned.to_json(orient="records", double_precision=15))
        assert predictions(invoke(examples, name, {"dataframe_records": records})) == expected
        text = turned.to_csv(index=False)
        assert predictions(invoke(examples, name, text, **CSV)) == expected
    bare = df.to_csv(index=False, header=False)
    reply = invoke(examples, name, bare, **{"Content-Type": "text/csv; header=absent"})
    assert predictions(reply) == expected
    whole = predictions(invoke(examples, name, {"instances": split["data"]}))
    check_whole(whole, expected)


def check_whole(whole, expected):
    for output, values in whole.items():
        assert values == [row[output] for row in expected]


def test_inputs_are_whole_tensors(examples):
    df, expected = frame(examples, "iris")
    check_whole(predictions(invoke(examples, "iris", {"inputs": tensors(df)})), expected)
    flat = {c: df[c].tolist() for c in df.columns}
    check_whole(predictions(invoke(examples, "iris", {"inputs": flat})), expected)
    records = json.loads(df.to_json(orient="records", double_precision=15))
    check_whole(predictions(invoke(examples, "iris", {"instances": records})), expected)


def test_a_model_of_one_input_takes_it_bare_by_name_or_by_its_features(examples):
    df, expected = frame(examples, "breast-cancer")
    done = harness.galley("inspect", harness.EXAMPLES / "breast-cancer", "--json")
    names = json.loads(json.loads(done.stdout)["models"][0]["metadata"]["feature_names"])
    values = df[names].values.tolist() if set(names) == set(df.columns) else df.values.tolist()
    columns = {n: [row[i] for row in values] for i, n in enumerate(names)}
    for inputs in (values, {"features": values}, columns):
        check_whole(predictions(invoke(examples, "breast-cancer", {"inputs": inputs})), expected)
    # one column that holds whole rows
    split = {"columns": ["features"], "data": [[v] for v in values]}
    assert predictions(invoke(examples, "breast-cancer", {"dataframe_split": split})) == expected


def test_columns_without_names_go_by_their_order(zoo):
    """The model's input has no feature names: any column names will do, as with MLflow's."""
    for columns in (["a", "b"], [0, 1], None):
        split = {"columns": columns, "data": [[1, 2], [3, 4.5]]}
        assert predictions(invoke(zoo, "id-fp32", {"dataframe_split": split})) == \
            [{"y": [1.0, 2.0]}, {"y": [3.0, 4.5]}]
    assert predictions(invoke(zoo, "id-fp32", "a,b\n1,2\n", **CSV)) == [{"y": [1.0, 2.0]}]


@pytest.mark.parametrize("model, text, value", [
    ("id-bool", "a,b\nTrue,0\n", [True, False]), ("id-int8", "a,b\n-128,127", [-128, 127]),
    ("id-uint64", "a,b\n18446744073709551615,0", [18446744073709551615, 0]),
    ("id-int64", "a,b\n-9223372036854775808, 7", [-9223372036854775808, 7]),
    ("id-fp64", "a,b\n1e-300,nan", [1e-300, "NaN"]), ("id-fp32", "a,b\n-inf,Inf", ["-Infinity", "Infinity"]),
    ("id-bytes", 'a,b\n"x, ""y""\n z",1.50\n', ['x, "y"\n z', "1.50"]),
    ("id-bytes", '\ufeffa,b\r\n\r\nÄ,\r\n', ["Ä", ""]),
])
def test_csv_is_read_by_the_datatype_of_its_column(zoo, model, text, value):
    assert predictions(invoke(zoo, model, text.encode(), **CSV)) == [{"y": value}]


def test_the_default_model_and_the_small_endpoints(serve):
    s = serve(paths=[harness.EXAMPLES / "iris"])
    df = pd.DataFrame([ROW], columns=IRIS)
    body = {"dataframe_split": json.loads(df.to_json(orient="split")), "params": {}}
    assert predictions(invoke(s, None, body))[0]["label"] == "setosa"
    for path, text in (("/ping", "\n"), ("/version", None)):
        reply = requests.get(url(s, path), timeout=30)
        assert reply.status_code == 200 and (text is None or reply.text == text)
    version = harness.galley("version").stdout
    assert requests.get(url(s, "/version"), timeout=30).text in version
    listed = requests.get(url(s, "/models"), timeout=30).json()
    assert [m["modelName"] for m in listed["models"]] == ["iris"]
    assert requests.get(url(s, "/models/iris"), timeout=30).json() == listed["models"][0]
    gone = requests.get(url(s, "/models/rose"), timeout=30)
    assert (gone.status_code, gone.json()) == \
        (404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "unknown model 'rose'"})


def test_ping_waits_for_the_models(serve, tmp_path):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "model.onnx").write_bytes(b"no model")
    s = serve(paths=[tmp_path], wait="live")
    reply = requests.get(url(s, "/ping"), timeout=30)
    assert reply.status_code == 503
    assert reply.json()["error_code"] == "TEMPORARILY_UNAVAILABLE"


# --- answers ---

def test_csv_answers_have_a_line_a_row(examples):
    df, expected = frame(examples, "iris")
    reply = invoke(examples, "iris", df.to_csv(index=False), Accept="text/csv", **CSV)
    assert reply.headers["Content-Type"] == "text/csv; charset=utf-8"
    lines = list(csv.reader(io.StringIO(reply.text)))
    assert [[line[0], *map(float, line[1:])] for line in lines] == \
        [[row["label"], *row["probabilities"].values()] for row in expected]


@pytest.mark.parametrize("accept, kind", [
    ("*/*", "application/json"), ("text/*", "text/csv"), ("application/json, text/csv", "application/json"),
    ("application/json;q=0.5, text/csv", "text/csv"), ("text/csv;q=0", "application/json"),
    ("image/png", "application/json")])
def test_the_answer_is_of_the_type_that_is_liked_best(examples, accept, kind):
    reply = invoke(examples, "iris", {"instances": [ROW]}, Accept=accept)
    assert reply.headers["Content-Type"].startswith(kind)


def test_text_is_quoted_where_csv_needs_it(zoo):
    reply = invoke(zoo, "id-bytes", {"instances": [["a,b", 'c"d'], ["", "plain"]]}, Accept="text/csv")
    assert reply.text == '"a,b","c""d"\n"",plain\n'
    reply = invoke(zoo, "id-fp32", {"instances": [["NaN", 1.5]]}, Accept="text/csv")
    assert reply.text == "NaN,1.5\n"


# --- SageMaker ---

def test_a_csv_has_no_header_where_sagemakers_habits_are_kept(sagemaker):
    text = "4.4,3.2,1.3,0.2\n6.4,3.2,4.5,1.5\n"
    reply = invoke(sagemaker, None, text, Accept="text/csv", **CSV)
    assert [line.split(",")[0] for line in reply.text.splitlines()] == ["setosa", "versicolor"]
    named = "petal_width,petal_length,sepal_width,sepal_length\n0.2,1.3,3.2,4.4\n"
    reply = invoke(sagemaker, None, named, **{"Content-Type": "text/csv; header=present"})
    assert predictions(reply)[0]["label"] == "setosa"


@pytest.fixture(scope="module", params=CASES)
def container(request):
    """A container of SageMaker has one model."""
    with harness.Server("--invocations", "sagemaker", paths=[harness.EXAMPLES / request.param]) as s:
        s.model = request.param
        yield s


def test_a_container_answers_the_examples_cases(container):
    for case in CASES[container.model]:
        rows = [list(r.values()) if isinstance(r, dict) else r for r in rows_of(case)]
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows(rows)
        for body, kind in ((json.dumps(rows), "application/json"), (out.getvalue(), "text/csv"),
                           ("\n".join(map(json.dumps, rows)), "application/jsonlines")):
            answer = predictions(invoke(container, None, body, **{"Content-Type": kind}))
            same_bits(container, container.model, case, *columns_of(case, answer))
        lines = list(csv.reader(invoke(container, None, out.getvalue(), Accept="text/csv", **CSV).text.splitlines()))
        label = [line[0] if isinstance(case["expected"]["outputs"]["label"][0], str) else int(line[0]) for line in lines]
        same_bits(container, container.model, case, label, [[float(x) for x in line[1:]] for line in lines])


def test_sagemakers_forms_of_json(sagemaker):
    for body in ({"instances": [{"features": ROW}, {"features": ROW}]}, [ROW, ROW],
                 {"instances": [ROW, ROW]}):
        rows = predictions(invoke(sagemaker, None, body))
        assert [r["label"] for r in rows] == ["setosa"] * 2
    lines = "".join(json.dumps({"features": ROW}) + "\n" for _ in range(3)) + "\n"
    rows = predictions(invoke(sagemaker, None, lines, **{"Content-Type": "application/jsonlines"}))
    assert len(rows) == 3


def test_single_outputs_are_bare_values(serve, zoo_dir):
    s = serve("--invocations", "sagemaker", paths=[zoo_dir / "versions"])
    assert predictions(invoke(s, None, {"instances": [[1.5], [2]]})) == [11.5, 12.0]
    assert invoke(s, None, "1.5\n2", Accept="text/csv", **CSV).text == "11.5\n12.0\n"


def test_custom_attributes_come_back(sagemaker):
    name = "X-Amzn-SageMaker-Custom-Attributes"
    reply = invoke(sagemaker, None, {"instances": [ROW]}, **{name: "trace=7;user=a"})
    assert reply.headers[name] == "trace=7;user=a"
    reply = invoke(sagemaker, None, "x", **{name: "id=1", **CSV})
    assert reply.status_code == 400 and reply.headers[name] == "id=1"
    assert name not in invoke(sagemaker, None, {"instances": [ROW]}).headers


def test_the_paths_of_its_container(serve):
    """/opt/ml/model and 0.0.0.0 come from the environment of an image, and `serve` is its command."""
    s = serve(env={"GALLEY_MODELS": harness.EXAMPLES / "iris", "GALLEY_INVOCATIONS": "sagemaker",
                   "GALLEY_HOST": "0.0.0.0"})
    assert requests.get(url(s, "/ping"), timeout=30).status_code == 200
    assert predictions(invoke(s, None, "4.4,3.2,1.3,0.2", **CSV))[0]["label"] == "setosa"


# --- what is wrong ---

ONE_OF = "dataframe_split, dataframe_records, instances or inputs"
FEATURES = "the features are sepal_length, sepal_width, petal_length, petal_width"
WRONG = [
    ("", "the body is empty"),
    ("{", "the body is no JSON: "),
    ([1], f"expected an object with {ONE_OF}, got array"),
    ({}, f"a request has exactly one of {ONE_OF}"),
    ({"instances": [ROW], "inputs": [ROW]},
     f"a request has exactly one of {ONE_OF}, and params once"),
    ({"instances": [ROW], "row": 1},
     f"unknown key 'row'; a request has one of {ONE_OF}, and may have params"),
    ({"instances": [ROW], "params": 1}, "expected an object, got number (at params)"),
    ({"instances": [ROW], "params": {"top_k": 1}},
     "the model takes no parameter 'top_k' (at params); model 'iris' has the inputs 'sepal_length' "
     "and others"),
    ({"instances": []}, "expected at least one row (at instances)"),
    ({"instances": {"a": 1}}, "expected an array of rows, got object (at instances)"),
    ({"instances": [ROW[:3]]}, "expected 4 values, one a feature, got 3 (at instances[0])"),
    ({"instances": [ROW, [1, 2, "x", 4]]},
     'expected a number, "NaN", "Infinity" or "-Infinity" for FP32, got "x" (at instances[1][2])'),
    ({"inputs": 7}, "expected an object of tensors by name, or an array, got number (at inputs)"),
    ({"inputs": [ROW]}, "model 'iris' has 4 inputs: send an object of them by name (at inputs)"),
    ({"inputs": {"petal": [1]}},
     "unknown input 'petal' (at inputs); model 'iris' has the inputs 'sepal_length' and others"),
    ({"inputs": {"sepal_length": ["a"]}},
     'expected a number, "NaN", "Infinity" or "-Infinity" for FP32, got "a" '
     "(at inputs.sepal_length[0])"),
    ({"inputs": {"sepal_length": [1]}},
     "expected 4 inputs but got 1 inputs for model 'iris': input 'sepal_width' is missing"),
    ({"dataframe_records": [ROW]},
     "expected an object of columns, got array (at dataframe_records[0])"),
    ({"dataframe_records": [dict(zip(IRIS, ROW, strict=True)) | {"colour": "red"}]},
     f"unknown field; {FEATURES} (at dataframe_records[0].colour)"),
    ({"dataframe_records": [{"petal_width": 1}]},
     "missing field (at dataframe_records[0].sepal_length); also "
     "dataframe_records[0].sepal_width: missing field; "
     "dataframe_records[0].petal_length: missing field"),
    ({"dataframe_split": {"columns": IRIS}},
     "missing, expected an array of rows (at dataframe_split.data)"),
    ({"dataframe_split": {"columns": IRIS, "data": [ROW], "rows": 1}},
     "unknown key 'rows'; dataframe_split has columns, index and data (at dataframe_split)"),
    ({"dataframe_split": {"columns": IRIS, "data": [ROW], "index": []}},
     "expected an array of 1, one a row of data (at dataframe_split.index)"),
    ({"dataframe_split": {"columns": [1, "b"], "data": [ROW]}},
     "expected a name, got number (at dataframe_split.columns[0])"),
    ({"dataframe_split": {"columns": IRIS[:3] + ["petal"], "data": [ROW]}},
     f"unknown field; {FEATURES} (at dataframe_split.columns.petal); also "
     "dataframe_split.columns.petal_width: missing column"),
    ({"dataframe_split": {"columns": IRIS + ["petal_width"], "data": [ROW + [1]]}},
     "the column is given twice (at dataframe_split.columns.petal_width)"),
    ({"dataframe_split": {"columns": IRIS, "data": [ROW, ROW[:2]]}},
     "expected an array of 4 values, one a column (at dataframe_split.data[1])"),
    ({"dataframe_split": {"columns": IRIS, "data": [[1, 2, 3, None]]}},
     'expected a number, "NaN", "Infinity" or "-Infinity" for FP32, got null '
     "(at dataframe_split.data[0].petal_width)"),
]


@pytest.mark.parametrize("body, message", WRONG)
def test_what_is_wrong_with_json_is_named(examples, body, message):
    body = body if isinstance(body, str) else json.dumps(body)
    reply = invoke(examples, "iris", body, **{"Content-Type": "application/json"})
    assert reply.status_code == 400, reply.text
    assert reply.json()["error_code"] == "BAD_REQUEST"
    if message.endswith(": "):
        assert reply.json()["message"].startswith(message)
    else:
        assert reply.json()["message"] == message


HEADER = ",".join(IRIS) + "\n"
WRONG_CSV = [
    ("", "expected a header and at least one row"),
    (HEADER, "expected a header and at least one row"),
    (HEADER + "1,2,3", "expected 4 fields as in the first line, got 3 (at line 2)"),
    (HEADER + "1,2,3,4\n\n1,2,3,4,5", "expected 4 fields as in the first line, got 5 (at line 4)"),
    (HEADER + '1,2,3,"4', "a quoted field is not closed (at line 2)"),
    (HEADER + '1,2,3,"4"x', "text behind the quote that closes a field (at line 2)"),
    (HEADER + '1,2,3,4"', "a quote inside a field that does not begin with one (at line 2)"),
    (HEADER + "1,2,3,\0", "a NUL byte in a field (at line 2)"),
    (HEADER.encode() + b"1,2,3,\xff", "field 4 is not UTF-8 (at line 2)"),
    (HEADER + "1,2,3,4\n1,2,3,", 'expected a number, "NaN", "Infinity" or "-Infinity" for FP32, '
     'got "" (at row[1].petal_width)'),
    (HEADER + "1,2,0x3,4", 'expected a number, "NaN", "Infinity" or "-Infinity" for FP32, '
     'got "0x3" (at row[0].petal_length)'),
    (HEADER + "1,2,+3,1e39", 'expected a number, "NaN", "Infinity" or "-Infinity" for FP32, '
     'got "+3" (at row[0].petal_length); also row[0].petal_width: expected a number that fits FP32, '
     "got 1e39"),
    ("a,b,c,d\n1,2,3,4", f"unknown field; {FEATURES} (at header.a); also header.b: unknown field; "
     f"{FEATURES}; header.c: unknown field; {FEATURES}; header.d: unknown field; {FEATURES}; "
     + "; ".join(f"header.{name}: missing column" for name in IRIS)),
]


@pytest.mark.parametrize("body, message", WRONG_CSV)
def test_what_is_wrong_with_csv_is_named(examples, body, message):
    reply = invoke(examples, "iris", body, **CSV)
    assert (reply.status_code, reply.json()) == \
        (400, {"error_code": "BAD_REQUEST", "message": message})


def test_a_header_of_very_many_columns_is_one_error(examples):
    header = ",".join(f"c{i}" for i in range(200000))
    row = ",".join("1" for _ in range(200000))
    reply = invoke(examples, "iris", f"{header}\n{row}\n", **CSV)
    assert reply.status_code == 400
    assert reply.json()["message"].startswith(f"unknown field; {FEATURES} (at header.c0); also ")


def test_other_errors_have_mlflows_codes(examples, serve):
    kinds = ("; send application/json, text/csv, application/jsonlines, or image/png or image/jpeg "
             "to a model that takes images")
    reply = invoke(examples, "iris", b"x", **{"Content-Type": "text/xml"})
    assert (reply.status_code, reply.json()) == \
        (415, {"error_code": "BAD_REQUEST",
               "message": f"Content-Type 'text/xml' is not supported{kinds}"})
    reply = invoke(examples, "iris", b"x", **{"Content-Type": "text/csv; header=maybe"})
    assert reply.json()["message"] == "the parameter header of text/csv is present or absent"
    assert invoke(examples, None, {"instances": [ROW]}).json()["error_code"] == \
        "RESOURCE_DOES_NOT_EXIST"  # several models, no default
    reply = requests.get(url(examples, "/invocations"), timeout=30)
    assert reply.status_code == 405 and reply.headers["Allow"] == "POST"
    s = serve("--max-instances", "2", paths=[harness.EXAMPLES / "iris"])
    assert invoke(s, None, {"instances": [ROW] * 3}).json()["message"] == \
        "3 rows; a request may have 2 (max_instances)"
    assert invoke(s, None, HEADER + "1,2,3,4\n" * 3, **CSV).json()["message"] == \
        "3 rows; a request may have 2 (max_instances)"


def test_an_answer_without_rows_is_whole_or_no_csv(zoo):
    body = {"inputs": [[1, 2, 3], [4, 5, 6]]}
    assert predictions(invoke(zoo, "fixed", body)) == {"y": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]}
    reply = invoke(zoo, "fixed", body, Accept="text/csv")
    assert reply.status_code == 200 and reply.text == "1.0,2.0,3.0,4.0,5.0,6.0\n"


def test_numbers_survive_bit_by_bit(zoo):
    values = np.random.default_rng(5).standard_normal((50, 2)).astype(np.float32)
    df = pd.DataFrame(values, columns=["a", "b"])
    for text in (df.to_csv(index=False), df.astype(np.float64).to_csv(index=False)):
        rows = predictions(invoke(zoo, "id-fp32", text, **CSV))
        got = np.array([r["y"] for r in rows], np.float64).astype(np.float32)
        assert np.array_equal(got.view(np.uint32), values.view(np.uint32))
