# SPDX-License-Identifier: Apache-2.0
"""breast-cancer: gradient boosting on the Wisconsin data. One vector input with feature names in
the model's metadata, ZipMap with INT64 keys.

The data is rounded to FP32 before training, so that a row falls on the same side of every
threshold in scikit-learn and in ONNX Runtime. Compared: scikit-learn's predict and predict_proba
with ONNX Runtime's FP32 answer, on all 569 rows; the cases are the first held-out rows.
"""

from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import train_test_split

import common

COLUMNS = [common.Column("features", "FP32", 30)]


def main():
    data = load_breast_cancer()
    names = data.feature_names.tolist()
    x, y = common.fp32(data.data), data.target
    x_train, x_test, y_train, y_test = train_test_split(
        x, y, test_size=0.2, stratify=y, random_state=common.SEED)
    model = GradientBoostingClassifier(
        n_estimators=100, max_depth=3, subsample=0.8, random_state=common.SEED)
    model.fit(x_train, y_train)
    labels = model.classes_.tolist()

    onx = to_onnx(
        model, initial_types=[("features", FloatTensorType([None, 30]))],
        target_opset=common.OPSET)
    metrics = {
        "accuracy": accuracy_score(y_test, model.predict(x_test)),
        "roc_auc": roc_auc_score(y_test, model.predict_proba(x_test)[:, 1]),
    }
    common.save(
        "breast-cancer", onx, "Whether a breast mass is malignant (0) or benign (1) from 30 "
        "measures of its cell nuclei: gradient boosted trees. An example, not a medical device.",
        labels, metrics,
        "Breast Cancer Wisconsin Diagnostic (UCI), as shipped with scikit-learn; "
        "455 rows trained, 114 held out", feature_names=names)

    def predict(rows):
        return model.predict(common.fp32(rows)), model.predict_proba(common.fp32(rows))

    common.write_cases(
        "breast-cancer", COLUMNS, labels, predict, x_test[:30],
        [[0, 1, 2], [3, 4, 5], list(range(16))], feature_names=names)
    common.check_all_rows("breast-cancer", COLUMNS, labels, predict, x)


if __name__ == "__main__":
    main()
