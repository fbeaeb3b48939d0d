# SPDX-License-Identifier: Apache-2.0
"""Requests of many lengths to a model whose "sequence" axis is padded to buckets: the answers are
those of the same model unpadded, though what fills the gaps would show wherever it was let in."""
import threading

import numpy as np
import pytest
from onnx import TensorProto as T
from onnx import helper as h

import harness
import models
import oip

WORDS, WIDTH = 50, 8  # as wide as a bucket: a fixed dimension is never cut
TABLE = np.random.default_rng(3).standard_normal((WORDS, WIDTH)).astype(np.float32)


def encoder(path):
    """hidden [batch,sequence,8]: each token with the mean of those that the mask keeps; pooled
    [batch,8]: that mean."""
    nodes = [h.make_node("Gather", ["table", "ids"], ["words"]),
             h.make_node("Cast", ["attention_mask"], ["mask"], to=T.FLOAT),
             h.make_node("Unsqueeze", ["mask", "last"], ["mask3"]),
             h.make_node("Mul", ["words", "mask3"], ["kept"]),
             h.make_node("ReduceSum", ["kept", "one"], ["sum"], keepdims=0),
             h.make_node("ReduceSum", ["mask", "one"], ["all"]),
             h.make_node("Max", ["all", "least"], ["count"]),  # rows of nothing are numbers too
             h.make_node("Div", ["sum", "count"], ["pooled"]),
             h.make_node("Unsqueeze", ["pooled", "one"], ["pooled3"]),
             h.make_node("Add", ["words", "pooled3"], ["mixed"]),
             h.make_node("Tanh", ["mixed"], ["hidden"])]
    return models.write(
        path, nodes,
        [("ids", T.INT64, ("batch", "sequence")), ("attention_mask", T.INT64, ("batch", "sequence"))],
        [("hidden", T.FLOAT, ("batch", "sequence", WIDTH)), ("pooled", T.FLOAT, ("batch", WIDTH))],
        [h.make_tensor("table", T.FLOAT, TABLE.shape, TABLE.flatten()),
         h.make_tensor("least", T.FLOAT, [1], [1]), h.make_tensor("one", T.INT64, [1], [1]),
         h.make_tensor("last", T.INT64, [1], [2])])


def reference(ids, mask):
    words = TABLE[ids]
    pooled = (words * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
    return {"hidden": np.tanh(words + pooled[:, None]), "pooled": pooled}


def make(rng, rows, length):
    ids = rng.integers(0, WORDS, (rows, length))
    mask = (rng.random((rows, length)) < 0.7).astype(np.int64)
    mask[:, 0] = 1
    return ids, mask


def check(conn, model, ids, mask):
    body, n = oip.binary({"ids": ids, "attention_mask": mask})
    conn.send(harness.request("POST", f"/v2/models/{model}/infer", body,
                              {oip.LENGTH: n, "Content-Type": "application/octet-stream"}))
    r = conn.reply()
    assert r.status == 200, r
    got, want = oip.tensors(r), reference(ids, mask)
    for name, array in want.items():
        assert got[name].shape == array.shape
        np.testing.assert_allclose(got[name], array, rtol=1e-5, atol=1e-5)
    return r


def serve_padded(serve, tmp_path, padding, *args, wait="ready"):
    for name in ("padded", "plain"):
        encoder(tmp_path / name / "model.onnx")
    config = tmp_path / "galley.yaml"
    config.write_text(f"models:\n  - path: {tmp_path}/padded\n    padding: {padding}\n"
                      f"  - path: {tmp_path}/plain\n")
    return serve("--config", config, "--access-log", "off", *args, wait=wait)


PADDING = "{axis: sequence, buckets: [8, 16, 32], value: 7, mask: attention_mask}"


@pytest.mark.parametrize("schedule", ["inline", "workers"])
def test_answers_are_those_of_the_unpadded_model(serve, tmp_path, schedule):
    s = serve_padded(serve, tmp_path, PADDING, "--schedule", schedule)
    rng = np.random.default_rng(5)
    with s.connect() as c:
        for length in range(1, 41):
            for rows in (1, 3):
                ids, mask = make(rng, rows, length)
                check(c, "plain", ids, mask)
                check(c, "padded", ids, mask)


@pytest.mark.parametrize("schedule", ["inline", "workers"])
def test_mixed_lengths_in_flight_get_their_own_answers(serve, tmp_path, schedule):
    s = serve_padded(serve, tmp_path, PADDING, "--schedule", schedule, "--workers", "1")
    wrong = []

    def client(seed):
        rng = np.random.default_rng(seed)
        try:
            with s.connect(timeout=60) as c:
                for _ in range(40):
                    check(c, "padded", *make(rng, int(rng.integers(1, 4)), int(rng.integers(1, 41))))
        except Exception as e:  # pylint: disable=broad-except
            wrong.append(e)

    threads = [threading.Thread(target=client, args=(i,)) for i in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong, wrong[0]
    found = s.get("/v2/models/padded/stats").json()["model_stats"][0]
    if schedule == "workers":  # of different lengths, in one call
        assert found["execution_count"] < found["inference_stats"]["success"]["count"]


def test_a_cached_answer_is_cut_back_too(serve, tmp_path):
    s = serve_padded(serve, tmp_path, PADDING.replace("7", "0") + "\n    response_cache: on")
    rng = np.random.default_rng(6)
    hits = 0
    with s.connect() as c:
        for length in (3, 8, 11, 40):
            ids, mask = make(rng, 2, length)
            for _ in range(3):
                hits += check(c, "padded", ids, mask).header("X-Galley-Cache") == "hit"
        # Padded, these three are the same bytes; what comes back is not.
        zeros = np.zeros((1, 6), np.int64)
        mask = np.array([[1, 1, 1, 1, 0, 0]])
        for length in (6, 5, 4):
            hits += check(c, "padded", zeros[:, :length],
                          mask[:, :length]).header("X-Galley-Cache") == "hit"
    assert hits == 4 * 2 + 2


def test_inputs_of_different_length_are_told_apart_before_they_are_padded(serve, tmp_path):
    s = serve_padded(serve, tmp_path, PADDING)
    r = s.infer("padded", {"ids": ("INT64", [1, 5], [1] * 5),
                           "attention_mask": ("INT64", [1, 6], [1] * 6)})
    assert r.status == 400
    assert "differ on 'sequence': 5 and 6" in r.json()["error"]


@pytest.mark.parametrize("padding, why", [
    ("{axis: sequnce, buckets: [8]}", "no input of the model has a dimension 'sequnce'"),
    ("{axis: 'ids:5', buckets: [8]}", "input 'ids' has 2 dimensions"),
    ("{axis: batch, buckets: [8]}", "'batch' is the batch dimension"),
    ("{axis: sequence, buckets: [8], mask: nobody}", "the mask 'nobody' is no input"),
    ("{axis: sequence, buckets: [8], value: 0.5}", "cannot be filled with 0.5"),
])
def test_a_padding_that_does_not_fit_the_model_is_an_error_of_the_load(serve, tmp_path, padding, why):
    s = serve_padded(serve, tmp_path, padding, wait="live")
    line = s.wait_line("model_failed", model="padded")
    assert why in str(line)
    assert "padding of '" in str(line)
