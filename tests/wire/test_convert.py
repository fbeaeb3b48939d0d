# SPDX-License-Identifier: Apache-2.0
"""Other frameworks' models become packages that answer as the framework does; pickles that are programs never run."""
import concurrent.futures
import json
import pickle
import subprocess
import sys

import pytest
import yaml

import conversions
import harness

sys.path.insert(0, str(harness.SOURCE / "tests" / "convert"))
import bad_pickles  # noqa: E402

PYTHON = harness.SOURCE / "build" / "venv-convert" / "bin" / "python"
MAKERS = harness.SOURCE / "tests" / "convert"
CONVERT = harness.SOURCE / "src" / "cli" / "convert"
CLASSIFIERS = ["logistic.joblib", "forest.joblib", "boosting.pkl", "histogram.joblib", "perceptron.joblib", "in_pipeline.joblib",
               "lightgbm.pkl", "xgboost.json", "xgboost.ubj", "xgboost_three.json", "lightgbm.txt", "lightgbm_three.txt"]
REGRESSIONS = ["ridge.pkl", "plain_forest.joblib", "xgboost_regression.json", "lightgbm_regression.txt"]


needs_frameworks = conversions.needs(PYTHON, "convert-skipped", "test")


def convert(model, out, *more, python=PYTHON):
    return conversions.convert(model, out, python, *more)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The models, as their frameworks saved them."""
    d = tmp_path_factory.mktemp("made")
    subprocess.run([PYTHON, MAKERS / "make_classic.py", d], check=True, timeout=300 * harness.SCALE, capture_output=True)
    return d


@pytest.fixture(scope="module")
def packages(made, tmp_path_factory):
    """{model: directory of its package}, converted two at a time."""
    d = tmp_path_factory.mktemp("packages")

    def one(name):
        r = convert(made / name, d / name, "--name", "m")
        assert r.returncode == 0, f"{name}: {r.stderr}"
        return d / name
    names = CLASSIFIERS + REGRESSIONS + ["older.pkl"]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return dict(zip(names, pool.map(one, names)))


def ask(package, want):
    """What galley answers to the rows, by the features' names."""
    body = {"instances": [dict(zip(want["columns"], row)) for row in want["rows"]]}
    r = harness.galley("predict", package, "-d", "@-", stdin=json.dumps(body))
    assert r.returncode == 0, r.stderr
    return json.loads(r.stdout)["predictions"]


@needs_frameworks
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_answers_as_its_framework_does(name, made, packages):
    want = json.loads((made / f"{name}.want.json").read_text())
    got = ask(packages[name], want)
    assert [g["label"] for g in got] == want["label"]
    for g, w in zip(got, want["probabilities"]):
        assert len(g["probabilities"]) == len(w) and all(map(conversions.close, g["probabilities"], w)), (g, w)


@needs_frameworks
@pytest.mark.parametrize("name", REGRESSIONS)
def test_a_regression_answers_as_its_framework_does(name, made, packages):
    want = json.loads((made / f"{name}.want.json").read_text())
    for g, w in zip(ask(packages[name], want), want["value"]):
        value = g["variable"] if isinstance(g, dict) else g
        value = value[0] if isinstance(value, list) else value
        assert conversions.close(value, w), (g, w)


@needs_frameworks
@pytest.mark.parametrize("name", ["forest.joblib", "xgboost.json"])
def test_a_server_answers_as_the_framework_does(name, made, packages, serve):
    want = json.loads((made / f"{name}.want.json").read_text())
    server = serve(paths=[packages[name]])
    r = server.post("/predict", {"instances": [dict(zip(want["columns"], row)) for row in want["rows"]]})
    assert r.status == 200, r
    for g, w in zip(r.json()["predictions"], want["probabilities"]):
        assert all(map(conversions.close, g["probabilities"], w)), (g, w)


@needs_frameworks
def test_the_manifest_says_what_the_framework_knows(packages):
    doc = yaml.safe_load((packages["logistic.joblib"] / "galley.yaml").read_text())
    features = {f["name"]: f for f in doc["features"]}
    assert list(features) == ["amount", "age", "hour", "country", "channel"]
    assert [f["type"] for f in doc["features"]] == ["float", "float", "float", "text", "text"]
    assert features["age"]["nullable"] is True and "nullable" not in features["hour"]
    assert features["channel"]["values"] == ["app", "web"]  # OrdinalEncoder refuses others
    assert "values" not in features["country"]  # OneHotEncoder was told to ignore what it does not know
    assert "# values: [DE, FR, US]" in (packages["logistic.joblib"] / "galley.yaml").read_text()
    assert doc["outputs"][1] == {"name": "probabilities", "labels": ["fraud", "ok"]}
    assert doc["provenance"]["framework"].startswith("scikit-learn ")
    assert doc["provenance"]["libraries"]["skl2onnx"] and doc["provenance"]["freeze"] == "requirements.txt"
    freeze = (packages["logistic.joblib"] / "requirements.txt").read_text().splitlines()
    assert f"scikit-learn=={doc['provenance']['framework'].split()[1]}" in freeze


