#!/usr/bin/env python3
"""The tokenizer beside HF tokenizers and bpe-qwen: one run, one core, the full Qwen vocabulary, real text.

    pip install tokenizers==0.23.3 dashscope==2.0.2 bpe-qwen==0.1.5
    ninja -C BUILD text_bench && python bench/tokenizer.py BUILD/bin/text_bench [--core 0] [--rounds 5]

Every program gets the same documents of about 4 KB; the best of its rounds counts, in processor time (other work may share the core). HF keeps a cache of 10,000 words, ours of at most
8192 short ones, bpe-qwen one of its own; the peers' time includes making Python lists of their ids, ours has no Python in it. Ids
are compared first; documents on which a peer gives others than HF tokenizers are counted.
"""
import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "parity"))
import tokenizer_corpus as corpus  # noqa: E402

SIZE = 3_000_000


def prose(rng):
    """English: chats of examples/chat_tiny, licences, manuals."""
    with open(os.path.join(HERE, "..", "examples", "chat_tiny", "train.jsonl"), encoding="utf-8") as file:
        for line in file:
            for message in json.loads(line)["messages"]:
                content = message["content"]
                yield content if isinstance(content, str) else "".join(part.get("text") or "" for part in content)
    for text in corpus.files(rng, ["/usr/share/common-licenses/*", "/usr/share/perl/**/*.pod", "/usr/share/doc/**/*.txt", "/usr/share/doc/**/README*"], SIZE):
        yield text.decode(errors="replace")


def code(rng):
    for text in corpus.files(rng, ["/usr/lib/python3/**/*.py", os.path.dirname(os.__file__) + "/**/*.py", "/usr/include/**/*.h"], SIZE):
        yield text.decode(errors="replace")


def languages(rng):
    for text in corpus.translations(rng, SIZE):
        yield text.decode()


def chinese(rng):
    for text in corpus.translations(rng, SIZE, "zh_*"):
        yield text.decode()


def documents(texts):
    text = "\n".join(texts).encode()[:SIZE].decode(errors="ignore")
    pieces, at = [], 0
    data = text.encode()
    while at < len(data):
        end = data.find(b"\n", min(at + 4000, len(data)))
        end = len(data) if end < 0 else end + 1
        pieces.append(data[at:end].decode())
        at = end
    return pieces


def best(encode, pieces, rounds):
    times = []
    for _ in range(rounds):
        start = time.process_time()
        for piece in pieces:
            encode(piece)
        times.append(time.process_time() - start)
    return min(times)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", help="text_bench")
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["RAYON_NUM_THREADS"] = "1"
    os.sched_setaffinity(0, {arguments.core})
    import bpe_qwen

    with tempfile.TemporaryDirectory() as folder:
        hf = corpus.qwen(corpus.tiktoken_path(), corpus.small.QWEN_SPECIAL)
        hf.save(os.path.join(folder, "tokenizer.json"), pretty=False)
        hf.model.save(folder)
        peer = bpe_qwen.QwenTokenizer(folder)
        texts = {}
        for make in (prose, code, languages, chinese):
            texts[make.__name__] = documents(make(random.Random(5)))
        files = []
        for name, pieces in texts.items():
            files.append(os.path.join(folder, name + ".txt"))
            with open(files[-1], "w", encoding="utf-8", newline="") as file:
                file.write("".join(pieces))
        environment = dict(os.environ, LMMS_BENCH_TOKENIZER=os.path.join(folder, "tokenizer.json"), LMMS_BENCH_TEXTS=":".join(files))
        output = subprocess.run([arguments.program, "--benchmark_format=json", f"--benchmark_repetitions={arguments.rounds}"], env=environment, check=True, capture_output=True, text=True).stdout
        ours = {}
        for run in json.loads(output)["benchmarks"]:
            if run.get("run_type") == "iteration":
                name = run["name"].split("/repeats")[0]
                ours[name] = max(ours.get(name, 0), run.get("bytes_per_second", 0)) or min(ours.get(name, 1e9), run["cpu_time"])
        with open("/proc/cpuinfo") as file:
            cpu = next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
        print(f"one core of {cpu}; MB/s, best of {arguments.rounds}\n")
        print(f"| text | MB | bytes/token | lmms | HF tokenizers | bpe-qwen | lmms / HF | lmms / bpe-qwen | bpe-qwen differs in |")
        print("|---|---|---|---|---|---|---|---|---|")
        for name, pieces in texts.items():
            size = sum(len(p.encode()) for p in pieces)
            expected = [hf.encode(p, add_special_tokens=False).ids for p in pieces]
            other = sum(peer.encode(p) != e for p, e in zip(pieces, expected))
            theirs = size / best(lambda p: hf.encode(p, add_special_tokens=False).ids, pieces, arguments.rounds) / 1e6
            linear = size / best(peer.encode, pieces, arguments.rounds) / 1e6
            speed = ours["encode/" + name] / 1e6
            tokens = sum(map(len, expected))
            print(f"| {name} | {size / 1e6:.1f} | {size / tokens:.2f} | {speed:.1f} | {theirs:.1f} | {linear:.1f} | {speed / theirs:.1f} | {speed / linear:.1f} | {other} of {len(pieces)} documents |")
        decoded = ", ".join(f"{name} {ours['decode/' + name] / 1e6:.0f}" for name in texts)
        print(f"\ndecode, MB/s: {decoded}; loading tokenizer.json: {ours['load']:.0f} ms")


if __name__ == "__main__":
    main()
