#!/usr/bin/env python3
"""Makes the corpus of scripts/check_tokenizer.sh: local text in many languages, code, hard cases and random bytes, with the ids that
HF tokenizers gives them under the full Qwen vocabulary and under the small stored ones.

    tokenizer_corpus.py FOLDER [--bytes N]

Needs tokenizers and dashscope (for its qwen.tiktoken). FOLDER receives texts.bin and one folder a tokenizer: tokenizer.json (for
Qwen qwen.tiktoken too), ids.bin, decoded.bin; each .bin is records of a little-endian u32 count and so many bytes or int32.
"""
import argparse
import base64
import gettext
import glob
import importlib.util
import json
import os
import random
import shutil
import struct
import sys
import sysconfig

from tokenizers import AddedToken, Tokenizer

import make_tokenizer_cases as small

EXTRAS = [f"<|extra_{i}|>" for i in range(205)]


def tiktoken_path():
    package = os.path.dirname(importlib.util.find_spec("dashscope").origin)
    return os.path.join(package, "resources", "qwen.tiktoken")


def merge_of(ranks, token, rank):
    """The two parts that joining by lower ranks leaves of a token."""
    parts = [bytes([b]) for b in token]
    while len(parts) > 2:
        best = min(range(len(parts) - 1), key=lambda i: ranks.get(parts[i] + parts[i + 1], rank))
        if ranks.get(parts[best] + parts[best + 1], rank) >= rank:
            return None
        parts[best : best + 2] = [parts[best] + parts[best + 1]]
    return parts


def qwen(path, special):
    """The tokenizer.json that Qwen2 publishes, derived from the ranks as theirs was; `special` follow the vocabulary."""
    written = {b: chr(b) for b in [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]}
    written.update({b: chr(0x100 + i) for i, b in enumerate(b for b in range(256) if b not in dict(written))})
    with open(path, "rb") as file:
        ranks = {base64.b64decode(t): int(r) for t, r in (line.split() for line in file if line.strip())}
    text = lambda token: "".join(written[b] for b in token)
    merges = [merge_of(ranks, token, rank) for token, rank in ranks.items() if len(token) > 1]
    merges = [[text(a), text(b)] for a, b in (m for m in merges if m)]
    print(f"qwen: {len(ranks)} tokens, {len(merges)} merges", file=sys.stderr)
    tokenizer = small.qwen2_like()
    description = json.loads(tokenizer.to_str())
    description["added_tokens"] = []
    description["model"]["vocab"] = {text(t): r for t, r in ranks.items()}
    description["model"]["merges"] = merges
    tokenizer = Tokenizer.from_str(json.dumps(description))
    tokenizer.add_special_tokens([AddedToken(t, normalized=False) for t in special])
    return tokenizer


def translations(rng, budget, language="*"):
    """Messages of installed translations, languages mixed."""
    files = glob.glob(f"/usr/share/locale/{language}/LC_MESSAGES/*.mo")
    rng.shuffle(files)
    for name in files:
        try:
            with open(name, "rb") as file:
                messages = [m for m in gettext.GNUTranslations(file)._catalog.values() if isinstance(m, str) and m]
        except (OSError, ValueError, UnicodeDecodeError, struct.error, IndexError):
            continue
        text = "\n".join(messages)[:20000]
        budget -= len(text.encode())
        yield text.encode()
        if budget < 0:
            return


def files(rng, patterns, budget):
    names = [n for p in patterns for n in glob.glob(p, recursive=True) if os.path.isfile(n) and os.path.getsize(n) < 300_000]
    rng.shuffle(names)
    for name in names:
        with open(name, "rb") as file:
            text = file.read()
        for start in range(0, len(text), 30_000):  # cuts within characters: broken UTF-8 of the natural kind
            yield text[start : start + 30_000]
        budget -= len(text)
        if budget < 0:
            return


def texts(size, added, seed=11):
    rng = random.Random(seed)
    yield from small.texts(added)
    site, stdlib = sysconfig.get_path("purelib"), sysconfig.get_path("stdlib")
    yield from translations(rng, size * 0.4)
    yield from files(rng, [stdlib + "/**/*.py", site + "/**/*.py", "/usr/include/**/*.h", site + "/**/*.cpp"], size * 0.2)
    yield from files(rng, ["/usr/share/**/*.txt", "/usr/share/**/*.html", "/usr/share/**/*.xml", "/usr/share/i18n/locales/*", stdlib + "/**/*.txt", site + "/**/*.json", "/usr/share/perl/**/*.pl"], size * 0.2)
    every = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    for start in range(0, len(every), 4096):
        yield "".join(every[start : start + 4096]).encode()
    for _ in range(400):  # unlikely neighbours
        picked = [every[rng.randrange(rng.choice([0x250, 0x3000, 0x20000, len(every)]))] for _ in range(500)]
        yield "".join(rng.choice([c, c, c, c + " ", c + "\n", "'" + c, c + rng.choice(added)]) for c in picked).encode()
    for _ in range(500):
        yield "".join(rng.choice(small.SPACE + small.MARKS + added[:30] + ["a", "B", "1", "é", "字", "👍", "'s", "."]) for _ in range(80)).encode()
    for _ in range(int(size * 0.15) // 1000):
        yield rng.randbytes(1000)


def record(file, count, payload):
    file.write(struct.pack("<I", count) + payload)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--bytes", type=int, default=8_000_000)
    arguments = parser.parse_args()
    folder = arguments.folder
    path = tiktoken_path()
    tokenizers = {"qwen": qwen(path, small.QWEN_SPECIAL[:3] + EXTRAS)}
    for name in ("qwen2_like", "llama3_like", "gpt2_like", "qwen35_like"):
        tokenizers[name] = Tokenizer.from_file(os.path.join(small.OUT, name, "tokenizer.json"))
    added = sorted({t.content for tokenizer in tokenizers.values() for t in tokenizer.get_added_tokens_decoder().values()})
    os.makedirs(folder, exist_ok=True)
    corpus = list(texts(arguments.bytes, added))
    with open(os.path.join(folder, "texts.bin"), "wb") as file:
        for text in corpus:
            record(file, len(text), text)
    broken = 0
    for text in corpus:
        try:
            text.decode()
        except UnicodeDecodeError:
            broken += 1
    print(f"{len(corpus)} texts, {sum(map(len, corpus))} bytes, {broken} of them with broken UTF-8", file=sys.stderr)
    for name, tokenizer in tokenizers.items():
        place = os.path.join(folder, name)
        os.makedirs(place, exist_ok=True)
        tokenizer.save(os.path.join(place, "tokenizer.json"), pretty=False)
        if name == "qwen":
            shutil.copy(path, os.path.join(place, "qwen.tiktoken"))
        with open(os.path.join(place, "ids.bin"), "wb") as ids_file, open(os.path.join(place, "decoded.bin"), "wb") as decoded_file:
            for text in corpus:
                ids = tokenizer.encode(text.decode(errors="replace"), add_special_tokens=False).ids
                decoded = tokenizer.decode(ids, skip_special_tokens=False).encode()
                record(ids_file, len(ids), struct.pack(f"<{len(ids)}i", *ids))
                record(decoded_file, len(decoded), decoded)


if __name__ == "__main__":
    main()
