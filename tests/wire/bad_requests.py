# SPDX-License-Identifier: Apache-2.0
"""Requests that are HTTP and otherwise wrong: rows of (name, bytes, status, words of the answer).

`x` of the model id-fp32 is FP32 [-1,2]; `iris` has four FP32 features, `digits` a vector of 64,
`fraud` one BYTES and two INT64 among its four features.
"""
import gzip
import json
import struct
import zlib

import bad_heads
from harness import request
from oip import LENGTH

MIB = 1 << 20


def infer(body, headers=None, model="id-fp32"):
    if not isinstance(body, bytes):
        body = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return request("POST", f"/v2/models/{model}/infer", body, headers)


def native(body, path="/v1/models/iris/predict", headers=None):
    if not isinstance(body, bytes):
        body = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return request("POST", path, body, {"Content-Type": "application/json", **(headers or {})})


def tensor(**changes):
    """The right input with something else in it; None takes a member out."""
    t = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2], **changes}
    return {"inputs": [{k: v for k, v in t.items() if v is not None}]}


def data(text, model="id-fp32", datatype="FP32", shape="[1,2]"):
    return infer('{"inputs":[{"name":"x","shape":%s,"datatype":"%s","data":%s}]}'
                 % (shape, datatype, text), model=model)


def binary(head, blob, length=None):
    head = json.dumps(head).encode()
    return infer(head + blob, {LENGTH: len(head) if length is None else length})


def sized(size, shape=(1, 2), datatype="FP32"):
    return tensor(shape=list(shape), datatype=datatype, data=None,
                  parameters={"binary_data_size": size})


def coded(body, coding):
    return infer(body, {"Content-Encoding": coding})


RIGHT = json.dumps(tensor()).encode()

JSON = [
    ("empty body", infer(b""), 400, ""),
    ("only spaces", infer("   "), 400, ""),
    ("a word", infer("hello"), 400, ""),
    ("cut object", infer(RIGHT[:-1]), 400, ""),
    ("cut in a string", infer(RIGHT[:14]), 400, ""),
    ("cut in a number", infer('{"inputs": [1'), 400, ""),
    ("something behind", infer(RIGHT + b"x"), 400, ""),
    ("two documents", infer(RIGHT + RIGHT), 400, ""),
    ("trailing comma in an array", data("[1,2,]"), 400, ""),
    ("trailing comma in an object", infer('{"inputs":[],}'), 400, ""),
    ("single quotes", infer("{'inputs':[]}"), 400, ""),
    ("unquoted key", infer("{inputs:[]}"), 400, ""),
    ("comment", infer('{"inputs":[]} // x'), 400, ""),
    ("missing colon", infer('{"inputs" []}'), 400, ""),
    ("missing comma", data("[1 2]"), 400, ""),
    ("wrong bracket", data("[1,2}"), 400, ""),
    ("byte order mark of UTF-16", infer("{}".encode("utf-16")), 400, ""),
    ("NaN literal", data("[NaN,1]"), 400, ""),
    ("Infinity literal", data("[Infinity,1]"), 400, ""),
    ("minus Infinity literal", data("[-Infinity,1]"), 400, ""),
    ("number with a plus", data("[+1,2]"), 400, ""),
    ("number with a leading zero", data("[01,2]"), 400, ""),
    ("number without digits before the point", data("[.5,2]"), 400, ""),
    ("number without digits behind the point", data("[5.,2]"), 400, ""),
    ("number in hexadecimal", data("[0x10,2]"), 400, ""),
    ("number without an exponent", data("[1e,2]"), 400, ""),
    ("lone minus", data("[-,2]"), 400, ""),
    ("True as Python has it", data("[True,2]"), 400, ""),
    ("control character in a string", infer('{"id":"a\nb","inputs":[]}'), 400, ""),
    ("unknown escape", infer('{"id":"\\x41","inputs":[]}'), 400, ""),
    ("lone surrogate", infer('{"id":"\\ud800","inputs":[]}'), 400, ""),
    ("cut escape", infer('{"id":"\\u00","inputs":[]}'), 400, ""),
    ("invalid UTF-8 in a string", infer(b'{"id":"\xff","inputs":[]}'), 400, ""),
    ("overlong UTF-8", infer(b'{"id":"\xc0\x80","inputs":[]}'), 400, ""),
    ("surrogate in UTF-8", infer(b'{"id":"\xed\xa0\x80","inputs":[]}'), 400, ""),
    ("cut UTF-8", infer(b'{"id":"\xe6\x97","inputs":[]}'), 400, ""),
    ("NUL in the text", infer(b'{"inputs":[]\x00}'), 400, ""),
    ("250,000 arrays deep", infer("[" * 250000 + "]" * 250000), 400, "deep"),
    ("250,000 objects deep", infer('{"a":' * 250000 + "1" + "}" * 250000), 400, "deep"),
    ("250,000 arrays in the data", data("[" * 250000 + "1" + "]" * 250000), 400, "deep"),
    ("250,000 arrays that never end", infer("[" * 250000), 400, "deep"),
    ("65 arrays deep", data("[" * 65 + "1" + "]" * 65), 400, "deep"),
]

