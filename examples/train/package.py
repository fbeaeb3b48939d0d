# SPDX-License-Identifier: Apache-2.0
"""Make packages/NAME of models/NAME: the model, and golden cases out of what scikit-learn answered.

The golden cases are cases.json in the package's words: what its steps make of the framework's
probabilities is computed here, in Python, not by galley.
"""

import json
import shutil
from pathlib import Path

MODELS = Path(__file__).resolve().parents[1] / "models"
PACKAGES = MODELS.parent / "packages"


def tensor(name, datatype, data, *row):
    count = len(data)
    for size in row:
        count //= size
    return {"name": name, "datatype": datatype, "shape": [count, *row], "data": data}


def fraud(expected):
    p = expected["probabilities"]["data"][1::2]
    return [
        tensor("fraud_probability", "FP32", p, 1),
        tensor("is_fraud", "BOOL", [v > 0.7 for v in p], 1),
        tensor("confidence", "BYTES", ["high" if v > 0.9 or v < 0.1 else "medium" for v in p], 1),
    ]


def iris(expected):
    return [
        tensor("species", "BYTES", expected["label"], 1),
        tensor("scores", "FP32", expected["probabilities"]["data"], 3),
    ]


def main():
    for name, outputs in (("fraud", fraud), ("iris", iris)):
        recorded = json.loads((MODELS / name / "cases.json").read_text())
        cases = [
            {
                "name": f"case {i}",
                **recorded["tolerance"],
                "inputs": case["oip"]["inputs"],
                "outputs": outputs(case["expected"]["outputs"]),
            }
            for i, case in enumerate(recorded["cases"])
        ]
        lines = ",\n".join(json.dumps(case) for case in cases)
        (PACKAGES / name / "golden.json").write_text('{"cases": [\n' + lines + "\n]}\n")
        shutil.copyfile(MODELS / name / "model.onnx", PACKAGES / name / "model.onnx")
        print(f"{name}: {len(cases)} golden cases")


if __name__ == "__main__":
    main()
