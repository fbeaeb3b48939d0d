# SPDX-License-Identifier: Apache-2.0
"""What golden cases catch: `galley verify` and `galley record`."""
import json
import subprocess

import pytest

import harness
import packages
from harness import galley


@pytest.fixture(name="fraud")
def fraud_of_a_test(tmp_path):
    return packages.copy("fraud", tmp_path / "fraud")


@pytest.fixture(name="iris")
def iris_of_a_test(tmp_path):
    return packages.copy("iris", tmp_path / "iris")


def verify(*package, code=0):
    done = galley("verify", "--json", *package)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)["packages"][0]


def refused(package, output):
    """It fails with this output beyond tolerance, and says where; returns the reason."""
    told = verify(package, code=1)
    bad = [o for o in told["golden"]["outputs"] if o["name"] == output]
    assert not told["verified"] and told["loads"] and told["golden"]["failed"] > 0
    assert bad and bad[0]["beyond"] > 0 and bad[0]["worst"]["got"] != bad[0]["worst"]["expected"]
    assert "is not reproduced" in told["error"]
    return told["error"]


# --- what holds ---

@pytest.mark.parametrize("name", ["fraud", "iris"])
def test_the_examples_reproduce_what_scikit_learn_answered(name):
    told = verify(packages.EXAMPLES / name)
    assert told["verified"] and told["loads"] and told["golden"]["failed"] == 0
    assert told["golden"]["cases"] == len(packages.cases(packages.EXAMPLES / name))
    assert all(o["beyond"] == 0 for o in told["golden"]["outputs"])
    text = galley("verify", packages.EXAMPLES / name)
    assert text.returncode == 0 and "  verified\n" in text.stdout and "ABSOLUTE" in text.stdout


def test_a_packed_one_holds_too(fraud, tmp_path):
    file = packages.pack(fraud, tmp_path / "fraud.galley")
    told = verify(file)
    assert told["verified"] and told["sealed"] and told["digests"]
    assert told["digest"] == packages.digest(fraud)


# --- what is caught, each for itself ---

def test_a_changed_weight_is_caught(fraud):
    assert "fraud_probability[" in refused(packages.nudge(fraud), "fraud_probability")


def vector(tmp_path, features):
    """A package of one vector; its columns are put together in the order of the features."""
    package = packages.linear(tmp_path / "vector", [1, 10, 100], golden="golden.json",
                              features=[{"name": f, "type": "float"} for f in features])
    return package


def test_a_swapped_feature_order_is_caught(tmp_path):
    package = vector(tmp_path, ["a", "b", "c"])
    packages.record(package, [{"a": 1, "b": 2, "c": 3}, {"a": 4, "b": 5, "c": 6}])
    assert verify(package)["verified"]
    refused(vector(tmp_path, ["b", "a", "c"]), "y")


def test_another_order_of_an_encoder_is_caught(tmp_path):
    def package(values):
        return packages.linear(
            tmp_path / "shop", [1, 10, 100], golden="golden.json",
            features=[{"name": "category", "type": "text", "values": ["food", "travel", "other"]}],
            before=[{"one_hot": {"feature": "category", "values": values, "to": "x"}}])
    packages.record(package(["food", "travel", "other"]), [{"category": "food"}, {"category": "other"}])
    assert verify(package(["food", "travel", "other"]))["verified"]
    refused(package(["travel", "food", "other"]), "y")


def test_a_different_rounding_is_caught(fraud):
    round_to = "  - round: {output: fraud_probability, digits: %d}\n"
    threshold = "  - threshold:"
    packages.edit(fraud, threshold, round_to % 7 + threshold)
    assert verify(fraud)["verified"]
    packages.edit(fraud, round_to % 7, round_to % 3)
    refused(fraud, "fraud_probability")


def test_a_moved_threshold_is_caught(fraud):
    assert "is_fraud[" in refused(packages.edit(fraud, "above: 0.7", "above: 0.5"), "is_fraud")


def test_a_renamed_decision_is_caught(fraud):
    reason = refused(packages.edit(fraud, "is: high", "is: sure"), "confidence")
    assert '"sure"' in reason and '"high"' in reason


def test_another_tolerance_lets_it_pass(fraud):
    packages.nudge(fraud, 1e-4)
    golden = packages.cases(fraud)
    for case in golden:
        case["atol"] = 0.01
    (fraud / "golden.json").write_text(json.dumps({"cases": golden}))
    told = verify(fraud)
    p = next(o for o in told["golden"]["outputs"] if o["name"] == "fraud_probability")
    assert told["verified"] and 0 < p["absolute"] < 0.01


# --- what does not come so far ---

def test_damaged_bytes_are_named(fraud, tmp_path):
    file = packages.pack(fraud, tmp_path / "fraud.galley")
    data = bytearray(file.read_bytes())
    at = data.find((fraud / "model.onnx").read_bytes())
    data[at + 2000] ^= 1
    file.write_bytes(bytes(data))
    told = verify(file, code=1)
    assert not told["digests"] and not told["loads"] and "model.onnx" in told["error"]


