# SPDX-License-Identifier: Apache-2.0
"""Trains small models of scikit-learn, XGBoost and LightGBM: usage: make_classic.py DIR

Beside each model FILE lies FILE.want.json: rows that galley has not seen, in the order of "columns", with what the framework
answers ("label" and "probabilities", or "value")."""
import json
import os
import pickle
import sys
import warnings

import joblib
import lightgbm
import numpy as np
import pandas as pd
import xgboost
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier,
                              RandomForestRegressor)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler

warnings.simplefilter("ignore")
COLUMNS = ["amount", "age", "hour", "country", "channel"]
NUMBERS = COLUMNS[:3]


def rows(seed, n):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"amount": rng.lognormal(3, 1, n), "age": rng.integers(18, 80, n).astype(float),
                          "hour": rng.integers(0, 24, n).astype(float), "country": rng.choice(["DE", "FR", "US"], n),
                          "channel": rng.choice(["web", "app"], n)})
    frame[NUMBERS] = frame[NUMBERS].astype(np.float32).astype(float)  # as they arrive in single precision
    return frame


def target(frame):
    return ((frame.amount > 20).astype(int) + (frame.country == "FR") + (frame.hour > 18) > 1).astype(int).to_numpy()


def prepare():
    return ColumnTransformer([
        ("scaled", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), ["amount", "age"]),
        ("ranged", MinMaxScaler(), ["hour"]),
        ("country", OneHotEncoder(handle_unknown="ignore"), ["country"]),
        ("channel", OrdinalEncoder(), ["channel"])])


def want(path, model, frame):
    frame = frame.head(12)
    doc = {"columns": list(frame.columns), "rows": json.loads(frame.to_json(orient="values", double_precision=15))}
    if hasattr(model, "predict_proba"):
        doc["label"] = model.predict(frame).tolist()
        doc["probabilities"] = np.asarray(model.predict_proba(frame)).tolist()
    else:
        doc["value"] = np.asarray(model.predict(frame)).reshape(-1).tolist()
    with open(path + ".want.json", "w", encoding="utf-8") as f:
        json.dump(doc, f)


def main(out):
    train, fresh = rows(1, 500), rows(2, 40)
    holes = train.copy()
    holes.loc[::7, "age"] = np.nan
    y, words = target(train), np.where(target(train) == 1, "fraud", "ok")

    def keep(name, model, data=fresh, save=None):
        path = os.path.join(out, name)
        (save or joblib.dump)(model, path)
        want(path, model, data)

    keep("logistic.joblib", make_pipeline(prepare(), LogisticRegression(max_iter=500)).fit(holes, words))
    keep("forest.joblib", make_pipeline(prepare(), RandomForestClassifier(20, random_state=0)).fit(holes, y),
         save=lambda m, p: joblib.dump(m, p, compress=3))
    keep("boosting.pkl", make_pipeline(prepare(), GradientBoostingClassifier(n_estimators=20, random_state=0)).fit(holes, y),
         save=lambda m, p: pickle.dump(m, open(p, "wb")))
    keep("histogram.joblib", make_pipeline(prepare(), HistGradientBoostingClassifier(max_iter=20, random_state=0)).fit(holes, y))
    keep("perceptron.joblib", make_pipeline(prepare(), MLPClassifier((16,), max_iter=200, random_state=0)).fit(holes, y))
    keep("ridge.pkl", make_pipeline(prepare(), Ridge()).fit(holes, train.amount * 2 + train.hour),
         save=lambda m, p: pickle.dump(m, open(p, "wb"), protocol=2))
    keep("plain_forest.joblib", RandomForestRegressor(10, random_state=0).fit(train[NUMBERS], train.amount), fresh[NUMBERS])
    keep("in_pipeline.joblib", make_pipeline(prepare(), xgboost.XGBClassifier(n_estimators=10, max_depth=3)).fit(holes, y))
    keep("lightgbm.pkl", lightgbm.LGBMClassifier(n_estimators=10, verbose=-1).fit(train[NUMBERS], words), fresh[NUMBERS],
         save=lambda m, p: pickle.dump(m, open(p, "wb")))

    def native(model, path):
        model.save_model(path)

    def native_booster(model, path):
        model.booster_.save_model(path)

    binary = xgboost.XGBClassifier(n_estimators=20, max_depth=4).fit(train[NUMBERS], y)
    keep("xgboost.json", binary, fresh[NUMBERS], native)
    keep("xgboost.ubj", binary, fresh[NUMBERS], native)
    keep("xgboost_regression.json", xgboost.XGBRegressor(n_estimators=20, max_depth=4).fit(train[NUMBERS], train.amount),
         fresh[NUMBERS], native)
    three = (train.hour // 8).astype(int)
    keep("xgboost_three.json", xgboost.XGBClassifier(n_estimators=10, max_depth=3).fit(train[NUMBERS], three), fresh[NUMBERS], native)
    keep("lightgbm.txt", lightgbm.LGBMClassifier(n_estimators=20, verbose=-1).fit(train[NUMBERS], y), fresh[NUMBERS],
         native_booster)
    keep("lightgbm_three.txt", lightgbm.LGBMClassifier(n_estimators=10, verbose=-1).fit(train[NUMBERS], three), fresh[NUMBERS],
         native_booster)
    keep("lightgbm_regression.txt", lightgbm.LGBMRegressor(n_estimators=20, verbose=-1).fit(train[NUMBERS], train.amount),
         fresh[NUMBERS], native_booster)
    old = make_pipeline(StandardScaler(), LogisticRegression()).fit(train[NUMBERS], y)
    state = pickle.dumps(old)
    import sklearn
    with open(os.path.join(out, "older.pkl"), "wb") as f:  # as an older scikit-learn would have written it
        f.write(state.replace(sklearn.__version__.encode(), b"1.2.3"[:len(sklearn.__version__)]))


main(sys.argv[1])
