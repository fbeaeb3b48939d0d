# SPDX-License-Identifier: Apache-2.0
"""Texts to tokens as the library `tokenizers` has them, number by number: vocabularies that it trains here on texts made here,
then thousands of texts, every code point among them."""
import json
import os
import pathlib
import random
import subprocess

import pytest

tokenizers = pytest.importorskip("tokenizers", reason="the package tokenizers is not installed: tools/setup test")
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers  # noqa: E402

SOURCE = pathlib.Path(os.environ["GALLEY_SOURCE"])
TOOL = pathlib.Path(os.environ["GALLEY_BIN"]).parent / "tests" / "token_tool"
SEED = 20261128
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

POOLS = [
    "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJ", "0123456789", " \t\n\r\u00a0\u2003\u3000\u0085\u200b\u000b", ".,;:!?'\"()[]{}-_/\\@#$%^&*+=<>|~`",
    "äöüßÄÖÜéèêñçøåœæşğİıŁ", "αβγδεΣςσΩάέ", "абвгдёйЖЩЫ", "中文字符漢字日本語の仮名カタカナ한국어가각힣", "עבריתשלוםمرحباالعربيةِّ",
    "हिन्दीक़ख़ำไทยท้่", "\u0300\u0301\u0308\u0323\u0334\u0345\u05b0\u064b\u1dc0\u20d0\ufe20\u302a", "😀👍🏽👨‍👩‍👧🇩🇪❤️", "\u0000\u0001\u001f\u007f\u0080\u009f\ufffd\ufeff\u200d\u200e\u2066",
    "ﬁﬂ①½²㎏ⅧⅷÅΩ", "\U00010400\U0001d400\U0001f600\U00020000\U0002a6df\U000e0001\U0010ffff\ue000", "«»„“”‘’–—…·¿¡、。「」，", "Ⅳ٣৪੫", "▁ĠĊ", "##",
]
TRICKY = [
    "", " ", "  ", "\n\n", "a", "'s", "''", "don't we'll I'm they've you're he'd it's 'sx", " 's", "a  b   c", "a \n b", "tail   ", "   head", "tab\tand\r\nlines",
    "[CLS]", "[MASK]", "a[MASK]b", "a [MASK] b", "  [MASK]  ", "[mask]", "[CLS][SEP]", "[[CLS]]", "[UNK] is [PAD]", "<s></s><mask>", "a <mask> b", "   <mask>b",
    "Müller", "Mu\u0308ller", "İstanbul ISTANBUL ıI", "ΣΊΣΥΦΟΣ", "\u1e9b\u0323", "q\u0307\u0323 q\u0323\u0307", "\ud55c\uae00 \u1112\u1161\u11ab",
    "x" * 99, "x" * 100, "x" * 101, "x" * 5000, "ab" * 700, "é" * 100, "é" * 101, "中" * 300, "\u0301" * 400, "a" + "\u0301\u0323" * 200, "!" * 300, " " * 500 + "x",
    "http://example.com/a?b=c&d=%20#e", "C++ & C#", "3.14e-10", "foo_bar-baz", "ﬁancé ①②", "👨‍👩‍👧‍👦 family", "a\u200bb\u200dc", "\ufeffbom", "nul\u0000byte", "a\u00adb",
    "New York newyork NEW YORK York", "xnewyork", "newyork, newyork!", "end newyork", "\u11938\U00011938 \U00011935\U00011930", "a\u05d0\u0301b", "Ünïcödé Ａｂｃ",
]


def texts(n, seed):
    r = random.Random(seed)
    words = [w for t in TRICKY for w in t.split()] + (SOURCE / "docs" / "batching.md").read_text().split()
    out = list(TRICKY)
    while len(out) < n:
        kind = r.random()
        if kind < 0.35:
            s = "".join(r.choice(r.choice(POOLS)) for _ in range(r.randrange(1, 40)))
        elif kind < 0.7:
            s = r.choice(["", " "]) + " ".join(r.choice(words) for _ in range(r.randrange(1, 30)))
        elif kind < 0.9:
            s = "".join(r.choice(words) + r.choice(["", " ", "  ", "\n", r.choice(r.choice(POOLS))]) for _ in range(r.randrange(1, 12)))
        else:
            s = "".join(chr(c) for c in (r.randrange(0x110000) for _ in range(r.randrange(1, 30))) if not 0xD800 <= c < 0xE000)
        out.append(s)
    return out