TYPES = [
    ("an array", infer("[]"), 400, "object"),
    ("a number", infer("1"), 400, "object"),
    ("null", infer("null"), 400, "object"),
    ("no inputs", infer("{}"), 400, "inputs"),
    ("inputs null", infer({"inputs": None}), 400, "inputs"),
    ("inputs an object", infer({"inputs": {}}), 400, "inputs"),
    ("inputs empty", infer({"inputs": []}), 400, "expected 1 inputs but got 0"),
    ("an input that is a number", infer({"inputs": [1]}), 400, "inputs[0]"),
    ("unknown member", infer({**tensor(), "input": 1}), 400, "unknown key 'input'"),
    ("member twice", infer('{"inputs":[],"inputs":[]}'), 400, "repeated key"),
    ("unknown member of an input", infer(tensor(dataType="FP32")), 400, "unknown key 'dataType'"),
    ("id a number", infer({**tensor(), "id": 7}), 400, "id"),
    ("id of 1000 bytes", infer({**tensor(), "id": "i" * 1000}), 400, "id"),
    ("parameters an array", infer({**tensor(), "parameters": []}), 400, "parameters"),
    ("parameter an object", infer({**tensor(), "parameters": {"a": {}}}), 400, "parameters.a"),
    ("timeout a word", infer({**tensor(), "parameters": {"timeout": "1s"}}), 400, "timeout"),
    ("timeout negative", infer({**tensor(), "parameters": {"timeout": -1}}), 400, "timeout"),
    ("binary_data_output a word", infer({**tensor(), "parameters": {"binary_data_output": "y"}}),
     400, "binary_data_output"),
    ("reserved parameter", infer({**tensor(), "parameters": {"triton_x": 1}}), 400, "triton_"),
    ("shared memory", infer(tensor(data=None, parameters={"shared_memory_region": "r"})), 501,
     "shared memory"),
    ("a sequence", infer({**tensor(), "parameters": {"sequence_id": 7}}), 501, "no state"),
    ("another model's name", infer({**tensor(), "model_name": "iris"}), 400, "iris"),
    ("outputs an object", infer({**tensor(), "outputs": {}}), 400, "outputs"),
    ("unknown output", infer({**tensor(), "outputs": [{"name": "z"}]}), 400, "'z'"),
    ("output without a name", infer({**tensor(), "outputs": [{}]}), 400, "outputs[0].name"),
    ("output twice", infer({**tensor(), "outputs": [{"name": "y"}] * 2}), 400, "already exists"),
    ("2000 outputs", infer({**tensor(), "outputs": [{"name": "y"}] * 2000}), 400, "1024"),
    ("classification", infer({**tensor(), "outputs": [
        {"name": "y", "parameters": {"classification": -1}}]}), 400, "classification"),
    ("2000 inputs", infer({"inputs": tensor()["inputs"] * 2000}), 400, "1024"),
    ("input twice", infer({"inputs": tensor()["inputs"] * 2}), 400, "twice"),
    ("unknown input", infer(tensor(name="z")), 400, "'z'"),
    ("empty name", infer(tensor(name="")), 400, "name"),
    ("name of 1000 bytes", infer(tensor(name="n" * 1000)), 400, "name"),
    ("name a number", infer(tensor(name=1)), 400, "inputs[0].name"),
    ("no name", infer(tensor(name=None)), 400, "inputs[0].name"),
    ("no shape", infer(tensor(shape=None)), 400, "inputs[0].shape"),
    ("no datatype", infer(tensor(datatype=None)), 400, "inputs[0].datatype"),
    ("no data", infer(tensor(data=None)), 400, "neither"),
    ("unknown datatype", infer(tensor(datatype="FP8")), 400, "FP8"),
    ("datatype in lower case", infer(tensor(datatype="fp32")), 400, "fp32"),
    ("datatype STRING", infer(tensor(datatype="STRING")), 400, "STRING"),
    ("another datatype", infer(tensor(datatype="INT64")), 400, "Expected FP32, got INT64"),
    ("unknown model", infer(tensor(), model="nobody"), 404, "unknown model 'nobody'"),
    ("unknown version", request("POST", "/v2/models/id-fp32/versions/9/infer", tensor()), 404,
     "version"),
]

