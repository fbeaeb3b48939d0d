# SPDX-License-Identifier: Apache-2.0
"""Each step against what scikit-learn, NumPy, SciPy, unicodedata and Pillow make of the same data."""
import json
import math
import os
import pathlib
import subprocess
import unicodedata

import numpy as np
import pytest
import scipy.special
from PIL import Image
from sklearn import preprocessing as pp
from sklearn.feature_extraction import FeatureHasher
from sklearn.impute import SimpleImputer
from sklearn.utils import murmurhash3_32

TOOL = pathlib.Path(os.environ["GALLEY_BIN"]).parent / "tests" / "steps_tool"
TYPES = {"float32": "FP32", "float64": "FP64", "int64": "INT64", "int32": "INT32", "bool": "BOOL", "uint8": "UINT8"}
RANDOM = np.random.default_rng(7)


def plain(v):
    if isinstance(v, float) and not math.isfinite(v):
        return "NaN" if math.isnan(v) else "Infinity" if v > 0 else "-Infinity"
    return v


def tensor(name, a):
    a = np.asarray(a)
    kind = TYPES.get(str(a.dtype), "BYTES")
    return {"name": name, "datatype": kind, "shape": list(a.shape), "data": [plain(v) for v in a.ravel().tolist()]}


def run(tmp_path, steps, ok=True, **columns):
    """The columns after the steps, as arrays; or the error."""
    (tmp_path / "s.yaml").write_text(json.dumps(steps, ensure_ascii=False))
    inputs = [tensor(k, v) for k, v in columns.items()]
    (tmp_path / "c.json").write_text(json.dumps({"cases": [{"name": "c", "inputs": inputs, "outputs": inputs}]}))
    done = subprocess.run([TOOL, tmp_path / "s.yaml", tmp_path / "c.json"], capture_output=True, text=True, timeout=60)
    assert done.returncode == (0 if ok else 1), done.stdout[-2000:] + done.stderr
    answer = json.loads(done.stdout)
    if not ok:
        return answer
    out = {}
    for t in answer["cases"][0]["outputs"]:
        data = t["data"]
        if t["datatype"] != "BYTES":
            data = [float(v) if isinstance(v, str) else v for v in np.ravel(np.array(data, dtype=object))]
        out[t["name"]] = np.array(data, dtype=object if t["datatype"] == "BYTES" else None).reshape(t["shape"])
    return out


def same(got, want, tolerance=1e-6):
    np.testing.assert_allclose(np.asarray(got, dtype=float), np.asarray(want, dtype=float), rtol=tolerance, atol=tolerance)


ROWS = RANDOM.lognormal(3, 2, size=(500, 3)).astype(np.float32)
WIDE = np.asarray(ROWS, dtype=np.float64)


def test_scale_is_standard_scaler(tmp_path):
    s = pp.StandardScaler().fit(WIDE)
    got = run(tmp_path, [{"scale": {"features": ["x"], "mean": s.mean_.tolist(), "std": s.scale_.tolist()}}], x=WIDE)
    same(got["x"], s.transform(WIDE))
    back = run(tmp_path, [{"scale": {"features": ["x"], "mean": s.mean_.tolist(), "std": s.scale_.tolist(), "invert": True}}], x=got["x"])
    same(back["x"], WIDE)


def test_scale_of_columns_one_by_one(tmp_path):
    s = pp.StandardScaler().fit(WIDE)
    got = run(tmp_path, [{"scale": {"features": ["a", "b", "c"], "mean": s.mean_.tolist(), "std": s.scale_.tolist()}},
                         {"assemble": {"from": ["a", "b", "c"], "to": "x"}}], a=ROWS[:, 0], b=ROWS[:, 1], c=ROWS[:, 2])
    same(got["x"], s.transform(WIDE))


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("span", [(0, 1), (-2, 3)])
def test_scale_is_min_max_scaler(tmp_path, clip, span):
    s = pp.MinMaxScaler(span, clip=clip).fit(WIDE[:50])
    got = run(tmp_path, [{"scale": {"features": "x", "min": s.data_min_.tolist(), "max": s.data_max_.tolist(), "range": list(span), "clip": clip}}], x=WIDE)
    same(got["x"], s.transform(WIDE))


def test_scale_is_robust_scaler(tmp_path):
    s = pp.RobustScaler().fit(WIDE)
    got = run(tmp_path, [{"scale": {"features": "x", "center": s.center_.tolist(), "scale": s.scale_.tolist()}}], x=ROWS)
    same(got["x"], s.transform(WIDE))


def test_log_is_log1p_and_exp_undoes_it(tmp_path):
    f = pp.FunctionTransformer(np.log1p, inverse_func=np.expm1)
    got = run(tmp_path, [{"log": {"features": "x", "plus": 1}}], x=WIDE)
    same(got["x"], f.transform(WIDE))
    same(run(tmp_path, [{"exp": {"features": "x", "minus": 1}}], x=got["x"])["x"], f.inverse_transform(got["x"]))
    same(run(tmp_path, [{"log": {"features": "x", "base": 10}}], x=WIDE)["x"], np.log10(WIDE))
    assert run(tmp_path, [{"log": {"features": "x"}}], ok=False, x=np.array([1.0, -5.0]))["place"] == "x[1]"


