# SPDX-License-Identifier: Apache-2.0
"""scikit-learn: pipelines and estimators from .pkl and .joblib, by skl2onnx (and onnxmltools for boosters within)."""
import os
import warnings

import common
import pickles


def from_pickle(request, kind):
    path = request["model"]
    where = os.path.basename(path)
    names = pickles.look_through(path, where)
    sklearn, _, np = common.need("sklearn", "skl2onnx", "numpy")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = pickles.load(path, where)
    trained = sorted({getattr(w.message, "original_sklearn_version", "") for w in caught} - {""})
    notes = [f"note: trained with scikit-learn {', '.join(trained)}, read by {sklearn.__version__}, which promises nothing for it; "
             f"the golden cases are {sklearn.__version__}'s"] if trained else []
    return convert(request, model, notes, trained, names)


def convert(request, model, notes, trained, names):
    import boosters
    if boosters.is_booster(model):
        result = boosters.from_object(request, model)
    else:
        result = from_estimator(request, model)
    result["notes"] = notes + result.get("notes", [])
    if trained:
        result["trained_with"] = f"scikit-learn {', '.join(trained)}"
    result["globals"] = sorted(set(names))
    return result


def from_estimator(request, model):
    import numpy as np
    import skl2onnx
    import sklearn
    if not hasattr(model, "predict") and not hasattr(model, "transform"):
        raise common.Refused(f"the file holds a {type(model).__module__}.{type(model).__name__}, which is no model",
                             "Save the fitted estimator or pipeline itself")
    register_boosters(model)
    ints_for_bools()
    columns = Columns(model)
    rows = columns.given(request) if request.get("inputs") else columns.drawn(request)
    if not request.get("inputs") and hasattr(model, "predict_proba"):
        keep = common.decided(model.predict_proba(columns.frame(rows)))
        rows = [row for row, k in zip(rows, keep) if k]
    frame, features = columns.frame(rows), columns.features(rows)
    options = {}
    if hasattr(model, "predict_proba"):
        options = {id(model): {"zipmap": False}}
    try:
        onnx_model = skl2onnx.convert_sklearn(model, initial_types=columns.types(), options=options or None,
                                              target_opset=target_opset(request))
    except skl2onnx.common.exceptions.MissingShapeCalculator as e:
        raise common.Refused(f"skl2onnx has no converter for a part of this model: {common.one_line(e)}",
                             "https://onnx.ai/sklearn-onnx/supported.html lists what can be converted") from e
    onnx_model.producer_version = onnx_model.producer_version or common.version("skl2onnx")
    classes = getattr(model, "classes_", None)
    classes = common.class_names(classes.tolist() if np.ndim(classes) == 1 else None)
    common.label(onnx_model, columns.names if columns.named and not columns.apart else [], classes)
    common.save(request, onnx_model)
    outputs = run(model, frame, [o.name for o in onnx_model.graph.output])
    common.golden(request, f"{type(model).__name__} of scikit-learn {sklearn.__version__}", columns.inputs(rows), outputs)
    return {
        "framework": f"scikit-learn {sklearn.__version__}",
        "estimator": describe(model),
        "libraries": common.libraries("scikit-learn", "skl2onnx", "onnx", "numpy"),
        "features": features,
        "classes": classes,
        "rows": len(rows),
        "given": bool(request.get("inputs")),
    }


def target_opset(request):
    return {"": request["opset"], "ai.onnx.ml": 3}


def describe(model):
    steps = getattr(model, "steps", None)
    if steps:
        return " > ".join(type(s).__name__ for _, s in steps)
    return type(model).__name__


def register_boosters(model):
    """Boosters of XGBoost and LightGBM inside a pipeline are converted by onnxmltools."""
    import skl2onnx
    parts = [s for _, s in getattr(model, "steps", [])] or [model]
    for part in parts:
        root = type(part).__module__.split(".")[0]
        if root not in ("xgboost", "lightgbm"):
            continue
        common.need("onnxmltools")
        from skl2onnx.common import shape_calculator as shapes
        is_classifier = hasattr(part, "predict_proba")
        shape = (shapes.calculate_linear_classifier_output_shapes if is_classifier
                 else shapes.calculate_linear_regressor_output_shapes)
        if root == "xgboost":
            from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost as convert_part
        else:
            from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm as convert_part
        skl2onnx.update_registered_converter(
            type(part), root + type(part).__name__, shape, convert_part,
            options={"nocl": [True, False], "zipmap": [True, False, "columns"]} if is_classifier else None)