@needs_frameworks
def test_golden_cases_are_the_frameworks_answers(packages):
    for name in ("logistic.joblib", "xgboost.json", "lightgbm_regression.txt"):
        doc = yaml.safe_load((packages[name] / "galley.yaml").read_text())
        assert doc["golden"] == {"file": "golden.json", "rtol": conversions.RTOL, "atol": conversions.ATOL}
        case = json.loads((packages[name] / "golden.json").read_text())["cases"][0]
        assert [t["name"] for t in case["inputs"]] == [f["name"] for f in doc["features"]]
        assert all(t["shape"][0] == 16 for t in case["inputs"] + case["outputs"])


@needs_frameworks
def test_the_version_that_trained_it_is_kept_and_told(packages):
    doc = yaml.safe_load((packages["older.pkl"] / "galley.yaml").read_text())
    assert doc["provenance"]["trained_with"] == "scikit-learn 1.2.3"


@needs_frameworks
def test_rows_of_the_users_own_become_the_golden_cases(made, tmp_path):
    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps([{"amount": 5, "age": None, "hour": 3, "country": "FR", "channel": "web"},
                                {"channel": "app", "amount": 50, "age": 33, "hour": 23, "country": "??"}]))
    r = convert(made / "logistic.joblib", tmp_path / "p", "--inputs", rows)
    assert r.returncode == 0, r.stderr
    case = json.loads((tmp_path / "p" / "golden.json").read_text())["cases"][0]
    inputs = {t["name"]: t["data"] for t in case["inputs"]}
    assert inputs == {"amount": [5, 50], "age": ["NaN", 33], "hour": [3, 23], "country": ["FR", "??"], "channel": ["web", "app"]}
    rows.write_text('[{"amount": 5}]')
    r = convert(made / "logistic.joblib", tmp_path / "q", "--inputs", rows)
    assert r.returncode == 1 and "column age is missing" in r.stderr, r.stderr
    assert not (tmp_path / "q").exists()


@needs_frameworks
def test_an_mlflow_model_of_another_flavour_is_converted(made, tmp_path):
    d = tmp_path / "mlflow"
    d.mkdir()
    (d / "model.pkl").write_bytes((made / "boosting.pkl").read_bytes())
    (d / "MLmodel").write_text("flavors:\n  python_function: {loader_module: mlflow.sklearn, python_version: 3.11.7}\n"
                               "  sklearn: {pickled_model: model.pkl, serialization_format: cloudpickle, sklearn_version: 1.9.1}\n"
                               "run_id: abc\n")
    r = harness.galley("init", d, "-o", tmp_path / "p")
    assert r.returncode == 1 and "--convert" in r.stderr
    r = convert(d, tmp_path / "p")
    assert r.returncode == 0, r.stderr
    doc = yaml.safe_load((tmp_path / "p" / "galley.yaml").read_text())
    assert doc["provenance"]["run_id"] == "abc" and len(doc["features"]) == 5


# --- pickles that are programs -----------------------------------------------------------------------------------------
BAD = bad_pickles.all_of("CANARY")


def test_the_canary_sings_where_nobody_looks(tmp_path):
    """What the tests below look for does happen: plain pickle runs these files."""
    canary = tmp_path / "canary"
    for name in ("system.pkl", "system0.pkl", "eval.pkl", "inst.pkl", "computed.pkl", "nested.pkl"):
        data, _ = bad_pickles.all_of(canary)[name]
        subprocess.run([sys.executable, "-c", "import pickle, sys; pickle.loads(sys.stdin.buffer.read())"], input=data,
                       timeout=60, capture_output=True)
        assert canary.exists(), name
        canary.unlink()


@pytest.mark.parametrize("name", sorted(BAD))
def test_a_malicious_pickle_is_refused_by_name_and_never_run(name, tmp_path):
    canary = tmp_path / "canary"
    data, named = bad_pickles.all_of(canary)[name]
    (tmp_path / name).write_bytes(data)
    before = harness.galley("init", tmp_path / name, "-o", tmp_path / "p")
    assert before.returncode == 1 and "a pickle is a program" in before.stderr and "--convert" in before.stderr
    r = convert(tmp_path / name, tmp_path / "p", python=sys.executable)  # needs nothing but Python
    assert r.returncode == 1 and named in r.stderr, r.stderr
    assert not canary.exists() and not (tmp_path / "p").exists()


