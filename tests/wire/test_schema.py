# SPDX-License-Identifier: Apache-2.0
"""The JSON Schema of galley.yaml (`galley schema`), judged by somebody else's validator, beside what
galley itself says of the same files: both take the good ones and refuse the bad ones."""
import json
import re
import shutil

import jsonschema
import pytest
import yaml

from harness import EXAMPLES, SOURCE, galley


class Loader(yaml.SafeLoader):
    """YAML 1.2, as editors read it: 1e-5 is a number."""


Loader.add_implicit_resolver("tag:yaml.org,2002:float",
                             re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$"),
                             list("-+.0123456789"))


def load(text):
    return yaml.load(text, Loader=Loader)


HEAD = "galley: 1\nname: fraud\nversion: 1.0.0\nmodel: model.onnx\n"


def feature(fields):
    return f"features:\n  - {{name: x, {fields}}}\n"


# What stands behind HEAD.
GOOD = [
    "",
    "description: a model\n",
    feature("type: float, gt: 0, lt: 1e+6, unit: EUR, description: a sum, example: 3.5"),
    feature("type: int, ge: 0, le: 23, default: 12"),
    feature("type: int, nullable: true, default: null"),
    feature("type: text, min_length: 1, max_length: 50, values: [a, b], message: a or b"),
    feature("type: text, pattern: '[A-Z]{2}[0-9]+', example: DE12"),
    feature("type: BYTES, nullable: true"),
    feature("type: UINT8, values: [1, 2, 3]"),
    feature("type: bool, default: true"),
    feature("type: image"),
    feature("type: float, shape: [30, -1]"),
    feature("type: double, outlier: {above: 500000, below: -1, action: flag, message: odd}"),
    "unknown_features: ignore\n",
    feature("type: int") + "rules: [{left: x, op: '<=', right: 23, field: x, message: 24 hours}]\n",
    "outputs: [a, {name: b, description: text, labels: ['no', 'yes']}]\n",
    "golden: golden.json\n",
    "golden: {file: g/golden.json, rtol: 1e-5, atol: 0}\n",
    "confidence: {output: p, min: 0.6}\n",
    "serving: {max_batch_size: 64, max_queue_delay: 2ms, batching: true}\n",
    "require: cuda\n",
    "resources: {cpu: '1', memory: 512Mi, gpu: 1}\n",
    "metadata: {owner: risk, metrics: {auc: 0.9}, tags: [a, b]}\n",
    "provenance: {framework: scikit-learn 1.8.0, python: 3.11.9}\n",
    "files: []\n",
]

# The field that the error names, what stands behind HEAD, and its line there.
BAD = [
    ("featurs", "featurs: []\n", 1),
    ("features", "features: []\n", 1),
    ("features", "features: {a: 1}\n", 1),
    ("type", feature("unit: EUR"), 2),
    ("type", feature("type: flot"), 2),
    ("features[0].colour", feature("type: int, colour: red"), 2),
    ("name", "features:\n  - {name: '', type: int}\n", 2),
    ("ge", feature("type: float, gt: 1, ge: 1"), 2),
    ("ge", feature("type: text, ge: 1"), 2),
    ("min_length", feature("type: int, min_length: 1"), 2),
    ("max_length", feature("type: text, max_length: -1"), 2),
    ("values", feature("type: text, values: []"), 2),
    ("values", feature("type: text, values: [a, a]"), 2),
    ("nullable", feature("type: int, nullable: 'yes'"), 2),
    ("shape", feature("type: int, shape: [0]"), 2),
    ("outlier", feature("type: int, outlier: {}"), 2),
    ("outlier.action", feature("type: int, outlier: {above: 1, action: drop}"), 2),
    ("pattern", feature("type: text, pattern: ''"), 2),
    ("unknown_features", "unknown_features: drop\n", 1),
    ("op", feature("type: int") + "rules: [{left: x, op: '~', right: 1}]\n", 3),
    ("right", feature("type: int") + "rules: [{left: x, op: '<'}]\n", 3),
    ("before", "before: {clip: {}}\n", 1),
    ("after", "after: [clip]\n", 1),
    ("outputs", "outputs: [[a]]\n", 1),
    ("golden", "golden: ../golden.json\n", 1),
    ("golden", "golden: /golden.json\n", 1),
    ("golden.rtol", "golden: {file: g, rtol: -1}\n", 1),
    ("confidence", "confidence: {output: p}\n", 1),
    ("serving", "serving: 5\n", 1),
    ("require", "require: gpu\n", 1),
    ("resources.cpus", "resources: {cpus: 1}\n", 1),
    ("resources.cpu", "resources: {cpu: one}\n", 1),
    ("metadata", "metadata: a\n", 1),
    ("files", "files: [a//b]\n", 1),
    ("files", "files: [.galley/x]\n", 1),
    ("files", "files: a\n", 1),
]