def ints_for_bools():
    """Newer protobuf refuses a bool among an attribute's ints, which skl2onnx 1.20 writes for histogram boosting."""
    import numpy as np
    import onnx.helper
    made = onnx.helper.make_attribute

    def make(key, value, *args, **options):
        if isinstance(value, (list, tuple)) and any(isinstance(v, (bool, np.bool_)) for v in value):
            value = [int(v) for v in value]
        return made(key, value, *args, **options)
    onnx.helper.make_attribute = make


def run(model, frame, names):
    """What the framework itself answers, under the names of the ONNX outputs."""
    import numpy as np
    found = {}
    if hasattr(model, "predict_proba"):
        label = model.predict(frame)
        values = [label, np.asarray(model.predict_proba(frame), dtype=np.float32)]
    elif hasattr(model, "predict"):
        values = [np.asarray(model.predict(frame))]
        if hasattr(model, "decision_function") and len(names) > 1:
            values.append(np.asarray(model.decision_function(frame), dtype=np.float32))
    else:
        values = [np.asarray(model.transform(frame))]
    for name, value in zip(names, values):
        value = np.asarray(value)
        if value.dtype.kind == "f":
            value = value.astype(np.float32).reshape(len(value), -1)
        elif value.dtype.kind in "iub":
            value = value.astype(np.int64)
        found[name] = value
    return found


class Columns:
    """What a model takes: named columns of numbers and texts, or one matrix of numbers."""

    def __init__(self, model):
        self.model = model
        self.transformer = first_transformer(model)
        names = getattr(model, "feature_names_in_", None)
        self.named = names is not None
        count = getattr(model, "n_features_in_", None)
        if count is None:
            count = getattr(self.transformer, "n_features_in_", None)
        if count is None:
            raise common.Refused("the model does not tell how many features it takes", "Is it fitted?")
        self.names = [str(n) for n in names] if self.named else [f"x{i}" for i in range(count)]
        self.info = [Column(n) for n in self.names]
        if self.transformer is not None:
            self.learn()
        else:
            learn_matrix(model, self.info)
        # A matrix is one input; columns of their own where a ColumnTransformer tells them apart.
        self.apart = self.transformer is not None and (self.named or any(c.kind != "float" for c in self.info))
        if not self.apart:
            kinds = {c.kind for c in self.info}
            self.matrix_kind = kinds.pop() if len(kinds) == 1 else "float"

    def learn(self):
        for _, part, columns in self.transformer.transformers_:
            at = self.indices(columns)
            steps = [s for _, s in part.steps] if hasattr(part, "steps") else [part]
            for position, i in enumerate(at):
                for step in steps:
                    self.info[i].learn(step, position)

    def indices(self, columns):
        if isinstance(columns, str):
            return [self.names.index(columns)]
        if isinstance(columns, slice):
            if isinstance(columns.start, str) or isinstance(columns.stop, str):
                return range(self.names.index(columns.start), self.names.index(columns.stop) + 1)
            return range(*columns.indices(len(self.names)))
        found = list(columns)
        if found and all(isinstance(c, (bool,)) or type(c).__name__ == "bool_" for c in found):
            return [i for i, c in enumerate(found) if c]
        return [self.names.index(c) if isinstance(c, str) else int(c) for c in found]

    def types(self):
        from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
        kinds = {"float": FloatTensorType, "int": Int64TensorType, "text": StringTensorType}
        if self.apart:
            return [(c.name, kinds[c.kind]([None, 1])) for c in self.info]
        return [("features", kinds[self.matrix_kind]([None, len(self.info)]))]

    def drawn(self, request):
        import numpy as np
        rng = np.random.default_rng(request["seed"])
        return [[c.draw(rng, r) for c in self.info] for r in range(request["rows"])]

    def given(self, request):
        columns, rows = common.read_rows(request["inputs"])
        rows = common.by_name(columns, rows, self.names, request["inputs"])
        for i, row in enumerate(rows):
            for c, v in zip(self.info, row):
                c.check(v, i, request["inputs"])
        return rows

    def frame(self, rows):
        """What the framework is given."""
        import numpy as np
        if self.apart:
            pandas = common.need("pandas")
            frame = pandas.DataFrame({c.name: c.array([r[i] for r in rows]) for i, c in enumerate(self.info)})
            return frame if self.named else frame.set_axis(range(len(self.info)), axis=1).to_numpy(dtype=object)
        matrix = np.column_stack([c.array([r[i] for r in rows]) for i, c in enumerate(self.info)])
        if self.named:
            return common.need("pandas").DataFrame(matrix, columns=self.names)
        return matrix

    def inputs(self, rows):
        """The same as golden inputs: one column a feature where features have names."""
        if self.apart or self.named:
            return {c.name: c.array([r[i] for r in rows]).reshape(-1, 1) for i, c in enumerate(self.info)}
        return {"features": self.frame(rows)}

    def features(self, rows):
        if not (self.apart or self.named):
            return []
        found = []
        for i, c in enumerate(self.info):
            example = next((r[i] for r in rows if r[i] is not None and r[i] == r[i]), None)
            found.append({"name": c.name, "type": c.kind, "values": [str(v) for v in c.values] if c.closed else [],
                          "nullable": c.nullable, "example": common.example(example)})
        return found