SHAPES = [
    ("shape a number", infer(tensor(shape=2)), 400, "inputs[0].shape"),
    ("shape of words", infer(tensor(shape=["1", "2"])), 400, "shape[0]"),
    ("shape with a fraction", infer(tensor(shape=[1.0, 2])), 400, "shape[0]"),
    ("negative size", infer(tensor(shape=[-1, 2])), 400, "shape[0]"),
    ("nested shape", infer(tensor(shape=[[1, 2]])), 400, "shape[0]"),
    ("size of 2^63", data("[1,2]", shape="[9223372036854775808,2]"), 400, "shape[0]"),
    ("size beyond 64 bits", data("[1,2]", shape="[99999999999999999999,2]"), 400, "shape[0]"),
    ("product over 64 bits", infer(tensor(shape=[4294967296, 4294967296])), 413, "shape"),
    ("bytes over 64 bits", infer(tensor(shape=[2 ** 62, 2])), 413, "shape"),
    ("overflow by a third size", infer(tensor(shape=[2 ** 32, 2 ** 31, 4])), 413, "shape"),
    ("overflow that a zero hides", infer(tensor(shape=[2 ** 62, 2 ** 62, 0])), 400, ""),
    ("a huge tensor with two values", infer(tensor(shape=[10 ** 12, 2])), 400, "values"),
    ("40 dimensions", infer(tensor(shape=[1] * 40)), 400, "32"),
    ("rank too low", infer(tensor(shape=[2])), 400, "Expected [-1,2], got [2]"),
    ("rank too high", infer(tensor(shape=[1, 1, 2])), 400, "Expected [-1,2], got [1,1,2]"),
    ("scalar", infer(tensor(shape=[], data=[1])), 400, "Expected [-1,2], got []"),
    ("wrong last size", infer(tensor(shape=[1, 3], data=[1, 2, 3])), 400, "got [1,3]"),
    ("too few values", infer(tensor(data=[1])), 400, "expected 2 values"),
    ("too many values", infer(tensor(data=[1, 2, 3])), 400, "expected 2 values"),
    ("no values", infer(tensor(data=[])), 400, "expected 2 values"),
    ("values for an empty tensor", infer(tensor(shape=[0, 2], data=[1])), 400, "expected 0 values"),
    ("nesting of another shape", infer(tensor(shape=[2, 2], data=[[1, 2, 3], [4]])), 400, "data"),
    ("ragged rows", infer(tensor(shape=[2, 2], data=[[1, 2], [3]])), 400, "data[1]"),
    ("rows and numbers", infer(tensor(shape=[2, 2], data=[[1, 2], 3])), 400, "data[1]"),
    ("nested too deep", infer(tensor(data=[[[1], [2]]])), 400, "data"),
    ("data a number", infer(tensor(data=1)), 400, "array"),
    ("data an object", infer(tensor(data={"0": 1})), 400, "array"),
]