@pytest.fixture(scope="module")
def validator():
    schema = json.loads(galley("schema").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.fixture
def package(tmp_path):
    shutil.copy(EXAMPLES / "fraud" / "model.onnx", tmp_path / "model.onnx")
    return tmp_path


def read(package, text):
    (package / "galley.yaml").write_text(text)
    return galley("pack", ".", "-o", package / "out.galley", cwd=package)


@pytest.mark.parametrize("text", GOOD)
def test_the_schema_takes_what_galley_takes(validator, package, text):
    for name in ("golden.json", "g/golden.json"):
        if name in text:
            (package / name).parent.mkdir(exist_ok=True)
            (package / name).write_text('{"cases": []}')
    validator.validate(load(HEAD + text))
    got = read(package, HEAD + text)
    assert "galley.yaml" not in got.stderr, got.stderr  # no error that is the manifest's


@pytest.mark.parametrize("field,text,line", BAD)
def test_the_schema_refuses_what_galley_refuses(validator, package, field, text, line):
    assert not validator.is_valid(load(HEAD + text))
    got = read(package, HEAD + text)
    assert got.returncode == 1
    assert f"galley.yaml:{line + 4}" in got.stderr and field in got.stderr, got.stderr


@pytest.mark.parametrize("bad", ["name: -a", "name: a/b", "name: ''", "version: '2.1'",
                                 "version: 1.02.3", "version: v1.2.3", "galley: 2", "model: /m.onnx",
                                 "model: {format: onnx}", "model: {file: m.onnx, format: pickle}",
                                 "model: {file: m.onnx, kind: a}"])
def test_the_head_is_checked_by_both(validator, package, bad):
    key = bad.split(":")[0]
    lines = [bad if line.startswith(key + ":") else line for line in HEAD.splitlines()]
    text = "\n".join(lines) + "\n"
    assert not validator.is_valid(load(text))
    got = read(package, text)
    assert got.returncode == 1
    assert f"galley.yaml:{1 + lines.index(bad)}" in got.stderr, got.stderr


@pytest.mark.parametrize("key", ["galley", "name", "version", "model"])
def test_a_needed_field_is_asked_for(validator, package, key):
    text = "".join(line + "\n" for line in HEAD.splitlines() if not line.startswith(key + ":"))
    assert not validator.is_valid(load(text))
    got = read(package, text)
    assert got.returncode == 1 and f"needs `{key}`" in got.stderr


def test_bombs_end_in_an_error(package):
    bombs = ["a: &a [x]\nb: *a\n", "metadata: " + "[" * 100 + "]" * 100 + "\n",
             "files: [" + "a," * 200000 + "a]\n", "x" * (2 << 20),
             feature("type: text, pattern: '(((((a{255}){255}){255}){255}){255})'")]
    for text in bombs:
        got = read(package, HEAD + text)
        assert got.returncode == 1 and got.stderr.startswith("galley: pack: "), text[:60]


def test_the_fields_as_text_are_all_there(validator):
    text = galley("schema", "--text").stdout
    defs = validator.schema["$defs"]
    for name, schema in [("", validator.schema), *defs.items()]:
        for field in schema.get("properties", {}):
            if not name.startswith("step_"):
                assert f"\n  {field} " in text, (name, field)


BLOCKS = re.findall(r"```yaml\n(.*?)```", (SOURCE / "docs" / "manifest.md").read_text(), re.S)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_the_examples_of_the_document_are_good(validator, package, number):
    block = BLOCKS[number]
    text = block if block.startswith("galley:") else HEAD + block
    for name in ("model.onnx.data", "README.md", "docs/card.md", "requirements.txt"):
        (package / name).parent.mkdir(exist_ok=True)
        (package / name).write_text("numpy==2.3.1\n")
    (package / "golden.json").write_text('{"cases": []}')
    validator.validate(load(text))
    got = read(package, text)
    assert "galley.yaml:" not in got.stderr, got.stderr


def test_the_example_of_the_unit_tests_is_valid(validator):
    text = (SOURCE / "tests" / "package" / "data" / "full.yaml").read_text()
    manifest = load(text)
    for key in ("before", "after"):  # the steps have examples of their own
        manifest.pop(key)
    validator.validate(manifest)
