# SPDX-License-Identifier: Apache-2.0
"""iris: logistic regression on Fisher's iris data. One FP32 input a feature, ZipMap of names.

Compared: scikit-learn's predict and predict_proba (float64 arithmetic on FP32 inputs) with ONNX
Runtime's FP32 answer, on all 150 flowers; the cases are the held-out ones.
"""

from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import common

NAMES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
COLUMNS = [common.Column(n, "FP32") for n in NAMES]


def main():
    data = load_iris()
    x, y = common.fp32(data.data), data.target_names[data.target].astype(object)
    x_train, x_test, y_train, y_test = train_test_split(
        x, y, test_size=0.2, stratify=y, random_state=common.SEED)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(x_train, y_train)
    labels = model.classes_.tolist()

    onx = to_onnx(
        model, initial_types=[(n, FloatTensorType([None, 1])) for n in NAMES],
        target_opset=common.OPSET)
    metrics = {
        "accuracy": accuracy_score(y_test, model.predict(x_test)),
        "log_loss": log_loss(y_test, model.predict_proba(x_test)),
    }
    common.save(
        "iris", onx, "Species of an iris flower from four lengths in centimetres: "
        "standard scaler and logistic regression.", labels, metrics,
        "Iris (R. A. Fisher, 1936), as shipped with scikit-learn; 120 rows trained, 30 held out")

    def predict(rows):
        return model.predict(common.fp32(rows)), model.predict_proba(common.fp32(rows))

    common.write_cases("iris", COLUMNS, labels, predict, x_test, [[0, 1, 2], list(range(30))])
    common.check_all_rows("iris", COLUMNS, labels, predict, x)


if __name__ == "__main__":
    main()
