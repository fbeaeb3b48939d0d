# SPDX-License-Identifier: Apache-2.0
"""CloudEvents of the SDK's own making, in both modes: the answer is an event that the SDK reads, and
its data is, byte for byte, what a plain request gets."""
import base64
import gzip
import json
import time
import uuid
from datetime import datetime

import numpy as np
import pytest
import requests
from cloudevents.conversion import to_binary, to_structured
from cloudevents.http import CloudEvent, from_http

import harness
import oip

FILES = sorted(harness.EXAMPLES.glob("*/cases.json"))
CASES = {f.parent.name: json.loads(f.read_text())["cases"][0] for f in FILES}
ATTRIBUTES = {"type": "a.test.request", "source": "/tests"}
MODES = {"binary": to_binary, "structured": to_structured}
STRUCTURED = "application/cloudevents+json"


def send(server, path, headers, body):
    return requests.post(f"http://127.0.0.1:{server.port}{path}", data=body, headers=headers, timeout=30)


def ask(server, path, mode, data, headers=None, **attributes):
    """The answer's event and, of the data, the very bytes; the SDK itself checks the attributes."""
    packed, body = MODES[mode](CloudEvent({**ATTRIBUTES, **attributes}, data))
    reply = send(server, path, {**packed, **(headers or {})}, body)
    assert reply.status_code == 200, reply.text
    event = from_http(reply.headers, reply.content, data_unmarshaller=lambda raw: raw)
    if mode == "binary":
        return event, reply.content
    assert reply.headers["Content-Type"] == STRUCTURED
    document = json.loads(reply.content)
    if "data_base64" in document:
        return event, base64.b64decode(document["data_base64"], validate=True)
    if event["datacontenttype"] != "application/json":
        return event, document["data"].encode()
    head, _, tail = reply.content.partition(b',"data":')
    assert head.startswith(b'{"specversion"') and tail.endswith(b"}")
    return event, tail[:-1]


def plain(server, path, data, content_type="application/json", **headers):
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    reply = send(server, path, {"Content-Type": content_type, **headers}, body)
    assert reply.status_code == 200, reply.text
    return reply.content


def without_times(raw):
    """A native answer names its request and its times, which are its own."""
    document = json.loads(raw)
    return {k: v for k, v in document.items() if k.startswith(("prediction", "model"))}


def columns(case):
    return {"inputs": {t["name"]: np.reshape(np.array(t["data"], object), t["shape"]).tolist()
                       for t in case["oip"]["inputs"]}}


def instances(case):
    native = case["native"]
    return {"instances": native.get("instances", [native.get("features")])}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CASES)
def test_data_is_what_a_plain_request_gets(examples, name, mode):
    case = CASES[name]
    batch = "/batch" if "instances" in case["native"] else ""
    native = f"/v1/models/{name}/predict{batch}"
    got = without_times(ask(examples, native, mode, case["native"])[1])
    assert got == without_times(plain(examples, native, case["native"]))
    assert any(k.startswith("prediction") for k in got)
    for path, data in ((f"/v2/models/{name}/infer", case["oip"]),
                       (f"/v1/models/{name}:predict", columns(case)),
                       (f"/models/{name}/invoke", instances(case))):
        event, raw = ask(examples, path, mode, data)
        assert raw == plain(examples, path, data)
        assert event["source"] == f"io.kserve.inference.{name}"


@pytest.mark.parametrize("mode", MODES)
def test_kserve_v1(zoo, mode):
    data = {"instances": [[1, 2], [3, 4.5]]}
    raw = ask(zoo, "/v1/models/id-fp32:predict", mode, data)[1]
    assert json.loads(raw) == {"predictions": [[1.0, 2.0], [3.0, 4.5]]}
    assert raw == plain(zoo, "/v1/models/id-fp32:predict", data)


@pytest.mark.parametrize("mode", MODES)
def test_attributes_of_answers(examples, mode):
    before = time.time()
    events = [ask(examples, "/v2/models/iris/infer", mode, CASES["iris"]["oip"], id="mine", subject="s",
                  myextension="x")[0] for _ in range(2)]
    for event in events:
        assert event["specversion"] == "1.0" and event["type"] == "io.kserve.inference.response"
        assert uuid.UUID(event["id"]).version == 4
        moment = datetime.fromisoformat(event["time"])
        assert moment.utcoffset().total_seconds() == 0
        assert before - 1 <= moment.timestamp() <= time.time() + 1
        assert "myextension" not in event.get_attributes() and "subject" not in event.get_attributes()
    assert events[0]["id"] != events[1]["id"]
    if mode == "structured":
        assert events[0]["datacontenttype"] == "application/json"


