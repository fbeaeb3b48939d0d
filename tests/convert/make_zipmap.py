# SPDX-License-Identifier: Apache-2.0
"""Classifiers as skl2onnx writes them when nobody tells it otherwise, with a ZipMap: usage: make_zipmap.py DIR

NAME.onnx, and NAME.json: "rows" that the models have not seen, with scikit-learn's "classes", "labels" (predict) and
"probabilities" (predict_proba)."""
import json
import sys

import numpy as np
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main(out):
    data = load_iris()
    x, numbers = data.data.astype(np.float32), data.target
    names = np.array(["setosa", "versicolor", "virginica"])[numbers]
    train = np.arange(len(x)) % 3 != 0
    targets = {
        "numbers": (RandomForestClassifier(20, random_state=1), numbers),
        "distant": (LogisticRegression(max_iter=1000), numbers * 10 - 10),  # classes -10, 0, 10
        "names": (make_pipeline(StandardScaler(), LogisticRegression()), names),
        "two": (LogisticRegression(max_iter=1000), numbers > 0),
    }
    for name, (model, y) in targets.items():
        y = y.astype(np.int64) if y.dtype == bool else y
        model.fit(x[train], y[train])
        onx = to_onnx(model, x[:1], target_opset=17)
        maps = [o for o in onx.graph.output if o.type.WhichOneof("value") == "sequence_type"]
        assert len(maps) == 1 and any(n.op_type == "ZipMap" for n in onx.graph.node), "a ZipMap is what is to be tested"
        with open(f"{out}/{name}.onnx", "wb") as f:
            f.write(onx.SerializeToString())
        rows = x[~train]
        with open(f"{out}/{name}.json", "w", encoding="utf-8") as f:
            json.dump({"rows": rows.tolist(), "classes": model.classes_.tolist(), "labels": model.predict(rows).tolist(),
                       "probabilities": model.predict_proba(rows).tolist()}, f)


main(sys.argv[1])