@pytest.mark.parametrize("method", ["yeo-johnson", "box-cox"])
def test_power_is_power_transformer(tmp_path, method):
    data = WIDE if method == "box-cox" else WIDE - 20
    s = pp.PowerTransformer(method=method, standardize=False).fit(data)
    got = run(tmp_path, [{"power": {"features": "x", "method": method, "lambdas": s.lambdas_.tolist()}}], x=data)
    same(got["x"], s.transform(data))


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
def test_normalize_is_normalizer(tmp_path, norm):
    data = np.vstack([WIDE - 20, np.zeros((1, 3))])
    same(run(tmp_path, [{"normalize": {"feature": "x", "norm": norm}}], x=data)["x"], pp.Normalizer(norm).transform(data))


@pytest.mark.parametrize("strategy", ["mean", "median", "most_frequent"])
def test_impute_is_simple_imputer(tmp_path, strategy):
    data = WIDE.copy()
    data[RANDOM.random(data.shape) < 0.2] = np.nan
    s = SimpleImputer(strategy=strategy, add_indicator=True).fit(data)
    columns = {n: data[:, i] for i, n in enumerate("abc")}
    got = run(tmp_path, [{"missing": {"features": [n], "to": n + "_missing", "type": "FP64"}} for n in "abc"] +
              [{"impute": {"features": list("abc"), "with": s.statistics_.tolist()}},
               {"assemble": {"from": ["a", "b", "c", "a_missing", "b_missing", "c_missing"], "to": "x", "type": "FP64"}}], **columns)
    same(got["x"], s.transform(data))


CITIES = np.array(["Oslo", "Rome", "Łódź", "", "a b"])


@pytest.mark.parametrize("drop", [None, "first", "if_binary"])
def test_one_hot_is_one_hot_encoder(tmp_path, drop):
    data = RANDOM.choice(CITIES, 300)
    s = pp.OneHotEncoder(sparse_output=False, drop=drop).fit(CITIES.reshape(-1, 1))
    step = {"feature": "c", "values": s.categories_[0].tolist()}
    if drop:
        step["drop"] = drop
    same(run(tmp_path, [{"one_hot": step}], c=data)["c"], s.transform(data.reshape(-1, 1)))


def test_one_hot_of_unknown_and_of_numbers(tmp_path):
    s = pp.OneHotEncoder(sparse_output=False, handle_unknown="ignore").fit([[1], [2], [9007199254740993]])
    data = np.array([9007199254740993, 9007199254740992, 2, -1])
    got = run(tmp_path, [{"one_hot": {"feature": "n", "values": s.categories_[0].tolist(), "unknown": "zeros"}}], n=data)
    same(got["n"], s.transform(data.reshape(-1, 1)))
    wrong = run(tmp_path, [{"one_hot": {"feature": "c", "values": ["electronics", "grocery"]}}], ok=False,
                c=["grocery", "grocery", "grocery", "x"])
    assert (wrong["place"], wrong["error"]) == ("c[3]", "'x' is none of electronics, grocery")


def test_ordinal_is_ordinal_encoder(tmp_path):
    s = pp.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1).fit(CITIES.reshape(-1, 1))
    data = np.append(RANDOM.choice(CITIES, 300), "Atlantis")
    got = run(tmp_path, [{"ordinal": {"feature": "c", "values": s.categories_[0].tolist(), "unknown": -1}}], c=data)
    same(got["c"], s.transform(data.reshape(-1, 1)))


@pytest.mark.parametrize("strategy", ["uniform", "quantile", "kmeans"])
def test_bucketize_is_kbins_discretizer(tmp_path, strategy):
    more = {"quantile_method": "averaged_inverted_cdf"} if strategy == "quantile" else {}
    s = pp.KBinsDiscretizer(6, encode="ordinal", strategy=strategy, **more).fit(WIDE[:, :1])
    data = np.concatenate([WIDE[:, 0], s.bin_edges_[0], [-1e9, 1e9]])
    got = run(tmp_path, [{"bucketize": {"feature": "x", "edges": s.bin_edges_[0][1:-1].tolist()}}], x=data)
    same(got["x"], s.transform(data.reshape(-1, 1)))


@pytest.mark.parametrize("right", [False, True])
def test_bucketize_is_digitize(tmp_path, right):
    data = np.array([-5, 0, 1, 1.5, 2, 99.0])
    got = run(tmp_path, [{"bucketize": {"feature": "x", "edges": [0, 1, 2], "right": right}}], x=data)
    same(got["x"].ravel(), np.digitize(data, [0, 1, 2], right=right))


TEXTS = ["", "a", "ab", "abc", "abcd", "abcde", "Łódź", "日本語", "x" * 1000] + [f"word{i}" for i in range(300)]