@pytest.mark.parametrize("mode", MODES)
def test_csv(examples, mode):
    text = "sepal_length,sepal_width,petal_length,petal_width\n4.4,3.2,1.3,0.2\n"
    want = plain(examples, "/models/iris/invoke", text.encode(), "text/csv", Accept="text/csv")
    # the SDK's marshaller would put a str into quotes in binary mode, bytes into base64 in structured mode
    for data in ((text.encode(),) if mode == "binary" else (text, text.encode())):
        event, raw = ask(examples, "/models/iris/invoke", mode, data, {"Accept": "text/csv"},
                         datacontenttype="text/csv")
        assert raw == want and raw.count(b"\n") >= 1
        if mode == "structured":
            assert event["datacontenttype"].startswith("text/csv")


@pytest.mark.parametrize("mode", MODES)
def test_binary_tensors(examples, mode):
    arrays = {t["name"]: np.array(t["data"], np.float32).reshape(t["shape"]) for t in CASES["iris"]["oip"]["inputs"]}
    body, n = oip.binary(arrays)
    headers = {oip.LENGTH: str(n)}
    want = send(examples, "/v2/models/iris/infer", headers, body)
    assert want.status_code == 200 and oip.LENGTH in want.headers
    event, raw = ask(examples, "/v2/models/iris/infer", mode, body, headers,
                     datacontenttype="application/octet-stream")
    assert raw == want.content
    if mode == "structured":
        assert event["datacontenttype"] == "application/octet-stream"


def test_large_data_and_compression(zoo):
    """Data of megabytes, packed by gzip both ways."""
    rows = np.arange(400000, dtype=np.float32).reshape(-1, 2).tolist()
    headers, body = to_structured(CloudEvent(ATTRIBUTES, {"instances": rows}))
    headers.update({"Content-Encoding": "gzip", "Accept-Encoding": "gzip"})
    reply = send(zoo, "/v1/models/id-fp32:predict", headers, gzip.compress(body, 1))
    assert reply.status_code == 200, reply.text[:400]
    assert reply.headers["Content-Encoding"] == "gzip"
    assert from_http(reply.headers, reply.content).data == {"predictions": rows}


EVENT = {"specversion": "1.0", "id": "1", "source": "/tests", "type": "t", "data": {"inputs": []}}


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type"])
def test_a_missing_attribute_is_named(examples, name):
    event = {k: v for k, v in EVENT.items() if k != name}
    headers = {f"ce-{k}": v for k, v in event.items() if k != "data"}
    for path, key in (("/v2/models/iris/infer", "error"), ("/v1/models/iris:predict", "error"),
                      ("/v1/models/iris/predict", "detail"), ("/models/iris/invoke", "message")):
        reply = send(examples, path, {"Content-Type": STRUCTURED}, json.dumps(event))
        assert reply.status_code == 400 and f"attribute {name} is missing" in reply.json()[key]
        assert reply.headers["Content-Type"] == "application/json"
        reply = send(examples, path, {"Content-Type": "application/json", **headers}, "{}")
        assert reply.status_code == 400 and f"attribute ce-{name} is missing" in reply.json()[key]
        assert "ce-id" not in reply.headers


@pytest.mark.parametrize("change, content_type, status, words", [
    ({"specversion": "0.3"}, STRUCTURED, 400, "specversion is '0.3'"),
    ({"data_base64": "AAAA"}, STRUCTURED, 400, "both data and data_base64"),
    ({"id": 7}, STRUCTURED, 400, "id: expected a string, got number"),
    ({"datacontenttype": "text/csv"}, STRUCTURED, 400, "data: expected a string"),
    ({}, "application/cloudevents-batch+json", 400, "send one event a request"),
    ({}, "application/cloudevents+xml", 415, "application/cloudevents+json"),
    ({"data": {"inputs": [{"name": "no"}]}}, STRUCTURED, 400, "inputs[0]"),
])
def test_wrong_events(examples, change, content_type, status, words):
    reply = send(examples, "/v2/models/iris/infer", {"Content-Type": content_type},
                 json.dumps({**EVENT, **change}))
    assert reply.status_code == status and words in reply.json()["error"], reply.text


def test_an_error_is_no_event(examples):
    for mode, pack in MODES.items():
        headers, body = pack(CloudEvent(ATTRIBUTES, {"features": {}}))
        reply = send(examples, "/v1/models/iris/predict", headers, body)
        assert reply.status_code == 422 and isinstance(reply.json()["detail"], list), mode
        assert reply.headers["Content-Type"] == "application/json" and "ce-id" not in reply.headers
