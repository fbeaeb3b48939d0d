# SPDX-License-Identifier: Apache-2.0
"""Make packages/embed: a small model that turns a text into a vector, with its tokenizer.

The texts are invented here, sentences about six subjects. The vocabulary is counted from them (WordPiece, as BERT has it); a
token's vector is what it stands beside (a singular value decomposition of shared company); one layer of attention mixes the
tokens of a text. Tokens and vectors of the golden cases are computed by the library `tokenizers` and NumPy, not by galley.
"""

import json
import random
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

PACKAGE = Path(__file__).resolve().parents[1] / "packages" / "embed"
WIDTH, LENGTH_MAX, VOCABULARY = 32, 64, 640
SUBJECTS = {
    "delivery": "parcel package courier delivery shipment address tracking depot doorstep arrived delayed lost sent driver postcode warehouse",
    "payment": "invoice payment card refund charge bank transfer receipt amount billing declined paid twice currency subscription price",
    "account": "password login account email reset username locked profile sign security code verify access settings phone identity",
    "cooking": "recipe oven flour butter onion soup boil bake salt pepper kitchen dinner sauce roast dough garlic",
    "weather": "rain storm sunny cloud wind forecast temperature snow cold warm thunder humid degrees umbrella frost fog",
    "football": "goal match team player coach stadium referee league penalty striker season defender score kick trophy keeper",
}
FRAMES = [
    "where is my {0} and why was the {1} {2}", "i would like to ask about the {0} with the {1}", "the {0} was {1} before the {2}",
    "please help me with {0} {1} and {2}", "can you tell me when the {0} is {1}", "we had a {0} near the {1} and a {2} with {3}",
    "there is no {0} for the {1}", "my {0} shows the wrong {1} since the {2}", "how do i {0} the {1} without {2}", "a {0} and a {1} make a good {2}",
]
CASES = [
    "Where is my parcel?", "The courier lost my package at the depot.", "I was charged twice, please refund my card", "Payment declined: invoice 4711",
    "reset my password", "My account is LOCKED, I cannot log in!", "a recipe for onion soup with butter", "roast garlic in the oven", "rain and wind, and a cold front",
    "Thunder-storm; 12 degrees", "the striker missed the penalty", "a goal before the referee's whistle", "Café délivery à l'adresse", "Mu\u0308nchen, \u00fcber Z\u00fcrich",
    "雨 and 雪", "👍🏽 great match 👨‍👩‍👧", "tab\tand\nlines", "control\u0001 \u200bcharacters", "[MASK] is a token, [CLS] too", "x" * 120, "a", "   ",
    " ".join(["shipment delayed"] * 60), "##ing is no word", "naïve Ångström İstanbul ΣΊΣΥΦΟΣ",
]


def corpus():
    r = random.Random(7)
    out = []
    for words in SUBJECTS.values():
        words = words.split()
        for _ in range(400):
            frame = r.choice(FRAMES)
            out.append(frame.format(*r.sample(words, 4)))
    r.shuffle(out)
    return out


def vocabulary(texts):
    """Special tokens, characters, whole words, and the ends of words that are seen most."""
    words = Counter(w for t in texts for w in t.split())
    ends = Counter()
    for w, n in words.items():
        for cut in range(1, len(w)):
            ends["##" + w[cut:]] += n * (len(w) - cut > 1)
    signs = [chr(c) for c in range(33, 127) if not chr(c).isupper()]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *signs, *("##" + s for s in signs if s.isalnum())]
    tokens += sorted(words, key=lambda w: (-words[w], w))
    tokens += [e for e in sorted(ends, key=lambda e: (-ends[e], e)) if ends[e] and e not in tokens]
    return {t: i for i, t in enumerate(list(dict.fromkeys(tokens))[:VOCABULARY])}


def tokenizer(vocab):
    tok = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    tok.normalizer = normalizers.BertNormalizer()
    tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tok.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    tok.post_processor = processors.TemplateProcessing(single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
                                                       special_tokens=[("[CLS]", vocab["[CLS]"]), ("[SEP]", vocab["[SEP]"])])
    tok.enable_truncation(LENGTH_MAX)
    tok.enable_padding(pad_id=vocab["[PAD]"], pad_token="[PAD]")
    return tok


def vectors(tok, texts, size):
    """Positive mutual information of tokens in one text, cut to its largest directions."""
    together = np.zeros((size, size))
    for t in texts:
        ids = sorted(set(tok.encode(t, add_special_tokens=False).ids))
        together[np.ix_(ids, ids)] += 1
    np.fill_diagonal(together, 0)
    share = together / together.sum()
    alone = share.sum(axis=1, keepdims=True) + 1e-12
    information = np.log(np.maximum(share / (alone * alone.T), 1))
    u, s, _ = np.linalg.svd(information)
    u *= np.where(u[np.abs(u).argmax(axis=0), np.arange(size)] < 0, -1, 1)  # a direction's sign is free: make it one
    out = u[:, :WIDTH] * np.sqrt(s[:WIDTH])
    out[~out.any(axis=1)] = 0.02 * np.random.default_rng(7).standard_normal(WIDTH)
    return out.astype(np.float32)