def points():
    """Every code point, between letters: a class that is off by one edition of Unicode shows here."""
    every = [chr(c) for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000 and not 0xAC00 + 600 < c < 0xD7A4 and not 0x20000 + 600 < c < 0x2F800
             and not 0x2FA20 < c < 0xE0000 and not 0xE0200 < c < 0x10FF00]
    return ["".join(f"a{c}b {c} " for c in every[i:i + 64]) for i in range(0, len(every), 64)]


def corpus():
    files = sorted((SOURCE / "docs").glob("*.md"))[:12]
    return [line for f in files for line in f.read_text().splitlines()] + texts(600, SEED + 1)


def run(path, batches, *options):
    text = "".join(json.dumps(b, ensure_ascii=False) + "\n" for b in batches)
    done = subprocess.run([TOOL, path, *options], input=text.encode(), capture_output=True, timeout=280)
    assert done.returncode == 0, done.stdout[-400:] + done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


def same(tok, tmp_path, batch, *options, name="tokenizer.json"):
    """galley's rows of each text alone against the library's."""
    path = tmp_path / name
    if name == "tokenizer.json":
        tok.save(str(path))
    ours = run(path, [[t] for t in batch], *options)
    wrong = []
    for text, o in zip(batch, ours, strict=True):
        e = tok.encode(text)
        if (o["ids"][0], o["mask"][0], o["types"][0]) != (e.ids, e.attention_mask, e.type_ids):
            wrong.append((text[:200], o["ids"][0][:40], e.ids[:40], e.tokens[:20]))
    assert not wrong, f"seed {SEED}: {len(wrong)} of {len(batch)} differ; first: {wrong[:3]}"


def wordpiece(size=3000, normalizer=None, **model):
    tok = Tokenizer(models.WordPiece(unk_token="[UNK]", **model))
    tok.normalizer = normalizer or normalizers.BertNormalizer()
    tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tok.train_from_iterator(corpus(), trainers.WordPieceTrainer(vocab_size=size, special_tokens=SPECIALS, show_progress=False))
    cls, sep = tok.token_to_id("[CLS]"), tok.token_to_id("[SEP]")
    tok.post_processor = processors.TemplateProcessing(single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", cls), ("[SEP]", sep)])
    tok.decoder = decoders.WordPiece()
    tok.enable_padding(pad_id=tok.token_to_id("[PAD]"))
    return tok


@pytest.mark.parametrize("normalizer", [
    normalizers.BertNormalizer(), normalizers.BertNormalizer(lowercase=False), normalizers.BertNormalizer(strip_accents=False),
    normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False), normalizers.BertNormalizer(lowercase=False, strip_accents=True),
], ids=["uncased", "cased", "accents", "unclean", "cased_stripped"])
def test_wordpiece_is_the_library_s(tmp_path, normalizer):
    same(wordpiece(normalizer=normalizer), tmp_path, texts(2500, SEED))


def test_wordpiece_of_every_code_point(tmp_path):
    tok = wordpiece()
    same(tok, tmp_path, points())
    tok.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False, handle_chinese_chars=False)
    same(tok, tmp_path, points())


def test_wordpiece_settings(tmp_path):
    tok = wordpiece(max_input_chars_per_word=10)
    tok.post_processor = processors.BertProcessing(("[SEP]", tok.token_to_id("[SEP]")), ("[CLS]", tok.token_to_id("[CLS]")))
    same(tok, tmp_path, texts(800, SEED + 2))
    tok.post_processor = processors.TemplateProcessing(single="$A:3 [SEP]:1 [MASK]:2", special_tokens=[(t, tok.token_to_id(t)) for t in ("[SEP]", "[MASK]")])
    tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()])
    same(tok, tmp_path, texts(800, SEED + 3))
    tok.pre_tokenizer = pre_tokenizers.Whitespace()
    same(tok, tmp_path, texts(800, SEED + 4) + points()[:200])


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_normal_forms(tmp_path, form):
    tok = wordpiece(normalizer=normalizers.Sequence([getattr(normalizers, form)(), normalizers.Lowercase()]))
    same(tok, tmp_path, texts(1500, SEED + 5) + points())