class Column:
    """One column as the steps that read it know it."""

    def __init__(self, name):
        self.name, self.kind, self.values, self.closed = name, "float", [], False
        self.nullable, self.low, self.high = False, None, None

    def learn(self, step, position):
        import numpy as np
        what = type(step).__name__
        if what == "SimpleImputer":
            self.nullable = self.nullable or self.kind == "float"
            statistics = np.asarray(getattr(step, "statistics_", []), dtype=object)
            if position < len(statistics) and isinstance(statistics[position], str):
                self.kind, self.nullable = "text", False
        elif hasattr(step, "categories_") and position < len(step.categories_):
            values = np.asarray(step.categories_[position])
            self.values = [v for v in values.tolist() if v is not None and v == v]
            if values.dtype.kind in "OUS" and all(isinstance(v, str) for v in self.values):
                self.kind = "text"
                self.nullable = False
            elif values.dtype.kind in "iu":
                self.kind = "int"
            self.closed = self.kind == "text" and getattr(step, "handle_unknown", "error") == "error"
        elif hasattr(step, "mean_") and step.mean_ is not None and hasattr(step, "scale_") and step.scale_ is not None:
            self.low = float(step.mean_[position] - 2 * step.scale_[position])
            self.high = float(step.mean_[position] + 2 * step.scale_[position])
        elif hasattr(step, "data_min_"):
            self.low, self.high = float(step.data_min_[position]), float(step.data_max_[position])
        elif what in ("CountVectorizer", "TfidfVectorizer"):
            self.kind, self.values = "text", [" ".join(list(step.vocabulary_)[i::7][:5]) for i in range(7)]

    def draw(self, rng, row):
        if self.values:
            return self.values[row % len(self.values)] if row < len(self.values) else self.values[int(rng.integers(len(self.values)))]
        if self.kind == "text":
            return ["a", "b", "c"][int(rng.integers(3))]
        if self.nullable and row % 5 == 4:
            return float("nan")
        low, high = (self.low, self.high) if self.low is not None and self.high > self.low else (-2.0, 2.0)
        value = float(rng.uniform(low, high))
        return int(value) if self.kind == "int" else round(value, 4)

    def check(self, v, row, path):
        good = isinstance(v, str) if self.kind == "text" else v is None or isinstance(v, (int, float))
        if not good:
            raise common.Refused(f"{os.path.basename(path)}: {self.name} of row {row} must be a {self.kind}")

    def array(self, values):
        import numpy as np
        if self.kind == "text":
            return np.array([str(v) for v in values], dtype=object)
        if self.kind == "int":
            return np.array(values, dtype=np.int64)
        # Rounded to single precision, so that both sides see the same number.
        return np.array([np.nan if v is None else v for v in values], dtype=np.float32)


def first_transformer(model):
    """The ColumnTransformer that sees the raw columns, if there is one."""
    part = model
    while hasattr(part, "steps"):
        part = part.steps[0][1]
    return part if hasattr(part, "transformers_") else None


def learn_matrix(model, info):
    """Ranges from the first scaler, else from the splits of trees."""
    part = model
    while hasattr(part, "steps"):
        part = part.steps[0][1]
    if hasattr(part, "categories_") or hasattr(part, "mean_") or hasattr(part, "data_min_") or hasattr(part, "statistics_"):
        for i, c in enumerate(info):
            c.learn(part, i)
        return
    trees = getattr(part, "estimators_", None)
    if trees is None:
        trees = [part]
    import numpy as np
    for tree in list(np.ravel(np.asarray(trees, dtype=object)))[:20]:
        tree = getattr(tree, "tree_", None)
        if tree is None:
            continue
        for feature, threshold in zip(tree.feature.tolist(), tree.threshold.tolist()):
            if 0 <= feature < len(info):
                c = info[feature]
                c.low = threshold - 1 if c.low is None else min(c.low, threshold - 1)
                c.high = threshold + 1 if c.high is None else max(c.high, threshold + 1)