def forward(w, ids, mask, types):
    """What model.onnx computes, in NumPy: [n, length, WIDTH]."""
    x = w["words"][ids] + w["types"][types]
    scores = (x @ w["query"]) @ x.transpose(0, 2, 1) + (1 - mask[:, None, :].astype(np.float32)) * np.float32(-10000)
    a = np.exp(scores - scores.max(axis=-1, keepdims=True))
    x = x + (a / a.sum(axis=-1, keepdims=True)) @ x
    mean, var = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(var + np.float32(1e-5)) * w["gain"] + w["bias"]


def sentence(hidden, mask):
    m = mask[:, :, None].astype(np.float64)
    mean = (hidden * m).sum(axis=1) / np.maximum(m.sum(axis=1), 1e-9)
    return mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)


def export(w, path):
    nodes = [
        h.make_node("Gather", ["words", "input_ids"], ["x_words"]), h.make_node("Gather", ["types", "token_type_ids"], ["x_types"]),
        h.make_node("Add", ["x_words", "x_types"], ["x"]), h.make_node("MatMul", ["x", "query"], ["q"]), h.make_node("Transpose", ["x"], ["k"], perm=[0, 2, 1]),
        h.make_node("MatMul", ["q", "k"], ["raw"]), h.make_node("Cast", ["attention_mask"], ["mask"], to=T.FLOAT), h.make_node("Sub", ["one", "mask"], ["hidden_places"]),
        h.make_node("Mul", ["hidden_places", "far"], ["penalty"]), h.make_node("Unsqueeze", ["penalty", "axis"], ["penalties"]),
        h.make_node("Add", ["raw", "penalties"], ["scores"]), h.make_node("Softmax", ["scores"], ["a"], axis=-1), h.make_node("MatMul", ["a", "x"], ["mixed"]),
        h.make_node("Add", ["x", "mixed"], ["y"]), h.make_node("LayerNormalization", ["y", "gain", "bias"], ["last_hidden_state"], axis=-1, epsilon=1e-5),
    ]
    weights = {**w, "one": np.float32(1), "far": np.float32(-10000), "axis": np.array([1], np.int64)}
    ports = [h.make_tensor_value_info(n, T.INT64, ["batch", "length"]) for n in ("input_ids", "attention_mask", "token_type_ids")]
    out = [h.make_tensor_value_info("last_hidden_state", T.FLOAT, ["batch", "length", WIDTH])]
    graph = h.make_graph(nodes, "embed", ports, out, [numpy_helper.from_array(np.asarray(v), k) for k, v in weights.items()])
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8, producer_name="galley examples")
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))


def main():
    texts = corpus()
    vocab = vocabulary(texts)
    tok = tokenizer(vocab)
    r = np.random.default_rng(7)
    w = {
        "words": vectors(tok, texts, len(vocab)), "types": (0.01 * r.standard_normal((2, WIDTH))).astype(np.float32),
        "query": (np.eye(WIDTH) / np.sqrt(WIDTH) + 0.02 * r.standard_normal((WIDTH, WIDTH))).astype(np.float32),
        "gain": np.ones(WIDTH, np.float32), "bias": np.zeros(WIDTH, np.float32),
    }
    export(w, PACKAGE / "model.onnx")
    (PACKAGE / "tokenizer.json").write_text(json.dumps(json.loads(tok.to_str()), indent=1, ensure_ascii=False) + "\n")
    lines, all_vectors = [], []
    for i in range(0, len(CASES), 5):
        batch = CASES[i:i + 5]
        e = tok.encode_batch(batch)
        ids, mask, types = (np.array([getattr(x, k) for x in e]) for k in ("ids", "attention_mask", "type_ids"))
        v = sentence(forward(w, ids, mask, types), mask)
        all_vectors += list(v)
        lines.append(json.dumps({
            "name": f"texts {i} to {i + len(batch) - 1}", "rtol": 1e-5, "atol": 1e-5,
            "inputs": [{"name": "text", "datatype": "BYTES", "shape": [len(batch), 1], "data": batch}],
            "outputs": [{"name": "embedding", "datatype": "FP32", "shape": [len(batch), WIDTH], "data": [round(float(f), 7) for f in v.ravel()]}],
        }, ensure_ascii=False))
    (PACKAGE / "golden.json").write_text('{"cases": [\n' + ",\n".join(lines) + "\n]}\n")
    near = np.array(all_vectors[:12]) @ np.array(all_vectors[:12]).T - 2 * np.eye(12)
    right = sum(int(near[i].argmax()) // 2 == i // 2 for i in range(12))
    print(f"embed: {len(vocab)} tokens, {len(CASES)} texts; the nearest of 12 texts is of its subject {right} times")
    assert right >= 11


if __name__ == "__main__":
    main()