def test_other_normalizers(tmp_path):
    steps = [normalizers.Strip(), normalizers.NFD(), normalizers.StripAccents(), normalizers.Replace("``", '"'), normalizers.Replace("a", "aa"),
             normalizers.Replace("  ", " "), normalizers.Prepend("x")]
    same(wordpiece(normalizer=normalizers.Sequence(steps)), tmp_path, texts(1500, SEED + 6) + points()[:300])


def test_tokens_in_the_text(tmp_path):
    tok = wordpiece()
    tok.add_tokens([AddedToken("New York", single_word=True), AddedToken("newyork", single_word=True, lstrip=True), AddedToken("Ünï", normalized=True),
                    AddedToken("raw", normalized=False), AddedToken("raw hide", normalized=False, rstrip=True), AddedToken("中文", rstrip=True, lstrip=True)])
    tok.add_special_tokens([AddedToken("[MASK]", lstrip=True), AddedToken("<x>", rstrip=True), AddedToken("<x><y>")])
    more = ["raw rawhide raw hide  x", "<x> <x><y> <x><x>  a", "a  [MASK]  b[MASK]", "uni Ünïcode UNI uni", "new york NEW  YORK", " 中文  中 文 x中文", "_newyork newyork_ énewyork",
            "raw[MASK]raw hide <x>  [MASK]", "newyork newyork", "xnewyork newyork"]
    r = random.Random(SEED)
    parts = [*more, *SPECIALS, "raw", "newyork", "New York", "<x>", " ", "  ", "\n", "é", "_", "中文", "Ünï"]
    more += ["".join(r.choice(parts) for _ in range(r.randrange(1, 9))) for _ in range(1500)]
    same(tok, tmp_path, more + texts(800, SEED + 7))


def byte_level(prefix, regex=True, **model):
    tok = Tokenizer(models.BPE(**model))
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=regex)
    tok.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=2500, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], show_progress=False,
                                                         initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return tok


def test_byte_level_bpe(tmp_path):
    tok = byte_level(False)
    tok.post_processor = processors.ByteLevel(trim_offsets=False)
    same(tok, tmp_path, texts(2500, SEED + 8))
    tok = byte_level(True)
    tok.post_processor = processors.RobertaProcessing(("</s>", tok.token_to_id("</s>")), ("<s>", tok.token_to_id("<s>")))
    tok.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    same(tok, tmp_path, texts(2500, SEED + 9) + points())
    same(byte_level(True, regex=False), tmp_path, texts(800, SEED + 10))


def test_bpe_over_characters(tmp_path):
    for model in ({"unk_token": "<unk>"}, {"unk_token": "<unk>", "fuse_unk": True}, {}, {"ignore_merges": True, "unk_token": "<unk>"}):
        tok = Tokenizer(models.BPE(**model))
        tok.pre_tokenizer = pre_tokenizers.Whitespace()
        tok.train_from_iterator(corpus()[:400], trainers.BpeTrainer(vocab_size=900, limit_alphabet=60, special_tokens=["<unk>", "<pad>"], show_progress=False))
        same(tok, tmp_path, texts(800, SEED + 11))


@pytest.mark.parametrize("scheme,split", [("always", True), ("first", True), ("never", True), ("always", False)])
def test_unigram(tmp_path, scheme, split):
    tok = Tokenizer(models.Unigram())
    tok.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace("  ", " ")])
    tok.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=split)
    tok.train_from_iterator(corpus(), trainers.UnigramTrainer(vocab_size=1500, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], unk_token="<unk>", show_progress=False))
    tok.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    same(tok, tmp_path, texts(2000, SEED + 12))