VALUES = [
    ("string for a number", data('["1",2]'), 400, "inputs[0].data[0]"),
    ("null for a number", data("[1,null]"), 400, "inputs[0].data[1]"),
    ("boolean for a number", data("[true,2]"), 400, "expected a number"),
    ("object for a number", data("[{},2]"), 400, "data[0]"),
    ("number too large for FP32", data("[1e300,2]"), 400, "fits FP32"),
    ("number too large for FP64", data("[1e999,2]"), 400, ""),
    ("number too large for FP16", data("[70000,2]", "id-fp16", "FP16"), 400, "fits FP16"),
    ("number too large for BF16", data("[4e38,2]", "id-bf16", "BF16"), 400, "fits BF16"),
    ("nan in lower case", data('["nan",2]'), 400, "NaN"),
    ("float for INT64", data("[1.0,2]", "id-int64", "INT64"), 400, "an integer"),
    ("exponent for INT64", data("[1e3,2]", "id-int64", "INT64"), 400, "an integer"),
    ("256 for UINT8", data("[256,2]", "id-uint8", "UINT8"), 400, "fits UINT8"),
    ("-1 for UINT8", data("[-1,2]", "id-uint8", "UINT8"), 400, "fits UINT8"),
    ("128 for INT8", data("[128,2]", "id-int8", "INT8"), 400, "fits INT8"),
    ("-129 for INT8", data("[-129,2]", "id-int8", "INT8"), 400, "fits INT8"),
    ("65536 for UINT16", data("[65536,2]", "id-uint16", "UINT16"), 400, "fits UINT16"),
    ("-32769 for INT16", data("[-32769,2]", "id-int16", "INT16"), 400, "fits INT16"),
    ("2^31 for INT32", data("[2147483648,2]", "id-int32", "INT32"), 400, "fits INT32"),
    ("2^32 for UINT32", data("[4294967296,2]", "id-uint32", "UINT32"), 400, "fits UINT32"),
    ("2^63 for INT64", data("[9223372036854775808,2]", "id-int64", "INT64"), 400, "INT64"),
    ("-2^63-1 for INT64", data("[-9223372036854775809,2]", "id-int64", "INT64"), 400, "INT64"),
    ("2^64 for UINT64", data("[18446744073709551616,2]", "id-uint64", "UINT64"), 400, "UINT64"),
    ("-1 for UINT64", data("[-1,2]", "id-uint64", "UINT64"), 400, "UINT64"),
    ("a number of 10,000 digits", data("[" + "9" * 10000 + ",2]", "id-int64", "INT64"), 400, ""),
    ("2 for BOOL", data("[2,0]", "id-bool", "BOOL"), 400, "true or false"),
    ("string for BOOL", data('["true",0]', "id-bool", "BOOL"), 400, "true or false"),
    ("number for BYTES", data("[1,2]", "id-bytes", "BYTES"), 400, "a string"),
    ("null for BYTES", data('["a",null]', "id-bytes", "BYTES"), 400, "data[1]"),
]

F8 = struct.pack("<2f", 1, 2)
TEXTS = struct.pack("<I", 1) + b"a" + struct.pack("<I", 2) + b"bc"


def texts(blob):
    head = json.dumps(sized(len(blob), datatype="BYTES")).encode()
    return infer(head + blob, {LENGTH: len(head)}, "id-bytes")


