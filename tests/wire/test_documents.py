# SPDX-License-Identifier: Apache-2.0
"""What a server says about itself: discovery at /, /openapi.json, /docs."""
import gzip
import json
import re

import jsonschema
import openapi_spec_validator
import pytest

import harness

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture(scope="module")
def openapi(examples):
    r = examples.get("/openapi.json")
    assert r.status == 200 and r.header("Content-Type").startswith("application/json")
    return r.json()


def fetch(server, path, headers=None):
    """Body as text, whatever its coding."""
    r = server.get(path, {"Accept-Encoding": "gzip", **(headers or {})})
    assert r.status == 200, r
    body = gzip.decompress(r.body) if r.header("Content-Encoding") == "gzip" else r.body
    return r, body.decode()


# --- discovery ---

def test_machines_get_a_document_with_models_versions_and_urls(examples):
    for accept in ({}, {"Accept": "*/*"}, {"Accept": "application/json"}):
        r = examples.get("/", accept)
        assert r.status == 200 and r.header("Content-Type") == "application/json"
        text = r.body.decode()
        for word in ("iris", "digits", "fraud", "breast-cancer", "/v2", "/v1/predict",
                     "/openapi.json", "/docs", "/metrics", "/health/ready"):
            assert word in text, word
        assert r.json()["version"]


def test_every_get_url_of_the_discovery_document_answers(examples):
    text = examples.get("/").body.decode()
    urls = set(re.findall(r'"(?:GET )?((?:http://[^/"]+)?/[^"{}\s]*)"', text))
    assert len(urls) > 8
    for url in urls:
        path = re.sub(r"^http://[^/]+", "", url)
        expected = (426,) if path.endswith("/ws") else (200, 405)  # 405: it is for POST; 426: WebSocket's handshake
        assert examples.get(path).status in expected, path


def test_browsers_get_a_page_that_links_everything(examples):
    r, page = fetch(examples, "/", BROWSER)
    assert r.header("Content-Type").startswith("text/html")
    assert "<html" in page.lower() and "iris" in page
    links = {link for link in re.findall(r'href="([^"]+)"', page) if link.startswith("/")}
    assert {"/docs", "/openapi.json", "/metrics"} <= links
    for link in links:
        assert examples.get(link).status == 200, link


def test_names_are_escaped_in_the_page(serve, zoo_dir, tmp_path):
    evil = tmp_path / "<script>alert(1)<" / "model.onnx"
    evil.parent.mkdir()
    evil.write_bytes((zoo_dir / "id-fp32" / "model.onnx").read_bytes())
    s = serve(paths=[tmp_path], wait="live")
    _, page = fetch(s, "/", BROWSER)
    assert "<script>alert" not in page


# --- OpenAPI ---

def test_the_document_is_valid_openapi(openapi):
    openapi_spec_validator.validate(openapi)
    assert openapi["openapi"].startswith("3.")
    assert openapi["info"]["title"] and openapi["info"]["version"]


def test_every_model_and_every_error_is_described(openapi):
    paths = openapi["paths"]
    for name in ("iris", "digits", "fraud", "breast-cancer"):
        for path in (f"/v1/models/{name}/predict", f"/v2/models/{name}/infer"):
            operation = paths[path]["post"]
            assert {"200", "400" if "v2" in path else "422", "404", "413", "429", "500", "503",
                    "504"} <= set(operation["responses"]), path
            assert operation["requestBody"]
    for path in ("/health/ready", "/v2", "/metrics"):
        assert "get" in paths[path]


def deref(document, node):
    while "$ref" in node:
        at = document
        for key in node["$ref"][2:].split("/"):
            at = at[key.replace("~1", "/").replace("~0", "~")]
        node = at
    return node


def operations(openapi):
    for path, item in openapi["paths"].items():
        for method, operation in item.items():
            if method in ("get", "post"):
                yield path, method, operation


def request_examples(openapi, operation):
    content = deref(openapi, operation.get("requestBody", {})).get("content", {})
    media = content.get("application/json", {})
    if "example" in media:
        yield media["example"]
    for example in media.get("examples", {}).values():
        yield deref(openapi, example)["value"]


def schema_of(openapi, media):
    return {**media["schema"], "components": openapi.get("components", {})}


def test_generators_of_clients_can_read_it(openapi):
    """They want items for every array, and make a class of a title: it may not come twice."""
    titles = []

    def look(schema):
        if isinstance(schema, dict):
            assert schema.get("type") != "array" or "items" in schema, schema
            titles.extend(t for t in [schema.get("title")] if isinstance(t, str))
        for part in schema.values() if isinstance(schema, dict) else schema:
            if isinstance(part, (dict, list)):
                look(part)
    look(openapi["components"]["schemas"])
    assert sorted(titles) == sorted(set(titles))


def test_every_example_is_answered_200_and_fits_the_schemas(examples, openapi):
    asked = set()
    for path, method, operation in operations(openapi):
        path = path.replace("{label}", "latest")
        media = deref(openapi, operation.get("requestBody", {})).get("content", {})
        for body in request_examples(openapi, operation):
            jsonschema.validate(body, schema_of(openapi, media["application/json"]))
            if "{" in path:
                continue
            r = examples.call(method.upper(), path, json.dumps(body).encode(),
                              {"Content-Type": "application/json"})
            assert r.status == 200, (path, body, r)
            answer = deref(openapi, operation["responses"]["200"])["content"]["application/json"]
            jsonschema.validate(r.json(), schema_of(openapi, answer))
            asked.add(path)
    assert {f"/v1/models/{n}/predict" for n in ("iris", "digits", "fraud", "breast-cancer")} <= asked
    assert {f"/v2/models/{n}/infer" for n in ("iris", "digits", "fraud", "breast-cancer")} <= asked
    assert {f"/v1/models/{n}:{v}" for n in ("iris", "digits") for v in ("predict", "classify")} <= \
        {path.replace("%3A", ":") for path in asked}
    assert "/v1/models/iris/labels/latest:predict" in asked


