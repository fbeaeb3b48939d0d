# SPDX-License-Identifier: Apache-2.0
"""fraud: is a card payment fraudulent? Named FP32, INT64 and BYTES inputs, tensors out.

THE DATA IS SYNTHETIC: draw_payments() below invents it, no real payment was used. Compared:
scikit-learn's predict and predict_proba (float64 arithmetic, amounts rounded to FP32) with ONNX
Runtime's FP32 answer, on all payments; the cases are held-out payments of every
category, from its most to its least suspicious.
"""

import numpy as np
import pandas as pd
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn.compose import make_column_transformer
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import common

CATEGORIES = ["electronics", "grocery", "restaurant", "travel", "other"]
COLUMNS = [
    common.Column("transaction_amount", "FP32"),
    common.Column("merchant_category", "BYTES"),
    common.Column("user_account_age_days", "INT64"),
    common.Column("hour_of_day", "INT64"),
]
NAMES = [c.name for c in COLUMNS]
ONNX_TYPE = {"FP32": FloatTensorType, "BYTES": StringTensorType, "INT64": Int64TensorType}


def draw_payments(count):
    """Invented payments: large sums, young accounts, nights, electronics and travel are riskier."""
    random = np.random.RandomState(common.SEED)
    kind = random.choice(5, count, p=[0.15, 0.40, 0.25, 0.08, 0.12])
    typical = np.array([180.0, 45.0, 35.0, 320.0, 60.0])[kind]
    amount = np.clip(typical * np.exp(random.normal(0, 0.9, count)), 0.5, 999_999).round(2)
    age = np.clip(random.exponential(900, count), 0, 36_500).astype(np.int64)
    hour = np.where(
        random.uniform(size=count) < 0.15, random.randint(0, 24, count),
        random.normal(14, 4, count).round().astype(np.int64) % 24)
    night = (hour < 6) | (hour > 22)
    logit = (-4.6 + 1.4 * np.log(amount / 60) + 2.2 * np.exp(-age / 90) + 2.0 * night
             + np.array([0.9, -0.8, -0.5, 0.6, 0.2])[kind])
    fraud = (random.uniform(size=count) < 1 / (1 + np.exp(-logit))).astype(np.int64)
    payments = pd.DataFrame({
        "transaction_amount": common.fp32(amount),
        "merchant_category": np.array(CATEGORIES, dtype=object)[kind],
        "user_account_age_days": age,
        "hour_of_day": hour,
    })
    return payments, fraud


def spread(payments, score, category):
    """Six payments of a category, from its most to its least suspicious."""
    own = np.flatnonzero(payments["merchant_category"] == category)
    wanted = np.linspace(score[own].max(), score[own].min(), 6)
    nearest = np.abs(score[own, None] - wanted).argmin(axis=0)
    return payments.iloc[own[nearest]].values.tolist()


def main():
    x, y = draw_payments(12_000)
    x_train, x_test, y_train, y_test = train_test_split(
        x, y, test_size=0.2, stratify=y, random_state=common.SEED)
    features = make_column_transformer(
        (StandardScaler(), ["transaction_amount"]),
        (OneHotEncoder(categories=[CATEGORIES]), ["merchant_category"]),
        (StandardScaler(), ["user_account_age_days"]),
        (StandardScaler(), ["hour_of_day"]))
    network = MLPClassifier((16, 8), alpha=1e-3, max_iter=300, random_state=common.SEED)
    model = make_pipeline(features, network).fit(x_train, y_train)
    labels = model.classes_.tolist()

    onx = to_onnx(
        model, initial_types=[(c.name, ONNX_TYPE[c.datatype]([None, 1])) for c in COLUMNS],
        options={"zipmap": False}, target_opset=common.OPSET)
    score = model.predict_proba(x_test)[:, 1]
    metrics = {
        "roc_auc": roc_auc_score(y_test, score),
        "average_precision": average_precision_score(y_test, score),
    }
    common.save(
        "fraud", onx, "Whether a card payment is fraudulent (1) or not (0): one-hot merchant "
        "category, scaled numbers, multilayer perceptron. Trained on SYNTHETIC data.",
        labels, metrics,
        "Synthetic: 12000 payments invented by examples/train/fraud.py; 9600 trained, "
        "2400 held out")

    def predict(rows):
        frame = pd.DataFrame(rows, columns=NAMES)
        frame["transaction_amount"] = common.fp32(frame["transaction_amount"])
        return model.predict(frame), model.predict_proba(frame)

    rows = [row for category in CATEGORIES for row in spread(x_test, score, category)]
    common.write_cases("fraud", COLUMNS, labels, predict, rows, [[0, 14, 29], list(range(16))])
    common.check_all_rows("fraud", COLUMNS, labels, predict, x.values.tolist())


if __name__ == "__main__":
    main()