BINARY = [
    ("truncated binary", binary(sized(8), F8[:5]), 400, "additional bytes"),
    ("no binary at all", binary(sized(8), b""), 400, "additional bytes"),
    ("binary without its header", infer(json.dumps(sized(8)).encode() + F8), 400, ""),
    ("more binary than inputs", binary(sized(8), F8 + b"x"), 400, "additional input data"),
    ("binary behind JSON data", binary(tensor(), F8), 400, "additional input data"),
    ("size less than the shape", binary(sized(4), F8[:4]), 400, "'x'"),
    ("size more than the shape", binary(sized(12), F8 + F8[:4]), 400, "'x'"),
    ("size no multiple", binary(sized(7), F8[:7]), 400, "'x'"),
    ("size negative", binary(sized(-8), F8), 400, "binary_data_size"),
    ("size a word", binary(sized("8"), F8), 400, "binary_data_size"),
    ("size of 2^63", binary(sized(2 ** 63), F8), 400, "additional bytes"),
    ("size of 2^64-1", binary(sized(2 ** 64 - 1), F8), 400, "additional bytes"),
    ("data and binary", binary(tensor(parameters={"binary_data_size": 8}), F8), 400, "both"),
    ("header length a word", binary(sized(8), F8, "long"), 400, "header size"),
    ("header length negative", binary(sized(8), F8, -1), 400, "header size"),
    ("header length beyond the body", binary(sized(8), F8, 10000), 400, "header size"),
    ("header length beyond 64 bits", binary(sized(8), F8, 2 ** 65), 400, "header size"),
    ("header length too short", binary(sized(8), F8, 20), 400, ""),
    ("header length too long", binary(sized(8), F8, len(json.dumps(sized(8))) + 3), 400, ""),
    ("header length of 1", binary(sized(8), F8, 1), 400, ""),
    ("a boolean of 2", infer(json.dumps(sized(2, datatype="BOOL")).encode() + b"\2\0",
                             {LENGTH: len(json.dumps(sized(2, datatype="BOOL")))}, "id-bool"), 400,
     ""),
    ("BYTES element longer than the data", texts(struct.pack("<I", 100) + b"abc"), 400, "'x'"),
    ("BYTES element of 4 GB", texts(b"\xff\xff\xff\xff" + b"abc"), 400, "'x'"),
    ("BYTES with half a length", texts(TEXTS + b"\1\0"), 400, "'x'"),
    ("BYTES with one element too many", texts(TEXTS + TEXTS[:5]), 400, "'x'"),
    ("BYTES with one element too few", texts(TEXTS[:5]), 400, "'x'"),
    ("BYTES with nothing", texts(b""), 400, "'x'"),
    ("raw request of a wrong size", infer(b"123", {LENGTH: 0}), 400, ""),
    ("raw request for two inputs", infer(F8, {LENGTH: 0}, "two"), 400, ""),
    ("raw request that is empty", infer(b"", {LENGTH: 0}, "fixed"), 400, ""),
]

BOMB = gzip.compress(b" " * (100 * MIB), 9)
CODINGS = [
    ("unknown coding", coded(RIGHT, "br"), 415, "br"),
    ("two codings", coded(gzip.compress(RIGHT), "gzip, gzip"), 415, "gzip, gzip"),
    ("coding with a trick", coded(RIGHT, "gzip;q=1"), 415, ""),
    ("gzip that is none", coded(RIGHT, "gzip"), 400, ""),
    ("deflate that is none", coded(RIGHT, "deflate"), 400, ""),
    ("truncated gzip", coded(gzip.compress(RIGHT)[:-9], "gzip"), 400, ""),
    ("gzip without its checksum", coded(gzip.compress(RIGHT)[:-8], "gzip"), 400, ""),
    ("gzip with a wrong checksum", coded(gzip.compress(RIGHT)[:-8] + bytes(8), "gzip"), 400, ""),
    ("empty gzip", coded(b"", "gzip"), 400, ""),
    ("gzip with something behind", coded(gzip.compress(RIGHT) + b"more", "gzip"), 400, ""),
    ("truncated deflate", coded(zlib.compress(RIGHT)[:-5], "deflate"), 400, ""),
    ("a gzip bomb", coded(BOMB, "gzip"), 413, ""),
    ("a deflate bomb", coded(zlib.compress(b" " * (100 * MIB), 9), "deflate"), 413, ""),
    ("a bomb of 30 MiB, below the body's limit", coded(gzip.compress(bytes(30 * MIB), 9), "gzip"), 413,
     ""),
]

IRIS = {"sepal_length": 1, "sepal_width": 1, "petal_length": 1, "petal_width": 1}
FRAUD = {"transaction_amount": 1.5, "merchant_category": "grocery", "user_account_age_days": 10,
         "hour_of_day": 3}
FRAUDS = "/v1/models/fraud/predict"
DIGITS = "/v1/models/digits/predict"


def without(row, *keys, **more):
    return {**{k: v for k, v in row.items() if k not in keys}, **more}


