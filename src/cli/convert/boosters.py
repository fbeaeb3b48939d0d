# SPDX-License-Identifier: Apache-2.0
"""XGBoost (.json, .ubj) and LightGBM (.txt), by onnxmltools: their own formats hold no code."""
import json
import os

import common


def from_file(request, kind):
    path = request["model"]
    if kind == "xgboost":
        xgboost, _ = common.need("xgboost", "onnxmltools")
        booster = xgboost.Booster()
        try:
            booster.load_model(path)
        except xgboost.core.XGBoostError as e:
            raise common.Refused(f"{os.path.basename(path)}: XGBoost cannot read it: {common.one_line(e)}") from e
        return xgb(request, booster)
    lightgbm, _ = common.need("lightgbm", "onnxmltools")
    try:
        booster = lightgbm.Booster(model_file=path)
    except lightgbm.basic.LightGBMError as e:
        raise common.Refused(f"{os.path.basename(path)}: LightGBM cannot read it: {common.one_line(e)}") from e
    return lgb(request, booster)


def is_booster(model):
    """A booster, bare or in scikit-learn's clothes; LightGBM's clothes hold the classes' names and are converted as they are."""
    root = type(model).__module__.split(".")[0]
    return root == "xgboost" or (root == "lightgbm" and not hasattr(model, "booster_"))


def from_object(request, model):
    if type(model).__module__.startswith("xgboost"):
        common.need("xgboost", "onnxmltools")
        return xgb(request, model.get_booster() if hasattr(model, "get_booster") else model)
    common.need("lightgbm", "onnxmltools")
    return lgb(request, model)


def initial(count):
    from onnxmltools.convert.common.data_types import FloatTensorType
    return [("features", FloatTensorType([None, count]))]


def matrix(request, names, ranges):
    """Rows as the user gives them, or drawn between the splits."""
    import numpy as np
    if request.get("inputs"):
        columns, rows = common.read_rows(request["inputs"])
        rows = common.by_name(columns, rows, names, request["inputs"])
        return np.array([[np.nan if v is None else v for v in r] for r in rows], dtype=np.float32)
    rng = np.random.default_rng(request["seed"])
    rows = np.empty((request["rows"], len(names)), dtype=np.float32)
    for i in range(len(names)):
        low, high = ranges.get(i, (0.0, 1.0))
        low, high = (low - 0.5, high + 0.5) if high <= low else (low, high)
        rows[:, i] = np.round(rng.uniform(low, high, size=request["rows"]), 4)
    return rows


def answer(request, framework, model, rows, named, names, outputs, libraries, classes=(), notes=()):
    import numpy as np
    from_names = {n.name for n in model.graph.output}
    outputs = {k: v for k, v in outputs.items() if k in from_names}
    common.label(model, names if named else [], common.class_names(classes))
    common.save(request, model)
    if "probabilities" in outputs and not request.get("inputs"):
        keep = common.decided(outputs["probabilities"])
        rows, outputs = rows[keep], {k: v[keep] for k, v in outputs.items()}
    inputs = {n: rows[:, i].reshape(-1, 1) for i, n in enumerate(names)} if named else {"features": rows}
    common.golden(request, f"drawn rows, {framework}" if not request.get("inputs") else f"given rows, {framework}", inputs, outputs)
    features = [{"name": n, "type": "float", "values": [], "nullable": bool(np.isnan(rows[:, i]).any()),
                 "example": common.example(float(rows[0, i]))} for i, n in enumerate(names)] if named else []
    return {"framework": framework, "estimator": "gradient boosting", "features": features, "classes": common.class_names(classes),
            "libraries": common.libraries(*libraries), "rows": len(rows), "given": bool(request.get("inputs")),
            "notes": list(notes)}


# --- XGBoost -----------------------------------------------------------------------------------------------------------
def xgb_ranges(booster, names):
    """Of each feature, the least and the greatest threshold."""
    found = {}

    def walk(node):
        if "split" in node:
            name, at = node["split"], node.get("split_condition")
            i = names.index(name) if name in names else int(name.lstrip("f")) if name.lstrip("f").isdigit() else None
            if i is not None and isinstance(at, (int, float)):
                low, high = found.get(i, (at, at))
                found[i] = (min(low, at), max(high, at))
            for child in node.get("children", ()):
                walk(child)

    for tree in booster.get_dump(dump_format="json")[:100]:
        walk(json.loads(tree))
    return {i: (low - (high - low or 1) / 2, high + (high - low or 1) / 2) for i, (low, high) in found.items()}