@needs_frameworks
def test_the_unpickler_holds_names_against_the_list_once_more(tmp_path):
    """As if the scan had let the file through: each global is looked at when it is asked for."""
    canary = tmp_path / "canary"
    script = ("import sys; sys.path.insert(0, sys.argv[1]); import common, pickles\n"
              "try:\n    pickles.load(sys.argv[2], 'it')\nexcept common.Refused as e:\n    print(e)")
    files = {n: d for n, (d, _) in bad_pickles.all_of(canary).items()
             if n in ("system.pkl", "eval.pkl", "inst.pkl", "system.gz.joblib", "computed.pkl", "nested.pkl", "dotted.pkl")}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    # An array of objects is a pickle within the file, which joblib reads by a way of its own.
    subprocess.run([PYTHON, "-c", "import joblib, numpy, sys\nsys.path.insert(0, sys.argv[2])\nimport bad_pickles, os\n"
                    "joblib.dump(numpy.array([1, bad_pickles.Call(os.system, 'touch ' + sys.argv[3])], dtype=object), sys.argv[1])",
                    tmp_path / "objects.joblib", MAKERS, canary], check=True, timeout=120)
    for name in [*files, "objects.joblib"]:
        r = subprocess.run([PYTHON, "-c", script, CONVERT, tmp_path / name], capture_output=True, text=True, timeout=120)
        assert "which no model needs" in r.stdout, (name, r.stdout, r.stderr)
        assert not canary.exists(), name
    r = convert(tmp_path / "objects.joblib", tmp_path / "p")
    assert r.returncode == 1 and "posix.system" in r.stderr and not canary.exists(), r.stderr


@needs_frameworks
def test_a_pickle_with_wrong_bytes_is_looked_through_or_refused(made):
    """300 files with a few bytes changed, cut or doubled: no other end than names or a refusal, and soon."""
    script = """
import os, random, sys
sys.path.insert(0, sys.argv[1])
import common, pickles
rng, kept, refused = random.Random(7), 0, 0
for path in sys.argv[2:]:
    whole = open(path, "rb").read()
    for i in range(150):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(data))
            data[at] = rng.randrange(256)
        if i % 3 == 0:
            del data[rng.randrange(len(data)):]
        if i % 5 == 0:
            at = rng.randrange(len(data) + 1)
            data[at:at] = data[max(0, at - 40):at]
        with open("mutant.pkl", "wb") as f:
            f.write(data)
        try:
            pickles.look_through("mutant.pkl", "it")
            kept += 1
        except common.Refused:
            refused += 1
print(kept, refused)
"""
    r = subprocess.run([PYTHON, "-c", script, CONVERT, made / "ridge.pkl", made / "logistic.joblib"], capture_output=True,
                       text=True, timeout=300, cwd=made)
    assert r.returncode == 0, r.stderr[-2000:]
    kept, refused = map(int, r.stdout.split())
    assert kept + refused == 300 and refused > 100, r.stdout


@needs_frameworks
def test_a_pickle_that_is_no_model_is_an_error(tmp_path):
    (tmp_path / "list.pkl").write_bytes(pickle.dumps([1, 2, 3]))
    r = convert(tmp_path / "list.pkl", tmp_path / "p")
    assert r.returncode == 1 and "builtins.list, which is no model" in r.stderr, r.stderr


def test_what_is_missing_is_named_with_the_line_that_installs_it(tmp_path):
    (tmp_path / "model.joblib").write_bytes(pickle.dumps({"a": 1}))
    r = convert(tmp_path / "model.joblib", tmp_path / "p", python=sys.executable)
    assert r.returncode == 1 and "this Python has no " in r.stderr and "skl2onnx" in r.stderr, r.stderr
    assert f"Install: {sys.executable} -m pip install " in r.stderr and "skl2onnx" in r.stderr.split("pip install")[1], r.stderr
    r = convert(tmp_path / "model.joblib", tmp_path / "p", python="/nowhere/python")
    assert r.returncode == 1 and "there is no Python called /nowhere/python" in r.stderr


def test_a_file_that_nobody_knows_is_an_error(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    r = convert(tmp_path / "notes.txt", tmp_path / "p", python=sys.executable)
    assert r.returncode == 1 and "no converter is known" in r.stderr, r.stderr
    r = harness.galley("init", tmp_path / "notes.txt")
    assert r.returncode == 1 and "needs a conversion" in r.stderr, r.stderr


def test_without_a_closed_network_it_refuses_unless_told(tmp_path):
    """In a user namespace that may make no network namespace."""
    def inside(*more):
        command = ["unshare", "-Ur", "sh", "-c", 'echo 0 > /proc/sys/user/max_net_namespaces && exec "$@"', "sh", harness.BIN, "init",
                   str(tmp_path / "model.txt"), "--convert", "--python", sys.executable, "-o", str(tmp_path / "p"), *more]
        return subprocess.run(command, capture_output=True, text=True, timeout=60 * harness.SCALE, env=harness.child_env(),
                              check=False)
    (tmp_path / "model.txt").write_text("neither")
    if subprocess.run(["unshare", "-Ur", "sh", "-c", "echo 0 > /proc/sys/user/max_net_namespaces"], capture_output=True,
                      check=False).returncode:
        pytest.skip("this system lets us make no user namespace to close the door in")
    r = inside()
    assert r.returncode == 1 and "make no network namespace" in r.stderr and "--allow-network" in r.stderr, r.stderr
    r = inside("--allow-network")
    assert "no converter is known" in r.stderr, r.stderr