EVENT = "application/cloudevents+json"
ATTRIBUTES = {"specversion": "1.0", "id": "1", "source": "/tests", "type": "a.row"}


def test_events_are_described_where_they_are_taken(examples, openapi):
    """Every example again, as a CloudEvent of both modes; where the document has none, events are taken no notice of."""
    structured, headers = set(), {f"ce-{k}": v for k, v in ATTRIBUTES.items()}
    for path, method, operation in operations(openapi):
        body = deref(openapi, operation.get("requestBody", {})).get("content", {})
        names = {deref(openapi, p)["name"] for p in operation.get("parameters", [])}
        assert (EVENT in body) == (set(headers) <= names), path
        path = path.replace("{label}", "latest")
        for example in request_examples(openapi, operation) if EVENT in body and "{" not in path else ():
            event = {**ATTRIBUTES, "data": example}
            jsonschema.validate(event, schema_of(openapi, body[EVENT]))
            r = examples.call("POST", path, json.dumps(event).encode(), {"Content-Type": EVENT})
            assert r.status == 200 and r.header("Content-Type").startswith(EVENT), (path, r)
            answer = deref(openapi, operation["responses"]["200"])
            jsonschema.validate(r.json(), schema_of(openapi, answer["content"][EVENT]))
            jsonschema.validate(r.json()["data"], schema_of(openapi, answer["content"]["application/json"]))
            r = examples.call("POST", path, json.dumps(example).encode(), {"Content-Type": "application/json", **headers})
            assert r.status == 200
            for name in (n for n in answer["headers"] if n.startswith("ce-")):
                jsonschema.validate(r.header(name), deref(openapi, answer["headers"][name])["schema"])
            structured.add(path.replace("%3A", ":"))
    assert {"/v2/models/iris/infer", "/v1/models/iris:predict", "/v1/models/iris/predict",
            "/v1/models/iris:classify", "/models/iris/invoke"} <= structured
    schema = schema_of(openapi, {"schema": {"$ref": "#/components/schemas/CloudEvent"}})
    for wrong in ({**ATTRIBUTES, "specversion": "0.3"}, {**ATTRIBUTES, "id": ""}, {**ATTRIBUTES, "data": 1, "data_base64": "AA=="}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


def test_every_get_without_parameters_answers_as_described(examples, openapi):
    for path, method, operation in operations(openapi):
        path = path.replace("{label}", "latest")
        if method == "get" and "{" not in path:
            r = examples.get(path)
            assert r.status == (426 if path.endswith("/ws") else 200) and str(r.status) in operation["responses"], path


def test_wrong_requests_do_not_fit_the_schema(openapi):
    media = openapi["paths"]["/v1/models/iris/predict"]["post"]["requestBody"]["content"]
    for wrong in ({"features": {"sepal_length": 1}}, {"features": "none"}, {"instances": [1]}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema_of(openapi, media["application/json"]))


def test_the_document_follows_a_reload(serve, tmp_path, zoo_dir):
    (tmp_path / "a").symlink_to(zoo_dir / "id-fp32")
    s = serve(paths=[tmp_path])
    assert "/v2/models/b/infer" not in s.get("/openapi.json").json()["paths"]
    (tmp_path / "b").symlink_to(zoo_dir / "id-fp32")
    s.signal(harness.signal.SIGHUP)
    harness.wait_until(lambda: "/v2/models/b/infer" in s.get("/openapi.json").json()["paths"], 20,
                       "the new model")


def test_every_datatype_has_a_schema_of_its_own(zoo):
    document = zoo.get("/openapi.json").json()
    openapi_spec_validator.validate(document)
    for path, _, operation in operations(document):
        for body in request_examples(document, operation):
            media = deref(document, operation["requestBody"])["content"]["application/json"]
            jsonschema.validate(body, schema_of(document, media))
            if "{" not in path:
                assert zoo.post(path, body).status == 200, (path, body)


# --- the explorer ---

def references(page):
    return re.findall(r'(?:src|href)="([^"]+)"', page)


def test_the_explorer_loads_from_this_server_alone(examples):
    r, page = fetch(examples, "/docs", BROWSER)
    assert r.header("Content-Type").startswith("text/html")
    assets = [x for x in references(page) if not x.startswith("#")]
    for ref in assets:
        assert not re.match(r"[a-z]+:|//", ref), f"{ref} is fetched from elsewhere"
        path = ref if ref.startswith("/") else f"/docs/{ref}"
        r, text = fetch(examples, path)
        if path.endswith(".css"):
            assert r.header("Content-Type").startswith("text/css")
            assert not re.search(r"@import|url\(\s*[\"']?(?:https?:)?//", text)
        if path.endswith(".js"):
            assert "javascript" in r.header("Content-Type")
    if not any(a.endswith(".js") for a in assets):
        pytest.skip("this build has no Swagger UI: /docs shows plain links")
    assert "openapi.json" in page or any("openapi.json" in fetch(examples, a)[1] for a in assets
                                         if a.endswith(".js") and a.startswith("/"))


def test_assets_come_packed_and_plain(examples):
    _, page = fetch(examples, "/docs", BROWSER)
    for ref in references(page):
        if ref.endswith((".js", ".css")):
            path = ref if ref.startswith("/") else f"/docs/{ref}"
            packed = examples.get(path, {"Accept-Encoding": "gzip"})
            assert packed.header("Content-Encoding") == "gzip"
            assert gzip.decompress(packed.body)
    assert examples.get("/docs/nothing.js").status == 404