def test_hash_is_feature_hasher(tmp_path):
    vector = {"feature": "c", "buckets": 37, "prefix": "city=", "as": "vector"}
    for sign in (True, False):
        want = FeatureHasher(37, input_type="dict", alternate_sign=sign).transform([{"city": t} for t in TEXTS]).toarray()
        same(run(tmp_path, [{"hash": dict(vector, alternate_sign=sign)}], c=TEXTS)["c"], want)
    got = run(tmp_path, [{"hash": {"feature": "c", "buckets": 2**31 - 1, "seed": 42}}], c=TEXTS)
    assert got["c"].ravel().tolist() == [abs(murmurhash3_32(t, seed=42)) % (2**31 - 1) for t in TEXTS]


def words():
    """Every character that can stand in a text, between letters, and some words."""
    points = [c for c in range(0x20, 0x30000) if not 0xD800 <= c < 0xE000 and unicodedata.category(chr(c)) != "Cn"]
    runs = ["".join(map(chr, points[i:i + 64])) for i in range(0, len(points), 64)]
    return runs + ["ΟΔΟΣ", "ΑΣ.Β Σ", "ΣΑΣ' ΑΣ\u0301", "İstanbul", "  a \t b\u00a0\u2003c\u3000", "ﬁ ① Å", "A\u030a", "\u1e9b\u0323", "각"]


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_text_is_unicodedata(tmp_path, form):
    got = run(tmp_path, [{"text": {"features": "t", "normalize": form}}], t=words())
    assert got["t"].ravel().tolist() == [unicodedata.normalize(form, t) for t in words()]


def test_text_lower_strip_collapse_is_python(tmp_path):
    got = run(tmp_path, [{"text": {"features": "t", "lower": True, "to": "l"}}, {"text": {"features": "t", "strip": True, "to": "s"}},
                         {"text": {"features": "t", "strip": True, "collapse": True, "to": "c"}}], t=words())
    assert got["l"].ravel().tolist() == [t.lower() for t in words()]
    assert got["s"].ravel().tolist() == [t.strip() for t in words()]
    assert got["c"].ravel().tolist() == [" ".join(t.split()) for t in words()]


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_image_is_pillow(tmp_path, layout):
    paths, want = [], []
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    for i, size in enumerate([(40, 30), (16, 24)]):
        picture = Image.fromarray(RANDOM.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8))
        paths.append(str(tmp_path / f"{i}.png"))
        picture.save(paths[-1])
        # Two passes: Pillow 13 chooses the direction that comes first, galley takes rows first.
        small = picture.resize((16, picture.height), Image.BILINEAR).resize((16, 12), Image.BILINEAR)
        a = (np.asarray(small) / 255.0 - mean) / std
        want.append(a.transpose(2, 0, 1) if layout == "nchw" else a)
    got = run(tmp_path, [{"image": {"feature": "image", "width": 16, "height": 12, "layout": layout, "mean": mean.tolist(), "std": std.tolist()}}], image=paths)
    same(got["image"], want)


def test_scores(tmp_path):
    logits = RANDOM.normal(0, 30, (200, 7))
    got = run(tmp_path, [{"softmax": {"output": "x", "to": "p"}}, {"sigmoid": {"output": "x", "to": "s"}}, {"argmax": {"output": "x", "to": "m"}},
                         {"top_k": {"output": "x", "k": 3, "to": "t", "scores": "v"}}, {"pick": {"output": "x", "index": -1, "to": "last"}},
                         {"round": {"output": "x", "digits": 2, "to": "r"}}, {"threshold": {"output": "x", "above": 0.5, "to": "d"}}], x=logits)
    same(got["p"], scipy.special.softmax(logits, axis=1))
    same(got["s"], scipy.special.expit(logits))
    same(got["m"].ravel(), logits.argmax(axis=1))
    same(got["t"], np.argsort(-logits, axis=1, kind="stable")[:, :3])
    same(got["v"], -np.sort(-logits, axis=1)[:, :3])
    same(got["last"].ravel(), logits[:, -1])
    same(got["r"], np.round(logits, 2))
    same(got["d"], pp.Binarizer(threshold=0.5).transform(logits))


def test_clip_is_clip_and_whole_numbers_stay_whole(tmp_path):
    same(run(tmp_path, [{"clip": {"features": "x", "min": 5, "max": 20}}], x=ROWS)["x"], np.clip(ROWS, 5, 20))
    big = np.array([2**63 - 1, 2**53 + 1, -(2**63)])
    got = run(tmp_path, [{"clip": {"features": "x", "min": 0}}, {"impute": {"features": "x", "with": 7}}, {"round": {"output": "x"}}], x=big)
    assert got["x"].ravel().tolist() == [2**63 - 1, 2**53 + 1, 0]


def test_bands(tmp_path):
    p = np.array([0.05, 0.1, 0.5, 0.9, 0.91], dtype=np.float32)
    got = run(tmp_path, [{"bands": {"output": "p", "bands": [{"above": 0.9, "is": "high"}, {"below": 0.1, "is": "high"}], "else": "medium"}}], p=p)
    assert got["p"].ravel().tolist() == ["high" if v > np.float32(0.9) or v < np.float32(0.1) else "medium" for v in p]