def test_a_wrong_manifest_has_a_line(fraud):
    packages.edit(fraud, "ge: 0\n    le: 23", "ge: 23\n    le: 0")
    done = galley("verify", fraud)
    assert done.returncode == 1 and "galley.yaml:" in done.stderr


def test_an_output_that_nobody_makes_has_a_line(fraud):
    packages.edit(fraud, "{name: confidence,", "{name: certainty,")
    done = galley("verify", fraud)
    assert done.returncode == 1 and "there is no output certainty" in done.stderr


def test_what_is_no_package_is_said(tmp_path):
    done = galley("verify", tmp_path)
    assert done.returncode == 1 and "is no package" in done.stderr


def test_one_of_several_that_fails_decides(fraud, iris):
    packages.nudge(fraud)
    done = galley("verify", iris, fraud)
    assert done.returncode == 1
    assert done.stdout.count("  verified\n") == 1 and done.stdout.count("  NOT verified\n") == 1


def test_a_package_without_cases_says_that_nothing_is_proven(iris):
    packages.edit(iris, "golden: golden.json\n", "")
    done = galley("verify", iris)
    assert done.returncode == 0 and "no cases" in done.stdout


# --- record ---

ROWS = [{"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2},
        {"sepal_length": 6.7, "sepal_width": 3.0, "petal_length": 5.2, "petal_width": 2.3}]


def test_recorded_cases_prove_the_package(iris):
    (iris / "golden.json").unlink()
    packages.record(iris, [ROWS[0], {"instances": ROWS}, list(ROWS[1].values())])
    recorded = packages.cases(iris)
    assert [c["inputs"][0]["shape"][0] for c in recorded] == [1, 2, 1]
    assert recorded[1]["outputs"][0]["data"] == ["setosa", "virginica"]
    assert verify(iris)["golden"]["cases"] == 3


@pytest.mark.parametrize("text", ['{"cases": []}', '{"cases":[ ]}\n'])
def test_a_file_without_cases_proves_nothing_and_is_written_over(iris, tmp_path, text):
    (iris / "golden.json").write_text(text)
    done = galley("verify", "--json", iris)
    assert done.returncode == 1 and "golden.json" in done.stderr and "no golden cases" in done.stderr, done.stderr
    told = json.loads(done.stdout)["packages"][0]
    assert not told["verified"] and told["loads"] and told["golden"] is None
    assert "NOT verified" in galley("verify", iris).stdout
    file = tmp_path / "iris.galley"
    done = galley("pack", iris, "-o", file)
    assert done.returncode == 1 and not file.exists() and "no golden cases" in done.stderr, done.stderr
    done = galley("pack", "--strict", "--no-verify", iris, "-o", file)
    assert done.returncode == 1 and not file.exists() and "note: the file of golden cases holds none" in done.stderr
    assert galley("pack", "--no-verify", iris, "-o", file).returncode == 0
    again = galley("pack", file, "-o", tmp_path / "again.galley")  # which runs no cases of what is packed
    assert again.returncode == 0 and "note: the file of golden cases holds none" in again.stderr, again.stderr
    assert galley("unpack", file, tmp_path / "u").returncode == 0 and galley("verify", file).returncode == 1
    assert json.loads((tmp_path / "u" / "lock.json").read_text())["golden"]["proved"] is False
    done = galley("predict", iris, stdin=json.dumps(ROWS[0]))
    assert done.returncode == 1 and "no golden cases" in done.stderr, done.stdout
    done = galley("record", iris, "-i", "-", stdin=json.dumps(ROWS[0]))
    assert done.returncode == 0 and verify(iris)["golden"]["cases"] == 1, done.stderr


def test_a_record_that_was_interrupted_does_not_block_the_next(iris):
    (iris / "golden.json").unlink()
    with subprocess.Popen([harness.BIN, "record", str(iris), "-i", "-"], stdin=subprocess.PIPE, env=harness.child_env(),
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        harness.wait_until((iris / "golden.json").exists, 20, "the package can be opened", pause=0.01)
        process.kill()
    done = galley("record", iris, "-i", "-", stdin=json.dumps(ROWS[0]))
    assert done.returncode == 0 and verify(iris)["golden"]["cases"] == 1, done.stderr


def test_golden_cases_are_not_overwritten_unasked(iris):
    before = (iris / "golden.json").read_bytes()
    done = galley("record", iris, "-i", "-", stdin=json.dumps(ROWS[0]))
    assert done.returncode == 1 and "--force" in done.stderr
    assert (iris / "golden.json").read_bytes() == before


def test_inputs_of_golden_cases_are_recorded_anew(fraud):
    packages.nudge(fraud)
    refused(fraud, "fraud_probability")
    names = [c["name"] for c in packages.cases(fraud)]
    done = galley("record", fraud, "-i", fraud / "golden.json", "--force")
    assert done.returncode == 0, done.stderr
    assert [c["name"] for c in packages.cases(fraud)] == names and verify(fraud)["verified"]


def test_what_a_client_could_not_send_is_no_case(fraud):
    (fraud / "golden.json").unlink()
    row = {"transaction_amount": 1.0, "merchant_category": "electronics",
           "user_account_age_days": 3, "hour_of_day": 24}
    done = packages.record(fraud, [row], code=1)
    assert "hour_of_day" in done.stderr
    assert not (fraud / "golden.json").exists()  # nothing half-made stays


def test_a_packed_one_is_recorded_elsewhere(iris, tmp_path):
    file = packages.pack(iris, tmp_path / "iris.galley")
    done = galley("record", file, "-i", "-", stdin=json.dumps(ROWS[0]))
    assert done.returncode == 1 and "-o FILE" in done.stderr
    done = galley("record", file, "-i", "-", "-o", tmp_path / "one.json", "--atol", "0.5", stdin=json.dumps(ROWS[0]))
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "one.json").read_text())["cases"][0]["atol"] == 0.5


