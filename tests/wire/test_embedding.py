# SPDX-License-Identifier: Apache-2.0
"""Texts in, vectors out: a package with a tokenizer before its model and pooling behind it, against NumPy and the library
`tokenizers`."""
import concurrent.futures
import importlib.util
import json
import shutil

import numpy as np
import pytest

import harness
import oip
import packages
from harness import galley

tokenizers = pytest.importorskip("tokenizers", reason="the package tokenizers is not installed: tools/setup test")
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors, trainers  # noqa: E402

SPEC = importlib.util.spec_from_file_location("embed", packages.EXAMPLES.parent / "train" / "embed.py")
embed = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(embed)

TEXTS = [*embed.CASES, "Übermäßig schöne Straßen", "مرحبا بالعالم", "नमस्ते दुनिया", "a" * 5000, "don't we'll", "  spaces   and\n\nlines ", "<mask> in the <mask>", "日本語のテキスト🎌", ""]


def roberta():
    """A byte-level vocabulary of other texts, put around and cut otherwise than the example's."""
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tok.train_from_iterator(embed.corpus(), trainers.BpeTrainer(vocab_size=500, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
                                                               show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tok.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    tok.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    tok.enable_truncation(40)
    tok.enable_padding(pad_id=1, pad_token="<pad>", pad_to_multiple_of=8)
    return tok


def weights(size):
    r = np.random.default_rng(11)
    return {"words": r.standard_normal((size, embed.WIDTH)).astype(np.float32), "types": np.zeros((2, embed.WIDTH), np.float32),
            "query": (0.1 * r.standard_normal((embed.WIDTH, embed.WIDTH))).astype(np.float32),
            "gain": r.uniform(0.5, 1.5, embed.WIDTH).astype(np.float32), "bias": r.standard_normal(embed.WIDTH).astype(np.float32)}


def hidden(tok, w, texts):
    e = tok.encode_batch(texts)
    ids, mask, types = (np.array([getattr(x, k) for x in e]) for k in ("ids", "attention_mask", "type_ids"))
    return embed.forward(w, ids, mask, types), mask


def manifest(path, **fields):
    head = {"galley": 1, "name": path.name, "version": "1.0.0", "model": "model.onnx", "features": [{"name": "text", "type": "text"}],
            "before": [{"tokenize": {"feature": "text", "file": "tokenizer.json"}}]}
    (path / "galley.yaml").write_text(json.dumps({**head, **fields}))
    return path


POOLED = {"after": [{"pool": {"output": "last_hidden_state", "to": "embedding"}}, {"normalize": {"output": "embedding"}}], "outputs": ["embedding"]}


@pytest.fixture(scope="module", name="made")
def a_model_and_its_tokenizer(tmp_path_factory):
    root = tmp_path_factory.mktemp("embedding")
    tok = roberta()
    w = weights(tok.get_vocab_size())
    (root / "sentences").mkdir()
    embed.export(w, root / "sentences" / "model.onnx")
    tok.save(str(root / "sentences" / "tokenizer.json"))
    manifest(root / "sentences", **POOLED)
    return tok, w, root / "sentences"


@pytest.fixture(scope="module", name="server")
def server_of_both(made, tmp_path_factory):
    repository = tmp_path_factory.mktemp("repository")
    packages.pack(made[2], repository / "sentences.galley")
    for name, after in (("first", [{"pool": {"output": "last_hidden_state", "method": "cls", "to": "v"}}]),
                        ("largest", [{"pool": {"output": "last_hidden_state", "method": "max", "mask": "attention_mask", "to": "v"}}])):
        manifest(shutil.copytree(made[2], repository / name), after=after, outputs=["v"])
    manifest(shutil.copytree(made[2], repository / "tokens"))
    with harness.Server(paths=[repository, packages.EXAMPLES / "embed"]) as s:
        yield s


def native(server, model, texts, field="embedding"):
    reply = server.post(f"/v1/models/{model}/predict", {"instances": [{"text": t} for t in texts]})
    assert reply.status == 200, reply
    return np.array([p[field] for p in reply.json()["predictions"]])


def test_texts_are_numpy_s_vectors_over_the_native_api(server, made):
    tok, w, _ = made
    np.testing.assert_allclose(native(server, "sentences", TEXTS), embed.sentence(*hidden(tok, w, TEXTS)), atol=1e-5)
    for text in TEXTS:
        np.testing.assert_allclose(native(server, "sentences", [text]), embed.sentence(*hidden(tok, w, [text])), atol=1e-5)


def test_texts_are_numpy_s_vectors_over_the_open_inference_protocol(server, made):
    want = embed.sentence(*hidden(made[0], made[1], TEXTS))
    reply = server.infer("sentences", {"text": ("BYTES", [len(TEXTS), 1], TEXTS)})
    assert reply.status == 200, reply
    (out,) = reply.json()["outputs"]
    assert (out["name"], out["datatype"], out["shape"]) == ("embedding", "FP32", [len(TEXTS), embed.WIDTH])
    np.testing.assert_allclose(np.array(out["data"]).reshape(out["shape"]), want, atol=1e-5)
    binary = oip.tensors(oip.post_binary(server, "sentences", {"text": np.array(TEXTS, np.object_).reshape(-1, 1)}))
    np.testing.assert_allclose(binary["embedding"], want, atol=1e-5)


def test_the_first_token_and_the_largest_values_can_be_taken(server, made):
    states, mask = hidden(made[0], made[1], TEXTS)
    np.testing.assert_allclose(native(server, "first", TEXTS, "v"), states[:, 0], atol=1e-5)
    np.testing.assert_allclose(native(server, "largest", TEXTS, "v"), np.where(mask[:, :, None] > 0, states, -1e9).max(axis=1), atol=1e-5)


def test_tokens_vectors_can_be_answered_as_they_are(server, made):
    for text in TEXTS[:8]:
        states, _ = hidden(made[0], made[1], [text])
        reply = server.infer("tokens", {"text": ("BYTES", [1, 1], [text])})
        (out,) = reply.json()["outputs"]
        assert out["shape"] == list(states.shape)
        np.testing.assert_allclose(np.array(out["data"]).reshape(out["shape"]), states, atol=2e-5)


def test_only_answers_of_one_size_share_a_call(server):
    ready = {line["model"]: line["batching"] for line in server.lines("model_ready")}
    assert ready == {"sentences": True, "embed": True, "first": True, "largest": True, "tokens": False}


def test_clients_at_once_get_what_they_get_alone(server, made):
    want = embed.sentence(*hidden(made[0], made[1], TEXTS))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        jobs = [(i % len(TEXTS), pool.submit(native, server, "sentences", [TEXTS[i % len(TEXTS)]])) for i in range(160)]
        for i, job in jobs:
            np.testing.assert_allclose(job.result()[0], want[i], atol=1e-5)


def test_what_is_no_text_is_an_error_of_its_row(server):
    texts = np.array([b"fine", b"\xff\xfe"], np.object_).reshape(-1, 1)
    reply = oip.post_binary(server, "sentences", {"text": texts})
    assert reply.status == 400 and "instance 1: text" in reply.body.decode() and "UTF-8" in reply.body.decode()
    reply = server.infer("sentences", {"text": ("BYTES", [1, 1], ["x" * (1 << 20) + "y"])})
    assert reply.status in (400, 413) and "1048577 bytes" in reply.body.decode(), reply
    assert server.post("/v1/models/embed/predict", {"features": {"text": "x" * 10001}}).status == 422
    np.testing.assert_array_equal(native(server, "sentences", ["fine"]).shape, (1, embed.WIDTH))


def test_the_example_knows_its_subjects(server):
    texts = embed.CASES[:12]
    v = native(server, "embed", texts)
    near = v @ v.T - 2 * np.eye(12)
    assert sum(int(near[i].argmax()) // 2 == i // 2 for i in range(12)) >= 11
    np.testing.assert_allclose(np.linalg.norm(v, axis=1), 1, atol=1e-5)


def test_the_example_proves_itself_and_comes_from_its_script(tmp_path, monkeypatch):
    done = galley("verify", packages.EXAMPLES / "embed")
    assert done.returncode == 0 and "5 of 5 cases reproduced" in done.stdout, done.stdout + done.stderr
    monkeypatch.setattr(embed, "PACKAGE", tmp_path)
    embed.main()
    assert (tmp_path / "tokenizer.json").read_text() == (packages.EXAMPLES / "embed" / "tokenizer.json").read_text()


def other_token(package):
    """Two tokens of the vocabulary change places."""
    path = package / "tokenizer.json"
    doc = json.loads(path.read_text())
    vocab = doc["model"]["vocab"]
    vocab["parcel"], vocab["butter"] = vocab["butter"], vocab["parcel"]
    path.write_text(json.dumps(doc, indent=1, ensure_ascii=False) + "\n")


def test_another_tokenizer_is_caught_by_golden_cases_and_by_the_digest(tmp_path):
    package = packages.copy("embed", tmp_path / "embed")
    packages.pack(package, tmp_path / "embed.galley")
    assert galley("unpack", tmp_path / "embed.galley", tmp_path / "sealed").returncode == 0
    other_token(package)
    done = galley("verify", package)
    assert done.returncode != 0 and "texts 0 to 4" in done.stdout + done.stderr, done.stdout
    assert galley("pack", package, "-o", tmp_path / "wrong.galley").returncode != 0
    other_token(tmp_path / "sealed")
    done = galley("verify", tmp_path / "sealed")
    assert done.returncode != 0 and "tokenizer.json" in done.stdout + done.stderr, done.stdout + done.stderr
    with harness.Server(paths=[tmp_path / "sealed"], wait=None) as s:
        s.wait_line("not_ready")
        text = s.get("/health/ready").body.decode()
        assert "tokenizer.json" in text and "digest" in text or "sealed" in text, text


@pytest.mark.parametrize("change,words", [
    ({"file": "absent.json"}, ["absent.json"]),
    ({"file": "tokenizer.json", "max_length": 1}, ["truncation.max_length", "2 special tokens"]),
    ({"file": "tokenizer.json", "max_length": 0}, ["max_length", "from 1 to"]),
    ({"file": "tokenizer.json", "pad_token": "<none>"}, ["pad_token", "<none>"]),
    ({"file": "tokenizer.json", "cased": True}, ["cased", "vocab.txt"]),
    ({"file": "galley.yaml"}, ["galley.yaml"]),
    ({"file": "odd.json"}, ["odd.json", "pre_tokenizer.type", "'Split'"]),
])
def test_mistakes_are_told_when_the_package_is_read(made, tmp_path, change, words):
    package = shutil.copytree(made[2], tmp_path / "sentences")
    doc = json.loads((package / "tokenizer.json").read_text())
    doc["pre_tokenizer"] = {"type": "Split", "pattern": {"Regex": "x"}, "behavior": "Isolated", "invert": False}
    (package / "odd.json").write_text(json.dumps(doc))
    manifest(package, before=[{"tokenize": {"feature": "text", **change}}], **POOLED)
    done = galley("verify", package)
    assert done.returncode != 0
    assert all(w in done.stdout + done.stderr for w in words), done.stdout + done.stderr


def test_other_names_lengths_and_a_vocab_txt(made, tmp_path):
    tok = embed.tokenizer(embed.vocabulary(embed.corpus()))
    w = weights(tok.get_vocab_size())
    package = tmp_path / "lines"
    package.mkdir()
    embed.export(w, package / "model.onnx")
    (package / "vocab.txt").write_text("".join(t + "\n" for t, _ in sorted(tok.get_vocab().items(), key=lambda kv: kv[1])))
    manifest(package, before=[{"tokenize": {"feature": "text", "file": "vocab.txt", "max_length": 9, "length": 12, "mask": "kept"}},
                              {"rename": {"from": "kept", "to": "attention_mask"}}], **POOLED)
    tok.enable_truncation(9)
    tok.enable_padding(length=12)
    packages.pack(package, tmp_path / "lines.galley")
    with harness.Server(paths=[tmp_path / "lines.galley"]) as s:
        np.testing.assert_allclose(native(s, "lines", TEXTS), embed.sentence(*hidden(tok, w, TEXTS)), atol=1e-5)


def test_init_finds_the_tokenizer_beside_the_model(made, tmp_path):
    done = galley("init", made[2] / "model.onnx", "-o", tmp_path / "drafted")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "drafted" / "galley.yaml").read_text()
    assert "#   - tokenize: {feature: text, file: tokenizer.json}" in text and "#   - pool: {output: last_hidden_state" in text
    assert (tmp_path / "drafted" / "tokenizer.json").exists()