NATIVE = [
    ("empty body", native(b""), 400, "empty"),
    ("broken JSON", native("{"), 400, "1:2"),
    ("an array", native("[]"), 422, "object"),
    ("no features", native("{}"), 422, ""),
    ("input for features", native({"input": [1, 2, 3, 4]}), 422, "input"),
    ("both forms", native({"features": IRIS, "instances": [IRIS]}), 422, "instances"),
    ("unknown member", native({"features": IRIS, "feature": 1}), 422, "feature"),
    ("missing feature", native({"features": without(IRIS, "petal_width")}), 422, "petal_width"),
    ("unknown feature", native({"features": {**IRIS, "colour": 1}}), 422, "colour"),
    ("features null", native({"features": None}), 422, "features"),
    ("features a word", native({"features": "none"}), 422, "features"),
    ("feature a word", native({"features": {**IRIS, "petal_width": "1"}}), 422, "petal_width"),
    ("feature null", native({"features": {**IRIS, "petal_width": None}}), 422, "petal_width"),
    ("feature too large", native('{"features":{"sepal_length":1e60,"sepal_width":1,'
                                 '"petal_length":1,"petal_width":1}}'), 422, "sepal_length"),
    ("feature given twice", native('{"features":{"sepal_length":1,"sepal_length":1,'
                                   '"sepal_width":1,"petal_length":1,"petal_width":1}}'), 422,
     "sepal_length"),
    ("vector too short", native({"features": [1] * 63}, DIGITS), 422, "64"),
    ("vector too long", native({"features": [1] * 65}, DIGITS), 422, "64"),
    ("vector with a word", native({"features": [1] * 63 + ["x"]}, DIGITS), 422, "[63]"),
    ("vector with a null", native({"features": [None] + [1] * 63}, DIGITS), 422, "[0]"),
    ("instances an object", native({"instances": IRIS}), 422, "instances"),
    ("instances empty", native({"instances": []}), 422, "instances"),
    ("an instance null", native({"instances": [IRIS, None]}), 422, "instances[1]"),
    ("an instance incomplete", native({"instances": [IRIS] * 3 + [without(IRIS, "petal_width")]}),
     422, "instances[3].petal_width"),
    ("an instance's feature a word", native({"instances": [FRAUD] * 3 + [
        {**FRAUD, "hour_of_day": "noon"}]}, FRAUDS), 422, "instances[3].hour_of_day"),
    ("an instance with a stranger", native({"instances": [IRIS, {**IRIS, "x": 1}]}), 422,
     "instances[1].x"),
    ("fraction for an integer", native({"features": {**FRAUD, "hour_of_day": 3.5}}, FRAUDS), 422,
     "hour_of_day"),
    ("float for an integer", native({"features": {**FRAUD, "hour_of_day": 3.0}}, FRAUDS), 422,
     "hour_of_day"),
    ("number for a text", native({"features": {**FRAUD, "merchant_category": 5}}, FRAUDS), 422,
     "merchant_category"),
    ("the other article's name", native({"features": without(
        FRAUD, "user_account_age_days", account_age_days=1)}, FRAUDS), 422, "account_age_days"),
    ("70,000 instances", native({"instances": [[1] * 4] * 70000}), 422, "65536"),
    ("unknown model", native({"features": IRIS}, "/v1/models/nobody/predict"), 404, "nobody"),
    ("unknown version", native({"features": IRIS}, "/v1/models/iris/versions/7/predict"), 404, "7"),
    ("unknown version in the body", native({"features": IRIS, "model_version": "7"}), 404, "7"),
    ("version a number", native({"features": IRIS, "model_version": [1]}), 422, "model_version"),
    ("no default among many models", native({"features": IRIS}, "/v1/predict"), 404, "several models"),
    ("text as XML", native("<a/>", headers={"Content-Type": "text/xml"}), 415, ""),
    ("a form", native("a=1", headers={"Content-Type": "multipart/form-data; boundary=x"}), 415, ""),
    ("250,000 deep", native('{"features":' + "[" * 250000), 400, "deep"),
]

# Rows of one name in different tables are told apart by the table's.
TABLES = {"http": bad_heads.ROWS, "json": JSON, "types": TYPES, "shapes": SHAPES, "values": VALUES,
          "binary": BINARY, "codings": CODINGS, "native": NATIVE}
ROWS = [(f"{table}: {name}", *rest) for table, rows in TABLES.items() for name, *rest in rows]
