# SPDX-License-Identifier: Apache-2.0
"""digits: a small multilayer perceptron on 8x8 digits. One vector input, tensors out.

Compared: scikit-learn's predict and predict_proba (float64 arithmetic on FP32 inputs) with ONNX
Runtime's FP32 answer, on all 1797 images; the cases are three held-out images of each digit.
"""

import numpy as np
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

import common

COLUMNS = [common.Column("pixels", "FP32", 64)]


def main():
    data = load_digits()
    x, y = common.fp32(data.data), data.target
    x_train, x_test, y_train, y_test = train_test_split(
        x, y, test_size=0.2, stratify=y, random_state=common.SEED)
    network = MLPClassifier((64, 32), alpha=1e-2, max_iter=400, random_state=common.SEED)
    model = make_pipeline(MinMaxScaler(), network).fit(x_train, y_train)
    labels = model.classes_.tolist()

    onx = to_onnx(
        model, initial_types=[("pixels", FloatTensorType([None, 64]))],
        options={"zipmap": False}, target_opset=common.OPSET)
    metrics = {
        "accuracy": accuracy_score(y_test, model.predict(x_test)),
        "log_loss": log_loss(y_test, model.predict_proba(x_test)),
    }
    common.save(
        "digits", onx, "A handwritten digit from 8x8 grey pixels, row by row, 0 (paper) to 16 "
        "(ink): multilayer perceptron 64-64-32-10.", labels, metrics,
        "Optical Recognition of Handwritten Digits (UCI), as shipped with scikit-learn; "
        "1437 images trained, 360 held out")

    def predict(rows):
        return model.predict(common.fp32(rows)), model.predict_proba(common.fp32(rows))

    first = np.array([np.flatnonzero(y_test == digit)[:3] for digit in labels]).T.ravel()
    common.write_cases(
        "digits", COLUMNS, labels, predict, x_test[first], [[3, 1, 4], list(range(10))])
    common.check_all_rows("digits", COLUMNS, labels, predict, x)


if __name__ == "__main__":
    main()