def charsmap(tmp_path, rule):
    """The table that SentencePiece itself puts into a model: field 2 of field 3 of its protobuf."""
    spm = pytest.importorskip("sentencepiece", reason="the package sentencepiece is not installed: tools/setup test")
    (tmp_path / "corpus.txt").write_text("\n".join("a b c d e f g h".split() * 40))
    spm.SentencePieceTrainer.train(input=str(tmp_path / "corpus.txt"), model_prefix=str(tmp_path / "m"), vocab_size=14, normalization_rule_name=rule,
                                   minloglevel=3, hard_vocab_limit=False)

    def field(data, wanted):
        at = 0

        def varint():
            nonlocal at
            value = shift = 0
            while True:
                byte = data[at]
                at += 1
                value |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    return value
        while at < len(data):
            key = varint()
            if key & 7 == 2:
                n = varint()
                if key >> 3 == wanted:
                    return data[at:at + n]
                at += n
            elif key & 7 == 0:
                varint()
            else:
                at += 4 if key & 7 == 5 else 8
        raise AssertionError("no such field")
    return field(field((tmp_path / "m.model").read_bytes(), 3), 2)


@pytest.mark.parametrize("rule", ["nmt_nfkc", "nfkc_cf", "nmt_nfkc_cf"])
def test_sentencepiece_s_table(tmp_path, rule):
    tok = Tokenizer(models.Unigram())
    tok.normalizer = normalizers.Sequence([normalizers.Precompiled(charsmap(tmp_path, rule)), normalizers.Replace("  ", " ")])
    tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tok.train_from_iterator(corpus(), trainers.UnigramTrainer(vocab_size=1500, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], unk_token="<unk>", show_progress=False))
    tok.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    tok.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    same(tok, tmp_path, texts(2500, SEED + 16) + points())


def test_files_of_older_libraries(tmp_path):
    """Without the model's type, with Metaspace's old settings."""
    tok = byte_level(True)
    tok.enable_padding(pad_id=1)
    doc = json.loads(tok.to_str())
    del doc["model"]["type"]
    doc["model"].update(unk_token="", continuing_subword_prefix="", end_of_word_suffix="")
    (tmp_path / "vocab.json").write_text(json.dumps(doc))
    same(Tokenizer.from_str(json.dumps(doc)), tmp_path, texts(500, SEED + 17), name="vocab.json")
    tok = wordpiece()
    doc = json.loads(tok.to_str())
    del doc["model"]["type"]
    doc["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "str_rep": "▁", "add_prefix_space": True}
    (tmp_path / "vocab.json").write_text(json.dumps(doc))
    same(Tokenizer.from_str(json.dumps(doc)), tmp_path, texts(500, SEED + 18), name="vocab.json")


def test_lengths(tmp_path):
    tok = wordpiece()
    batch = [t for t in texts(300, SEED + 13)]
    batches = [batch[i:i + 7] for i in range(0, len(batch), 7)]

    def compare(*options):
        tok.save(str(tmp_path / "tokenizer.json"))
        for texts_of, ours in zip(batches, run(tmp_path / "tokenizer.json", batches, *options), strict=True):
            theirs = tok.encode_batch(texts_of)
            assert ours == {"ids": [e.ids for e in theirs], "mask": [e.attention_mask for e in theirs], "types": [e.type_ids for e in theirs]}, texts_of

    compare()
    for direction in ("right", "left"):
        tok.enable_truncation(12, direction=direction)
        for padding in ({}, {"length": 16}, {"pad_to_multiple_of": 8}, {"length": 13, "pad_to_multiple_of": 5}):
            tok.enable_padding(direction=direction, pad_id=0, pad_type_id=1, **padding)
            compare()
    tok.no_truncation()
    tok.enable_padding(pad_id=0)
    tok.save(str(tmp_path / "tokenizer.json"))
    plain = run(tmp_path / "tokenizer.json", batches, "max_length=9", "pad_multiple=4")
    tok.enable_truncation(9)
    tok.enable_padding(pad_id=0, pad_to_multiple_of=4)
    assert [o["ids"] for o in plain] == [[e.ids for e in tok.encode_batch(b)] for b in batches]


def test_vocab_txt(tmp_path):
    tok = wordpiece()
    by_id = sorted(tok.get_vocab().items(), key=lambda kv: kv[1])
    (tmp_path / "vocab.txt").write_text("".join(t + "\n" for t, _ in by_id))
    same(tok, tmp_path, texts(600, SEED + 14), name="vocab.txt")
    tok.normalizer = normalizers.BertNormalizer(lowercase=False)
    same(tok, tmp_path, texts(600, SEED + 15), "cased", name="vocab.txt")