def test_a_manifest_without_golden_names_what_is_recorded(iris):
    packages.edit(iris, "golden: golden.json\n", "")
    (iris / "golden.json").unlink()
    manifest = iris / "galley.yaml"
    bare = manifest.read_text()
    done = packages.record(iris, ROWS)
    assert "names it now" in done.stdout and len(packages.cases(iris)) == 2
    assert manifest.read_text() == bare + "golden: golden.json\n"
    assert verify(iris)["golden"]["cases"] == 2
    # What `galley init` has prepared is taken; an end without a line break gets one.
    for before, after in ((bare.replace("\nname:", "\n# golden: {file: golden.json}   # here\nname:", 1), "golden: {file: golden.json}   # here\n"),
                          (bare.rstrip("\n"), "\ngolden: golden.json\n")):
        manifest.write_text(before)
        (iris / "golden.json").unlink()
        packages.record(iris, ROWS)
        assert after in manifest.read_text() and "\n# golden" not in manifest.read_text()
        assert verify(iris)["golden"]["cases"] == 2
    # A link stays a link, and a mode the mode.
    manifest.write_text(bare)
    manifest.chmod(0o640)
    (iris / "golden.json").unlink()
    packages.record(iris, ROWS)
    assert manifest.stat().st_mode & 0o777 == 0o640 and "golden.json" in manifest.read_text()
    manifest.rename(iris / "real.yaml")
    (iris / "real.yaml").write_text(bare)
    manifest.symlink_to("real.yaml")
    (iris / "golden.json").unlink()
    assert "Add `golden: golden.json`" in packages.record(iris, ROWS).stdout and manifest.is_symlink()
    manifest.unlink()
    # Where it cannot be written so, it stays, and what to add is told.
    manifest.write_text(bare + "...\n")
    (iris / "golden.json").unlink()
    done = packages.record(iris, ROWS)
    assert "Add `golden: golden.json`" in done.stdout and manifest.read_text() == bare + "...\n"


# --- consistency of packages ---

def consistency(*args, code=0):
    done = galley("consistency", "--json", *args)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_golden_cases_are_the_inputs_of_a_comparison(fraud, tmp_path):
    other = packages.nudge(packages.copy("fraud", tmp_path / "other"))
    assert consistency(fraud, packages.pack(fraud, tmp_path / "fraud.galley"))["consistent"]
    told = consistency(fraud, other, code=1)
    assert told["cases"] == len(packages.cases(fraud)) and told["failed"] > 0


# --- other commands ---

def test_a_package_is_asked_without_a_server(fraud):
    done = galley("predict", fraud, "-d", json.dumps(
        {"features": {"transaction_amount": 3588.76, "merchant_category": "electronics",
                      "user_account_age_days": 850, "hour_of_day": 11}}))
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["prediction"]["is_fraud"] is True and answer["prediction"]["confidence"] == "high"
    assert answer["model_version"] == "2.1.0" and answer["package_digest"] == packages.digest(fraud)


def test_a_package_is_inspected(fraud, tmp_path):
    text = galley("inspect", fraud)
    assert text.returncode == 0, text.stderr
    for words in ["merchant_category", "one of electronics, grocery", "flagged where above 5000",
                  "pick probabilities -> fraud_probability", "32 in golden.json"]:
        assert words in text.stdout, words
    file = packages.pack(fraud, tmp_path / "fraud.galley")
    told = json.loads(galley("inspect", "--json", file).stdout)["models"][0]
    assert told["package"]["digest"] == packages.digest(fraud) and told["package"]["sealed"]
    assert [f["name"] for f in told["package"]["features"]] == [
        "transaction_amount", "merchant_category", "user_account_age_days", "hour_of_day"]
    assert told["package"]["features"][3]["le"] == 23
    assert told["package"]["golden"]["cases"] == 32
    assert [o["name"] for o in told["outputs"]] == ["fraud_probability", "is_fraud", "confidence"]