def xgb(request, booster):
    import numpy as np
    import onnxmltools
    import xgboost
    config = json.loads(booster.save_config())["learner"]
    objective = config["objective"]["name"]
    classes = int(config["learner_model_param"].get("num_class", "0"))
    count = booster.num_features()
    named = bool(booster.feature_names)
    names = list(booster.feature_names) if named else [f"x{i}" for i in range(count)]
    if booster.feature_types and "c" in booster.feature_types:
        raise common.Refused("the booster splits on categories, which its ONNX converter does not know",
                             "Encode categories in front of it (OneHotEncoder, OrdinalEncoder) and convert the pipeline")
    if not objective.startswith(("binary:", "multi:", "reg:", "count:", "rank:")):
        raise common.Refused(f"objective {objective} cannot be converted")
    rows = matrix(request, names, xgb_ranges(booster, names))
    # Predictions first: the converter wants features called f0, f1, ... and renames them.
    margin = booster.predict(xgboost.DMatrix(rows, feature_names=names if named else None))
    booster.feature_names = None
    booster.feature_types = None
    if objective.startswith(("binary:", "multi:")):
        wrapped = xgboost.XGBClassifier()
    else:
        wrapped = xgboost.XGBRegressor()
    wrapped._Booster = booster
    wrapped.set_params(objective=objective)
    if classes or objective.startswith("binary:"):
        wrapped.n_classes_ = classes or 2
    model = onnxmltools.convert_xgboost(wrapped, initial_types=initial(count), target_opset=15)
    if objective.startswith("binary:"):
        if objective == "binary:logitraw":
            raise common.Refused("objective binary:logitraw answers margins, which the ONNX converter does not")
        one = np.asarray(margin, dtype=np.float32)
        if objective == "binary:hinge":
            raise common.Refused("objective binary:hinge has no probabilities, which the ONNX converter answers")
        outputs = {"label": (one > 0.5).astype(np.int64), "probabilities": np.column_stack([1 - one, one]).astype(np.float32)}
        names_of = ["0", "1"]
    elif objective.startswith("multi:"):
        if objective == "multi:softmax":
            raise common.Refused("objective multi:softmax answers labels alone, which cannot be compared with probabilities",
                                 "Train with multi:softprob: the trees are the same")
        outputs = {"label": margin.argmax(axis=1).astype(np.int64), "probabilities": margin.astype(np.float32)}
        names_of = [str(i) for i in range(classes)]
    else:
        outputs = {"variable": np.asarray(margin, dtype=np.float32).reshape(len(rows), -1)}
        names_of = []
    return answer(request, f"xgboost {xgboost.__version__}", model, rows, named, names, outputs,
                  ("xgboost", "onnxmltools", "onnx", "numpy"), names_of, [f"objective {objective}"])


# --- LightGBM ----------------------------------------------------------------------------------------------------------
def lgb_ranges(booster):
    """From feature_infos of the model's text: [min:max], or a list of categories."""
    found = {}
    for line in booster.model_to_string(num_iteration=1).split("\n"):
        if line.startswith("feature_infos="):
            for i, text in enumerate(line[len("feature_infos="):].split(" ")):
                if text.startswith("[") and ":" in text:
                    low, high = text.strip("[]").split(":")
                    found[i] = (float(low), float(high))
                elif ":" in text:
                    raise common.Refused("the booster splits on categories, which its ONNX converter does not know",
                                         "Encode categories in front of it (OneHotEncoder, OrdinalEncoder)")
            break
    return found


def lgb(request, booster):
    import lightgbm
    import numpy as np
    import onnxmltools
    names = list(booster.feature_name())
    named = names != [f"Column_{i}" for i in range(len(names))]
    rows = matrix(request, names, lgb_ranges(booster))
    objective = next((line.split("=", 1)[1] for line in booster.model_to_string(num_iteration=1).split("\n")
                      if line.startswith("objective=")), "regression")
    predicted = np.asarray(booster.predict(rows.astype(np.float64)))
    model = onnxmltools.convert_lightgbm(booster, initial_types=initial(len(names)), target_opset=15, zipmap=False)
    kind = objective.split(" ")[0]
    if kind == "binary":
        outputs = {"label": (predicted > 0.5).astype(np.int64),
                   "probabilities": np.column_stack([1 - predicted, predicted]).astype(np.float32)}
        classes = ["0", "1"]
    elif kind in ("multiclass", "multiclassova"):
        outputs = {"label": predicted.argmax(axis=1).astype(np.int64), "probabilities": predicted.astype(np.float32)}
        classes = [str(i) for i in range(predicted.shape[1])]
    else:
        outputs, classes = {"variable": predicted.astype(np.float32).reshape(len(rows), -1)}, []
    return answer(request, f"lightgbm {lightgbm.__version__}", model, rows, named, names, outputs,
                  ("lightgbm", "onnxmltools", "onnx", "numpy"), classes, [f"objective {objective}"])
